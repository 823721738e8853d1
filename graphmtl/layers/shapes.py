"""Whether tensors that a layer is given fit together: checked before anything is computed, and without looking into
them on their device."""

import torch
from torch import Tensor

from graphmtl.errors import InputError, shown

__all__ = ["check_alike", "check_lengths", "check_shape", "check_sizes", "text_lengths"]

_FULL = (torch.float32, torch.float64)
_HALF = (torch.float16, torch.bfloat16)  # computed in 32 bits


def check_sizes(**sizes: int) -> None:
    """Whether the sizes of a layer, by name, are whole numbers above 0.

    Raises:
        InputError: one is not.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            expected = "1 or more" if isinstance(size, int) else "a whole number"
            raise InputError(f"{name}: found {shown(size)}, expected {expected}")


def check_shape(name: str, tensor: Tensor, *expected: int | str) -> None:
    """Whether a tensor has these dimensions; a letter stands for any.

    Raises:
        InputError: it has others, or is no tensor.
    """
    if not isinstance(tensor, Tensor):
        raise InputError(f"{name}: found {shown(tensor)}, expected a tensor")
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


def text_lengths(name: str, batch: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor:
    """How many tokens each text of a padded batch (B, T, ...) has: (B,) int64 on the CPU.

    Args:
        name: of the batch.
        batch: the padded texts, or anything else of their shape.
        lengths: (B,) int64, on the CPU or where the batch is.
        mask: (B, T) bool in their place: True for the tokens of a text, then False for its padding. With neither no
            text is padded.

    Raises:
        InputError: there is no text or no token, both are given, or one is not such.
    """
    B, T = batch.shape[:2]
    if not B or not T:
        raise InputError(f"{name}: found shape {tuple(batch.shape)}, expected one text and one token or more")
    if lengths is not None and mask is not None:
        raise InputError("lengths, mask: found both, expected one of them")
    if mask is not None:
        return _mask_lengths(mask, B, T)
    if lengths is None:
        return torch.full((B,), T, device="cpu")
    if isinstance(lengths, Tensor) and lengths.device == batch.device and not lengths.is_meta:
        lengths = lengths.cpu()
    check_lengths(lengths, T)
    check_shape("lengths", lengths, B)
    return lengths


def _mask_lengths(mask: Tensor, texts: int, tokens: int) -> Tensor:
    """A mask's lengths (B,) on the CPU; see :func:`text_lengths`."""
    check_shape("mask", mask, texts, tokens)
    if mask.dtype != torch.bool or mask.is_meta:
        raise InputError(f"mask: found {mask.dtype} on {mask.device}, expected torch.bool on cpu or a device")
    mask = mask.cpu()
    lengths = mask.sum(1)  # (B,)
    broken = (mask[:, 1:] & ~mask[:, :-1]).any(1)  # (B,)
    for wrong, found in ((broken, "True behind False"), (~mask[:, 0] & ~broken, "no True")):
        if wrong.any():
            row = int(wrong.nonzero()[0])
            expected = "in each row True for one token or more, then False for the padding"
            raise InputError(f"mask: found {found} in row {row} of shape ({texts}, {tokens}), expected {expected}")
    return lengths
