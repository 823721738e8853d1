r"""The intent of a spoken command and its slots: a sentence task and a tagging task in one graph.

    python examples/intent_and_slots.py --data-dir $GRAPHMTL_DATA \
        --embeddings $GRAPHMTL_DATA/vectors/reviews-100d.vec.gz

Both are layers of the same sentences, so each sentence is read once and serves both heads. Options of ``graphmtl run``
may follow (``--tasks atis``, ``--arch complete``); the default is a star graph with the dot score. At the end one
command is understood.
"""

from collections.abc import Sequence

from graphmtl.cli import run_verb
from graphmtl.options import parse_options
from graphmtl.run import run_and_report

COMMAND = ["add", "the", "new", "song", "by", "madonna", "to", "my", "workout", "playlist"]


def main(argv: Sequence[str]) -> None:
    """Trains, prints the scores, and reads a command."""
    options = parse_options(["--tasks", "snips", "--score", "dot", "--output", "runs/intent-and-slots", *argv])
    model = run_and_report(options).model
    intent, slots = model.predict([COMMAND], ["intent", "slot"])
    print("intent:", intent["label"])
    print("slots:", *(f"{token}/{tag}" for token, tag in zip(COMMAND, slots["labels"], strict=True)))


if __name__ == "__main__":
    run_verb(main)
