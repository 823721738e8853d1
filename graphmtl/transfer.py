"""``python -m graphmtl.transfer RUN --task NAME``: a new task joins the graph of a finished run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.config import listed
from graphmtl.data.overlap import Overlap
from graphmtl.errors import InputError
from graphmtl.files import write_whole
from graphmtl.graph.pictures.figure import save_figure
from graphmtl.options import make_options, parse_options
from graphmtl.printed_tables import (
    forgetting_table,
    incoming_table,
    overlap_table,
    print_table,
    same_as_test,
    scores_table,
)
from graphmtl.training.joining import JOINING_LR, TransferOptions, options_for
from graphmtl.training.learning_curves import curves_table, draw_curves
from graphmtl.training.leave_one_out import LeaveOneOut, read_cells
from graphmtl.training.results import mean_of_first_metrics
from graphmtl.training.run import Run
from graphmtl.training.transfer_run import transfer_run
from graphmtl.verbosity import say

__all__ = ["main"]


def _number(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise InputError(f"--examples: found {text!r}, expected a whole number, or all")
    return int(text)


def _transfer_options(arguments: argparse.Namespace, examples: int | None, draw: int) -> TransferOptions:
    flags = {name: getattr(arguments, name) for name in ("freeze", "unfreeze_after", "start", "steps")}
    return TransferOptions(examples=examples, draw=draw, **flags)


def _join(arguments: argparse.Namespace) -> None:
    """A task joins the graph of a run."""
    source = Run.open(arguments.run)
    transfer = _transfer_options(arguments, _number(arguments.examples), arguments.draw)
    run = transfer_run(source, arguments.task, transfer, parse_options(arguments.rest, options_for(source)))
    if PartialState().is_main_process:
        _report(run)


def _leave_one_out(arguments: argparse.Namespace) -> None:
    """Every target joins a graph of the others."""
    if arguments.draws < 1:
        raise InputError(f"--draws: found {arguments.draws}, expected 1 or more")
    options = parse_options(arguments.rest)
    target_lr = options.lr * JOINING_LR if arguments.target_lr is None else arguments.target_lr
    if not target_lr >= 0:
        raise InputError(f"--target-lr: found {target_lr}, expected 0 or more")
    target_options = {"epochs": arguments.target_epochs, "batch_size": arguments.target_batch_size, "lr": target_lr}
    make_options(**target_options)  # whether each is in its range
    if options.output is None:
        raise InputError("--leave-one-out needs --output, the folder of the experiment")
    experiment = LeaveOneOut(
        folder=Path(options.output),
        options=options,
        transfer=_transfer_options(arguments, None, 0),
        target_options=target_options,
    )
    targets = listed(arguments.targets) if arguments.targets else list(experiment.tasks)
    for cell in experiment.run(targets, [_number(text) for text in listed(arguments.examples)], arguments.draws):
        scores = "  ".join(f"{arm} {_score(own)}" for arm, own in cell.arms.items())
        say(f"{cell.target}, {_shown(cell.examples)} examples, draw {cell.draw}: {scores}", flush=True)
    _write_curves(experiment)


def _score(arm: dict) -> str:
    return "-" if arm["test"] is None else f"{arm['test']:.4f}"


def _shown(examples: int | None) -> str:
    return "all" if examples is None else str(examples)


def _write_curves(experiment: LeaveOneOut) -> None:
    """``learning_curves.md`` and ``.png`` of all finished cells of the folder."""
    cells = read_cells(experiment.folder)
    if all(cell.examples == 0 for cell in cells):
        return
    text = f"{experiment.about()}\n"
    for split, heading in (("test", "Test"), ("test_dedup", "Test texts that stand in no training split")):
        text += f"\n## {heading}\n\n{curves_table(cells, split)}"
    path = experiment.folder / "learning_curves.md"
    write_whole(path, text)
    save_figure(draw_curves(cells), path.with_suffix(".png"))
    say(curves_table(cells))
    print(f"table: {path}   picture: {path.with_suffix('.png')}")


def main(argv: Sequence[str]) -> None:
    """The verb ``transfer``."""
    arguments = ARGUMENTS["transfer"](argv)
    _leave_one_out(arguments) if arguments.leave_one_out else _join(arguments)


def _report(run: Run) -> None:
    about, metrics, known = run.transfer, run.metrics, run.remarks or {"overlap": {}}
    overlap = overlap_table({name: Overlap(**own) for name, own in known["overlap"].items()})
    if overlap is not None:
        print_table(overlap)
    new = {name: metrics["tasks"][name] for name in about["new"]}
    headings = {"test": "test"} | ({} if same_as_test(new) else {"test_dedup": "test_dedup"}) | {"valid": "validation"}
    means = {split: mean_of_first_metrics(new, split) for split in headings}
    print_table(scores_table(f"new in the graph of {about['source']}", new, headings, means))
    print_table(forgetting_table(about["old"]))
    incoming = incoming_table(about["incoming"])
    if incoming is not None:
        print_table(incoming)
    print(f"run: {run.folder}   task graph: {run.folder / 'task_graph.png'}")


if __name__ == "__main__":
    run_verb(main)
