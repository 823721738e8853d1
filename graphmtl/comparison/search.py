"""A search over hyper-parameters: for every variant the same number of trials, by their validation scores alone.

Every trial is a run with the first seed that is not tested (``graphmtl run --no-test``). Trial 0 has the options as
given, so that on validation a search can only help; the others are drawn from the same space for all variants by
Optuna's TPE sampler (Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011; Watanabe,
arXiv:2304.11127), the first eight at random. They are drawn four at a time, each four from what those before have come
to, so that what is tried depends neither on how many processes train nor on which of them is done first.

An option that makes a variant what it is (``star.score=dot``) is not searched for it, and what ``--same-size`` adds has
the options that were chosen for ``shared``.

``single`` has one setting for all its tasks, chosen by the mean over tasks as every other architecture's; each task
still keeps its own best epoch. Its tasks share nothing, so each could take a trial of its own, but of few validation
examples the best of many trials is mostly the luckiest: on six small generated tasks (50 to 60 validation examples
each, ten trials, two seeds) both ways of choosing had the same test mean, 68.1.

The folder of a search, ``search/`` in that of a comparison:

- ``VARIANT.json``: the space, the seed and what every trial came to; ``VARIANT.csv``: the same as a table.
- ``VARIANT/NUMBER/``: what is left of a trial: ``config.yaml``, ``history.jsonl``, ``validation.json`` and less;
  ``VARIANT/NUMBER.log``: what it said.

What is written down is not tried again; a trial that was ended goes on where it was.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pandas

from graphmtl.comparison.grid import Cell, Grid, last_line, named, train_cells
from graphmtl.comparison.space import Range, Space, as_plain, default_space, space_of
from graphmtl.comparison.variants import Variant, as_flags
from graphmtl.errors import InputError, note, shown
from graphmtl.files import read_json, write_whole
from graphmtl.printed_tables import counted_tasks
from graphmtl.training.run import Run
from graphmtl.verbosity import say

__all__ = ["Search", "Searched", "Trial", "check_search", "draw", "search"]

_FORMAT = 1
_AT_ONCE = 4  # trials that are drawn from the same past
_RANDOM = 8  # trials before the sampler learns from them
_DRAWS = 100  # for options that were not tried yet
_DIGITS = 3  # of a number from a range
_FIELDS: dict[str, Any] = {"number": int, "options": dict, "score": float | int | None, "tasks": dict}
_FIELDS |= {"seconds": float | int, "why": str | None}  # of a trial
_LARGE = ("checkpoints", "model", "teachers")  # what a trial leaves that nobody reads


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial came to.

    Attributes:
        number: from 0, which has the options as given.
        options: those that are searched, by name.
        score: on validation, what the search looks at: the mean over tasks of the first metric, or with ``--select-by
            TASK`` that task's; None: the run failed.
        tasks: the first metric of each task.
        seconds: of training.
        why: it failed.
    """

    number: int
    options: dict[str, Any]
    score: float | None = None
    tasks: dict[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    why: str | None = None

    @property
    def state(self) -> str:
        """``finished``, or that and why it failed."""
        return "finished" if self.score is not None else f"failed: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search for a variant came to.

    Attributes:
        variant: as given.
        space: what was tried for it.
        trials: the trials.
        folder: where their runs are.
    """

    variant: Variant
    space: Space
    trials: list[Trial]
    folder: Path

    @property
    def best(self) -> Trial:
        """The trial of the highest score, of equal ones the first."""
        return max(self.trials, key=lambda trial: float("-inf") if trial.score is None else trial.score)

    @property
    def chosen(self) -> Variant:
        """The variant with the best trial's options."""
        return _tried(self.variant, self.best.number, self.best.options)

    @property
    def run(self) -> Run | None:
        """What is left of the best trial's; None where all have failed."""
        return None if self.best.score is None else Run(self.folder / str(self.best.number))

    def frame(self) -> pandas.DataFrame:
        """A line for each trial; scores in points."""
        lines = [
            {
                "trial": trial.number,
                **trial.options,
                "validation": None if trial.score is None else 100 * trial.score,
                "seconds": trial.seconds,
                "state": trial.state,
            }
            for trial in self.trials
        ]
        return pandas.DataFrame(lines)

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        trials = [asdict(trial) | {"state": trial.state} for trial in self.trials]
        return {"space": as_plain(self.space), "chosen": self.best.number, "trials": trials}

    def __str__(self) -> str:
        best, first = self.best, self.trials[0]
        if best.score is None:
            return f"{self.variant.name}: all {len(self.trials)} trials have failed; its options stay as given"
        given = "failed" if first.score is None else f"{100 * first.score:.2f}"
        options = ", ".join(f"{name} {value}" for name, value in best.options.items())
        return (
            f"{self.variant.name}: trial {best.number} of {len(self.trials)}, validation {100 * best.score:.2f} (as "
            f"given {given}): {options or 'nothing to search'}"
        )


def _tried(variant: Variant, number: int, options: Mapping[str, Any]) -> Variant:
    """The variant with the options of a trial; those of the first one are its own."""
    if number == 0:
        return variant
    flags = chain.from_iterable(as_flags(name, value) for name, value in options.items())
    return replace(variant, flags=(*variant.flags, *flags), found=f"trial-{number}")


@dataclass(frozen=True, kw_only=True)
class _TrialCell(Cell):
    """The run of a trial, which is not tested."""

    number: int
    tried: dict[str, Any]
    tested: bool = False

    def __str__(self) -> str:
        return f"{self.name}, trial {self.number}"


class Search:
    """The trials of a variant, as far as they are known.

    Args:
        grid: the comparison's; its first seed is the search's.
        variant: the variant.
        space: what is tried for all variants; None: the default one.

    Raises:
        InputError: what is kept is of another space or seed, or damaged.
    """

    def __init__(self, *, grid: Grid, variant: Variant, space: Space | None):
        self.grid, self.variant, self.seed = grid, variant, grid.seeds[0]
        self.options = grid.cell(variant, self.seed).options()
        whole = default_space(self.options) if space is None else space
        self.space = space_of(variant.name, whole, self.options, named(variant.flags))
        self.folder = grid.folder / "search"
        self.trials = self._read()
        self._write()  # before the first training, whose folder says nothing of the space that its number is of

    def searched(self, trials: int) -> Searched:
        """What the first so many trials came to."""
        place = self.folder / self.variant.name
        return Searched(variant=self.variant, space=self.space, trials=self.trials[:trials], folder=place)

    def cells(self, end: int) -> list[_TrialCell]:
        """The runs of the next trials up to ``end`` that are drawn from the same past, without what is known."""
        start = len(self.trials) - len(self.trials) % _AT_ONCE
        given = {name: getattr(self.options, name) for name in self.space}
        drawn = draw(self.space, self.trials[:start], given=given, count=min(end - start, _AT_ONCE), seed=self.seed)
        return [self._cell(number, own) for number, own in enumerate(drawn, start) if number >= len(self.trials)]

    def _cell(self, number: int, options: dict[str, Any]) -> _TrialCell:
        cell = self.grid.cell(_tried(self.variant, number, options), self.seed)
        place = self.folder / self.variant.name / str(number)
        return _TrialCell(name=cell.name, seed=self.seed, folder=place, flags=cell.flags, number=number, tried=options)

    def keep(self, cells: Sequence[_TrialCell]) -> None:
        """Writes down what trials came to, and removes their models."""
        self.trials += [self._result(cell) for cell in cells]
        self._write()
        for cell, name in ((cell, name) for cell in cells for name in _LARGE):
            shutil.rmtree(cell.folder / name, ignore_errors=True)

    def _write(self) -> None:
        content = {"format": _FORMAT, "seed": self.seed, "space": as_plain(self.space)}
        content["trials"] = [asdict(trial) for trial in self.trials]
        path = self._path(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.searched(len(self.trials)).frame().to_csv(self._path(".csv"), index=False)
        write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _result(self, cell: _TrialCell) -> Trial:
        if not cell.is_finished:
            return Trial(number=cell.number, options=cell.tried, why=last_line(cell.log))
        found = cell.scores
        tasks = {name: own["valid"][own["metric"]] for name, own in found["tasks"].items()}
        counted = counted_tasks(found["tasks"])
        counted = counted if self.options.select_by == "mean" else [self.options.select_by]
        score = sum(tasks[name] or 0.0 for name in counted) / len(counted)  # None: of equal answers no correlation
        seconds = found["train_seconds"]
        return Trial(number=cell.number, options=cell.tried, score=score, tasks=tasks, seconds=seconds)

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.variant.name}{ending}"

    def _read(self) -> list[Trial]:
        path = self._path(".json")
        if not path.is_file():
            return []
        found = read_json(path)
        for key, ours in {"format": _FORMAT, "seed": self.seed, "space": as_plain(self.space)}.items():
            if found.get(key) != ours:
                raise InputError(
                    f"{path}: {key} is {shown(found.get(key))}, not {shown(ours)}; a search goes on with what it was "
                    "started with, or under another --output"
                )
        try:
            return [_trial(each) for each in found["trials"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged ({error}); remove {self.folder}, and the search begins anew") from None


def _trial(found: Mapping[str, Any]) -> Trial:
    """What is written down of a trial; TypeError where it is something else."""
    trial = Trial(**found)
    for name, kinds in _FIELDS.items():
        if not isinstance(getattr(trial, name), kinds):
            raise TypeError(f"{name}: found {shown(getattr(trial, name))}")
    return trial


def draw(
    space: Space, past: Sequence[Trial], *, given: Mapping[str, Any], count: int, seed: int
) -> list[dict[str, Any]]:
    """The options of the next trials, none of which was tried yet; fewer where the space holds no more.

    Args:
        space: what is tried.
        past: the trials that are known; one that failed counts as worse than all others.
        given: the first trial's options.
        count: how many are wanted.
        seed: with the number of trials in the past it says what is drawn.
    """
    import optuna
    from optuna.trial import create_trial

    distributions = {name: _distribution(own) for name, own in space.items()}
    sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + len(past)) % 2**32, n_startup_trials=_RANDOM)
    with _quiet(optuna):
        study = optuna.create_study(direction="maximize", sampler=sampler)
    worst = min((trial.score for trial in past if trial.score is not None), default=0.0) - 1  # ranks alone matter
    for trial in past:
        if all(_holds(space[name], value) for name, value in trial.options.items()):
            value = worst if trial.score is None else trial.score
            study.add_trial(create_trial(params=trial.options, distributions=distributions, value=value))
    tried = [trial.options for trial in past] or [dict(given)]
    found = [] if past else [dict(given)]
    for _ in range(_DRAWS):
        if len(found) == count or not space:
            break
        asked = study.ask(distributions).params
        new = {name: _rounded(asked[name], space[name]) for name in space}
        if new not in tried:
            tried.append(new)
            found.append(new)
    return found


def _distribution(values: "tuple[Any, ...] | Range") -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(values)
    if isinstance(values.low, int):
        return IntDistribution(values.low, values.high, log=values.log)  # type: ignore[arg-type]
    return FloatDistribution(values.low, values.high, log=values.log)


def _holds(values: "tuple[Any, ...] | Range", value: Any) -> bool:
    return values.low <= value <= values.high if isinstance(values, Range) else value in values


def _rounded(value: Any, values: "tuple[Any, ...] | Range") -> Any:
    """A number of which a reader sees all that there is."""
    if not isinstance(values, Range) or isinstance(value, int):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), values.low), values.high)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's own lines."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def check_search(trials: int, budget: float | None, *, space: bool) -> None:
    """Whether a search can be made, before anything is loaded for it.

    Raises:
        InputError: it is none, or too small, or Optuna is not installed.
    """
    if trials == 0 and (space or budget is not None):
        raise InputError(f"{'--space' if space else '--budget'}: says how --search N goes; found no --search")
    if trials != 0 and trials < 2:
        raise InputError(f"--search: found {trials}, expected 2 trials or more, the first of which is as given")
    if budget is not None and not budget > 0:
        raise InputError(f"--budget: found {budget:g}, expected seconds, more than 0")
    if trials:
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise InputError(f"--search {trials}: needs optuna ({error}); `pip install graphmtl[search]`") from None


def search(
    grid: Grid,
    *,
    trials: int,
    space: Space | None = None,
    budget: float | None = None,
    jobs: int = 1,
) -> list[Searched]:
    """Searches for every variant of a grid, each with the same number of trials.

    Args:
        grid: its variants with their options as given.
        trials: of each variant; fewer only where its space holds no more.
        space: what is tried; None: what :data:`~graphmtl.comparison.space.DEFAULTS` has for its encoder.
        budget: seconds that all trials together may be trained before no further ones are begun, for no variant.
        jobs: processes at once.

    Raises:
        InputError: what is kept is of another search.
    """
    searches = [Search(grid=grid, variant=variant, space=space) for variant in grid.variants]
    for start in range(0, trials, _AT_ONCE):
        spent = sum(trial.seconds for each in searches for trial in each.trials[:start])
        if budget is not None and spent >= budget:
            note(f"--budget {budget:g}: the search ends after {start} trials each, which took {spent:,.0f} seconds")
            trials = start
            break
        end = min(start + _AT_ONCE, trials)
        wanted = [each.cells(end) if len(each.trials) < end else [] for each in searches]
        train_cells([cell for of_number in zip_longest(*wanted) for cell in of_number if cell is not None], jobs=jobs)
        for each, cells in zip(searches, wanted, strict=True):
            if cells:
                each.keep(cells)
    found = [each.searched(trials) for each in searches]
    for own in found:
        if len(own.trials) < trials:
            note(f"the search for {own.variant.name} ends after {len(own.trials)} trials: its space holds no more")
        say(f"search: {own}")
    return found
