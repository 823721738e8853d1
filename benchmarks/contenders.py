"""What benchmarks/speed.py times: a step of every architecture, and of what it is compared with.

A step takes one batch of task 0, in one direction, all texts of equal length. ``inference`` is the forward pass without
gradients; ``train`` is the forward pass and the gradients of all parameters and of the token vectors, which trained
word embeddings need.

Letters: B texts, T tokens, K tasks, I dimensions of a token vector, H hidden units, A dimensions of the attention,
S nodes that a token reads.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from graphmtl.architectures import Architecture, architecture_class
from graphmtl.architectures.complete import Complete
from graphmtl.layers.message_lstm import LSTM, MessageLSTM
from tests.architectures.reference import REFERENCES

__all__ = ["MODES", "Contender", "Setting", "Shape", "make_architecture", "make_step", "product_operations"]

Mode = Literal["train", "inference"]
MODES: tuple[Mode, ...] = ("train", "inference")

_WITH_SCORE = ("complete", "star")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a step.

    Attributes:
        tasks: K.
        batch: B.
        tokens: T, of every text.
        input: I.
        hidden: H, in the one direction.
        attention: A.
        in_degree: incoming edges of a task in the complete graph; None for all K - 1.
    """

    tasks: int = 16
    batch: int = 16
    tokens: int = 128
    input: int = 100
    hidden: int = 100
    attention: int = 64
    in_degree: int | None = None

    @property
    def sources(self) -> int:
        """Tasks that a task of the complete graph reads from."""
        return self.tasks - 1 if self.in_degree is None else min(self.in_degree, self.tasks - 1)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and how exactly steps are computed.

    Attributes:
        device: cpu or cuda.
        precision: float32, tf32 (matrix products on a GPU) or bf16 (autocast; parameters stay float32).
        threads: of the CPU.
    """

    device: str = "cpu"
    precision: str = "float32"
    threads: int = 2

    def apply(self) -> None:
        """Sets this process up; says nothing about the environment's OMP_NUM_THREADS, which it overrides."""
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"

    def autocast(self) -> torch.autocast:
        """The context that a forward pass runs in."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One thing to be timed.

    Attributes:
        name: the architecture; for ``lstm`` nn.LSTM.
        kind: ``architecture``, as it is in the registry; ``lstm``, torch's own, ``passes`` times with parameters of its
            own each time; ``loop``, the reference of the tests on one text; ``torch_geometric``, ``complete`` with its
            messages passed by torch_geometric.
        score: score function, None where there is none.
        shape: sizes.
        passes: plain LSTMs over the batch.
    """

    name: str
    kind: Literal["architecture", "lstm", "loop", "torch_geometric"] = "architecture"
    score: str | None = None
    shape: Shape
    passes: int = 1

    @property
    def label(self) -> str:
        """The name in tables."""
        by_kind = {
            "architecture": self.name,
            "lstm": f"nn.LSTM x {self.passes}",
            "loop": f"plain loop, {self.name}",
            "torch_geometric": f"torch_geometric, {self.name}",
        }
        return by_kind[self.kind]

    @property
    def share(self) -> float:
        """The part of the batch that a step computes: one text for the loop, which takes one text at a time anyway."""
        return 1 / self.shape.batch if self.kind == "loop" else 1.0

    @property
    def limit(self) -> "Contender":
        """The plain LSTMs that must be run whatever the tasks tell each other: torch.nn.LSTM called as many times."""
        passes = self.passes if self.kind == "lstm" else _recurrences(self.name, self.shape)
        return Contender(name="nn.LSTM", kind="lstm", passes=passes, shape=replace(self.shape, in_degree=None))

    @property
    def loop(self) -> "Contender":
        """The plain loop over the same equations."""
        return replace(self, kind="loop")


def scores_of(name: str) -> tuple[str | None, ...]:
    """The score functions that an architecture is timed with."""
    return ("additive", "dot") if name in _WITH_SCORE else (None,)


def has_loop(name: str) -> bool:
    """Whether the tests hold a plain loop of the architecture."""
    return name in REFERENCES


def _recurrences(name: str, shape: Shape) -> int:
    """LSTMs that read a text of one task: itself and its sources, itself and what all share, or one."""
    of_two = dict.fromkeys(("star", "shared-private", "adversarial"), 2)
    return (of_two | dict.fromkeys(("complete", "cross-stitch"), shape.sources + 1)).get(name, 1)


def product_operations(contender: Contender, mode: Mode) -> float | None:
    """Floating-point operations in the matrix products of the whole batch; a multiplication and an addition are two.

    An LSTM takes 2 B T (I + H) 4H. Reading S nodes takes, with the additive score, 2 B T (H + I) A for the query, 2 H A
    for the key of every node there is (B T S of them in complete, B T in star), 2 B T S A for u . tanh and 2 B T S H
    for the weighted sum; with the dot score 2 B T (H + I) H for the query and twice 2 B T S H, without keys.
    W_m, W_r and V_m take 2 B T H^2 each. Backward takes twice as much as forward: a product for the gradient of the
    input and one for that of the parameter. Activations, softmax, sums and copies are not counted, nor what is computed
    a second time.

    Returns:
        The number, or None for an architecture whose products stand not here.
    """
    s, H = contender.shape, contender.shape.hidden
    tokens = s.batch * s.tokens
    recurrences = contender.limit.passes * 2 * tokens * (s.input + H) * 4 * H
    passes = 3 if mode == "train" else 1
    if contender.kind == "lstm" or contender.name in ("single", "shared"):
        return passes * recurrences
    if contender.name not in ("complete", "star"):
        return None
    read = s.sources if contender.name == "complete" else s.tokens
    if contender.score == "additive":
        different = tokens * s.sources if contender.name == "complete" else tokens
        attention = tokens * (H + s.input) * s.attention + different * H * s.attention + tokens * read * s.attention
    else:
        attention = tokens * (H + s.input) * H + tokens * read * H
    return passes * (recurrences + 2 * (attention + tokens * read * H + 3 * tokens * H * H))


def make_architecture(name: str, score: str | None, shape: Shape) -> Architecture:
    """An architecture of the registry in one direction, with a graph of ``shape.in_degree`` edges into every task."""
    tasks = [f"task{k}" for k in range(shape.tasks)]
    asked = {"hidden": shape.hidden, "attention": shape.attention, "score": score, "bidirectional": False}
    asked["detach_sources"] = False  # the paper's step, in which gradients go into every LSTM
    if shape.in_degree is not None:
        asked["topology"] = json.dumps(_ring(tasks, shape.sources))
    kind = architecture_class(name)
    own = {field.name for field in fields(kind.Options)}
    options = {option: value for option, value in asked.items() if option in own and value is not None}
    return kind(tasks=tasks, input_size=shape.input, contextual=False, **options)


def _ring(tasks: Sequence[str], in_degree: int) -> list[list[str]]:
    """Edges [source, target] into every task from the ones that follow it."""
    return [[tasks[(k + i) % len(tasks)], tasks[k]] for k in range(len(tasks)) for i in range(1, in_degree + 1)]


class _Batch(nn.Module):
    """An architecture on a batch of task 0 whose texts are all of one length: x (B, T, I) to [h (B, T, H)].

    What acts after pooling reads the mean of each text's states: [h (B, dim)].
    """

    def __init__(self, architecture: Architecture, shape: Shape):
        super().__init__()
        self.architecture = architecture
        self.lengths = torch.full((shape.batch,), shape.tokens)

    def forward(self, x: Tensor) -> list[Tensor]:
        h, _ = self.architecture.read(x, self.lengths, [0])[0]
        return [self.architecture.interact(h.mean(1), self.lengths, 0).h if self.architecture.acts_after_pooling else h]


class _PlainLoop(nn.Module):
    """The tests' reference on the first text: x (B, T, I) to [h (T, H)]."""

    def __init__(self, architecture: Architecture, name: str):
        super().__init__()
        self.architecture, self.name = architecture, name

    def forward(self, x: Tensor) -> list[Tensor]:
        return [REFERENCES[self.name](self.architecture, x[0], 0)[0]]


class _TorchLSTMs(nn.Module):
    """torch.nn.LSTM called several times, each with its own parameters: x (B, T, I) to a list of h (B, T, H)."""

    def __init__(self, shape: Shape, passes: int):
        super().__init__()
        self.lstms = nn.ModuleList(nn.LSTM(shape.input, shape.hidden, batch_first=True) for _ in range(passes))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [lstm(x)[0] for lstm in self.lstms]


def _torch_lstm(lstm: LSTM) -> nn.LSTM:
    """torch's LSTM with the parameters of one of ours, forward direction."""
    copy = nn.LSTM(lstm.input_size, lstm.hidden, batch_first=True)
    copy.load_state_dict(
        {
            "weight_ih_l0": lstm.W[0].T,
            "weight_hh_l0": lstm.U[0].T,
            "bias_ih_l0": lstm.b[0],
            "bias_hh_l0": torch.zeros_like(lstm.b[0]),
        }
    )
    return copy


class _TaskMessages(MessagePassing):
    """The messages of one token as a graph convolution: edges from S source tasks to the target, additive score."""

    def __init__(self, sources: int):
        super().__init__(aggr="add", node_dim=-2)
        edges = torch.stack([torch.arange(sources), torch.zeros(sources, dtype=torch.int64)])
        self.register_buffer("edge_index", edges)  # (2, S)

    def forward(self, nodes: Tensor, keys: Tensor, query: Tensor, u: Tensor, bias: Tensor) -> Tensor:
        """Nodes (B, S, H), keys (B, S, A), query (B, 1, A), u (A,), bias (S,) to the message (B, H)."""
        size = (nodes.size(1), 1)
        return self.propagate(
            self.edge_index, size=size, nodes=(nodes, None), keys=(keys, query), u=u, bias=bias
        ).squeeze(1)

    def message(self, nodes_j: Tensor, keys_j: Tensor, keys_i: Tensor, u: Tensor, bias: Tensor, index: Tensor):
        scores = torch.tanh(keys_j + keys_i) @ u + bias  # (B, S)
        return softmax(scores.unsqueeze(-1), index, num_nodes=1, dim=-2) * nodes_j  # (B, S, H)


class GeometricComplete(nn.Module):
    """``complete`` with the additive score as torch_geometric's user would write it: a graph convolution per token.

    The sources are run by torch.nn.LSTM, all their keys are one product, and only what needs the token before stands in
    the loop. The parameters are those of the given architecture.
    """

    def __init__(self, architecture: Complete):
        super().__init__()
        self.target: MessageLSTM = architecture.lstms[0]
        self.sources = nn.ModuleList(_torch_lstm(lstm) for lstm in architecture.lstms[1:])
        self.messages = _TaskMessages(len(self.sources))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, T, I) to [h (B, T, H)]."""
        k = self.target
        nodes = torch.stack([source(x)[0] for source in self.sources], 2)  # (B, T, S, H)
        keys = nodes @ k.W_n[0]  # (B, T, S, A)
        inputs = x @ k.W[0] + k.b[0]  # (B, T, 4H)
        h = c = x.new_zeros(len(x), k.hidden)  # (B, H)
        states = []
        for t in range(x.size(1)):
            i, f, g, o = (inputs[:, t] + h @ k.U[0]).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            query = torch.cat([h, x[:, t]], -1) @ k.W_q[0]  # (B, A)
            r = self.messages(nodes[:, t], keys[:, t], query.unsqueeze(1), k.u[0], k.node_bias)  # (B, H)
            m = torch.sigmoid(r @ k.W_m[0] + c @ k.V_m[0])
            h = o.sigmoid() * torch.tanh(c + m * (r @ k.W_r[0]))
            states.append(h)
        return [torch.stack(states, 1)]


def _make_module(contender: Contender) -> nn.Module:
    if contender.kind == "lstm":
        return _TorchLSTMs(contender.shape, contender.passes)
    architecture = make_architecture(contender.name, contender.score, contender.shape)
    if contender.kind == "loop":
        return _PlainLoop(architecture, contender.name)
    if contender.kind == "torch_geometric":
        return GeometricComplete(architecture)  # type: ignore[arg-type]
    return _Batch(architecture, contender.shape)


def make_step(contender: Contender, mode: Mode, setting: Setting) -> Callable[[], None]:
    """Builds the module and its input; what comes back computes one step each time it is called."""
    torch.manual_seed(0)
    s = contender.shape
    module = _make_module(contender).to(setting.device)
    x = torch.randn(s.batch, s.tokens, s.input, device=setting.device, requires_grad=mode == "train")
    leaves = [x, *module.parameters()]

    def inference() -> None:
        with torch.no_grad(), setting.autocast():
            module(x)

    def train() -> None:
        with setting.autocast():
            outputs = module(x)
        torch.autograd.grad(outputs, leaves, [torch.ones_like(h) for h in outputs], allow_unused=True)

    return train if mode == "train" else inference
