r"""How many labelled examples does a new task need? Learning curves with and without the other tasks.

    python examples/transfer_learning_curve.py
    python examples/transfer_learning_curve.py --data-dir $GRAPHMTL_DATA \
        --embeddings $GRAPHMTL_DATA/vectors/reviews-100d.vec.gz

Without ``--data-dir`` a generated task with few examples is left out; with it, the review domain ``books``. Graphs of
all other tasks are trained, the task joins them with 20, 50 and 100 examples in two draws, and ``single`` starts from
scratch on the same ones. runs/learning-curve then holds learning_curves.md and learning_curves.png; what is done
already is not done again. Options of ``graphmtl transfer --leave-one-out`` may follow (``--examples``, ``--draws``).
"""

from collections.abc import Sequence

from graphmtl import transfer
from graphmtl.cli import run_verb

PLANTED = ["--tasks", "planted", "--targets", "child1", "--planted-rich", "500", "--epochs", "6", "--steps", "100"]
BOOKS = ["--tasks", "fdu-mtl", "--targets", "books", "--max-length", "100", "--batch-size", "64", "--epochs", "4"]
SMALL = ["--hidden", "32", "--score", "dot", "--examples", "0,20,50,100", "--draws", "2"]


def main(argv: Sequence[str]) -> None:
    """Trains what is missing, and writes the curves."""
    data_dir = any(each.partition("=")[0] == "--data-dir" for each in argv)
    tasks = BOOKS if data_dir else PLANTED
    transfer.main(["--leave-one-out", *tasks, *SMALL, "--output", "runs/learning-curve", *argv])


if __name__ == "__main__":
    run_verb(main)
