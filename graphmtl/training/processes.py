"""The group of processes that ``torchrun`` or ``accelerate launch`` started: its end comes before Python's."""

import atexit
import sys

import torch.distributed
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState

__all__ = ["plain_accelerator", "process_state"]


def process_state(*, cpu: bool) -> PartialState:
    """Where this process stands among all, whose group it joins unless it has done so; on the CPU, if wanted."""
    before = _has_group()
    state = PartialState(cpu=cpu)
    if not before and _has_group():  # it is ours, and not the caller's, to end
        atexit.register(_end_group)
    return state


def plain_accelerator(*, cpu: bool) -> Accelerator:
    """For reading with a trained model, whatever precision this process has trained another one with."""
    AcceleratorState._reset_state()  # accelerate keeps it globally
    process_state(cpu=cpu)
    return Accelerator(cpu=cpu)


def _has_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _end_group() -> None:
    failed = getattr(sys, "last_type", None) is not None  # then the others may wait for this one: it just goes
    if _has_group() and not failed:
        torch.distributed.destroy_process_group()
