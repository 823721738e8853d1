"""K separate models: tasks share nothing."""

from tests.architectures.small import build, texts


def test_tasks_share_no_parameter():
    x, lengths = texts()
    single = build("single")
    single(x, 2, lengths).sum().backward()
    assert [lstm.W.grad is not None for lstm in single.lstms] == [False, False, True, False]
