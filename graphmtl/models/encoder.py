"""What every encoder is to the rest of the toolkit."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from graphmtl.config import OptionGroup, option
from graphmtl.data.batching import Batch
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import Vocabulary

__all__ = ["Encoded", "Encoder", "LockedDropout", "VocabularyOptions"]


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions(OptionGroup):
    """Of encoders that read words: what is a word, and which of them are known."""

    tokenizer: str = option(
        "words",
        "how texts are cut into tokens: words, characters, spaces (what white space divides), or the path of a "
        "tokenizer.json",
        shown="TOKENIZER",
    )
    lower_case: bool = option(True, "lower-case every word")
    min_count: int = option(1, "training occurrences a word needs to get an embedding of its own", low=1)


@dataclass
class Encoded:
    """What an encoder makes of a batch.

    Attributes:
        states: (batch, tokens, dim).
        lengths: (batch,), always on the CPU.
        pooled: (batch, dim), of encoders that have a vector of their own for the whole text, else None.
    """

    states: Tensor
    lengths: Tensor
    pooled: Tensor | None = None


class LockedDropout(nn.Module):
    """Dropout with one mask per text, the same for all its tokens (Gal and Ghahramani 2016; Merity et al. 2018)."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, tokens, dim)."""
        if not self.training or self.p == 0:
            return x
        mask = x.new_empty(x.size(0), 1, x.size(2)).bernoulli_(1 - self.p).div_(1 - self.p)  # (batch, 1, dim)
        return x * mask

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Encoder(nn.Module):
    """A batch of texts to token vectors; what is asked of an encoder stands here, each with a default.

    One that is derived from it must have ``forward`` and set ``output_size``. Its options are a dataclass of its own,
    derived from :class:`VocabularyOptions` where it reads words.

    Args:
        vocabulary: the words, or what ``reads_subwords`` says.
        options: those that the encoder declares (``Options``).

    Attributes:
        output_size: dimensions of a token vector.
    """

    Options: ClassVar[type[OptionGroup]] = VocabularyOptions  #: its options
    contextual = False  #: True where a token's vector depends on the other tokens
    reads_subwords = False  #: True where it reads the pieces of a transformer's tokenizer, not words
    has_cls = False  #: True where :class:`Encoded` has a vector of its own for a whole text
    output_size: int

    def __init__(self, *, vocabulary: Any, options: Any):
        super().__init__()
        self.options = options

    def forward(self, batch: Batch) -> Encoded:
        """Tokens (batch, tokens) to states (batch, tokens, output_size)."""
        raise NotImplementedError

    def reads_ids_alone(self) -> bool:
        """Whether ``batch.tokens`` is all that it looks at, so that equal ones have equal states."""
        return False

    def embedding_parameters(self) -> list[nn.Parameter]:
        """The word embeddings that are trained; they are not decayed."""
        return []

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        """Parameters with a learning rate of their own, where that of all others is ``lr``."""
        return []

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        """Pairs of an epoch and parameters that are not trained up to its end."""
        return []

    def load_vectors(self, vectors: Vectors, vocabulary: Vocabulary) -> None:
        """Starts from pre-trained vectors; asked for where there is an option ``embeddings``."""

    def load_pretrained(self, name: str) -> None:
        """Starts from the weights in a folder, or of a name on the Hub; asked of those that read subwords."""

    def start_new_words(self, known: int) -> None:
        """Where new tasks bring new words: the first weights of those behind the first ``known`` ones."""
