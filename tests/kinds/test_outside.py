"""A kind of task that is written outside of the package, in one file: all verbs that one of its own has, it has."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from graphmtl.cli import main
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run
from tests.tiny import OPTIONS, flags

_COUNTS = '''
import math

import numpy as np
import pyarrow as pa
import torch

from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.values import scores
from graphmtl.kinds.head import LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind


class PoissonHead(LinearHead):
    """exp of a linear layer is the mean of a Poisson distribution."""

    def __init__(self, *, input_size, dropout):
        super().__init__(input_size=input_size, classes=1, dropout=dropout)

    def losses(self, logits, labels, lengths, *, label_smoothing=0.0):
        z = at_least_single(logits).squeeze(-1)  # (batch,)
        return torch.where(labels.isnan(), 0, z.exp() - labels.nan_to_num() * z)

    def counts(self, labels):
        return ~labels.isnan()

    def answers(self, logits, lengths):
        return logits.squeeze(-1).exp()

    def right(self, answers, labels):
        return torch.full_like(labels, torch.nan)

    def margins(self, logits, lengths):
        return logits.squeeze(-1)


class Counts(ScoredKind):
    form = "numbers"
    default_metrics = ("spearman", "mae")
    arrow = pa.float64()
    no_label = math.nan
    stratified = False
    columns = {"count": pa.float64()}

    @property
    def in_words(self):
        return "how many"

    def read(self, source, splits, training):
        about = {"missing": source.missing, "accepted": "a number from 0 on", "low": 0, "high": math.inf}
        return self.task, {split: scores(table, self.task.label, **about) for split, table in splits.items()}

    def is_labelled(self, label):
        return not math.isnan(label)

    def named(self, label):
        return None if math.isnan(label) else float(label)

    def arrays(self, labels, lengths):
        values = np.asarray(labels, dtype=np.float32)
        return TextLabels(values, known=~np.isnan(values))

    def head(self, *, input_size, dropout, tag_head):
        return PoissonHead(input_size=input_size, dropout=dropout)

    def answer(self, answer, probabilities, tokens):
        return {"count": answer}

    def short(self, answer):
        return f"{answer['count']:.1f}", None

    def short_label(self, label):
        return str(self.named(label))
'''

_TASKS = """
tasks:
  stars: {train: rows.csv, test: 0.2, label: count, kind: "my_kind:Counts"}
  moods: {train: rows.csv, test: 0.2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the module, data and a task file; the label is how often a word stands in the text."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "my_kind.py").write_text(_COUNTS)
    (folder / "tasks.yaml").write_text(_TASKS)
    rng = random.Random(0)
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "count"])
        for _ in range(150):
            words = rng.choices(["star", "sky", "sea", "sun"], k=8)
            rows.writerow([" ".join(words), "dark" if "sea" in words else "light", words.count("star")])
    return folder


@pytest.fixture
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture(scope="module")
def run(folder):
    options = OPTIONS | {"hidden": 16, "epochs": 8, "arch": "star", "tasks": "tasks.yaml", "output": "run"}
    command = [sys.executable, "-m", "graphmtl.run", *flags(**options)]
    paths = os.pathsep.join([str(folder), os.getcwd()])
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, check=True, capture_output=True)
    return Run(folder / "run")


def test_it_is_learned_and_scored(run, there):
    task = run.metrics["tasks"]["stars"]
    assert (task["kind"], task["metric"]) == ("my_kind:Counts", "spearman")
    assert list(task["test"]) == ["spearman", "mae"]
    assert task["test"]["spearman"] > 0.7


def test_its_model_is_loaded_and_answers_in_its_own_words(run, there):
    model = MultiTaskModel.from_pretrained(run.folder / "model")
    many, none, blank = model.predict(["star star star star star", "sea sky sea sky", ""], "stars")
    assert list(many) == ["task", "count"]
    assert many["count"] > none["count"] > 0
    assert blank == {"task": "stars", "count": None}


def test_every_verb_takes_it(run, there, tmp_path, capsys):
    main(["evaluate", "run", "--predictions", str(tmp_path / "p.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {type(line["answer"]) for line in lines if line["task"] == "stars"} == {float}
    main(["predict", "run", "--task", "all", "rows.csv", "--output", str(tmp_path / "out.csv")])
    with (tmp_path / "out.csv").open() as file:
        assert "stars.count" in next(csv.reader(file))
    main(["explain", "run"])
    main(["report", "run"])
    assert "how many" in (run.folder / "model" / "README.md").read_text()
    capsys.readouterr()


def test_one_that_is_not_there(there, error_of):
    def error(kind):
        Path("wrong.yaml").write_text(f'tasks:\n  a: {{train: rows.csv, test: 0.2, kind: "{kind}"}}\n')
        return error_of("run", "--tasks", "wrong.yaml")

    assert "line 2: kind of task 'a' 'nowhere:Counts': there is no module 'nowhere'" in error("nowhere:Counts")
    assert "no 'Count' in 'my_kind'; did you mean 'Counts'?" in error("my_kind:Count")
