r"""A trained model as an ONNX file, for any batch and any length, checked against torch before it is written.

The graph is built from the equations of :mod:`graphmtl.layers.message_lstm`, not traced: a traced loop over tokens
holds for the traced length only. A plain LSTM is ONNX's own operator ``LSTM``; the message LSTM is a ``Scan``, whose
body is one token. What several tasks read, the virtual node's or the tasks' LSTM states, is computed once for all; the
linear models of ``--wide`` stand in :mod:`graphmtl.onnx.onnx_wide`.

The inputs are ``tokens`` (batch, length) int64 and ``lengths`` (batch,) int64, at least 1; what stands after the end of
a text plays no part. The outputs are the logits (batch, classes) of every task, by the task's name, of a regression
its scores (batch,) in the label's units. Tokens are what the ``tokenizer.json`` makes of a text, or a pair: the place
of each word in the vocabulary's file, 0 being the line after the first, 1 for a word that is not there, 2 between the
texts of a pair. The metadata hold as JSON what else is needed: ``tasks``, ``{NAME: {"labels": [...], "pair": bool}}``
(of a multi-label task also ``threshold``, the probability, the logit's sigmoid, from which on a label applies),
``lower_case``, ``max_length`` and ``truncate``.

Shapes: B examples, T tokens, D directions, S nodes to be read, H hidden units, A attention, I dimensions of a token
vector. Inside the graph the states of a recurrence have the tokens first, in reading order in every direction.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from graphmtl.data.batching import Batch
from graphmtl.errors import InputError, unknown_name
from graphmtl.kinds.head import Units
from graphmtl.layers.interaction import SCORES
from graphmtl.layers.message_lstm import LSTM, MessageLSTM
from graphmtl.layers.modes import evaluating
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.word_encoder import WordEncoderOptions
from graphmtl.onnx.onnx_wide import OnnxNgrams
from graphmtl.registry import ENCODERS

__all__ = ["CHECKED_SIZES", "TOLERANCE", "checked_onnx", "largest_difference", "to_onnx"]

CHECKED_SIZES = ((1, 1), (3, 17), (8, 50))  #: (batch, length)
_FEW = 8  # words, of which texts have many twice, and pairs that training texts have
TOLERANCE = 1e-4  #: how far the file's logits may be from torch's
_OPSET, _IR_VERSION = 18, 8  # of 2022, so that runtimes of these years read the file
_LARGEST = 2**31 - 2**20  # bytes of weights: an ONNX file is less than 2 GiB
_UNREAD = np.float32(-np.inf)  # the score of a node that must not be read


class _Graph:
    """An ONNX graph in the making. An operator is a method, as in ``op.Add(a, b)``, which gives its output's name.

    Operands are names, or arrays, which become initializers; with ``outputs=n`` there are n names.

    Args:
        outer: the graph in whose ``Scan`` this one is the body; it holds the initializers.
    """

    def __init__(self, outer: "_Graph | None" = None):
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = [] if outer is None else outer.initializers
        self._numbers: Iterator[int] = itertools.count() if outer is None else outer._numbers

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        return partial(self._add, operator)

    def _add(self, operator: str, *operands, outputs: int = 1, **attributes) -> Any:
        names = [self.new_name() for _ in range(outputs)]
        # named, because some releases of onnxruntime give two unnamed ones that they merge the same name
        self.nodes.append(helper.make_node(operator, [*map(self._named, operands)], names, names[0], **attributes))
        return names[0] if outputs == 1 else names

    def new_name(self) -> str:
        """A name that nothing else has."""
        return f"/{next(self._numbers)}"  # a task's name has no slash

    def _named(self, operand) -> str:
        if isinstance(operand, str):
            return operand
        self.initializers.append(numpy_helper.from_array(np.asarray(operand), self.new_name()))
        return self.initializers[-1].name


class _Texts:
    """A batch as an encoder reads it: token vectors ``x`` (T, B, I), and ``mask`` (B, T), True for tokens."""

    def __init__(self, op: _Graph, encoder: Any):
        self.x = op.Gather(_array(encoder.embedding.weight), op.Transpose("tokens", perm=[1, 0]))  # (T, B, I)
        length = op.Squeeze(op.Shape("tokens", start=1, end=2))
        positions = op.Range(np.int64(0), length, np.int64(1))  # (T,)
        self.mask = op.Less(positions, op.Unsqueeze("lengths", [1]))  # (B, T)


def _array(weight: Tensor) -> np.ndarray:
    return weight.detach().float().cpu().numpy()


def _floats(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]


def _lstm(op: _Graph, lstm: LSTM, x: str) -> str:
    """The states (T, D, B, H) of a plain LSTM over x (T, B, I); ONNX has the gates in the order i, o, f, g."""

    def reordered(weight: Tensor) -> np.ndarray:
        i, f, g, o = np.split(_array(weight), 4, -1)
        return np.concatenate([i, o, f, g], -1)

    W, U = reordered(lstm.W).swapaxes(1, 2), reordered(lstm.U).swapaxes(1, 2)  # (D, 4H, I), (D, 4H, H)
    b = np.concatenate([reordered(lstm.b), np.zeros_like(_array(lstm.b))], -1)  # (D, 8H): of W and of U
    lengths = op.Cast("lengths", to=TensorProto.INT32)  # what the operator takes
    direction = "bidirectional" if lstm.directions == 2 else "forward"
    return op.LSTM(x, W, U, b, lengths, hidden_size=lstm.hidden, direction=direction)


def _message_lstm(
    op: _Graph, lstm: MessageLSTM, d: int, texts: _Texts, nodes: str, bias: Any, *, by_token: bool
) -> str:
    """The states (T, B, H) of direction d of a message LSTM.

    Args:
        nodes: (T, B, S, H) where they change with the token (``by_token``), else (B, S, H).
        bias: what is added to the scores, (1 or B, S).
    """

    def turned(x: str) -> str:
        return op.ReverseSequence(x, "lengths", time_axis=0, batch_axis=1) if d else x

    if not SCORES[lstm.score].fast:
        known = ", ".join(name for name, each in SCORES.items() if each.fast)
        raise InputError(f"--score {lstm.score} cannot be exported (known: {known})")
    names = ["W", "U", "b", "W_m", "V_m", "W_r"]
    names += {"additive": ["W_n", "W_q", "u"], "dot": ["W_n", "W_q"], "static": []}[lstm.score]
    own = {name: _array(getattr(lstm, name)) for name in names}
    H, W, U, b = lstm.hidden, own["W"][d], own["U"][d], own["b"][d]
    W_q = np.zeros((len(W) + H, 0), np.float32)
    if lstm.score == "additive":
        W_q = own["W_q"][d]  # (H + I, A)
    if lstm.score == "dot":
        W_q = own["W_q"][d] @ own["W_n"][d].T * H**-0.5  # (H + I, H): the nodes themselves are the keys
    W, U = np.concatenate([W, W_q[H:]], -1), np.concatenate([U, W_q[:H]], -1)  # (I, 4H + A), (H, 4H + A)
    inputs = op.Add(op.MatMul(texts.x, W), np.pad(b, (0, W_q.shape[1])))  # (T, B, 4H + A)
    keys = op.MatMul(nodes, own["W_n"][d]) if lstm.score == "additive" else nodes  # (..., B, S, A)
    scanned = [turned(value) for value in ([inputs, nodes, keys] if by_token else [inputs])]

    token = _Graph(op)
    h, c, x, *read = (token.new_name() for _ in range(2 + len(scanned)))
    nodes, keys = read or (nodes, keys)  # (B, S, H), (B, S, A)
    z = token.Add(x, token.MatMul(h, U))  # (B, 4H + A)
    i, f, g, o, query = token.Split(z, [H, H, H, H, W_q.shape[1]], axis=-1, outputs=5)
    new_c = token.Add(token.Mul(token.Sigmoid(f), c), token.Mul(token.Sigmoid(i), token.Tanh(g)))  # (B, H)
    scores = bias  # (1 or B, S)
    if lstm.score == "additive":
        hidden = token.Tanh(token.Add(keys, token.Unsqueeze(query, [1])))  # (B, S, A)
        scores = token.Add(token.MatMul(hidden, own["u"][d]), bias)  # (B, S)
    if lstm.score == "dot":
        scores = token.Add(token.Squeeze(token.MatMul(keys, token.Unsqueeze(query, [2])), [2]), bias)  # (B, S)
    weights = token.Softmax(scores, axis=-1)  # (1 or B, S)
    r = token.Squeeze(token.MatMul(token.Unsqueeze(weights, [1]), nodes), [1])  # (B, H)
    m = token.Sigmoid(token.Add(token.MatMul(r, own["W_m"][d]), token.MatMul(new_c, own["V_m"][d])))  # (B, H)
    y = token.Tanh(token.Add(new_c, token.Mul(m, token.MatMul(r, own["W_r"][d]))))  # (B, H)
    new_h = token.Mul(token.Sigmoid(o), y)  # (B, H)
    out = token.Identity(new_h)  # the state that goes on and the one that comes out need a name each

    body = helper.make_graph(token.nodes, "token", _floats([h, c, x, *read]), _floats([new_h, new_c, out]))
    zeros = op.Expand(np.float32(0), op.Concat(op.Shape("tokens", end=1), [H], axis=0))  # (B, H)
    *_, states = op.Scan(zeros, zeros, *scanned, body=body, num_scan_inputs=len(scanned), outputs=3)
    return turned(states)


def _one_way(op: _Graph, states: str) -> str:
    """(T, D, B, H) to (B, T, D * H)."""
    return op.Reshape(op.Transpose(states, perm=[2, 0, 1, 3]), [0, 0, -1])


def _side_by_side(op: _Graph, states: Iterable[str]) -> str:
    """D times (T, B, H) to (B, T, D * H)."""
    return op.Transpose(op.Concat(*states, axis=-1), perm=[1, 0, 2])


# An architecture's states (B, T, dim) for each of some tasks, from the texts as each task's encoder reads them.


def _single(op: _Graph, single: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    return [_one_way(op, _lstm(op, single.lstms[k], own.x)) for k, own in zip(tasks, texts, strict=True)]


def _shared_private(op: _Graph, both: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    shared = _one_way(op, _lstm(op, both.lstm, texts[0].x))
    return [op.Concat(shared, _one_way(op, _lstm(op, both.lstms[k], texts[0].x)), axis=-1) for k in tasks]


def _cross_stitch(op: _Graph, stitched: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    read = dict.fromkeys(range(len(stitched.tasks)), texts[0].x)  # what each task's next LSTM reads, (T, B, dim)
    *lower, last = zip(stitched.layers, stitched.units, strict=True)

    def mixed(layer: Any, unit: Any, targets: Iterable[int]) -> dict[int, str]:
        """(T, D, B, H) of each target."""
        targets = list(targets)
        own = {j: _lstm(op, layer[j], read[j]) for j in sorted({j for k in targets for j in stitched.sources[k]})}
        parts = {k: zip(stitched.sources[k], unit(k, stitched.sources[k]), strict=True) for k in targets}
        return {k: op.Sum(*(op.Mul(own[j], _array(alpha)) for j, alpha in parts[k])) for k in targets}

    for layer, unit in lower:
        states = mixed(layer, unit, range(len(stitched.tasks)))
        read = {j: op.Reshape(op.Transpose(own, perm=[0, 2, 1, 3]), [0, 0, -1]) for j, own in states.items()}
    return [_one_way(op, own) for own in mixed(*last, tasks).values()]


def _shared(op: _Graph, shared: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    return [_one_way(op, _lstm(op, shared.lstm, texts[0].x))] * len(tasks)


def _complete(op: _Graph, complete: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    sources = complete.sources
    plain = {j: _lstm(op, complete.lstms[j], texts[0].x) for j in sorted({j for k in tasks for j in sources[k] or [k]})}

    def states(k: int) -> str:
        if not sources[k]:  # nothing to read, so the message is 0 and the LSTM a plain one
            return _one_way(op, plain[k])
        lstm = complete.lstms[k]
        nodes = op.Concat(*(op.Unsqueeze(plain[j], [3]) for j in sources[k]), axis=3)  # (T, D, B, S, H)
        bias = np.zeros(len(sources[k]), np.float32) if lstm.node_bias is None else _array(lstm.node_bias)
        ways = [op.Gather(nodes, np.int64(d), axis=1) for d in range(lstm.directions)]  # (T, B, S, H)
        read = (_message_lstm(op, lstm, d, texts[0], way, bias[None], by_token=True) for d, way in enumerate(ways))
        return _side_by_side(op, read)

    return [states(k) for k in tasks]


def _star(op: _Graph, star: Any, tasks: Sequence[int], texts: Sequence[_Texts]) -> list[str]:
    hub = _lstm(op, star.hub, texts[0].x)  # (T, D, B, H)
    ways = [op.Gather(op.Transpose(hub, perm=[1, 2, 0, 3]), np.int64(d)) for d in range(star.directions)]  # (B, T, H)
    bias = op.Where(texts[0].mask, np.float32(0), _UNREAD)  # (B, T)

    def states(k: int) -> str:
        lstm = star.lstms[k]
        read = (_message_lstm(op, lstm, d, texts[0], way, bias, by_token=False) for d, way in enumerate(ways))
        own = _side_by_side(op, read)
        return op.Concat(own, _one_way(op, hub), axis=-1) if star.hub_to_head else own

    return [states(k) for k in tasks]


_STATES = {
    "single": _single,
    "shared": _shared,
    "shared-private": _shared_private,
    "adversarial": _shared_private,
    "cross-stitch": _cross_stitch,
    "complete": _complete,
    "star": _star,
}


def _pool(op: _Graph, states: str, mask: str, pooling: str) -> str:
    """States (B, T, dim) to a vector per text, as :func:`graphmtl.layers.pooling.pool` does it."""
    parts, mask = [], op.Unsqueeze(mask, [2])  # (B, T, 1)
    if "max" in pooling:
        parts.append(op.ReduceMax(op.Where(mask, states, _UNREAD), [1], keepdims=0))  # (B, dim)
    if "mean" in pooling:
        total = op.ReduceSum(op.Where(mask, states, np.float32(0)), [1], keepdims=0)  # (B, dim)
        parts.append(op.Div(total, op.Cast(op.Unsqueeze("lengths", [1]), to=TensorProto.FLOAT)))
    return op.Concat(*parts, axis=-1)


def _gelu(op: _Graph, x: str) -> str:
    """x Phi(x), which this opset has no operator for."""
    return op.Mul(op.Mul(x, np.float32(0.5)), op.Add(op.Erf(op.Mul(x, np.float32(0.5**0.5))), np.float32(1)))


def _scores(op: _Graph, units: Units, logits: str) -> str:
    """Standardised scores (B, 1) to scores (B,), as :meth:`Units.scores` does it."""
    scores = op.Add(op.Mul(op.Squeeze(logits, [1]), _array(units.std)), _array(units.mean))  # (B,)
    return scores if units.scale is None else op.Clip(scores, *map(np.float32, units.scale))


def _metadata(model: MultiTaskModel, names: Sequence[str]) -> dict[str, str]:
    tasks = {name: {"labels": model.tasks[name].labels, "pair": model.tasks[name].is_pair} for name in names}
    for name, own in tasks.items():
        own |= model.heads[[*model.tasks].index(name)].exported_with()
        if model.tasks[name].max_length is not None:
            own["max_length"] = model.tasks[name].max_length
        if model.tasks[name].whole:
            own["whole"] = True
    values = {
        "tasks": tasks,
        "lower_case": model.vocabulary.lower_case,
        "max_length": model.options.max_length,
        "truncate": model.options.truncate,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def _check(model: MultiTaskModel, names: Sequence[str]) -> None:
    for name in names:
        if name not in model.tasks:
            raise unknown_name("task", name, model.tasks)
        if name in ("tokens", "lengths"):
            raise InputError(f"task {name!r} cannot be exported: an input of the ONNX file has that name")
        if not model.heads[[*model.tasks].index(name)].is_exported:
            raise InputError(
                f"task {name!r} of kind {model.tasks[name].kind} cannot be exported: its head is no linear layer that "
                "reads one vector of a text"
            )
    if model.options.encoder not in ENCODERS or not isinstance(model.options, WordEncoderOptions):
        raise InputError(f"encoder {model.options.encoder!r} cannot be exported (known: {', '.join(ENCODERS)})")
    if model.options.chars != "none":
        raise InputError(f"--chars {model.options.chars} cannot be exported: an ONNX file reads no characters of words")
    if model.options.pooling not in ("max", "mean", "max-mean"):
        raise InputError(f"--pooling {model.options.pooling} cannot be exported (known: max, mean, max-mean)")
    if model.options.arch not in _STATES:
        raise InputError(f"arch {model.options.arch!r} cannot be exported (known: {', '.join(_STATES)})")


def to_onnx(model: MultiTaskModel, names: Sequence[str]) -> onnx.ModelProto:
    """The model as ONNX, for some of its tasks; inputs, outputs and metadata stand at the top of this file.

    Raises:
        InputError: there is no such task, the architecture cannot be exported, or the weights are too large for a file.
    """
    _check(model, names)
    op = _Graph()
    tasks = [[*model.tasks].index(name) for name in names]
    encoders = [model.encoders[k] for k in tasks] if model.architecture.own_encoder_per_task else model.encoders
    texts = [_Texts(op, encoder) for encoder in encoders]
    wide = {name: part for name in names if (part := model.wide_part(name)) is not None and part.strength}
    ngrams = OnnxNgrams(op, texts[0].mask, model.vocabulary.special_ids) if wide else None
    outputs = []
    all_states = _STATES[model.options.arch](op, model.architecture, tasks, texts)
    for k, name, states in zip(tasks, names, all_states, strict=True):
        head: Any = model.heads[k]
        linear = head.linear
        pooled = _pool(op, states, texts[0].mask, model.options.pooling)  # (B, dim)
        for layer in (module for module in model.layers_below(k) if isinstance(module, nn.Linear)):
            pooled = _gelu(op, op.Add(op.MatMul(pooled, _array(layer.weight.T)), _array(layer.bias)))  # (B, head_width)
        parts = [linear] if (common := model.common_head(k)) is None else [linear, common]
        weight, bias = (sum(_array(getattr(part, name)) for part in parts) for name in ("weight", "bias"))
        answers = op.Add(op.MatMul(pooled, weight.T), bias)  # (B, classes)
        if ngrams is not None and name in wide:
            answers = ngrams.pooled(answers, wide[name])
        shape = ["batch", linear.out_features]
        if (units := head.units()) is not None:
            answers, shape = _scores(op, units, answers), ["batch"]  # (B,)
        op.nodes.append(helper.make_node("Identity", [answers], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    if sum(len(weight.raw_data) for weight in op.initializers) > _LARGEST:
        raise InputError("the weights are more than the 2 GiB that an ONNX file can hold; export fewer tasks at a time")
    shapes = {"tokens": ["batch", "length"], "lengths": ["batch"]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(op.nodes, "graphmtl", inputs, outputs, op.initializers)
    opset = helper.make_opsetid("", _OPSET)
    made = helper.make_model(graph, producer_name="graphmtl", ir_version=_IR_VERSION, opset_imports=[opset])
    helper.set_model_props(made, _metadata(model, names))
    return made


@torch.no_grad()
def largest_difference(file: bytes, model: MultiTaskModel, names: Sequence[str]) -> float:
    """How far the logits of an ONNX file are from the model's on random texts of different lengths, at most.

    The difference of scores is measured in standard deviations of the training labels. The sizes are ``CHECKED_SIZES``,
    each with any words and with a few that are frequent; random tokens stand after the end of a text too, for they must
    play no part.
    """
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    device = next(model.parameters()).device
    rng = np.random.default_rng(0)
    differences = []
    known = len(model.vocabulary)
    with evaluating(model):
        for (batch, length), words in itertools.product(CHECKED_SIZES, (known, min(known, _FEW))):
            tokens = rng.integers(words, size=(batch, length))  # (batch, length)
            lengths = rng.integers(1, length, size=batch, endpoint=True)  # (batch,)
            lengths[0] = length
            found = session.run([*names], {"tokens": tokens, "lengths": lengths})
            for name, answers in zip(names, found, strict=True):
                texts = Batch((name,), torch.from_numpy(tokens), torch.from_numpy(lengths), None, torch.ones(batch))
                output, units = model(texts.to(device))[name], model.heads[[*model.tasks].index(name)].units()
                expected = output.logits if units is None else output.answers  # (batch, classes) or (batch,)
                std = 1.0 if units is None else float(units.std)
                differences.append(np.abs(expected.cpu().numpy() - answers).max() / std)
    return float(np.max(differences))  # nan where there is one


def checked_onnx(model: MultiTaskModel, names: Sequence[str]) -> tuple[bytes, float]:
    """The content of the ONNX file, and how far its logits are from the model's.

    Raises:
        InputError: as :func:`to_onnx`, or the difference is above ``TOLERANCE``.
    """
    file = to_onnx(model, names).SerializeToString()
    difference = largest_difference(file, model, names)
    if not difference <= TOLERANCE:
        raise InputError(
            f"the ONNX file is not written: its logits are up to {difference:.1e} from the model's, "
            f"more than {TOLERANCE:.0e}"
        )
    return file, difference
