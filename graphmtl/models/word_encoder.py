"""The encoder ``lstm``: word ids, and how words are written, to token vectors."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from graphmtl.config import WIDEST, option
from graphmtl.data.batching import Batch
from graphmtl.data.spelling import Alphabet, Spelling
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import PAD, UNK, Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.encoder import Encoded, Encoder, LockedDropout, VocabularyOptions

__all__ = ["CHARACTERS", "CharacterCNN", "CharacterLSTM", "SpellingEncoder", "WordEncoder", "WordEncoderOptions"]

_CHARACTER, _SHAPE = 30, 10  # dimensions of the embeddings; 30: Ma and Hovy 2016
_FROZEN = ("freeze_embeddings", "which are never trained")


@dataclass(frozen=True, kw_only=True)
class WordEncoderOptions(VocabularyOptions):
    """Of the encoder ``lstm``: words and their embeddings."""

    embeddings: str | None = option(
        None, "pre-trained word vectors: word2vec or GloVe text, plain, .gz or .xz", shown="FILE"
    )
    embedding_size: int = option(
        100,
        "dimensions of the word embeddings where no vectors are given",
        low=1,
        high=WIDEST,
        unless=("embeddings", "whose vectors have a size of their own"),
    )
    pretrained: str | None = option(
        None,
        "folder that `graphmtl pretrain` has written, from which word embeddings and the LSTM of all tasks start",
        shown="DIR",
    )
    freeze_embeddings: bool = option(False, "never train the word embeddings")
    embedding_lr: float = option(
        1.0, "learning rate of the embeddings as a share of --lr", low=0, unless=_FROZEN, trains=True
    )
    freeze_embeddings_epochs: int = option(
        0, "epochs before the embeddings are trained", low=0, unless=_FROZEN, trains=True
    )
    chars: Literal["auto", "none", "cnn", "lstm"] = option(
        "auto", "read how words are written, their characters and shape; auto: cnn where a task tags tokens"
    )
    char_size: int = option(
        50,
        "dimensions of what --chars makes of a word's characters",
        low=2,
        high=WIDEST,
        unless=("chars=none", "which reads none"),
    )
    word_dropout: float = option(0.0, "share of tokens replaced by the unknown word in training", low=0, high=0.99)
    embedding_dropout: float = option(0.3, "locked dropout on the token vectors (one mask per text)", low=0, high=0.99)


class CharacterCNN(nn.Module):
    """A convolution over three characters, and the largest values over the word (Ma and Hovy 2016, section 2.1)."""

    size: int

    def __init__(self, *, characters: int, size: int):
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(characters, _CHARACTER, padding_idx=PAD)
        self.convolution = nn.Conv1d(_CHARACTER, size, kernel_size=3, padding=1)

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        """letters (forms, letters) and lengths (forms,) to (forms, size)."""
        padding = (letters == PAD).unsqueeze(1)  # (forms, 1, letters)
        x = self.embedding(letters).mT.masked_fill(padding, 0)  # (forms, 30, letters)
        return self.convolution(x).masked_fill(padding, -torch.inf).amax(-1)


class CharacterLSTM(nn.Module):
    """The last states of an LSTM that reads the characters in both directions (Lample et al. 2016, section 4.1)."""

    size: int

    def __init__(self, *, characters: int, size: int):
        super().__init__()
        self.size = size // 2 * 2
        self.embedding = nn.Embedding(characters, _CHARACTER, padding_idx=PAD)
        self.lstm = nn.LSTM(_CHARACTER, size // 2, batch_first=True, bidirectional=True)

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        """letters (forms, letters) and lengths (forms,) to (forms, size)."""
        packed = pack_padded_sequence(self.embedding(letters), lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)  # (2, forms, size / 2)
        return last.transpose(0, 1).flatten(1)


CHARACTERS: dict[str, type[CharacterCNN] | type[CharacterLSTM]] = {"cnn": CharacterCNN, "lstm": CharacterLSTM}


class SpellingEncoder(nn.Module):
    """How words are written: their characters and their shape. Every different word of a batch is read once.

    Args:
        alphabet: the characters and shapes.
        options: what reads the characters, and its size.
    """

    def __init__(self, *, alphabet: Alphabet, options: WordEncoderOptions):
        super().__init__()
        kind = CHARACTERS[options.chars]
        self.characters: CharacterCNN | CharacterLSTM
        self.characters = kind(characters=len(alphabet.characters) + 2, size=options.char_size)
        self.shape = nn.Embedding(len(alphabet.shapes) + 2, _SHAPE)
        self.size: int = self.characters.size + _SHAPE

    def forward(self, spelling: Spelling) -> Tensor:
        """The words of a batch to vectors (batch, tokens, size)."""
        characters = self.characters(spelling.letters, spelling.lengths)  # (forms, char_size)
        vectors = torch.cat([characters, self.shape(spelling.shapes)], -1)  # (forms, size)
        return nn.functional.embedding(spelling.forms, vectors)


class WordEncoder(Encoder):
    """Word embeddings: the encoder ``lstm``, so called because the LSTMs of the architecture do the reading.

    With ``options.chars`` a token's vector also says how the word is written.

    Args:
        vocabulary: the words.
        options: embedding size, dropout, and whether the embeddings are trained.
    """

    Options = WordEncoderOptions

    def __init__(self, *, vocabulary: Vocabulary, options: WordEncoderOptions):
        super().__init__(vocabulary=vocabulary, options=options)
        self.output_size: int = options.embedding_size
        self.word_dropout = options.word_dropout
        self.embedding = nn.Embedding(len(vocabulary), options.embedding_size, padding_idx=PAD)
        self.embedding.weight.requires_grad_(not options.freeze_embeddings)
        self.dropout = LockedDropout(options.embedding_dropout)
        self.reset_parameters()
        self.spelling: SpellingEncoder | None = None
        if options.chars in CHARACTERS:
            if vocabulary.alphabet is None:
                raise InputError(f"--chars {options.chars}: the vocabulary has no alphabet (Vocabulary.alphabet)")
            self.spelling = SpellingEncoder(alphabet=vocabulary.alphabet, options=options)
            self.output_size += self.spelling.size

    def reset_parameters(self) -> None:
        """Small normal vectors; padding is 0."""
        nn.init.normal_(self.embedding.weight, std=0.1 if self.embedding.weight.requires_grad else 1.0)
        self.embedding.weight.data[PAD] = 0

    def load_vectors(self, vectors: Vectors, vocabulary: Vocabulary) -> None:
        """Puts the pre-trained vectors of the words that have one in place; the unknown word gets their mean."""
        rows = [(i, vectors.index[word]) for i, word in enumerate(vocabulary.words) if word in vectors.index]
        ours, theirs = torch.tensor(rows, dtype=torch.int64).view(-1, 2).T
        matrix = torch.from_numpy(vectors.matrix)
        self.embedding.weight.data[ours] = matrix[theirs]
        self.embedding.weight.data[UNK] = matrix.mean(0)
        self.embedding.weight.data[PAD] = 0

    def reads_ids_alone(self) -> bool:
        return self.spelling is None

    def embedding_parameters(self) -> list[nn.Parameter]:
        return [weight for weight in self.embedding.parameters() if weight.requires_grad]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        return [(parameter, lr * self.options.embedding_lr) for parameter in self.embedding_parameters()]

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        return [(self.options.freeze_embeddings_epochs, self.embedding_parameters())]

    def start_new_words(self, known: int) -> None:
        """The words behind the first ``known`` ones begin as what stood for them: the unknown word."""
        self.embedding.weight.data[known:] = self.embedding.weight.data[UNK]

    def forward(self, batch: Batch) -> Encoded:
        """The words of a batch, and how they are written, to vectors (batch, tokens, output_size)."""
        tokens = batch.tokens  # (batch, tokens)
        if self.training and self.word_dropout > 0:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped & (tokens != PAD), UNK)
        vectors = self.embedding(tokens)  # (batch, tokens, embedding_size)
        if self.spelling is not None:
            vectors = torch.cat([vectors, self.spelling(batch.spelling)], -1)  # (batch, tokens, output_size)
        return Encoded(self.dropout(vectors), batch.lengths)
