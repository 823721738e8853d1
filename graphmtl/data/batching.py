"""Texts as numbers: every split encoded once into one flat memory-mapped array, and batches cut from it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from graphmtl.config import ModelOptions
from graphmtl.data.column import EachValue
from graphmtl.data.flat import one_after_the_other, ranges
from graphmtl.data.kept import are_large, digest_of, kept
from graphmtl.data.label_arrays import TextLabels, TokenLabels
from graphmtl.data.long_texts import warn_of_long
from graphmtl.data.planted_truth import DECIDED_BY
from graphmtl.data.spelling import Spelling, WordForms
from graphmtl.data.subwords import SubwordTexts, SubwordVocabulary, Windows
from graphmtl.data.task import Task, TaskData
from graphmtl.data.tokenizer import PAD, SEP, UNK
from graphmtl.data.vocabulary import CutTexts, Vocabulary, truncate, truncate_pair
from graphmtl.errors import unknown_name
from graphmtl.layers.devices import moved
from graphmtl.verbosity import progress

__all__ = [
    "Batch",
    "EncodedSplit",
    "EncodedTask",
    "batches_by_length",
    "encode_split",
    "encode_tasks",
    "encode_texts",
    "made_ahead",
    "read_by_word",
    "word_forms",
]


_AT_ONCE = 1 << 20  # tokens that are counted


@dataclass
class Batch:
    """Texts of one corpus, with the labels of all its tasks.

    Attributes:
        tasks: names of the tasks that read it.
        tokens: (batch, tokens) int64, padded on the right with 0; for a transformer (windows, pieces).
        lengths: (batch,) int64, at least 1; always on the CPU, as torch's packed sequences want them.
        labels: for each task what its kind has of a label, (batch, ...), such as an index (batch,) int64, -100 where
            there is none; None for texts without labels.
        weights: (batch,) float32: 1, or 0 for an example that only fills the batch.
        spelling: how the words are written, where that is read.
        windows: how the pieces that a transformer reads belong to the texts and their words.
        groups: (batch,) int64, how many texts each example has, which stand one after the other; always on the CPU.
            ``tokens``, ``lengths`` and whatever a model makes of a text are then those of (texts,), ``labels`` and
            ``weights`` those of (batch,) examples. None where every example is one text.
    """

    tasks: tuple[str, ...]
    tokens: Tensor
    lengths: Tensor
    labels: dict[str, Tensor] | None
    weights: Tensor
    spelling: Spelling | None = None
    windows: Windows | None = None
    groups: Tensor | None = None

    def by_example(self, values: Tensor, padding: float) -> Tensor:
        """Numbers of all texts, (texts,), side by side for every example: (batch, texts of the largest)."""
        if self.groups is None:
            return values.unsqueeze(1)
        inside = torch.arange(int(self.groups.max())) < self.groups[:, None]  # (batch, most)
        return values.new_full(inside.shape, padding).masked_scatter(inside.to(values.device), values)

    def mean_of_texts(self, values: Tensor) -> Tensor:
        """The mean over the texts of every example, (batch,), of what texts have, (texts,)."""
        return values if self.groups is None else self.by_example(values, 0).sum(1) / self.groups.to(values)

    def by_text(self, values: Tensor) -> Tensor:
        """What examples have, (batch,), for every text: (texts,)."""
        return values if self.groups is None else values.repeat_interleave(self.groups.to(values.device))

    @property
    def between(self) -> Tensor:
        """(batch,) int64, the place of the token between the two texts of a pair; 0 where there is none."""
        if self.windows is not None:
            return self.windows.between
        return (self.tokens == SEP).long().argmax(1)

    def to(self, device: torch.device | str) -> "Batch":
        labels = None if self.labels is None else {task: moved(own, device) for task, own in self.labels.items()}
        spelling = None if self.spelling is None else self.spelling.to(device)
        windows = None if self.windows is None else self.windows.to(device)
        tokens, weights = moved(self.tokens, device), moved(self.weights, device)
        return replace(self, tokens=tokens, labels=labels, weights=weights, spelling=spelling, windows=windows)


def made_ahead(make: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """``make(item)`` of every item; the next one is made in a thread while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting = None
        for item in items:
            following = worker.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


class FlatTexts(NamedTuple):
    """The token ids of all texts one after the other, how many each has, and how many texts were cut."""

    ids: np.ndarray
    lengths: np.ndarray
    truncated: int = 0


class EncodedSplit:
    """The texts of one split of a corpus, and the labels of all its tasks.

    Args:
        tasks: names of the tasks that read these texts.
        texts: token ids of every text, or those of all one after the other and how many each has; its forms, where how
            words are written is read; for a transformer its pieces.
        labels: those of each task as its kind has them; None for texts without labels.
        seen: whether the text stands in a training split of the run; None where nobody asked.
        decided_by: which parent decides the text, in generated sets where that changes
            (:class:`~graphmtl.data.planted_truth.PlantedTruth`).
        forms: what the forms are.
        groups: (examples,), how many of the texts each example has; None: each one.

    Attributes:
        truncated: how many texts were cut, so that a part of them alone is read.
        lengths: (examples,), tokens of each text, or of all texts of each example.
        text_lengths: (texts,), tokens of each text; where each example is one, the same.
        labels: those of each task, or None.
        counts: for each task how many labels each text has, (examples,).
        decided_by: (examples,) int64, or None.
    """

    def __init__(
        self,
        *,
        tasks: Sequence[str],
        texts: Iterable[Sequence[int]] | SubwordTexts | FlatTexts,
        labels: Mapping[str, TextLabels | TokenLabels] | None = None,
        seen: Sequence[bool] | None = None,
        decided_by: Sequence[int] | None = None,
        forms: WordForms | None = None,
        groups: np.ndarray | None = None,
    ):
        self.tasks = tuple(tasks)
        self._pieces = texts if isinstance(texts, SubwordTexts) else None
        if isinstance(texts, SubwordTexts):
            self.text_lengths = texts.lengths
        elif isinstance(texts, FlatTexts):
            self._ids, self.text_lengths, _ = texts
        else:
            each: Any = texts
            ((self._ids, self.text_lengths),) = one_after_the_other(((text,) for text in each), 1)
        self.truncated = int(getattr(texts, "truncated", 0))
        self._ends = np.cumsum(self.text_lengths)
        self._groups, self.lengths = groups, self.text_lengths
        if groups is not None:
            self._first = np.cumsum(groups) - groups  # (examples,), of their texts
            before = np.concatenate([[0], self._ends])
            self.lengths = before[self._first + groups] - before[self._first]
        self._forms = forms
        self.labels: dict[str, TextLabels | TokenLabels] | None = None
        self.counts: dict[str, np.ndarray] = {}
        if labels is not None:
            self.set_labels(labels)
        self.seen = np.zeros(len(self), dtype=bool) if seen is None else np.asarray(seen, dtype=bool)
        self.decided_by = None if decided_by is None else np.asarray(decided_by, dtype=np.int64)

    def set_labels(self, labels: Mapping[str, TextLabels | TokenLabels]) -> None:
        """Give the texts their labels."""
        self.labels = dict(labels)
        self.counts = {task: own.counts for task, own in labels.items()}

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def subwords(self) -> SubwordTexts | None:
        """The texts as a transformer's pieces; None where they are words."""
        return self._pieces

    @property
    def unknown(self) -> float | None:
        """The share of the tokens that are unknown words; None where there is no token, or pieces are read."""
        if self._pieces is not None or not len(self._ids):
            return None
        ids = self._ids if self._forms is None else self._forms.indices(self._ids)  # (tokens of all texts,)
        return sum(map(np.count_nonzero, (ids[i : i + _AT_ONCE] == UNK for i in range(0, len(ids), _AT_ONCE)))) / len(
            ids
        )

    def digest(self) -> bytes:
        """SHA-256 of the texts as they are encoded; labels play no part."""
        digest = hashlib.sha256(self.text_lengths.tobytes())
        digest.update(np.ascontiguousarray(self._ids if self._pieces is None else self._pieces.ids).data)
        return digest.digest()

    def batch(self, rows: Sequence[int] | np.ndarray, fillers: int = 0, tasks: Sequence[str] | None = None) -> Batch:
        """The examples ``rows``, the last ``fillers`` of which get weight 0, for all tasks or some."""
        rows = texts = np.asarray(rows)  # (batch,)
        groups = None
        if self._groups is not None:
            sizes = self._groups[rows]  # (batch,)
            groups, texts = torch.from_numpy(sizes), ranges(self._first[rows], sizes)  # (batch,), (texts,)
        lengths = self.text_lengths[texts]  # (batch,), or of all texts (texts,), as what follows
        positions = np.arange(lengths.max())  # (tokens,)
        inside = positions < lengths[:, None]  # (batch, tokens)
        where = ((self._ends - self.text_lengths)[texts][:, None] + positions)[inside]
        spelling = windows = None
        if self._pieces is not None:
            ids, windows = self._pieces.batch(texts)  # (windows, pieces)
        else:
            ids = np.full(inside.shape, PAD, dtype=np.int64)  # (batch, tokens)
            ids[inside] = self._ids[where]
        if self._forms is not None:
            ids, spelling = self._forms.indices(ids), self._forms.spelling(ids)
        weights = torch.ones(len(rows))
        weights[len(rows) - fillers :] = 0
        names = self.tasks if tasks is None else tuple(tasks)
        labels = None
        if self.labels is not None:
            labels = {name: self.labels[name].batch(rows, inside) for name in names}
        tokens = torch.from_numpy(ids)
        return Batch(names, tokens, torch.from_numpy(lengths), labels, weights, spelling, windows, groups)


@dataclass
class EncodedTask:
    """A task and its splits, encoded; tasks of the same corpus have the same splits.

    Attributes:
        other_tests: further test splits by name.
    """

    task: Task
    train: EncodedSplit
    valid: EncodedSplit
    test: EncodedSplit
    corpus: str = ""
    other_tests: dict[str, EncodedSplit] = field(default_factory=dict)

    def __post_init__(self):
        self.corpus = self.corpus or self.task.name

    @property
    def splits(self) -> dict[str, EncodedSplit]:
        """Every split by its name."""
        return {"train": self.train, "valid": self.valid, "test": self.test, **self.other_tests}

    def labelled(self, split: str) -> int:
        """How many examples of a split have a label of this task."""
        return int((self.splits[split].counts[self.task.name] > 0).sum())


def encode_tasks(
    tasks: Mapping[str, TaskData],
    vocabulary: Vocabulary | SubwordVocabulary,
    options: ModelOptions,
    *,
    apart: bool = False,
) -> dict[str, EncodedTask]:
    """Every split of every task; tasks of one corpus get the same splits.

    Texts are cut to their task's ``max_length``, or else to ``options.max_length`` tokens, but where tokens get labels,
    none is cut off. A training text without any label is left out.

    Args:
        tasks: the tasks and their data.
        vocabulary: with an alphabet, how words are written is kept too; of a transformer its pieces.
        options: how long a text may be.
        apart: every task gets splits of its own, as if all corpora had one task: for models that share nothing.
    """
    encoded = {}
    forms = word_forms(vocabulary)
    for corpus, layers in _corpora(tasks, apart).items():
        splits = {split: _encode_split(layers, split, vocabulary, options, forms) for split in layers[0].splits}
        train, valid, test = (splits.pop(split) for split in ("train", "valid", "test"))
        for data in layers:
            encoded[data.task.name] = EncodedTask(data.task, train, valid, test, corpus, splits)
    return {name: encoded[name] for name in tasks}


def encode_split(
    tasks: Mapping[str, TaskData],
    vocabulary: Vocabulary | SubwordVocabulary,
    options: ModelOptions,
    split: str,
    *,
    apart: bool = False,
) -> dict[str, EncodedSplit]:
    """One split of every corpus, as :func:`encode_tasks` makes it.

    Raises:
        InputError: a task has no such split.
    """
    corpora, forms = _corpora(tasks, apart), word_forms(vocabulary)
    for first, *_ in corpora.values():
        if split not in first.splits:
            raise unknown_name("split", split, first.splits)
    return {corpus: _encode_split(layers, split, vocabulary, options, forms) for corpus, layers in corpora.items()}


def _corpora(tasks: Mapping[str, TaskData], apart: bool) -> dict[str, list[TaskData]]:
    """The tasks that read the same texts, by the name of the corpus."""
    corpora: dict[str, list[TaskData]] = {}
    for name, data in tasks.items():
        corpora.setdefault(name if apart else data.corpus or name, []).append(data)
    return corpora


def word_forms(vocabulary: Vocabulary | SubwordVocabulary) -> WordForms | None:
    """The table of words as they are written, where the vocabulary has an alphabet."""
    if isinstance(vocabulary, SubwordVocabulary) or vocabulary.alphabet is None:
        return None
    return WordForms(vocabulary.alphabet, vocabulary.index)


def read_by_word(task: Task, vocabulary: Vocabulary | SubwordVocabulary, *, every_token: bool) -> bool:
    """Whether each word of a task's texts must have a state of its own, so that none may be cut off.

    Args:
        task: the task.
        vocabulary: with word embeddings this is so where ``every_token`` is spoken of; a transformer reads a corpus of
            tokens so, and what a kind of task reads so, other texts as they are written.
        every_token: tags, or edge weights of every token, are wanted.
    """
    if isinstance(vocabulary, SubwordVocabulary):
        return task.tokens or task.whole or task.of_kind.reads_tokens
    return every_token or task.whole


def _encode_split(
    layers: Sequence[TaskData],
    split: str,
    vocabulary: Vocabulary | SubwordVocabulary,
    options: ModelOptions,
    forms: WordForms | None,
) -> EncodedSplit:
    """A split of a corpus, given as the data of each of its tasks."""
    training = split == "train"
    kinds = {data.task.name: data.task.of_kind for data in layers}
    rows = layers[0].splits[split]
    labels = {data.task.name: [*EachValue(data.splits[split], "label")] for data in layers}
    if training:
        known = [map(kinds[name].is_labelled, own) for name, own in labels.items()]
        kept = [i for i, found in enumerate(zip(*known, strict=True)) if any(found)]
        if len(kept) < len(rows):
            rows, labels = rows.select(kept), {name: [its[i] for i in kept] for name, its in labels.items()}
    options = replace(options, max_length=max(kind.task.kept_tokens(options.max_length) for kind in kinds.values()))
    by_word = any(read_by_word(kind.task, vocabulary, every_token=kind.reads_tokens) for kind in kinds.values())
    groups = (
        np.array([*map(len, EachValue(rows, "choices"))], dtype=np.int64) if "choices" in rows.column_names else None
    )
    encoded = EncodedSplit(
        tasks=list(labels),
        texts=_encoded(rows, vocabulary, options, forms, whole=by_word, keep_both=groups is not None),
        seen=[*EachValue(rows, "seen")] if "seen" in rows.column_names else None,
        decided_by=[*EachValue(rows, DECIDED_BY)] if DECIDED_BY in rows.column_names else None,
        forms=forms,
        groups=groups,
    )
    about = (encoded.lengths, rows, vocabulary)
    found = {name: kinds[name].encoded(own, *about, f"{name}, {split}") for name, own in labels.items()}
    encoded.set_labels(found)
    warn_of_long(encoded.text_lengths, options, f"{', '.join(labels)}, {split}", training=training)
    return encoded


def _encoded(
    rows: Dataset,
    vocabulary: Vocabulary | SubwordVocabulary,
    options: ModelOptions,
    forms: WordForms | None,
    *,
    whole: bool,
    keep_both: bool,
) -> Iterable[Sequence[int]] | SubwordTexts | FlatTexts:
    """What :func:`encode_texts` makes of a split; the words of a large one are kept."""

    def encode() -> Iterable[Sequence[int]] | SubwordTexts:
        texts = progress(_texts(rows), "encoding", len(rows))
        return encode_texts(texts, vocabulary, options, forms, whole=whole, keep_both=keep_both)

    def flat() -> dict[str, np.ndarray]:
        each: Any = encode()
        ((ids, lengths),) = one_after_the_other(((text,) for text in each), 1)
        return {"ids": ids, "lengths": lengths, "truncated": np.array(getattr(each, "truncated", 0))}

    if isinstance(vocabulary, SubwordVocabulary) or forms is not None or not are_large([rows]):
        return encode()
    cut = None if whole else [options.max_length, options.truncate, keep_both]
    found = kept("encoded texts", {"texts": digest_of(rows), "words": vocabulary.digest(), "cut": cut}, flat)
    return FlatTexts(found["ids"], found["lengths"], int(found["truncated"]))


def _texts(rows) -> Iterator[tuple]:
    if "choices" in rows.column_names:
        own = zip(EachValue(rows, "text"), EachValue(rows, "choices"), strict=True)
        return ((context, choice) for context, choices in own for choice in choices)
    if "tokens" in rows.column_names:
        return ((tokens,) for tokens in EachValue(rows, "tokens"))
    pairs = EachValue(rows, "text_pair") if "text_pair" in rows.column_names else repeat(None, len(rows))
    return zip(EachValue(rows, "text"), pairs, strict=True)


def encode_texts(
    texts: Iterable[tuple],
    vocabulary: Vocabulary | SubwordVocabulary,
    options: ModelOptions,
    forms: WordForms | None,
    *,
    whole: bool = False,
    keep_both: bool = False,
) -> Iterable[list[int]] | SubwordTexts:
    """The ids of every text (or pair, or list of tokens in a tuple): its words, or its forms where there are any.

    With ``whole`` every word has a state of its own and none is cut off. With ``keep_both`` the longer text of a pair
    is cut first, as a transformer's pieces always are: of a context and a choice the choice must not go.
    """
    if isinstance(vocabulary, SubwordVocabulary):
        return vocabulary.encode_texts(texts, options, words=whole)
    encoded = vocabulary.encode_texts(texts) if forms is None else _form_ids(texts, vocabulary, forms)
    cut = truncate_pair if keep_both else truncate
    return encoded if whole else CutTexts(encoded, cut, options.max_length, options.truncate)


def _form_ids(texts: Iterable[tuple], vocabulary: Vocabulary, forms: WordForms) -> Iterator[list[int]]:
    for first, *second in vocabulary.split_texts(texts):
        ids = forms.encode(first)
        yield [*ids, SEP, *forms.encode(second[0])] if second else ids


def batches_by_length(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """The places of texts with these lengths (examples,), those of like length together."""
    order = np.argsort(np.asarray(lengths), kind="stable")  # (examples,)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
