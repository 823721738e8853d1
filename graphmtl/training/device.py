"""The device that ``--device`` names, and those that there are."""

import os
from functools import cache

import torch

from graphmtl.errors import InputError, note, shown

__all__ = ["chosen_device", "devices", "reading_device"]


def devices() -> list[str]:
    """What ``--device`` takes on this machine, such as ``auto``, ``cpu``, ``cuda``, ``cuda:0``."""
    if not torch.accelerator.is_available():
        return ["auto", "cpu"]
    kind = _kind()
    return ["auto", "cpu", kind, *(f"{kind}:{number}" for number in range(torch.accelerator.device_count()))]


def chosen_device(device: str) -> torch.device:
    """The device to be used; without a number it is left to accelerate and to torch's current device.

    Args:
        device: ``auto``, which is the accelerator where there is one, or the name of a device.

    Raises:
        InputError: there is no such device, or each of several processes has one of its own.
    """
    there = devices()
    if device not in there:
        raise InputError(f"--device: found {shown(device)}, which is not here; accepted here: {', '.join(there)}")
    kind, _, number = device.partition(":")
    if device == "cpu" or (device == "auto" and not torch.accelerator.is_available()):
        return torch.device("cpu")
    kind = _kind() if kind == "auto" else kind
    if _several_processes():
        if number:
            raise InputError(f"--device {device}: each of several processes takes a device of its own; give {kind}")
        return torch.device(kind)
    index = int(number) if number else torch.accelerator.current_device_index()
    return torch.device(kind, index) if number or index else torch.device(kind)


@cache  # said once
def reading_device(device: str) -> str:
    """Where a finished run is read again: on its own device, or else on ``auto``, which is said."""
    if device in devices() and not (":" in device and _several_processes()):
        return device
    note(f"--device {device}, with which the run was trained, cannot be had here; it is read with --device auto")
    return "auto"


def _kind() -> str:
    accelerator = torch.accelerator.current_accelerator()
    assert accelerator is not None  # one is available
    return accelerator.type


def _several_processes() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
