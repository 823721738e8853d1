"""What was made of large texts, kept in the user's cache by what it was made of, so that a second start is quick.

Each thing has a folder of its own in ``~/.cache/graphmtl/texts`` (or ``$GRAPHMTL_CACHE/texts``): arrays, which are
mapped into memory, and ``about.json`` with their checksums. It is written as a whole or not at all, and may be removed
at any time; those that were not used for the longest time are removed where all together are more than 20 GiB.
"""

import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from datasets import Dataset

from graphmtl.data.column import EachValue
from graphmtl.errors import InputError, note
from graphmtl.files import read_json, remove, user_cache, written_whole
from graphmtl.verbosity import detail

__all__ = ["are_large", "digest_of", "kept"]

_FORMAT = 2  # counted on whenever the same texts give other numbers
_LARGE = 1 << 25  # bytes of texts, from which on making takes longer than a moment
_MOST = 20 << 30  # bytes of all that is kept
_SPARE = 1 << 28  # bytes of the disk that are left alone
_ABOUT = "about.json"


def are_large(rows: Sequence[Dataset]) -> bool:
    """Whether what is made of some rows is worth keeping."""
    return sum(each.data.nbytes for each in rows) >= _LARGE


def digest_of(rows: Dataset) -> str:
    """SHA-256 of the texts of some rows, as Arrow has them."""
    digest = hashlib.sha256()
    for name in ("text", "text_pair", "tokens", "choices"):
        if name in rows.column_names:
            digest.update(name.encode())
            for part in EachValue(rows, name).serialized():
                digest.update(part)
    return digest.hexdigest()


def kept(
    what: str, made_of: Mapping[str, Any], make: Callable[[], Mapping[str, np.ndarray]]
) -> Mapping[str, np.ndarray]:
    """Arrays by name: those that are kept, or those that ``make`` gives, which are kept then if there is room.

    Args:
        what: what they are, for messages.
        made_of: all that they depend on, for JSON.
        make: makes them.
    """
    versions = [_FORMAT, tokenizers.__version__, unicodedata.unidata_version]
    key = json.dumps([what, versions, made_of], sort_keys=True)
    folder = user_cache("texts") / hashlib.sha256(key.encode()).hexdigest()[:32]
    found = _read(folder)
    if found is not None:
        detail(f"{what}: found in {folder}")
        return found
    made = make()
    try:
        _write(folder, made)
    except InputError as error:
        detail(f"{what}: not kept ({error})")
        return made
    detail(f"{what}: kept in {folder}")
    return _read(folder) or made


def _read(folder: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a folder; None where there is none, or a damaged one, which is removed."""
    if not folder.is_dir():
        return None
    try:
        checksums = read_json(folder / _ABOUT)
        found = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in checksums}
        whole = all(_checksum(folder / f"{name}.npy") == checksum for name, checksum in checksums.items())
    except (InputError, OSError, ValueError):
        whole = False
    if not whole:
        note(f"{folder}: damaged, and made anew")
        remove(folder)
        return None
    os.utime(folder)
    return found


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _write(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises InputError where there is no room, or the folder cannot be written."""
    size = sum(array.nbytes for array in arrays.values())
    cache = folder.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
    except OSError as error:
        raise InputError(f"{cache}: {error.strerror}") from None
    if size + _SPARE > free or size > _MOST:
        raise InputError(f"{cache}: {size >> 20:,} MiB do not fit, {free >> 20:,} MiB are free")
    with written_whole(folder) as part:
        part.mkdir()
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array)
        checksums = {name: _checksum(part / f"{name}.npy") for name in arrays}
        (part / _ABOUT).write_text(json.dumps(checksums), encoding="utf-8")
    _forget(cache)


def _forget(cache: Path) -> None:
    """Removes what was not used for the longest time, until the rest is not too much."""
    sizes = {own: sum(file.stat().st_size for file in own.iterdir()) for own in cache.iterdir() if own.is_dir()}
    for own in sorted(sizes, key=lambda own: own.stat().st_mtime):
        if sum(sizes.values()) <= _MOST:
            return
        remove(own)
        del sizes[own]
