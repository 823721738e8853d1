r"""A new domain joins a trained graph with 100 labelled examples.

    python examples/transfer_new_domain.py
    python examples/transfer_new_domain.py --data-dir $GRAPHMTL_DATA \
        --embeddings $GRAPHMTL_DATA/vectors/reviews-100d.vec.gz

Without ``--data-dir`` the tasks are generated ones, and ``child1`` joins, whose deciding words are mostly those of
``parent2`` and ``poor1``; with it, they are the review domains of FDU-MTL, and ``books`` joins. In the complete graph
the new task's incoming edges say which old tasks it reads from; they are printed, and drawn with the old graph in
runs/new-domain/joined/task_graph.png; 100 examples move them little from equal weights. The old tasks stay as they are.
Options of ``graphmtl run`` may follow.
"""

from collections.abc import Sequence

from graphmtl import transfer
from graphmtl.cli import run_verb
from graphmtl.options import parse_options
from graphmtl.run import run_and_report

PLANTED = "planted:parent1,parent2,parent3,poor1,loner1,unrelated1"
DOMAINS = "fdu-mtl:dvd,electronics,imdb,kitchen_housewares,magazines,music,toys_games,video"


def main(argv: Sequence[str]) -> None:
    """Trains the graph, lets the new task join, and prints what it reads."""
    data_dir = any(each.partition("=")[0] == "--data-dir" for each in argv)
    tasks, new = (DOMAINS, "books") if data_dir else (PLANTED, "child1")
    small = ["--planted-rich", "600", "--score", "dot", "--hidden", "32"]
    options = parse_options(
        ["--arch", "complete", "--tasks", tasks, *small, "--output", "runs/new-domain/graph", *argv]
    )
    source = run_and_report(options).folder
    joined = ["--output", str(source.parent / "joined"), *(["--overwrite"] if options.overwrite else [])]
    transfer.main([str(source), "--task", new, "--examples", "100", "--freeze", "all-but-new", *joined])


if __name__ == "__main__":
    run_verb(main)
