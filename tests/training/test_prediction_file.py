import csv
import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset

from graphmtl.data.batching import encode_tasks
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.errors import InputError
from graphmtl.training.evaluation import predict_split
from graphmtl.training.prediction_file import write_predictions
from tests.parts import class_predictions, predictions_of
from tests.tagging import tagging_tasks
from tests.training.toy import tagging_trainer

PAIRS = Task(name="pairs", labels=("no", "yes"), text=("a", "b"))
PRICES = Task(name="prices", kind="regression")


def data_of(task, **columns):
    rows = Dataset.from_dict(columns)
    return TaskData(task=task, train=rows, valid=rows, test=rows, overlap=None, other_tests={"test_far": rows})


@pytest.fixture
def written(tmp_path):
    """The lines of a file of two tasks, one of them with a label that is missing."""
    texts = {"text": ["one,\n\u2028", "ça", '"3"'], "text_pair": ["p", "q", "r"]}
    pairs = data_of(PAIRS, **texts, label=[1, NO_LABEL, 0], row=[2, 5, 9], seen=[True, False, False])
    prices = data_of(PRICES, text=["x", "y"], label=[3.8, float("nan")])
    tasks = TaskSet(name="set", data=[pairs, prices])
    logits = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    predictions = {
        "pairs": class_predictions([1, 0], logits, seen=[True, False]),
        "prices": predictions_of(np.array([3.8], np.float32), np.array([0.1], np.float32)),
    }

    def written(name, splits=("test",)):
        write_predictions(tmp_path / name, tasks, dict.fromkeys(splits, predictions))
        text = (tmp_path / name).read_bytes().decode()
        if name.endswith(".csv"):
            return list(csv.DictReader(text.splitlines(keepends=True)))
        return [json.loads(line) for line in text.split("\n")[:-1]]

    return written


def test_each_scored_example_is_a_line_with_names_and_not_indices(written):
    first, second, third = written("p.jsonl")
    assert list(first) == ["task", "split", "row", "text", "text_pair", "label", "answer", "probabilities", "seen"]
    assert [first[key] for key in ("task", "split", "row", "text", "text_pair", "label", "answer", "seen")] == [
        *("pairs", "test", 2, "one,\n\u2028", "p", "yes", "yes", True)
    ]
    assert first["probabilities"] == pytest.approx({"no": 0.2689, "yes": 0.7311}, abs=1e-4)
    assert (second["row"], second["text"], second["label"], second["answer"]) == (9, '"3"', "no", "yes")
    assert third == {"task": "prices", "split": "test", "text": "x", "label": 3.8, "answer": 0.1}


def test_csv_has_the_same(written):
    for line, cells in zip(written("p.jsonl"), written("p.csv"), strict=True):
        assert cells.pop("tokens") == ""
        for key, cell in cells.items():
            value = line.get(key, "")
            assert (json.loads(cell) if isinstance(value, dict) else cell) == (
                value if isinstance(value, dict) else str(value)
            )


def test_further_splits_follow(written):
    assert [line["split"] for line in written("p.jsonl", ["test", "test_far"])] == ["test"] * 3 + ["test_far"] * 3


def test_tags_are_lists_of_names(tmp_path):
    """Sentences without any label are not scored; tokens without one have none."""
    tasks = tagging_tasks(size=17, missing=0.5)
    trainer = tagging_trainer(tmp_path)
    model = trainer.model
    data = encode_tasks(tasks, model.vocabulary, model.options)
    found = predict_split(model=model, data=data, split="test", batch_size=4, accelerator=Accelerator(cpu=True))
    write_predictions(tmp_path / "p.jsonl", tasks, {"test": found})
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    for name, own in tasks.items():
        labels = own.task.labels
        mine = [line for line in lines if line["task"] == name]
        if not own.task.of_kind.labels_tokens:
            continue
        expected = [
            (row["tokens"], [None if i == NO_LABEL else labels[i] for i in row["label"]])
            for row in own.test
            if set(row["label"]) != {NO_LABEL}
        ]
        assert [(line["tokens"], line["label"]) for line in mine] == expected
        assert len(mine) < len(own.test)
        for line, tags in zip(mine, found[name].answers, strict=True):
            assert line["answer"] == [labels[i] for i in tags]
            assert len(line["answer"]) == len(line["tokens"])


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_predictions(tmp_path / "folder.csv", TaskSet(name="set", data=[]), {})
