import contextlib
import io
import json
from functools import cache

import pytest

from graphmtl import Run, TaskGraph
from graphmtl.analysis.faithfulness import Explanation
from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import main
from graphmtl.explain import stability
from graphmtl.graph.comparison import Comparison
from tests import tiny
from tests.graph.examples import complete, rescaled
from tests.tiny import TASKS

PICTURES = {
    "complete": ["attention", "contribution", "ablation", "ablation_accuracy", "ablation_zeroed", "alone"],
    "star": ["attention", "contribution", "ablation", "ablation_accuracy", "affinity", "logits", "transferability"],
}


@pytest.fixture(scope="module")
def explained(tmp_path_factory, tiny_tasks):
    """A run of an architecture that has been explained, and what was printed."""

    @cache
    def explained(arch):
        folder = tmp_path_factory.mktemp("explained") / arch
        tiny.run(arch=arch, tasks=tiny_tasks, output=folder, epochs=1)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main(["explain", str(folder)])
        return folder, json.loads((folder / "explanation.json").read_text()), printed.getvalue()

    return explained


graphs = pytest.mark.parametrize("arch", ["complete", "star"])


@graphs
def test_the_file_holds_every_picture_and_both_controls(arch, explained):
    _, content, _ = explained(arch)
    assert (content["format"], content["arch"], content["split"], content["seed"]) == (1, arch, "test", 0)
    assert content["tasks"] == list(TASKS)
    assert list(content["pictures"]) == PICTURES[arch]
    assert set(content["controls"]) == {"untrained", "shuffled"}
    looks = [name for name in PICTURES[arch] if not name.startswith("ablation") and name != "alone"]
    for name, each in {"trained": content, **content["controls"]}.items():
        assert list(each["pictures"]) == (looks if name == "untrained" else PICTURES[arch])
        for graph in each["pictures"].values():
            assert TaskGraph.from_json(graph).tasks == TASKS
        assert set(each.get("likeness", each["pictures"])) == set(each["pictures"])
    pairs = [tuple(each["pictures"]) for each in content["agreement"]]
    assert ("attention", "ablation") in pairs
    fields = {"pictures", *Comparison.__dataclass_fields__, "p_corrected"}
    assert all(set(each) == fields for each in content["agreement"])


@graphs
def test_attention_is_the_runs_task_graph(arch, explained):
    folder, content, _ = explained(arch)
    run = Run.open(folder)
    attention = TaskGraph.from_json(content["pictures"]["attention"])
    for edge, other in zip(attention.edges, run.task_graph.edges, strict=True):
        assert (edge.source, edge.target, edge.count) == (other.source, other.target, other.count)
        assert (edge.weight, edge.std) == pytest.approx((other.weight, other.std), abs=1e-5)
    assert content["texts"] == {name: task["n_test"] for name, task in run.metrics["tasks"].items()}


@graphs
def test_the_shuffled_control_is_the_run_on_shuffled_labels(arch, explained):
    folder, content, _ = explained(arch)
    run, control = Run.open(folder), Run.open(folder / "controls" / "shuffled")
    ours, theirs = vars(run.options), vars(control.options)
    assert {name for name in ours if ours[name] != theirs[name]} == {"output", "shuffle_labels"}
    graph = TaskGraph.from_json(content["controls"]["shuffled"]["pictures"]["attention"])
    weights = [edge.weight for edge in control.task_graph.edges]
    assert [edge.weight for edge in graph.edges] == pytest.approx(weights, abs=1e-5)


def test_untrained_pictures_are_not_the_trained_ones(explained):
    _, content, _ = explained("complete")
    trained, untrained = (
        TaskGraph.from_json(each["pictures"]["attention"]) for each in (content, content["controls"]["untrained"])
    )
    assert trained != untrained
    assert [edge.weight for edge in untrained.edges] == pytest.approx([0.5] * 6, abs=1e-3)  # LSTMs that start alike


@graphs
def test_what_is_printed(arch, explained):
    folder, content, printed = explained(arch)
    lines = " ".join(printed.split())
    assert [each["picture"] for each in content["verdicts"]] == PICTURES[arch]
    places = [lines.index(f"{each['picture'].replace('_', ', ')}: {each['says']}") for each in content["verdicts"]]
    table = lines.index("The strongest source of each task")
    assert places == sorted(places)
    assert places[-1] < table < lines.index("-v: also how far pictures agree")
    assert all(task in lines[table:] for task in TASKS)
    assert printed.splitlines()[-1] == f"wrote {folder}/explanation.json"
    assert "attention ~ ablation" not in printed


def test_all_tables_are_printed_where_all_is_asked_for(explained, capsys):
    folder, _, _ = explained("complete")
    main(["explain", str(folder), "--overwrite", "-v"])
    printed = capsys.readouterr().out
    for text in ("attention ~ ablation", "untrained", "shuffled", "Edges cut into every task", *TASKS):
        assert text in printed
    assert "-v" not in printed


def test_a_split_that_was_learned_is_said(tmp_path, tiny_tasks, capsys):
    run = tiny.run(arch="star", tasks=tiny_tasks, output=tmp_path / "run", epochs=1, refit_on_valid=True).run
    capsys.readouterr()
    main(["explain", str(run.folder), "--split", "valid", "--no-controls"])
    said = "the validation split was learned too (--refit-on-valid), of pairs, parent1, child1"
    assert said in capsys.readouterr().err
    main(["explain", str(run.folder), "--no-controls", "--overwrite"])
    assert said not in capsys.readouterr().err
    own = json.loads((run.folder / "task_transferability.json").read_text())["edges"]
    found = json.loads((run.folder / "explanation.json").read_text())["pictures"]["transferability"]["edges"]
    assert [edge["weight"] for edge in found] == pytest.approx([edge["weight"] for edge in own], abs=1e-6)


def test_again_takes_the_control_that_is_there(explained, capsys):
    folder, content, _ = explained("complete")
    before = (folder / "controls" / "shuffled" / "metrics.json").stat().st_mtime_ns
    main(["explain", str(folder), "--overwrite"])
    assert (folder / "controls" / "shuffled" / "metrics.json").stat().st_mtime_ns == before
    assert json.loads((folder / "explanation.json").read_text()) == content


def test_benefit_is_measured_and_goes_on(explained, tmp_path, capsys):
    folder, _, _ = explained("complete")
    arguments = ["explain", str(folder), "--no-controls", "--benefit", "--seeds", "1,2", "--output", str(tmp_path)]
    main(arguments)
    printed = capsys.readouterr().out
    first = json.loads((tmp_path / "explanation.json").read_text())
    graph = TaskGraph.from_json(first["pictures"]["benefit"])
    assert {(edge.source, edge.target) for edge in graph.edges} == {(a, b) for a in TASKS for b in TASKS if a != b}
    cells = {path.name for path in (tmp_path / "benefit" / "cells").iterdir()}
    names = [*TASKS, "pairs+parent1", "pairs+child1", "parent1+child1", "all"]
    assert {f"{name}-{seed}.json" for name in names for seed in (1, 2)} < cells
    assert first["benefit"]["seeds"] == [1, 2]
    assert "so few tasks cannot tell whether a picture predicts which partner helps" in printed
    assert first["controls"] == {}
    (tmp_path / "explanation.json").unlink()
    (tmp_path / "benefit" / "cells" / "parent1-1.json").unlink()  # as if it had been interrupted
    main(arguments)
    again = json.loads((tmp_path / "explanation.json").read_text())
    assert again["pictures"]["benefit"]["edges"] == first["pictures"]["benefit"]["edges"]
    assert not (folder / "benefit").exists()


def test_benefit_has_its_former_name_too():
    assert ARGUMENTS["explain"](["RUN", "--affinity"]) == ARGUMENTS["explain"](["RUN", "--benefit"])


def test_several_runs_are_compared(explained, copy_of, capsys):
    first, second = explained("complete")[0], copy_of("complete")
    main(["explain", str(first), str(second), "--no-controls", "--overwrite", "--examples", "20"])
    for folder in (first, second):
        content = json.loads((folder / "explanation.json").read_text())
        assert content["stability"]["runs"] == [str(first), str(second)]
        assert set(content["stability"]["pictures"]) == set(PICTURES["complete"])
        assert [each["picture"] for each in content["verdicts"]] == PICTURES["complete"]
    assert "2 runs, which differ in more than the seed (epochs): Spearman" in capsys.readouterr().out


def test_stability_is_the_mean_over_pairs():
    graph = complete(5)
    scaled = (rescaled(graph, scale, 0) for scale in (1, 2, -1))
    explanations = [Explanation(pictures={"attention": each}, removal=None) for each in scaled]
    assert stability(explanations)["attention"] == pytest.approx((1 - 1 - 1) / 3)
    assert stability(explanations[:2])["attention"] == pytest.approx(1)
    more = [Explanation(pictures={**own.pictures, "gates": graph}, removal=None) for own in explanations[:2]]
    assert [*stability([*more, explanations[2]])] == ["attention"]  # which all of them have


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--examples", "0"], "--examples: found 0, expected 1 or more"),
        (["--affinity-probe", "0"], "--affinity-probe: found 0, expected 1 or more"),
        (["--split", "dev"], "invalid choice: 'dev'"),
        (["--seeds", "0,1"], "--seeds: expected with --benefit, whose trainings it is about"),
        (["--jobs", "2"], "--jobs: expected with --benefit, whose trainings it is about"),
        (["--benefit", "--seeds", "3"], "--seeds: found 3, expected two or more, 3 to 5: gains are held against"),
        (["--benefit", "--seeds", "1,1"], "--seeds: found 1, 1, expected different whole numbers"),
        (["--benefit", "--seeds", "one"], "--seeds: found 'one', expected whole numbers with commas between"),
        (["--benefit", "--jobs", "0"], "--jobs: found 0, expected 1 or more"),
    ],
)
def test_mistakes(arguments, message, finished, error_of):
    assert message in error_of("explain", finished("complete").run.folder, *arguments)


def test_an_output_that_can_be_no_folder_is_found_at_the_start(finished, tmp_path, error_of, monkeypatch):
    monkeypatch.setattr("graphmtl.explain.explain_run", None)  # nothing is worked out
    folder = finished("complete").run.folder
    (tmp_path / "file").write_text("precious")
    error = error_of("explain", folder, "--output", tmp_path / "file", "--overwrite")
    assert f"--output {tmp_path / 'file'}: a folder is expected, found a file" in error
    error = error_of("explain", folder, "--output", tmp_path / "file" / "new")
    assert f"{tmp_path / 'file' / 'new'}: the folder cannot be made (Not a directory)" in error
    monkeypatch.setattr("os.access", lambda *_arguments: False)
    assert "explanation.json: cannot be written (no permission" in error_of("explain", folder, "--output", tmp_path)


def test_what_cannot_be_explained(finished, explained, tmp_path, error_of):
    shared, star, graph = finished("shared").run.folder, finished("star").run.folder, explained("complete")[0]
    assert f"{shared}: --arch shared learned no edges" in error_of("explain", shared)
    assert "explanation.json exists; give --overwrite" in error_of("explain", graph)
    assert f"{star}: its task graph has other nodes" in error_of("explain", graph, star)
    assert f"RUN: found {graph} twice" in error_of("explain", graph, f"{graph}/")
    assert "--output: one run is expected, found 2" in error_of("explain", graph, graph, "--output", tmp_path)
