"""Tensors from the CPU to where a batch is computed."""

import torch
from torch import Tensor

__all__ = ["moved"]


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor where ``device`` says; to a GPU without waiting for what it still computes.

    >>> moved(torch.tensor([1, 2]), "cpu").tolist()
    [1, 2]
    """
    if tensor.device.type == "cpu" and torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
