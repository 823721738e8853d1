"""The trainings that say which task helps which: subsets of a run's tasks, each with the run's options and no others.

The folder of such trainings:

- ``about.json``: the options of all; who goes on must have the same. ``data.json``: a fingerprint of the data.
- ``cells/NAME-SEED.json``: what a training came to; what is there is not trained again. Its model is not kept.

All read the data of the run, whatever their seed, which is that of the first weights and of the order of the batches.

A task has the same number of updates in all of them, but for rounding: the batches are those of the whole run, nothing
ends early, and the epochs follow from the sampling. With ``proportional`` an epoch has each text once, whoever else is
there; otherwise fewer tasks have shorter epochs and get more or fewer of them.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from hashlib import sha256
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from graphmtl.analysis.ablation import measure
from graphmtl.analysis.affinity import logit_correlation, probe_batches
from graphmtl.analysis.faithfulness import draw_texts, explain_model
from graphmtl.architectures.architecture import TopologyOptions
from graphmtl.config import Options
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.fingerprint import check_data, fingerprint
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskSet
from graphmtl.errors import DataWarning, InputError, note, shown
from graphmtl.files import read_json, written_whole
from graphmtl.generators import generators_kept
from graphmtl.graph.topology import Topology
from graphmtl.layers.interaction import Ablation
from graphmtl.models.word_encoder import WordEncoderOptions
from graphmtl.options import changed
from graphmtl.training.budget import budget
from graphmtl.training.building import build_model
from graphmtl.training.device import reading_device
from graphmtl.training.distillation import DistillationOptions
from graphmtl.training.look_ahead import LookAhead
from graphmtl.training.pretraining import load_pretrained
from graphmtl.training.run import Run
from graphmtl.training.run_data import all_splits, load_run_tasks, read_frozen_once
from graphmtl.training.sampling import TaskSampler
from graphmtl.training.trainer import Trainer
from graphmtl.training.wide import fit_wide_parts
from graphmtl.training.wide_shares import choose_shares
from graphmtl.verbosity import is_quiet, say

__all__ = ["BenefitRuns", "Cell", "Outcome"]

_LONGEST = 100  # characters of the name of a file
_LOOKS = 24  # ahead, in a whole training
_OF_A_RUN = (
    *("seed", "output", "resume", "overwrite", "progress", "device", "data_dir", "track", "write_submission"),
    *("baselines", "frozen_states"),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A training.

    Attributes:
        name: what its file is called, but for the seed.
        tasks: those that are trained, in the order of the run.
        seed: of the training.
        edges: (source, target), where these alone are there; None: all.
        pictures: whether the model's pictures are drawn, on the validation split.
    """

    name: str
    tasks: tuple[str, ...]
    seed: int
    edges: tuple[tuple[str, str], ...] | None = None
    pictures: bool = False

    @property
    def file(self) -> str:
        """What its outcome is called."""
        name = self.name if len(self.name) <= _LONGEST else sha256(self.name.encode()).hexdigest()[:32]
        return f"{name.replace('/', '_')}-{self.seed}.json"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training came to.

    Attributes:
        losses: of each task's test texts, minus the log-likelihood of the right labels, (texts,).
        scores: of each task its first metric on the test split, from 0 to 1; nan where it has none.
        updates: the batches of each task's corpus that were trained on; on average, where they are drawn.
        pictures: (targets, sources) each, nan where there is no edge.
    """

    losses: dict[str, np.ndarray]
    scores: dict[str, float]
    updates: dict[str, int]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    def to_json(self) -> dict:
        """The content of a cell's file."""
        return {
            "losses": {name: own.round(6).tolist() for name, own in self.losses.items()},
            "scores": {name: _listed(own) for name, own in self.scores.items()},
            "updates": self.updates,
            "pictures": {name: [[*map(_listed, row)] for row in own.tolist()] for name, own in self.pictures.items()},
        }

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """What a cell's file holds.

        Raises:
            InputError: something else.
        """
        found = read_json(path)
        try:
            if not all({*found[part]} == {*found["losses"]} for part in ("scores", "updates")):
                raise ValueError("of different tasks")
            return cls(
                losses={name: np.array(own, dtype=float) for name, own in found["losses"].items()},
                scores={name: np.nan if own is None else float(own) for name, own in found["scores"].items()},
                updates={name: int(own) for name, own in found["updates"].items()},
                pictures={name: np.array(own, dtype=float) for name, own in found["pictures"].items()},
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: found {shown(found)}, expected what a training came to ({error})") from None


def _listed(value: float) -> float | None:
    """A number as JSON has it."""
    return None if np.isnan(value) else value


class BenefitRuns:
    """The trainings of one folder.

    Args:
        run: a finished run, whose options they have; its topology, its teachers and its second training on the
            validation split are left out, which is said.
        folder: where they are.
        per_task: validation texts of each task, at most, from which pictures are drawn.
        probe: the same for those pictures for which every task reads every text.

    Raises:
        InputError: the data are not the run's, or the folder holds trainings of other options or data.
    """

    def __init__(self, run: Run, folder: Path, *, per_task: int = 500, probe: int = 100) -> None:
        tasks = load_run_tasks(run.options)
        run.check_data(fingerprint(tasks))
        self.folder = folder
        self.training = _Training(_kept_options(run.options), folder, per_task, probe, tasks)
        self._begin(fingerprint(tasks))

    @property
    def tasks(self) -> TaskSet:
        """All tasks of the run."""
        return self.training.tasks

    @property
    def has_topology(self) -> bool:
        """Whether single edges can be left out."""
        return isinstance(self.training.options, TopologyOptions)

    def train(self, cells: Iterable[Cell], *, jobs: int = 1) -> dict[Cell, Outcome]:
        """What each of some trainings came to; those that are not there yet are done.

        Args:
            cells: the trainings.
            jobs: processes at once.
        """
        cells = [*dict.fromkeys(cells)]
        todo = [cell for cell in cells if not self.training.path(cell).is_file()]
        if todo:
            say(f"{len(todo)} of {len(cells)} trainings of the benefit are to be done", flush=True)
        bar = tqdm(self._done(todo, jobs), total=len(todo), unit="training", disable=is_quiet() or not todo)
        for cell in bar:
            bar.set_description(f"{cell.name}, seed {cell.seed}")
        return {cell: Outcome.read(self.training.path(cell)) for cell in cells}

    def _done(self, cells: Sequence[Cell], jobs: int) -> Iterator[Cell]:
        """Does the trainings, and gives each when it is done."""
        if min(jobs, len(cells)) < 2:
            for cell in cells:
                self.training.do(cell)
                yield cell
            return
        known = (self.training.options, self.folder, self.training.per_task, self.training.probe)
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (known, jobs)) as pool:
            waiting = {pool.submit(_do_in_worker, cell): cell for cell in cells}
            try:
                for each in as_completed(waiting):
                    each.result()
                    yield waiting[each]
            except BaseException:  # Ctrl-C among them
                pool.shutdown(cancel_futures=True)
                raise

    def _begin(self, data: Mapping) -> None:
        path = self.folder / "about.json"
        options = asdict(self.training.options)
        asked: dict[str, Any] = {name: value for name, value in options.items() if name not in _OF_A_RUN}
        asked |= {"per_task": self.training.per_task, "probe": self.training.probe}
        (self.folder / "cells").mkdir(parents=True, exist_ok=True)
        for name, content in {"data.json": data, path.name: asked}.items():
            if not (self.folder / name).is_file():
                _write(self.folder / name, content)
        found = read_json(path)
        for key, value in asked.items():
            if found.get(key) != value:
                raise InputError(
                    f"{path}: {key} is {shown(found.get(key))}, not {shown(value)}; trainings go on with the options "
                    "they were started with, or elsewhere (--output)"
                )
        otherwise = "trainings go on with the data they were started with, or elsewhere (--output)"
        tasks = self.training.options.tasks
        check_data(self.folder / "data.json", data, tasks=tasks, in_order=True, otherwise=otherwise)


def _kept_options(options: Options) -> Options:
    """What of a run's options all trainings have."""
    own: dict[str, Any] = {"refit_on_valid": False, "patience": 0, "select_by": "mean", "conflict_every": 0}
    own |= {"progress": False, "track": None, "write_submission": None, "device": reading_device(options.device)}
    own |= {"output": None, "resume": False, "overwrite": False, "self_training": None}
    left_out = {"refit_on_valid": options.refit_on_valid, "self_training": options.self_training is not None}
    if isinstance(options, TopologyOptions):
        own |= {"topology": None, "top_k": 0}
        left_out["topology"] = options.topology is not None
    if isinstance(options, DistillationOptions):
        own["teachers"] = None
        left_out["teachers"] = options.teachers is not None
    for name in (name for name, given in left_out.items() if given):
        note(f"--{name.replace('_', '-')} of the run is left out where its benefit is measured")
    return changed(options, **own)


class _Training:
    """Does single trainings.

    Args:
        options: of all.
        folder: where what they come to is written.
        per_task, probe: see :class:`BenefitRuns`.
        tasks: their data; by default they are loaded.
    """

    def __init__(self, options: Options, folder: Path, per_task: int, probe: int, tasks: TaskSet | None = None) -> None:
        self.options, self.folder, self.per_task, self.probe = options, folder, per_task, probe
        self.tasks = load_run_tasks(options) if tasks is None else tasks
        self._pieces: Mapping[str, EncodedTask] | None = None  # of a transformer

    def path(self, cell: Cell) -> Path:
        """Where a training's outcome stands."""
        return self.folder / "cells" / cell.file

    @cached_property
    def _labelled(self) -> dict[str, np.ndarray]:
        """Of each task which training texts have a label, (examples,) bool."""
        return {
            name: np.array([own.task.of_kind.is_labelled(label) for label in own.train["label"]], bool)
            for name, own in self.tasks.items()
        }

    def _sizes(self, tasks: Iterable[str]) -> dict[str, int]:
        """Of each corpus of these tasks the training texts that one of them labels."""
        labelled: dict[str, np.ndarray] = {}
        for name in tasks:
            corpus = self.tasks[name].corpus
            labelled[corpus] = self._labelled[name] | labelled.get(corpus, False)
        return {corpus: int(own.sum()) for corpus, own in labelled.items()}

    @cached_property
    def _whole(self) -> tuple[int, int]:
        """The size of a batch, and the epochs of all tasks together."""
        found = budget(self._sizes(self.tasks).values(), self.options)
        return found.batch_size, found.epochs

    def epochs(self, tasks: Sequence[str]) -> int:
        """After how many epochs of these tasks each has had as many batches as in the training of all."""
        _, epochs = self._whole
        ours, whole = self._batches(tasks, epochs), self._batches([*self.tasks], epochs)
        return max(1, round(epochs * float(np.mean([whole[corpus] / own for corpus, own in ours.items()]))))

    def _batches(self, tasks: Sequence[str], epochs: int) -> dict[str, float]:
        """The batches of each corpus in an epoch of these tasks, on average."""
        options, sizes = self.options, self._sizes(tasks)
        sampler = TaskSampler(
            lengths={corpus: np.ones(size) for corpus, size in sizes.items()},
            batch_size=self._whole[0],
            sampling=options.sampling,
            temperature=options.temperature,
            epochs=epochs,
        )
        shares = [sampler.probabilities(epoch) for epoch in range(1, epochs + 1)]
        return {corpus: len(sampler) * float(np.mean([own[corpus] for own in shares])) for corpus in sizes}

    @generators_kept()
    def do(self, cell: Cell) -> None:
        """Trains, and writes what that came to."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # what is said of the data was said of the run's
            _write(self.path(cell), self._outcome(cell).to_json())

    def _outcome(self, cell: Cell) -> Outcome:
        tasks = TaskSet(name=self.tasks.name, data=[self.tasks[name] for name in cell.tasks])
        epochs = self.epochs(cell.tasks)
        options = replace(self.options, seed=cell.seed, batch_size=self._whole[0], epochs=epochs)
        if cell.edges is not None:
            options = changed(options, topology=str(Topology(tasks=cell.tasks, edges=cell.edges)))
        model = build_model(tasks, options, say=_silent)
        if isinstance(options, WordEncoderOptions) and options.pretrained is not None:
            load_pretrained(model, options.pretrained, _silent)
        data = self._encoded(tasks, model)
        fit_wide_parts(model, data, seed=cell.seed)
        ahead = LookAhead(model, data, clip=options.clip, seed=cell.seed)
        looks = -(-_LOOKS // epochs) if cell.pictures else 0

        def look(line: dict) -> None:
            for _ in range(looks):
                ahead.measure(line["lr"])

        trainer = Trainer(model=model, data=data, options=options, callbacks=[look])
        read_frozen_once(model, all_splits(data), tell=False, progress=False)
        trainer.train()
        choose_shares(model, partial(trainer.predict_split, "valid"), data)
        pictures = self._pictures(model, data) if cell.pictures else {}
        if cell.pictures:
            pictures |= {"gradients": ahead.cosine, "look_ahead": ahead.affinity}
        size, count = options.texts_at_once, max(len(own.test) for own in data.values())
        device = next(model.parameters()).device
        texts = draw_texts(data, "test", per_task=count, batch_size=size, seed=self.options.seed, device=device)
        measured = measure(model, texts, [Ablation()])
        scores = trainer.evaluate("test")
        batches = self._batches([*data], epochs)
        return Outcome(
            losses={name: own.losses[0] for name, own in measured.items()},
            scores={name: float(scores[name][own.task.metrics[0]]) for name, own in data.items()},
            updates={name: round(epochs * batches[own.corpus]) for name, own in data.items()},
            pictures=pictures,
        )

    def _encoded(self, tasks: TaskSet, model: Any) -> Mapping[str, EncodedTask]:
        """The tasks for a model; a transformer's pieces are the same whoever else is there, and made once."""
        if not isinstance(model.vocabulary, SubwordVocabulary) or len(self._sizes(self.tasks)) < len(self.tasks):
            return encode_tasks(tasks, model.vocabulary, model.options)
        if self._pieces is None:
            self._pieces = encode_tasks(self.tasks, model.vocabulary, model.options)
        return {name: self._pieces[name] for name in tasks}

    def _pictures(self, model: Any, data: Mapping[str, EncodedTask]) -> dict[str, np.ndarray]:
        """Those of the model between tasks, on the validation split, and the correlation of the tasks' logits."""
        seed = self.options.seed
        about: dict[str, Any] = {"split": "valid", "seed": seed}
        explained = explain_model(model, data, per_task=self.per_task, probe=self.probe, **about)
        device = next(model.parameters()).device
        probes = probe_batches({name: own.valid for name, own in data.items()}, per_task=self.probe, seed=seed)
        logits = logit_correlation(model, (batch.to(device) for batch in probes), **about)
        found = {name: graph.matrix() for name, graph in explained.pictures.items() if not graph.virtual}
        return found | {"logits": logits.matrix()}


_worker: Callable[[Cell], None]
"""What does a training in this process, which :class:`BenefitRuns` has started."""


def _begin_worker(known: tuple[Options, Path, int, int], jobs: int) -> None:
    global _worker
    Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        _worker = _Training(*known).do


def _end_with_parent() -> None:
    """Where the command was killed, its processes would wait for it forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do_in_worker(cell: Cell) -> None:
    _worker(cell)


def _silent(*_args: Any) -> None:
    pass


def _write(path: Path, content: Mapping) -> None:
    """Writes JSON, as a whole or not at all."""
    with written_whole(path) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
