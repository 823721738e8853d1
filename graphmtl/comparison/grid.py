"""Variants x seeds on one task set, each a run in a process of its own; what is finished is not done again.

The folder of a grid:

- ``grid.json``: what is trained; a command that goes on must ask for the same, but for further variants and seeds.
- ``runs/VARIANT-SEED/``: the runs, ordinary ones; ``runs/VARIANT-SEED.log``: what they said. With the options of a
  search's trial (:mod:`graphmtl.comparison.search`) it is ``runs/VARIANT-trial-NUMBER-SEED/``.

A grid may be stopped and started again at any time, also while a run is being written, and several commands may share
its folder: a run is trained by one process at a time, and the others wait for it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import IO, Any

from graphmtl.comparison.variants import Variant
from graphmtl.config import Options, flag
from graphmtl.data.fingerprint import difference, read_fingerprint
from graphmtl.errors import DataWarning, InputError, note, shown
from graphmtl.files import PART, alone, read_json, remove, write_whole, writing
from graphmtl.options import parse_options
from graphmtl.training.run import Run
from graphmtl.training.run_files import VALIDATION
from graphmtl.verbosity import say

__all__ = ["Cell", "Grid", "check_same_data", "check_seeds", "last_line", "named", "train_cells", "without_seed"]

_OF_A_RUN = (
    *("seed", "output", "resume", "overwrite", "progress", "device", "data_dir", "track", "write_submission"),
    *("baselines", "control"),
)
_OURS = ("--arch", "--seed", "--output", "--resume", "--overwrite", "--no-test")  # which a grid's runs have from it


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A run of a grid.

    Attributes:
        name: of its variant.
        seed: its seed.
        folder: where it is written.
        flags: its options as a command line has them, but for the folder.
        anew: a run that is there is replaced, where it is gone on with otherwise.
        tested: it is, and so finished, once it is trained.
    """

    name: str
    seed: int
    folder: Path
    flags: tuple[str, ...]
    anew: bool = False
    tested: bool = True

    @property
    def is_finished(self) -> bool:
        return self.result.is_file()

    @property
    def result(self) -> Path:
        """What it leaves last, its scores."""
        return self.folder / ("metrics.json" if self.tested else VALIDATION)

    @property
    def scores(self) -> dict[str, Any]:
        """What that says.

        Raises:
            InputError: it is damaged.
        """
        run = Run(self.folder)
        return run.metrics if self.tested else run.validation

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def options(self) -> Options:
        """What it is trained with.

        Raises:
            InputError: an option that does not exist, or a value that is not accepted.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # that an option has no effect in this run, as its log says
            return parse_options([*self.flags, "--output", str(self.folder)])

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


class Grid:
    """The runs of some variants with some seeds.

    Args:
        folder: where it is.
        variants: what is trained.
        seeds: the seeds.
        flags: options of every run, as a command line has them; ``{seed}`` is the run's seed.

    Raises:
        InputError: an option is wrong, or one that a grid gives its runs itself; or the folder holds another grid.
    """

    def __init__(self, *, folder: Path, variants: Sequence[Variant], seeds: Sequence[int], flags: Sequence[str]):
        taken = next((each for each in flags if each.split("=")[0] in _OURS), None)
        if taken is not None:
            raise InputError(f"{taken}: a comparison gives it to each of its runs (--archs, --seeds)")
        self.folder, self.variants, self.seeds, self.flags = folder, [*variants], [*seeds], [*flags]
        options = {each.name: self.cell(each, self.seeds[0]).options() for each in self.variants}
        self._say_idle(options)
        self._options = {each.place: without_seed(options[each.name]) for each in self.variants}
        self._defaults = {
            each.place: {own.name: own.default for own in fields(options[each.name])} for each in self.variants
        }
        self._begin()

    def cell(self, variant: Variant, seed: int) -> Cell:
        """One of the grid's runs."""
        common = [each.replace("{seed}", str(seed)) for each in self.flags]
        alone = ("--no-baselines", "--control", "never")  # which a comparison has once, and does not look at
        flags = (*alone, *common, *variant.of_seed(seed), "--seed", str(seed))
        place = self.folder / "runs" / f"{variant.place}-{seed}"
        return Cell(name=variant.name, seed=seed, folder=place, flags=flags)

    def choose(self, variants: Sequence[Variant]) -> None:
        """Takes variants in place of those of the same names, whose options a search has chosen."""
        by_name = {each.name: each for each in variants}
        self.variants = [by_name.get(each.name, each) for each in self.variants]

    def cells(self) -> list[Cell]:
        """All runs, seed by seed, so that what is there early is of all variants."""
        return [self.cell(variant, seed) for seed in self.seeds for variant in self.variants]

    def train(self, *, jobs: int = 1) -> list[Cell]:
        """Trains what is not finished, and gives the runs that have failed; see `train_cells`."""
        return train_cells(self.cells(), jobs=jobs)

    def runs(self) -> dict[str, list[Run]]:
        """The finished runs of every variant, a list by seed.

        Raises:
            InputError: runs of a seed were trained on different data.
        """
        found = {}
        for variant in self.variants:
            cells = [self.cell(variant, seed) for seed in self.seeds]
            found[variant.name] = [Run.open(cell.folder) for cell in cells if cell.is_finished]
        check_same_data(found)
        return found

    def _say_idle(self, options: Mapping[str, Options]) -> None:
        """Names options that no run looks at, and of a variant's own those that it does not look at."""
        for name in named(self.flags):
            if not any(hasattr(own, name) for own in options.values()):
                note(f"{flag(name)} has no effect with any of {', '.join(options)}")
        for variant in self.variants:
            for name in named(variant.flags):
                if not hasattr(options[variant.name], name):
                    note(f"{flag(name)} has no effect with {variant.name}, which is --arch {variant.arch}")

    def _begin(self) -> None:
        path, lock = self.folder / "grid.json", self.folder / ".grid.json.lock"
        no_comparison = f"{self.folder} exists and is no comparison (no {path.name}); --output names another"
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(no_comparison)
        with writing(lock):
            self.folder.mkdir(parents=True, exist_ok=True)
            with alone(lock, otherwise=lambda: None):  # another command may add variants of its own
                try:
                    others = [each for each in self.folder.iterdir() if each.suffix not in (".lock", PART)]
                    if others and not path.is_file():
                        raise InputError(no_comparison)
                    self._add_to(path)
                finally:
                    remove(lock)
        (self.folder / "runs").mkdir(exist_ok=True)

    def _add_to(self, path: Path) -> None:
        before = _variants(path)
        for name, ours in self._options.items():
            of_later_versions = {key: self._defaults[name][key] for key in ours}
            self._check_same(path, name, of_later_versions | before[name] if name in before else ours, ours)
        write_whole(path, json.dumps({"variants": {**before, **self._options}}, indent=2) + "\n")

    def _check_same(self, path: Path, name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        for key in [*ours, *theirs]:
            then, now = theirs.get(key), ours.get(key)
            if then != now:
                raise InputError(
                    f"{path}: {key} of {name} is {shown(then)}, not {shown(now)}; a comparison goes on with the "
                    "options it was started with, or under another --output"
                )


def _variants(path: Path) -> dict[str, dict[str, Any]]:
    """What was trained before, by name.

    Raises:
        InputError: the file holds something else.
    """
    found = read_json(path).get("variants") if path.is_file() else {}
    if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
        raise InputError(f"{path}: not what graphmtl writes there (variants: found {shown(found)})")
    return found


def named(flags: Sequence[str]) -> list[str]:
    """The options that flags name."""
    names = [each.split("=")[0][2:].removeprefix("no-").replace("-", "_") for each in flags if each.startswith("--")]
    return [name for name in names if name not in ("config", "prune", "keep_top")]


def without_seed(options: Options) -> dict[str, Any]:
    """Options by name without those that differ between runs of the same; an ending in the seed is ``-{seed}``."""
    values = {name: value for name, value in vars(options).items() if name not in _OF_A_RUN}
    seed = re.compile(rf"-{options.seed}(?=/|$)")
    return {name: seed.sub("-{seed}", value) if isinstance(value, str) else value for name, value in values.items()}


def train_cells(cells: Sequence[Cell], *, jobs: int = 1) -> list[Cell]:
    """Trains what is not finished, each run in a process of its own, and gives those that have failed.

    Of several processes each gets its share of the processor's cores, unless ``OMP_NUM_THREADS`` says otherwise.

    Args:
        cells: the runs.
        jobs: processes at once.
    """
    todo = [cell for cell in cells if cell.anew or not cell.is_finished]
    if not todo:
        return []
    say(f"{len(todo)} of {len(cells)} runs are to be trained", flush=True)
    failed, training = [], _Training(jobs)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(training.train, cell): cell for cell in todo}
        try:
            for done in as_completed(waiting):
                if not done.result():
                    failed.append(waiting[done])
        except BaseException:  # Ctrl-C among them
            training.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return [cell for cell in todo if cell in failed]


class _Training:
    """Processes that train runs.

    Args:
        jobs: how many there are at once.
    """

    def __init__(self, jobs: int):
        self._jobs = jobs
        self._processes: set[subprocess.Popen] = set()
        self._stopped, self._lock = False, Lock()

    def train(self, cell: Cell) -> bool:
        """Trains a run unless another process has done so meanwhile; whether it is finished."""
        cell.folder.parent.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with _alone(cell) as held:
            if cell.is_finished and not cell.anew:
                return True
            if cell.folder.is_dir() and not (cell.folder / "data.json").is_file():  # it was ended before it began
                shutil.rmtree(cell.folder)
            with cell.log.open("ab") as file:
                finished = self._run(cell, file, held)
        seconds = time.perf_counter() - began
        if finished:
            say(f"{cell}: {_score(cell)} in {seconds:,.0f} s", flush=True)
        elif not self._stopped:
            why = f"the run failed ({last_line(cell.log)}); see {cell.log}"
            print(f"graphmtl: {cell}: {why}", file=sys.stderr, flush=True)
        return finished

    def _run(self, cell: Cell, log: IO[bytes], held: IO | None) -> bool:
        how = "--overwrite" if cell.anew else "--resume"
        flags = [*cell.flags, "--output", str(cell.folder), how, "--no-progress"]
        flags += [] if cell.tested else ["--no-test"]
        with self._lock:
            if self._stopped:
                return False
            process = subprocess.Popen(
                [sys.executable, "-m", "graphmtl.run", *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                pass_fds=[] if held is None else [held.fileno()],  # so that the lock holds as long as the run goes on
            )
            self._processes.add(process)
        return process.wait() == 0

    def _environment(self) -> dict[str, str]:
        share = max(1, (os.cpu_count() or 1) // self._jobs)
        threads = {} if self._jobs == 1 else {"OMP_NUM_THREADS": str(share)}
        return {**threads, **os.environ}

    def stop(self) -> None:
        """Ends what is being trained; it can be gone on with."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.terminate()


def _alone(cell: Cell) -> AbstractContextManager[IO | None]:
    """While this process, or one that it starts, is the only one that trains a run."""
    waits = f"{cell}: another process trains it; its end is waited for"
    return alone(cell.folder.with_name(f".{cell.folder.name}.lock"), otherwise=lambda: say(waits, flush=True))


def _score(cell: Cell) -> str:
    mean = cell.scores["mean"]["valid"]
    return "finished" if mean is None else f"mean validation score {mean:.4f}"


def last_line(log: Path) -> str:
    """The last thing that a run has said, as a rule why it failed."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("graphmtl: error: ") if lines else "it said nothing"


def check_seeds(seeds: Sequence[int] | None, jobs: int) -> None:
    """Whether there are seeds, each once, and a number of processes.

    Raises:
        InputError: there are not.
    """
    if seeds is not None and (not seeds or len({*seeds}) < len(seeds)):
        raise InputError(f"--seeds: found {', '.join(map(str, seeds)) or 'none'}, expected different whole numbers")
    if jobs < 1:
        raise InputError(f"--jobs: found {jobs}, expected 1 or more")


def check_same_data(runs: Mapping[str, Sequence[Run]]) -> None:
    """Whether the runs of each seed were trained on the same data, as far as they say.

    Raises:
        InputError: a run was trained before its data changed, another after it.
    """
    by_seed: dict[int, list[Run]] = {}
    for run in (run for own in runs.values() for run in own):
        by_seed.setdefault(run.options.seed, []).append(run)
    for of_seed in by_seed.values():
        known = [(run, data) for run in of_seed if (data := read_fingerprint(run.folder / "data.json")) is not None]
        for (first, theirs), (other, ours) in pairwise(known):
            found = difference(theirs, ours, in_order=False)
            if found:
                raise InputError(f"{other.folder}: not trained on the data of {first.folder}: {found}; remove one")
