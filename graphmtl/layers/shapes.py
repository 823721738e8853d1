"""Whether tensors that a layer is given fit together: checked before anything is computed, and without looking into
them on their device."""

import torch
from torch import Tensor

from graphmtl.errors import InputError, shown

__all__ = ["check_alike", "check_lengths", "check_shape"]

_FULL = (torch.float32, torch.float64)
_HALF = (torch.float16, torch.bfloat16)  # computed in 32 bits


def check_shape(name: str, tensor: Tensor, *expected: int | str) -> None:
    """Whether a tensor has these dimensions; a letter stands for any.

    Raises:
        InputError: it has others.
    """
    sizes = tensor.shape
    if sizes == expected:  # so it is as a rule, and comparing one by one takes ten times as long
        return
    if len(sizes) != len(expected) or any(n != e for n, e in zip(sizes, expected, strict=True) if isinstance(e, int)):
        raise InputError(f"{name}: found shape {tuple(sizes)}, expected ({', '.join(map(str, expected))})")


def check_alike(name: str, tensor: Tensor, weight: Tensor) -> None:
    """Whether a tensor is on the device of a layer's weight and of its dtype; 16 bits count as 32.

    Raises:
        InputError: it is not, or the weight itself is of no dtype that can be computed with.
    """
    if tensor.dtype == weight.dtype in _FULL and tensor.device == weight.device:  # as a rule
        return
    dtypes = [torch.float32 if dtype in _HALF else dtype for dtype in (tensor.dtype, weight.dtype)]
    if dtypes[0] != dtypes[1] or tensor.device != weight.device or dtypes[0] not in _FULL:
        found, expected = (f"{each.dtype} on {each.device}" for each in (tensor, weight))
        if weight.dtype not in (*_HALF, *_FULL):
            expected = "a floating-point dtype of 16, 32 or 64 bits"
        raise InputError(f"{name}: found {found}, expected {expected}")


def check_lengths(lengths: Tensor, tokens: int) -> None:
    """Whether these are the lengths of the texts of a batch that is padded to so many tokens.

    Raises:
        InputError: they are not (B,) int64 on the CPU, there is no text, or one has no token or too many.
    """
    if not isinstance(lengths, Tensor):
        raise InputError(f"lengths: found {shown(lengths)}, expected a tensor")
    check_shape("lengths", lengths, "B")
    if lengths.dtype != torch.int64 or lengths.device.type != "cpu":
        raise InputError(f"lengths: found {lengths.dtype} on {lengths.device}, expected torch.int64 on cpu")
    if len(lengths) == 0:
        raise InputError("lengths: found none, expected those of at least one text")
    listed = lengths.tolist()
    for length in (min(listed), max(listed)):
        if not 1 <= length <= tokens:
            text = listed.index(length)
            raise InputError(f"lengths: found {length} for text {text}, expected 1 to {tokens}, the tokens of x")
