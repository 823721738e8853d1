import sys

import pytest
import torch.distributed
from accelerate import Accelerator
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
    processes.process_state(cpu=True)
    monkeypatch.setattr(processes, "PartialState", lambda **_: None)
    processes.process_state(cpu=True)
    (end,) = at_exit
    end()
    assert not torch.distributed.is_initialized()
    end()  # the caller may have ended it meanwhile


def test_the_callers_group_is_the_callers(join, at_exit, monkeypatch):
    monkeypatch.setattr(processes, "PartialState", lambda **_: None)
    join()
    processes.process_state(cpu=True)
    assert at_exit == []


def test_a_process_that_fails_waits_for_nobody(join, monkeypatch):
    join()
    monkeypatch.setattr(sys, "last_type", ValueError, raising=False)
    processes._end_group()
    assert torch.distributed.is_initialized()


def test_one_process_has_no_group(at_exit):
    assert processes.plain_accelerator(cpu=True).num_processes == 1
    assert at_exit == []


def test_reading_has_a_precision_of_its_own():
    """A run with --precision bf16 in the same process once made evaluate round."""
    AcceleratorState._reset_state(reset_partial_state=True)
    assert Accelerator(cpu=True, mixed_precision="bf16").mixed_precision == "bf16"
    assert processes.plain_accelerator(cpu=True).mixed_precision == "no"
