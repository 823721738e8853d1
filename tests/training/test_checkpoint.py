import pytest
import torch
from accelerate import Accelerator
from torch import nn

from graphmtl.training.checkpoint import load_checkpoint, save_checkpoint


class Prepared:
    """A model, an optimiser and a schedule in accelerate's hands."""

    def __init__(self):
        self.accelerator = Accelerator(cpu=True)
        model = nn.Linear(2, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(model, optimizer, schedule)

    def step(self) -> None:
        self.accelerator.backward(self.model(torch.rand(3, 2)).square().sum())
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def save(self, folder, epoch: int) -> None:
        save_checkpoint(folder=folder, epoch=epoch, accelerator=self.accelerator, state={"epoch": epoch, "x": (1.5,)})

    def load(self, folder) -> dict | None:
        return load_checkpoint(folder=folder, accelerator=self.accelerator)


def test_goes_on_exactly(tmp_path):
    first, second = Prepared(), Prepared()
    first.step()
    first.save(tmp_path, 1)
    first.step()
    assert second.load(tmp_path) == {"epoch": 1, "x": (1.5,)}
    second.step()  # on the same random numbers, with the same momentum and rate
    assert torch.equal(first.model.weight, second.model.weight)
    assert first.schedule.get_last_lr() == second.schedule.get_last_lr()


def test_only_the_last_is_kept(tmp_path):
    prepared = Prepared()
    for epoch in (8, 9, 10):
        prepared.save(tmp_path / "checkpoints", epoch)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch-10"]


def test_an_interrupted_write_leaves_the_one_before(tmp_path, monkeypatch):
    prepared = Prepared()
    prepared.save(tmp_path, 1)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        prepared.save(tmp_path, 2)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    assert prepared.load(tmp_path)["epoch"] == 1
    prepared.save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-2"]


def test_nothing_to_load(tmp_path):
    assert Prepared().load(tmp_path / "checkpoints") is None
