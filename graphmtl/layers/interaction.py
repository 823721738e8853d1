r"""Task interaction: a query looks at node states; out come the edge weights and a message.

This one step is what every architecture of the toolkit that lets tasks talk puts in a different place (Liu et al., AAAI
2019, section "Multi-task learning with message passing"). For a query q and node states h_1 ... h_S:

.. math::
    s_j = u^\top \tanh(k_j + q) + n_j        \quad\text{additive, the paper's: } k_j = W_n h_j
    s_j = k_j \cdot q / \sqrt{\dim q} + n_j  \quad\text{dot}
    s_j = n_j                                \quad\text{static: the input is ignored, the ablation}
    a = \mathrm{softmax}(s), \qquad r = \sum_j a_j h_j

``attend`` computes it, ``attend_backward`` is its derivative written out, for recurrences that go back in time by hand.
Another score is one function and a line in :data:`SCORES`; autograd finds its derivative.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["SCORES", "Ablation", "EdgeWeights", "Score", "ScoreFunction", "Scoring", "attend", "attend_backward"]

ScoreFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""query (D, batch, A), keys (D, batch, sources, A) and u (D, A), or None, to scores (D, batch, sources)."""


@dataclass
class EdgeWeights:
    """How much a target task read from each node, token by token.

    Attributes:
        target: the task whose head was asked.
        sources: names of the nodes read from, in the order of the last dimension of ``weights``.
        weights: (batch, tokens, sources), the mean over the reading directions, 0 at padding; (batch, 1, sources)
            where the nodes are read once for a whole text.
        lengths: (batch,), tokens of each text, or 1 where its nodes are read once.
        positions: where the tokens of a text are the nodes, gives how much token t read from token i:
            (batch, tokens t, tokens i), the mean over the reading directions, 0 at padding.
        contributions: gives how much of what each node said came through to the target, in the shape of ``weights``:
            the length of its part of the message behind the fusion gate.
    """

    target: str
    sources: tuple[str, ...]
    weights: Tensor
    lengths: Tensor
    positions: Callable[[], Tensor] | None = None
    contributions: Callable[[], Tensor] | None = None

    def per_instance(self) -> Tensor:
        """Mean over the tokens of each text: (batch, sources)."""
        return self.mean_over_tokens(self.weights)

    def chosen(self, texts: Tensor) -> "EdgeWeights":
        """Those of some of the texts, ``texts`` (chosen,) int64 on the CPU."""

        def some(given: Callable[[], Tensor] | None) -> Callable[[], Tensor] | None:
            return None if given is None else lambda: given()[texts]

        weights, lengths = self.weights[texts], self.lengths[texts]
        return EdgeWeights(self.target, self.sources, weights, lengths, some(self.positions), some(self.contributions))

    def mean_over_tokens(self, values: Tensor) -> Tensor:
        """(batch, tokens, sources), 0 at padding, to (batch, sources)."""
        return values.sum(1) / self.lengths.to(values.device)[:, None]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """Edges that are cut when a trained model reads, to see what it makes of the rest.

    Attributes:
        edges: pairs (source, target).
        renormalise: a source that is cut is not attended to, so that the weights of the others sum to 1; otherwise all
            weights stay, and the part of the message that came from it is 0. Where nothing is left there is no message.
    """

    edges: frozenset[tuple[str, str]] = frozenset()
    renormalise: bool = True

    def cut(self, target: str, sources: Sequence[str], device: torch.device) -> Tensor:
        """Which of a target's sources are cut: (sources,) bool."""
        return torch.tensor([(source, target) in self.edges for source in sources], dtype=torch.bool, device=device)

    def apply(self, weights: Tensor, target: str, sources: Sequence[str]) -> Tensor:
        """Weights (..., sources) of a target's sources that sum to 1, without those that are cut."""
        weights = weights.masked_fill(self.cut(target, sources, weights.device), 0)
        return weights / weights.sum(-1, keepdim=True).clamp_min(1e-12) if self.renormalise else weights


def _products(vector: Tensor, vectors: Tensor) -> Tensor:
    """(D, batch, H) with each of (D, batch, sources, H): (D, batch, sources). A row times a matrix is the fast form."""
    product = torch.bmm(vector.flatten(0, 1).unsqueeze(1), vectors.flatten(0, 1).transpose(1, 2))
    return product.view(vectors.shape[:3])


def _weighted_sum(weights: Tensor, vectors: Tensor) -> Tensor:
    """Weights (D, batch, sources) over (D, batch, sources, H): (D, batch, H)."""
    total = torch.bmm(weights.flatten(0, 1).unsqueeze(1), vectors.flatten(0, 1))
    return total.view(*vectors.shape[:2], -1)


def _hidden(query: Tensor, keys: Tensor) -> Tensor:
    """p = sigmoid(2 (keys + query)), (D, batch, sources, A), so that tanh(keys + query) = 2 p - 1.

    On a CPU sigmoid is three times as fast as tanh. The rest of the formula can be left out: in u . tanh it adds the
    same to every score, which the softmax takes away again.
    """
    return (keys + query.unsqueeze(-2)).mul_(2).sigmoid_()


def _dot(query: Tensor, keys: Tensor, u: Tensor | None = None) -> Tensor:
    return _products(query, keys).mul_(query.size(-1) ** -0.5)


def _additive(query: Tensor, keys: Tensor, u: Tensor | None) -> Tensor:
    assert u is not None
    hidden = _hidden(query, keys)  # (D, batch, sources, A)
    return torch.bmm(2 * u.unsqueeze(1), hidden.flatten(1, 2).transpose(1, 2)).view(hidden.shape[:3])


class Scoring(NamedTuple):
    """A score function, and what a layer has for it.

    Attributes:
        function: the function, without the bias; None: the input is ignored, so there are no queries and no keys.
        vector: it takes a learned vector u for each direction.
        fast: it is one of the three for which the loops over tokens are written out, in C++ and Triton too. Any other
            runs through the loops in PyTorch, and back through autograd at every token.
    """

    function: ScoreFunction | None
    vector: bool = False
    fast: bool = False


SCORES = {
    "additive": Scoring(_additive, vector=True, fast=True),
    "dot": Scoring(_dot, fast=True),
    "static": Scoring(None, fast=True),
}
"""The score functions by name."""

if TYPE_CHECKING:
    Score = str
else:
    Score = Literal[tuple(SCORES)]


def _scores(
    query: Tensor | None, keys: Tensor | None, u: Tensor | None, bias: Tensor, own: ScoreFunction | None
) -> Tensor:
    """s (D, batch, sources) before the softmax; shapes as in :func:`attend`."""
    if query is None or keys is None:
        return bias
    if own is not None:
        return own(query, keys, u) + bias
    return (_dot if u is None else _additive)(query, keys, u).add_(bias)


def attend(
    query: Tensor | None,
    keys: Tensor | None,
    nodes: Tensor,
    u: Tensor | None,
    bias: Tensor,
    own: ScoreFunction | None = None,
) -> tuple[Tensor, Tensor]:
    """The message and the edge weights of one query per example.

    The score function follows from what is given: ``u`` makes it additive, no ``u`` dot, no ``query`` static; or it is
    one of its ``own``.

    Shapes, with D independent sets of parameters (the reading directions):
        query (D, batch, A), keys (D, batch, sources, A), nodes (D, batch, sources, H), u (D, A),
        bias (1, sources) or (batch, sources), where -inf hides a node.

    Returns:
        message (D, batch, H) and weights (D, batch, sources), which sum to 1 over the sources.
    """
    weights = torch.softmax(_scores(query, keys, u, bias, own), -1).expand(nodes.shape[:3])  # (D, batch, sources)
    return _weighted_sum(weights, nodes), weights


def attend_backward(
    grad_message: Tensor,
    weights: Tensor,
    query: Tensor | None,
    keys: Tensor | None,
    nodes: Tensor,
    u: Tensor | None,
    own: ScoreFunction | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Derivative of :func:`attend`, given its weights.

    Returns:
        The gradients of the scores (D, batch, sources) and of the query (D, batch, A), and but for the dot score those
        of the keys (D, batch, sources, A) and of u (D, A). What a product over all tokens gives at once is left to the
        caller: the gradient of the nodes, weights x grad_message, and with the dot score that of the keys,
        grad_scores x query / sqrt(A).
    """
    grad_scores = _products(grad_message, nodes).mul_(weights)  # (D, batch, sources)
    grad_scores.addcmul_(weights, grad_scores.sum(-1, keepdim=True), value=-1)
    if query is None or keys is None:
        return grad_scores, None, None, None
    if own is not None:
        return grad_scores, *_through(own, grad_scores, query, keys, u)
    if u is None:
        return grad_scores, _weighted_sum(grad_scores, keys).mul_(query.size(-1) ** -0.5), None, None
    hidden = _hidden(query, keys)  # computed again rather than kept
    grad_u = torch.bmm(2 * grad_scores.flatten(1).unsqueeze(1), hidden.flatten(1, 2)).squeeze(1)  # (D, A)
    slope = torch.addcmul(hidden, hidden, hidden, value=-1).mul_(4 * u[:, None, None])  # (D, batch, sources, A)
    return grad_scores, _weighted_sum(grad_scores, slope), slope.mul_(grad_scores.unsqueeze(-1)), grad_u


@torch.enable_grad()
def _through(
    own: ScoreFunction, grad_scores: Tensor, query: Tensor, keys: Tensor, u: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients of query, keys and u by autograd, through scores that are computed again."""
    given = [each.detach().requires_grad_() for each in (query, keys, u) if each is not None]
    scores = own(given[0], given[1], None if u is None else given[2])
    grads = torch.autograd.grad(scores, given, grad_scores, materialize_grads=True)
    return grads[0], grads[1], None if u is None else grads[2]
