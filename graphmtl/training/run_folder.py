"""A run's folder while it is written: made, held by one process, gone on with, replaced."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState

from graphmtl.config import FORMAT, Options
from graphmtl.data.fingerprint import check_data
from graphmtl.errors import InputError, check_kind, shown
from graphmtl.files import PART, alone, remove, write_whole, writing
from graphmtl.graph.task_graph import BESIDE
from graphmtl.options import CHOOSING, read_options
from graphmtl.training.run_files import ANSWERS, REMARKS, VALIDATION

__all__ = ["REPLACED", "RunFolder"]

REPLACED = "replaced"  #: a finished run that --overwrite replaces, until its successor has finished
_LOCK = ".lock"
_WRITTEN = (  # all that a run and the verbs leave in its folder
    *("config.yaml", "data.json", "metrics.json", "evaluation.json", "explanation.json", "transfer.json"),
    *("task_graph.json", *(f"task_{name}.json" for name in BESIDE), "task_linear_permuted.json"),
    *("task_graph.png", "history.png", "text.png", "report.html"),
    *("model.onnx", "model.vocabulary.txt", "model.tokenizer.json", "profile.json.gz"),
    *("history.jsonl", "graph_history.jsonl"),
    *("gradient_conflict.json", "trackers.json", "model", "checkpoints", "tensorboard", "wandb", "refit", "teachers"),
    *("controls", "affinity", "benefit", "baselines.json", "test_answers.npz", "truth.json"),
    *(VALIDATION, REMARKS, ANSWERS),
    *("pretrained.safetensors", "pretraining.json", "texts.sha256", "vocabulary.txt", "tokenizer.json"),
)
_OF_RUNS_ALONE = {"config.yaml", "checkpoints", "history.jsonl", "metrics.json", "model"}


class RunFolder:
    """A folder that a run is written into: by one process at a time, and what stands there is not lost.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path | str):
        check_kind("folder", folder, (str, os.PathLike), "the path of a run's folder")
        self.folder = Path(folder)

    def check(self, options: Options, data: Mapping[str, Any] | None = None) -> None:
        """Whether a run with these options, and data of this fingerprint, may be written here; changes nothing.

        Raises:
            InputError: the folder exists and neither ``resume`` nor ``overwrite`` says what to do, or it is not a
                run's folder, or the run to be resumed had other options or other data.
        """
        if not self._taken():
            return
        if options.resume:
            self.check_options(options)
            if data is not None:
                goes_on = "a run goes on with the data it began with; --overwrite begins anew, --output elsewhere"
                self.check_data(data, in_order=True, otherwise=goes_on)
            return
        if not options.overwrite:
            raise InputError(
                f"{self.folder} exists: --overwrite replaces it, --resume goes on with it, --output names another "
                "(in Python overwrite=True, resume=True, output=...)"
            )
        if not self._holds_a_run():
            raise InputError(
                f"{self.folder} is not a run's folder (no config.yaml with a format), so --overwrite leaves it alone"
            )

    def check_data(
        self,
        data: Mapping[str, Any],
        *,
        in_order: bool = False,
        otherwise: str = "put back what the run was trained on, or train a new run on what is there now",
    ) -> None:
        """Whether data of this fingerprint is the run's; runs of earlier versions have not written down theirs.

        Args:
            data: what :func:`~graphmtl.data.fingerprint.fingerprint` says of the data.
            in_order: the examples of a split must stand in the same order too.
            otherwise: what can be done, for the message.

        Raises:
            InputError: it is not; the message says in what it differs.
        """
        path = self.folder / "data.json"
        check_data(path, data, tasks=self.options.tasks, in_order=in_order, otherwise=otherwise)

    def check_kept(self, folders: Iterable[Path | str | None]) -> None:
        """Whether ``overwrite`` would leave folders alone that are still to be read.

        Raises:
            InputError: one of them is this folder or stands in it.
        """
        for folder in folders:
            if folder is not None and Path(folder).resolve().is_relative_to(self.folder.resolve()):
                raise InputError(f"--output {self.folder}: --overwrite would remove {folder}, which this run reads")

    def create(self, options: Options, data: Mapping[str, Any] | None = None) -> None:
        """Makes the folder and writes ``config.yaml`` and ``data.json``, the fingerprint of the data.

        With ``resume`` a run of the same options and data is taken as it is.

        With ``overwrite`` an earlier, finished run is moved to ``replaced/``, where it stays until this one has
        finished (:meth:`finish`); an unfinished one is removed. Other files in the folder stay.

        What ``resume`` and ``overwrite`` allowed is not written down, so that ``--config`` does not allow it again.

        Raises:
            InputError: as :meth:`check`, or the folder cannot be made.
        """
        self.check(options, data)
        if self._taken() and not options.resume:
            self._make_room()
        self._make()
        if not (self.folder / "config.yaml").is_file():
            config = {"format": FORMAT, **asdict(replace(options, resume=False, overwrite=False))}
            write_whole(self.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        if data is not None and not (self.folder / "data.json").is_file():
            self.write_json("data.json", dict(data))

    def finish(self, metrics: dict) -> None:
        """Writes ``metrics.json``, with which a run has finished, and removes the one that it replaces."""
        self.write_json("metrics.json", metrics)
        remove(self.folder / REPLACED)

    @contextmanager
    def begun(self, options: Options, data: Mapping[str, Any] | None = None) -> Iterator[None]:
        """While it lasts, the processes that were started together train the run, and no others may.

        The main one makes the folder (:meth:`create`), for which the others wait, and at the end all for each other. To
        be entered after all that may find a mistake, so that no mistake costs a run that is there.

        Raises:
            InputError: as :meth:`create` and :meth:`held`.
        """
        state = PartialState()
        state.wait_for_everyone()
        with self.held() if state.is_main_process else nullcontext():
            if state.is_main_process:
                self.create(options, data)
            state.wait_for_everyone()
            yield
            state.wait_for_everyone()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it lasts, no other process may train a run in this folder.

        Raises:
            InputError: another one does, or the folder cannot be made.
        """

        def refuse() -> None:
            number = ""
            with suppress(OSError):  # it has ended meanwhile
                number = lock.read_text().strip()
            raise InputError(f"{self.folder}: another process{f' ({number})' if number else ''} trains this run")

        lock = self.folder / _LOCK
        self._make()
        with writing(lock), alone(lock, otherwise=refuse):
            try:
                yield
            finally:
                remove(lock)  # while it is held, so that nobody holds another one beside it

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: the folder cannot be made ({error.strerror})") from None

    def _make_room(self) -> None:
        """Moves a finished run aside, ``metrics.json`` last, so that a whole one always stands somewhere."""
        replaced = self.folder / REPLACED
        try:
            if (self.folder / "metrics.json").is_file():
                if (replaced / "metrics.json").is_file():  # of the run before, which was to be removed
                    shutil.rmtree(replaced)
                replaced.mkdir(exist_ok=True)
                for path in self._own():
                    remove(replaced / path.name)
                    path.rename(replaced / path.name)
            for path in self._own():
                remove(path)
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be moved or removed ({error.strerror})") from None

    def _own(self) -> list[Path]:
        """What a run and the verbs have left in the folder.

        Last what a run is known by, so that the folder is one's whenever the process is killed: ``config.yaml``, and
        ``metrics.json``, with which it has finished.
        """
        names = {path.name for path in self.folder.iterdir()}
        last = ("config.yaml", "metrics.json")
        whole = [name for name in _WRITTEN if name in names and name not in last]
        parts = [name for name in names if _is_part(name)]
        return [self.folder / name for name in (*whole, *parts, *(name for name in last if name in names))]

    def _holds_a_run(self) -> bool:
        """Whether a run was written here, to its end or not.

        One that is moved aside counts, and one whose ``config.yaml`` is empty, damaged or gone where nothing else is in
        the folder than what a run writes.
        """
        for config in (self.folder / "config.yaml", self.folder / REPLACED / "config.yaml"):
            if config.is_file() and re.search(r"^format:", config.read_text(errors="replace"), re.MULTILINE):
                return True
        if not self.folder.is_dir():
            return False
        names = {path.name for path in self.folder.iterdir() if not _is_part(path.name)}
        only_ours = names <= {*_WRITTEN, _LOCK, REPLACED}
        if "config.yaml" in names and not (self.folder / "config.yaml").stat().st_size:
            return only_ours
        return only_ours and "data.json" in names and len(names & _OF_RUNS_ALONE) > 0

    def _taken(self) -> bool:
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(path.name != _LOCK and not _is_part(path.name) for path in self.folder.iterdir())

    def check_options(self, options: Options, *, otherwise: str = "") -> None:
        """Whether the run is one with these options, but for such as change nothing that it learns.

        Args:
            options: those that are asked for.
            otherwise: what helps; by default that a run is resumed with its own.

        Raises:
            InputError: one differs.
        """
        own = f"{self.folder}/config.yaml"
        otherwise = otherwise or f"a run is resumed with the options it was started with (--config {own})"
        ours, theirs = asdict(options), asdict(self.options)
        free = (
            *("resume", "overwrite", "output", "progress", "device", "baselines", "control", "write_submission"),
            "frozen_states",
        )
        for key in (*CHOOSING, *(key for key in ours if key not in (*free, *CHOOSING))):
            if ours[key] != theirs[key]:
                raise InputError(f"{own}: {key} is {shown(theirs[key])}, not {shown(ours[key])}; {otherwise}")

    def check_writable(self) -> None:
        """Whether files can be written into the folder, which a long work is to end with.

        Raises:
            InputError: they cannot.
        """
        if not os.access(self.folder, os.W_OK):
            raise InputError(
                f"{self.folder}: no file can be written into the folder (no permission, or a read-only disk)"
            )

    @cached_property
    def options(self) -> Options:
        """The options in ``config.yaml``.

        Raises:
            InputError: there is none, or it is of another format.
        """
        return read_options(self.folder / "config.yaml", written_by_a_run=True)

    def write_json(self, name: str, content: dict) -> None:
        """Writes a file of the run, as a whole or not at all; one that is there is replaced.

        Raises:
            InputError: it cannot be written.
        """
        write_whole(self.folder / name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _is_part(name: str) -> bool:
    """Whether a file is one that a killed process has not written to its end."""
    return name.startswith(".") and name.endswith(PART)
