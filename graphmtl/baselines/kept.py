"""What baselines said, kept in a folder by what they were made of: a file for each group of tasks.

``NAME-DIGEST.npz`` holds arrays ``SPLIT/TASK/answers``, ``.../probabilities`` and ``.../losses``, and ``key``, the
whole digest. A file that is there but holds something else is written anew, which is said.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from graphmtl.baselines.examples import Examples, Said
from graphmtl.errors import InputError, note
from graphmtl.files import read_bounded, writing, written_whole

__all__ = ["digest_of", "read_said", "write_said"]

_FORMAT = 1
_MOST = 1 << 32  # bytes of a file
_VERSIONS = ("numpy", "scipy", "scikit-learn", "graphmtl")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, InputError)

_Said = Mapping[str, Mapping[str, Said]]
_Examples = Mapping[str, Mapping[str, Examples]]
"""By split and task."""


def digest_of(*about: Any) -> str:
    """By what the answers of a baseline are known.

    Args:
        about: all that they depend on, plain values; the versions of what computes are put to it.
    """
    return hashlib.sha256(json.dumps([_FORMAT, _versions(), *about]).encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _VERSIONS}


def read_said(path: Path, digest: str, examples: _Examples) -> _Said | None:
    """What was said of some examples, or None where it is not kept, or damaged.

    Args:
        path: the file.
        digest: by which it is known.
        examples: by split and task.
    """
    if not path.is_file():
        return None
    try:
        with np.load(BytesIO(read_bounded(path, most=_MOST)), allow_pickle=False) as arrays:
            if arrays["key"].item() != digest:
                raise ValueError("of other data")
            if unknown := {*arrays} - {"key"} - _names(examples):  # else a damaged name would be an array less
                raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
            return {
                split: {task: _one(arrays, f"{split}/{task}", each) for task, each in own.items()}
                for split, own in examples.items()
            }
    except _DAMAGED as error:
        note(f"{path}: damaged, or not what stood there ({error}); made anew")
        return None


def _names(examples: _Examples) -> set[str]:
    """What the arrays may be called."""
    tasks = [f"{split}/{task}" for split, own in examples.items() for task in own]
    return {f"{task}/{name}" for task in tasks for name in ("answers", "probabilities", "losses")}


def _one(arrays: Mapping[str, np.ndarray], name: str, examples: Examples) -> Said:
    said = Said(arrays[f"{name}/answers"], arrays.get(f"{name}/probabilities"), arrays[f"{name}/losses"])
    if len(said.losses) != len(examples) or len(said.answers) != len(examples.values):
        raise ValueError(f"{name}: {len(said.losses)} examples, expected {len(examples)}")
    return said


def write_said(path: Path, digest: str, said: _Said) -> None:
    """Keeps what was said; where the folder cannot be written, that is said."""
    arrays = {"key": np.array(digest)}
    for split, own in said.items():
        for task, each in own.items():
            found = {name: values for name, values in vars(each).items() if values is not None}
            arrays |= {f"{split}/{task}/{name}": values for name, values in found.items()}
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except InputError as error:
        note(f"{error}; the baseline is made again next time")
