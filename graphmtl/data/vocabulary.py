"""Words: the vocabulary."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from graphmtl.data.spelling import Alphabet
from graphmtl.data.tokenizer import AT_ONCE, PAD, SEP, SPECIAL, UNK, Span, Tokenizer, tokenize
from graphmtl.errors import InputError, note

__all__ = [
    "PAD",
    "SEP",
    "UNK",
    "Vocabulary",
    "count_words",
    "share_of_first",
    "tokenize",
    "truncate",
    "truncate_pair",
]
_TOKENIZER = "tokenizer.json"
_ESCAPED = " escaped"  # ends the first line of a file in whose words line feeds and backslashes are escaped


def truncate(ids: list[int], max_length: int, end: str) -> list[int]:
    """At most ``max_length`` tokens: the head, the tail, or half of both.

    >>> truncate([1, 2, 3, 4, 5, 6], 3, "both")
    [1, 2, 6]
    """
    if len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "both": (max_length + 1) // 2}[end]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


def truncate_pair(ids: list[int], max_length: int, end: str) -> list[int]:
    """At most ``max_length`` tokens of a pair, of whose texts the longer one is cut first.

    >>> truncate_pair([4, 5, 6, 7, SEP, 8, 9], 5, "head")
    [4, 5, 2, 8, 9]
    """
    if len(ids) <= max_length:
        return ids
    first, second = ids[: ids.index(SEP)], ids[ids.index(SEP) + 1 :]
    share = share_of_first(len(first), len(second), max_length - 1)
    return [*truncate(first, share, end), SEP, *truncate(second, max_length - 1 - share, end)]


class CutTexts:
    """Texts one after the other, each cut to at most some tokens.

    Args:
        texts: the ids of each.
        cut: `truncate`, or `truncate_pair`.
        max_length: how many tokens are kept.
        end: which.

    Attributes:
        truncated: how many of those that were read so far have been cut.
    """

    def __init__(
        self, texts: Iterable[list[int]], cut: Callable[[list[int], int, str], list[int]], max_length: int, end: str
    ):
        self.truncated = 0
        self._texts, self._cut, self._max_length, self._end = texts, cut, max_length, end

    def __iter__(self) -> Iterator[list[int]]:
        for ids in self._texts:
            self.truncated += len(ids) > self._max_length
            yield self._cut(ids, self._max_length, self._end)


def share_of_first(first: int, second: int, room: int) -> int:
    """How many of ``room`` places the first of two texts gets that are too long for it; the longer one gives way."""
    return min(first, max(room - second, (room + 1) // 2))


class Vocabulary:
    """The words that have an embedding, in index order: ``<pad>``, ``<unk>``, ``<sep>``, then the rest.

    Args:
        words: all words, the three special ones first. None of these is the word of a text that is written so.
        lower_case: texts are lower-cased before their words are looked up; said by ``tokenizer`` where one is given.
        counts: how often each word occurs in the training texts; empty when the vocabulary was loaded.
        tokenizer: cuts texts into words, and makes the form of a word that is looked up.

    Attributes:
        alphabet: where the characters of words are read too, those that have an embedding.

    >>> vocabulary = Vocabulary.build(["a good film", "a bad film"])
    >>> vocabulary.encode("A film noir"), vocabulary.encode("")
    ([3, 4, 1], [1])
    """

    special_ids = (PAD, UNK, SEP)  #: those that are no words of a text

    def __init__(
        self,
        words: Sequence[str],
        *,
        lower_case: bool = True,
        counts: Mapping[str, int] | None = None,
        tokenizer: Tokenizer | None = None,
    ):
        if tuple(words[:3]) != SPECIAL:
            raise ValueError(f"a vocabulary starts with {', '.join(SPECIAL)}, not with {', '.join(words[:3])}")
        self.words = list(words)
        self.tokenizer = Tokenizer(lower_case=lower_case) if tokenizer is None else tokenizer
        self.lower_case = self.tokenizer.lower_case
        self.counts = dict(counts or {})
        self.alphabet: Alphabet | None = None
        self._index = {word: i for i, word in enumerate(self.words)}
        if len(self._index) != len(self.words):
            raise ValueError("a word stands twice in the vocabulary")
        self._known: dict[str, list[int]] = {}
        self._encoder = self.tokenizer.encoder(self.words)

    @classmethod
    def build(
        cls,
        texts: Iterable[str | Sequence[str]],
        *,
        min_count: int = 1,
        lower_case: bool = True,
        extra_words: Iterable[str] = (),
        tokenizer: Tokenizer | None = None,
    ) -> "Vocabulary":
        """The words of the training texts that occur ``min_count`` times or more, most frequent first.

        A text may be a list of words, which is taken as it is. ``extra_words`` (words of held-out texts that have a
        pre-trained vector, say) follow in the order given.
        """
        tokenizer = Tokenizer(lower_case=lower_case) if tokenizer is None else tokenizer
        counts = count_words(texts, tokenizer)
        return cls.of_counts(counts, min_count=min_count, extra_words=extra_words, tokenizer=tokenizer)

    @classmethod
    def of_counts(
        cls, counts: Mapping[str, int], *, min_count: int, extra_words: Iterable[str], tokenizer: Tokenizer
    ) -> "Vocabulary":
        """The same, for words that are counted."""
        frequent = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        words = dict.fromkeys([*SPECIAL, *frequent, *extra_words])
        return cls(list(words), counts=counts, tokenizer=tokenizer)

    def extended(self, words: Iterable[str]) -> "Vocabulary":
        """A vocabulary that knows more words, behind those of this one; characters and shapes stay the same."""
        vocabulary = Vocabulary(
            list(dict.fromkeys([*self.words, *words])), counts=self.counts, tokenizer=self.tokenizer
        )
        vocabulary.alphabet = self.alphabet
        return vocabulary

    def split(self, text: str | Sequence[str], text_pair: str | None = None) -> list[str]:
        """The words of a text, or of a pair with ``<sep>`` between, as they are written; a list is taken as it is."""
        return self.tokenizer.split(text, text_pair)

    def spans(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Where the words of each text stand."""
        return self.tokenizer.all_spans(texts)

    def index(self, word: str) -> int:
        """The index of a word as it is written; that of ``<unk>`` if it has none of its own."""
        return self._place(word if self.tokenizer.has_pieces else self.tokenizer.normalise(word))

    def _place(self, form: str) -> int:
        place = self._index.get(form, UNK)
        return place if place > SEP else UNK

    def encode(self, text: str | Sequence[str], text_pair: str | None = None) -> list[int]:
        """The indices of the words of a text, or of a pair with ``<sep>`` between; an empty text is one ``<unk>``.

        A text may be a list of words, which is taken as it is.
        """
        return next(self.encode_texts([(text,) if text_pair is None else (text, text_pair)]))

    def encode_texts(self, texts: Iterable[tuple]) -> Iterator[list[int]]:
        """The indices of every text (or pair, or list of words in a tuple), as :meth:`encode` gives them."""
        for first, *second in _parts(texts, self._ids, lambda words: [*map(self.index, words)]):
            yield [*first, SEP, *second[0]] if second else first

    def split_texts(self, texts: Iterable[tuple]) -> Iterator[list[list[str]]]:
        """The words of every text (or list of words in a tuple) as they are written, of a pair those of both."""
        return _parts(texts, self.tokenizer.all_tokens, list)

    def _ids(self, texts: Iterable[str]) -> Iterator[list[int]]:
        return (ids or [UNK] for ids in self.tokenizer.places(texts, self._place, self._known))

    def digest(self) -> str:
        """SHA-256 of all that says which numbers a text has."""
        content = "\n".join([self._encoder.to_str(), *self.words])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words, lower_case={self.lower_case})"

    def save(self, path: Path | str, tokenizer: Path | str | None = None) -> None:
        """Writes one word a line, and the rules that cut texts into words.

        The first line says ``lower_case true`` or not. Where a word holds a line feed it says ``escaped`` too: a line
        feed is then written as a backslash and an n, and a backslash as two. ``tokenizers.Tokenizer``, read from the
        rules, gives the indices of the words of a text or a pair, those of :meth:`encode`; with a tokenizer that has
        pieces it gives the pieces, which are to be looked up.

        Args:
            path: of the words.
            tokenizer: of the rules; ``tokenizer.json`` beside the words by default.
        """
        head, words = f"lower_case {str(self.lower_case).lower()}", self.words
        if any("\n" in word for word in words):
            head, words = head + _ESCAPED, [word.replace("\\", r"\\").replace("\n", r"\n") for word in words]
        Path(path).write_text("".join(f"{line}\n" for line in (head, *words)), encoding="utf-8", newline="\n")
        rules = Path(path).with_name(_TOKENIZER) if tokenizer is None else Path(tokenizer)
        rules.write_text(self._encoder.to_str(pretty=True) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Reads what `save` wrote. What was saved by earlier versions, which had no ``tokenizer.json``, is read too.

        Raises:
            InputError: a file is missing or is not what it should be, or the two do not hold the same words.
        """
        try:
            with open(path, encoding="utf-8", newline="\n") as file:
                head, *words = file.read().removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the vocabulary ({error})") from None
        if head.endswith(_ESCAPED):
            head = head.removesuffix(_ESCAPED)
            words = [re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], word) for word in words]
        if head not in ("lower_case true", "lower_case false"):
            raise InputError(f"{path}, line 1: 'lower_case true' or 'lower_case false' expected, found {head[:60]!r}")
        lower_case, rules = head.endswith("true"), Path(path).with_name(_TOKENIZER)
        tokenizer = Tokenizer(str(rules)) if rules.is_file() else Tokenizer(lower_case=lower_case)
        try:
            vocabulary = cls(words, tokenizer=tokenizer)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        if not rules.is_file():
            note(
                f"{path}: no {_TOKENIZER} beside it; the model was trained by an earlier version, which cut some texts "
                "into other words: train it again if they are not English"
            )
        if not tokenizer.has_pieces and rules.is_file() and tokenizer.words != vocabulary._encoder.get_vocab():
            raise InputError(f"{rules}: other words than in {path}")
        return vocabulary


def count_words(texts: Iterable[str | Sequence[str]], tokenizer: Tokenizer) -> Counter[str]:
    """How often each word of some texts occurs; a text may be a list of words."""
    written: Counter[str] = Counter()
    counts = tokenizer.counted(_texts(texts, written))
    for word, count in written.items():
        counts[tokenizer.normalise(word)] += count
    for word in SPECIAL:
        counts.pop(word, None)
    return counts


def _parts(texts: Iterable[tuple], of_texts: Callable, of_words: Callable) -> Iterator[list]:
    """What is made of each text, or of both of a pair; many texts are read at once, lists of words one by one."""
    remaining = iter(texts)
    while some := list(islice(remaining, AT_ONCE)):
        found = of_texts(part for text in some for part in text if isinstance(part, str))
        for text in some:
            yield [next(found) if isinstance(part, str) else of_words(part) for part in text if part is not None]


def _texts(texts: Iterable[str | Sequence[str]], words: Counter[str]) -> Iterator[str]:
    """The texts among some; the words of lists are counted instead."""
    for text in texts:
        if isinstance(text, str):
            yield text
        else:
            words.update(text)
