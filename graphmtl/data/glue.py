"""GLUE: nine tasks of understanding English texts (Wang et al., ICLR 2019, arXiv 1804.07461).

Each task is read from its folder as published (``CoLA/train.tsv``, ``CoLA/dev.tsv`` ...; quotes are letters like
others) or, where that is not at hand, from the Hub (``nyu-mll/glue``). The labels of the published test files are not
public: the published dev split is ``test``, and ``valid`` is cut off the training split. MNLI's mismatched dev split is
``test_mismatched``. Each task has GLUE's own metrics, F1 being that of the positive label. WNLI is not in the mean over
tasks: most premises of its dev split stand in training, with the other label.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphmtl.data.arrow import read_hub
from graphmtl.data.delimited import Reading
from graphmtl.data.readers import read_tsv
from graphmtl.data.source import Corpus, Source, SourceSet
from graphmtl.data.submission_file import SubmissionFile
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

__all__ = ["glue_sources", "sentence_of_phrase"]

_HUB = "nyu-mll/glue"
_OTHER = re.compile(r"[\W_]+")  # what is left out where words are compared
_VALID, _MOST = 0.1, 5000  # the share of the training split that is cut off for validation, and how many at most


@dataclass(frozen=True, kw_only=True)
class _GlueTask:
    """How a task is published.

    Args:
        folder: its folder, and the name of its submission file.
        text: the columns of the texts.
        label: the column of the label.
        labels: {label in the file: name}; names are those of the Hub. Empty for scores.
        hub_text: the columns of the texts on the Hub, where they are others.
        tests: {test split: (end of the file's and of the Hub's names, end of the submission's name)}.
    """

    folder: str
    text: tuple[str, ...]
    label: str
    labels: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    hub_text: tuple[str, ...] = ()
    tests: tuple[tuple[str, str, str], ...] = (("test", "", ""),)

    def task(self, name: str, *, hub: bool) -> Task:
        """The task, with the labels as they stand in the data."""
        return Task(
            name=name,
            kind="text-classification" if self.labels else "regression",
            text=self.hub_text or self.text if hub else self.text,
            label="label" if hub else self.label,
            labels=tuple(label for _, label in self.labels) if hub else tuple(code for code, _ in self.labels),
            metrics=self.metrics,
            positive=self.labels[1][hub] if "f1" in self.metrics else None,
            scale=None if self.labels else (0.0, 5.0),
            in_mean=name != "wnli",
        )


_NLI = (("entailment", "entailment"), ("not_entailment", "not_entailment"))
_THREE = tuple((label, label) for label in ("entailment", "neutral", "contradiction"))
_PAIR = ("sentence1", "sentence2")
_TASKS = {
    "cola": _GlueTask(
        folder="CoLA",
        text=("sentence",),
        label="label",
        labels=(("0", "unacceptable"), ("1", "acceptable")),
        metrics=("matthews", "accuracy"),
    ),
    "sst2": _GlueTask(
        folder="SST-2",
        text=("sentence",),
        label="label",
        labels=(("0", "negative"), ("1", "positive")),
        metrics=("accuracy",),
    ),
    "mrpc": _GlueTask(
        folder="MRPC",
        text=("#1 String", "#2 String"),
        label="Quality",
        labels=(("0", "not_equivalent"), ("1", "equivalent")),
        metrics=("f1", "accuracy"),
        hub_text=_PAIR,
    ),
    "stsb": _GlueTask(folder="STS-B", text=_PAIR, label="score", labels=(), metrics=("pearson", "spearman")),
    "qqp": _GlueTask(
        folder="QQP",
        text=("question1", "question2"),
        label="is_duplicate",
        labels=(("0", "not_duplicate"), ("1", "duplicate")),
        metrics=("f1", "accuracy"),
    ),
    "mnli": _GlueTask(
        folder="MNLI",
        text=_PAIR,
        label="gold_label",
        labels=_THREE,
        metrics=("accuracy",),
        hub_text=("premise", "hypothesis"),
        tests=(("test", "_matched", "-m"), ("test_mismatched", "_mismatched", "-mm")),
    ),
    "qnli": _GlueTask(
        folder="QNLI",
        text=("question", "sentence"),
        label="label",
        labels=_NLI,
        metrics=("accuracy",),
    ),
    "rte": _GlueTask(folder="RTE", text=_PAIR, label="label", labels=_NLI, metrics=("accuracy",)),
    "wnli": _GlueTask(
        folder="WNLI",
        text=_PAIR,
        label="label",
        labels=(("1", "entailment"), ("0", "not_entailment")),  # as RTE and QNLI have them
        metrics=("accuracy",),
    ),
}


def glue_sources(folder: Path | None) -> SourceSet:
    """GLUE's nine tasks.

    Args:
        folder: holds a folder for each task; None, or for those that are not in it: the Hub.
    """
    return SourceSet(name="glue", sources={name: partial(_source, folder, name) for name in _TASKS})


def _missing(folder: Path | None, name: str) -> list[Path]:
    """The files that a task is trained and tested on and that are not at hand."""
    spec = _TASKS[name]
    own = (folder or Path("glue")) / spec.folder
    paths = [own / "train.tsv", *(own / f"dev{end}.tsv" for _, end, _ in spec.tests)]
    return [path for path in paths if not path.is_file()]


def _source(folder: Path | None, name: str) -> Source:
    spec = _TASKS[name]
    missing = _missing(folder, name)
    if folder is not None and not missing:
        return _local(folder / spec.folder, name)
    try:
        return _from_hub(name)
    except InputError as error:
        raise InputError(f"{_tried(folder, name, missing)}, and {error}{_at_hand(folder)}") from None


def _tried(folder: Path | None, name: str, missing: Sequence[Path]) -> str:
    if folder is None:
        where = f"glue/{_TASKS[name].folder}"
        return f"task {name!r} of glue: no folder {where}: give data_dir (--data-dir) or set GRAPHMTL_DATA"
    return f"task {name!r} of glue: no {' and no '.join(map(str, missing))}"


def _at_hand(folder: Path | None) -> str:
    """Which tasks can be had, if any."""
    found = [name for name in _TASKS if folder is not None and not _missing(folder, name)]
    lacking = ", ".join(name for name in _TASKS if name not in found)
    return f"; not at hand: {lacking}; the others are tasks glue:{','.join(found)}" if found else ""


def _local(folder: Path, name: str) -> Source:
    spec = _TASKS[name]
    task = spec.task(name, hub=False)
    header = ("source", "label", "mark", "sentence") if name == "cola" else ()  # the one without a line of names
    read = partial(read_tsv, wanted=(*task.text, task.label), reading=Reading(header=header, quoting="none"))
    train = read(folder / "train.tsv")
    tests = [read(folder / f"dev{end}.tsv") for _, end, _ in spec.tests]
    submission = _submission(name, [partial(_read_test, folder, end, task.text) for _, end, _ in spec.tests])
    return Source(task=task, names=dict(spec.labels), corpus=_corpus(task, train, tests), submission=submission)


def _corpus(task: Task, train: Table, tests: Sequence[Table]) -> Corpus:
    names = [split for split, _, _ in _TASKS[task.name].tests]
    return Corpus(
        name=task.name,
        train=train,
        valid=min(_VALID, _MOST / len(train)),
        test=tests[0],
        texts=(task.text,),
        stratify=task.label if task.of_kind.stratified else None,
        other_tests=dict(zip(names[1:], tests[1:], strict=True)),
        together=sentence_of_phrase if task.name == "sst2" else None,
    )


def _read_test(folder: Path, end: str, text: tuple[str, ...]) -> Table:
    path = folder / f"test{end}.tsv"
    other = folder / "msr_paraphrase_test.txt"  # as MRPC's own authors call it
    return read_tsv(path if path.is_file() or not other.is_file() else other, text)


def _from_hub(name: str) -> Source:
    spec = _TASKS[name]
    task = spec.task(name, hub=True)
    read = partial(read_hub, _HUB, config=name)
    wanted = (*task.text, task.label)
    train = read(wanted, split="train")
    tests = [read(wanted, split=f"validation{end}") for _, end, _ in spec.tests]
    submission = _submission(name, [partial(read, task.text, split=f"test{end}") for _, end, _ in spec.tests])
    return Source(task=task, corpus=_corpus(task, train, tests), submission=submission)


def _submission(name: str, readers: Sequence[partial[Table]]) -> tuple[SubmissionFile, ...]:
    spec = _TASKS[name]
    codes = {label: code for code, label in spec.labels}
    return tuple(
        SubmissionFile(name=f"{spec.folder}{end}.tsv", read=read, codes=codes)
        for (_, _, end), read in zip(spec.tests, readers, strict=True)
    )


def sentence_of_phrase(texts: Sequence[str]) -> list[str | None]:
    """The sentence that each text is a phrase of; None for a phrase of several sentences.

    SST-2's training texts are the phrases of sentences, in any order. A sentence is a text whose words stand side by
    side in no longer one; a phrase of several, such as "a good film", is told from none of them, so that it must never
    be held out. With that no validation text is a phrase of a training sentence. Words are compared without case and
    punctuation. Every sentence's phrases are looked up once: about n^2 / 2 look-ups for a sentence of n words.
    """
    words = [tuple(word for each in text.split() if (word := _OTHER.sub("", each.lower()))) for text in texts]
    sentences: dict[tuple[str, ...], set[str]] = {own: set() for own in words}
    for own in sorted(sentences, key=len, reverse=True):
        if sentences[own] or not own:
            continue
        for start in range(len(own)):
            for end in range(start + 1, len(own) + 1):
                if (phrase := own[start:end]) in sentences:
                    sentences[phrase].add("".join(own))
    return [next(iter(sentences[own]), "") if len(sentences[own]) < 2 else None for own in words]
