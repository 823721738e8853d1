r"""CMTR on part of GLUE: one encoder, an adaptation layer per task, and gates that say which task helps which text.

    python examples/cmtr_glue.py --data-dir $GRAPHMTL_DATA --encoder $GRAPHMTL_DATA/minilm

The options are those of the preset ``glue``: CoLA, 10,000 examples of SST-2, MRPC, STS-B and RTE over all-MiniLM-L6-v2,
of which the last two layers are trained and the others are computed once. Without ``--encoder FOLDER`` it comes from
the Hugging Face Hub. Options of ``graphmtl run`` may follow, such as ``--tasks glue:cola,sst2,mrpc,stsb,rte,wnli``. At
the end stands what every task read from the others, on average over its test texts.
"""

from collections.abc import Sequence

from graphmtl.cli import run_verb
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.options import parse_options
from graphmtl.run import run_and_report


def print_gates(graph: TaskGraph) -> None:
    """The gates as a matrix in percent: a row for each target, a column for each source."""
    width = max(map(len, graph.tasks))
    print(" " * width, *(f"{task:>{width}}" for task in graph.tasks))
    for task, row in zip(graph.tasks, graph.matrix(), strict=True):
        print(f"{task:{width}}", *(f"{100 * weight:{width}.1f}" for weight in row))


def main(argv: Sequence[str]) -> None:
    """Trains, prints the scores, and prints the gates."""
    run = run_and_report(parse_options(["--config", "glue", "--output", "runs/cmtr-glue", *argv]))
    print("gates (%), rows read from columns")
    print_gates(run.task_graph)


if __name__ == "__main__":
    run_verb(main)
