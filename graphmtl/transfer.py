"""``python -m graphmtl.transfer RUN --task NAME``: a new task joins the graph of a finished run."""

import argparse
from collections.abc import Sequence

from accelerate import PartialState

from graphmtl.cli import Parser, run_verb
from graphmtl.errors import InputError
from graphmtl.options import parse_options
from graphmtl.table import forgetting_table, incoming_table, print_table, scores_table
from graphmtl.training.experiment import mean_of_first_metrics
from graphmtl.training.run_folder import Run
from graphmtl.training.transfer import TransferOptions, options_for, transfer_run

__all__ = ["main"]

_DESCRIPTION = """\
A new task joins the graph of a finished run, and learns from a few labelled examples; or, with --leave-one-out, every
task of a set in turn joins a graph of the others, and learning curves are drawn.

Options of training of `graphmtl run` may follow (--epochs, --lr, --batch-size, --output, --resume, ...); others are
those of the run. --freeze says what of the trained graph stays as it was:
  all-but-new  everything; the new task's own LSTM and head alone are trained, and the old tasks answer as before
  shared       what all tasks use: word embeddings, the LSTM of `shared`, the virtual node of `star`, common heads.
               In `complete` the old tasks' LSTMs, which the new one reads, are trained
  encoder      the word embeddings, and what reads characters
  none         nothing
"""


def _parser() -> Parser:
    parser = Parser(
        prog="graphmtl transfer",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="folder of a finished run; it stands first")
    parser.add_argument(
        "--task",
        metavar="TASK",
        required=True,
        help="the new task: a name of the run's task set, NAME:TASK of another, a YAML file, or several joined by +",
    )
    parser.add_argument("--examples", default="all", help="labelled examples, a fifth for validation above 50 (all)")
    parser.add_argument("--draw", type=int, default=0, help="which examples; those of a draw are nested (0)")
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
    parser.add_argument("--steps", type=int, default=200, help="steps at least, whatever --epochs says (200)")
    return parser


def _number(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"--examples: found {text!r}, expected a number from 1 up, or all")
    return int(text)


def main(argv: Sequence[str]) -> None:
    """The verb ``transfer``."""
    arguments, rest = _parser().parse_known_args(list(argv))
    source = Run.open(arguments.run)
    transfer = TransferOptions(
        examples=_number(arguments.examples),
        **{name: getattr(arguments, name) for name in ("draw", "freeze", "unfreeze_after", "start", "steps")},
    )
    options = parse_options(rest, options_for(source))
    run = transfer_run(source, arguments.task, transfer, options)
    if PartialState().is_main_process:
        _report(run)


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
