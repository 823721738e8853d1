"""What a very long text costs: said before memory runs out, since where tokens are tagged none is cut off.

The scores of a star graph are the only thing whose memory grows with the square of a text's tokens; measured with 2,000
to 8,000 tokens in both directions, hidden 64: 8 bytes for each pair of tokens to predict, 20 to train. What the other
architectures need grows with the tokens alone and is below 1 GiB for 25,000 of them.
"""

import numpy as np

from graphmtl.config import ArchitectureOptions, ModelOptions
from graphmtl.errors import note

__all__ = ["bytes_of_scores", "warn_of_long"]

_PREDICTING, _TRAINING = 4, 10  # bytes for a pair of tokens, in one direction
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


def warn_of_long(lengths: np.ndarray, options: ModelOptions, where: str, *, training: bool) -> None:
    """Names the longest of some texts, where it needs much memory.

    Args:
        lengths: (texts,), their tokens.
        options: of the model.
        where: what a message calls the texts: their task and split.
        training: they are learned, not only read.
    """
    if not len(lengths):
        return
    row = int(lengths.argmax())
    tokens = int(lengths[row])
    size = bytes_of_scores(tokens, options, training=training)
    if tokens > _LONG and size > _LARGE:
        note(
            f"{where}, row {row}: {tokens:,} tokens, none of which is cut off, take about {size / 2**30:.1f} GiB for "
            "the scores of arch star, which grow with the square of the tokens; those of other architectures do not "
            "(complete, shared)"
        )
