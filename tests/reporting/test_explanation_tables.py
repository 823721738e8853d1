import io
from dataclasses import replace

import pytest
from rich.console import Console

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.reporting.explanation_tables import explanation_tables, stability_table
from tests.graph.examples import affinity, complete, rescaled, star


def text_of(table) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def trained():
    graph = complete(4)
    rises = {"strongest": [0.1, 0.2, 0.4], "weakest": [0.0, 0.1, 0.4], "random": [0.05, 0.15, 0.4]}
    removal = {"edges": [1, 2, 3], **rises}
    truth = PlantedTruth(edges=((graph.incoming(graph.tasks[1])[0].source, graph.tasks[1]),))
    pictures = {"attention": graph, "ablation": rescaled(graph, 2, -0.1)}
    return Explanation(pictures=pictures, removal=removal, truth=truth)


def row(text: str, first: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.strip().startswith(first))


def test_each_table_says_what_the_explanation_does(trained):
    other = replace(trained, pictures={name: complete(4, seed=1) for name in trained.pictures})
    titles, tables = zip(*explanation_tables(trained, {"untrained": other}).items(), strict=True)
    strongest, agreement, likeness, removal, auroc = map(text_of, tables)
    assert titles[0] == "The strongest source of each task"
    for task in complete(4).tasks:
        first = complete(4).incoming(task)[0]
        assert row(strongest, task)[1:3] == [first.source, f"{first.weight:.2f}"]
    assert row(agreement, "attention ~ ablation")[3] == "+1.00"
    within = complete(4).compare(complete(4, seed=1)).within
    assert row(likeness, "attention")[1] == f"{within:+.2f}"
    assert row(removal, "2") == ["2", *["+0.20", "+0.15", "+0.10"] * 2]
    assert row(auroc, "attention")[:3] == ["attention", "1", "1.00"]


def test_texts_that_follow_their_parent_have_a_table(trained):
    found = replace(trained, text_auroc={"attention": {"a": 0.9, "b": 0.7}, "contribution": {"a": 0.5}})
    titles, tables = zip(*explanation_tables(found, {"untrained": trained}).items(), strict=True)
    assert "AUROC over texts" in titles[-1]
    assert row(text_of(tables[-1]), "attention") == ["attention", "2", "0.80", "-"]
    assert row(text_of(tables[-1]), "contribution") == ["contribution", "1", "0.50", "-"]


def test_what_there_is_not_has_no_table(trained):
    alone = explanation_tables(replace(trained, removal=None, truth=None), {})
    assert len(alone) == 2


def test_a_star_shows_spokes_and_affinity():
    found = Explanation(pictures={"attention": star(4), "affinity": affinity(4)}, removal=None)
    first, agreement = map(text_of, explanation_tables(found, {}).values())
    assert "virtual" in first
    assert "~" not in agreement  # a spoke and an affinity are of different edges


def test_names_are_no_markup(trained):
    odd = replace(complete(2), tasks=("[red]a[/]", "b"), edges=())
    (first, *_) = explanation_tables(Explanation(pictures={"attention": odd}, removal=None), {}).values()
    assert "[red]a[/]" in text_of(first)


def test_stability():
    text = text_of(stability_table({"attention": 0.5, "alone": None}))
    assert row(text, "attention") == ["attention", "+0.50"]
    assert row(text, "alone") == ["alone", "-"]
