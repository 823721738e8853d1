"""What a very long text costs: said before memory runs out, since where tokens are tagged none is cut off.

The scores of a star graph are the only thing whose memory grows with the square of a text's tokens; measured with 2,000
to 8,000 tokens in both directions, hidden 64: 8 bytes for each pair of tokens to predict, 20 to train. What the other
architectures need grows with the tokens alone and is below 1 GiB for 25,000 of them.
"""

from collections.abc import Iterator

import numpy as np

from graphmtl.config import ArchitectureOptions, ModelOptions
from graphmtl.errors import note

__all__ = ["batches_of", "bytes_of_scores", "warn_of_long"]

_PREDICTING, _TRAINING = 4, 10  # bytes for a pair of tokens, in one direction
_TOLD = 80  # bytes for a pair of tokens where it is told how much one read of the other: matrices, numbers and JSON
_AT_ONCE = 1 << 28  # bytes for all pairs of the texts of a batch that is predicted
_LONG = 4_000  # tokens
_LARGE = 1 << 30  # bytes


def bytes_of_scores(tokens: int, options: ModelOptions, *, training: bool) -> int:
    """About how much memory the scores between the tokens of one text take.

    >>> from graphmtl.models.model_options import make_model_options
    >>> bytes_of_scores(8_000, make_model_options(arch="star"), training=False) >> 20, "MiB"
    (488, 'MiB')
    """
    if options.arch != "star" or not isinstance(options, ArchitectureOptions):
        return 0
    ways = 2 if options.bidirectional else 1
    return tokens**2 * ways * (_TRAINING if training else _PREDICTING)


def batches_of(lengths: np.ndarray, options: ModelOptions, *, batch_size: int, told: bool) -> Iterator[slice]:
    """Where to cut texts that stand in order of length, so that none of the batches takes much for its scores.

    Args:
        lengths: (texts,), their tokens, the shortest first.
        options: of the model.
        batch_size: texts of a batch at most.
        told: it is told how much each token read of each.
    """
    start = 0
    while start < len(lengths):
        stop = min(start + batch_size, len(lengths))
        while stop - start > 1 and _bytes(int(lengths[stop - 1]), options, told) * (stop - start) > _AT_ONCE:
            stop -= (stop - start) // 2
        yield slice(start, stop)
        start = stop


def _bytes(tokens: int, options: ModelOptions, told: bool) -> int:
    size = bytes_of_scores(tokens, options, training=False)
    return size + tokens**2 * _TOLD if size and told else size


def warn_of_long(lengths: np.ndarray, options: ModelOptions, where: str, *, training: bool, told: bool = False) -> None:
    """Names the longest of some texts, where it needs much memory.

    Args:
        lengths: (texts,), their tokens.
        options: of the model.
        where: what a message calls the texts: their task and split.
        training: they are learned, not only read.
        told: it is told how much each token read of each.
    """
    if not len(lengths):
        return
    row = int(lengths.argmax())
    tokens = int(lengths[row])
    if told and (size := _bytes(tokens, options, told)) > _AT_ONCE:
        note(
            f"{where}, row {row}: how much each of {tokens:,} tokens read of each are {tokens**2:,} numbers, for which "
            f"about {size / 2**30:.1f} GiB are taken; --reads 10 tells the ten of which each token read most"
        )
        return
    size = bytes_of_scores(tokens, options, training=training)
    if tokens > _LONG and size > _LARGE:
        note(
            f"{where}, row {row}: {tokens:,} tokens, none of which is cut off, take about {size / 2**30:.1f} GiB for "
            "the scores of arch star, which grow with the square of the tokens; those of other architectures do not "
            "(complete, shared)"
        )
