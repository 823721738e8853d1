"""The face of the library: every architecture in a model of one's own, on padded tensors."""

import inspect
from dataclasses import fields

import pytest
import torch

import graphmtl
from graphmtl import nn
from graphmtl.architectures import Architecture, architecture_class
from graphmtl.errors import InputError
from graphmtl.registry import ARCHITECTURES

TASKS = ["a", "b", "c"]
LENGTHS = torch.tensor([4, 1, 3])
MASK = torch.arange(4) < LENGTHS[:, None]
KINDS = [
    kind for name in nn.__all__ if issubclass(kind := getattr(nn, name), Architecture) and kind is not Architecture
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
after_pooling = pytest.mark.parametrize("kind", [k for k in KINDS if k.acts_after_pooling], ids=lambda k: k.__name__)
contextual = pytest.mark.parametrize("contextual", [True, False])


def build(kind, **values):
    torch.manual_seed(0)
    small = {"hidden": 3, "attention": 2, "adapter_size": 2, "expert_size": 6, "interaction_heads": 2}
    known = {field.name for field in fields(kind.Options)}
    given = {name: value for name, value in small.items() if name in known}
    return kind(tasks=TASKS, input_size=6, **{**given, **values}).double().eval()


def texts(tokens=4):
    """The same three texts, however far they are padded, with nothing in the padding that could be computed with."""
    x = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[~MASK] = torch.nan
    return torch.nn.functional.pad(x, (0, 0, 0, tokens - 4), value=torch.inf)


def test_every_architecture_of_the_toolkit_is_there():
    assert {*KINDS} == {architecture_class(name) for name in ARCHITECTURES}
    assert graphmtl.nn is nn


@every_kind
@contextual
def test_the_face_is_read_and_then_interact(kind, contextual):
    architecture, x = build(kind, contextual=contextual), texts()
    for position, task in enumerate(TASKS):
        (read,) = architecture.read(x, LENGTHS, [position], True)
        seen = architecture.interact(read[0].nan_to_num(), LENGTHS, position, True)
        states, edges = architecture(x, task, LENGTHS, return_edge_weights=True)
        torch.testing.assert_close(states[MASK], seen.h[MASK], rtol=0, atol=1e-12)
        assert states.shape == (3, 4, architecture.head_size(architecture.output_size))
        assert not states[~MASK].any()
        exact = seen.edges or read[1]
        assert (edges is None) == (exact is None)
        if exact is not None:
            assert (edges.target, edges.sources) == (task, exact.sources)
            torch.testing.assert_close(edges.weights, exact.weights, rtol=0, atol=1e-12)
        assert torch.equal(architecture(x, position, LENGTHS), states)
        assert torch.equal(architecture(x, task, mask=MASK), states)


@every_kind
@contextual
def test_padding_plays_no_part(kind, contextual):
    architecture = build(kind, contextual=contextual)
    short, long = (architecture(texts(tokens), "b", LENGTHS, return_edge_weights=True) for tokens in (4, 7))
    torch.testing.assert_close(long[0][:, :4], short[0], rtol=0, atol=1e-12)
    assert not long[0][:, 4:].any()
    if short[1] is not None:
        torch.testing.assert_close(long[1].per_instance(), short[1].per_instance(), rtol=0, atol=1e-12)
    for text, length in enumerate(LENGTHS):
        alone = architecture(texts()[text : text + 1, :length], "b")
        torch.testing.assert_close(short[0][text : text + 1, :length], alone, rtol=0, atol=1e-12)


@every_kind
@contextual
def test_gradients_flow_to_the_texts_and_to_parameters(kind, contextual):
    architecture, x = build(kind, contextual=contextual).train(), texts().requires_grad_()
    (architecture(x, "b", LENGTHS) ** 2).sum().backward()
    assert torch.equal(x.grad.abs().sum(2) > 0, MASK)
    reached = [name for name, parameter in architecture.named_parameters() if parameter.grad is not None]
    assert reached or not [*architecture.parameters()]
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in architecture.parameters())


@after_pooling
def test_vectors_of_texts_are_read_as_tokens_are(kind):
    architecture, h = build(kind), texts()[:, 0]
    states, edges = architecture(h, "b", return_edge_weights=True)
    tokens, own = architecture(h.unsqueeze(0), "b", return_edge_weights=True)
    torch.testing.assert_close(states, tokens[0], rtol=0, atol=1e-12)
    if edges is not None:
        torch.testing.assert_close(edges.per_instance(), own.weights[0], rtol=0, atol=1e-12)
    with pytest.raises(InputError, match=r"x: found shape \(3, 6\) with lengths or mask, expected \(B, T, 6\)"):
        architecture(h, "b", LENGTHS)
    wide = build(kind, pooling="max-mean")
    assert wide(torch.cat([h, h], 1), "b").shape == (3, wide.head_size(12))
    with pytest.raises(InputError, match=r"x: found shape \(3, 4, 6\), expected \(B, 12\), with pooling max-mean"):
        wide(texts(), "b", LENGTHS)


@every_kind
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0], r"x: found \[1\.0\], expected a tensor"),
        (torch.randn(3, 4, 5).double(), r"x: found shape \(3, 4, 5\), expected \(B, T, 6\)"),
        (torch.randn(3).double(), r"x: found shape \(3,\), expected \(B, T, 6\)"),
        (torch.randn(0, 4, 6).double(), r"x: found shape \(0, 4, 6\), expected one text and one token or more"),
        (torch.randn(3, 0, 6).double(), r"x: found shape \(3, 0, 6\), expected one text and one token or more"),
        (torch.ones(3, 4, 6, dtype=torch.int64), r"x: found torch\.int64 on cpu, expected"),
        (torch.ones(3, 4, 6, dtype=torch.complex64), r"x: found torch\.complex64 on cpu, expected"),
    ],
)
def test_tokens_that_do_not_fit(kind, x, message):
    with pytest.raises(InputError, match=f"^{message}"):
        build(kind)(x, "b")


@every_kind
def test_lengths_and_masks_that_do_not_fit(kind):
    architecture, x = build(kind), texts()
    with pytest.raises(InputError, match=r"^lengths: found 5 for text 0, expected 1 to 4"):
        architecture(x, "b", LENGTHS + 1)
    with pytest.raises(InputError, match=r"^lengths: found shape \(2,\), expected \(3\)"):
        architecture(x, "b", LENGTHS[:2])
    with pytest.raises(InputError, match=r"^mask: found True behind False in row 1 of shape \(3, 4\)"):
        architecture(x, "b", mask=MASK.flip(1))
    with pytest.raises(InputError, match=r"^lengths, mask: found both"):
        architecture(x, "b", LENGTHS, mask=MASK)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("bb", "unknown task 'bb'; did you mean 'b'?"),
        (3, "task: found 3, expected a name or a position from 0 to 2"),
        (-1, "task: found -1, expected a name"),
        (True, "task: found True, expected a name"),
        (None, "task: found None, expected a name"),
    ],
)
def test_tasks_that_are_not_there(task, message):
    with pytest.raises(InputError) as error:
        build(nn.Star)(texts(), task, LENGTHS)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("tasks", ["books", [], ["a", "a"], [1, 2], None])
def test_names_that_no_tasks_can_have(tasks):
    with pytest.raises(InputError, match=r"^tasks: found .*, expected a list of one or more different names"):
        nn.Star(tasks=tasks, input_size=6)


def test_options_are_checked():
    with pytest.raises(InputError, match="input_size: found 0, expected 1 or more"):
        nn.Star(tasks=TASKS, input_size=0)
    with pytest.raises(InputError, match="--score"):
        nn.Star(tasks=TASKS, input_size=6, score="cosine")
    with pytest.raises(InputError, match="--hidden: found 0, expected a number from 1"):
        nn.Star(tasks=TASKS, input_size=6, hidden=0)


def test_which_tasks_read_which_can_be_said():
    complete = build(nn.Complete, topology="[[a, b], [b, c]]")
    assert [complete(texts(), task, LENGTHS, return_edge_weights=True)[1].sources for task in TASKS] == [
        (),
        ("a",),
        ("b",),
    ]


@every_kind
def test_the_docstring_lists_every_option_with_its_default(kind):
    doc = inspect.getdoc(kind)
    for field in fields(kind.Options):
        assert f"\n        {field.name} ({field.default}): " in doc
    for part in (
        "Args:\n",
        "\nShapes",
        "Raises:\n",
        ">>> import torch\n",
        f">>> from graphmtl.nn import {kind.__name__}\n",
    ):
        assert part in doc


@every_kind
def test_what_is_printed_says_sizes_and_tasks(kind):
    architecture = build(kind, contextual=False)
    size = architecture.head_size(architecture.output_size)
    assert f"tasks=[a, b, c], input_size=6, output_size={size}" in str(architecture)
    assert str(architecture).startswith(f"{kind.__name__}(")


def test_parameters_have_the_names_of_saved_models():
    plain, message = ["W", "U", "b"], ["W_m", "V_m", "W_r", "W_n", "W_q", "u"]
    star = ["hub." + name for name in plain] + [f"lstms.{k}.{name}" for k in range(3) for name in plain + message]
    assert [*build(nn.Star).state_dict()] == star
    message.insert(3, "node_bias")
    assert [*build(nn.Complete).state_dict()] == [f"lstms.{k}.{name}" for k in range(3) for name in plain + message]
    linear = ["weight", "bias"]
    adapters = [f"adapters.{part}.{name}" for part in ("norm", "down", "up") for name in linear]
    read = [f"interaction.read.lin_{part}.{name}" for part in ("query", "key", "value") for name in linear]
    fused = [f"{part}.{name}" for part in ("interaction.output", "interaction.norm", "query", "key") for name in linear]
    cmtr = build(nn.CMTR, interaction="attention")
    assert [*cmtr.state_dict()] == ["task_embedding", "gate_bias", *adapters, *read, *fused]
    assert [*build(nn.Shared, contextual=False).state_dict()] == ["lstm." + name for name in plain]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden": 3}, "Star: unknown option 'hiden'; did you mean 'hidden'"),
        ({"gate_prior": 0.1}, "Star: unknown option 'gate_prior'"),
        ({"pooling": "foo"}, "unknown pooling 'foo'"),
    ],
)
def test_what_is_no_option_of_a_layer(options, message):
    with pytest.raises(InputError, match=message):
        nn.Star(tasks=["a", "b"], input_size=4, **options)


def test_an_architecture_without_read_says_so():
    class Empty(nn.Architecture):
        pass

    with pytest.raises(InputError, match="Empty has no `read`"):
        Empty(tasks=["a"], input_size=4)(torch.zeros(1, 2, 4), "a")
