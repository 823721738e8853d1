"""What the frozen layers of a transformer make of texts: computed once, kept on disk, and mapped into memory.

The states below the first trained layer are the same in every epoch, seed and run, whatever stands above them. They are
kept text by text, for all that read the same pieces with the same frozen weights::

    DIR/STORE/SEGMENT/about.json    what they were made with, and the checksums of the other two
                      texts.npy     (texts, 3) int64: two numbers that a text is known by, and how many pieces it has
                      states.bin    (pieces of all texts, dim), text after text

STORE stands for the weights, the configuration, the number of frozen layers and the form of the numbers. What a run
finds missing it writes into a folder of its own, and renames that once it is whole; nothing is locked, and of two
processes that do so at once one does it in vain.
"""

import json
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from graphmtl.data.batching import Batch, EncodedSplit
from graphmtl.data.subwords import SubwordTexts
from graphmtl.errors import InputError, note, shown
from graphmtl.files import read_bounded, read_json, user_cache
from graphmtl.layers.modes import evaluating
from graphmtl.layers.pooling import token_mask
from graphmtl.models.transformer import TransformerEncoder
from graphmtl.verbosity import detail, is_quiet, say

__all__ = ["keep_lower_states"]

_FORMAT = 1
_UNFINISHED = ".unfinished"  # what a process that was killed leaves behind
_RUBBISH = 3600  # seconds without a change after which such a thing is nobody's
_AT_ONCE = 4096  # pieces that are read in one go, padding included
_SEGMENT = 2**30  # bytes after which another segment is begun: who is interrupted loses no more
_SPARE = 2**28  # bytes of the disk that are left alone
_MOST = 2**33  # bytes of a file texts.npy
_SAMPLE = 4  # texts that the layers above read with and without what is kept
_NEAR = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}  # of the size of the last states
_EXOTIC = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)


class _NotKeptError(Exception):
    """The states cannot be kept, and are computed with every batch; why is the message."""


def keep_lower_states(
    model: Any,
    splits: Iterable[EncodedSplit],
    *,
    tell: bool = True,
    progress: bool = True,
) -> None:
    """Gives texts the states below the first trained layer of a model's transformer, if that has frozen layers.

    Args:
        model: a :class:`~graphmtl.models.model.MultiTaskModel`, on the device on which they are computed.
        splits: the texts, encoded for the model.
        tell: whether to say how much was written or found; else ``-v`` alone does.
        progress: whether to show a bar where it takes long.

    Raises:
        InputError: a file that is there is damaged or another one, the folder that was asked for cannot be made, or the
            states do not fit into 16 bits.
    """
    first = model.encoders[0]
    if not isinstance(first, TransformerEncoder) or not first.options.freeze_layers:
        return
    texts = [each for each in dict.fromkeys(split.subwords for split in splits) if each is not None and len(each.ids)]
    if first.options.frozen_states == "none" or not texts:
        return
    try:
        store = _kept([*model.encoders], texts, progress=progress)
    except _NotKeptError as reason:
        note(f"--freeze-layers: {reason}; what is frozen is computed anew in every epoch")
        return
    (say if tell else detail)(f"states of {first.options.freeze_layers} frozen layers: {store.told} {store.folder}")


def _kept(encoders: Sequence[TransformerEncoder], texts: Sequence[SubwordTexts], *, progress: bool) -> "_Store":
    """Gives texts their states, and returns where these are kept."""
    options = encoders[0].options
    dtype = options.frozen_states_dtype
    digests = {encoder.frozen_digest() for encoder in encoders}
    if len(digests) > 1:
        raise _NotKeptError("the tasks' encoders have different frozen weights")
    sample = _sample(texts[0]).to(next(encoders[0].parameters()).device)
    lower, *_ = [_checked(encoder, sample, dtype) for encoder in encoders]  # (windows, pieces, dim)
    store = _Store(_folder(options.frozen_states), encoders[0], digests.pop(), lower.size(2), dtype)
    keys = {each: each.digests() for each in texts}
    store.fill(encoders[0], keys, progress=progress)
    for each, own in keys.items():
        each.states = store.states(own, each.pieces)
    inside = token_mask(sample.windows.lengths, lower)
    found = _sample(texts[0]).windows.states.to(lower)
    if not _near(found[inside], lower[inside], dtype):
        raise InputError(f"{store.folder}: states that this encoder does not compute; remove the folder")
    return store


def _sample(texts: SubwordTexts) -> Batch:
    """A few texts, the shortest and the longest among them."""
    order = np.argsort(texts.pieces, kind="stable")  # (texts,)
    rows = np.unique(order[np.linspace(0, len(order) - 1, _SAMPLE).astype(int)])
    return _batch(texts, rows)


def _batch(texts: SubwordTexts, rows: np.ndarray) -> Batch:
    ids, windows = texts.batch(rows)  # (windows, pieces)
    lengths = torch.from_numpy(texts.lengths[rows])  # (batch,)
    return Batch((), torch.from_numpy(ids), lengths, None, torch.ones(len(rows)), windows=windows)


def _checked(encoder: TransformerEncoder, batch: Batch, dtype: str) -> Tensor:
    """The states of a batch below the first trained layer, (windows, pieces, dim), with which the others say the same.

    Raises:
        _NotKeptError: they say something else, or the states change in training.
    """
    windows: Any = replace(batch.windows, states=None)  # type: ignore[type-var]
    batch, kind = replace(batch, windows=windows), encoder.model.config.model_type
    try:
        with evaluating(encoder):
            with torch.enable_grad():
                lower = encoder.lower_states(batch)
            if lower.requires_grad:
                raise _NotKeptError(f"the lower layers of {kind} read weights that are trained with those above")
            with torch.no_grad():
                lower = lower.detach() * token_mask(windows.lengths, lower).unsqueeze(-1)  # as it is kept, 0 at padding
                kept = replace(batch, windows=replace(windows, states=lower.to(getattr(torch, dtype))))
                expected, found = (encoder(each).states for each in (batch, kept))  # (batch, pieces or words, dim)
    except _EXOTIC as error:
        raise _NotKeptError(f"{kind} cannot be read from a layer on ({type(error).__name__}: {error})") from None
    inside = token_mask(batch.lengths, expected)
    if not _near(found[inside], expected[inside], dtype):
        raise _NotKeptError(f"the layers of {kind} say something else where the lower ones are left out")
    return lower


def _near(found: Tensor, expected: Tensor, dtype: str) -> bool:
    """Whether states are equal up to rounding."""
    return bool((found - expected).norm() <= _NEAR[dtype] * expected.norm())  # nan is not


def _folder(given: str | None) -> Path:
    """That of all stores, which is made; by default it is in the user's cache.

    Raises:
        InputError: the one that was asked for cannot be made.
        _NotKeptError: the other one cannot.
    """
    folder = user_cache("frozen-states") if given is None else Path(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if given is None:
            raise _NotKeptError(f"{folder} cannot be made ({error.strerror})") from None
        raise InputError(f"--frozen-states {given}: the folder cannot be made ({error.strerror})") from None
    return folder


@dataclass(frozen=True)
class _Segment:
    """States that were written together.

    Attributes:
        folder: where they stand.
        shape: (pieces, dim).
        dtype: of a number.
        checksum: of the file.
    """

    folder: Path
    shape: tuple[int, int]
    dtype: torch.dtype
    checksum: int

    def mapped(self) -> Tensor:
        """The states (pieces, dim), mapped into memory.

        Raises:
            InputError: the file is damaged.
        """
        path, size = self.folder / "states.bin", self.shape[0] * self.shape[1]
        try:
            if path.stat().st_size == size * self.dtype.itemsize and _checksum(path) == self.checksum:
                return torch.from_file(str(path), shared=False, size=size, dtype=self.dtype).view(self.shape)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise InputError(f"{path}: damaged; remove {self.folder}, and its states are computed again")


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            checksum = zlib.crc32(part, checksum)
    return checksum


class _Store:
    """The states of texts that were read with the same frozen weights, in segments.

    Args:
        folder: of all stores.
        encoder: what reads.
        key: of its frozen weights and its configuration.
        dim: of a state.
        dtype: of a number.

    Attributes:
        folder: its own.
        told: how much was written or found, in words.

    Raises:
        InputError: what is there is damaged, or none of it.
    """

    def __init__(self, folder: Path, encoder: TransformerEncoder, key: str, dim: int, dtype: str):
        kind, frozen = encoder.model.config.model_type, encoder.options.freeze_layers
        self.folder = folder / f"{kind}-{frozen}-{dtype}-{key[:16]}"
        self.told = ""
        self._about = {"format": _FORMAT, "key": key, "frozen_layers": frozen, "dtype": dtype, "dim": dim}
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._bytes = dim * self._dtype.itemsize  # of a piece
        self._segments: list[_Segment] = []
        self._mapped: dict[int, Tensor] = {}  # of each segment that is needed
        self._places: dict[bytes, tuple[int, int]] = {}  # of a text its segment and its first piece there
        self._look()

    def _look(self) -> None:
        """Finds the segments that are there."""
        self._segments, self._mapped, self._places = [], {}, {}
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        for path in paths:
            if path.name.endswith(_UNFINISHED):
                _remove_rubbish(path)
            else:
                self._open(path)

    def _open(self, path: Path) -> None:
        about = read_json(path / "about.json")
        for name, expected in self._about.items():
            if about.get(name) != expected:
                found = f"{name} is {shown(about.get(name))}, expected {shown(expected)}"
                raise InputError(f"{path / 'about.json'}: not of this folder ({found}); remove {path}")
        index = path / "texts.npy"
        content = read_bounded(index, most=_MOST)
        if zlib.crc32(content) != about.get("texts_checksum"):
            raise InputError(f"{index}: damaged; remove {path}, and its states are computed again")
        texts = np.load(BytesIO(content), allow_pickle=False)  # (texts, 3)
        pieces = texts[:, 2]  # (texts,)
        starts = np.cumsum(pieces) - pieces  # (texts,)
        shape = (int(pieces.sum()), self._about["dim"])
        number = len(self._segments)
        self._segments.append(_Segment(path, shape, self._dtype, about.get("states_checksum")))
        keys = (row.tobytes() for row in np.ascontiguousarray(texts[:, :2]))
        self._places |= {key: (number, start) for key, start in zip(keys, starts.tolist(), strict=True)}

    def fill(
        self, encoder: TransformerEncoder, keys: Mapping[SubwordTexts, Sequence[bytes]], *, progress: bool
    ) -> None:
        """Computes and writes the states of all texts that are not there.

        Args:
            encoder: what reads them.
            keys: the texts of several splits, and by what each of them is known.
            progress: whether to show a bar where it takes long.

        Raises:
            InputError: a state does not fit into 16 bits.
            _NotKeptError: there is no room, or the folder cannot be written.
        """
        distinct: dict[bytes, tuple[SubwordTexts, int]] = {}
        for texts, own in keys.items():
            for row, key in enumerate(own):
                distinct.setdefault(key, (texts, row))
        missing: dict[SubwordTexts, list[int]] = {texts: [] for texts in keys}
        sizes = {True: 0, False: 0}  # bytes of what is there, and of what is not
        for key, (texts, row) in distinct.items():
            sizes[key in self._places] += int(texts.pieces[row]) * self._bytes
            if key not in self._places:
                missing[texts].append(row)
        self.told = f"{_mb(sizes[True])} found in"
        if sizes[False]:
            seconds = self._write(encoder, missing, keys, size=sizes[False], progress=progress)
            found = f"{_mb(sizes[True])} found in, " if sizes[True] else ""
            self.told = f"{found}{_mb(sizes[False])} computed in {seconds:.0f} s and written to"
            self._look()

    def _write(
        self,
        encoder: TransformerEncoder,
        missing: Mapping[SubwordTexts, Sequence[int]],
        keys: Mapping[SubwordTexts, Sequence[bytes]],
        *,
        size: int,
        progress: bool,
    ) -> float:
        """Writes the states of missing texts; returns how many seconds it took."""
        started = time.perf_counter()
        try:
            self.folder.mkdir(exist_ok=True)
            free = shutil.disk_usage(self.folder).free
            if free < size + _SPARE:
                raise _NotKeptError(f"{_mb(size)} do not fit into {self.folder}, where {_mb(free)} are free")
            with tqdm(total=size // self._bytes, unit="piece", delay=2, disable=is_quiet() or not progress) as bar:
                batches = self._computed(encoder, missing, keys, bar)
                for first in batches:
                    self._write_segment(chain([first], batches))
        except OSError as error:
            raise _NotKeptError(f"{self.folder} cannot be written ({error.strerror})") from None
        return time.perf_counter() - started

    def _computed(
        self,
        encoder: TransformerEncoder,
        missing: Mapping[SubwordTexts, Sequence[int]],
        keys: Mapping[SubwordTexts, Sequence[bytes]],
        bar: tqdm,
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Rows of texts.npy, (texts, 3), and the states of these texts, (pieces, dim), batch after batch."""
        device = next(encoder.parameters()).device
        for texts, rows in missing.items():
            for some in _of_like_length(texts.pieces, np.asarray(rows, dtype=np.int64)):
                batch: Any = _batch(texts, some).to(device)
                with torch.no_grad():
                    states = encoder.lower_states(batch)  # (windows, pieces, dim)
                states = states[token_mask(batch.windows.lengths, states)].to(self._dtype).cpu()  # (pieces, dim)
                if not states.isfinite().all():
                    given = f"--frozen-states-dtype {self._about['dtype']}"
                    raise InputError(f"{given}: this encoder has larger states; expected float32 or bfloat16")
                known = np.frombuffer(b"".join(keys[texts][row] for row in some), dtype=np.int64)
                yield np.column_stack([known.reshape(-1, 2), texts.pieces[some]]), states
                bar.update(len(states))

    def _write_segment(self, batches: Iterable[tuple[np.ndarray, Tensor]]) -> None:
        """Writes what is computed until it is a segment, whole or not at all."""
        whole = self.folder / uuid4().hex
        part = whole.with_suffix(_UNFINISHED)
        part.mkdir()
        try:
            texts, size, checksum = [], 0, 0
            with (part / "states.bin").open("wb") as file:
                for rows, states in batches:
                    content = states.view(torch.uint8).numpy().data
                    file.write(content)
                    checksum, size = zlib.crc32(content, checksum), size + content.nbytes
                    texts.append(rows)
                    if size >= _SEGMENT:
                        break
            np.save(part / "texts.npy", np.concatenate(texts))
            sums = {"texts_checksum": _checksum(part / "texts.npy"), "states_checksum": checksum}
            (part / "about.json").write_text(json.dumps(self._about | sums, indent=2) + "\n", encoding="utf-8")
            part.rename(whole)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def states(self, keys: Sequence[bytes], pieces: np.ndarray) -> "_States":
        """What gives the states of some texts, by what each is known and how many pieces it has, (texts,)."""
        places = np.array([self._places[key] for key in keys], dtype=np.int64)  # (texts, 2)
        for number in {*places[:, 0].tolist()} - {*self._mapped}:
            self._mapped[number] = self._segments[number].mapped()
        return _States(self._mapped, places, pieces)


@dataclass(frozen=True)
class _States:
    """The states of the texts of a split.

    Attributes:
        segments: by its number (pieces, dim).
        places: (texts, 2), the segment of each text, and its first piece there.
        pieces: (texts,).
    """

    segments: Mapping[int, Tensor]
    places: np.ndarray
    pieces: np.ndarray

    def __call__(self, rows: np.ndarray) -> Tensor:
        """Those of some texts, one after the other: (pieces of these texts, dim)."""
        own = zip(self.places[rows].tolist(), self.pieces[rows].tolist(), strict=True)
        return torch.cat([self.segments[number][start : start + size] for (number, start), size in own])


def _of_like_length(pieces: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Some of the texts that have these pieces, (texts,), in batches of like length."""
    rows = rows[np.argsort(pieces[rows], kind="stable")]
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * pieces[rows[end]] > _AT_ONCE:
            yield rows[start:end]
            start = end


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _remove_rubbish(path: Path) -> None:
    """Removes what a process that was killed has left."""
    with suppress(OSError):  # another process was faster
        if time.time() - max(own.stat().st_mtime for own in (path, *path.iterdir())) > _RUBBISH:
            shutil.rmtree(path)
