import json
import shutil

import pytest

import graphmtl
from graphmtl.comparison import bootstrap, comparison
from graphmtl.comparison.comparison import WIDE, compare, compare_runs, compare_variants, shown_command
from graphmtl.comparison.grid import _Training
from graphmtl.comparison.variants import variants
from graphmtl.errors import InputError
from graphmtl.registry import BASELINES
from graphmtl.training.run import Run
from tests import tiny

OPTIONS = {key: value for key, value in tiny.OPTIONS.items() if key != "progress"}


@pytest.fixture
def trained(finished, monkeypatch, tiny_tasks):
    """The flags of the runs that were trained; each is a copy of a finished run of its architecture."""
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    flags = {}

    def run(self, cell, log, held):
        flags[cell.folder.name] = list(cell.flags)
        if cell.name == "mmoe":
            return False
        shutil.copytree(finished(cell.options().arch).run.folder, cell.folder)
        return True

    monkeypatch.setattr(_Training, "_run", run)
    return flags


def test_from_python(trained, tiny_tasks, tmp_path):
    settings = {"star": {"score": "dot", "node_bias": False}}
    found = graphmtl.compare(
        tiny_tasks, archs=["single", "star"], settings=settings, output=tmp_path / "c", jobs=2, **OPTIONS
    )
    assert found.verdict.startswith(("star is better than training alone for ", "star is within chance of "))
    assert set(found.table.row) == {"single", "star", *BASELINES}
    assert set(found.table.task) - {"mean"} == {*tiny.TASKS}
    assert {"--score=dot", "--no-node-bias"} <= {*trained["star-0"]}
    assert not {"--score=dot"} & {*trained["single-0"]}
    assert f"--tasks={tiny_tasks}" in trained["single-0"]
    assert found.failed == ()
    text = (found.folder / "comparison.md").read_text()
    assert text.startswith(f"{found.verdict}.\n")
    assert " ".join(found.printed()).startswith(f"{found.verdict}.")


def test_what_is_there_is_not_asked_again_and_the_tables_are_the_same(trained, tiny_tasks, tmp_path):
    given = {"archs": ["single", "star"], "output": tmp_path / "c", **OPTIONS}
    compare(tiny_tasks, **given)
    names = ("comparison.md", "comparison.csv", "comparison.json", "forest.png", "report.html")
    first = {name: (tmp_path / "c" / name).read_bytes() for name in names}
    trained.clear()
    compare(tiny_tasks, **given)
    assert trained == {}
    assert {name: (tmp_path / "c" / name).read_bytes() for name in names} == first


def test_without_baselines(trained, tiny_tasks, tmp_path):
    found = compare(tiny_tasks, archs=["star", "single"], baselines=False, output=tmp_path / "c", **OPTIONS)
    assert [*found.compared.rows] == ["star", "single"]


def test_a_run_that_fails_is_named_and_not_in_the_tables(trained, tiny_tasks, tmp_path):
    with pytest.warns(match="mmoe has no finished run, and is left out"):
        found = compare(tiny_tasks, archs=["single", "mmoe"], baselines=False, output=tmp_path / "c", **OPTIONS)
    assert list(map(str, found.failed)) == ["mmoe, seed 0"]
    assert "Not in the tables, since they failed: mmoe, seed 0." in (tmp_path / "c" / "comparison.md").read_text()


def test_shared_with_as_many_parameters_as_the_largest_graph(trained, tiny_tasks, tmp_path, finished):
    found = compare(
        tiny_tasks,
        archs=["single", "shared", "star", "complete"],
        baselines=False,
        same_size=True,
        output=tmp_path / "c",
        **OPTIONS,
    )
    (flags,) = (own for name, own in trained.items() if name.startswith(WIDE))
    assert flags[flags.index("--arch") + 1] == "shared"
    assert int(flags[len(flags) - flags[::-1].index("--hidden")]) > tiny.OPTIONS["hidden"]
    assert WIDE in found.compared.rows
    with pytest.raises(InputError, match="no finished run has a graph"):
        compare(tiny_tasks, archs=["single"], same_size=True, output=tmp_path / "d", **OPTIONS)


def test_where_a_larger_graph_joins_another_size_is_trained(trained, tiny_tasks, tmp_path, monkeypatch):
    given = {"baselines": False, "same_size": True, "output": tmp_path / "c", "archs": ["single", "star"], **OPTIONS}
    sizes = iter([30, 30, 40])
    monkeypatch.setattr(comparison, "as_large", lambda *_: next(sizes))
    for mine in ({}, {}, {"mine": "complete"}):
        found = compare(tiny_tasks, own=mine, **given)
        assert WIDE in found.compared.rows
    assert [name for name in trained if name.startswith(WIDE)] == [f"{WIDE}-30-0", f"{WIDE}-40-0"]


def test_a_run_that_failed_is_not_tried_a_second_time_for_another_size(trained, tiny_tasks, tmp_path, monkeypatch):
    tried = []
    run = _Training._run
    monkeypatch.setattr(_Training, "_run", lambda self, cell, *rest: tried.append(cell.name) or run(self, cell, *rest))
    with pytest.warns(match="mmoe has no finished run, and is left out"):
        found = compare(
            tiny_tasks,
            archs=["single", "star", "mmoe"],
            baselines=False,
            same_size=True,
            output=tmp_path / "c",
            **OPTIONS,
        )
    assert sorted(tried) == sorted(["single", "star", "mmoe", WIDE])
    assert list(map(str, found.failed)) == ["mmoe, seed 0"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": {"a": []}}, "tasks: found a dict, expected a name or a file"),
        ({"seeds": []}, "--seeds: found none"),
        ({"jobs": 0}, "--jobs: found 0"),
        ({"jobs": "2"}, "jobs: found '2', expected a whole number"),
        ({"search": None}, "search: found None, expected a whole number"),
        ({"seeds": "01"}, "seeds: found '01', expected a list of whole numbers"),
        ({"seeds": 3}, "seeds: found 3, expected a list of whole numbers"),
        ({"seeds": ["a"]}, "seeds: found 'a', expected whole numbers alone"),
        ({"archs": "star"}, "archs: found 'star', expected a list of names of architectures"),
        ({"archs": [3]}, "archs: found 3, expected names of architectures alone"),
        ({"settings": {"star": 3}}, "settings of star: found 3"),
        ({"own": {"mine": 3}}, "own mine: found 3, expected an architecture"),
        ({"output": 3}, "output: found 3, expected a folder"),
        ({"against": "stra"}, "unknown row of --against 'stra'; did you mean 'star'"),
        ({"against": "tfidf", "baselines": False}, "unknown row of --against 'tfidf'"),
        ({"archs": ["stra"]}, "unknown arch 'stra'"),
        ({"hiden": 9}, "unknown option '--hiden'"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(given, message, trained, tmp_path):
    with pytest.raises(InputError, match=message):
        compare(**{"output": tmp_path / "c", **OPTIONS, **given})
    assert trained == {}


def test_finished_runs(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    folders = [shutil.copytree(finished(arch).run.folder, tmp_path / arch) for arch in ("star", "shared")]
    found = compare_runs(folders, folder=tmp_path / "c", against="shared", command=["graphmtl", "compare"])
    assert [*found.compared.rows] == ["star", "shared", *BASELINES]
    assert found.verdict.startswith(("star is better than shared for ", "star is within chance of shared for "))
    assert json.loads((tmp_path / "c" / "comparison.json").read_text())["against"] == "shared"
    again = compare_runs([*map(Run.open, folders)], folder=str(tmp_path / "c"), baselines=False)  # a report is replaced
    assert [*again.compared.rows] == ["star", "shared"]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.md").write_text("")
    with pytest.raises(InputError, match="is no comparison of finished runs; --output names another"):
        compare_runs(folders, folder=tmp_path / "d")
    (tmp_path / "c" / "grid.json").write_text("{}")
    with pytest.raises(InputError, match="is no comparison of finished runs"):
        compare_runs(folders, folder=tmp_path / "c")


def test_versions_with_which_runs_were_trained_are_all_told(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    folders = [shutil.copytree(finished(arch).run.folder, tmp_path / arch) for arch in ("star", "shared")]
    metrics = json.loads((folders[1] / "metrics.json").read_text())
    ours, metrics["versions"]["torch"] = metrics["versions"]["torch"], "1.0"
    (folders[1] / "metrics.json").write_text(json.dumps(metrics))
    compare_runs(folders, folder=tmp_path / "c", baselines=False)
    assert f"; torch {ours} and 1.0; " in (tmp_path / "c" / "comparison.md").read_text()


def test_the_scores_are_those_of_the_runs(trained, tiny_tasks, tmp_path, finished):
    found = compare_variants(
        variants(["single", "star"]),
        seeds=[0],
        flags=[f"--tasks={tiny_tasks}", *tiny.flags(**tiny.OPTIONS)],
        folder=tmp_path / "c",
        baselines=False,
    )
    metrics = Run(finished("star").run.folder).metrics
    for task, scores in found.compared.summary("star").scores.items():
        own = metrics["tasks"][task]
        assert scores == pytest.approx([own["test"][own["metric"]]], abs=1e-5)


def test_a_command_is_shown_without_the_data_folder(monkeypatch):
    monkeypatch.setenv("GRAPHMTL_DATA", "/there/data")
    assert shown_command(["graphmtl", "--embeddings", "/there/data/a b.vec"]) == (
        "graphmtl --embeddings '$GRAPHMTL_DATA/a b.vec'"
    )
    monkeypatch.delenv("GRAPHMTL_DATA")
    assert shown_command(["a", "b"]) == "a b"


def test_the_name_in_the_package_is_the_verb_that_can_be_called():
    import graphmtl.compare

    assert callable(graphmtl.compare)
    assert graphmtl.compare.main is not None
    assert comparison.ARCHS == ("single", "shared", "star")


@pytest.mark.parametrize("runs", [None, "run", [3]])
def test_what_are_no_runs(runs):
    with pytest.raises(InputError, match=r"runs: found .*, expected .*finished runs, or their folders"):
        compare_runs(runs)
