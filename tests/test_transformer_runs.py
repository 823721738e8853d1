"""Whole runs on a small random transformer, through the command line."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from graphmtl.cli import main
from graphmtl.models.transformer import TransformerEncoder
from graphmtl.training import experiment
from graphmtl.training.experiment import train
from graphmtl.training.run import Run
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.tagging import tagging_tasks
from tests.tiny import without_clock

OPTIONS = {name: value for name, value in tiny.OPTIONS.items() if name != "embedding_size"} | {
    "encoder_lr": 0.01,
    "layer_decay": 0.8,
    "freeze_layers": 1,
    "frozen_states": "none",
    "max_length": 9,
}


@pytest.fixture(scope="module")
def whole(transformer, tiny_tasks, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "star"
    main(["run", *tiny.flags(**OPTIONS, arch="star", tasks=tiny_tasks, encoder=transformer(), output=folder)])
    return Run(folder)


def read_history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_run_is_complete(whole):
    assert whole.metrics["versions"]["transformers"]
    assert whole.options.encoder_lr == 0.01
    assert sorted(path.name for path in (whole.folder / "model").iterdir()) == [
        "README.md",
        "config.json",
        "encoder",
        "model.safetensors",
    ]
    assert not list((whole.folder / "model" / "encoder").glob("*.safetensors"))
    edges = json.loads((whole.folder / "task_graph.json").read_text())["edges"]
    assert [(edge["source"], edge["target"]) for edge in edges] == [("virtual", task) for task in tiny.TASKS]


def test_cut_texts_are_counted_for_each_task(transformer, tiny_tasks, tmp_path, capsys):
    main(["run", *tiny.flags(**OPTIONS, arch="shared", tasks=tiny_tasks, encoder=transformer(), output=tmp_path / "r")])
    printed = capsys.readouterr().out
    assert "texts cut to the pieces that are read (--max-length): pairs 68 of 68 (100.0%)" in printed
    assert ": 2,508 parameters, 70 pieces" in printed


def test_evaluate_predict_and_config(whole, tmp_path, capsys):
    main(["evaluate", str(whole.folder), "--overwrite"])
    evaluation = json.loads((whole.folder / "evaluation.json").read_text())
    for name, task in evaluation["tasks"].items():
        assert task["test"] == whole.metrics["tasks"][name]["test"]
    (tmp_path / "texts").write_text("a good film\tnever\n\n日本語 \u200b\t!\n")
    capsys.readouterr()
    main(["predict", str(whole.folder), str(tmp_path / "texts"), "--task", "all", "--edges"])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(answer["line"], answer["task"]) for answer in answers] == [
        (line, task) for line in (1, 2, 3) for task in tiny.TASKS
    ]
    assert [answer["label"] is None for answer in answers] == [False] * 3 + [True] * 3 + [False] * 3


def test_an_interrupted_run_ends_as_if_it_had_not_been(whole, transformer, tiny_tasks, tmp_path, monkeypatch):
    def stop(record):
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            main(["run", *tiny.flags(**OPTIONS, arch="star", tasks=tiny_tasks, encoder=transformer(), output=folder)])
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(whole.metrics)
    weights = "model/model.safetensors"
    assert (folder / weights).read_bytes() == (whole.folder / weights).read_bytes()


@pytest.fixture(scope="module")
def kept(transformer, tiny_tasks, tmp_path_factory):
    """A run that keeps the states of its frozen layer, and where they are."""
    folder, states = tmp_path_factory.mktemp("runs") / "star", tmp_path_factory.mktemp("states")
    options = {**OPTIONS, "frozen_states": states, "tasks": tiny_tasks, "encoder": transformer()}
    main(["run", *tiny.flags(**options, arch="star", output=folder)])
    return Run(folder), options


def test_a_run_that_keeps_the_states_of_frozen_layers_ends_as_one_that_computes_them(whole, kept, capsys):
    run, _ = kept
    for plain, own in zip(*(read_history(each.folder) for each in (whole, run)), strict=True):
        assert own["losses"] == pytest.approx(plain["losses"], rel=1e-4)
    main(["evaluate", str(run.folder), "--overwrite"])  # reads every text with the whole model
    evaluation = json.loads((run.folder / "evaluation.json").read_text())
    for name, task in evaluation["tasks"].items():
        assert task["test"] == pytest.approx(run.metrics["tasks"][name]["test"], rel=1e-4)
        assert task["test"] == pytest.approx(whole.metrics["tasks"][name]["test"], rel=1e-3)


def test_an_interrupted_run_finds_its_states_elsewhere_too(kept, tmp_path, monkeypatch, capsys):
    def stop(record):
        raise KeyboardInterrupt

    (run, options), folder = kept, tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            main(["run", *tiny.flags(**options, arch="star", output=folder)])
    assert "MB found in" in capsys.readouterr().out
    moved = shutil.copytree(options["frozen_states"], tmp_path / "moved")
    main(["run", "--config", f"{folder}/config.yaml", "--frozen-states", str(moved), "--resume"])
    assert "MB found in" in capsys.readouterr().out
    assert without_clock(Run.open(folder).metrics) == without_clock(run.metrics)
    weights = "model/model.safetensors"
    assert (folder / weights).read_bytes() == (run.folder / weights).read_bytes()


def test_seeds_teachers_and_a_second_training_find_what_is_there(kept, tmp_path, capsys, monkeypatch):
    _, options = kept
    read, lower = [], TransformerEncoder.lower_states
    monkeypatch.setattr(
        TransformerEncoder, "lower_states", lambda self, batch: read.append(len(batch.lengths)) or lower(self, batch)
    )
    given = {**options, "arch": "cmtr", "teachers": "train", "refit_on_valid": True, "epochs": 1}
    main(["run", *tiny.flags(**given, output=tmp_path / "run")])
    printed = capsys.readouterr().out
    assert printed.count("MB found in") == 3  # of the teachers, of the run, and of its second training
    assert "written to" not in printed
    assert max(read) <= 4  # of the checks


def test_the_model_needs_nothing_but_its_folder(whole, transformer, tmp_path, monkeypatch):
    before = whole.model.predict(["a good film"], "parent1")
    Path(transformer()).rename(tmp_path / "elsewhere")
    try:
        assert Run(whole.folder).model.predict(["a good film"], "parent1") == before
    finally:
        (tmp_path / "elsewhere").rename(transformer())


def test_no_onnx_file_of_a_transformer(whole, error_of):
    pytest.importorskip("onnxruntime")
    assert "cannot be exported (known: lstm)" in error_of("export", whole.folder)


def test_mistakes_are_one_line(error_of, tmp_path, monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", unreachable)
    options = {**OPTIONS, "output": tmp_path / "run"}
    assert "unknown encoder 'bert-basic'" in error_of("run", *tiny.flags(**options, encoder="bert-basic"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arch", ["single", "complete"])
def test_tags_and_labels_of_sentences_are_learned(arch, transformer, tmp_path):
    options = {"hidden": 8, "attention": 8, "device": "cpu", "progress": False, "affinity_probe": 5}
    options |= {"encoder": transformer("roberta", hidden_size=16), "encoder_lr": 0.01, "lr": 0.02, "epochs": 6}
    options |= {"epochs": 24} if arch == "complete" else {}  # no task's loss trains another's LSTM
    run = train(tagging_tasks(), arch=arch, output=str(tmp_path / "run"), batch_size=8, **options)
    assert run.metrics["tasks"]["pos"]["test"]["accuracy"] > 0.8
    assert run.metrics["tasks"]["mood"]["test"]["accuracy"] > 0.8
    (answer,) = run.model.predict(["Ada sees Rome !"], "pos")
    assert answer["tokens"] == ["Ada", "sees", "Rome", "!"]
    assert torch.equal(run.model.heads[0].linear.weight, Run(run.folder).model.heads[0].linear.weight)


def test_adapters_of_a_transformer_are_fused(transformer, tiny_tasks, tmp_path, error_of):
    options = {"tasks": tiny_tasks, "encoder": transformer(), "max_length": 16}
    first = tiny.run(arch="adapters", output=tmp_path / "first", **options).run
    second = tiny.run(arch="adapter-fusion", adapters=first.folder, output=tmp_path / "second", **options).run
    theirs, ours = first.model.state_dict(), second.model.state_dict()
    same = [name for name in theirs if name.startswith(("encoders.", "architecture.adapters."))]
    assert same
    assert all(torch.equal(theirs[name], ours[name]) for name in same)
    other = {**options, "encoder": transformer("roberta"), "arch": "adapter-fusion", "adapters": first.folder}
    said = error_of("run", *tiny.flags(**tiny.OPTIONS | other, output=tmp_path / "third"))
    assert "its words are not those of this run" in said
