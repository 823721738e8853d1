r"""Parts of speech help named entities: a graph of word classes is joined by a task that marks names.

    python examples/transfer_pos_to_ner.py
    python examples/transfer_pos_to_ner.py --data-dir $GRAPHMTL_DATA \
        --embeddings $GRAPHMTL_DATA/vectors/reviews-100d.vec.gz --max-length 100

With ``--data-dir``, a graph of parts of speech (UD-EWT) and chunks (CoNLL-2000) is joined by the named entities of
WNUT-17 with 200 sentences and with all, beside ``single`` that starts from scratch on the same ones. Without it the
three corpora are generated: sentences of invented words, in which a verb or a preposition tells a person from a place.
runs/pos-to-ner then holds learning_curves.md and learning_curves.png. Options of ``graphmtl transfer --leave-one-out``
may follow.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from graphmtl import transfer
from graphmtl.cli import Parser, run_verb

TASKS = "ud-ewt:upos+conll2000:chunk+wnut17:ner"
FILE = """
tokens: word
tasks:
  upos: {train: upos.conll, test: 0.2, columns: [word, upos], label: upos}
  chunk: {train: chunk.conll, test: 0.2, columns: [word, chunk], label: chunk}
  ner: {train: ner.conll, test: 0.4, columns: [word, ner], label: ner}
"""
WORDS = {"NOUN": 150, "VERB": 80, "ADJ": 80, "PROPN": 300, "PREP": 6, "DET": 3}  # how many there are of each class
PHRASES = [["DET", "NOUN"], ["DET", "ADJ", "NOUN"], ["PROPN"], ["PROPN", "PROPN"]]


def invented_words(rng: random.Random) -> dict[str, list[str]]:
    """Pronounceable words of every class; nothing in a word's form tells its class."""
    words = {"".join(rng.choice(part) for part in ("bdfgklmnprstvz", "aeiou") * 3) for _ in range(2000)}
    shuffled = iter(rng.sample(sorted(words), sum(WORDS.values())))
    return {kind: [next(shuffled) for _ in range(count)] for kind, count in WORDS.items()}


def sentence(words: dict[str, list[str]], rng: random.Random) -> list[tuple[str, str, str, str]]:
    """Word, part of speech, chunk and entity: somebody does something, and somewhere."""
    rows = []
    for kinds, entity in (
        (rng.choice(PHRASES), "person"),
        (["VERB"], ""),
        (["PREP"], ""),
        (rng.choice(PHRASES), "place"),
    ):
        chunk = "NP" if len(kinds) > 1 or kinds[0] == "PROPN" else kinds[0][0] + "P"
        for i, kind in enumerate(kinds):
            inside = "I" if i else "B"
            rows.append(
                (rng.choice(words[kind]), kind, f"{inside}-{chunk}", f"{inside}-{entity}" if kind == "PROPN" else "O")
            )
    return rows


def generate(folder: Path) -> Path:
    """Writes the three corpora; returns what ``--tasks`` takes."""
    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = invented_words(rng)
    for column, name, size in ((1, "upos", 500), (2, "chunk", 500), (3, "ner", 500)):
        sentences = [sentence(words, rng) for _ in range(size)]
        lines = ["".join(f"{row[0]}\t{row[column]}\n" for row in rows) for rows in sentences]
        (folder / f"{name}.conll").write_text("\n".join(lines), encoding="utf-8")
    (folder / "words.yaml").write_text(FILE, encoding="utf-8")
    return folder / "words.yaml"


def main(argv: Sequence[str]) -> None:
    """Trains what is missing, and writes the scores."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=Path("runs/pos-to-ner"))
    output = parser.parse_known_args(argv)[0].output
    flags = ["--leave-one-out", "--targets", "ner", "--draws", "1", "--score", "dot", "--output", str(output)]
    if any(each.partition("=")[0] == "--data-dir" for each in argv):
        tasks = ["--tasks", TASKS, "--examples", "200,all"]
    else:
        words = generate(output.with_name(f"{output.name}-words"))
        tasks = ["--tasks", str(words), "--examples", "20,50,200", "--hidden", "32", "--chars", "none"]
    transfer.main([*flags, *tasks, *argv])


if __name__ == "__main__":
    run_verb(main)
