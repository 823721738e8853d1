"""Examples with choices, of which the one is right that has a word of the context."""

import json
import random
from pathlib import Path

WORDS = [f"w{i}" for i in range(8)]
TASKS = """
tasks:
  cause:
    kind: multiple-choice
    train: cause.jsonl
    test: 0.2
    valid: 0.2
    text: premise
    choices: endings
    metrics: [accuracy, ece]
  films:
    train: films.tsv
    test: 0.2
    valid: 0.2
"""


def examples(size: int, seed: int = 0) -> list[dict]:
    """2 to 4 choices each."""
    rng = random.Random(seed)
    found = []
    for i in range(size):
        own = rng.sample(WORDS, rng.choice([2, 3, 4]))
        label = rng.randrange(len(own))
        texts = [f"then {word} came" for word in own]
        found.append({"premise": f"{i} saw {own[label]}", "endings": texts, "label": label})
    return found


def write_tasks(folder: Path, size: int = 160) -> str:
    """A task of choices and one of labelled texts; for ``--tasks``."""
    lines = [json.dumps(example) for example in examples(size)]
    (folder / "cause.jsonl").write_text("\n".join(lines) + "\n")
    films = [f"film {WORDS[i % 8]} {i}\t{['bad', 'good'][i % 2]}" for i in range(60)]
    (folder / "films.tsv").write_text("\n".join(["text\tlabel", *films]) + "\n")
    (folder / "tasks.yaml").write_text(TASKS)
    return str(folder / "tasks.yaml")
