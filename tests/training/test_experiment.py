import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from graphmtl import Run, load_tasks, train
from graphmtl.cli import main
from graphmtl.data.batching import encode_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.refit import train_with_valid
from graphmtl.errors import InputError
from graphmtl.evaluate import evaluate
from graphmtl.options import make_options
from graphmtl.training import experiment
from graphmtl.training.building import build_model
from graphmtl.training.experiment import train_run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.selection import BestEpochs
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.tiny import flags, without_clock


@pytest.fixture(scope="module")
def tasks(tiny_tasks):
    return load_run_tasks(make_options(**tiny.OPTIONS, tasks=tiny_tasks))


# the Python API


def test_train_is_the_verb_run(finished, tasks, tmp_path):
    run = train(tasks, arch="shared", output=str(tmp_path / "run"), **tiny.OPTIONS)
    assert isinstance(run, Run)
    assert without_clock(run.metrics) == without_clock(finished("shared").run.metrics)
    assert run.folder == tmp_path / "run"
    assert run.model.predict(["good"], "child1") == finished("shared").run.model.predict(["good"], "child1")


def test_train_takes_the_name_of_a_task_set(tmp_path):
    run = train("planted:child1", arch="star", output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})
    assert list(run.metrics["tasks"]) == ["child1"]
    assert run.options.tasks == "planted:child1"
    assert run.graphs_beside == {}  # of one task with itself
    assert not (tmp_path / "run" / "task_affinity.json").exists()
    assert [(edge.source, edge.target) for edge in run.task_graph.edges] == [("virtual", "child1")]


def test_a_graph_of_one_task_has_no_edges(tmp_path):
    run = train("planted:child1", arch="complete", output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})
    assert run.task_graph.edges == ()


def test_without_a_test_its_teachers_have_none_either(tasks, tmp_path):
    options = make_options(arch="cmtr", teachers="train", output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})
    train_run(tasks, options, test=False)
    for folder in (tmp_path / "run", tmp_path / "run" / "teachers" / "single"):
        assert (folder / "validation.json").is_file()
        assert not (folder / "metrics.json").exists()
        assert not (folder / "task_graph.json").exists()


def test_train_raises_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match="unknown option 'epocs'"):
        train(epocs=3)
    with pytest.raises(InputError, match="--epochs: found -1"):
        train(epochs=-1)
    with pytest.raises(InputError, match=r"--epochs: Expected a int\. Got value: two"):
        train("planted", epochs="two")
    with pytest.raises(InputError, match="unknown task set 'plantd'"):
        train("plantd", output=str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"nothing\.yaml: "):
        train(tmp_path / "nothing.yaml", output=tmp_path / "run")


# callbacks


class StopError(Exception):
    """What a callback may raise."""


def test_a_callback_has_each_line_once_it_could_be_resumed_from(tmp_path):
    lines = []

    def callback(line: dict) -> str:
        lines.append(line)
        assert history(tmp_path / "run")[-1] == line
        assert any((tmp_path / "run" / "checkpoints").iterdir())
        return "not looked at"

    options = {"arch": "shared", "output": tmp_path / "run", **tiny.OPTIONS, "epochs": 1}
    train("planted:child1", callbacks=[callback, callback], **options)
    assert lines == [line for line in history(tmp_path / "run") for _ in range(2)]


def test_what_a_callback_raises_ends_the_training_which_can_be_resumed(tmp_path):
    def stop(line: dict) -> None:
        raise StopError

    options = {"arch": "shared", **tiny.OPTIONS}
    with pytest.raises(StopError):
        train("planted:child1", callbacks=[stop], output=tmp_path / "run", **options)
    assert [line["epoch"] for line in history(tmp_path / "run")] == [1]
    lines = []
    resumed = train("planted:child1", callbacks=[lines.append], output=tmp_path / "run", resume=True, **options)
    assert [line["epoch"] for line in lines] == [2]
    whole = train("planted:child1", output=tmp_path / "whole", **options)
    assert without_clock(resumed.metrics) == without_clock(whole.metrics)


def test_a_callback_hears_of_the_training_that_chooses_the_epoch_alone(tmp_path):
    lines = []
    options = {**tiny.OPTIONS, "arch": "cmtr", "epochs": 1, "teachers": "train", "refit_on_valid": True}
    train("planted:child1", callbacks=[lines.append], output=tmp_path / "run", **options)
    assert lines == history(tmp_path / "run")
    assert history(tmp_path / "run" / "teachers" / "single") != lines != history(tmp_path / "run" / "refit")


def test_the_first_process_alone_calls_back(tmp_path, monkeypatch):
    given = {}

    def trainer(**arguments):
        given.update(arguments)
        raise StopError

    monkeypatch.setattr(experiment, "Trainer", trainer)
    for first, callbacks in ((True, [print]), (False, ())):
        state = SimpleNamespace(is_main_process=first)
        monkeypatch.setattr(experiment, "process_state", lambda device, state=state: state)
        with pytest.raises(StopError):
            train("planted:child1", callbacks=[print], output=tmp_path / "run", **tiny.OPTIONS)
        assert given["callbacks"] == callbacks


def test_trackers_end_where_a_callback_ends_the_training(tmp_path, monkeypatch):
    def stop(line: dict) -> None:
        raise StopError

    made = []
    monkeypatch.setattr(experiment, "Trainer", lambda **arguments: made.append(Trainer(**arguments)) or made[-1])
    options = {"arch": "shared", **tiny.OPTIONS, "track": "tensorboard"}
    with pytest.raises(StopError):
        train("planted:child1", callbacks=[stop], output=tmp_path / "run", **options)
    assert made[0].accelerator.trackers == []
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_a_device_that_is_not_here_is_said_before_anything_is_made(tmp_path, error_of):
    error = error_of("run", *flags(**tiny.OPTIONS | {"device": "cuda:9"}, output=tmp_path / "run"))
    assert "--device: found 'cuda:9', which is not here; accepted here: auto, cpu" in error
    assert not (tmp_path / "run").exists()


# trained again on training and validation split


@pytest.fixture(scope="module")
def refitted(tiny_tasks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refit") / "run"
    return tiny.run(arch="star", tasks=tiny_tasks, output=folder, refit_on_valid=True)


def test_a_refit_trains_on_the_validation_examples_too(refitted, finished):
    once, again = finished("star").run.metrics, refitted.run.metrics
    for name, task in again["tasks"].items():
        before = once["tasks"][name]
        assert task["n_train"] == before["n_train"] + before["n_valid"]
        assert task["valid"] == before["valid"]
    assert again["best_epoch"] == once["best_epoch"]
    assert again["tasks"]["parent1"]["test"] != once["tasks"]["parent1"]["test"]
    assert "of the model trained again" in refitted.printed


def test_of_a_refit_the_linear_graph_is_measured_once_and_the_budget_told_once(tmp_path, monkeypatch, capsys):
    measured, real = [], experiment.fit_wide_parts
    monkeypatch.setattr(
        experiment, "fit_wide_parts", lambda *args, **about: measured.append(about["measured"]) or real(*args, **about)
    )
    about = {**tiny.OPTIONS, "arch": "shared", "wide": True, "epochs": 1, "refit_on_valid": True}
    train("planted", **about, output=str(tmp_path / "run"))
    assert measured == [False, True]  # that of the model that is kept
    said = capsys.readouterr().out
    assert said.count("again from the start") == 1
    assert said.count("batches of 16") == 1


def test_a_refit_is_the_run_on_all_of_them_up_to_the_chosen_epoch(refitted):
    run = refitted.run
    tasks = train_with_valid(load_run_tasks(run.options))
    model = build_model(tasks, run.options, say=lambda *_: None)
    trainer = Trainer(model=model, data=encode_tasks(tasks, model.vocabulary, model.options), options=run.options)
    trainer.train(keep_epochs=run.metrics["best_epoch"])
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, run.model.state_dict()[name]), name


def test_a_refit_has_the_epochs_and_batches_that_were_chosen_though_its_texts_are_more(tmp_path, monkeypatch):
    """By the number of its own texts it would end before the chosen epoch, which is here the last one."""
    monkeypatch.setattr(BestEpochs, "_wanted", lambda *_: True)
    auto = {"epochs": 0, "batch_size": 0, "min_updates": 60, "patience": 0}
    finished = tiny.run(arch="single", tasks="planted:child1", output=tmp_path / "run", refit_on_valid=True, **auto)
    metrics = finished.run.metrics
    assert metrics["budget"] == {"child1": {"batch_size": 8, "batches": 4, "epochs": 15}}
    assert metrics["best_epoch"] == 15
    assert metrics["cut_short"] == ["child1"]
    assert [line["epoch"] for line in history(tmp_path / "run" / "refit")] == [*range(1, 16)]


def test_evaluating_a_refit_gives_its_scores(refitted):
    again = evaluate(refitted.run, "test")
    for name, task in refitted.run.metrics["tasks"].items():
        for split in ("test", "test_dedup"):
            assert again[name][split] == pytest.approx(task[split])
        assert again[name]["n_test_dedup"] == task["n_test_dedup"]


def test_a_refit_that_was_interrupted_ends_as_if_it_had_not_been(interrupted, refitted):
    folder = interrupted("star", refit_on_valid=True)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    for name in ("model/model.safetensors", "task_graph.json"):
        assert (folder / name).read_bytes() == (refitted.run.folder / name).read_bytes()


@pytest.mark.parametrize("arch", ["single", "star"])
def test_a_refit_with_teachers_has_their_outputs_on_both_sets(arch, finished, tiny_tasks, tmp_path):
    teacher = finished(arch).run.folder
    run = tiny.run(
        arch="cmtr", tasks=tiny_tasks, output=tmp_path / "run", refit_on_valid=True, teachers=str(teacher)
    ).run
    sizes = [
        len((run.folder / "teachers/outputs" / part / "child1-on-child1.float32").read_bytes())
        for part in ("", "refit")
    ]
    task = run.metrics["tasks"]["child1"]
    assert sizes[1] * (task["n_train"] - task["n_valid"]) == sizes[0] * task["n_train"]


def test_a_refit_takes_no_shuffled_labels(tiny_tasks, tmp_path, error_of):
    error = error_of(
        "run", *flags(**tiny.OPTIONS, tasks=tiny_tasks, output=tmp_path / "run"), "--refit-on-valid", "--shuffle-labels"
    )
    assert "--refit-on-valid" in error
    assert not (tmp_path / "run").exists()


# resuming


@pytest.fixture
def interrupted(tiny_tasks, tmp_path, monkeypatch):
    """A run that was stopped like by ctrl-c, after its first epoch; returns its folder."""

    def stop(record):
        raise KeyboardInterrupt

    def interrupted(arch, **options):
        with monkeypatch.context() as patch:
            patch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [stop]}))
            with pytest.raises(SystemExit) as leaving:
                tiny.run(arch=arch, tasks=tiny_tasks, output=tmp_path / "run", **options)
        assert leaving.value.code == 130
        return tmp_path / "run"

    return interrupted


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("arch", ["single", "star", "cmtr"])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(arch, interrupted, finished, error_of):
    folder = interrupted(arch)
    assert len(history(folder)) == 1
    assert "has not finished" in error_of("evaluate", folder)
    whole = finished(arch).run
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(whole.metrics)
    for name in ("model/model.safetensors", "task_graph.json"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    losses = [line["losses"] for line in history(folder)]
    assert losses == [line["losses"] for line in history(whole.folder)]
    assert len(losses) == 2


@pytest.mark.parametrize("options", [{"gate_reg": "balance"}, {"teacher_annealing": True}])
def test_what_distils_or_balances_too(options, interrupted, finished, tiny_tasks, tmp_path):
    given = options | {"teachers": str(finished("single").run.folder)}
    folder = interrupted("cmtr", **given)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    whole = tiny.run(arch="cmtr", tasks=tiny_tasks, output=tmp_path / "whole", **given).run
    assert (folder / "model/model.safetensors").read_bytes() == (whole.folder / "model/model.safetensors").read_bytes()


MIXED = {"accumulate": 3, "mix": True}


@pytest.mark.parametrize("balancing", ["uncertainty", "famo", "nash-mtl"])
def test_a_balanced_run_goes_on_too(balancing, interrupted, tiny_tasks, tmp_path):
    given = MIXED | {"balancing": balancing}
    folder = interrupted("star", **given)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    whole = tiny.run(arch="star", tasks=tiny_tasks, output=tmp_path / "whole", **given).run
    assert (folder / "model/model.safetensors").read_bytes() == (whole.folder / "model/model.safetensors").read_bytes()
    assert history(folder)[-1]["losses"] == history(whole.folder)[-1]["losses"]
    assert history(folder)[-1]["losses"].keys() == set(tiny.TASKS)


def test_the_conflict_of_gradients_is_written_down(tiny_tasks, tmp_path):
    run = tiny.run(
        arch="shared", tasks=tiny_tasks, output=tmp_path / "run", balancing="cagrad", cagrad_c=0.2, **MIXED
    ).run
    conflict = run.gradient_conflict
    assert conflict.tasks == [*run.model.tasks]
    assert run.metrics["gradient_cosine"] == pytest.approx(conflict.mean())
    lines = history(run.folder)
    assert all(-1 <= line["gradient_cosine"] <= 1 for line in lines)
    assert run.options.cagrad_c == 0.2
    main(["report", str(run.folder)])
    assert "Do the tasks&#39; gradients agree?" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_without_measuring_there_is_no_conflict(finished):
    run = finished("shared").run
    assert run.gradient_conflict is None
    assert "gradient_cosine" not in run.metrics
    assert not any("gradient_cosine" in line for line in history(run.folder))


def test_teachers_of_a_balanced_run_are_models_of_their_own(tiny_tasks, tmp_path):
    run = tiny.run(
        arch="cmtr", tasks=tiny_tasks, output=tmp_path / "run", balancing="pcgrad", teachers="train", epochs=1, **MIXED
    ).run
    assert Run.open(run.folder / "teachers" / "single").options.balancing == "equal"


def test_what_cannot_be_balanced_costs_no_run_that_is_there(copy_of, tiny_tasks, error_of):
    folder = copy_of("star")
    before = (folder / "metrics.json").read_bytes()
    given = {"tasks": tiny_tasks, "output": folder, "overwrite": True, "balancing": "mgda"}
    error = error_of("run", *tiny.flags(**tiny.OPTIONS, **given))
    assert "--balancing mgda: every update has one task" in error
    assert (folder / "metrics.json").read_bytes() == before


def test_it_does_go_on_where_it_stopped(interrupted, monkeypatch):
    folder = interrupted("shared")
    records = []
    monkeypatch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [records.append]}))
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert [record["epoch"] for record in records] == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0, not 1"),
        ({"epochs": 3}, "epochs is 2, not 3"),
        ({"arch": "star"}, "arch is 'shared', not 'star'"),
    ],
)
def test_a_run_is_not_resumed_with_other_options(change, message, copy_of, error_of):
    folder = copy_of("shared")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    error = error_of("run", "--config", folder / "config.yaml", "--resume", *flags(output=folder, **change))
    assert f"{folder}/config.yaml: {message}" in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_resuming_a_finished_run_changes_no_number(copy_of, finished):
    folder = copy_of("complete")
    shutil.rmtree(folder / "model")
    (folder / "metrics.json").unlink()
    main(["run", "--config", f"{folder}/config.yaml", "--output", str(folder), "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(finished("complete").run.metrics)


def test_where_there_is_nothing_to_resume_a_run_says_so_and_begins(tmp_path):
    options = {"arch": "shared", "tasks": "planted:child1", "output": tmp_path / "run", "resume": True, "epochs": 1}
    line = f"{tmp_path / 'run'}: no such folder, so there is nothing to resume; the run starts afresh\n"
    assert line in tiny.run(**options).printed
    assert line not in tiny.run(**options).printed


def test_an_interrupted_run_can_be_started_over(interrupted, finished):
    folder = interrupted("shared")
    main(["run", "--config", f"{folder}/config.yaml", "--overwrite"])
    assert without_clock(Run.open(folder).metrics) == without_clock(finished("shared").run.metrics)


def test_a_task_set_brings_the_options_it_was_loaded_with(tmp_path):
    planted = PlantedOptions(planted_rich=60, planted_poor=30, planted_test=40)
    tasks = load_tasks("planted:child1,parent1", seed=3, planted=planted)
    run = train(tasks, arch="shared", epochs=1, hidden=8, progress=False, output=str(tmp_path / "run"))
    assert (run.options.tasks, run.options.seed, run.options.planted_rich) == ("planted:child1,parent1", 3, 60)
    assert load_run_tasks(run.options)["child1"].train["text"] == tasks["child1"].train["text"]
    with pytest.raises(InputError, match=r"seed is 4, but the tasks were loaded with 3; load_tasks\(\.\.\., seed=4\)"):
        train(tasks, seed=4, output=str(tmp_path / "other"))


# what a run reads is not what it replaces


def test_a_run_that_is_read_is_not_replaced(copy_of, tiny_tasks, error_of):
    source = copy_of("single")
    given = tiny.OPTIONS | {"arch": "cmtr", "tasks": tiny_tasks, "teachers": f"{source}", "output": source}
    assert "--overwrite would remove" in error_of("run", *flags(**given), "--overwrite")
    assert (source / "metrics.json").is_file()
