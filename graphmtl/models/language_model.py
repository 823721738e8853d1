r"""A language model of an LSTM that tasks share: what it learns of texts without labels.

Every direction is a model of its own, which has read nothing of what it is asked for: forward the next word, backward
the one before.

.. math::
    L = -\sum_t \log p(w_{t+1} \mid \overrightarrow{h}_t) - \sum_t \log p(w_{t-1} \mid \overleftarrow{h}_t)

:math:`\overrightarrow h_t` is the forward state at token t, which knows :math:`w_1 \dots w_t`, and
:math:`\overleftarrow h_t` the backward one, which knows :math:`w_t \dots w_T`. p is the adaptive softmax (Grave,
Joulin, Cissé, Grangier, Jégou, ICML 2017), which both directions have in common, as they have the word embeddings
(Peters et al., Deep contextualized word representations, NAACL 2018, section 3.1).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphmtl.data.batching import Batch, EncodedSplit
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.label_arrays import TokenLabels
from graphmtl.data.task import Task
from graphmtl.kinds.head import at_least_single
from graphmtl.layers.message_lstm import LSTM, run_side_by_side
from graphmtl.layers.modes import evaluating
from graphmtl.layers.packing import Packing
from graphmtl.models.encoder import LockedDropout
from graphmtl.models.predictions import ModelOutput, ModelOutputs

__all__ = ["DIRECTIONS", "LanguageModel", "asked_words"]

DIRECTIONS = ("forward", "backward")
_CUTOFFS = (2_000, 10_000)  # of the words by frequency: the classes of the softmax, and of its two tails
_NARROWER = 4.0  # a tail's dimensions are so many times fewer than those before it


def asked_words(words: Sequence[Sequence[int]], directions: int) -> dict[str, TokenLabels]:
    """What each direction is asked at every token of some texts, given the indices of their words.

    >>> asked_words([[5, 6, 7], [8]], 2)["forward"].values.tolist()
    [6, 7, -100, -100]
    """
    lengths = np.array([len(own) for own in words], dtype=np.int64)
    asked = {
        "forward": [[*own[1:], NO_LABEL] for own in words],
        "backward": [[NO_LABEL, *own[:-1]] for own in words],
    }
    return {name: TokenLabels(asked[name], lengths, missing=NO_LABEL) for name in DIRECTIONS[:directions]}


class LanguageModel(nn.Module):
    """An encoder of words, an LSTM, and the softmax over words; trained as any model of two tasks is.

    Args:
        encoder: of words, a :class:`~graphmtl.models.word_encoder.WordEncoder`.
        lstm: what reads its vectors.
        words: how many words there are, the most frequent first.
        dropout: locked dropout on the LSTM's states.
    """

    def __init__(self, *, encoder: nn.Module, lstm: LSTM, words: int, dropout: float):
        super().__init__()
        self.encoder, self.lstm = encoder, lstm
        self.dropout = LockedDropout(dropout)
        cutoffs = [cutoff for cutoff in _CUTOFFS if cutoff < words] or [words - 1]
        cutoffs = [cutoff for i, cutoff in enumerate(cutoffs) if lstm.hidden >= _NARROWER ** (i + 1)] or cutoffs[:1]
        narrower = min(_NARROWER, lstm.hidden)
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(lstm.hidden, words, cutoffs, div_value=narrower)
        self.tasks = {name: Task(name=name) for name in DIRECTIONS[: lstm.directions]}

    def forward(self, batch: Batch, edges: bool = False, label_smoothing: float = 0.0) -> ModelOutputs:
        """The loss of every text in every direction, the sum over the words that are asked for."""
        encoded = self.encoder(batch)  # states (batch, tokens, dim)
        x, lengths = encoded.states, encoded.lengths
        packing = Packing(lengths, x.size(1), x.device)
        states = run_side_by_side([self.lstm], packing.pack(x, self.lstm.directions), packing).squeeze(2)  # (D, N, H)
        states = packing.pack_states(self.dropout(packing.unpack(states)), self.lstm.directions)  # one mask a text
        assert batch.labels is not None
        outputs = ModelOutputs()
        for name, read, rows in zip(self.tasks, states, packing.rows, strict=False):
            asked = batch.labels[name].flatten()[rows]  # (N,), beside the states that are to say it
            losses = self._losses(read, asked, rows // x.size(1), len(lengths))  # (batch,)
            counts = (batch.labels[name] != NO_LABEL).sum(1)  # (batch,)
            outputs[name] = ModelOutput(read.detach(), losses=losses, counts=counts, weights=batch.weights)
        return outputs

    def _losses(self, states: Tensor, asked: Tensor, text: Tensor, texts: int) -> Tensor:
        """States (N, H), the word that each is asked for, or none, and the text of each (N,), to losses (texts,)."""
        known = asked != NO_LABEL  # (N,)
        states = at_least_single(states)
        losses = states.new_zeros(texts)
        if not bool(known.any()):  # texts of one word
            return losses + 0 * states.sum()
        with torch.autocast(states.device.type, enabled=False):  # the softmax writes into what it has made before
            said = self.softmax(states[known], asked[known]).output
        return losses.index_add(0, text[known], -said)

    @torch.no_grad()
    def perplexity(self, split: EncodedSplit, batch_size: int) -> dict[str, float]:
        """Of every direction exp of the mean loss of a word, without dropout; nan without a word."""
        device = next(self.parameters()).device
        total, count = dict.fromkeys(self.tasks, 0.0), dict.fromkeys(self.tasks, 0)
        with evaluating(self):
            for rows in _slices(len(split), batch_size):
                for name, output in self(split.batch(rows).to(device)).items():
                    total[name] += float(output.losses.double().sum())
                    count[name] += int(output.counts.sum())
        return {name: float(np.exp(total[name] / count[name])) if count[name] else float("nan") for name in self.tasks}

    # What the training asks of a model

    def selection_groups(self) -> dict[str, list[str]]:
        return {"mean": [name for name, _ in self.named_parameters()]}

    def embedding_parameters(self) -> list[Any]:
        encoder: Any = self.encoder
        return encoder.embedding_parameters()

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        encoder: Any = self.encoder
        return encoder.learning_rates(lr)

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        encoder: Any = self.encoder
        return encoder.frozen_until()

    def penalty_weight(self, step: int, steps: int) -> float:
        return 1.0


def _slices(size: int, batch_size: int) -> Iterator[np.ndarray]:
    return (np.arange(start, min(start + batch_size, size)) for start in range(0, size, batch_size))
