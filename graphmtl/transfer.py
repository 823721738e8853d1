"""``python -m graphmtl.transfer RUN --task NAME``: a new task joins the graph of a finished run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState

from graphmtl.cli import Parser, run_verb
from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import save_figure
from graphmtl.options import make_options, parse_options
from graphmtl.printed_tables import forgetting_table, incoming_table, print_table, scores_table
from graphmtl.training.joining import JOINING_LR, TransferOptions, options_for, transfer_run
from graphmtl.training.learning_curves import curves_table, draw_curves
from graphmtl.training.leave_one_out import LeaveOneOut, read_cells
from graphmtl.training.results import mean_of_first_metrics
from graphmtl.training.run_folder import Run

__all__ = ["main"]

_DESCRIPTION = """\
A new task joins the graph of a finished run, and learns from a few labelled examples.

Options of training of `graphmtl run` may follow (--epochs, --lr, --batch-size, --output, --resume, ...); others are
those of the run. --freeze says what of the trained graph stays as it was:
  all-but-new  everything; the new task's own LSTM and head alone are trained, and the old tasks answer as before
  shared       what all tasks use: word embeddings, the LSTM of `shared`, the virtual node of `star`, common heads.
               In `complete` the old tasks' LSTMs, which the new one reads, are trained
  encoder      the word embeddings, and what reads characters
  none         nothing
"""
_LEAVE_ONE_OUT = """\
Every target in turn joins a graph of the other tasks, with more and more labelled examples, beside `shared` that it
joins likewise and `single` that starts from scratch on the same examples. Learning curves come out as a table, a
picture and the area between them. What is done already is not done again: the command can be stopped and started
again, and several processes with different --targets may share --output.

Options of `graphmtl run` may follow (--tasks, --arch, --embeddings, --output, ...): they are those of the source
graphs, and but for --target-epochs, --target-batch-size and --target-lr of all arms. The learning rate of `single` is
--lr.
"""


def _parser(description: str) -> Parser:
    """The flags that both forms of the verb have."""
    parser = Parser(
        prog="graphmtl transfer",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--freeze", default="none", help="all-but-new, shared, encoder or none (none)")
    parser.add_argument(
        "--unfreeze-after",
        metavar="E",
        type=int,
        default=0,
        help="after E epochs the frozen LSTMs are trained too, and after 2 E the encoder; 0: never (0)",
    )
    parser.add_argument(
        "--start",
        default="mean",
        help="what a new task's weights begin as: mean, that of the old tasks which are alike, or fresh (mean)",
    )
    parser.add_argument("--steps", type=int, default=200, help="steps at least, whatever the epochs are (200)")
    return parser


def _number(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise InputError(f"--examples: found {text!r}, expected a whole number, or all")
    return int(text)


def _transfer_options(arguments: argparse.Namespace, examples: int | None, draw: int) -> TransferOptions:
    flags = {name: getattr(arguments, name) for name in ("freeze", "unfreeze_after", "start", "steps")}
    return TransferOptions(examples=examples, draw=draw, **flags)


def _join(argv: Sequence[str]) -> None:
    """A task joins the graph of a run."""
    parser = _parser(_DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run; it stands first")
    parser.add_argument(
        "--task",
        metavar="TASK",
        required=True,
        help="the new task: a name of the run's task set, NAME:TASK of another, a YAML file, or several joined by +",
    )
    parser.add_argument("--examples", default="all", help="labelled examples, a fifth for validation above 50 (all)")
    parser.add_argument("--draw", type=int, default=0, help="which examples; those of a draw are nested (0)")
    parser.add_argument("--leave-one-out", action="store_true", help="another experiment: --leave-one-out --help")
    arguments, rest = parser.parse_known_args(argv)
    source = Run.open(arguments.run)
    transfer = _transfer_options(arguments, _number(arguments.examples), arguments.draw)
    run = transfer_run(source, arguments.task, transfer, parse_options(rest, options_for(source)))
    if PartialState().is_main_process:
        _report(run)


def _leave_one_out(argv: Sequence[str]) -> None:
    """Every target joins a graph of the others."""
    parser = _parser(_LEAVE_ONE_OUT)
    parser.add_argument("--leave-one-out", action="store_true", help="this experiment")
    parser.add_argument("--targets", help="the tasks that are left out in turn, with commas between (every one)")
    parser.add_argument(
        "--examples", default="0,20,50,100,200,500,all", help="numbers of labelled examples (0,20,50,100,200,500,all)"
    )
    parser.add_argument("--draws", type=int, default=5, help="draws of examples (5)")
    parser.add_argument("--target-epochs", type=int, default=8, help="epochs of the target's training (8)")
    parser.add_argument("--target-batch-size", type=int, default=16, help="its batch size (16)")
    parser.add_argument("--target-lr", type=float, help="its learning rate where it joins a graph (a third of --lr)")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.draws < 1:
        raise InputError(f"--draws: found {arguments.draws}, expected 1 or more")
    options = parse_options(rest)
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
    targets = arguments.targets.split(",") if arguments.targets else list(experiment.tasks)
    for cell in experiment.run(targets, [_number(text) for text in arguments.examples.split(",")], arguments.draws):
        scores = "  ".join(f"{arm} {_score(own)}" for arm, own in cell.arms.items())
        print(f"{cell.target}, {_shown(cell.examples)} examples, draw {cell.draw}: {scores}", flush=True)
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
    path.write_text(text, encoding="utf-8")
    save_figure(draw_curves(cells), path.with_suffix(".png"))
    print(curves_table(cells))
    print(f"table: {path}   picture: {path.with_suffix('.png')}")


def main(argv: Sequence[str]) -> None:
    """The verb ``transfer``."""
    _leave_one_out(list(argv)) if "--leave-one-out" in argv else _join(list(argv))


def _report(run: Run) -> None:
    about, metrics = run.transfer, run.metrics
    headings = {"valid": "validation", "test": "test", "test_dedup": "test_dedup"}
    new = {name: metrics["tasks"][name] for name in about["new"]}
    means = {split: mean_of_first_metrics(new, split) for split in headings}
    print_table(scores_table(f"new in the graph of {about['source']}", new, headings, means))
    print_table(forgetting_table(about["old"]))
    incoming = incoming_table(about["incoming"])
    if incoming is not None:
        print_table(incoming)
    print(f"run: {run.folder}   task graph: {run.folder / 'task_graph.png'}")


if __name__ == "__main__":
    run_verb(main)
