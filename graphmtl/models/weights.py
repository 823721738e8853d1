"""A file of weights, which says by its own checksum whether it is whole; nothing in it is executed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from graphmtl.errors import InputError

__all__ = ["load_weights", "save_weights"]

_SUM = "sha256"  # in the file's metadata


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file, its checksum in the metadata."""
    save_file({**weights}, path, metadata={_SUM: _checksum(weights)})  # two entries would have no fixed order


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; one that others wrote has no checksum, and is taken as it is.

    Raises:
        InputError: the file cannot be read, or its checksum is another.
    """
    try:
        with safe_open(path, "pt") as file:
            expected = (file.metadata() or {}).get(_SUM)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if expected is not None and _checksum(weights) != expected:
        raise InputError(f"{path}: damaged (its weights are not those that were written)")
    return weights


def _checksum(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of all numbers, tensor after tensor by name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
