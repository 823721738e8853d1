"""A run's folder: what is written where, and reading it back."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState

from graphmtl.config import FORMAT, Options
from graphmtl.data.fingerprint import check_data
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError, check_kind, shown
from graphmtl.files import PART, alone, read_json, read_json_lines, remove, write_whole, writing
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import CHOOSING, read_options
from graphmtl.training.conflict import GradientConflict

__all__ = ["ANSWERS", "REMARKS", "VALIDATION", "Run", "open_runs"]

ANSWERS = "self_training.json"  # to unlabelled texts, which the run has learned
REMARKS = "remarks.json"  # what a reader of the scores should know of the data
VALIDATION = "validation.json"  # of a run that was trained and not tested, in place of metrics.json

_REPLACED = "replaced"  # a finished run that --overwrite replaces, until its successor has finished
_LOCK = ".lock"
_WRITTEN = (  # all that a run and the verbs leave in its folder
    *("config.yaml", "data.json", "metrics.json", "evaluation.json", "explanation.json", "transfer.json"),
    *("task_graph.json", "task_affinity.json", "task_transferability.json", "task_graph.png", "report.html"),
    *("task_linear.json", "task_linear_permuted.json"),
    *("history.jsonl", "graph_history.jsonl"),
    *("gradient_conflict.json", "trackers.json", "model", "checkpoints", "tensorboard", "wandb", "refit", "teachers"),
    *("controls", "affinity", "benefit", "baselines.json", "test_answers.npz", "truth.json"),
    *(VALIDATION, REMARKS, ANSWERS),
    *("pretrained.safetensors", "pretraining.json", "texts.sha256", "vocabulary.txt", "tokenizer.json"),
)
_SCORES: dict[str, Any] = {"arch": str, "tasks": dict, "mean": dict, "seed": int, "parameters": int, "cut_short": list}
_SCORES |= {"train_seconds": int | float, "best_epoch": int | dict, "versions": dict, "budget": dict}
_OF_RUNS_ALONE = {"config.yaml", "checkpoints", "history.jsonl", "metrics.json", "model"}
_BUDGET = {"batch_size", "batches", "epochs"}
_MOST_ANSWERS = 1 << 30  # bytes


class Run:
    """A run's folder.

    ``config.yaml``, ``data.json``, ``metrics.json``, ``model/``, ``task_graph.json``, ``task_graph.png``,
    ``history.jsonl`` and ``checkpoints/``; ``star`` also has ``task_affinity.json`` and
    ``task_transferability.json``, those whose linear models read each other ``task_linear.json``, all that have
    edges ``graph_history.jsonl``, those whose tasks' gradients were measured ``gradient_conflict.json``, those of a
    generated task set ``truth.json``, and what `graphmtl transfer` wrote ``transfer.json``. In
    ``controls/shuffled`` stands a run of the same form on shuffled labels.

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
            self._check_same(options)
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
        remove(self.folder / _REPLACED)

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
        replaced = self.folder / _REPLACED
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
        for config in (self.folder / "config.yaml", self.folder / _REPLACED / "config.yaml"):
            if config.is_file() and re.search(r"^format:", config.read_text(errors="replace"), re.MULTILINE):
                return True
        if not self.folder.is_dir():
            return False
        names = {path.name for path in self.folder.iterdir() if not _is_part(path.name)}
        only_ours = names <= {*_WRITTEN, _LOCK, _REPLACED}
        if "config.yaml" in names and not (self.folder / "config.yaml").stat().st_size:
            return only_ours
        return only_ours and "data.json" in names and len(names & _OF_RUNS_ALONE) > 0

    def _taken(self) -> bool:
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(path.name != _LOCK and not _is_part(path.name) for path in self.folder.iterdir())

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """A finished run.

        Raises:
            InputError: there is no such folder, it is no run's, of another format, or the run has not finished.
        """
        run = cls(folder)
        if not run.folder.is_dir():
            found = "a file" if run.folder.exists() else "no such run folder"
            raise InputError(f"{folder}: {found}; a RUN is the folder that `graphmtl run` has written")
        if not (run.folder / "config.yaml").is_file():
            raise InputError(f"{folder}: not a run's folder, since it has no config.yaml")
        run.options  # noqa: B018  reads and checks config.yaml
        if not (run.folder / "metrics.json").is_file():
            earlier = run.folder / _REPLACED
            before = f"; the one before it stands in {earlier}" if earlier.is_dir() else ""
            raise InputError(f"{folder}: the run has not finished (no metrics.json); go on with `run --resume`{before}")
        return run

    def _check_same(self, options: Options) -> None:
        ours, theirs = asdict(options), asdict(self.options)
        free = (
            *("resume", "overwrite", "output", "progress", "device", "baselines", "control", "write_submission"),
            "frozen_states",
        )
        for key in (*CHOOSING, *(key for key in ours if key not in (*free, *CHOOSING))):
            if ours[key] != theirs[key]:
                raise InputError(
                    f"{self.folder}/config.yaml: {key} is {shown(theirs[key])}, not {shown(ours[key])}; a run is "
                    f"resumed with the options it was started with (--config {self.folder}/config.yaml)"
                )

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

    @cached_property
    def metrics(self) -> dict:
        """``metrics.json``.

        Raises:
            InputError: it holds something else.
        """
        return _scores(self.folder / "metrics.json", ("valid", "test", "test_dedup"))

    @cached_property
    def validation(self) -> dict:
        """``validation.json``, of a run that was not tested.

        Raises:
            InputError: it holds something else.
        """
        return _scores(self.folder / VALIDATION, ("valid",))

    def write_json(self, name: str, content: dict) -> None:
        """Writes a file of the run, as a whole or not at all; one that is there is replaced.

        Raises:
            InputError: it cannot be written.
        """
        write_whole(self.folder / name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    @cached_property
    def remarks(self) -> dict | None:
        """``remarks.json``, see :func:`~graphmtl.training.run_data.remarks`; None of a run that has none.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / REMARKS
        if not path.is_file():
            return None
        found = read_json(path)
        overlap, lines = found.get("overlap"), found.get("lines")
        counts = [*overlap.values()] if isinstance(overlap, dict) else [None]
        if not all(_are(int, own) for own in counts):
            raise _not_ours(path, "overlap", overlap)
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise _not_ours(path, "lines", lines)
        return found

    @cached_property
    def model(self) -> MultiTaskModel:
        """The trained model, ready to predict."""
        folder = self.folder / "model"
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return MultiTaskModel.from_pretrained(folder)

    @cached_property
    def task_graph(self) -> TaskGraph:
        """``task_graph.json``."""
        return TaskGraph.load(self.folder / "task_graph.json")

    @property
    def answers(self) -> dict[str, dict[str, list[str]]] | None:
        """``self_training.json``: the unlabelled texts that the run has learned, and their labels, by task.

        Raises:
            InputError: the file holds something else.
        """
        path = self.folder / ANSWERS
        if not path.is_file():
            return None
        found = read_json(path, most=_MOST_ANSWERS)
        if not all(map(_are_answers, found.values())):
            raise InputError(f"{path}: expected of each task texts and as many labels")
        return found

    @cached_property
    def task_affinity(self) -> TaskGraph | None:
        """``task_affinity.json``, of a star graph."""
        return self._graph("task_affinity.json")

    @cached_property
    def task_transferability(self) -> TaskGraph | None:
        """``task_transferability.json``, of a star graph."""
        return self._graph("task_transferability.json")

    @cached_property
    def task_linear(self) -> TaskGraph | None:
        """``task_linear.json``: whom the linear models of words read, with ``--wide``."""
        return self._graph("task_linear.json")

    @cached_property
    def task_linear_permuted(self) -> TaskGraph | None:
        """``task_linear_permuted.json``: the same of what is said of other texts."""
        return self._graph("task_linear_permuted.json")

    def _graph(self, name: str) -> TaskGraph | None:
        path = self.folder / name
        return TaskGraph.load(path) if path.is_file() else None

    @property
    def control(self) -> "Run | None":
        """The same run on shuffled labels, in ``controls/shuffled``; None where it is not there or not finished."""
        folder = self.folder / "controls" / "shuffled"
        return Run.open(folder) if (folder / "metrics.json").is_file() else None

    @cached_property
    def truth(self) -> PlantedTruth | None:
        """``truth.json``, of a task set whose true task graph is known.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / "truth.json"
        if not path.is_file():
            return None
        try:
            return PlantedTruth.from_dict(read_json(path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: not what graphmtl writes there ({type(error).__name__}: {error})") from None

    @cached_property
    def graph_history(self) -> list[tuple[int, TaskGraph]]:
        """``graph_history.jsonl``: each evaluation's epoch and task graph of the validation split.

        Raises:
            InputError: there is none or it has no edges, as for architectures without a graph, or a line is damaged.
        """
        path = self.folder / "graph_history.jsonl"
        if not path.is_file():
            raise InputError(f"{path}: no such file; `graphmtl run` writes it for architectures that have edges")
        history = []
        for number, record in enumerate(read_json_lines(path), 1):
            try:
                edges = tuple(Edge(**edge) for edge in record["edges"])
                history.append((int(record["epoch"]), replace(self.task_graph, split="valid", edges=edges)))
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise InputError(f"{path}, line {number}: no epoch and edges of a task graph: {error}") from None
        if not any(graph.edges for _, graph in history):
            raise InputError(f"{path}: no evaluation has a graph with edges")
        return history

    @cached_property
    def gradient_conflict(self) -> GradientConflict | None:
        """``gradient_conflict.json``, of a run whose tasks' gradients were measured.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / "gradient_conflict.json"
        return GradientConflict.of_json(read_json(path), path) if path.is_file() else None

    @cached_property
    def transfer(self) -> dict:
        """``transfer.json``, of a run in which new tasks joined the graph of another."""
        return read_json(self.folder / "transfer.json")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


def _is_part(name: str) -> bool:
    """Whether a file is one that a killed process has not written to its end."""
    return name.startswith(".") and name.endswith(PART)


class _Scores(dict):
    """A part of a file of scores; what is looked for and not there is named.

    Args:
        found: the part.
        path: the file.
    """

    def __init__(self, found: Mapping[str, Any], path: Path) -> None:
        super().__init__(found)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self._path}: not what graphmtl writes there (no {key})")


def _scores(path: Path, splits: Sequence[str]) -> dict[str, Any]:
    """A file of scores, each part of its kind; one that only later versions write may be missing."""
    found = _Scores(read_json(path), path)
    for key, kind in _SCORES.items():
        if key in found and not isinstance(found[key], kind):
            raise _not_ours(path, key, found[key])
    best, parts = found.get("best_epoch", 0), found.get("budget", {})
    if not _are(int, best if isinstance(best, dict) else {"": best}):
        raise _not_ours(path, "best_epoch", best)
    for group, own in parts.items():
        if not _are(int, own) or {*own} != _BUDGET:
            raise _not_ours(path, f"budget of {group}", own)
    scores = {"mean": found["mean"]}
    for name, own in found["tasks"].items():
        if not isinstance(own, dict) or not isinstance(own.get("metric"), str):
            raise _not_ours(path, f"task {shown(name)}", own)
        _check_sizes_and_classes(path, name, own)
        scores |= {f"{split} of task {name}": own.get(split) for split in splits}
    for where, own in scores.items():
        if not _are(float, own):
            raise _not_ours(path, where, own)
    found["mean"] = _Scores(found["mean"], path)
    for name, own in found["tasks"].items():
        scores = {split: _Scores(own[split], path) for split in splits}
        found["tasks"][name] = _Scores({**own, **scores}, path)
    return found


def _check_sizes_and_classes(path: Path, name: str, own: Mapping[str, Any]) -> None:
    sizes = {key: value for key, value in own.items() if key.startswith("n_")}
    if not _are(int, sizes):
        raise _not_ours(path, f"task {shown(name)}", sizes)
    for key in ("classes", "types"):
        found = own.get(key) or {}
        if not isinstance(found, dict) or not all(_are(float, each) for each in found.values()):
            raise _not_ours(path, f"{key} of task {name}", found)


def _are(kind: type, found: object) -> bool:
    """Whether this is an object of whole numbers, or of numbers that may be null."""
    if not isinstance(found, dict):
        return False
    values = [each for each in found.values() if kind is int or each is not None]
    return all(isinstance(each, int | kind) and not isinstance(each, bool) for each in values)


def _not_ours(path: Path, where: str, found: object) -> InputError:
    return InputError(f"{path}: not what graphmtl writes there ({where}: found {shown(found)})")


def open_runs(folders: Sequence[Path | str]) -> list[Run]:
    """Several finished runs.

    Raises:
        InputError: one is no finished run, or given twice.
    """
    places = [Path(folder).resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise InputError(f"RUN: found {max(places, key=places.count)} twice, expected different runs")
    return [Run.open(folder) for folder in folders]


def _are_answers(found: Any) -> bool:
    """Texts, and as many labels."""
    columns: list[Any] = [found.get("text"), found.get("label")] if isinstance(found, dict) else [None]
    if not all(isinstance(own, list) and all(isinstance(value, str) for value in own) for own in columns):
        return False
    return len(columns[0]) == len(columns[-1])
