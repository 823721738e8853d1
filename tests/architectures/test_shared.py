"""One LSTM for all tasks."""

from graphmtl.layers.message_lstm import LSTM
from tests.architectures.small import assert_equal, build, texts


def test_tasks_share_everything():
    x, lengths = texts()
    shared = build("shared")
    assert_equal(shared(x, lengths, 0)[0], shared(x, lengths, 3)[0])


def test_the_states_are_those_of_one_lstm():
    x, lengths = texts()
    shared = build("shared")
    assert_equal(shared(x, lengths, 1)[0], LSTM.forward(shared.lstm, x, lengths))
