"""The words of texts as numbers, and how often each text has each word and each pair of neighbours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from graphmtl.baselines.examples import Examples
from graphmtl.data.flat import ranges
from graphmtl.data.tokenizer import Tokenizer

__all__ = ["Side", "Words"]


@dataclass(frozen=True)
class Side:
    """Some texts, as the numbers of their words.

    Attributes:
        ids: (words of all texts,), one text after the other.
        lengths: (texts,), words of each.
    """

    ids: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: np.ndarray) -> "Side":
        """Some of the texts, ``rows`` (chosen,)."""
        starts, lengths = (np.cumsum(self.lengths) - self.lengths)[rows], self.lengths[rows]  # (chosen,)
        return Side(self.ids[ranges(starts, lengths)], lengths)


class Words:
    """Every word has a number, and the words of a text are looked for once, whoever asks.

    They are those of the package's own tokenizer, in lower case, so that texts without spaces have words too.
    """

    def __init__(self) -> None:
        self._tokenizer = Tokenizer()
        self._numbers: dict[str, int] = {}
        self._texts: dict[str, np.ndarray] = {}

    def sides(self, examples: Examples) -> tuple[Side, ...]:
        """The texts of examples, and behind them the other texts of pairs.

        Of choices each is a pair of its own, of the context and the choice, one after the other.
        """
        rows = examples.rows
        if "choices" in rows:
            counts = [*map(len, rows["choices"])]  # (examples,)
            contexts = self._side(rows["text"]).take(np.repeat(np.arange(len(counts)), counts))
            return contexts, self._side([*chain.from_iterable(rows["choices"])])
        if "tokens" in rows:
            return (_joined(self._ids(map(self._tokenizer.normalise, tokens)) for tokens in rows["tokens"]),)
        return tuple(self._side(rows[name]) for name in ("text", "text_pair") if name in rows)

    def _side(self, texts: Sequence[str]) -> Side:
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for text, words in zip(new, self._tokenizer.forms(new), strict=True):
            self._texts[text] = self._ids(words)
        return _joined(self._texts[text] for text in texts)

    def _ids(self, words: Iterable[str]) -> np.ndarray:
        numbers = self._numbers
        return np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int32)

    def counts(self, texts: Side) -> tuple[sparse.csr_matrix, np.ndarray]:
        """How often each text has each word and each pair of neighbours.

        Returns:
            The counts, (texts, n-grams) float64, and which of the n-grams are single words, (n-grams,) bool.
        """
        most, ids = len(self._numbers), texts.ids.astype(np.int64)
        text = np.repeat(np.arange(len(texts)), texts.lengths)  # (words of all texts,)
        inside = text[1:] == text[:-1]
        pairs = most + ids[:-1][inside] * most + ids[1:][inside]
        found, columns = np.unique(np.concatenate([ids, pairs]), return_inverse=True)
        rows = np.concatenate([text, text[1:][inside]])
        counts = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(found)))
        return counts, found < most


def _joined(texts: Iterable[np.ndarray]) -> Side:
    own = [*texts]
    ids = np.concatenate([np.empty(0, dtype=np.int32), *own])
    return Side(ids, np.array([*map(len, own)], dtype=np.int64))
