"""One LSTM for all tasks."""

from graphmtl.layers.message_lstm import LSTM
from tests.architectures.small import assert_equal, build, texts


def test_tasks_share_everything():
    x, lengths = texts()
    shared = build("shared")
    assert_equal(shared(x, 0, lengths), shared(x, 3, lengths))


def test_the_states_are_those_of_one_lstm():
    x, lengths = texts()
    shared = build("shared")
    assert_equal(shared(x, 1, lengths), LSTM.forward(shared.lstm, x, lengths))
