import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.loading import load_tasks
from graphmtl.errors import InputError
from graphmtl.kinds.ordinal import OrdinalHead


def head(classes, seed=0):
    torch.manual_seed(seed)
    made = OrdinalHead(input_size=3, classes=classes, dropout=0.0).double()
    for parameter in (made.linear.weight, made.log_distances):
        torch.nn.init.normal_(parameter)
    return made


def probabilities(made, x):
    """Of each label, (batch, classes), as the difference of two cumulative ones."""
    score = made.linear(x)
    distances = [0.0, *made.log_distances.exp().cumsum(0).tolist()]
    thresholds = made.first + torch.tensor(distances, dtype=torch.float64)
    below = torch.sigmoid(thresholds - score)  # (batch, classes - 1)
    ends = torch.zeros(len(x), 1), below, torch.ones(len(x), 1)
    return torch.cat(ends, 1).diff(dim=1)


@settings(max_examples=30, deadline=None)
@given(classes=st.integers(2, 6), seed=st.integers(0, 99))
def test_the_loss_is_that_of_the_difference_of_cumulative_probabilities(classes, seed):
    made, x = head(classes, seed), torch.randn(5, 3, dtype=torch.float64)
    expected, logits = probabilities(made, x), made(x)
    torch.testing.assert_close(logits.exp(), expected)
    torch.testing.assert_close(made.probabilities(logits), expected.float())
    labels = torch.randint(classes, (5,))
    losses = made.losses(logits, labels, torch.ones(5))
    torch.testing.assert_close(losses, -expected[range(5), labels].log())


def test_labels_are_as_probable_at_the_start():
    made = OrdinalHead(input_size=3, classes=4, dropout=0.0)
    torch.nn.init.zeros_(made.linear.weight)
    torch.nn.init.zeros_(made.linear.bias)
    torch.testing.assert_close(made(torch.ones(1, 3)).exp(), torch.full((1, 4), 0.25))


def test_scores_far_off_have_a_loss_and_a_gradient():
    made = head(4)
    torch.nn.init.constant_(made.linear.bias, 500.0)
    losses = made.losses(made(torch.zeros(4, 3, dtype=torch.float64)), torch.arange(4), torch.ones(4))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in made.parameters())


def test_gradients():
    made, x = head(4), torch.randn(3, 3, dtype=torch.float64)
    labels = torch.tensor([0, 2, 3])

    def loss(first, distances, weight):
        given = {"first": first, "log_distances": distances, "linear.weight": weight}
        return made.losses(torch.func.functional_call(made, given, x), labels, torch.ones(3))

    assert torch.autograd.gradcheck(loss, (made.first, made.log_distances, made.linear.weight))


def load(found, **keys):
    rows = {"text": [f"text {i}" for i in range(40)], "label": found * 10}
    return load_tasks({"a": {"data": rows, "kind": "ordinal", **keys}})["a"].task


def test_numbers_have_an_order_and_words_are_given_one():
    assert load(["10", "9", "2", "9"]).labels == ("2", "9", "10")
    assert load(["low", "high", "mid", "low"], labels=["low", "mid", "high"]).labels == ("low", "mid", "high")
    with pytest.raises(InputError, match="task 'a' of kind ordinal has the labels high, low, mid, whose order"):
        load(["low", "high", "mid", "low"])
