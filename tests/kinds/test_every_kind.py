"""What holds of every kind of task: its optimum is learned, its answers are kept, and a run that stops goes on."""

import json
import random

import pytest

from graphmtl.cli import main
from graphmtl.data.task import Task
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import KINDS
from graphmtl.training import experiment
from graphmtl.training.run import Run
from graphmtl.training.trainer import Trainer
from tests.tiny import flags, without_clock

WORDS = ("sun", "sea", "sky", "red", "dry", "low", "hot", "far")
OPTIONS = {"arch": "shared", "hidden": 16, "embedding_size": 16, "epochs": 25, "lr": 0.02, "batch_size": 16}
OPTIONS |= {"locked_dropout": 0.0, "output_dropout": 0.0, "device": "cpu", "progress": False}


def text(rng, size=6):
    return rng.choices(WORDS, k=size)


def classes(rng):
    words = text(rng)
    return {"text": " ".join(words), "label": "wet" if "sea" in words else "dry"}


def numbers(rng):
    words = text(rng)
    return {"text": " ".join(words), "label": words.count("sun") + 0.5}


def grades(rng):
    words = text(rng)
    return {"text": " ".join(words), "label": min(words.count("sun"), 2)}


def label_sets(rng):
    words = text(rng)
    return {"text": " ".join(words), "label": [word for word in ("sea", "sky") if word in words]}


def tags(rng):
    words = text(rng)
    return {"words": words, "label": ["B-X" if word == "red" else "O" for word in words]}


def choices(rng):
    cue, other = rng.sample(WORDS, 2)
    place = rng.randrange(2)
    return {"text": cue, "options": [cue, other] if place == 0 else [other, cue], "label": place}


def answers(rng):
    words = text(rng, 5)
    words.insert(rng.randrange(6), "who")
    context = " ".join([*words, "end"])
    name = context.split()[words.index("who") + 1]
    start = context.index("who ") + 4
    return {"question": "who", "context": context, "label": {"text": [name], "answer_start": [start]}}


CASES = {
    "text-classification": (classes, {"metrics": ["accuracy"]}),
    "regression": (numbers, {"metrics": ["pearson"]}),
    "token-classification": (tags, {"tokens": "words", "metrics": ["span_f1"]}),
    "ordinal": (grades, {"metrics": ["accuracy"]}),
    "multi-label": (label_sets, {"metrics": ["micro_f1"]}),
    "multiple-choice": (choices, {"choices": "options", "metrics": ["accuracy"]}),
    "question-answering": (answers, {"text": ["question", "context"], "metrics": ["exact_match"]}),
}


def test_there_is_a_case_of_every_kind():
    assert CASES.keys() == KINDS.keys()


@pytest.fixture(scope="module", params=CASES)
def finished(request, tmp_path_factory):
    """A task file of a kind, and a run that has learned it."""
    folder, (make, keys) = tmp_path_factory.mktemp("kind"), CASES[request.param]
    rng = random.Random(0)
    for split, size in (("train", 300), ("valid", 40), ("test", 40)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(make(rng)) + "\n" for _ in range(size)))
    files = {split: f"{split}.jsonl" for split in ("train", "valid", "test")}
    task = {"kind": request.param, **files, **keys}
    (folder / "tasks.yaml").write_text(json.dumps({"tasks": {"own": task}}))
    main(["run", *flags(**OPTIONS, tasks=folder / "tasks.yaml", output=folder / "run")])
    return folder


def test_its_optimum_is_learned(finished):
    task = Run(finished / "run").metrics["tasks"]["own"]
    assert task["test"][task["metric"]] > 0.97


def test_the_answers_that_were_scored_are_written(finished, tmp_path):
    main(["evaluate", str(finished / "run"), "--predictions", str(tmp_path / "p.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    evaluation = json.loads((finished / "run" / "evaluation.json").read_text())["tasks"]["own"]
    assert len(lines) == evaluation["n_test"] == 40
    assert all("label" in line and "answer" in line for line in lines)


def test_a_model_that_is_saved_and_loaded_answers_the_same(finished, tmp_path):
    model = Run(finished / "run").model
    model.save_pretrained(tmp_path / "model")
    again = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert Task.from_dict(json.loads(json.dumps(again.tasks["own"].to_dict()))) == model.tasks["own"]
    rows = [json.loads(line) for line in (finished / "test.jsonl").read_text().splitlines()]
    given = [{key: value for key, value in row.items() if key != "label"} for row in rows]
    assert again.predict(given, "own") == model.predict(given, "own")


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(finished, tmp_path, monkeypatch):
    given = {**OPTIONS, "epochs": 3, "head_layers": 1, "tasks": finished / "tasks.yaml"}
    main(["run", *flags(**given, output=tmp_path / "whole")])

    def stop(record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "Trainer", lambda **own: Trainer(**own | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            main(["run", *flags(**given, output=tmp_path / "stopped")])
    main(["run", *flags(**given, output=tmp_path / "stopped", resume=True)])
    whole, stopped = (Run(tmp_path / name) for name in ("whole", "stopped"))
    assert without_clock(stopped.metrics) == without_clock(whole.metrics)
    ours, theirs = (run.model.state_dict() for run in (stopped, whole))
    assert all(ours[name].equal(theirs[name]) for name in theirs)
