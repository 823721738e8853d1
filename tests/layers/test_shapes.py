"""What does not fit together is an error that names it, before any loop runs."""

import re

import pytest
import torch

from graphmtl.architectures import ARCHITECTURES
from graphmtl.errors import InputError
from graphmtl.layers.gate_regularisation import gate_penalty
from graphmtl.layers.message_lstm import LSTM, MessageLSTM
from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence import loops_cpp
from graphmtl.layers.recurrence.autograd import message_lstm, plain_lstms
from graphmtl.layers.task_interaction import TaskInteraction
from tests.parts import build_architecture

LENGTHS = torch.tensor([3, 1])
SIZES = {"input_size": 5, "hidden": 6, "attention": 4, "score": "additive"}


@pytest.fixture(params=["compiled", "plain"])
def loops(request, monkeypatch):
    """The loops in C++ and those in PyTorch refuse the same."""
    if request.param == "plain":
        monkeypatch.setattr(loops_cpp, "load", lambda: None)


def fails(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}")


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 1], "lengths: found [3, 1], expected a tensor"),
        (torch.tensor([[3, 1]]), "lengths: found shape (1, 2), expected (B)"),
        (torch.tensor([3, 1], dtype=torch.int32), "lengths: found torch.int32 on cpu, expected torch.int64 on cpu"),
        (torch.tensor([3.0, 1.0]), "lengths: found torch.float32 on cpu"),
        (torch.empty(2, dtype=torch.int64, device="meta"), "lengths: found torch.int64 on meta"),
        (torch.tensor([], dtype=torch.int64), "lengths: found none"),
        (torch.tensor([3, 0]), "lengths: found 0 for text 1, expected 1 to 3"),
        (torch.tensor([-1, 3]), "lengths: found -1 for text 0, expected 1 to 3"),
        (torch.tensor([1, 4]), "lengths: found 4 for text 1, expected 1 to 3"),
        (torch.tensor([3, 1, 2]), "x: found shape (2, 3, 5), expected (3, 3, I)"),
    ],
)
def test_lengths_that_do_not_fit(lengths, message, loops):
    with fails(message):
        LSTM(input_size=5, hidden=6)(torch.randn(2, 3, 5), lengths)
    with fails(message):
        architecture("star")(torch.randn(2, 3, 5), lengths, 0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(2, 3, 2), "x: found shape (2, 3, 2), expected (B, T, 5)"),
        (torch.randn(2, 3), "x: found shape (2, 3), expected (B, T, 5)"),
        (torch.randn(2, 3, 5).double(), "x: found torch.float64 on cpu, expected torch.float32 on cpu"),
        (torch.ones(2, 3, 5, dtype=torch.int64), "x: found torch.int64 on cpu, expected torch.float32 on cpu"),
        (torch.ones(2, 3, 5, dtype=torch.complex64), "x: found torch.complex64 on cpu"),
    ],
)
def test_tokens_that_do_not_fit(x, message, loops):
    with fails(message):
        LSTM(input_size=5, hidden=6)(x, LENGTHS)


def architecture(arch, input_size=5):
    return build_architecture(arch, tasks=["a", "b"], input_size=input_size, hidden=6, attention=4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tokens_of_another_size_than_the_architectures(arch, loops):
    with pytest.raises(InputError, match=r"^x: found shape .*, expected .*256"):
        architecture(arch, input_size=256)(torch.randn(4, 3, 2), torch.tensor([3, 3, 1, 2]), 0)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (torch.randn(2, 4, 7), "nodes: found shape (2, 4, 7), expected (2, 4, 6)"),
        (torch.randn(2, 3, 2, 6), "nodes: found shape (2, 3, 2, 6), expected (2, 4, S, 6)"),
        (torch.randn(1, 4, 6), "nodes: found shape (1, 4, 6), expected (2, 4, 6)"),
        (torch.randn(2, 4), "nodes: found shape (2, 4), expected (2, 4, 6)"),
        (torch.randn(2, 4, 6).double(), "nodes: found torch.float64 on cpu"),
        (torch.randn(2, 4, 3, 6), "bias: found shape (2,), expected (3)"),
    ],
)
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
def test_nodes_that_do_not_fit(nodes, message, score, loops):
    packing = Packing(LENGTHS, 3)
    x = packing.pack(torch.randn(2, 3, 5), 2)
    with fails(message):
        MessageLSTM(**SIZES | {"score": score}, sources=2).read(x, nodes, packing)


def plain():
    """What the plain recurrence takes."""
    return {"x": (2, 4, 5), "W": (2, 3, 5, 24), "b": (2, 3, 24), "U": (2, 3, 6, 24)}


def with_messages():
    """What the message LSTM takes."""
    own = {"x": (2, 4, 5), "W": (2, 5, 28), "b": (2, 28), "U": (2, 6, 28), "V_m": (2, 6, 6), "W_mr": (2, 6, 12)}
    return own | {"nodes": (2, 4, 2, 6), "keys": (2, 4, 2, 4), "u": (2, 4), "bias": (2,)}


def run(shapes, dtypes):
    given = {name: torch.zeros(shape, dtype=dtypes.get(name)) for name, shape in shapes.items()}
    packing = Packing(LENGTHS, 3)
    if "V_m" not in given:
        return plain_lstms(**given, packing=packing)
    weights = Weights(*(given[name] for name in Weights._fields))
    return message_lstm(given["x"], weights, Graph(*(given[name] for name in Graph._fields)), packing)


@pytest.mark.parametrize("given", [plain, with_messages])
def test_every_tensor_of_a_recurrence_is_looked_at(given, loops):
    run(given(), {})
    for name, shape in given().items():
        for place in range(len(shape)):
            with pytest.raises(InputError):
                run(given() | {name: (*shape[:place], shape[place] + 1, *shape[place + 1 :])}, {})
        with pytest.raises(InputError):
            run(given(), {name: torch.float64})


@pytest.mark.parametrize("given", [plain, with_messages])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_a_dtype_that_is_not_computed_with(given, dtype, loops):
    with fails(f"x: found {dtype} on cpu, expected a floating-point dtype of 16, 32 or 64 bits"):
        run(given(), dict.fromkeys(given(), dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
def test_weights_of_16_bits_give_states_of_16_bits(arch, dtype, loops):
    torch.manual_seed(0)
    own, x = architecture(arch), torch.randn(2, 3, 5)
    exact, _ = own(x, LENGTHS, 0)
    states, _ = own.to(dtype)(x.to(dtype), LENGTHS, 0, edges=True)
    assert states.dtype == dtype
    torch.testing.assert_close(states.float(), exact, rtol=0, atol=0.02)
    states.sum().backward()
    assert all(p.grad.dtype == dtype for p in own.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": "cosine"}, "unknown score 'cosine'"),
        ({"message_start": "zero"}, "unknown message_start 'zero'"),
        ({"attention": 0}, "attention: found 0, expected 1 or more"),
        ({"hidden": 0}, "hidden: found 0, expected 1 or more"),
        ({"input_size": -1}, "input_size: found -1, expected 1 or more"),
        ({"directions": 3}, "directions: found 3, expected 1 or 2"),
    ],
)
def test_layers_that_cannot_be(changes, message):
    with fails(message):
        MessageLSTM(**SIZES | changes)


def test_kinds_that_do_not_exist():
    edges = torch.ones(2, 2, dtype=torch.bool)
    with fails("unknown kind 'atention'; did you mean 'attention'?"):
        TaskInteraction(kind="atention", size=4, channels=2, heads=1, edges=edges)
    with fails("unknown kind 'sharp'"):
        gate_penalty("sharp", own=0.5, edges=edges)


def test_a_message_lstm_without_nodes_is_no_plain_lstm():
    with fails("MessageLSTM: x and lengths alone; call read"):
        MessageLSTM(**SIZES)(torch.randn(2, 3, 5), LENGTHS)
