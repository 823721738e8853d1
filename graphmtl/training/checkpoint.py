"""The folders that resuming needs: each is written as a whole or not at all, and the last two are kept.

``checkpoints/epoch-3`` stands where three epochs are done, ``epoch-3-update-412`` where a fourth was interrupted after
412 updates. ``checksums.json`` has the SHA-256 of every file: damage is named, and the checkpoint before is taken. No
file is a pickle, so that none can execute anything.
"""

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from graphmtl.errors import InputError, note
from graphmtl.files import read_json, write_whole, writing
from graphmtl.training.state_file import load_state, save_state

__all__ = ["Checkpoints"]

_REVISION = 2  # goes up where the same options train otherwise, so that no run is begun in one way and ended in another
_KEPT = 2
_NAME = re.compile(r"epoch-(\d+)(?:-update-(\d+))?")
_SUMS = "checksums.json"
_STATE = "trainer.safetensors"
_UNFINISHED, _GONE = _PARTS = (".unfinished", ".gone")  # end the names of what is not written, or removed, to its end


@dataclass(frozen=True)
class Checkpoints:
    """``checkpoints/`` of a run.

    Args:
        folder: where they stand.
        accelerator: says which process this is, and has the scaler of float16.
        parts: the model, the optimiser and the schedule as accelerate has prepared them, by name.
    """

    folder: Path
    accelerator: Accelerator
    parts: Mapping[str, Any]

    def save(self, state: dict, *, epoch: int, update: int = 0) -> None:
        """Writes a checkpoint, and removes those before the last two; every process must call it.

        It is written under another name first, so that an interruption leaves those before it. All processes but the
        first write no more than their random states.

        Args:
            state: tensors, arrays, numbers, texts, and lists, tuples and dicts of them.
            epoch: the number of epochs done.
            update: the updates, of the whole training, after which a further epoch was interrupted; 0: it was not.
        """
        target = self.folder / (f"epoch-{epoch}-update-{update}" if update else f"epoch-{epoch}")
        unfinished = self.folder / f"{target.name}{_UNFINISHED}"
        first = self.accelerator.is_main_process
        if first:
            _remove(unfinished)
            with writing(target):
                self.folder.mkdir(exist_ok=True)  # the run's folder is there, or was removed
                unfinished.mkdir()
        self.accelerator.wait_for_everyone()
        with writing(target):
            self._write(unfinished, state)
            self.accelerator.wait_for_everyone()
            if first:
                sums = {path.name: _checksum(path) for path in sorted(unfinished.iterdir())}
                write_whole(unfinished / _SUMS, json.dumps(sums, indent=2) + "\n")
                _remove(target)
                unfinished.rename(target)
        if first:
            self._keep_the_last()
        self.accelerator.wait_for_everyone()

    def _write(self, unfinished: Path, state: dict) -> None:
        save_state(unfinished / self._random, _random_state(self.accelerator.device))
        if self.accelerator.is_main_process:
            for name, part in self._parts():
                save_state(unfinished / f"{name}.safetensors", part.state_dict())
            save_state(unfinished / _STATE, {"revision": _REVISION, **state})

    def load(self, put_back: Callable[[dict], None]) -> None:
        """Puts back what :meth:`save` wrote last, if anything; of its state ``put_back`` does so.

        One that is damaged is named, and the one before it taken.

        Raises:
            InputError: all are damaged, or the last one was written by more or fewer processes, or by a version of
                graphmtl that trains otherwise or whose states have another form.
        """
        found = [*self._found()]
        for place, path in enumerate(found):
            fault = _fault(path)
            if fault is None:
                self._put_back(path, put_back)
                return
            if place == len(found) - 1:
                raise InputError(f"{fault}; no checkpoint is left to go on from: --overwrite begins anew")
            if self.accelerator.is_main_process:
                note(f"{fault}; {found[place + 1].name} is gone on from")

    def _put_back(self, path: Path, rest: Callable[[dict], None]) -> None:
        if not (path / self._random).is_file():
            theirs, ours = len([*path.glob("random-*.safetensors")]), self.accelerator.num_processes
            raise InputError(f"{path}: written by {theirs} processes, found {ours}; resume with as many")
        state = load_state(path / _STATE)
        if (found := state.pop("revision", 1)) != _REVISION:
            raise _of_another_version(path, f"which trains otherwise (revision {found}, this one {_REVISION})")
        with _of_this_version(path):
            for name, part in self._parts():
                part.load_state_dict(load_state(path / f"{name}.safetensors"))
            rest(state)
        _set_random_state(load_state(path / self._random), self.accelerator.device)

    @property
    def _random(self) -> str:
        return f"random-{self.accelerator.process_index}.safetensors"

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """All that has a state, under the names of their files."""
        for name, part in self.parts.items():
            yield name, self.accelerator.unwrap_model(part) if isinstance(part, torch.nn.Module) else part
        if self.accelerator.scaler is not None:
            yield "scaler", self.accelerator.scaler

    def _found(self) -> list[Path]:
        """Those that are whole, the last first; whatever else stands in the folder is left alone."""
        names = {path: _NAME.fullmatch(path.name) for path in self.folder.glob("epoch-*") if path.is_dir()}
        places = {path: (int(name[1]), int(name[2] or 0)) for path, name in names.items() if name}
        written = [path for path in places if any(path.iterdir())]
        return sorted(written, key=places.__getitem__, reverse=True)

    def _keep_the_last(self) -> None:
        parts = (each for suffix in _PARTS for each in self.folder.glob(f"epoch-*{suffix}"))
        for path in (*self._found()[_KEPT:], *parts):
            _remove(path)


def _remove(path: Path) -> None:
    """Removes a folder; the first thing to go is its name, so that a part of it is never taken for the whole."""
    if path.suffix not in _PARTS and path.is_dir():
        gone = path.with_name(f"{path.name}{_GONE}")
        shutil.rmtree(gone, ignore_errors=True)
        path = path.rename(gone)
    shutil.rmtree(path, ignore_errors=True)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, if anything."""
    if not (path / _SUMS).is_file():
        return f"{path}: no {_SUMS}; damaged, or written by an earlier version of graphmtl"
    try:
        sums = read_json(path / _SUMS)
    except InputError as error:
        return str(error)
    for name, expected in sums.items():
        own = path / name
        if not own.is_file():
            return f"{path}: {name} is missing"
        if _checksum(own) != expected:
            return f"{own}: damaged (its checksum is not that of {_SUMS})"
    return None


@contextmanager
def _of_this_version(path: Path) -> Iterator[None]:
    """What a whole checkpoint holds and cannot be put back is of another version's form."""
    try:
        yield
    except (InputError, torch.OutOfMemoryError):
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise _of_another_version(path, f"whose states have another form ({why})") from error


def _of_another_version(path: Path, which: str) -> InputError:
    return InputError(
        f"{path}: written by another version of graphmtl, {which}; go on with that one, or --overwrite begins anew"
    )


def _random_state(device: torch.device) -> dict[str, Any]:
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state()
    return state


def _set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if device.type != "cpu" and "device" in state:
        torch.get_device_module(device).set_rng_state(state["device"])
