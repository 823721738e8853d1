import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from graphmtl.errors import DataWarning, InputError
from graphmtl.training import checkpoint
from graphmtl.training.checkpoint import Checkpoints
from graphmtl.training.state_file import save_state


class Prepared:
    """A model, an optimiser and a schedule in accelerate's hands."""

    def __init__(self):
        self.accelerator = Accelerator(cpu=True)
        model = nn.Linear(2, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(model, optimizer, schedule)

    def step(self) -> None:
        self.accelerator.backward(self.model(torch.rand(3, 2) + random.random() + np.random.rand()).square().sum())
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def checkpoints(self, folder) -> Checkpoints:
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        return Checkpoints(folder, self.accelerator, parts)

    def save(self, folder, epoch: int, update: int = 0) -> None:
        self.checkpoints(folder).save({"epoch": epoch, "x": (1.5,)}, epoch=epoch, update=update)

    def load(self, folder) -> dict | None:
        found: list[dict] = []
        self.checkpoints(folder).load(found.append)
        return found[0] if found else None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_goes_on_exactly(tmp_path):
    first, second = Prepared(), Prepared()
    first.step()
    first.save(tmp_path, 1)
    first.step()
    assert second.load(tmp_path) == {"epoch": 1, "x": (1.5,)}
    second.step()  # on the same random numbers, with the same momentum and rate
    assert torch.equal(first.model.weight, second.model.weight)
    assert first.schedule.get_last_lr() == second.schedule.get_last_lr()


def test_a_version_that_trains_otherwise_does_not_go_on(tmp_path, monkeypatch):
    """As one before training had a revision."""
    prepared = Prepared()
    with monkeypatch.context() as earlier:

        def without(path, state):
            save_state(path, {key: state[key] for key in state if key != "revision"})

        earlier.setattr(checkpoint, "save_state", without)
        prepared.save(tmp_path, 1)
    weight = prepared.model.weight.clone()
    prepared.step()
    expected = (
        r"epoch-1: written by another version of graphmtl, which trains otherwise \(revision 1, this one 2\); go on"
    )
    with pytest.raises(InputError, match=expected):
        prepared.load(tmp_path)
    assert not torch.equal(prepared.model.weight, weight)  # nothing was put back


def test_states_of_another_form_are_a_line(tmp_path):
    """As of an earlier version, whose averages had one number of updates for all parameters."""
    prepared = Prepared()
    prepared.save(tmp_path, 1)
    expected = r"epoch-1: written by another version of graphmtl, .* \(KeyError: 'average'\); go on .*, or --overwrite"
    with pytest.raises(InputError, match=expected):
        prepared.checkpoints(tmp_path).load(lambda state: state["average"])


def test_the_last_two_are_kept(tmp_path):
    prepared = Prepared()
    for epoch in (8, 9, 10):
        prepared.save(tmp_path / "checkpoints", epoch)
    prepared.save(tmp_path / "checkpoints", 10, update=70)
    assert names(tmp_path / "checkpoints") == ["epoch-10", "epoch-10-update-70"]
    assert prepared.load(tmp_path / "checkpoints")["epoch"] == 10
    prepared.save(tmp_path / "checkpoints", 11)
    assert names(tmp_path / "checkpoints") == ["epoch-10-update-70", "epoch-11"]


def test_no_file_is_a_pickle(tmp_path):
    Prepared().save(tmp_path, 1)
    assert {path.suffix for path in (tmp_path / "epoch-1").iterdir()} == {".safetensors", ".json"}


def test_an_interrupted_write_leaves_the_one_before(tmp_path, monkeypatch):
    prepared = Prepared()
    prepared.save(tmp_path, 1)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_checksum", stop)
    with pytest.raises(KeyboardInterrupt):
        prepared.save(tmp_path, 2)
    monkeypatch.undo()
    assert names(tmp_path) == ["epoch-1", "epoch-2.unfinished"]
    assert prepared.load(tmp_path)["epoch"] == 1
    prepared.save(tmp_path, 2)
    assert names(tmp_path) == ["epoch-1", "epoch-2"]


def test_one_that_is_half_removed_is_no_checkpoint(tmp_path, monkeypatch):
    prepared = Prepared()
    for epoch in (1, 2):
        prepared.save(tmp_path, epoch)

    def stop(path, **_):
        if path.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.shutil, "rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        prepared.save(tmp_path, 3)
    assert names(tmp_path) == ["epoch-1.gone", "epoch-2", "epoch-3"]


FILES = [
    *("checksums.json", "model.safetensors", "optimizer.safetensors", "random-0.safetensors", "schedule.safetensors"),
    "trainer.safetensors",
]


def test_those_are_the_files(tmp_path):
    Prepared().save(tmp_path, 1)
    assert names(tmp_path / "epoch-1") == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damage_is_named_and_the_one_before_is_taken(tmp_path, name, damage):
    prepared = Prepared()
    prepared.save(tmp_path, 1)
    prepared.save(tmp_path, 2)
    for epoch in (2, 1):
        path = tmp_path / f"epoch-{epoch}" / name
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 1
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
        if damage == "missing":
            path.unlink()
        if epoch == 2:
            with pytest.warns(DataWarning, match=rf"epoch-2.*{name}.*; epoch-1 is gone on from"):
                assert prepared.load(tmp_path)["epoch"] == 1
    with pytest.warns(DataWarning), pytest.raises(InputError, match=rf"epoch-1.*{name}.*no checkpoint is left"):
        prepared.load(tmp_path)


def test_a_checkpoint_takes_the_place_of_a_damaged_one(tmp_path):
    """The training comes there again from the one before; what a kill has left of such a removal is no hindrance."""
    prepared = Prepared()
    prepared.save(tmp_path, 1)
    prepared.save(tmp_path, 2)
    (tmp_path / "epoch-2" / "model.safetensors").unlink()
    (tmp_path / "epoch-2.gone").mkdir()
    (tmp_path / "epoch-2.gone" / "model.safetensors").write_bytes(b"")
    prepared.save(tmp_path, 2)
    assert names(tmp_path) == ["epoch-1", "epoch-2"]
    assert names(tmp_path / "epoch-2") == FILES
    assert prepared.load(tmp_path)["epoch"] == 2


def test_stray_things_are_left_alone(tmp_path):
    prepared = Prepared()
    prepared.save(tmp_path, 1)
    (tmp_path / "epoch-9").mkdir()
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "epoch-7").write_text("x")
    (tmp_path / "epoch-last").mkdir()
    assert prepared.load(tmp_path)["epoch"] == 1
    prepared.save(tmp_path, 2)
    assert names(tmp_path) == [".DS_Store", "epoch-1", "epoch-2", "epoch-7", "epoch-9", "epoch-last"]


def test_other_numbers_of_processes_are_named(tmp_path):
    prepared = Prepared()
    prepared.save(tmp_path, 1)
    path = tmp_path / "epoch-1"
    os.rename(path / "random-0.safetensors", path / "random-1.safetensors")
    sums = (path / "checksums.json").read_text()
    (path / "checksums.json").write_text(sums.replace("random-0", "random-1"))
    with pytest.raises(InputError, match="written by 1 processes"):
        prepared.load(tmp_path)


def test_nothing_to_load(tmp_path):
    assert Prepared().load(tmp_path / "checkpoints") is None
