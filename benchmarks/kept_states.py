"""A transformer that is not trained, whose states of each text are computed once and kept in memory and in a file."""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from graphmtl.data.batching import Batch, EncodedTask, batches_by_length
from graphmtl.models.encoder import Encoded
from graphmtl.models.transformer import TransformerEncoder

__all__ = ["KeptTransformer", "keep_states"]


class KeptTransformer(TransformerEncoder):
    """The states of a frozen transformer, without its dropout; an architecture's LSTMs read them.

    All instances in a process keep states together, in half precision; a text has the same ones in every run.
    """

    contextual = False  # so that there is an LSTM on it
    kept: ClassVar[dict[bytes, Tensor]] = {}

    def train(self, mode: bool = True) -> "KeptTransformer":
        """The transformer itself is never in training."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, batch: Batch) -> Encoded:
        keys = self._keys(batch)
        missing = [i for i, key in enumerate(keys) if key not in self.kept]
        if missing:
            with torch.no_grad():
                states = super().forward(batch).states  # (batch, pieces, dim)
            for i in missing:
                self.kept[keys[i]] = states[i, : batch.lengths[i]].half()  # (pieces, dim)
        states = torch.nn.utils.rnn.pad_sequence([self.kept[key] for key in keys], batch_first=True)
        return Encoded(states.float(), batch.lengths)

    def _keys(self, batch: Batch) -> list[bytes]:
        rows = zip(batch.tokens.numpy(), batch.lengths.tolist(), strict=True)  # a text is one window
        return [tokens[:length].tobytes() for tokens, length in rows]


def keep_states(encoder: KeptTransformer, data: dict[str, EncodedTask], path: Path) -> None:
    """Computes the states of all texts of all splits that are not in a file yet, and writes them there."""
    if path.is_file():
        encoder.kept.update(torch.load(path, weights_only=True))
    known = len(encoder.kept)
    encoder.eval()
    for split in [split for task in data.values() for split in task.splits.values()]:
        for rows in batches_by_length(split.lengths, 32):
            encoder(split.batch(rows))
    if len(encoder.kept) > known:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(encoder.kept, path)
