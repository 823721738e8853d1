"""``python -m graphmtl.run``: train on a set of tasks, test, and draw the learned task graph."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from graphmtl.arguments import Parser, seeds_of
from graphmtl.baselines.scores import beside, means, not_above, write_scores
from graphmtl.cli import run_verb
from graphmtl.comparison.grid import Cell, check_seeds, train_cells
from graphmtl.config import Options
from graphmtl.errors import InputError
from graphmtl.options import parse_options
from graphmtl.printed_tables import (
    other_test_splits,
    overlap_table,
    print_table,
    same_as_test,
    scores_table,
    seeds_table,
)
from graphmtl.training.controls import control_of
from graphmtl.training.experiment import folder_of, train_run
from graphmtl.training.processes import process_state
from graphmtl.training.results import cut_short
from graphmtl.training.run import Run
from graphmtl.training.run_data import left_out, load_run_tasks
from graphmtl.training.run_picture import PICTURE
from graphmtl.verbosity import say

__all__ = ["main", "run_and_report"]

_HEADINGS = {"test": "test", "test_dedup": "test_dedup", "valid": "validation"}


def main(argv: Sequence[str]) -> None:
    """The verb ``run``; names of files before all options are what ``--tasks`` names with ``+`` between."""
    files = [*takewhile(lambda argument: not argument.startswith("-"), argv)]
    options = argv[len(files) :]
    if files and any(argument.split("=")[0] == "--tasks" for argument in options):
        raise InputError(f"--tasks: {files[0]} names tasks too; join them all with + in --tasks, or name files alone")
    seeds, jobs, test, profile, options = _of_the_verb([*(["--tasks", "+".join(files)] if files else []), *options])
    if seeds is None:
        run_and_report(parse_options(options), test=test, profile=profile)
    else:
        _run_seeds(seeds, jobs, options, test=test)


def _of_the_verb(argv: Sequence[str]) -> tuple[list[int] | None, int, bool, bool, list[str]]:
    """What ``--seeds``, ``--jobs``, ``--no-test`` and ``--profile`` say, and the other options."""
    parser = Parser(prog="graphmtl run", add_help=False, allow_abbrev=False)
    parser.add_argument("--seeds")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--no-test", dest="test", action="store_false")
    parser.add_argument("--profile", action="store_true")
    given, rest = parser.parse_known_args([*argv])
    if given.seeds is None and given.jobs is not None:
        raise InputError("--jobs: how many of --seeds are trained at once; found no --seeds")
    if given.seeds is not None and given.profile:
        raise InputError("--profile: of one run; found --seeds, which are several")
    seeds, jobs = None if given.seeds is None else seeds_of(given.seeds), 1 if given.jobs is None else given.jobs
    check_seeds(seeds, jobs)
    return seeds, jobs, given.test, given.profile, rest


def _run_seeds(seeds: Sequence[int], jobs: int, flags: Sequence[str], *, test: bool) -> None:
    """Trains the same with several seeds, each a run of its own, and prints how far they are apart."""
    first = parse_options([*flags, "--seed", str(seeds[0])])
    tasks = load_run_tasks(first)
    cells = []
    for seed in seeds:
        own = replace(first, seed=seed)
        folder = folder_of(tasks, own) if own.output is None else Path(f"{own.output}-{seed}")
        Run(folder).check(own)
        of_seed = (*(each.replace("{seed}", str(seed)) for each in flags), "--seed", str(seed))
        cells.append(Cell(name=own.arch, seed=seed, folder=folder, flags=of_seed, anew=own.overwrite, tested=test))
    failed = train_cells(cells, jobs=jobs)
    done = [cell for cell in cells if cell not in failed]
    if done:
        title = f"{first.arch}, seeds {', '.join(str(cell.seed) for cell in done)}: mean and standard deviation"
        results = [cell.scores for cell in done]
        print_table(seeds_table(title, results, (_headings(results) if test else {}) | {"valid": _HEADINGS["valid"]}))
        print(f"runs: {', '.join(str(cell.folder) for cell in done)}")
    if failed:
        sys.exit(1)


def _headings(results: Sequence[Mapping]) -> dict[str, str]:
    """The columns of test scores; the one of unseen texts where it says something of its own."""
    alike = all(same_as_test(metrics["tasks"]) for metrics in results)
    return {split: _HEADINGS[split] for split in (("test",) if alike else ("test", "test_dedup"))}


def run_and_report(options: Options, *, test: bool = True, profile: bool = False) -> Run:
    """Trains and tests, or not, and prints the tables of repeated texts, of scores and, on demand, of time."""
    tasks = load_run_tasks(options)
    report = process_state(options.device).is_main_process
    folder = folder_of(tasks, options)
    if report and options.resume and not folder.exists():
        say(f"{folder}: no such folder, so there is nothing to resume; the run starts afresh")
    overlap = overlap_table(tasks.overlap)
    if report and overlap is not None:
        print_table(overlap)
    for line in left_out(tasks) if report else ():
        say(line)
    run = train_run(tasks, options, test=test, profile=profile)
    if not test:
        if report:
            _report_validation(run, options)
        return run
    metrics = run.metrics
    if not report:
        control_of(run, options.control)
        return run
    baselines = write_scores(run, tasks, seed=options.seed, progress=options.progress) if options.baselines else {}
    further = [*baselines, *other_test_splits(metrics["tasks"])]
    headings = _headings([metrics]) | {name: name for name in further} | {"valid": _HEADINGS["valid"]}
    rows = beside(metrics["tasks"], baselines)
    mean = metrics["mean"] | means(rows, baselines)
    print_table(scores_table(f"{options.arch}, seed {options.seed}", rows, headings, mean))
    if "test_dedup" in headings:
        say("test_dedup: test examples whose text stands in no training split of the run")
    else:
        say("no text of the test splits stands in a training split of the run (test_dedup is test)")
    for name, those in not_above(metrics["tasks"], baselines).items():
        if those:
            say(f"not above {name} on test: {', '.join(those)}")
    for line in cut_short(metrics):
        say(line)
    if options.refit_on_valid:
        say("test: of the model trained again on training and validation split; validation: of the one before it")
    control = control_of(run, options.control)  # after the scores, which nobody should wait for
    if control:
        say(control)
    picture = run.folder / PICTURE
    print(f"run: {run.folder}" + (f"   task graph: {picture}" if picture.is_file() else ""))
    return run


def _report_validation(run: Run, options: Options) -> None:
    found = run.validation
    title = f"{options.arch}, seed {options.seed}"
    print_table(scores_table(title, found["tasks"], {"valid": _HEADINGS["valid"]}, found["mean"]))
    for line in cut_short(found):
        say(line)
    say("not tested; with the same options and --resume it is (and --refit-on-valid and --write-submission are heeded)")
    print(f"run: {run.folder}")


if __name__ == "__main__":
    run_verb(main)
