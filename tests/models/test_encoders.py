import pytest

from graphmtl.errors import InputError
from graphmtl.models.encoder import Encoder
from graphmtl.models.encoders import encoder_class, reads_words
from graphmtl.models.transformer import TransformerEncoder
from graphmtl.models.word_encoder import WordEncoder


class Outside(Encoder):
    """An encoder of somebody else."""

    reads_subwords = True


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("lstm", WordEncoder, True),
        ("bert-base-cased", TransformerEncoder, False),
        ("lsmt", TransformerEncoder, False),  # which may be there, on the Hub
        ("C:/models/bert", TransformerEncoder, False),
        (f"{__name__}:Outside", Outside, False),
    ],
)
def test_a_name_that_is_neither_known_nor_a_class_is_that_of_a_transformer(name, kind, words):
    assert encoder_class(name).__qualname__ == kind.__qualname__
    assert reads_words(name) is words


def test_a_class_from_outside_is_an_encoder():
    with pytest.raises(InputError, match=r"encoder 'collections:Counter': found .*, expected a class derived from Enc"):
        encoder_class("collections:Counter")
