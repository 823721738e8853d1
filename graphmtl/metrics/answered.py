"""The answers to the labelled examples of a split, beside the right ones, and what a metric of them is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FORMS", "Answered", "Metric"]

FORMS = ("classes", "label-sets", "choices", "numbers", "tags", "texts")


@dataclass(frozen=True, kw_only=True, eq=False)  # two are never compared; several scores of one share what they count
class Answered:
    """The right labels and the answers of the labelled examples of a split.

    ==============  =================================================================================================
    ``classes``     one of ``names`` for every example: an index into them, (examples,) int.
    ``label-sets``  any of ``names`` for every example: (examples, classes) bool.
    ``choices``     one of an example's own choices: its place, (examples,) int, counted from 0.
    ``numbers``     (examples,) float.
    ``tags``        one of ``names`` for every token: the names by sentence, without the tokens that have no label.
    ``texts``       a text for every example; its label are all texts that are accepted, none where the right answer is
                    none, which is answered by an empty text.
    ==============  =================================================================================================

    Args:
        form: the form of labels and answers, one of `FORMS`.
        labels: the right ones.
        answers: the model's.
        probabilities: (examples, classes), of classes, label-sets and choices, float: those of each example's classes
            or choices add up to 1, those of a label-set are each between 0 and 1.
        names: the names of the classes or of the tags.
        positive: the label whose scores ``precision``, ``recall``, ``f1`` and ``auc`` are; None: those of all labels.
        spans: the tags are tags of spans: IOB2.
    """

    form: str
    labels: Any
    answers: Any
    probabilities: np.ndarray | None = None
    names: tuple[str, ...] = ()
    positive: str | None = None
    spans: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"form: found {self.form!r}, expected one of {', '.join(FORMS)}")
        if len(self.labels) != len(self.answers):
            raise ValueError(
                f"{len(self.labels)} labels and {len(self.answers)} answers, expected one for each example"
            )

    @property
    def is_empty(self) -> bool:
        """There is nothing to measure: no example, or no token that has a label."""
        return not any(map(len, self.labels)) if self.form == "tags" else len(self.labels) == 0

    def index_of(self, label: str) -> int:
        """The class that has this name.

        Raises:
            ValueError: there is none.
        """
        if label not in self.names:
            raise ValueError(f"label: found {label!r}, expected one of {', '.join(self.names)}")
        return self.names.index(label)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says how good answers are.

    Args:
        function: gives it; there is at least one example.
        forms: the forms of labels that it fits.
        higher_is_better: false where 0 is the best, as of errors.
        is_share: it lies between -1 and 1, so that it may be shown in percent; errors in the labels' unit do not.
        of_spans: of tags: True where they must be tags of spans, False where they must be none, None where either will
            do.
    """

    function: Callable[[Answered], float]
    forms: Sequence[str]
    higher_is_better: bool = True
    is_share: bool = True
    of_spans: bool | None = None

    def fits(self, form: str, *, spans: bool | None) -> bool:
        """Whether it measures such labels; ``spans`` is None where the tags are not known yet."""
        if form not in self.forms:
            return False
        return form != "tags" or None in (self.of_spans, spans) or self.of_spans == spans
