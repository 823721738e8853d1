import json
from dataclasses import asdict

from graphmtl import load_tasks, train
from graphmtl.config import TrainingOptions
from graphmtl.data.batching import encode_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.models.model_options import model_options_class
from graphmtl.options import make_options
from graphmtl.training.building import build_model
from graphmtl.training.run_data import left_out, load_run_tasks, part, remarks
from tests import tiny
from tests.parts import model_options


def test_unknown_tokens_are_told_of_every_task(tmp_path, capsys):
    rows = [f"old{i} word,{'ab'[i % 2]}" for i in range(40)]
    for name, more in (("train", rows), ("same", rows[:8]), ("new", [f"new{i} other,a" for i in range(6)])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *more]) + "\n")
    (tmp_path / "tasks.yaml").write_text(
        "tasks:\n  known: {train: train.csv, valid: same.csv, test: same.csv}\n"
        "  strange: {train: train.csv, valid: same.csv, test: new.csv}\n"
    )
    for chars in ("none", "cnn"):
        sizes = {"hidden": 4, "embedding_size": 4, "epochs": 1, "progress": False, "chars": chars}
        train(str(tmp_path / "tasks.yaml"), arch="shared", keep_overlap=True, output=tmp_path / chars, **sizes)
        printed = capsys.readouterr().out
        assert "unknown tokens of validation / test in %: known 0.0 / 0.0, strange 0.0 / 100.0" in printed
        assert "warning: more than 25% of the tokens are unknown in strange, and nothing" in printed
        assert "--tokenizer characters" in printed


def test_the_tasks_of_a_run_follow_its_options(tiny_tasks):
    options = make_options(**tiny.OPTIONS | {"tasks": "planted", "seed": 5, "planted_rich": 33})
    planted = {name: value for name, value in tiny.OPTIONS.items() if name.startswith("planted")}
    expected = load_tasks("planted", seed=5, planted=PlantedOptions(**planted | {"planted_rich": 33}))
    assert len(load_run_tasks(options)["parent1"].train) == 33
    assert load_run_tasks(options)["child1"].train["text"][:] == expected["child1"].train["text"][:]


def test_how_many_training_texts_are_taken_is_told(tiny_tasks):
    tasks = load_run_tasks(make_options(**tiny.OPTIONS | {"tasks": "planted", "max_train": 40}))
    assert [*left_out(tasks)] == ["parent1: 40 of 60 training texts are taken (--max-train)"]
    assert {name: len(data.train) for name, data in tasks.items()} == {"parent1": 40, "child1": 30}
    assert tasks.loaded_with["max_train"] == 40


def test_tokens_without_a_tag_are_told(tmp_path):
    rows = [{"tokens": ["a", "b", f"c{i}"], "tags": [*"XY", "XY"[i % 2]]} for i in range(30)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
    tasks = "tasks: {u: {tokens: tokens, label: tags, train: train.jsonl, valid: test.jsonl, test: test.jsonl}}\n"
    (tmp_path / "tasks.yaml").write_text(tasks)
    for tags, lines in (
        (["_", "_", None], ["u: 1 rows without a label are not learned (train 1)"]),
        (["X", "_", None], ["u: 2 of 108 tokens have no tag and are not learned (train 2)"]),
    ):
        more = [*rows[5:], {"tokens": ["a", "b", "d"], "tags": tags}]
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
        options = make_options(**tiny.OPTIONS | {"tasks": str(tmp_path / "tasks.yaml")})
        assert [*left_out(load_run_tasks(options))] == lines


def test_what_is_odd_in_the_data_is_kept(tiny_tasks, tmp_path):
    options = make_options(**tiny.OPTIONS | {"tasks": tiny_tasks, "max_train": 40})
    tasks = load_run_tasks(options)
    model = build_model(tasks, options, say=lambda *_: None)
    found = remarks(tasks, encode_tasks(tasks, model.vocabulary, model.options))
    assert found["lines"] == [*left_out(tasks)] != []
    assert found["overlap"]["pairs"] == asdict(tasks.overlap["pairs"])
    assert found["overlap"]["pairs"]["test_seen"] > 0


def test_a_run_keeps_what_is_odd_in_its_data(finished):
    run = finished("star").run
    assert run.remarks["overlap"].keys() == load_run_tasks(run.options).overlap.keys()
    assert run.remarks["lines"] == []


def test_a_group_of_the_options():
    options = make_options(epochs=7, hidden=3)
    assert part(options, TrainingOptions) == TrainingOptions(epochs=7)
    assert part(options, model_options_class("star", "lstm")) == model_options(hidden=3)
