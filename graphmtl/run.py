"""``python -m graphmtl.run``: train on a set of tasks, test, and draw the learned task graph."""

from collections.abc import Sequence
from itertools import takewhile

from graphmtl.baselines.scores import beside, means, not_above, write_scores
from graphmtl.cli import run_verb
from graphmtl.config import Options
from graphmtl.errors import InputError
from graphmtl.options import parse_options
from graphmtl.printed_tables import other_test_splits, overlap_table, print_table, scores_table
from graphmtl.training.experiment import folder_of, train_run
from graphmtl.training.processes import process_state
from graphmtl.training.results import cut_short
from graphmtl.training.run_data import left_out, load_run_tasks
from graphmtl.training.run_folder import Run
from graphmtl.verbosity import say

__all__ = ["main", "run_and_report"]


def main(argv: Sequence[str]) -> None:
    """The verb ``run``; names of files before all options are what ``--tasks`` names with ``+`` between."""
    files = [*takewhile(lambda argument: not argument.startswith("-"), argv)]
    options = argv[len(files) :]
    if files and any(argument.split("=")[0] == "--tasks" for argument in options):
        raise InputError(f"--tasks: {files[0]} names tasks too; join them all with + in --tasks, or name files alone")
    run_and_report(parse_options([*(["--tasks", "+".join(files)] if files else []), *options]))


def run_and_report(options: Options) -> Run:
    """Trains and tests, and prints the tables of repeated texts and of scores."""
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
    run = train_run(tasks, options)
    if not report:
        return run
    metrics = run.metrics
    baselines = write_scores(run, tasks, seed=options.seed, progress=options.progress) if options.baselines else {}
    headings = {"valid": "validation", "test": "test", **{name: name for name in baselines}, "test_dedup": "test_dedup"}
    headings |= {split: split for split in other_test_splits(metrics["tasks"])}
    rows = beside(metrics["tasks"], baselines)
    mean = metrics["mean"] | means(rows, baselines)
    print_table(scores_table(f"{options.arch}, seed {options.seed}", rows, headings, mean))
    say("test_dedup: test examples whose text stands in no training split of the run")
    for name, those in not_above(metrics["tasks"], baselines).items():
        if those:
            say(f"not above {name} on test: {', '.join(those)}")
    for line in cut_short(metrics):
        say(line)
    if options.refit_on_valid:
        say("test: of the model trained again on training and validation split; validation: of the one before it")
    print(f"run: {run.folder}   task graph: {run.folder / 'task_graph.png'}")
    return run


if __name__ == "__main__":
    run_verb(main)
