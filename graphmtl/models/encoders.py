"""The encoders by name."""

from dataclasses import fields
from typing import Any

from graphmtl.config import Options
from graphmtl.errors import InputError
from graphmtl.models.word_encoder import WordEncoder

__all__ = ["ENCODERS", "check_options", "encoder_class"]

ENCODERS = {"lstm": WordEncoder}
"""The encoders by name; any other name is that of a transformer."""

_OF_WORDS = (
    *("embeddings", "embedding_size", "freeze_embeddings", "embedding_dropout", "word_dropout", "char_size"),
    *("embedding_lr", "freeze_embeddings_epochs", "tokenizer", "lower_case", "min_count"),
)
_OF_TRANSFORMERS = ("encoder_lr", "layer_decay", "freeze_layers", "gradient_checkpointing")


def encoder_class(name: str) -> Any:
    """The class of an encoder; transformers' library is loaded when one is asked for."""
    if name in ENCODERS:
        return ENCODERS[name]
    from graphmtl.models.transformer import TransformerEncoder

    return TransformerEncoder


def check_options(options: Options) -> None:
    """Whether all that was asked for has a meaning with the encoder.

    Raises:
        InputError: an option of word embeddings with a transformer, or the other way round.
    """
    words = options.encoder in ENCODERS
    for field in fields(options):
        given = getattr(options, field.name) != field.default
        if given and field.name in (_OF_TRANSFORMERS if words else _OF_WORDS):
            needed = "a transformer" if words else "--encoder lstm"
            raise InputError(
                f"--{field.name.replace('_', '-')} has no meaning with --encoder {options.encoder}, only with {needed}"
            )
    if not words and options.chars not in ("auto", "none"):
        raise InputError(f"--chars {options.chars} has no meaning with --encoder {options.encoder}: pieces are read")
