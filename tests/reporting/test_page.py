import base64
import hashlib
import html
import json
import re

import pytest

from graphmtl.graph.pictures.colours import PALETTES, css
from graphmtl.reporting.class_tables import class_tables
from graphmtl.reporting.contents import comparison, run_contents
from graphmtl.reporting.gains import Gain, gain_panel
from graphmtl.reporting.page import render, render_comparison
from graphmtl.training.run import Run
from tests.graph.examples import write_control
from tests.reporting.explained import explain


def contents(run: Run, name: str = "a run", examples: int = 1) -> dict:
    return run_contents(run, name=name, examples=examples, seed=0)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_data_of_the_script_is_what_the_run_holds(finished):
    found = contents(finished("star").run)
    data = data_of(render([found], None))
    assert data["graphs"] == found["graphs"]
    assert data["charts"] == found["curves"]
    told = [text for texts in found["examples"].values() for text in texts]
    assert data["examples"] == [{name: text[name] for name in ("weights", "itself", "alike")} for text in told]


def test_drawings_are_as_many_as_their_data(copy_of, finished):
    run = Run.open(copy_of("complete"))
    explain(run)
    write_control(run.folder)
    page = render([contents(run), contents(finished("star").run)], None)
    data = data_of(page)
    for name, marker in {
        "graphs": 'class="graph"',
        "charts": '<figure class="chart',
        "examples": 'class="example"',
    }.items():
        assert page.count(marker) == len(data[name]) > 0


def test_only_the_pages_own_script_may_run(finished):
    page = render([contents(finished("complete").run)], None)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


@pytest.mark.parametrize("name", ["</script><b>", "a & b", "{{ 7 * 7 }}"])
def test_names_are_texts(name, finished):
    found = contents(finished("complete").run, name=name)
    found["curves"][0]["title"] = name
    page = render([found], None)
    assert f"<h2>{html.escape(name, quote=False)}</h2>" in page
    assert data_of(page)["charts"][0]["title"] == name
    assert page.count("</script>") == 2


def test_numbers_that_are_missing_are_dashes(finished):
    found = contents(finished("complete").run)
    found["classes"] = class_tables({"mood": {"classes": {"joy": {"precision": None, "recall": 0.5, "support": 7}}}})
    assert "<td>–</td><td>50.0</td><td>7</td>" in render([found], None)


def test_cards_come_first_then_gains_and_map_and_the_rest_is_folded(finished):
    page = render([contents(finished("complete").run)], None)
    places = [page.index(mark) for mark in ('class="cards"', 'class="gains"', 'class="heat', 'class="part"')]
    assert places == sorted(places)
    folded = re.findall(r'<details class="part"( open)?><summary>(.*?)</summary>', page)
    assert [name for _, name in folded] == [
        *("Results", "Classes", "Training", "Example sentences", "Can the picture be trusted?")
    ]
    assert not any(is_open for is_open, _ in folded)
    found = contents(finished("complete").run)
    found["cards"][0]["lines"] = ["above it: a, b, ..."]
    assert "<p>Above it: a, b, ...</p>" in render([found], None)
    of_shared = render([contents(finished("shared").run)], None)
    assert "Trust of the picture" not in of_shared.split("<script")[0]
    assert "Trust of the picture" in page


def test_classes_have_their_scores_and_a_map_in_words(finished):
    found = contents(finished("shared").run, examples=0)
    scores = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 7}
    matrix = {"labels": ["joy", "<b>"], "counts": [[5, 2], [0, 3]]}
    tasks = {
        "mood": {"classes": {"joy": scores, "<b>": scores}, "confusion": matrix},
        "set": {"classes": {"a": scores}},
    }
    found["classes"] = class_tables(tasks)
    page = render([found], None)
    assert "<summary>Classes</summary>" in page
    assert page.count('<th scope="row">&lt;b&gt;</th><td>50.0</td><td>25.0</td><td>33.3</td><td>7</td>') == 1
    assert 'style="--w:0.286" data-hint="joy answered as &lt;b&gt;: 2">2</td>' in page
    assert page.count('class="heat"') == 1  # sets of labels have none
    found["classes"] = []
    assert "<summary>Classes</summary>" not in render([found], None)


def test_runs_are_compared(finished):
    runs = [finished("complete").run, finished("star").run]
    page = render([contents(run, name) for run, name in zip(runs, "ab", strict=True)], comparison(runs, ["a", "b"]))
    means = [run.metrics["mean"]["test"] for run in runs]
    assert f"<td>{100 * means[0]:.1f}</td>" in page
    assert f">{100 * (means[1] - means[0]):+.1f}</td>" in page
    assert page.count('role="tab"') == 3


def test_the_same_run_gives_the_same_page(finished):
    assert render([contents(finished("star").run)], None) == render([contents(finished("star").run)], None)


def test_the_page_of_a_comparison_shows_what_it_is_given_as_text():
    page = render_comparison(
        sentences=["star is better than <single>", "another"],
        pictures=[{"about": "a map & more", "svg": "<svg><path/></svg>"}],
        panels=[gain_panel("star", "a & b", [Gain(name="<i>", mean=1, low=-1, high=2, verdict="within chance")])],
        tables=[{"title": "Scores", "about": "points", "heading": ["task", "<b>"], "rows": [["ner", "1 < 2"]]}],
        notes=["note"],
        made_by=["by hand"],
        folded=[{"title": "Trials", "about": "of a search", "heading": ["trial"], "rows": [["0"]]}],
    )
    assert "<h3>Scores</h3>" in page
    assert page.count("<details>") == page.count("</details>") == 1
    assert page.index("<summary>Trials</summary>") < page.index("of a search") < page.index("</details>")
    assert '<h2 class="verdict">Star is better than &lt;single&gt;.</h2>' in page
    assert "<svg><path/></svg>" in page
    assert '<tr class="within-chance"><th scope="row">&lt;i&gt;</th>' in page
    assert "+1.0 <span>[-1.0, +2.0]</span>" in page
    assert "<td>1 &lt; 2</td>" in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "<script" not in page
    assert all(text in page for text in ("a &amp; b", "Another.", "&lt;b&gt;", "note", "by hand"))


@pytest.mark.parametrize("ground", PALETTES)
def test_the_page_has_the_palette_of_the_pictures(ground, finished):
    assert css(ground) in render([contents(finished("complete").run)], None)
