"""The folder that comes of tasks that join the graph of a finished run."""

import json
import warnings
from collections import Counter

import pytest
import torch
import yaml

from graphmtl.cli import main
from graphmtl.comparison import rows
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.controls import _shuffled_tasks, shuffled
from graphmtl.training.experiment import train
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_fitted_tasks, load_run_tasks, load_tasks_again
from graphmtl.training.run_files import ANSWERS
from graphmtl.training.trainer import Trainer
from graphmtl.training.transfer_run import _same
from tests import tiny
from tests.parts import lists, predictions_of


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


def test_an_option_that_the_graph_never_looked_at_is_no_difference(tiny_tasks, transfer, tone, tmp_path):
    source = tiny.run(arch="cmtr", interaction_heads=2, epochs=1, tasks=tiny_tasks, output=tmp_path / "source").run
    assert source.options.interaction_heads == 2
    assert "tone" in transfer(source.folder, tone, "--examples", 20).metrics["tasks"]


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
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
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


def test_a_seed_that_draws_other_splits_is_refused(finished, tone, error_of, tmp_path):
    source = finished("star").run
    told = error_of("transfer", source.folder, "--task", tone, "--seed", "7", "--output", tmp_path / "new")
    assert f"--seed 7: draws other splits of task 'pairs' than --seed {source.options.seed}, with which" in told
    assert not (tmp_path / "new").exists()


@pytest.fixture
def overlapping(tmp_path):
    """A run of two tasks, of which the one has lost the training texts that the other is tested on."""
    labels = ["bad", "good"]
    for name, texts in {"p": range(60), "q": range(40, 100)}.items():
        rows = [f"film number {i},{labels[i % 2]}" for i in texts]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    for name in ("play", "book"):
        rows = [f"{name} {i},{labels[i % 2]}" for i in range(20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    files = {
        "p": {"train": "p.csv", "valid": 0.2, "test": "play.csv"},
        "q": {"train": "book.csv", "valid": 0.2, "test": "q.csv"},
    }
    (tmp_path / "both.yaml").write_text(json.dumps({"tasks": files}))
    options = {"epochs": 1, "hidden": 4, "progress": False, "device": "cpu", "baselines": False}
    with warnings.catch_warnings(action="ignore"):
        return train(str(tmp_path / "both.yaml"), arch="shared", output=str(tmp_path / "run"), **options)


@pytest.mark.filterwarnings("ignore::graphmtl.errors.DataWarning")
def test_texts_that_the_graph_has_never_learned_are_not_seen(overlapping, transfer, tone):
    run = transfer(overlapping.folder, tone, "--freeze", "all-but-new", output="new")
    again = transfer(run.folder, tone.replace("tone.yaml", "more.yaml"), "--freeze", "all-but-new", output="more")
    before = overlapping.metrics["tasks"]["q"]["n_test_dedup"], overlapping.metrics["tasks"]["p"]["n_train"]
    assert overlapping.remarks["overlap"]["p"]["dropped"] > 0
    assert before[0] == 60
    for own in (run, again):
        assert (own.metrics["tasks"]["q"]["n_test_dedup"], own.metrics["tasks"]["p"]["n_train"]) == before
        assert own.remarks["overlap"]["p"]["dropped"] == overlapping.remarks["overlap"]["p"]["dropped"]
        assert len(load_fitted_tasks(own)["p"].train) == before[1]
        main(["evaluate", str(own.folder)])
        written = json.loads((own.folder / "evaluation.json").read_text())
        assert written["tasks"]["q"]["n_test_dedup"] == 60


def test_a_seed_that_draws_other_training_texts_is_refused(finished, tone, error_of, tmp_path):
    source = tiny.run(arch="shared", epochs=1, max_train=20, output=tmp_path / "source", tasks="planted").run
    told = error_of("transfer", source.folder, "--task", tone, "--seed", "7", "--output", tmp_path / "new")
    assert "--seed 7: draws other" in told


def test_what_is_done_afterwards_knows_the_drawn_examples_alone(finished, transfer, tone, tmp_path):
    source = finished("star").run
    run = transfer(source.folder, tone, "--examples", 40)
    own = run.metrics["tasks"]["tone"]
    assert (own["n_train"], own["n_valid"]) == (40, 0)
    data = load_fitted_tasks(run)
    assert (len(data["tone"].train), len(data["tone"].valid)) == (40, 0)
    main(["evaluate", str(run.folder), "--split", "train"])
    assert json.loads((run.folder / "evaluation.json").read_text())["tasks"]["tone"]["n_train"] == 40
    control = shuffled(run, run.folder / "controls" / "shuffled")
    assert control.metrics["tasks"]["tone"]["n_train"] == 40
    assert control.options.lr == source.options.lr
    assert Counter(data["tone"].train["label"]) == Counter(shuffled_labels(run, control))
    again = transfer(run.folder, tone.replace("tone.yaml", "more.yaml"), output="more")
    assert again.options.lr == run.options.lr == pytest.approx(source.options.lr / 3)
    assert again.transfer["before"] == [{"new": ["tone"], "examples": 40, "draw": 0}]
    found = load_fitted_tasks(again)
    assert found["tone"].train["text"] == data["tone"].train["text"]
    assert (len(found["tone"].valid), len(found["more"].train)) == (0, 48)
    assert again.remarks["overlap"]["tone"]["dropped"] == 0
    assert len(load_tasks_again(again, chooses=True)["tone"].valid) > 0  # such as for a baseline's C


def test_baselines_of_few_examples_choose_by_the_files_validation_split(finished, transfer, tone, monkeypatch):
    run, read = transfer(finished("star").run.folder, tone, "--examples", 40), []
    monkeypatch.setattr(rows, "read_baselines", lambda tasks, **_: read.append(tasks) or {})
    assert rows.baseline_rows([run]) == []
    assert len(read[0]["tone"].train) == 40
    assert len(read[0]["tone"].valid) > 0


def test_a_transfer_of_an_earlier_version_is_gone_on_with(finished, transfer, tone):
    given = (finished("star").run.folder, tone, "--examples", 20)
    run = transfer(*given)
    about = {key: value for key, value in run.transfer.items() if key != "graph"}
    (run.folder / "transfer.json").write_text(json.dumps(about))
    (run.folder / "metrics.json").unlink()
    assert transfer(*given, "--resume").transfer == run.transfer


def shuffled_labels(run, control):
    tasks = _shuffled_tasks(control.options, run)
    assert tasks["tone"].train["text"] == load_fitted_tasks(run)["tone"].train["text"]
    assert tasks["tone"].train["label"] != load_fitted_tasks(run)["tone"].train["label"]
    return tasks["tone"].train["label"]


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


@pytest.mark.filterwarnings("ignore:.*guessed task")
def test_what_is_said_of_the_data_is_said_once(transfer, tmp_path, capsys):
    for name in ("films", "plays"):
        rows = [f"{word} {name} {i},{word}" for i in range(12) for word in ("good", "bad")]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    options = {"arch": "star", "epochs": 1, "hidden": 4, "progress": False, "device": "cpu", "baselines": False}
    source = train(str(tmp_path / "films.csv"), output=str(tmp_path / "run"), **options)
    capsys.readouterr()
    transfer(source.folder, str(tmp_path / "plays.csv"))
    said = [line for line in capsys.readouterr().err.splitlines() if ": guessed task" in line]
    assert [line.split(": guessed")[0].rsplit("/")[-1] for line in said] == ["films.csv", "plays.csv"]


def test_a_task_that_would_have_old_texts_read_otherwise_is_refused(tmp_path, error_of):
    for split, count in (("train", 24), ("test", 8)):
        rows = [{"tokens": ["so", f"{split}{i}"], "mood": "ab"[i % 2], "tone": ["x", "y"]} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = "train: train.jsonl, test: test.jsonl, tokens: tokens"
    (tmp_path / "both.yaml").write_text(
        f"tasks: {{mood: {{{files}, kind: text-classification, label: mood}}, "
        f"tone: {{{files}, kind: token-classification, label: tone}}}}"
    )
    options = {"arch": "star", "epochs": 1, "hidden": 4, "progress": False, "device": "cpu", "baselines": False}
    source = train(f"{tmp_path / 'both.yaml'}:mood", output=str(tmp_path / "run"), **options)
    told = error_of("transfer", source.folder, "--task", f"{tmp_path / 'both.yaml'}:tone", "--output", tmp_path / "new")
    assert "task 'mood': a new task over the same texts has them read in another length" in told
    (tmp_path / "both.yaml").write_text(
        (tmp_path / "both.yaml").read_text().replace("label: mood", "max_length: 9, label: mood")
    )
    rows = "".join(f"good film {i},1\nbad film {i},0\n" for i in range(12))
    (tmp_path / "films.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "films.yaml").write_text("tasks: {films: {train: films.csv, test: 0.25}}")
    told = error_of("transfer", source.folder, "--task", tmp_path / "films.yaml", "--output", tmp_path / "new")
    assert "task 'mood' is not what the model has learned: its `max_length` is 9, the model's None" in told
    assert not (tmp_path / "new").exists()
