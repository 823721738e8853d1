"""How texts are cut into tokens: one tokenizer for all languages, with the place of every token in its text.

The rules are those of a ``tokenizers.Tokenizer``: a normalizer makes the form that is looked up, and a regular
expression is scanned over it from left to right. They are saved as ``tokenizer.json``, which any program reads that has
that library.

``words`` are the words of Unicode Standard Annex 29 (section 4.1), which allows tailoring. Kept from it are letters
with their marks and the joiners between them, digits, runs of Katakana, and a word with an apostrophe, colon or full
stop inside; a script that is written without spaces gives a token for each extended grapheme cluster (section 3.1), and
so does an emoji with whatever selects, colours or joins it. Tailored after the Penn Treebank, as which most English
corpora and word vectors are cut: clitics are tokens (``do n't``); words with a hyphen, slash, @, & or plus, numbers
with their sign, abbreviations, emoticons, addresses of the web, and runs of ``.`` ``-`` ``*`` ``'`` and such are one.

The scan is linear in the length of the text: every alternative either takes what it has looked at or looks at a few
characters only. A token is a token when it stands alone too, so that tokenized text stays as it is.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors

from graphmtl.errors import InputError, unknown_name

__all__ = ["AT_ONCE", "KINDS", "PAD", "SEP", "SPECIAL", "UNK", "Span", "Tokenizer", "tokenize"]

PAD, UNK, SEP = 0, 1, 2
SPECIAL = ("<pad>", "<unk>", "<sep>")

Span = tuple[int, int]
"""Where a token stands: its first character, and the one behind its last."""

_SPACE = r"\s\x1C-\x1F\u200B"  # inside [ ]: what str.split() takes for white space, and the space without width
# inside [ ]: what belongs to the character before it (Grapheme_Extend, SpacingMark, tags) or holds a word together
_EXTEND = r"\p{M}\p{Emoji_Modifier}\u200C\u200D\u00AD\u2060\u0E33\u0EB3\uFF9E\uFF9F\x{E0020}-\x{E007F}"
_LINKER = r"\u094D\u09CD\u0ACD\u0B4D\u0C4D\u0D4D\u1039\u17D2\u1A60\u1B44\uA9C0"  # Indic_Conjunct_Break=Linker
# \X of Oniguruma is not taken: it counts flags back to the first one, and takes the space behind some characters
_CLUSTER = rf"""
(?: \p{{Regional_Indicator}}{{2}} [{_EXTEND}]*+                     # a flag
  | [\u1100-\u115F\uA960-\uA97C]++ [\u1160-\u11A7\uD7B0-\uD7C6]*+ [\u11A8-\u11FF\uD7CB-\uD7FB]*+ [{_EXTEND}]*+  # jamo
  | \p{{Extended_Pictographic}} [{_EXTEND}]*+ (?: (?<=\u200D) \p{{Extended_Pictographic}} [{_EXTEND}]*+ )*+
  | [^{_SPACE}] [{_EXTEND}]*+ (?: (?<=[{_LINKER}]|[{_LINKER}]\u200D) \p{{L}} [{_EXTEND}]*+ )*+
)"""
_KATAKANA = r"\p{Katakana}\u3031-\u3035\u309B\u309C\u30A0\u30FC\uFF70"
_UNSPACED = (  # scripts whose words are not divided by spaces
    r"\p{Ideographic}\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}"
    r"\p{Tai_Viet}\p{Ahom}\p{Javanese}\p{Balinese}"
)
_LETTER = rf"[[\p{{L}}\p{{Nl}}]&&[^{_UNSPACED}{_KATAKANA}\uFF9E\uFF9F]]\p{{Nd}}\p{{No}}_"  # inside [ ]
_JOINER = (
    rf"(?: [-.:/@&'`\u00B4\u00B7\u2010\u2011\u2027\u0387\u055F\u05F4] | \+{{1,2}}"
    rf"| (?<=\p{{Nd}}) [,\u066C\uFF0C] (?=\p{{Nd}}) | (?<=\p{{Hebrew}}) \" (?=\p{{Hebrew}}) )"
    rf"(?=[{_LETTER}]) (?!(?i:n't))"
)
_MORE = rf"(?: [{_LETTER}{_EXTEND}] | {_JOINER} )"  # the word goes on
_SUFFIX = r"(?: n't | '(?: s|m|d|ll|re|ve ) )"
_CLITIC = rf"(?i: {_SUFFIX} ) (?: (?!{_MORE}) | (?=(?i: {_SUFFIX} )) )"
_WORDS = rf"""(?x)
  [0-9\#*] \uFE0F? \u20E3                                           # a keycap
| -(?i: [lr][rsc]b )-                                               # a bracket of the Penn Treebank
| \.{{2,}}+ | -{{2,}}+ | \*{{2,}}+ | ={{2,}}+ | ~{{2,}}+ | `{{2,}}+ | '{{2,}}+
| [:;=] [-']? (?i: [()dp] ) (?![{_LETTER}{_EXTEND}])                # an emoticon
| {_CLITIC}
| '(?i: em|n|til|tis|twas|cause ) (?!{_MORE})
| (?i: mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|inc|ltd|co|corp|dept|approx|no|vol|ft|oz|lb|lbs )\. (?!\.|{_MORE})
| (?! (?i:i)\. (?!{_MORE}) ) (?: \p{{L}}\. )+ \p{{L}}? \.? (?!\.|{_MORE})   # u.s., i.e, j.
| (?i: https?|ftp ):// [^{_SPACE}\"<>]* [{_LETTER}/] [{_EXTEND}]*+
| [{_KATAKANA}] [{_KATAKANA}{_EXTEND}_]*+
| (?: [-+]? \.? (?=\p{{Nd}}) | [+&] )? [{_LETTER}]                  # a word, up to a clitic: -5, .5, &c
  (?: [{_LETTER}{_EXTEND}&&[^nN]]++ | (?!{_CLITIC}) (?: [nN] | {_JOINER} ) )*+
  (?: (?: \+++ | [/\#] ) (?!{_MORE}) )?                             # C++, C#, w/
| {_CLUSTER}"""

_RULES = {"words": _WORDS, "characters": f"(?x){_CLUSTER}", "spaces": r"[^\s\x1C-\x1F]+"}
KINDS = tuple(_RULES)  #: the tokenizers that have a name; any other name is that of a tokenizer.json
_STRAIGHT = {"\u2018": "'", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2026": "..."}
_FINAL_SIGMA = Regex(rf"(?<=[{_LETTER}{_EXTEND}])\u03C3(?![{_LETTER}{_EXTEND}])")  # \u03A3 has two lower cases
_SURROGATE = re.compile("[\ud800-\udfff]")
_REMEMBERED, _MOST = 40, 1 << 18  # characters of what is cut once, and how many such there may be
AT_ONCE = 1024  #: texts that are cut at once


class Tokenizer:
    """Cuts texts into tokens. A token is a part of its text, as it is written there; looked up is its normalised form.

    Args:
        kind: ``words`` (the top of this file), ``characters`` (extended grapheme clusters, white space left out),
            ``spaces`` (what white space divides), or the path of a ``tokenizer.json``.
        lower_case: the form is lower-cased too; a ``tokenizer.json`` says that itself.

    The form is in NFC, for ``words`` with straight quotes for curly ones. Of a ``tokenizer.json`` with a vocabulary of
    words the rules are taken; any other model (BPE, WordPiece, Unigram) cuts words into its pieces.

    Attributes:
        has_pieces: the tokens are pieces of words.

    Raises:
        InputError: there is no such kind, and no such file, or the file is damaged.

    >>> tokenizer = Tokenizer("words")
    >>> tokenizer.tokens("\u201cIt\u2019s me\u201d"), tokenizer.spans("It's me")
    (['\u201c', 'It', '\u2019s', 'me', '\u201d'], [(0, 2), (2, 4), (5, 7)])
    >>> next(tokenizer.forms(["\u201cIt\u2019s me\u201d"]))
    ['``', 'it', "'s", 'me', "''"]
    """

    def __init__(self, kind: str = "words", *, lower_case: bool = True):
        self.kind = kind
        self._backend = _read(kind) if kind not in _RULES else _built(kind, lower_case)
        self.has_pieces = not isinstance(self._backend.model, models.WordLevel)
        self._unknown = _unknown_piece(self._backend) if self.has_pieces else None
        self._forms: dict[str, str] = {}  # of words
        self._parts: dict[str, list[str]] = {}  # of what stands between white space

    @property
    def lower_case(self) -> bool:
        """Whether case plays no part."""
        return self.normalise("Aa") == "aa"

    @property
    def words(self) -> dict[str, int]:
        """The words of a ``tokenizer.json`` with their places."""
        return self._backend.get_vocab()

    def normalise(self, word: str) -> str:
        """The form under which a word is looked up."""
        form = self._forms.get(word)
        if form is None:
            normalizer = self._backend.normalizer
            form = normalizer.normalize_str(_without_surrogates(word)) if normalizer else word
            if len(word) < _REMEMBERED and len(self._forms) < _MOST:
                self._forms[word] = form
        return form

    def spans(self, text: str) -> list[Span]:
        """Where the tokens of a text stand; see :meth:`all_spans`."""
        return next(self.all_spans([text]))

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, as they are written."""
        return [text[start:end] for start, end in self.spans(text)]

    def split(self, text: str | Sequence[str], text_pair: str | None = None) -> list[str]:
        """The tokens of a text, of a pair with ``<sep>`` between; a list stays as it is; a blank text is ``<unk>``."""
        if not isinstance(text, str):
            return list(text)
        if text_pair is not None:
            return [*self.split(text), SPECIAL[SEP], *self.split(text_pair)]
        return self.tokens(text) or [SPECIAL[UNK]]

    def all_tokens(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, as they are written; those of a blank one are ``<unk>``."""
        for text, spans in self._cut(texts):
            yield [text[start:end] for start, end in spans] or [SPECIAL[UNK]]

    def all_spans(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Where the tokens of each text stand.

        A text that is not blank but in which there is no token is one itself.
        """
        return (spans for _, spans in self._cut(texts))

    def _cut(self, texts: Iterable[str]) -> Iterator[tuple[str, list[Span]]]:
        for text, encoding in self._encoded(self._backend, texts):
            yield text, self._spans(text, encoding.offsets) or _whole(text)

    def _spans(self, text: str, offsets: list[Span]) -> list[Span]:
        if self.has_pieces:  # some of which begin with the space before them
            return [_stripped(text, start, end) for start, end in offsets]
        if text.isascii() or unicodedata.is_normalized("NFC", text):
            return offsets
        # the library counts what is composed as its first character: the others stand between two tokens
        starts = [*(start for start, _ in offsets[1:]), len(text)]
        return [(start, _end(text, end, following)) for (start, end), following in zip(offsets, starts, strict=True)]

    def forms(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The normalised tokens of each text; of pieces the unknown one is ``<unk>``."""
        if self.has_pieces:
            for _, encoding in self._encoded(self._backend, texts):
                ids = zip(encoding.tokens, encoding.ids, strict=True)
                yield [SPECIAL[UNK] if i == self._unknown else token for token, i in ids]
            return
        if self.kind not in _RULES:
            yield from map(self._forms_of, texts)
            return
        for text in texts:  # no token goes over white space, and most words come again
            yield [form for part in text.split() for form in self._parts.get(part) or self._remembered(part)]

    def counted(self, texts: Iterable[str]) -> Counter[str]:
        """How often each of :meth:`forms` stands in the texts."""
        counts: Counter[str] = Counter()
        if self.kind not in _RULES:
            for forms in self.forms(texts):
                counts.update(forms)
            return counts
        remaining, parts = iter(texts), Counter[str]()
        while some := list(islice(remaining, AT_ONCE)):
            parts.update(chain.from_iterable(map(str.split, some)))
            if len(parts) > _MOST:
                self._count(parts, counts)
        self._count(parts, counts)
        return counts

    def _count(self, parts: Counter[str], counts: Counter[str]) -> None:
        """Counts the forms of what stands between white space, of which each is looked up once."""
        for part, count in parts.items():
            for form in self._parts.get(part) or self._remembered(part):
                counts[form] += count
        parts.clear()

    def _forms_of(self, text: str) -> list[str]:
        normalizer, cutter = self._backend.normalizer, self._backend.pre_tokenizer
        form = normalizer.normalize_str(_without_surrogates(text)) if normalizer else text
        return [token for token, _ in cutter.pre_tokenize_str(form)] if cutter else [form]

    def _remembered(self, part: str) -> list[str]:
        found = self._forms_of(part)
        if len(part) < _REMEMBERED and len(self._parts) < _MOST:
            self._parts[part] = found
        return found

    def encoder(self, words: Sequence[str]) -> tokenizers.Tokenizer:
        """A tokenizer that gives the places of tokens among ``words``, of pairs with ``<sep>`` between.

        Of a tokenizer with pieces it is that tokenizer itself, whose numbers are its own.
        """
        if self.has_pieces:
            return self._backend
        known = {word: i for i, word in enumerate(words) if i not in (PAD, SEP)}  # no text holds these two
        encoder = tokenizers.Tokenizer(models.WordLevel(known, unk_token=SPECIAL[UNK]))
        if self._backend.normalizer is not None:
            encoder.normalizer = self._backend.normalizer
        if self._backend.pre_tokenizer is not None:
            encoder.pre_tokenizer = self._backend.pre_tokenizer
        encoder.post_processor = processors.TemplateProcessing(
            single="$A", pair=f"$A {SPECIAL[SEP]} $B:1", special_tokens=[(SPECIAL[SEP], SEP)]
        )
        return encoder

    def places(
        self, texts: Iterable[str], place: Callable[[str], int], known: dict[str, list[int]]
    ) -> Iterator[list[int]]:
        """The number that ``place`` has for each of :meth:`forms`.

        Args:
            texts: the texts.
            place: the number of a form.
            known: what was found, empty at first: the numbers of what stands between white space.
        """
        if self.kind not in _RULES:
            yield from ([*map(place, forms)] for forms in self.forms(texts))
            return

        def look_up(part: str) -> list[int]:
            found = [*map(place, self._parts.get(part) or self._remembered(part))]
            if len(part) < _REMEMBERED and len(known) < _MOST:
                known[part] = found
            return found

        for text in texts:
            yield [number for part in text.split() for number in known.get(part) or look_up(part)]

    def _encoded(self, backend: tokenizers.Tokenizer, texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
        remaining = iter(texts)
        while some := list(islice(remaining, AT_ONCE)):
            try:
                encodings = backend.encode_batch(some, add_special_tokens=False)
            except TypeError:  # half a surrogate pair is no character; JSON may hold some
                readable = [_without_surrogates(text) for text in some]
                encodings = backend.encode_batch(readable, add_special_tokens=False)
            yield from zip(some, encodings, strict=True)

    def digest(self) -> str:
        """SHA-256 of what :meth:`__eq__` compares."""
        return sha256(json.dumps(self._rules(), sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether the same texts are cut in the same way."""
        return isinstance(other, Tokenizer) and self._rules() == other._rules()

    __hash__ = None  # type: ignore[assignment]

    def _rules(self) -> dict:
        rules = json.loads(self._backend.to_str())
        return {key: rules[key] for key in ("normalizer", "pre_tokenizer", "added_tokens")} | (
            {"model": rules["model"]} if self.has_pieces else {}
        )

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind!r}, lower_case={self.lower_case})"


def _built(kind: str, lower_case: bool) -> tokenizers.Tokenizer:
    """The rules of a kind, with a vocabulary that is empty."""
    steps: list[Any] = [normalizers.Lowercase()] if lower_case else []
    steps.append(normalizers.NFC())  # last, since \u0130 becomes two characters
    if kind == "words":
        steps += [normalizers.Replace(curly, straight) for curly, straight in _STRAIGHT.items()]
    if lower_case and kind != "characters":
        steps.append(normalizers.Replace(_FINAL_SIGMA, "\u03c2"))
    backend = tokenizers.Tokenizer(models.WordLevel({SPECIAL[UNK]: UNK}, unk_token=SPECIAL[UNK]))
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(_RULES[kind]), behavior="removed", invert=True)
    return backend


def _read(path: str) -> tokenizers.Tokenizer:
    """A ``tokenizer.json``, without what it cuts off and fills up."""
    if not Path(path).is_file():
        if Path(path).suffix == ".json":
            raise InputError(f"--tokenizer {path}: no such file")
        raise InputError(f"--tokenizer: {unknown_name('tokenizer', path, [*KINDS, 'the path of a tokenizer.json'])}")
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no tokenizer.json that the library tokenizers reads ({what})") from None
    backend.no_truncation()
    backend.no_padding()
    return backend


def _unknown_piece(backend: tokenizers.Tokenizer) -> int | None:
    """The number that a model of pieces gives to what it does not know, where there is one."""
    model = json.loads(backend.to_str())["model"]
    if "unk_id" in model:
        return model["unk_id"]
    return None if model.get("unk_token") is None else backend.token_to_id(model["unk_token"])


def _without_surrogates(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _whole(text: str) -> list[Span]:
    start, end = _stripped(text, 0, len(text))
    return [(start, end)] if start < end else []


def _stripped(text: str, start: int, end: int) -> Span:
    """A part of a text without the white space at its ends."""
    part = text[start:end]
    return end - len(part.lstrip()) if part.strip() else end, start + len(part.rstrip()) if part.strip() else end


def _end(text: str, end: int, following: int) -> int:
    """Where a token ends that was said to end at ``end``, given where the following one begins."""
    while end < following and not (text[end].isspace() or text[end] == "\u200b"):
        end += 1
    return end


@lru_cache(maxsize=1)
def _words() -> Tokenizer:
    return Tokenizer("words", lower_case=False)


def tokenize(text: str) -> list[str]:
    """The words of a text in the form that is looked up, but with their case; curly quotes become straight.

    Tokenized text stays as it is: ``tokenize(" ".join(tokenize(text))) == tokenize(text)``.

    >>> tokenize("Don't go (it's bad)... I've paid $2.50!")
    ['Do', "n't", 'go', '(', 'it', "'s", 'bad', ')', '...', 'I', "'ve", 'paid', '$', '2.50', '!']
    >>> tokenize("i do n't like the `` new '' one .")
    ['i', 'do', "n't", 'like', 'the', '``', 'new', "''", 'one', '.']
    """
    return next(_words().forms([text]))
