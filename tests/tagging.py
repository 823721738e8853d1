"""Generated column corpora for tests: layers of tags and a label for sentences, some of them missing."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.overlap import Overlap
from graphmtl.data.task import Task, TaskData, TaskSet

POS = Task(name="pos", kind="token-classification", labels=("name", "verb", "other"), tokens=True)
NER = Task(
    name="ner",
    kind="token-classification",
    labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    metrics=("span_f1", "span_precision", "span_recall", "accuracy"),
    tokens=True,
)
MOOD = Task(name="mood", labels=("calm", "angry"), tokens=True)
PLAIN = Task(name="plain", labels=("short", "long"))

_PARTS = {
    "PER": (("Ada", "name"), ("Böll", "name"), ("iVan", "name")),
    "LOC": (("Rome", "name"), ("NYC", "name"), ("Málaga", "name")),
    "": (("sees", "verb"), ("left", "verb"), ("in", "other"), ("!", "other"), ("1999", "other")),
}


def _sentence(rng: np.random.Generator) -> tuple[list[str], list[int], list[int]]:
    """Tokens, parts of speech and IOB2 tags of one to five pieces."""
    tokens, pos, ner = [], [], []
    for _ in range(rng.integers(1, 6)):
        kind = ("PER", "LOC", "", "")[rng.integers(4)]
        for i in range(rng.integers(1, 3) if kind else 1):
            token, tag = _PARTS[kind][rng.integers(len(_PARTS[kind]))]
            tokens.append(token)
            pos.append(POS.labels.index(tag))
            ner.append(NER.labels.index(f"{'I' if i else 'B'}-{kind}") if kind else 0)
    return tokens, pos, ner


def _holes(tags: list[int], rng: np.random.Generator, missing: float) -> list[int]:
    if rng.random() < missing / 2:
        return [NO_LABEL] * len(tags)
    return [NO_LABEL if rng.random() < missing / 2 else tag for tag in tags]


def _rows(size: int, seed: int, missing: float) -> dict[str, Dataset]:
    """The rows of every layer of ``size`` sentences; about the share ``missing`` of the labels is not there."""
    rng = np.random.default_rng(seed)
    sentences = [_sentence(rng) for _ in range(size)]
    tokens = [tokens for tokens, _, _ in sentences]
    labels = {
        "pos": [_holes(pos, rng, missing) for _, pos, _ in sentences],
        "ner": [_holes(ner, rng, missing) for _, _, ner in sentences],
        "mood": [NO_LABEL if rng.random() < missing else int("!" in own) for own in tokens],
    }
    seen = [row % 4 == 0 for row in range(size)]
    return {name: Dataset.from_dict({"tokens": tokens, "label": own, "seen": seen}) for name, own in labels.items()}


def _plain(size: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    texts = [" ".join(_sentence(rng)[0]) for _ in range(size)]
    return Dataset.from_dict({"text": texts, "label": [int(len(text) > 12) for text in texts], "seen": [False] * size})


def _data(task: Task, splits: Sequence[Dataset], corpus: str) -> TaskData:
    train, valid, test = splits
    nothing = Overlap(test_in_own=0, test_in_others=0, repeated=0, dropped=0, test_seen=0, valid_seen=0, empty=0)
    return TaskData(
        task=task, train=train.remove_columns("seen"), valid=valid, test=test, overlap=nothing, corpus=corpus
    )


def tagging_tasks(*names: str, size: int = 60, missing: float = 0.0, tasks: dict[str, Task] | None = None) -> TaskSet:
    """pos, ner and mood are layers of one corpus, plain are texts of their own."""
    names = names or ("pos", "ner", "mood", "plain")
    sizes = (size, 20, 21)
    layers = [_rows(n, seed, missing) for seed, n in enumerate(sizes)]
    known = {"pos": POS, "ner": NER, "mood": MOOD} | (tasks or {})
    data = [
        _data(PLAIN, [_plain(n, seed + 7) for seed, n in enumerate(sizes)], "plain")
        if name == "plain"
        else _data(known[name], [rows[name] for rows in layers], "news")
        for name in names
    ]
    return TaskSet(name="tagging", data=data)
