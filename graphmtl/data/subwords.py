"""Texts for a transformer: the pieces its tokenizer makes of them, and where words stand among the pieces."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphmtl.config import ModelOptions
from graphmtl.data.flat import one_after_the_other, ranges
from graphmtl.data.tokenizer import AT_ONCE, Span, Tokenizer
from graphmtl.data.vocabulary import share_of_first, truncate
from graphmtl.errors import InputError
from graphmtl.layers.devices import moved

__all__ = ["SubwordTexts", "SubwordVocabulary", "Windows"]


@dataclass
class Windows:
    """How the texts of a batch are cut into windows, each of which the transformer reads at once.

    Attributes:
        lengths: (windows,) int64, pieces; always on the CPU.
        types: (windows, pieces) int64, 1 in the second text of a pair; None where the model has no such embedding.
        texts: (windows,) int64, the row of the text that each is of.
        words: (batch, words) int64, each word's first piece among the (windows * pieces); -1 where there is none. None
            where states of pieces are wanted: then every text is one window.
        between: (batch,) int64, the place of the word that stands for what is between the texts of a pair; 0 where
            there is none.
        states: (windows, pieces, dim), what the transformer's frozen layers make of the pieces, 0 at padding, where
            that was computed before; else None.
    """

    lengths: Tensor
    types: Tensor | None
    texts: Tensor
    words: Tensor | None
    between: Tensor
    states: Tensor | None = None

    def to(self, device: torch.device | str) -> "Windows":
        given = (self.types, self.words, self.states)
        types, words, states = (None if own is None else moved(own, device) for own in given)
        texts, between = moved(self.texts, device), moved(self.between, device)
        return replace(self, types=types, texts=texts, words=words, between=between, states=states)


class SubwordTexts:
    """The texts of a split as pieces, in flat memory-mapped arrays.

    Args:
        texts: of each text the pieces of its windows, their types (or nothing), the windows' lengths, of each word
            the place of its first piece, -1 where there is none, and of a pair the word between the texts.
        words: states of words are wanted, not of pieces.

    Attributes:
        ids: (pieces of all texts,).
        lengths: (texts,), words of each text, or pieces.
        pieces: (texts,), pieces of all windows of each text.
        truncated: how many texts were cut.
        states: gives what the transformer's frozen layers make of some texts, (pieces of these texts, dim), in the
            place of which it is computed with every batch; None where it is not at hand.
    """

    def __init__(self, texts: Iterable[tuple[Sequence[int], ...]], *, words: bool):
        self.truncated = 0
        (
            (self.ids, self.pieces),
            (self._types, _),
            (self._windows, self._windows_of_text),
            (self._places, self._words),
            (between, pairs),
        ) = one_after_the_other(texts, 5)
        self._between = np.zeros(len(pairs), dtype=np.int64)  # (texts,)
        self._between[pairs > 0] = between
        counts = (self.pieces, self._windows_of_text, self._words)
        self._first_piece, self._first_window, self._first_word = (np.cumsum(own) - own for own in counts)  # (texts,)
        self._by_word = words
        self.lengths = self._words if words else self.pieces
        self.states: Callable[[np.ndarray], Tensor] | None = None

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, Windows]:
        """The pieces (windows, pieces) of some texts, padded with 0, and how the windows belong to the texts."""
        lengths = self._windows[ranges(self._first_window[rows], self._windows_of_text[rows])]  # (windows,)
        inside = np.arange(lengths.max()) < lengths[:, None]  # (windows, pieces)
        where = ranges(self._first_piece[rows], self.pieces[rows])

        def padded(numbers: np.ndarray) -> np.ndarray:
            values = np.zeros(inside.shape, dtype=np.int64)  # (windows, pieces)
            values[inside] = numbers[where]
            return values

        states = None
        if self.states is not None:
            found = self.states(rows)  # (pieces of all these texts, dim)
            states = found.new_zeros(*inside.shape, found.size(1))  # (windows, pieces, dim)
            states[torch.from_numpy(inside)] = found
        windows = Windows(
            lengths=torch.from_numpy(lengths.astype(np.int64)),
            types=torch.from_numpy(padded(self._types)) if len(self._types) else None,
            texts=torch.from_numpy(np.repeat(np.arange(len(rows)), self._windows_of_text[rows])),
            words=torch.from_numpy(self._words_of(rows, inside)) if self._by_word else None,
            between=torch.from_numpy(self._between[rows]),
            states=states,
        )
        return padded(self.ids), windows

    def digests(self) -> list[bytes]:
        """Of each text 16 bytes that are those of another one where the transformer reads the same of both."""
        ends, last = np.cumsum(self.pieces), np.cumsum(self._windows_of_text)
        found = []
        for start, end, first, behind in zip(self._first_piece, ends, self._first_window, last, strict=True):
            digest = hashlib.blake2b(self._windows[first:behind].tobytes(), digest_size=16)
            digest.update(self.ids[start:end].tobytes())
            digest.update(self._types[start:end].tobytes())
            found.append(digest.digest())
        return found

    def _words_of(self, rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """``Windows.words`` of some texts whose pieces are ``inside`` (windows, pieces)."""
        words, pieces = self._words[rows], self.pieces[rows]  # (batch,)
        places = self._places[ranges(self._first_word[rows], words)]  # in each text
        before = np.repeat(np.cumsum(pieces) - pieces, words)
        found = np.where(places < 0, -1, np.flatnonzero(inside)[np.maximum(places, 0) + before])
        padded = np.full((len(rows), words.max()), -1, dtype=np.int64)  # (batch, words)
        padded[np.arange(words.max()) < words[:, None]] = found
        return padded


class SubwordVocabulary:
    """What :class:`~graphmtl.data.vocabulary.Vocabulary` is to word embeddings: a transformer's tokenizer.

    Texts that come as text are read as they are and cut to ``--max-length`` pieces, those that the tokenizer adds
    included; of a pair the longer text is cut first. Where every word has a state of its own (tokens of a corpus, of
    tagging tasks, and of pairs in which answers are found), it is that of its first piece (Devlin et al., NAACL 2019,
    section 5.3), a word that has no piece (of zero-width characters, say) has 0, and nothing is cut off: longer texts
    are read in windows of ``--max-length`` pieces, a quarter of which stands in the next window too; a word counts
    where it has more pieces around it. Of a pair the first text stands in every window, unless it takes more than half
    of it, and has the states of the first one; the tokenizer's piece before the second text is a word, as ``<sep>`` is
    to word embeddings.

    Args:
        tokenizer: a fast tokenizer.
        config: the transformer's configuration.
        limit: how many pieces the transformer can read at once.
    """

    alphabet = None  # words are read by their pieces

    def __init__(self, *, tokenizer: Any, config: Any, limit: int):
        self.tokenizer, self.config, self.limit = tokenizer, config, limit
        self._words = Tokenizer("words")
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._typed = getattr(config, "type_vocab_size", 0) > 1  # embeddings for the first and second text of a pair

    @property
    def special_ids(self) -> list[int]:
        """The pieces that are no part of a text."""
        return self.tokenizer.all_special_ids

    @property
    def starts_with_cls(self) -> bool:
        """Whether the first piece of every text is one that stands for the whole text."""
        return self.tokenizer.cls_token_id in self._backend.encode("").ids[:1]

    def __len__(self) -> int:
        return len(self.tokenizer)

    def split(self, text: str | Sequence[str], text_pair: str | None = None) -> list[str]:
        """The words of a text that is to be tagged; a list of words is taken as it is."""
        return self._words.split(text, text_pair)

    def spans(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Where the words of each text stand that is to be tagged."""
        return self._words.all_spans(texts)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Pieces by their ids."""
        return self.tokenizer.convert_ids_to_tokens(ids)

    def encode_texts(self, texts: Iterable[tuple], options: ModelOptions, *, words: bool) -> SubwordTexts:
        """Texts (or pairs, or lists of tokens in a tuple) as pieces; with ``words`` every word has a place.

        Raises:
            InputError: ``--max-length`` leaves no room for a text.
        """
        size = min(options.max_length, self.limit)
        added = self.tokenizer.num_special_tokens_to_add(pair=True)
        if size < added + 2:
            raise InputError(
                f"--max-length {size}: the tokenizer adds {added} pieces of its own to a pair of texts; "
                f"{added + 2} or more are expected"
            )
        cut = 0

        def encoded() -> Iterator[tuple[Sequence[int], ...]]:
            nonlocal cut
            for encoding, text in self._read(texts, words):
                if words:
                    yield self._in_windows(encoding, [*map(len, text if isinstance(text, tuple) else (text,))], size)
                    continue
                kept: Any = range(len(encoding))
                if len(encoding) > size:
                    kept = _truncated(encoding.sequence_ids, size, options.truncate)
                    cut += 1
                ids, types = encoding.ids, encoding.type_ids if self._typed else []
                yield [ids[i] for i in kept], [types[i] for i in kept if types], [len(kept)], [], []

        found = SubwordTexts(encoded(), words=words)
        found.truncated = cut
        return found

    def _read(self, texts: Iterable[tuple], words: bool) -> Iterator[tuple[Any, Any]]:
        """The tokenizer's encoding of every text, and what it was given."""
        remaining = iter(texts)
        while some := list(islice(remaining, AT_ONCE)):
            if words:
                given: list[Any] = [self._as_words(*text) for text in some]
            else:
                given = [_as_text(*text) for text in some]
            yield from zip(self._backend.encode_batch(given, is_pretokenized=words), given, strict=True)

    def _as_words(self, text: str | Sequence[str], text_pair: str | None = None) -> Any:
        words = _spaced(self.split(text))
        return words if text_pair is None else (words, _spaced(self.split(text_pair)))

    def _in_windows(self, encoding: Any, words: Sequence[int], size: int) -> tuple[Sequence[int], ...]:
        """Pieces, types, windows' lengths and words' places of a text or pair, and of a pair the word between.

        Args:
            encoding: the tokenizer's.
            words: how many the text has, of a pair each of both.
            size: pieces of a window.
        """
        of_word = _words_of_pieces(encoding, words)
        content = _content(encoding.sequence_ids, size)
        before = range(content[0]) if content else range(len(encoding))
        after = range(content[-1] + 1, len(encoding)) if content else range(0)
        room = size - len(before) - len(after)
        overlap = room // 4
        first: dict[int, int] = {}  # of each word, counted from the first piece that is not in every window
        for c, i in enumerate(content):
            if of_word[i] is not None:
                first.setdefault(of_word[i], c)
        kept: list[int] = []
        lengths: list[int] = []
        best = dict.fromkeys(range(sum(words) + len(words) - 1), (-1, -1))  # how many pieces are around it, its place
        best |= {of_word[i]: (size, i) for i in reversed(before) if of_word[i] is not None}
        for start in range(0, max(len(content) - overlap, 1), room - overlap):
            end = min(start + room, len(content))
            for word, c in first.items():
                if start <= c < end:
                    best[word] = max(best[word], (min(c - start, end - 1 - c), len(kept) + len(before) + c - start))
            kept += [*before, *content[start:end], *after]
            lengths.append(len(before) + end - start + len(after))
        ids, types = encoding.ids, encoding.type_ids if self._typed else []
        places = [place for _, place in best.values()]
        return [ids[i] for i in kept], [types[i] for i in kept if types], lengths, places, words[:-1]

    def save(self, folder: Path | str) -> None:
        """Writes the tokenizer's files and the transformer's ``config.json``."""
        self.tokenizer.save_pretrained(folder)
        self.config.save_pretrained(folder)

    def __repr__(self) -> str:
        return f"SubwordVocabulary({len(self)} pieces, {self.config.model_type})"


def _as_text(text: str | Sequence[str], text_pair: str | None = None) -> str | tuple[str, str]:
    text = text if isinstance(text, str) else " ".join(text)
    return text if text_pair is None else (text, text_pair)


def _spaced(words: Sequence[str]) -> list[str]:
    """Words with the spaces of a text: the pieces of some tokenizers (byte-level BPE) begin with the space."""
    return [f" {word}" if i else word for i, word in enumerate(words)]


def _words_of_pieces(encoding: Any, words: Sequence[int]) -> list[Any]:
    """The word that each piece is of, counted over a pair with one between its texts; None of other pieces."""
    starts = (0, words[0] + 1)
    sequences = encoding.sequence_ids
    found = [None if k is None else starts[k] + i for k, i in zip(sequences, encoding.word_ids, strict=True)]
    if len(words) == 2:
        second = sequences.index(1) if 1 in sequences else len(sequences)
        if second and sequences[second - 1] is None:
            found[second - 1] = words[0]
    return found


def _content(sequences: Sequence[int | None], size: int) -> Sequence[int]:
    """The pieces that windows are cut of, given to which text each belongs; the others stand in every window."""
    own = [i for i, sequence in enumerate(sequences) if sequence is not None]
    if 1 not in sequences:
        return own
    second = sequences.index(1)
    if second + len(sequences) - own[-1] - 1 <= size // 2:
        return range(second, own[-1] + 1)
    return range(own[0], own[-1] + 1)


def _truncated(sequences: Sequence[int | None], size: int, end: str) -> list[int]:
    """Which ``size`` pieces are kept, given to which text (0, of a pair 1, or None) each belongs: all of None.

    >>> _truncated([None, 0, 0, 0, 0, None, 1, None], 6, "head")
    [0, 1, 2, 5, 6, 7]
    """
    kept = [i for i, sequence in enumerate(sequences) if sequence is None]
    first, second = ([i for i, sequence in enumerate(sequences) if sequence == k] for k in (0, 1))
    room = size - len(kept)
    share = share_of_first(len(first), len(second), room)
    return sorted([*kept, *truncate(first, share, end), *truncate(second, room - share, end)])
