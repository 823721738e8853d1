"""What the frozen nodes of a graph make of a text, computed once for all epochs."""

from typing import Any

import torch
from torch import Tensor, nn

from graphmtl.data.batching import Batch
from graphmtl.layers.modes import evaluating
from graphmtl.layers.packing import Packing

__all__ = ["FrozenStates"]

_LIMIT = 2 * 2**30  # bytes that are kept; texts beyond it are read anew each time


class FrozenStates:
    """The states of the nodes that a task reads, text by text; none of them is trained.

    They are read without dropout, so that they are the same in every epoch.

    Args:
        model: a :class:`~graphmtl.models.model.MultiTaskModel` whose encoder and nodes are frozen.
        task: the position of the task that reads them.
    """

    def __init__(self, model: nn.Module, task: int):
        self._model, self._task = model, task
        self._known: dict[bytes, Tensor] = {}
        self._bytes = 0

    @torch.no_grad()
    def nodes(self, batch: Batch) -> Tensor:
        """The states at all tokens of a batch, in the order of its texts: (D, N, ...)."""
        ids = batch.tokens.cpu().numpy()
        keys = [row[:length].tobytes() for row, length in zip(ids, batch.lengths.tolist(), strict=True)]
        found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: row for row, key in enumerate(keys) if key not in found}
        if new:
            found |= dict(zip(new, self._read(batch, list(new.values())), strict=True))
        for key in new:
            size = found[key].nbytes
            if self._bytes + size <= _LIMIT:
                self._known[key] = found[key]
                self._bytes += size
        return torch.cat([found[key] for key in keys], 1)

    def _read(self, batch: Batch, rows: list[int]) -> list[Tensor]:
        """The states of some texts of a batch: (D, length, ...) each."""
        model: Any = self._model
        lengths = batch.lengths[rows]
        tokens = batch.tokens[rows, : int(lengths.max())]  # (texts, tokens)
        some = Batch(batch.tasks, tokens, lengths, None, torch.ones(len(rows)))
        with evaluating(model):
            x = model.encode(some).states  # (texts, tokens, dim)
            nodes = model.architecture.node_states(x, lengths, [self._task])  # (D, N, ...)
        return [own.clone() for own in Packing(lengths, x.size(1), x.device).by_text(nodes)]
