import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.label_arrays import TextLabels, TokenLabels

tags = st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=5), min_size=1, max_size=6)


@given(tags)
def test_labels_of_tokens_are_padded_and_counted(labels):
    lengths = np.array([len(own) for own in labels])
    split = TokenLabels(labels, lengths, missing=-1)
    assert split.counts.tolist() == [sum(tag != -1 for tag in own) for own in labels]
    assert [own.tolist() for own in split.rows()] == labels
    rows = np.arange(len(labels))[::-1]
    inside = np.arange(lengths.max()) < lengths[rows][:, None]  # (batch, tokens)
    batch = split.batch(rows, inside).tolist()
    assert batch == [labels[row] + [-1] * (int(lengths.max()) - len(labels[row])) for row in rows]


def test_as_many_labels_as_tokens():
    with pytest.raises(ValueError, match="as many labels as tokens"):
        TokenLabels([[1], [0, 0]], np.array([1, 1]), missing=-100)


def test_a_row_of_labels_for_every_text():
    values = np.array([[1, 0], [0, 1], [1, 1]])
    split = TextLabels(values, known=np.array([True, False, True]))
    assert split.counts.tolist() == [1, 0, 1]
    assert split.batch(np.array([2, 0]), np.ones((2, 1), dtype=bool)).tolist() == [[1, 1], [1, 0]]
    assert split.rows() is values
