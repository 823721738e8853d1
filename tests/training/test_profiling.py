"""Where the time of a training's updates goes."""

import gzip
import json

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks

from graphmtl.cli import main
from graphmtl.training import profiling
from graphmtl.training.profiling import TRACE, profiled
from tests import tiny


def train(folder, updates):
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with profiled(folder):
        for _ in range(updates):
            layer(torch.ones(4, 3)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()


def trace_of(folder):
    with gzip.open(folder / TRACE) as file:
        return json.load(file)["traceEvents"]


@pytest.fixture(autouse=True)
def few_updates(monkeypatch):
    monkeypatch.setattr(profiling, "_BEFORE", 2)
    monkeypatch.setattr(profiling, "_UPDATES", 3)


@pytest.mark.parametrize(("updates", "looked_at"), [(9, 3), (5, 3), (4, 2)])
def test_updates_after_the_first_ones_are_looked_at(updates, looked_at, tmp_path, capsys):
    train(tmp_path, updates)
    printed = capsys.readouterr().out
    assert f"{looked_at} updates:" in printed
    assert "aten::" in printed
    products = [event for event in trace_of(tmp_path) if event.get("name") == "aten::addmm"]
    assert len(products) == looked_at


def test_too_few_updates_are_said(tmp_path, capsys):
    train(tmp_path, 2)
    assert "--profile: found 2 updates, expected more than 2" in capsys.readouterr().out
    assert not (tmp_path / TRACE).exists()


def test_optimisers_are_left_alone_afterwards(tmp_path):
    before = [*_global_optimizer_post_hooks]
    train(tmp_path, 5)
    assert [*_global_optimizer_post_hooks] == before


def test_a_mistake_in_training_is_not_hidden(tmp_path):
    with pytest.raises(ValueError, match="mistake"), profiled(tmp_path):
        raise ValueError("mistake")


def test_a_run_prints_its_costliest_parts(tiny_tasks, tmp_path, capsys):
    given = tiny.flags(**tiny.OPTIONS | {"arch": "shared", "tasks": tiny_tasks, "output": str(tmp_path / "run")})
    main(["run", *given, "--profile", "--no-test"])
    printed = capsys.readouterr().out
    assert "3 updates:" in printed
    assert f"{tmp_path / 'run' / TRACE}" in printed.replace("\n", "")
    assert trace_of(tmp_path / "run")


def test_a_profile_is_of_one_run(error_of):
    assert "--profile: of one run; found --seeds" in error_of("run", "--seeds", "0,1", "--profile")
