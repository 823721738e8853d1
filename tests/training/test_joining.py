"""Tasks that join the graph of a finished run, and the folder that comes of it."""

import json
from types import SimpleNamespace

import pytest
import torch
import yaml

from graphmtl.architectures import architecture_class
from graphmtl.cli import main
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import changed, make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.experiment import train
from graphmtl.training.joining import _same, options_for, with_steps
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_fitted_tasks, load_run_tasks
from graphmtl.training.run_files import ANSWERS
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.parts import lists, predictions_of
from tests.training.toy import toy_data

CLASSES = {name: architecture_class(name) for name in ARCHITECTURES}
GROWING = [name for name, kind in CLASSES.items() if not (kind.own_encoder_per_task or kind.reads_new_tasks)]
FILE = """
tasks:
  tone:
    train: tone.tsv
    test: tone.tsv
    valid: 0.25
    labels: [dull, so so, fine, great]
"""


@pytest.fixture
def tone(tmp_path) -> str:
    """A task of other labels, with words of its own; its test split is its training split."""
    rows = [
        f"{word}{i % 5} film {i}\t{label}" for i in range(30) for word, label in (("bad", "dull"), ("Good", "great"))
    ]
    rows += ["so\tso so", "well well\tfine", "well\tfine", "so so so\tso so"]
    (tmp_path / "tone.tsv").write_text("\n".join(["text\tlabel", *rows, ""]))
    (tmp_path / "tone.yaml").write_text(FILE)
    (tmp_path / "more.yaml").write_text(FILE.replace("tone:", "more:"))
    return str(tmp_path / "tone.yaml")


@pytest.fixture
def transfer(tmp_path, capsys):
    """``graphmtl transfer`` in its quickest form."""

    def transfer(source, task, *arguments, output="new") -> Run:
        flags = ["--steps", "0", "--epochs", "2", "--no-progress", "--output", str(tmp_path / output)]
        main(["transfer", str(source), "--task", task, *flags, *map(str, arguments)])
        return Run.open(tmp_path / output)

    return transfer


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.model.state_dict()


@pytest.mark.parametrize("arch", GROWING)
def test_with_all_but_new_no_old_bit_changes(arch, finished, transfer, tone):
    source = finished(arch).run
    training = ["--ema", 0.9, "--weight-decay", 0.5]
    run = transfer(source.folder, tone, "--freeze", "all-but-new", *training)
    old, new = weights(source), weights(run)
    for name, value in old.items():
        assert torch.equal(new[name][tuple(map(slice, value.shape))], value), name
    assert all(own["identical"] and own["before"] == own["after"] for own in run.transfer["old"].values())
    for name, own in source.metrics["tasks"].items():
        assert run.transfer["old"][name]["after"]["test"] == run.metrics["tasks"][name]["test"] == own["test"]


@pytest.mark.parametrize(
    ("arch", "freeze", "changed"),
    [
        ("complete", "none", {"encoders.0"}),  # its loss does not train the LSTMs of the tasks that it reads
        ("star", "encoder", {"architecture.hub"}),
    ],
)
def test_what_is_not_frozen_is_trained(arch, freeze, changed, finished, transfer, tone):
    run = transfer(finished(arch).run.folder, tone, "--freeze", freeze)
    old, new = weights(finished(arch).run), weights(run)
    found = {name for name, value in old.items() if not torch.equal(new[name][tuple(map(slice, value.shape))], value)}
    assert {".".join(name.split(".")[:2]) for name in found} == changed
    assert not all(own["identical"] for own in run.transfer["old"].values())  # a task may have none of the new words


def test_how_it_is_trained_is_said_anew(finished, transfer, tone):
    """The rate of the embeddings is that of the command, not that of the saved model."""
    source = finished("shared").run
    before = weights(source)["encoders.0.embedding.weight"]
    for rate, stays in ((0, True), (1, False)):
        run = transfer(source.folder, tone, "--embedding-lr", rate, output=f"rate{rate}")
        after = weights(run)["encoders.0.embedding.weight"][: len(before)]
        assert torch.equal(after, before) == stays


def test_unfreezing_goes_from_the_heads_to_the_encoder(finished, transfer, tone):
    source = finished("star").run
    changed = []
    for epochs in (1, 2, 3):
        run = transfer(
            source.folder, tone, "--freeze", "all-but-new", "--unfreeze-after", 1, "--epochs", epochs, "--examples", 20,
            output=str(epochs),
        )  # fmt: skip
        old, new = weights(source), weights(run)
        names = ("architecture.hub.W", "encoders.0.embedding.weight")
        changed.append([not torch.equal(new[name][: len(old[name])], old[name]) for name in names])
    assert changed == [[False, False], [True, False], [True, True]]


def test_the_folder_is_an_ordinary_run(finished, transfer, tone, capsys):
    source = finished("star").run
    run = transfer(source.folder, tone, "--examples", 20)
    assert list(run.metrics["tasks"]) == [*source.metrics["tasks"], "tone"]
    assert (run.metrics["tasks"]["tone"]["n_train"], run.metrics["tasks"]["tone"]["n_valid"]) == (20, 0)
    assert run.options.tasks == f"{source.options.tasks}+{tone}"
    assert [edge["source"] for edge in run.transfer["incoming"]["tone"]] == ["virtual"]
    assert {"tone", "virtual"} <= set(run.task_graph.nodes)
    assert (run.folder / "task_graph.png").is_file()
    assert set(run.remarks["overlap"]) == set(run.metrics["tasks"])
    (answer,) = MultiTaskModel.from_pretrained(run.folder / "model").predict(["a good film"], "tone")
    assert set(answer["probabilities"]) == {"dull", "so so", "fine", "great"}
    main(["evaluate", str(run.folder)])
    written = json.loads((run.folder / "evaluation.json").read_text())
    assert {name: own["test"] for name, own in written["tasks"].items()} == {
        name: own["test"] for name, own in run.metrics["tasks"].items()
    }
    main(["plot", str(run.folder), "--output", str(run.folder / "again.png")])


def test_the_report(finished, transfer, tone, capsys):
    run = transfer(finished("complete").run.folder, tone)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for name, own in run.transfer["old"].items():
        scores = [f"{100 * own[when]['test'][own['metric']]:.1f}" for when in ("before", "after")]
        assert [name, own["metric"], *scores, "yes" if own["identical"] else "no"] in lines
    edges = run.transfer["incoming"]["tone"]
    assert {edge["source"] for edge in edges} == set(run.transfer["old"])
    assert [edge["weight"] for edge in edges] == sorted((edge["weight"] for edge in edges), reverse=True)
    for edge in edges:
        assert ["tone", edge["source"], f"{edge['weight']:.3f}", f"{edge['std']:.3f}", str(edge["count"])] in lines


def test_texts_that_the_graph_was_trained_on_are_seen(finished, transfer, tmp_path):
    """Test texts of the new task that stand in an old task's training split do not count in test_dedup."""
    source = finished("shared").run
    old = load_run_tasks(source.options)["parent1"].train["text"][:5]
    rows = [f"{text}\t{i % 2}" for i, text in enumerate([*old, *(f"new film {i}" for i in range(15))])]
    (tmp_path / "test.tsv").write_text("\n".join(["text\tlabel", *rows, ""]))
    train = [f"dull thing {i}\t{i % 2}" for i in range(20)]
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *train, ""]))
    (tmp_path / "own.yaml").write_text("tasks:\n  own:\n    train: train.tsv\n    test: test.tsv\n")
    run = transfer(source.folder, str(tmp_path / "own.yaml"))
    assert (run.metrics["tasks"]["own"]["n_test"], run.metrics["tasks"]["own"]["n_test_dedup"]) == (20, 15)


def test_resuming_gives_what_an_uninterrupted_transfer_gives(finished, transfer, tone, tmp_path, monkeypatch):
    source = finished("star").run.folder
    whole = transfer(source, tone, "--epochs", 3)
    save = Trainer._save_checkpoint

    def save_and_stop(trainer):
        save(trainer)
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", save_and_stop)
        with pytest.raises(RuntimeError, match="stopped"):
            transfer(source, tone, "--epochs", 3, output="resumed")
    resumed = transfer(source, tone, "--epochs", 3, "--resume", output="resumed")
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value), name
    assert tiny.without_clock(resumed.metrics) == tiny.without_clock(whole.metrics)
    assert resumed.transfer == whole.transfer


def test_what_has_finished_is_whole(finished, transfer, tone, tmp_path, monkeypatch):
    """Killed before the last file is written, it has not finished; what all others say is there by then."""

    def stop(*_):
        raise RuntimeError("stopped")

    source = finished("shared").run.folder
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            transfer(source, tone, "--epochs", 1)
    assert not (tmp_path / "new" / "metrics.json").exists()
    before = Run(tmp_path / "new").transfer
    assert before["new"] == ["tone"]
    run = transfer(source, tone, "--epochs", 1, "--resume")
    assert run.transfer == before


def test_what_users_get_wrong(finished, transfer, tone, tmp_path, error_of):
    source = finished("star").run.folder

    def error(*arguments, run=source):
        return error_of("transfer", run, *arguments, "--output", tmp_path / "new", "--no-progress")

    assert "task 'child1' is in the graph already" in error("--task", "child1")
    assert "unknown task 'chidl1'" in error("--task", "chidl1")
    assert "unknown --freeze 'hub'" in error("--task", tone, "--freeze", "hub")
    assert "unknown --start 'random'" in error("--task", tone, "--start", "random")
    assert "task tone: 10000 examples asked for" in error("--task", tone, "--examples", "10000")
    assert "--unfreeze-after 2: with --freeze none nothing is frozen" in error("--task", tone, "--unfreeze-after", "2")
    assert "--steps: found -1" in error("--task", tone, "--steps", "-1")
    assert "--hidden 16: the trained graph has 8" in error("--task", tone, "--hidden", "16")
    assert "--refit-on-valid: has no meaning" in error("--task", tone, "--refit-on-valid")
    assert "--control always: a transfer trains no control" in error("--task", tone, "--control", "always")
    assert "--write-submission: has no meaning" in error("--task", tone, "--write-submission", tmp_path / "files")
    assert "single has nothing to transfer" in error("--task", tone, run=finished("single").run.folder)
    assert not (tmp_path / "new").exists()
    transfer(source, tone)
    assert "exists: --overwrite" in error("--task", tone)
    assert "draw is 0, not 1" in error("--task", tone, "--steps", "0", "--epochs", "2", "--draw", "1", "--resume")


def test_a_task_of_the_runs_set_is_known_by_its_name(tmp_path, transfer):
    source = tiny.run(arch="shared", tasks="planted:parent1", output=tmp_path / "source", epochs=1).run
    run = transfer(source.folder, "child1", "--examples", 20)
    assert run.options.tasks == "planted:parent1+planted:child1"
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["keep_overlap"] is True


def test_a_run_of_some_tasks_is_joined_by_another_of_its_set(tmp_path, transfer):
    source = tiny.run(arch="star", tasks="planted", only="child1", max_train=25, output=tmp_path / "source").run.folder
    run = transfer(source, "parent1")
    assert list(run.model.tasks) == ["child1", "parent1"]
    assert run.options.only is None
    assert [task["n_train"] for task in run.metrics["tasks"].values()] == [25, 25]
    assert load_run_tasks(run.options).tasks == run.model.tasks


def test_a_run_is_not_replaced_by_what_comes_of_it(copy_of, tone, error_of):
    source = copy_of("star")
    error = error_of("transfer", source, "--task", tone, "--output", source, "--overwrite", "--no-progress")
    assert "--overwrite would remove" in error
    assert (source / "metrics.json").is_file()


@pytest.mark.parametrize(("tags", "loss", "same"), [([1, 0], 0.5, True), ([1, 1], 0.5, False), ([1, 0], 0.6, False)])
def test_tags_and_losses_say_whether_a_tagger_answers_as_before(tags, loss, same):
    def predictions(tags, loss):
        return predictions_of(lists([[1, 0]]), lists([tags]), losses=[loss])

    assert _same(predictions([1, 0], 0.5), predictions(tags, loss)) is same


@pytest.mark.parametrize(("accumulate", "updates"), [(1, 10), (2, 5), (9, 2)])
def test_steps_are_updates_of_the_weights(accumulate, updates):
    """50 and 21 texts in batches of 8 are 10 batches."""
    options = make_options(batch_size=8, epochs=2, accumulate=accumulate)
    epochs = [with_steps(options, toy_data(a=50, b=21), steps).epochs for steps in (0, 3 * updates, 3 * updates + 1)]
    assert epochs == [2, 3, 4]


@pytest.mark.parametrize(("given", "expected"), [((0, 0), (8, 32)), ((3, 16), (3, 16))])
def test_what_the_texts_of_the_graph_chose_says_nothing_of_new_tasks(given, expected):
    source = SimpleNamespace(options=make_options(epochs=given[0], batch_size=given[1]))
    options = options_for(source)
    assert (options.epochs, options.batch_size) == expected


def test_a_seed_that_draws_other_splits_is_refused(finished, tone, error_of, tmp_path):
    source = finished("star").run
    told = error_of("transfer", source.folder, "--task", tone, "--seed", "7", "--output", tmp_path / "new")
    assert f"--seed 7: draws other splits of task 'pairs' than --seed {source.options.seed}, with which" in told
    assert not (tmp_path / "new").exists()


def test_what_the_graph_has_learned_of_its_validation_split_is_seen_and_told(tmp_path, transfer, tone):
    labels = ["good", "bad"]
    for split, texts in {"train": "abcdefgh", "valid": "ijkl", "test": "klmn"}.items():  # two texts of valid in test
        rows = [f"film {text},{labels[i % 2]}" for i, text in enumerate(texts)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *rows, ""]))
    keys = "{train: train.csv, valid: valid.csv, test: test.csv}"
    (tmp_path / "tasks.yaml").write_text(f"tasks: {{films: {keys}, plays: {keys}}}")
    options = {"arch": "star", "epochs": 1, "hidden": 4, "progress": False, "device": "cpu", "keep_overlap": True}
    source = train(str(tmp_path / "tasks.yaml"), output=str(tmp_path / "run"), refit_on_valid=True, **options)
    assert source.metrics["tasks"]["films"]["n_test_dedup"] == 2
    own = {"text": ["film m"], "label": ["good"]}  # as if it had learned a text without a label too
    answers = {"films": own, "plays": own}
    source.write_json(ANSWERS, answers)
    run = transfer(source.folder, tone)
    again = transfer(run.folder, tone.replace("tone.yaml", "more.yaml"), output="more")
    for own in (run, again):
        assert own.transfer["refitted"] == ["films", "plays"]
        assert own.answers == answers
        tasks = load_fitted_tasks(own)
        assert [len(tasks[name].train) for name in ("films", "plays")] == [13, 13]
        assert own.metrics["tasks"]["films"]["n_test_dedup"] == 1


def test_the_control_of_the_source_is_not_asked_for(copy_of):
    run = Run.open(copy_of("star"))
    run.__dict__["options"] = changed(run.options, control="always")
    assert options_for(run).control == "auto"
