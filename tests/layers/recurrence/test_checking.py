"""Kernels that are not right are found before their numbers are used: on a GPU, or else in Triton's interpreter."""

import pytest
import torch

from graphmtl.layers.packing import Graph, Packing
from graphmtl.layers.recurrence import autograd, checking, loops_pytorch
from tests.layers.recurrence.test_autograd import architecture_of, states_and_gradients, texts

pytest.importorskip("triton", reason="Triton is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
interpreted = pytest.mark.skipif(DEVICE == "cuda", reason="a compiled kernel stays what it was compiled from")


@pytest.fixture(autouse=True)
def nothing_was_found(monkeypatch):
    monkeypatch.setattr(checking, "_found", {})
    monkeypatch.setattr(checking, "_LONGEST", 3)
    monkeypatch.setattr(checking, "_LONGEST_READ", 3)


@pytest.fixture
def loops():
    from graphmtl.layers.recurrence import loops_triton

    return loops_triton


@pytest.fixture
def kernels():
    from graphmtl.layers.recurrence import kernels

    return kernels


def packing(number=2):
    return Packing(torch.ones(number, dtype=torch.int64), 1, DEVICE)


def plain(loops, *, hidden=4, dtype=torch.float32, gradients=True, number=2):
    U = torch.empty(1, 2, hidden, 4 * hidden, dtype=dtype, device=DEVICE)
    return checking.plain_is_right(loops, U, packing(number), gradients=gradients)


def message(loops, *, score="additive", per_text=True, gradients=True):
    """A graph of 2 texts of one token; H = A = 4, and 3 nodes for every token unless those are the text's."""
    nodes = torch.empty(1, 2, *([] if per_text else [3]), 4, device=DEVICE)
    keys = {"additive": torch.empty_like(nodes), "dot": nodes, "static": None}[score]
    u, bias = (torch.empty(1, 4, device=DEVICE) if score == "additive" else None), torch.empty(3, device=DEVICE)
    graph = Graph(nodes, keys, u, None if per_text else bias)
    return checking.message_is_right(loops, graph, packing(), gradients=gradients)


def no_warning(caplog):
    return "no kernels" not in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_plain_kernels_that_are_right_are_trusted(loops, caplog, dtype):
    assert plain(loops, dtype=dtype)
    assert no_warning(caplog)


@pytest.mark.parametrize("per_text", [True, False])
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
def test_message_kernels_that_are_right_are_trusted(loops, caplog, score, per_text):
    assert message(loops, score=score, per_text=per_text)
    assert no_warning(caplog)


def test_one_source_alone_is_read_right(loops):  # its scores have no gradient but rounding
    nodes = torch.empty(1, 2, 1, 4, device=DEVICE)
    graph = Graph(nodes, torch.empty_like(nodes), torch.empty(1, 4, device=DEVICE), torch.empty(1, device=DEVICE))
    assert checking.message_is_right(loops, graph, packing(), gradients=True)


@interpreted
def test_a_wrong_way_forward_is_found(loops, kernels, monkeypatch, caplog):
    monkeypatch.setattr(kernels, "_tanh", kernels._sigmoid)
    assert not plain(loops, gradients=False)
    assert not message(loops, gradients=False)
    assert caplog.text.count("many times slower: their numbers are not those of the loops in PyTorch") == 2
    assert "2 plain LSTMs" in caplog.text
    assert "a message LSTM with the additive score" in caplog.text


@pytest.mark.parametrize("name", ["plain_backward", "_key_gradients", "_node_gradients"])
def test_a_wrong_gradient_is_found_where_gradients_are_asked_for(loops, monkeypatch, name):
    right = getattr(loops, name)

    def wrong(*given, **named):
        found = right(*given, **named)
        first = found[1] if isinstance(found, tuple) else found
        first.view(-1)[-1] += 0.1
        return found

    monkeypatch.setattr(loops, name, wrong)
    ask = plain if name == "plain_backward" else message
    assert ask(loops, gradients=False)
    assert not ask(loops, gradients=True)


def test_what_is_not_a_number_is_wrong(loops, monkeypatch):
    right = loops.plain_forward

    def wrong(*given, **named):
        states, *kept = right(*given, **named)
        states.view(-1)[-1] = torch.nan
        return states, *kept

    monkeypatch.setattr(loops, "plain_forward", wrong)
    assert not plain(loops, gradients=False)


def test_kernels_that_do_not_compile_are_not_used_and_it_is_said_once(loops, monkeypatch, caplog):
    def fails(*_given, **_named):
        raise ValueError("no such instruction\n  in line 7")

    monkeypatch.setattr(loops, "plain_forward", fails)
    for _ in range(2):
        assert not plain(loops)
    (line,) = caplog.messages
    assert "ValueError: no such instruction in line 7" in line


def test_memory_that_is_short_says_nothing_of_kernels(loops, monkeypatch):
    def fails(*_given, **_named):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loops, "plain_forward", fails)
    with pytest.raises(torch.OutOfMemoryError):
        plain(loops)


def test_each_kernel_is_looked_at_once(loops, monkeypatch):
    seen = []
    right = loops.plain_forward
    monkeypatch.setattr(loops, "plain_forward", lambda *given, **named: seen.append(1) or right(*given, **named))
    for _ in range(2):
        plain(loops)
    assert len(seen) == 1
    plain(loops, gradients=False)
    plain(loops, dtype=torch.float64)
    plain(loops, hidden=40)  # others are compiled for it
    assert len(seen) == 4


def test_random_numbers_go_on_as_they_would(loops):
    before = torch.get_rng_state()
    plain(loops)
    assert torch.equal(before, torch.get_rng_state())


@interpreted
@pytest.mark.parametrize("arch", ["complete", "star"])
def test_what_is_read_is_the_same_whether_or_not_kernels_are_right(loops, kernels, monkeypatch, arch):
    """Through the whole architecture, as a GPU would choose: wrong kernels change no number."""
    chosen = []

    def choose(_, is_right, *_sizes):
        chosen.append(loops if is_right(loops) else loops_pytorch)
        return chosen[-1]

    def read():
        chosen.clear()
        return [each.cpu() for each in states_and_gradients(architecture_of(arch).to(DEVICE), *given)]

    x, lengths = texts([3, 1])
    given = (x.to(DEVICE), lengths)
    monkeypatch.setattr(autograd, "_backend", choose)
    right = read()
    assert {*chosen} == {loops}
    monkeypatch.setattr(kernels, "_tanh", kernels._sigmoid)
    checking._found.clear()
    wrong = read()
    assert {*chosen} == {loops_pytorch}
    for one, other in zip(wrong, right, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
