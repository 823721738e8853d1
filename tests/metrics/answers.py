"""Labels and answers of every form, for the tests of metrics."""

import numpy as np
from hypothesis import strategies as st

from graphmtl.metrics.answered import Answered


def names_of(count: int) -> tuple[str, ...]:
    return tuple(f"label{i}" for i in range(count))


def classes(right, given, count: int, **more) -> Answered:
    return Answered(
        form="classes",
        labels=np.asarray(right, dtype=np.int64),
        answers=np.asarray(given, dtype=np.int64),
        names=names_of(count),
        **more,
    )


def label_sets(right, given, **more) -> Answered:
    right, given = (np.asarray(side, dtype=bool) for side in (right, given))
    return Answered(form="label-sets", labels=right, answers=given, names=names_of(right.shape[1]), **more)


def numbers(right, given) -> Answered:
    return Answered(form="numbers", labels=np.asarray(right), answers=np.asarray(given))


def tags(right: list[str], given: list[str], names: tuple[str, ...], *, spans: bool = False) -> Answered:
    """Sentences as texts of tags between spaces."""
    labels, answers = ([sentence.split() for sentence in side] for side in (right, given))
    return Answered(form="tags", labels=labels, answers=answers, names=names, spans=spans)


def texts(accepted: list[list[str]], given: list[str]) -> Answered:
    return Answered(form="texts", labels=accepted, answers=given)


@st.composite
def some_classes(draw, **more) -> Answered:
    """Up to 30 examples of 2 to 4 classes."""
    count = draw(st.integers(2, 4))
    one = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(one, one), min_size=1, max_size=30))
    return classes(*zip(*pairs, strict=True), count, **more)


@st.composite
def some_label_sets(draw) -> Answered:
    """Up to 12 examples with any of 1 to 4 labels."""
    count, examples = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rows = st.lists(st.lists(st.booleans(), min_size=count, max_size=count), min_size=examples, max_size=examples)
    return label_sets(draw(rows), draw(rows))
