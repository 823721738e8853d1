"""Whole runs on a small random transformer, through the command line."""

import json
from pathlib import Path

import pytest
import torch

from graphmtl.cli import main
from graphmtl.training import experiment
from graphmtl.training.experiment import train
from graphmtl.training.run_folder import Run
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
    assert "pairs: 68 of 68 texts (100.0%) cut to the pieces that are read (--max-length)" in printed
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
