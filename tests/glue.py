"""Small folders in the layouts in which GLUE's tasks are published."""

import random
from pathlib import Path

WORDS = [
    "the",
    "a",
    "film",
    "plot",
    "story",
    "is",
    "was",
    "not",
    "very",
    "good",
    "bad",
    "dull",
    "slow",
    "fine",
    "old",
    "new",
]
_PAIR = ("sentence1", "sentence2")
_NLI = ("entailment", "not_entailment")
_THREE = ("entailment", "neutral", "contradiction")
_STSB = ("index", "genre", "filename", "year", "old_index", "source1", "source2", *_PAIR)
_PARSES = ("sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse")
_MNLI = ("index", "promptID", "pairID", "genre", *_PARSES, *_PAIR)

# of each folder: {file: its columns}, and the labels
LAYOUTS = {
    "CoLA": ({"train": ("source", "label", "mark", "sentence"), "test": ("index", "sentence")}, "01"),
    "SST-2": ({"train": ("sentence", "label"), "test": ("index", "sentence")}, "01"),
    "MRPC": (
        {
            "train": ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
            "test": ("index", "#1 ID", "#2 ID", "#1 String", "#2 String"),
        },
        "01",
    ),
    "STS-B": ({"train": (*_STSB, "score"), "test": _STSB}, ("0.000", "2.5", "3.75", "5.000")),
    "QQP": (
        {
            "train": ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
            "test": ("id", "question1", "question2"),
        },
        "01",
    ),
    "MNLI": (
        {
            "train": (*_MNLI, "label1", "gold_label"),
            "dev_matched": (*_MNLI, "label1", "label2", "gold_label"),
            "dev_mismatched": (*_MNLI, "label1", "label2", "gold_label"),
            "test_matched": _MNLI,
            "test_mismatched": _MNLI,
        },
        _THREE,
    ),
    "QNLI": (
        {"train": ("index", "question", "sentence", "label"), "test": ("index", "question", "sentence")},
        _NLI,
    ),
    "RTE": ({"train": ("index", *_PAIR, "label"), "test": ("index", *_PAIR)}, _NLI),
    "WNLI": ({"train": ("index", *_PAIR, "label"), "test": ("index", *_PAIR)}, "01"),
}
_LABELS = ("label", "Quality", "score", "is_duplicate", "gold_label")
_TEXTS = (*_PAIR, "sentence", "question", "question1", "question2", "#1 String", "#2 String")


def write_glue(data_dir: Path, *folders: str, train: int = 40, dev: int = 12, test: int = 7) -> Path:
    """The folder ``glue`` of a data folder, with all tasks or some; texts hold quotes and the words NA and null."""
    rng = random.Random(0)
    for name in folders or LAYOUTS:
        layouts, labels = LAYOUTS[name]
        layouts = {"dev": layouts["train"], **layouts} if name != "MNLI" else layouts
        (data_dir / "glue" / name).mkdir(parents=True)
        for file, columns in layouts.items():
            rows = [columns] if (name, file) not in (("CoLA", "train"), ("CoLA", "dev")) else []
            size = {"train": train, "dev": dev, "test": test}[file.split("_")[0]]
            for i in range(size):
                label = labels[i % len(labels)]
                rows.append([_field(column, i, label, rng) for column in columns])
            content = "".join("\t".join(row) + "\n" for row in rows)
            (data_dir / "glue" / name / f"{file}.tsv").write_text(content, encoding="utf-8")
    return data_dir


def _field(column: str, i: int, label: str, rng: random.Random) -> str:
    if column in _LABELS:
        return label
    if column not in _TEXTS:
        return str(i)
    return " ".join([*rng.choices(WORDS, k=5), '"', rng.choice(["NA", "null", str(i)])])
