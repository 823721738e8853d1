"""Words: the tokenizer and the vocabulary."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from graphmtl.data.spelling import Alphabet
from graphmtl.errors import InputError

__all__ = [
    "PAD",
    "SEP",
    "UNK",
    "Vocabulary",
    "split",
    "tokenize",
    "truncate",
]

PAD, UNK, SEP = 0, 1, 2
_SPECIAL = ("<pad>", "<unk>", "<sep>")

# One rule splits one piece in two; the parts are split again until no rule applies. So every token is left alone when
# it is read a second time, whatever the rules are: tokenizing tokenized text changes nothing.
_STRAIGHT = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2026": "..."})
_CLITIC = r"(?:n't|'(?:s|m|d|ll|re|ve))"
_WHOLE = re.compile(
    rf"{_CLITIC}|'(?:em|n|til|tis|twas|cause)|-[lr][rsc]b-|<(?:pad|unk|sep)>"  # clitics, brackets of the Penn Treebank
    r"|(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|inc|ltd|co|corp|dept|approx|no|vol|ft|oz|lb|lbs)\."
    r"|(?:[^\W\d_]\.)+[^\W\d_]?\.?(?<!\bi\.)"  # u.s., i.e, j.
    r"|([.\-*_=~`'])\1+|\W|[:;=][-']?[()dp]",
    re.IGNORECASE,
)
_RULES = [
    re.compile(rule, re.IGNORECASE)
    for rule in (
        r"(\.\.+|--+|\*+|``|'')(.+)",  # ``great
        r"([^\w.\-+&]|[.\-](?=[^\W\d]))(.+)",  # (great, .the, -the, but .5 and -5 stay
        r"(.+?)(\.\.+|--+|\*+|``|'')",  # great...
        r"(.+)([^\w.+&'/]|(?<!\.)\.)",  # great!, great.
        rf"(.+)({_CLITIC})",  # do n't, it 's
        r"(.+)(')",  # boys '
        r"(.+?)((?:\.\.+|--+|[!?;()\[\]{}\"]|``|'').+)",  # good...but, good(but
        r"(.*[^\W\d_])(,.+)",  # good,but; 1,000 stays
    )
]


@lru_cache(maxsize=1 << 17)
def _split(piece: str) -> tuple[str, ...]:
    """The tokens of a piece of text that holds no white space."""
    tokens, parts = [], [piece]
    while parts:
        part = parts.pop()
        match = None if part.isalnum() or _WHOLE.fullmatch(part) else _first_match(part)
        if match is None:
            tokens.append(part)
        else:
            parts += match.group(2, 1)
    return tuple(tokens)


def _first_match(part: str) -> re.Match[str] | None:
    return next((match for rule in _RULES if (match := rule.fullmatch(part))), None)


def tokenize(text: str) -> list[str]:
    """Words and punctuation, split as in the Penn Treebank; case is kept, curly quotes become straight.

    Tokenized text stays as it is: ``tokenize(" ".join(tokenize(text))) == tokenize(text)``.

    >>> tokenize("Don't go (it's bad)... I've paid $2.50!")
    ['Do', "n't", 'go', '(', 'it', "'s", 'bad', ')', '...', 'I', "'ve", 'paid', '$', '2.50', '!']
    >>> tokenize("i do n't like the `` new '' one .")
    ['i', 'do', "n't", 'like', 'the', '``', 'new', "''", 'one', '.']
    """
    return [token for piece in text.translate(_STRAIGHT).split() for token in _split(piece)]


def split(text: str | Sequence[str], text_pair: str | None = None) -> list[str]:
    """The words of a text, or of a pair with ``<sep>`` between, as they are written; a list is taken as it is."""
    if not isinstance(text, str):
        return list(text)
    if text_pair is not None:
        return [*split(text), _SPECIAL[SEP], *split(text_pair)]
    return tokenize(text) or [_SPECIAL[UNK]]


def truncate(ids: list[int], max_length: int, end: str) -> list[int]:
    """At most ``max_length`` tokens: the head, the tail, or half of both.

    >>> truncate([1, 2, 3, 4, 5, 6], 3, "both")
    [1, 2, 6]
    """
    if len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "both": (max_length + 1) // 2}[end]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


class Vocabulary:
    """The words that have an embedding, in index order: ``<pad>``, ``<unk>``, ``<sep>``, then the rest.

    Args:
        words: all words, the three special ones first.
        lower_case: texts are lower-cased before their words are looked up.
        counts: how often each word occurs in the training texts; empty when the vocabulary was loaded.

    Attributes:
        alphabet: where the characters of words are read too, those that have an embedding.

    >>> vocabulary = Vocabulary.build(["a good film", "a bad film"])
    >>> vocabulary.encode("A film noir"), vocabulary.encode("")
    ([3, 4, 1], [1])
    """

    def __init__(self, words: Sequence[str], *, lower_case: bool = True, counts: Mapping[str, int] | None = None):
        if tuple(words[:3]) != _SPECIAL:
            raise ValueError(f"a vocabulary starts with {', '.join(_SPECIAL)}, not with {', '.join(words[:3])}")
        self.words = list(words)
        self.lower_case = lower_case
        self.counts = dict(counts or {})
        self.alphabet: Alphabet | None = None
        self._index = {word: i for i, word in enumerate(self.words)}
        if len(self._index) != len(self.words):
            raise ValueError("a word stands twice in the vocabulary")

    @classmethod
    def build(
        cls,
        texts: Iterable[str | Sequence[str]],
        *,
        min_count: int = 1,
        lower_case: bool = True,
        extra_words: Iterable[str] = (),
    ) -> "Vocabulary":
        """The words of the training texts that occur ``min_count`` times or more, most frequent first.

        A text may be a list of words, which is taken as it is. ``extra_words`` (words of held-out texts that have a
        pre-trained vector, say) follow in the order given.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            if isinstance(text, str):
                counts.update(tokenize(text.lower() if lower_case else text))
            else:
                counts.update(word.lower() if lower_case else word for word in text)
        for word in _SPECIAL:
            counts.pop(word, None)
        frequent = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        words = dict.fromkeys([*_SPECIAL, *frequent, *extra_words])
        return cls(list(words), lower_case=lower_case, counts=counts)

    def extended(self, words: Iterable[str]) -> "Vocabulary":
        """A vocabulary that knows more words, behind those of this one; characters and shapes stay the same."""
        vocabulary = Vocabulary(
            list(dict.fromkeys([*self.words, *words])), lower_case=self.lower_case, counts=self.counts
        )
        vocabulary.alphabet = self.alphabet
        return vocabulary

    def split(self, text: str | Sequence[str], text_pair: str | None = None) -> list[str]:
        """The words of a text, or of a pair with ``<sep>`` between, as they are written."""
        return split(text, text_pair)

    def index(self, word: str) -> int:
        """The index of a word as it is written; that of ``<unk>`` if it has none of its own."""
        return self._index.get(word.lower() if self.lower_case else word, UNK)

    def encode(self, text: str | Sequence[str], text_pair: str | None = None) -> list[int]:
        """The indices of the words of a text, or of a pair with ``<sep>`` between; an empty text is one ``<unk>``.

        A text may be a list of words, which is taken as it is.
        """
        if not isinstance(text, str):
            return [self.index(word) for word in text]
        if text_pair is not None:
            return [*self.encode(text), SEP, *self.encode(text_pair)]
        words = tokenize(text.lower() if self.lower_case else text)
        return [self._index.get(word, UNK) for word in words] or [UNK]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words, lower_case={self.lower_case})"

    def save(self, path: Path | str) -> None:
        """Writes one word a line; the first line, the only one that holds a space, says ``lower_case true`` or not."""
        lines = [f"lower_case {str(self.lower_case).lower()}", *self.words]
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Reads what `save` wrote.

        Raises:
            InputError: the file is missing or is not a vocabulary.
        """
        try:
            with open(path, encoding="utf-8", newline="\n") as file:
                head, *words = file.read().removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the vocabulary ({error})") from None
        if head not in ("lower_case true", "lower_case false"):
            raise InputError(f"{path}, line 1: 'lower_case true' or 'lower_case false' expected, found {head[:60]!r}")
        try:
            return cls(words, lower_case=head.endswith("true"))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
