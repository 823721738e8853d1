"""Token ids to token vectors."""

import torch
from torch import Tensor, nn

from graphmtl.config import ModelOptions
from graphmtl.data.vocabulary import PAD, UNK, Vectors, Vocabulary

__all__ = ["ENCODERS", "LockedDropout", "WordEncoder"]


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


class WordEncoder(nn.Module):
    """Word embeddings: the encoder ``lstm``, so called because the LSTMs of the architecture do the reading.

    Args:
        vocabulary: the words.
        options: embedding size, dropout, and whether the embeddings are trained.

    Attributes:
        output_size: dimensions of a token vector.
    """

    def __init__(self, *, vocabulary: Vocabulary, options: ModelOptions):
        super().__init__()
        self.output_size = options.embedding_size
        self.word_dropout = options.word_dropout
        self.embedding = nn.Embedding(len(vocabulary), options.embedding_size, padding_idx=PAD)
        self.embedding.weight.requires_grad_(not options.freeze_embeddings)
        self.dropout = LockedDropout(options.embedding_dropout)
        self.reset_parameters()

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

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (batch, tokens) int64 to vectors (batch, tokens, output_size)."""
        if self.training and self.word_dropout > 0:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped & (tokens != PAD), UNK)
        return self.dropout(self.embedding(tokens))


ENCODERS = {"lstm": WordEncoder}
