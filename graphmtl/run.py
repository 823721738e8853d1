"""``python -m graphmtl.run``: train on a set of tasks, test, and draw the learned task graph."""

from collections.abc import Sequence

from accelerate import PartialState

from graphmtl.cli import run_verb
from graphmtl.options import parse_options
from graphmtl.table import overlap_table, print_table, scores_table
from graphmtl.training.experiment import load_run_tasks, train_run

__all__ = ["main"]


def main(argv: Sequence[str]) -> None:
    """The verb ``run``."""
    options = parse_options(argv)
    tasks = load_run_tasks(options)
    report = PartialState(cpu=options.device == "cpu").is_main_process
    overlap = overlap_table(tasks.overlap)
    if report and overlap is not None:
        print_table(overlap)
    run = train_run(tasks, options)
    if not report:
        return
    metrics = run.metrics
    headings = {"valid": "validation", "test": "test", "test_dedup": "test_dedup"}
    print_table(scores_table(f"{options.arch}, seed {options.seed}", metrics["tasks"], headings, metrics["mean"]))
    print("test_dedup: test examples whose text stands in no training split of the run")
    print(f"run: {run.folder}   task graph: {run.folder / 'task_graph.png'}")


if __name__ == "__main__":
    run_verb(main)
