"""State of Python and torch in one safetensors file, which nothing executes when it is read.

The tensors stand there by number; numbers, texts, lists, tuples and dicts of them are JSON in the file's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from graphmtl.errors import InputError, shown

__all__ = ["load_state", "save_state"]

_KEY = "graphmtl_state"
_PLAIN = (str, int, float, bool, type(None))


def save_state(path: Path, state: Any) -> None:
    """Writes tensors, arrays, numbers, texts and None, and lists, tuples and dicts of them.

    Raises:
        TypeError: there is something else in it.
    """
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_written(state, tensors))
    save_file(tensors, path, metadata={_KEY: structure})


def load_state(path: Path) -> Any:
    """What :func:`save_state` wrote, tensors on the CPU; arrays come back as arrays, tuples as tuples.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        with safe_open(path, "pt") as file:
            structure = (file.metadata() or {}).get(_KEY)
            if structure is None:
                raise InputError(f"{path}: no state that graphmtl has written")
            return _read(json.loads(structure), file)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__}: {error})") from None


def _written(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON of a value; a container is an object with one key that names its kind. Its tensors are added to ``tensors``.

    Copies, since safetensors takes no two tensors that share memory.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor | np.ndarray):
        name = str(len(tensors))
        kind = "tensor" if isinstance(value, Tensor) else "array"
        own = value.detach() if isinstance(value, Tensor) else torch.from_numpy(value)
        tensors[name] = own.to("cpu", copy=True).contiguous()
        return {kind: name}
    if isinstance(value, tuple):
        return {"tuple": [_written(each, tensors) for each in value]}
    if isinstance(value, list):
        return [_written(each, tensors) for each in value]
    if isinstance(value, Mapping):
        return {"dict": [[_written(key, tensors), _written(own, tensors)] for key, own in value.items()]}
    raise TypeError(f"state: expected tensors, numbers, texts, lists, tuples and dicts, found {shown(value)}")


def _read(value: Any, file: Any) -> Any:
    if isinstance(value, list):
        return [_read(each, file) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, own),) = value.items()
    if kind == "tensor":
        return file.get_tensor(own)
    if kind == "array":
        return file.get_tensor(own).numpy()
    if kind == "tuple":
        return tuple(_read(each, file) for each in own)
    if kind == "dict":
        return {_read(key, file): _read(each, file) for key, each in own}
    raise ValueError(f"found {shown(kind)}, expected tensor, array, tuple or dict")
