import json

import pytest

from benchmarks import quality
from graphmtl.comparison.pictures import draw_gains as real
from graphmtl.errors import InputError


def difference(ours, mean, **verdicts):
    found = {"mean": mean, "low": mean - 1, "high": mean + 1}
    tasks = {
        name: {"found": {**found, "p": 0.01}, "corrected": 0.02, "share": None, "verdict": verdict}
        for name, verdict in verdicts.items()
    }
    return {"ours": ours, "theirs": "single", "mean": found, "mean_share": None, "tasks": tasks}


FOUND = {
    "against": "single",
    "seeds": [0, 1],
    "metrics": {"a": "accuracy", "b": "accuracy"},
    "rows": {
        "single": {"test": [0.7, 0.72], "share": None, "parameters": 1000, "minutes": 0.25},
        "star": {"test": [0.8, 0.8], "share": None, "parameters": 1234567, "minutes": 2.0},
        "tfidf": {"test": None, "share": [0.75, 0.77], "parameters": None, "minutes": None},
    },
    "differences": {
        "star": difference("star", 9.0, a="better", b="within chance"),
        "tfidf": difference("tfidf", -2.0, a="worse", b="worse") | {"mean": None},
    },
}
TABLE = """\
| | test | to `single` | better / worse / within chance | parameters | minutes |
|---|---|---|---|---|---|
| `star` | 80.0 | +9.0 [+8.0, +10.0] | 1 / 0 / 1 | 1,234,567 | 2.0 |
| `tfidf` | 76.0 |  | 0 / 2 / 0 |  |  |
| `single` | 71.0 |  |  | 1,000 | 0.2 |

2 tasks, seeds 0, 1; [command, versions, each task](benchmarks/results/sets.md).
"""


@pytest.fixture
def results(tmp_path):
    (tmp_path / "sets.json").write_text(json.dumps(FOUND), encoding="utf-8")
    return tmp_path


def test_a_row_for_everything_compared_the_best_first(results):
    assert quality.table("sets", results) == TABLE


def test_tables_are_made_anew_where_they_stand(results):
    text = "before\n<!-- quality: sets -->\nold\n<!-- quality: end -->\nafter\n"
    new = f"before\n<!-- quality: sets -->\n{TABLE}<!-- quality: end -->\nafter\n"
    assert quality.renewed(text, results) == new
    assert quality.renewed(new, results) == new


def test_a_comparison_that_is_not_there(results, tmp_path):
    with pytest.raises(InputError, match=r"other\.json: no such file; --take FOLDER other"):
        quality.table("other", results)
    with pytest.raises(InputError, match=r"comparison\.json: no such file; graphmtl compare --output"):
        quality.take(tmp_path / "nothing", "sets", results)


def test_what_is_kept_says_where_it_is_from(results, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(FOUND), encoding="utf-8")
    (folder / "comparison.md").write_text("star is better.\n", encoding="utf-8")
    quality.take(folder, "kept", results)
    kept = json.loads((results / "kept.json").read_text(encoding="utf-8"))
    assert kept.pop("commit")
    assert kept == FOUND
    assert (results / "kept.md").read_text(encoding="utf-8").startswith("star is better.\n\nCommit ")
    assert (results / "kept-gains.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_gains_has_the_rows_that_it_is_for(results, monkeypatch):
    drawn = []
    monkeypatch.setattr(quality, "draw_gains", lambda shown: drawn.append(shown) or real(shown))
    quality.draw("sets", results)
    assert list(drawn[0].to_reference) == ["star"]
    assert drawn[0].to_reference["star"].tasks["a"].found.mean == 9.0
    assert drawn[0].to_reference["star"].which("better") == ["a", "b"]


def test_readme_says_what_the_results_say():
    text = quality._README.read_text(encoding="utf-8")
    assert quality.renewed(text) == text
