"""What the caller draws at random does not depend on what graphmtl was asked in between."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import graphmtl
from graphmtl.explain import explain_run
from graphmtl.generators import generators_kept
from graphmtl.options import make_options
from graphmtl.predict import main as predict
from graphmtl.report import main as report
from graphmtl.training.building import build_model
from graphmtl.training.joining import TransferOptions, options_for
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.transfer_run import transfer_run
from tests import tiny


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()


@pytest.fixture
def undisturbed():
    """At the end of the test the generators are where they were at its start."""
    seed(5)
    expected = draw()
    seed(5)
    yield
    assert draw() == expected


@pytest.fixture
def folder(copy_of):
    return copy_of("star")


def test_they_are_kept_after_an_error_too(undisturbed):
    @generators_kept()
    def fails():
        seed(1)
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            fails()


def test_training(tiny_tasks, tmp_path, undisturbed):
    options = {**tiny.OPTIONS, "tasks": tiny_tasks, "arch": "cmtr", "teachers": "train", "epochs": 1}
    graphmtl.train(**options, output=tmp_path / "run")


def test_training_that_fails(tiny_tasks, tmp_path, undisturbed):
    with pytest.raises(graphmtl.InputError, match=r"try a lower --lr"):
        graphmtl.train(
            **{**tiny.OPTIONS, "lr": 1e30, "warmup": 0}, tasks=tiny_tasks, arch="star", output=tmp_path / "a"
        )


def test_a_fresh_model(tiny_tasks, undisturbed):
    options = make_options(**tiny.OPTIONS, tasks=tiny_tasks)
    build_model(load_run_tasks(options), options, say=lambda *_: None)


def test_what_is_asked_of_a_finished_run(folder, tmp_path, undisturbed, capsys):
    (tmp_path / "texts.txt").write_text("good film\tbad book\n")
    graphmtl.MultiTaskModel.from_pretrained(folder / "model").predict([("good", "bad")], task="pairs")
    predict([str(folder), "--task", "pairs", str(tmp_path / "texts.txt")])
    report([str(folder), "--output", str(tmp_path / "report.html")])
    explain_run(Run.open(folder), folder=tmp_path / "explained", per_task=5, probe=5)


@pytest.fixture
def source(tiny_tasks, tmp_path):
    return graphmtl.train(tiny_tasks, **tiny.OPTIONS, arch="star", only="pairs,parent1", output=tmp_path / "source")


def test_transfer(source, tmp_path, undisturbed):
    transfer = TransferOptions(examples=None, draw=0, freeze="none", unfreeze_after=0, start="fresh", steps=1)
    transfer_run(source, "child1", transfer, replace(options_for(source), output=str(tmp_path / "joined")))
