"""``python -m graphmtl.run``: train on a set of tasks, test, and draw the learned task graph."""

from collections.abc import Sequence

from graphmtl.cli import run_verb
from graphmtl.config import Options
from graphmtl.options import parse_options
from graphmtl.printed_tables import other_test_splits, overlap_table, print_table, scores_table
from graphmtl.training.experiment import folder_of, train_run
from graphmtl.training.processes import process_state
from graphmtl.training.run_data import left_out, load_run_tasks
from graphmtl.training.run_folder import Run

__all__ = ["main", "run_and_report"]


def main(argv: Sequence[str]) -> None:
    """The verb ``run``."""
    run_and_report(parse_options(argv))


def run_and_report(options: Options) -> Run:
    """Trains and tests, and prints the tables of repeated texts and of scores."""
    tasks = load_run_tasks(options)
    report = process_state(cpu=options.device == "cpu").is_main_process
    folder = folder_of(tasks, options)
    if report and options.resume and not folder.exists():
        print(f"{folder}: no such folder, so there is nothing to resume; the run starts afresh")
    overlap = overlap_table(tasks.overlap)
    if report and overlap is not None:
        print_table(overlap)
    for line in left_out(tasks) if report else ():
        print(line)
    run = train_run(tasks, options)
    if not report:
        return run
    metrics = run.metrics
    headings = {"valid": "validation", "test": "test", "test_dedup": "test_dedup"}
    headings |= {split: split for split in other_test_splits(metrics["tasks"])}
    print_table(scores_table(f"{options.arch}, seed {options.seed}", metrics["tasks"], headings, metrics["mean"]))
    print("test_dedup: test examples whose text stands in no training split of the run")
    if options.refit_on_valid:
        print("test: of the model trained again on training and validation split; validation: of the one before it")
    print(f"run: {run.folder}   task graph: {run.folder / 'task_graph.png'}")
    return run


if __name__ == "__main__":
    run_verb(main)
