r"""Parts of speech, chunks and named entities, learned together from three corpora.

    python examples/joint_tagging.py --data-dir $GRAPHMTL_DATA \
        --embeddings $GRAPHMTL_DATA/vectors/reviews-100d.vec.gz

No sentence has all three annotations, and yet every task may read from the others. Options of ``graphmtl run`` may
follow (``--arch complete``, ``--epochs 3``); the default is a star graph with the dot score. At the end one sentence is
tagged by all tasks.
"""

from collections.abc import Sequence

from graphmtl.cli import run_verb
from graphmtl.options import parse_options
from graphmtl.run import run_and_report

TASKS = "ud-ewt:upos+conll2000:chunk+wnut17:ner"
SENTENCE = ["John", "lives", "in", "New", "York", "and", "works", "for", "Google", "."]


def main(argv: Sequence[str]) -> None:
    """Trains, prints the scores, and tags a sentence."""
    options = parse_options(["--tasks", TASKS, "--score", "dot", "--output", "runs/joint-tagging", *argv])
    model = run_and_report(options).model
    for answer in model.predict([SENTENCE], list(model.tasks)):
        print(answer["task"], *(f"{token}/{tag}" for token, tag in zip(SENTENCE, answer["labels"], strict=True)))


if __name__ == "__main__":
    run_verb(main)
