"""The encoders by name."""

from graphmtl.models.encoder import Encoder
from graphmtl.registry import ENCODERS, TRANSFORMER, find_class, is_outside

__all__ = ["encoder_class", "reads_words"]


def encoder_class(name: str) -> type[Encoder]:
    """The class of an encoder: one of the table, ``module:Class``, or else that of transformers.

    Raises:
        InputError: there is no such class, or it is no encoder.
    """
    return find_class("encoder", name if name in ENCODERS or is_outside(name) else TRANSFORMER, ENCODERS, Encoder)


def reads_words(name: str) -> bool:
    """Whether an encoder reads a vocabulary of words; transformers have pieces of their own."""
    return not encoder_class(name).reads_subwords
