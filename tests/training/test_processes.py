import os
import sys
from types import SimpleNamespace

import pytest
import torch.distributed
from accelerate import PartialState
from accelerate.state import AcceleratorState

from graphmtl.training import processes


@pytest.fixture
def join(tmp_path):
    """Joins a group of one process, which is left at the end."""

    def join(**_):
        torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)

    yield join
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.fixture
def at_exit(monkeypatch):
    registered = []
    monkeypatch.setattr(processes.atexit, "register", registered.append)
    return registered


def test_a_group_that_was_joined_here_ends_with_python(join, at_exit, monkeypatch):
    monkeypatch.setattr(processes, "PartialState", join)
    processes.process_state("cpu")
    monkeypatch.setattr(processes, "PartialState", lambda **_: None)
    processes.process_state("cpu")
    (end,) = at_exit
    end()
    assert not torch.distributed.is_initialized()
    end()  # the caller may have ended it meanwhile


def test_the_callers_group_is_the_callers(join, at_exit, monkeypatch):
    monkeypatch.setattr(processes, "PartialState", lambda **_: None)
    join()
    processes.process_state("cpu")
    assert at_exit == []


def test_a_process_that_fails_waits_for_nobody(join, monkeypatch):
    join()
    monkeypatch.setattr(sys, "last_type", ValueError, raising=False)
    processes._end_group()
    assert torch.distributed.is_initialized()


def test_one_process_has_no_group(at_exit):
    assert processes.process_state("cpu").num_processes == 1
    assert at_exit == []


@pytest.fixture
def two_devices(monkeypatch):
    """A machine with two of them; returns the numbers of those that were made the current one."""
    taken = []
    fake = SimpleNamespace(
        is_available=lambda: True,
        current_accelerator=lambda: torch.device("cuda"),
        device_count=lambda: 2,
        current_device_index=lambda: taken[-1] if taken else 0,
        set_device_index=taken.append,
    )
    monkeypatch.setattr(torch, "accelerator", fake)
    monkeypatch.setattr(PartialState, "default_device", torch.device("cuda"))  # what accelerate finds by itself
    monkeypatch.setattr("accelerate.state.check_cuda_p2p_ib_support", lambda: True)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield taken
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("device", "chosen", "taken"), [("auto", "cuda", []), ("cuda", "cuda", []), ("cuda:1", "cuda:1", [1])]
)
def test_a_numbered_device_is_accelerates_and_torchs(device, chosen, taken, two_devices):
    assert processes.process_state(device).device == torch.device(chosen)
    assert two_devices == taken
    assert "ACCELERATE_TORCH_DEVICE" not in os.environ


def test_a_device_stays_the_current_one(two_devices):
    """So that the next run on auto, whose batches another thread moves, has one device and not two."""
    processes.process_state("cuda:1")
    AcceleratorState._reset_state(reset_partial_state=True)
    assert processes.process_state("auto").device == torch.device("cuda", 1)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert processes.process_state("cuda:0").device == torch.device("cuda", 0)
    assert two_devices == [1, 0]
