import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.config import TrainingOptions
from graphmtl.training.budget import about, budget, budgets, of_corpora
from tests.training.toy import toy_data


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_few_texts_get_small_batches_and_enough_updates(sizes):
    own = budget(sizes, TrainingOptions())
    assert own.batch_size in (8, 16, 32)
    assert own.batches == sum(-(-size // own.batch_size) for size in sizes)
    assert own.batches >= 64 or own.batch_size == 8
    if own.batch_size < 32:  # the next larger one would not do
        assert sum(-(-size // (2 * own.batch_size)) for size in sizes) < 64
    wanted = 500 * len(sizes)
    assert own.epochs * own.batches >= wanted or own.epochs == 40
    assert own.epochs == 8 or (own.epochs - 1) * own.batches < wanted


@given(size=st.integers(1, 5000), batch_size=st.integers(1, 64), epochs=st.integers(1, 50))
def test_what_is_given_holds(size, batch_size, epochs):
    own = budget([size], TrainingOptions(batch_size=batch_size, epochs=epochs))
    assert (own.batch_size, own.epochs, own.batches) == (batch_size, epochs, -(-size // batch_size))


def test_updates_are_counted_not_batches():
    assert budget([320], TrainingOptions(accumulate=4)).epochs == 40  # an epoch has 40 batches of 8, 10 updates
    assert budget([320], TrainingOptions(accumulate=4, min_updates=100)).epochs == 10
    assert budget([320], TrainingOptions(min_updates=0)).epochs == 8


def test_together_or_each_alone():
    data, options = toy_data(a=2000, b=100), TrainingOptions()
    together, alone = budgets(data, ["mean"], options), budgets(data, ["a", "b"], options)
    assert together == {"mean": budget([2000, 100], options)}
    assert alone == {"a": budget([2000], options), "b": budget([100], options)}
    assert of_corpora(data, together) == dict.fromkeys(("a", "b"), together["mean"])
    assert of_corpora(data, alone) == alone


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        ({"a": 5000}, None),
        ({"a": 300}, "batches of 8, 14 epochs at most"),
        ({"a": 5000, "b": 300, "c": 290}, "batches of 8, 14 epochs at most: b, c"),
    ],
)
def test_what_is_said(sizes, line):
    found = {name: budget([size], TrainingOptions()) for name, size in sizes.items()}
    assert about(found) == ([] if line is None else [line])
