"""The group of processes that ``torchrun`` or ``accelerate launch`` started: its end comes before Python's."""

import atexit
import sys

import torch
import torch.distributed
from accelerate import PartialState
from accelerate.utils import patch_environment

from graphmtl.training.device import chosen_device

__all__ = ["process_state"]


def process_state(device: str) -> PartialState:
    """Where this process stands among all, whose group it joins unless it has done so, and its device.

    A device with a number becomes torch's current one too, on which kernels of one's own are started.

    Args:
        device: see :func:`~graphmtl.training.device.chosen_device`.

    Raises:
        InputError: the device cannot be had.
    """
    before, chosen = _has_group(), chosen_device(device)
    numbered = {}
    if chosen.index is not None:
        numbered = {"ACCELERATE_TORCH_DEVICE": chosen}
        if chosen.index != torch.accelerator.current_device_index():
            torch.accelerator.set_device_index(chosen.index)
    with patch_environment(**numbered):
        state = PartialState(cpu=chosen.type == "cpu")
    if not before and _has_group():  # it is ours, and not the caller's, to end
        atexit.register(_end_group)
    return state


def _has_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _end_group() -> None:
    failed = getattr(sys, "last_type", None) is not None  # then the others may wait for this one: it just goes
    if _has_group() and not failed:
        torch.distributed.destroy_process_group()
