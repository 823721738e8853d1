"""The rows of a comparison: what was trained, or a baseline, and what it answers on the test splits with each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphmtl.architectures import architecture_class
from graphmtl.baselines.reading import read_baselines
from graphmtl.comparison.examples import in_order_of_texts
from graphmtl.comparison.grid import without_seed
from graphmtl.comparison.kept_answers import Answers, answers_of
from graphmtl.errors import InputError, note
from graphmtl.files import user_cache
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_tasks_again

__all__ = ["Row", "baseline_rows", "grouped", "rows_of_runs"]

_FOLLOW = ("epochs", "batch_size")  # what follows from the number of texts where it is 0


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a comparison.

    Attributes:
        name: what it is called.
        arch: its architecture; None: a baseline.
        answers: of each seed, in the order of the comparison's seeds.
        metrics: the runs' ``metrics.json``; nothing of a baseline.
        edges: the architecture has edges between tasks.
    """

    name: str
    arch: str | None
    answers: list[Answers]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    edges: bool = False

    @property
    def is_baseline(self) -> bool:
        return self.arch is None

    @property
    def in_a_sentence(self) -> str:
        """What it is called there."""
        return "training alone" if self.arch == "single" and self.name == "single" else self.name


def rows_of_runs(runs: Mapping[str, Sequence[Run]]) -> tuple[list[Row], list[int]]:
    """A row for every name, and the seeds that all of them have; what another has besides is named and left out.

    Raises:
        InputError: there are no such seeds.
    """
    found = {name: own for name, own in runs.items() if own}
    for name in runs.keys() - found.keys():
        note(f"{name} has no finished run, and is left out")
    by_seed = {name: _by_seed(name, own) for name, own in found.items()}
    seeds = [seed for seed in next(iter(by_seed.values()), {}) if all(seed in own for own in by_seed.values())]
    if not seeds:
        have = "; ".join(f"{name} {', '.join(map(str, own))}" for name, own in by_seed.items())
        raise InputError(
            f"no seed with which all are finished, so nothing can be compared (finished: {have or 'none'})"
        )
    for name, own in by_seed.items():
        if further := [seed for seed in own if seed not in seeds]:
            one = f"seed {further[0]} of {name} is left out, since" if len(further) == 1 else ""
            note(f"{one or f'seeds {further} of {name} are left out, since'} not all others have finished runs of it")
    return [_row(name, [own[seed] for seed in seeds]) for name, own in by_seed.items()], seeds


def _by_seed(name: str, runs: Sequence[Run]) -> dict[int, Run]:
    found: dict[int, Run] = {}
    for run in runs:
        if run.options.seed in found:
            other = found[run.options.seed].folder
            raise InputError(f"{run.folder} and {other}: two runs of {name} with seed {run.options.seed}")
        found[run.options.seed] = run
    return found


def _row(name: str, runs: Sequence[Run]) -> Row:
    arch = runs[0].options.arch
    return Row(
        name=name,
        arch=arch,
        answers=[answers_of(run) for run in runs],
        metrics=[run.metrics for run in runs],
        edges=architecture_class(arch).has_edges,
    )


def baseline_rows(runs: Sequence[Run]) -> list[Row]:
    """A row for every baseline, on the data of a run of each seed.

    Args:
        runs: one of each seed, in the order of the comparison's seeds.

    Raises:
        InputError: the data cannot be loaded, or is no longer the runs'.
    """
    found: dict[str, list[Answers]] = {}
    for run in runs:
        tasks = load_tasks_again(run, chooses=True)
        for name, own in read_baselines(tasks, folder=user_cache("baselines"), seed=run.options.seed).items():
            said = in_order_of_texts(own.get("test", {}), tasks)
            answers = {task: (tasks[task].task, each) for task, each in said.items()}
            found.setdefault(name, []).append(answers)
    return [Row(name=name, arch=None, answers=answers) for name, answers in found.items() if any(answers)]


def grouped(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Finished runs by what they are of: those whose options differ by the seed alone stand together.

    A group is called by its architecture and the options that differ.
    """
    values = [vars(run.options) for run in runs]
    shared = {name for own in values for name in own if len({str(each.get(name)) for each in values}) == 1}
    groups: dict[tuple, list[Run]] = {}
    for run, own in zip(runs, values, strict=True):  # what is the same as it stands has no seed in it
        key = {name: own[name] if name in shared else value for name, value in without_seed(run.options).items()}
        groups.setdefault(tuple(sorted(key.items(), key=str)), []).append(run)
    options = [dict(key) for key in groups]
    differ = [
        name
        for name in dict.fromkeys(name for own in options for name in own)
        if name != "arch" and len({own[name] for own in options if name in own}) > 1
    ]
    whole = {own["arch"] for own in options}
    short = [arch.rpartition(":")[2] for arch in whole]  # of classes of two modules the same, which are told apart
    archs = {arch: arch if short.count(arch.rpartition(":")[2]) > 1 else arch.rpartition(":")[2] for arch in whole}
    names = [_name(archs[own["arch"]], own, [name for name in differ if name in own]) for own in options]
    return dict(zip(names, groups.values(), strict=True))


def _name(arch: str, options: Mapping[str, Any], differ: Sequence[str]) -> str:
    values = {name: "auto" if name in _FOLLOW and not options[name] else options[name] for name in differ}
    return " ".join([arch, *(f"{name.replace('_', '-')}={value}" for name, value in values.items())])
