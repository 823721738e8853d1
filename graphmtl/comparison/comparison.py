"""Does training together pay? Trains what is to be compared, or takes finished runs, and tells what differs."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from types import NoneType
from typing import Any

import pandas

from graphmtl.architectures import architecture_class
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.grid import Cell, Grid, check_same_data, check_seeds, train_cells
from graphmtl.comparison.maps import draw_maps
from graphmtl.comparison.report import write_report
from graphmtl.comparison.rows import baseline_rows, grouped, rows_of_runs
from graphmtl.comparison.same_size import as_large
from graphmtl.comparison.search import Searched, check_search
from graphmtl.comparison.search import search as search_for
from graphmtl.comparison.space import known_options, read_space
from graphmtl.comparison.tables import frame, terminal
from graphmtl.comparison.variants import Variant, as_flags, variants
from graphmtl.comparison.verdict import sentences
from graphmtl.config import Options
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError, check_kind, unknown_name
from graphmtl.registry import BASELINES
from graphmtl.training.run import Run, open_runs
from graphmtl.training.run_data import load_run_tasks
from graphmtl.verbosity import say

__all__ = ["ARCHS", "Comparison", "compare", "compare_runs", "compare_variants", "compared_runs", "shown_command"]

ARCHS = ("single", "shared", "star")
WIDE = "shared-wide"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came out of a comparison.

    Attributes:
        folder: where ``comparison.md``, ``.csv``, ``.tex`` and ``.json``, the pictures and ``report.html`` stand.
        compared: the rows and their differences.
        failed: the runs that failed, which are not in the tables.
    """

    folder: Path
    compared: Compared
    failed: tuple[Cell, ...] = ()

    @property
    def verdict(self) -> str:
        """The first sentence: the best row against the reference."""
        return next(sentences(self.compared))

    @property
    def table(self) -> pandas.DataFrame:
        """A line for each row and task, as ``comparison.csv``."""
        return frame(self.compared)

    def printed(self) -> list[str]:
        """What a terminal of 80 columns shows."""
        return terminal(self.compared)


def compare(
    tasks: Path | str = "planted",
    *,
    archs: Sequence[str] = ARCHS,
    seeds: Sequence[int] = (0,),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    own: Mapping[str, str] | None = None,
    against: str | None = None,
    baselines: bool = True,
    same_size: bool = False,
    search: int = 0,
    space: Path | str | Mapping[str, Any] | None = None,
    budget: float | None = None,
    jobs: int = 1,
    output: Path | str | None = None,
    **values: Any,
) -> Comparison:
    """Trains architectures on the same tasks with several seeds, and tells what differs; as ``graphmtl compare``.

    What is finished in the folder is taken as it is, so that a comparison may be ended and started again. ::

        found = graphmtl.compare("fdu-mtl", archs=["single", "star"], seeds=[0, 1], settings={"star": {"score": "dot"}})
        print(found.verdict)
        found.table  # a DataFrame: of every row and task the score, its difference, interval and verdict

    Args:
        tasks: what ``--tasks`` takes; each run loads it in a process of its own.
        archs: names of architectures, or of ``own``.
        seeds: the seeds of each.
        settings: options of one of them, ``{name: {option: value}}``.
        own: further ones by name, each an architecture and its options as a command line has them.
        against: what the others are compared with; None: ``single``, or the first.
        baselines: also majority and TF-IDF.
        same_size: also ``shared`` with as many parameters as the largest architecture with a graph.
        search: trials of each of them, on the validation split with the first seed; the best one's options are then
            those of all seeds. 0: the options stay as given.
        space: what is tried, a YAML file or ``{option: [choices] or {"low": x, "high": y, "log": True}}``; None:
            :data:`graphmtl.comparison.space.DEFAULTS`.
        budget: seconds of training after which no further trials are begun, for none of them.
        jobs: processes at once.
        output: the folder; None: ``runs/compare-TASKS``.
        values: options of every run by name, as :func:`~graphmtl.options.make_options` takes them.

    Raises:
        InputError: whatever is wrong with the options or the data, or no run could be finished.
    """
    if not isinstance(tasks, str | Path):
        raise InputError(
            f"tasks: found a {type(tasks).__name__}, expected a name or a file, which each run loads itself"
        )
    archs = _listed("archs", archs, str, "names of architectures")
    seeds = _listed("seeds", seeds, Integral, "whole numbers")
    _check_arguments(settings=settings, own=own, against=against, search=search, budget=budget, jobs=jobs)
    check_kind("output", output, (str, os.PathLike, NoneType), "a folder, or None")
    texts = [f"{name}.{key}={value}" for name, each in (settings or {}).items() for key, value in each.items()]
    given = {"tasks": tasks, **values}
    flags = [each for key, value in given.items() if value is not None for each in as_flags(key, value)]
    return compare_variants(
        variants(archs, texts, [*(own or {}).items()]),
        seeds=seeds,
        flags=flags,
        folder=None if output is None else Path(output),
        against=against,
        baselines=baselines,
        same_size=same_size,
        trials=search,
        space=space,
        budget=budget,
        jobs=jobs,
    )


def compare_variants(
    chosen: Sequence[Variant],
    *,
    seeds: Sequence[int],
    flags: Sequence[str],
    folder: Path | None = None,
    against: str | None = None,
    baselines: bool = True,
    same_size: bool = False,
    trials: int = 0,
    space: Path | str | Mapping[str, Any] | None = None,
    budget: float | None = None,
    jobs: int = 1,
    command: Sequence[str] = (),
) -> Comparison:
    """:func:`compare`, for variants and flags that are at hand; ``command`` is what the report shows."""
    check_seeds(seeds, jobs)
    check_search(trials, budget, space=space is not None)
    tasks = load_run_tasks(_first_options(flags, seeds[0]))
    tried = None
    if space is not None:
        tried = read_space(space, known_options([_first_options(flags, seeds[0], variant) for variant in chosen]))
    folder = folder or Path("runs") / f"compare-{tasks.name}"
    grid = Grid(folder=folder, variants=chosen, seeds=seeds, flags=flags)
    _check_against(against, grid, baselines, same_size)
    searched = search_for(grid, trials=trials, space=tried, budget=budget, jobs=jobs) if trials else []
    grid.choose([each.chosen for each in searched])
    failed = grid.train(jobs=jobs)
    if same_size:
        taken = grid.variants
        grid = Grid(folder=folder, variants=[*chosen, _wide(grid, tasks)], seeds=seeds, flags=flags)
        grid.choose(taken)
        failed += train_cells([cell for cell in grid.cells() if cell.name == WIDE], jobs=jobs)
    runs = grid.runs()
    check_same_data({**runs, "search": [each.run for each in searched if each.run is not None]})
    told: dict[str, Any] = {"against": against, "baselines": baselines, "command": command}
    return _written(runs, folder=folder, **told, failed=failed, searched=searched)


def compare_runs(
    runs: Sequence[Run | Path | str],
    *,
    folder: Path | str | None = None,
    against: str | None = None,
    baselines: bool = True,
    command: Sequence[str] = (),
) -> Comparison:
    """Tells what differs between finished runs; those whose options differ by the seed alone are one row.

    Args:
        runs: the runs, or their folders.
        folder: where it is told, a new folder or that of an earlier such comparison; None: ``runs/comparison``.
        against: the row that the others are compared with; None: ``single``, or the first.
        baselines: also majority and TF-IDF.
        command: what the report shows.

    Raises:
        InputError: a run is not finished, they were trained on different data, or the folder holds something else.
    """
    check_kind("folder", folder, (str, os.PathLike, NoneType), "a folder, or None")
    runs = _listed("runs", runs, (Run, str, os.PathLike), "finished runs, or their folders")
    folder = Path(folder or "runs/comparison")
    rows = grouped(open_runs([run.folder if isinstance(run, Run) else run for run in runs]))
    check_same_data(rows)
    known = (folder / "comparison.json").is_file() and not (folder / "grid.json").is_file()
    if folder.exists() and not known and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is no comparison of finished runs; --output names another")
    folder.mkdir(parents=True, exist_ok=True)
    return _written(rows, folder=folder, against=against, baselines=baselines, command=command)


def _check_arguments(*, settings: Any, own: Any, against: Any, search: Any, budget: Any, jobs: Any) -> None:
    """Whether arguments of :func:`compare` are of the right kinds.

    Raises:
        InputError: one is not.
    """
    check_kind("settings", settings, (Mapping, NoneType), "{name: {option: value}}")
    for name, each in (settings or {}).items():
        check_kind(f"settings of {name}", each, Mapping, "{option: value}")
    check_kind("own", own, (Mapping, NoneType), "{name: 'ARCH OPTIONS'}")
    for name, each in (own or {}).items():
        check_kind(f"own {name}", each, str, "an architecture, and its options as a command line has them")
    check_kind("against", against, (str, NoneType), "the name of a row, or None")
    check_kind("budget", budget, (int, float, NoneType), "seconds, or None")
    for name, each in {"search": search, "jobs": jobs}.items():
        check_kind(name, each, int, "a whole number")


def _listed(name: str, values: Any, kinds: Any, expected: str) -> list[Any]:
    """An argument that is several of a kind; a text is none, though its characters could be listed.

    Raises:
        InputError: it is something else.
    """
    check_kind(name, values, () if isinstance(values, str) else Iterable, f"a list of {expected}")
    found = [*values]
    for each in found:
        check_kind(name, each, kinds, f"{expected} alone")
    return found


def _first_options(flags: Sequence[str], seed: int, variant: Variant | None = None) -> Options:
    """The options of the first run, of a variant or of all."""
    common = [each.replace("{seed}", str(seed)) for each in flags]
    own = [] if variant is None else variant.of_seed(seed)
    return Cell(name="", seed=seed, folder=Path(), flags=(*common, *own, "--seed", str(seed))).options()


def _check_against(against: str | None, grid: Grid, baselines: bool, same_size: bool) -> None:
    """Before hours of training: whether there will be such a row."""
    known = [*(each.name for each in grid.variants), *([WIDE] if same_size else []), *(BASELINES if baselines else ())]
    if against is not None and against not in known:
        raise unknown_name("row of --against", against, known)


def _wide(grid: Grid, tasks: TaskSet) -> Variant:
    """``shared`` with as many parameters as the largest graph.

    Raises:
        InputError: no architecture with a graph is there, or none of its runs is finished.
    """
    sizes = {}
    for name, runs in grid.runs().items():
        if runs and architecture_class(runs[0].options.arch).has_edges:
            sizes[name] = runs[0].metrics["parameters"]
    if not sizes:
        raise InputError("--same-size: no finished run has a graph whose size could be taken")
    largest = max(sizes, key=lambda name: sizes[name])
    shared = next((each for each in grid.variants if each.name == "shared"), Variant(name="shared", arch="shared"))
    hidden = as_large(grid.cell(shared, grid.seeds[0]).options(), tasks, sizes[largest])
    say(f"{WIDE}: --hidden {hidden}, for the {sizes[largest]:,} parameters of {largest}")
    return Variant(name=WIDE, arch=shared.arch, flags=(*shared.flags, "--hidden", str(hidden)), found=str(hidden))


def _written(
    runs: Mapping[str, Sequence[Run]],
    *,
    folder: Path,
    against: str | None,
    baselines: bool,
    command: Sequence[str],
    failed: Sequence[Cell] = (),
    searched: Sequence[Searched] = (),
) -> Comparison:
    """Finished runs, compared and told in a folder."""
    compared = compared_runs(runs, against=against, baselines=baselines)
    made_by = [f"Command: `{shown_command(command)}`"] if command else []
    made_by.append(_versions(compared))
    if failed:
        made_by.append(f"Not in the tables, since they failed: {'; '.join(map(str, failed))}.")
    write_report(compared, folder, made_by=made_by, searched=searched, maps=draw_maps(runs))
    return Comparison(folder=folder, compared=compared, failed=tuple(failed))


def _versions(compared: Compared) -> str:
    """With what the runs were trained, several versions where they differ."""
    found: dict[str, dict[str, None]] = {}
    for metrics in (each for row in compared.rows.values() for each in row.metrics):
        for name, version in metrics["versions"].items():
            found.setdefault(name, {})[version] = None
    return "; ".join(f"{name} {' and '.join(own)}" for name, own in found.items()) + "."


def compared_runs(runs: Mapping[str, Sequence[Run]], *, against: str | None = None, baselines: bool = True) -> Compared:
    """Finished runs by the name of their row, each seed that all of them have, and baselines on the same data.

    Raises:
        InputError: no seed is common to all, or the runs were tested on other examples, or their data is not at hand.
    """
    rows, seeds = rows_of_runs(runs)
    if baselines:
        of_seed = {run.options.seed: run for own in runs.values() for run in own}
        rows += baseline_rows([of_seed[seed] for seed in seeds])
    return Compared(rows, seeds=seeds, against=against)


def shown_command(command: Sequence[str]) -> str:
    """A command for a page of results, without the folder that ``GRAPHMTL_DATA`` names."""
    text, data = shlex.join(command), os.environ.get("GRAPHMTL_DATA")
    return text.replace(data, "$GRAPHMTL_DATA") if data else text
