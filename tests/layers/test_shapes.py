"""What does not fit together is an error that names it, before any loop runs."""

import re

import pytest
import torch

from graphmtl.errors import InputError
from graphmtl.layers.gate_regularisation import gate_penalty
from graphmtl.layers.message_lstm import LSTM, MessageLSTM
from graphmtl.layers.packing import Graph, Packing, Weights
from graphmtl.layers.recurrence import loops_cpp
from graphmtl.layers.recurrence.autograd import message_lstm, plain_lstms
from graphmtl.layers.task_interaction import TaskInteraction
from graphmtl.registry import ARCHITECTURES
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


def read_texts(texts=2, tokens=3, **given):
    return LSTM(input_size=5, hidden=6)(torch.randn(texts, tokens, 5), **given)


def read_nodes(texts=2, tokens=3, **given):
    return MessageLSTM(**SIZES)(torch.randn(texts, tokens, 5), torch.randn(texts, tokens, 12), **given)


def read_tasks(texts=2, tokens=3, **given):
    return interaction()(torch.randn(texts, tokens, 2, 4), **given)


def read_packed(lengths):
    return architecture("star").read(torch.randn(2, 3, 5), lengths, [0])


def interaction(**changes):
    sizes = {"kind": "attention", "size": 4, "channels": 2, "heads": 1, "edges": torch.ones(2, 2, dtype=torch.bool)}
    return TaskInteraction(**sizes | changes)


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
    ],
)
@pytest.mark.parametrize("read", [read_texts, read_nodes, read_tasks, read_packed])
def test_lengths_that_do_not_fit(read, lengths, message):
    with fails(message):
        read(lengths=lengths)


@pytest.mark.parametrize("read", [read_texts, read_nodes, read_tasks])
def test_lengths_of_another_number_of_texts(read):
    with fails("lengths: found shape (3,), expected (2)"):
        read(lengths=torch.tensor([3, 1, 2]))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True]], "mask: found [[True]], expected a tensor"),
        (torch.ones(2, 4).bool(), "mask: found shape (2, 4), expected (2, 3)"),
        (torch.ones(2).bool(), "mask: found shape (2,), expected (2, 3)"),
        (torch.ones(2, 3), "mask: found torch.float32 on cpu, expected torch.bool"),
        (torch.ones(2, 3, dtype=torch.int64), "mask: found torch.int64 on cpu, expected torch.bool"),
        (torch.ones(2, 3, device="meta").bool(), "mask: found torch.bool on meta, expected torch.bool"),
        (torch.tensor([[1, 1, 1], [0, 1, 1]]).bool(), "mask: found True behind False in row 1 of shape (2, 3)"),
        (torch.tensor([[1, 0, 1], [0, 0, 0]]).bool(), "mask: found True behind False in row 0 of shape (2, 3)"),
        (torch.tensor([[1, 1, 1], [0, 0, 0]]).bool(), "mask: found no True in row 1 of shape (2, 3)"),
    ],
)
@pytest.mark.parametrize("read", [read_texts, read_nodes, read_tasks])
def test_masks_that_do_not_fit(read, mask, message):
    with fails(message):
        read(mask=mask)
    with fails("lengths, mask: found both, expected one of them"):
        read(mask=mask, lengths=LENGTHS)


@pytest.mark.parametrize(("texts", "tokens"), [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("read", [read_texts, read_nodes, read_tasks])
def test_batches_without_a_text_or_a_token(read, texts, tokens):
    with pytest.raises(
        InputError, match=rf"^[xz]: found shape \({texts}, {tokens}, .*, expected one text and one token"
    ):
        read(texts=texts, tokens=tokens)


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
def test_tokens_that_do_not_fit(x, message):
    with fails(message):
        LSTM(input_size=5, hidden=6)(x, LENGTHS)
    with fails(message):
        MessageLSTM(**SIZES)(x, torch.randn(2, 3, 12), LENGTHS)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([1.0], "nodes: found [1.0], expected a tensor"),
        (LENGTHS, "nodes: found shape (2,), expected (2, 3, 12)"),
        (torch.randn(2, 3, 6), "nodes: found shape (2, 3, 6), expected (2, 3, 12)"),
        (torch.randn(3, 3, 12), "nodes: found shape (3, 3, 12), expected (2, 3, 12)"),
        (torch.randn(2, 4, 2, 12), "nodes: found shape (2, 4, 2, 12), expected (2, 3, S, 12)"),
        (torch.randn(2, 3, 2, 12).double(), "nodes: found torch.float64 on cpu, expected torch.float32 on cpu"),
        (torch.ones(2, 3, 12, dtype=torch.int64), "nodes: found torch.int64 on cpu"),
    ],
)
def test_padded_nodes_that_do_not_fit(nodes, message):
    with fails(message):
        MessageLSTM(**SIZES)(torch.randn(2, 3, 5), nodes, LENGTHS)


@pytest.mark.parametrize("shape", [(2, 3, 3, 12), (2, 3, 12)])
def test_as_many_nodes_as_there_are_biases(shape):
    with fails(f"nodes: found shape {shape}, expected (2, 3, 2, 12)"):
        MessageLSTM(**SIZES, sources=2)(torch.randn(2, 3, 5), torch.randn(shape))


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([1.0], "z: found [1.0], expected a tensor"),
        (torch.randn(7, 4), "z: found shape (7, 4), expected (B, 2, 4)"),
        (torch.randn(7, 3, 4), "z: found shape (7, 3, 4), expected (B, 2, 4)"),
        (torch.randn(7, 3, 2, 5), "z: found shape (7, 3, 2, 5), expected (B, T, 2, 4)"),
        (torch.randn(7, 2, 4).double(), "z: found torch.float64 on cpu, expected torch.float32 on cpu"),
        (torch.ones(7, 2, 4, dtype=torch.int64), "z: found torch.int64 on cpu"),
        (torch.ones(7, 2, 4, dtype=torch.complex64), "z: found torch.complex64 on cpu"),
    ],
)
def test_representations_that_do_not_fit(z, message):
    with fails(message):
        interaction()(z)


def test_a_text_has_one_representation_of_each_task_or_one_for_every_token():
    with fails("z: found shape (2, 2, 4) with lengths or mask, expected (B, T, 2, 4)"):
        interaction()(torch.randn(2, 2, 4), lengths=LENGTHS)
    with fails("cut: found shape (3,), expected (2)"):
        interaction()(torch.randn(2, 2, 4), torch.zeros(3, dtype=torch.bool))


def architecture(arch, input_size=5):
    return build_architecture(arch, tasks=["a", "b"], input_size=input_size, hidden=6, attention=4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tokens_of_another_size_than_the_architectures(arch, loops):
    with pytest.raises(InputError, match=r"^x: found shape .*, expected .*256"):
        architecture(arch, input_size=256).read(torch.randn(4, 3, 2), torch.tensor([3, 3, 1, 2]), [0])


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
    return message_lstm(given["x"], weights, Graph(*(given[name] for name in ("nodes", "keys", "u", "bias"))), packing)


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
    exact, _ = own.read(x, LENGTHS, [0])[0]
    states, _ = own.to(dtype).read(x.to(dtype), LENGTHS, [0], edges=True)[0]
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
        ({"input_size": "6"}, "input_size: found '6', expected a whole number"),
        ({"hidden": 2.5}, "hidden: found 2.5, expected a whole number"),
        ({"directions": 3}, "directions: found 3, expected 1 or 2"),
    ],
)
def test_layers_that_cannot_be(changes, message):
    with fails(message):
        MessageLSTM(**SIZES | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "atention"}, "unknown kind 'atention'; did you mean 'attention'?"),
        ({"heads": 0}, "heads: found 0, expected 1 or more"),
        ({"edges": [[True]]}, "edges: found [[True]], expected a tensor"),
        ({"edges": torch.ones(2, 3).bool()}, "edges: found shape (2, 3), expected (K, 2)"),
        ({"edges": torch.ones(2).bool()}, "edges: found shape (2,), expected (K, 2)"),
        ({"edges": torch.ones(2, 2)}, "edges: found torch.float32, expected torch.bool"),
    ],
)
def test_interactions_that_cannot_be(changes, message):
    with fails(message):
        interaction(**changes)


def test_penalties_that_do_not_exist():
    with fails("unknown kind 'sharp'"):
        gate_penalty("sharp", own=0.5, edges=torch.ones(2, 2, dtype=torch.bool))
