"""Texts without labels, of which a language model may learn, and none that a score is measured on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphmtl.data.overlap import normalise
from graphmtl.data.raw_texts import texts_of_split
from graphmtl.data.source import Source
from graphmtl.data.task import TaskSet

__all__ = ["UnlabelledTexts", "key_of", "unlabelled_texts"]


@dataclass(frozen=True, kw_only=True)
class UnlabelledTexts:
    """What is read without its labels.

    Attributes:
        texts: each in a tuple, as :meth:`~graphmtl.data.vocabulary.Vocabulary.encode_texts` takes them: a text, or a
            list of tokens.
        unlabelled: how many of them have no label.
        held_out: how many were left out, since they stand in a validation or test split of any of the tasks.
        repeated: how many were left out, since they stand before.
    """

    texts: list[tuple]
    unlabelled: int
    held_out: int
    repeated: int

    def __str__(self) -> str:
        own = len(self.texts) - self.unlabelled
        return (
            f"{len(self.texts):,} texts, {self.unlabelled:,} without a label and {own:,} of the training splits; left "
            f"out: {self.held_out:,} of a validation or test split, {self.repeated:,} that stand there before"
        )


def unlabelled_texts(tasks: TaskSet, sources: Mapping[str, Callable[[], Source]]) -> UnlabelledTexts:
    """The unlabelled texts of a task set, then those of its training splits; blank ones are left out.

    Args:
        tasks: the tasks.
        sources: what reads each of them (:func:`~graphmtl.data.loading.open_sources`).
    """
    held_out = {key_of(text) for data in tasks.values() for name in _scored(data) for text in _all(data.splits[name])}
    given = [text for name in tasks for text in sources[name]().unlabelled()]
    layers = {data.corpus: data.train for data in tasks.values()}.values()
    found: dict[str, tuple] = {}
    counts, unlabelled = {"held_out": 0, "repeated": 0}, 0
    for place, text in enumerate([*given, *(text for rows in layers for text in _all(rows))]):
        key = key_of(text)
        if not key:
            continue
        if key in held_out or key in found:
            counts["held_out" if key in held_out else "repeated"] += 1
            continue
        found[key] = (text,)
        unlabelled += place < len(given)
    return UnlabelledTexts(texts=[*found.values()], unlabelled=unlabelled, **counts)


def _scored(data: Any) -> list[str]:
    return [split for split in data.splits if split != "train"]


def _all(rows: Any) -> Iterator[str | Sequence[str]]:
    """All texts and lists of tokens of a split."""
    for column in texts_of_split(rows):
        yield from column


def key_of(text: str | Iterable[str]) -> str:
    """What two texts have in common that are the same but for case and blanks."""
    return normalise(text if isinstance(text, str) else " ".join(text))
