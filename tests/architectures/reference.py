"""The two graph LSTMs by the letter of their equations: one text, one task, one token at a time, plain Python loops.

Slow on purpose and free of every trick of graphmtl.layers.message_lstm; the batched code must equal it.
"""

import torch
from torch import Tensor


def lstm_gates(lstm, d: int, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """i, f, o, g of one token: x (I,), h (H,)."""
    i, f, g, o = (lstm.W[d].T @ x + lstm.U[d].T @ h + lstm.b[d]).chunk(4)
    return torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)


def plain_lstm(lstm, d: int, text: Tensor) -> list[Tensor]:
    """h_1 ... h_T, each (H,), of a text (T, I)."""
    h = c = text.new_zeros(lstm.hidden)
    states = []
    for x in text:
        i, f, o, g = lstm_gates(lstm, d, x, h)
        c = f * c + i * g
        h = o * torch.tanh(c)
        states.append(h)
    return states


def score(lstm, d: int, node: Tensor, h: Tensor, x: Tensor) -> Tensor:
    """How a node (H,) matches the query [h; x], without the node's bias."""
    if lstm.score == "static":
        return node.new_zeros(())
    key = lstm.W_n[d].T @ node
    query = lstm.W_q[d].T @ torch.cat([h, x])
    if lstm.score == "dot":
        return key @ query / lstm.hidden**0.5
    return lstm.u[d] @ torch.tanh(key + query)


def message_lstm(
    lstm,
    d: int,
    text: Tensor,
    nodes: list[list[Tensor]],
    hidden: set[int] = frozenset(),
    silent: set[int] = frozenset(),
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
    """h_t, edge weights, message share, and m_t with W_r r_t of every token; nodes[t] are what token t may read.

    Hidden nodes are not attended to; silent ones are, and then count as 0 in the message.
    """
    h = c = text.new_zeros(lstm.hidden)
    states, weights, shares, reads = [], [], [], []
    for t, x in enumerate(text):
        i, f, o, g = lstm_gates(lstm, d, x, h)
        c = f * c + i * g
        scores = [score(lstm, d, node, h, x) for node in nodes[t]]
        if lstm.node_bias is not None:
            scores = [s + n for s, n in zip(scores, lstm.node_bias, strict=True)]
        scores = [s - torch.inf if j in hidden else s for j, s in enumerate(scores)]
        a = torch.softmax(torch.stack(scores), 0) if scores else text.new_zeros(0)
        r = text.new_zeros(lstm.hidden)
        for j, (weight, node) in enumerate(zip(a, nodes[t], strict=True)):
            r = r if j in silent else r + weight * node
        m = torch.sigmoid(lstm.W_m[d].T @ r + lstm.V_m[d].T @ c)
        said = lstm.W_r[d].T @ r
        message = m * said
        h = o * torch.tanh(c + message)
        states.append(h)
        weights.append(a)
        shares.append(message.norm() / (c.norm() + message.norm()))
        reads.append((m, said))
    return states, weights, shares, reads


def _directions(architecture, text: Tensor):
    """The text as each direction reads it, and how to turn what it gives back into reading order."""
    for d in range(architecture.directions):
        yield d, text if d == 0 else text.flip(0), (lambda way: way) if d == 0 else (lambda way: way[::-1])


def complete(architecture, text: Tensor, k: int, **cut) -> tuple[Tensor, Tensor, Tensor]:
    """Of a text (T, I) of k: states (T, D * H); weights and contributions (T, S) of the S edges into k, averaged over
    directions."""
    tasks, edges = architecture.tasks, architecture.topology.edges
    sources = [j for j in range(len(tasks)) if (tasks[j], tasks[k]) in edges]
    states, weights, contributions = [], [], []
    for d, way, back in _directions(architecture, text):
        read = [plain_lstm(architecture.lstms[j], d, way) for j in sources]
        nodes = [[source[t] for source in read] for t in range(len(way))]
        h, a, _, reads = message_lstm(architecture.lstms[k], d, way, nodes, **cut)
        W_r = architecture.lstms[k].W_r[d]
        through = [text.new_zeros(len(sources)) for _ in way]
        for t, (m, _) in enumerate(reads):
            for j, (weight, node) in enumerate(zip(a[t], nodes[t], strict=True)):
                through[t][j] = (weight * (m * (W_r.T @ node)).norm()).detach()
        states.append(torch.stack(back(h)))
        weights.append(torch.stack(back(a)))
        contributions.append(torch.stack(back(through)))
    return torch.cat(states, -1), torch.stack(weights).mean(0), torch.stack(contributions).mean(0)


def star(architecture, text: Tensor, k: int, silent: set[int] = frozenset()) -> tuple[Tensor, Tensor, Tensor]:
    """Of one text (T, I) of task k: states (T, D * H); spokes and contributions (T, 1), averaged over directions."""
    states, spokes, contributions = [], [], []
    for d, way, back in _directions(architecture, text):
        hub = plain_lstm(architecture.hub, d, way)
        every = set(range(len(way))) if silent else set()
        h, _, share, reads = message_lstm(architecture.lstms[k], d, way, [hub] * len(way), silent=every)
        states.append(torch.stack(back(h)))
        spokes.append(torch.stack(back(share)))
        contributions.append(torch.stack(back([(m * said).norm() for m, said in reads])))
    return torch.cat(states, -1), torch.stack(spokes).mean(0)[:, None], torch.stack(contributions).mean(0)[:, None]


REFERENCES = {"complete": complete, "star": star}
