"""The loops over tokens in Triton, for GPUs, where launches and waiting, not arithmetic, are the cost of a recurrence.

A batch takes one launch each way, of programs that share out texts and hidden units (plan.py) and wait for one another
at every token (kernels.py). What does not depend on the token before is computed outside the loop, for all tokens at
once: the products with the tokens, and all gradients that are sums over tokens. The functions are those of
:mod:`graphmtl.layers.recurrence.loops_pytorch`, and so are the formulas.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from graphmtl.layers.packing import Graph, Packing, Trace, Weights
from graphmtl.layers.recurrence import kernels
from graphmtl.layers.recurrence.plan import Plan, message_choices, message_plan, padded, plain_plan
from graphmtl.layers.recurrence.products import message_gradients, plain_gradients, product_with_tokens

__all__ = [
    "can_read", "message_backward", "message_forward", "message_kernels", "plain_backward", "plain_forward",
    "plain_kernels",
]  # fmt: skip

_MOST = 512  # hidden units, or dimensions of the query
KEYS = 2048  # numbers in a tile of keys
TOKENS = 16  # whose keys a program has


def can_read(x: Tensor, *sizes: int) -> bool:
    """Whether the kernels are made for x and for states and queries of these dimensions."""
    return x.dtype in (torch.float32, torch.float64) and max(sizes) <= _MOST


def plain_kernels(U: Tensor, packing: Packing) -> dict:
    """What the kernels are compiled for that read such a batch by K plain LSTMs, U (D, K, H, 4H)."""
    D, K, H, _ = U.shape
    return {"H": H, **plain_plan(len(packing.lengths), D * K, H, U.device).choices(U.dtype, 4)}


def message_kernels(graph: Graph, packing: Packing) -> dict:
    """The same for a message LSTM."""
    plan = message_plan(len(packing.lengths), graph.nodes.size(0), graph, graph.nodes.device)
    return message_choices(graph, plan) | plan.choices(graph.nodes.dtype, 4)


class _Loop:
    """The launches of a loop over tokens: one for all of them, or, where programs cannot wait for one another, one for
    every stage of every token.

    Args:
        plan: how the work is shared out.
        packing: where the texts stand.
        sides: recurrences side by side, each with programs of its own.
    """

    def __init__(self, plan: Plan, packing: Packing, *sides: int) -> None:
        self._plan, self._tokens = plan, int(packing.lengths.max())
        self._grid = (plan.groups * plan.programs, *sides)
        self._counters = packing.rows.new_zeros(plan.groups, *sides, kernels.APART.value, dtype=torch.int32)

    def run(
        self, kernel: Any, *arguments: Any, stages: tuple[int, ...], backward: bool = False, **choices: Any
    ) -> None:
        """Launches a kernel, the first of whose arguments tells the device."""
        given, device = (*arguments, self._counters, self._plan.texts), arguments[0].device
        launch = kernel[self._grid]
        with torch.cuda.device_of(arguments[0]):
            if self._plan.programs == 1:
                launch(*given, 0, self._tokens, STAGES=kernels.ALL.value, **choices)
            elif device.type == "cuda":  # all programs at once, or an error
                together = {"launch_cooperative_grid": True}
                launch(*given, 0, self._tokens, STAGES=kernels.ALL.value, **choices, **together)
            else:
                for t in reversed(range(self._tokens)) if backward else range(self._tokens):
                    for stage in stages:
                        launch(*given, t, t + 1, STAGES=stage, **choices)


def plain_forward(x: Tensor, W: Tensor, b: Tensor, U: Tensor, packing: Packing, *, keep: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_forward`."""
    gates = product_with_tokens(x, W, b)  # (D, N, K, 4H)
    (D, N, K, _), H, B = gates.shape, U.size(2), len(packing.lengths)
    states, cells = gates.new_empty(2, D, N, K, H)
    plan = plain_plan(B, D * K, H, gates.device)
    _Loop(plan, packing, K, D).run(
        kernels.plain_forward, gates, _by_unit(U, 4), states, cells, packing.longest_first, B, N, K,
        stages=(1,), H=H, **plan.choices(gates.dtype, 4),
    )  # fmt: skip
    return states, gates if keep else None, cells if keep else None


def plain_backward(x, W, U, states, gates, cells, grad_states: Tensor, packing: Packing, *, of_x: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.plain_backward`."""
    (D, N, K, H), B = cells.shape, len(packing.lengths)
    grad_gates, grad_cells = torch.empty_like(gates), cells.new_empty(D, K, B, H)
    plan = plain_plan(B, D * K, H, gates.device)
    _Loop(plan, packing, K, D).run(
        kernels.plain_backward, gates, U.mT.contiguous(), cells, grad_states, grad_gates, grad_cells,
        packing.longest_first, B, N, K,
        stages=(1,), backward=True, H=H, **plan.choices(gates.dtype, 1),
    )  # fmt: skip
    return plain_gradients(grad_gates, x, W, packing.before(states), of_x=of_x)


def message_forward(x: Tensor, weights: Weights, graph: Graph, packing: Packing) -> Trace:
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_forward`."""
    z = product_with_tokens(x, weights.W.unsqueeze(1), weights.b.unsqueeze(1)).squeeze(2)  # (D, N, 4H + A)
    (D, N, _), H, S, B = z.shape, weights.V_m.size(-1), graph.size(packing), len(packing.lengths)
    plan = message_plan(B, D, graph, z.device)
    choices = message_choices(graph, plan) | plan.choices(z.dtype, 4)
    P = choices["PARTS"]
    cells, scores = z.new_empty(D, N, H), z.new_full((D, N, S), -torch.inf)
    tops, totals, said = z.new_empty(D, B, P), z.new_empty(D, B, P), z.new_empty(D, B, P, 2 * H)
    of_cells = z.new_empty(D, B, H)
    U = torch.cat([_by_unit(weights.U[..., : 4 * H], 4), weights.U[..., 4 * H :]], -1)  # (D, H, 4H + A)
    nothing = z  # where an address is asked for, and never read
    keys, u, bias = (nothing if t is None else t for t in (graph.keys, graph.u, graph.bias))
    _Loop(plan, packing, D).run(
        kernels.message_forward, z, U, weights.V_m, keys, _says(graph, weights), u, bias, cells, scores, tops, totals,
        said, of_cells, packing.longest_first, B, N, S,
        stages=(1, 2), **choices,
    )  # fmt: skip
    edges = scores.sub_(scores.logsumexp(-1, keepdim=True).clamp_min(-1e30)).exp_()  # (D, N, S); no nodes, no message
    messages = _messages(edges, graph.nodes, packing)
    m, v = torch.bmm(messages, weights.W_mr).chunk(2, -1)  # (D, N, H)
    m = torch.sigmoid_(torch.baddbmm(m, cells, weights.V_m))
    spoken = m * v
    states = z[..., 3 * H : 4 * H] * torch.tanh(cells + spoken)
    spoken, kept = (a.norm(dim=-1, keepdim=True) for a in (spoken, cells))  # (D, N, 1)
    shares = spoken / (kept + spoken).clamp_min(1e-12)
    return Trace(z, states, cells, messages, edges, torch.cat([m, v], -1), shares)


def message_backward(x, weights, trace, grad_states: Tensor, graph, packing: Packing, *, of_x: bool, of_nodes: bool):
    """:func:`graphmtl.layers.recurrence.loops_pytorch.message_backward`."""
    z, (D, N, H), S, A, B = trace.z, trace.cells.shape, graph.size(packing), graph.attention, len(packing.lengths)
    plan = message_plan(B, D, graph, z.device)
    choices = message_choices(graph, plan) | plan.choices(z.dtype, 2)
    grad_z, grad_reads, grad_scores = torch.empty_like(z), torch.empty_like(trace.reads), z.new_zeros(D, N, S)
    into_queries, grad_cells, nothing = z.new_empty(choices["PARTS"], D, N, A), z.new_empty(D, B, H), z
    keys, u = (nothing if t is None else t for t in (graph.keys, graph.u))
    sums = torch.bmm(trace.messages, weights.W_mr)  # (D, N, 2H), of what the nodes say
    _Loop(plan, packing, D).run(
        kernels.message_backward, z, weights.U.mT.contiguous(), weights.V_m.mT.contiguous(), trace.cells, trace.weights,
        trace.reads, sums, grad_states, keys, _says(graph, weights), u,
        grad_z, grad_reads, grad_scores, into_queries, grad_cells, packing.longest_first, B, N, S,
        stages=(1, 2), backward=True, **choices,
    )  # fmt: skip
    grad_z[..., 4 * H :] = into_queries.sum(0)
    grad_nodes = None
    if of_nodes:
        into_messages = torch.bmm(grad_reads, weights.W_mr.mT)  # (D, N, H)
        grad_nodes = _node_gradients(trace, into_messages, grad_scores, graph, packing)
    grad_keys, grad_u = _key_gradients(z, grad_scores, graph, packing) if graph.score == "additive" else (None, None)
    grad_bias = None if graph.bias is None else grad_scores.sum((0, 1))
    of_graph = Graph(grad_nodes, grad_keys, grad_u, grad_bias)  # type: ignore[arg-type]
    return *message_gradients(grad_z, grad_reads, x, weights, trace, packing, of_x=of_x), of_graph


def _says(graph: Graph, weights: Weights) -> Tensor:
    """W_m n beside W_r n of every node n: (D, N, S, 2H) or (D, N, 2H). A sum of these is what a message says."""
    return torch.bmm(graph.nodes.flatten(1, -2), weights.W_mr).unflatten(1, graph.nodes.shape[1:-1])


def _messages(edges: Tensor, nodes: Tensor, packing: Packing) -> Tensor:
    """The sums of the nodes (D, N, H), given their weights (D, N, S)."""
    if nodes.ndim == 4:
        return (edges.unsqueeze(-2) @ nodes).squeeze(-2)
    by_text = _by_text(edges, packing) @ _by_text(nodes, packing)  # (D, B, longest, H)
    return by_text.flatten(1, 2).index_select(1, _places(packing))


def _by_unit(matrix: Tensor, parts: int) -> Tensor:
    """(..., parts * H) to the same, the parts of a unit side by side."""
    return matrix.unflatten(-1, (parts, -1)).transpose(-1, -2).flatten(-2).contiguous()


def _node_gradients(trace: Trace, into_messages: Tensor, grad_scores: Tensor, graph: Graph, packing: Packing) -> Tensor:
    """Those of the nodes, the sums of what every token sends back to them; with the dot score as keys, too."""
    A, dot = graph.attention, graph.score == "dot"
    queries = trace.z[..., -A:] * A**-0.5 if dot else None  # (D, N, A)
    if graph.nodes.ndim == 4:
        grad = trace.weights.unsqueeze(-1) * into_messages.unsqueeze(2)  # (D, N, S, H)
        return grad if queries is None else grad.addcmul_(grad_scores.unsqueeze(-1), queries.unsqueeze(2))
    grad = _by_text(trace.weights, packing).mT @ _by_text(into_messages, packing)  # (D, B, S, H)
    if queries is not None:
        grad += _by_text(grad_scores, packing).mT @ _by_text(queries, packing)
    return grad.flatten(1, 2).index_select(1, _places(packing))  # (D, N, H)


def _by_text(values: Tensor, packing: Packing) -> Tensor:
    """(D, N, ...) to (D, B, longest, ...), 0 at padding."""
    B, longest = len(packing.lengths), int(packing.lengths.max())
    if values.size(1) == B * longest:
        return values.unflatten(1, (B, longest))
    padded_texts = values.new_zeros(values.size(0), B * longest, values.size(-1))
    return padded_texts.index_copy_(1, _places(packing), values).unflatten(1, (B, longest))


def _places(packing: Packing) -> Tensor:
    """Where every token stands in texts that are padded to the longest one: (N,)."""
    rows, longest = packing.rows[0], int(packing.lengths.max())
    return rows if longest == packing.tokens else rows // packing.tokens * longest + rows % packing.tokens


def _key_gradients(z: Tensor, grad_scores: Tensor, graph: Graph, packing: Packing) -> tuple[Tensor, Tensor]:
    """Those of the keys and of u."""
    keys, (D, N, S), H, A, B = (
        graph.keys,
        grad_scores.shape,
        graph.nodes.size(-1),
        graph.attention,
        len(packing.lengths),
    )
    assert keys is not None
    AP, grad_keys = padded(A), torch.empty_like(keys)
    rows = KEYS // AP
    tiles, some = triton.cdiv(S, rows), triton.cdiv(N, TOKENS)
    grad_u = z.new_empty(D, B * tiles if keys.ndim == 3 else some, A)
    given, sizes = (z, keys, graph.u, grad_scores, grad_keys, grad_u), {"H": H, "A": A, "AP": AP, "num_warps": 4}
    with torch.cuda.device_of(z):
        if keys.ndim == 3:
            kernels.keys_of_texts[tiles, B, D](*given, packing.longest_first, B, N, S, ROWS=rows, **sizes)
        else:
            rows = min(rows, padded(S))
            kernels.keys_of_tokens[some, D](*given, N, S, ROWS=rows, TOKENS=TOKENS, **sizes)
    return grad_keys, grad_u.sum(1)
