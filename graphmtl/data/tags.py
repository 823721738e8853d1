"""Tags of spans: their schemes, recognised from the tags themselves, and all of them as IOB2.

A tag of a span is ``PREFIX-TYPE``; ``O`` is outside. What the prefixes say in each scheme:

======  ======================================================================================================
IOB2    ``B`` begins a span, ``I`` continues it.
IOB1    ``I`` begins and continues a span; ``B`` begins one only directly after another one of the same type
        (Ramshaw and Marcus 1995; the published files of CoNLL-2003).
BIOES   as IOB2, and ``E`` ends a span of several tokens; ``S`` is a span of one token.
BILOU   the same with ``L`` for the last and ``U`` for the unit token.
BMES    the same as BIOES with ``M`` for the middle ones.
======  ======================================================================================================

Other spellings (``B_PER``, ``B:PER``, ``PER-B``, ``PER_I``, or ``B`` and ``I`` alone, whose type is then ``span``)
become that one where a layer leaves no doubt: see :func:`respelled`.

Any sequence of tags has spans, also one that its scheme does not allow. They are those of conlleval, the scorer of the
CoNLL shared tasks: a span begins at ``B`` and ``S``, and at any other tag that does not continue the span before it;
a span goes on only with its own type, and not past ``E`` and ``S``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = [
    "MISSING",
    "SCHEMES",
    "Span",
    "are_spans",
    "check",
    "in_doubt",
    "is_iob2",
    "recognise",
    "respelled",
    "sort_tags",
    "spans",
    "to_iob2",
]

MISSING = "_"
"""What stands in the place of a label that is not there."""
SCHEMES = {"iob1": "BI", "iob2": "BI", "bioes": "BIES", "bilou": "BILU", "bmes": "BMES"}
"""The prefixes of each scheme."""
_TAG = re.compile(r"([BIESLUM])-(.+)", re.DOTALL)
_BARE_TYPE = "span"  # of tags that have none
_SPELLINGS = [  # (prefix, type); the usual one is not among them
    *(re.compile(rf"(?P<prefix>[BIESLUM]){joint}(?P<type>.+)", re.DOTALL) for joint in "_:"),
    *(re.compile(rf"(?P<type>.+){joint}(?P<prefix>[BIESLUM])", re.DOTALL) for joint in "-_:"),
    re.compile(r"(?P<prefix>[BIESLUM])(?P<type>)"),
]
_LOOKS = re.compile(r"[biesl]([-_:/|.].+)?|.+[-_:/|.][bi]", re.DOTALL | re.IGNORECASE)
_INSIDE, _LAST, _SINGLE = "IM", "EL", "SU"  # the letters that say the same in several schemes

Span = tuple[str, int, int]
"""Type, first token and last token."""


def are_spans(tags: Iterable[str]) -> bool:
    """Whether the tags of a layer, each given once, are meant as tags of spans: more than half of them look like it.

    >>> are_spans({"O", "B-NP", "I-NP", "B_VP"}), are_spans({"NOUN", "VERB", "O"})
    (True, False)
    """
    looks = [bool(_TAG.fullmatch(tag)) for tag in tags if tag not in ("O", MISSING)]
    return sum(looks) > len(looks) / 2


def respelled(tags: Iterable[str]) -> dict[str, str]:
    """The tags of a layer that are spelled in another way than ``PREFIX-TYPE``, and how they are spelled in this way.

    Ordinary classes may look like some: ``PRON-S``, ``NN_B``, ``I``. So all tags of the layer must be spelled alike,
    the prefixes be those of one scheme, some type both begin (B) and go on (I, M, E, L), and O be there; without O, as
    in word segmentation, ``B`` and three others of a scheme stand alone.

    Args:
        tags: the tags, each given once.

    >>> respelled({"O", "B_PER", "I_PER", "B_LOC"}) == {"B_PER": "B-PER", "I_PER": "I-PER", "B_LOC": "B-LOC"}
    True
    >>> respelled({"B", "I", "O"}) == {"B": "B-span", "I": "I-span"}
    True
    >>> respelled({"O", "PRON-S", "NOUN-S"}), respelled({"B", "I", "V"}), respelled({"O", "B-PER", "I-PER"})
    ({}, {}, {})
    """
    tags = set(tags)
    inner = tags - {"O", MISSING}
    if all(map(_TAG.fullmatch, inner)):
        return {}
    for spelling in _SPELLINGS:
        matches = {tag: match for tag in inner if (match := spelling.fullmatch(tag))}
        if len(matches) == len(inner) and _can_be_spans(list(matches.values()), with_outside="O" in tags):
            return {tag: f"{match['prefix']}-{match['type'] or _BARE_TYPE}" for tag, match in matches.items()}
    return {}


def _can_be_spans(matches: Sequence[re.Match[str]], *, with_outside: bool) -> bool:
    prefixes: dict[str, set[str]] = {}
    for match in matches:
        prefixes.setdefault(match["type"], set()).add(match["prefix"])
    used = set().union(*prefixes.values())
    if not any(used <= set(letters) for letters in SCHEMES.values()):
        return False
    if not with_outside:
        return set(prefixes) == {""} and len(used) == 4
    return any("B" in own and own & set("IMEL") for own in prefixes.values())


def in_doubt(tags: Iterable[str]) -> list[str]:
    """Tags of a layer that look like tags of spans, in a layer that is none of spans; none where few look so.

    Args:
        tags: the tags, each given once.

    >>> in_doubt({"O", "b-per", "i-per", "B_LOC", "I-LOC"}), in_doubt({"N", "V", "I", "O"})
    (['B_LOC', 'I-LOC', 'b-per', 'i-per'], [])
    """
    inner = set(tags) - {"O", "o", MISSING}
    looks = sorted(tag for tag in inner if _LOOKS.fullmatch(tag))
    return looks if len(looks) > len(inner) / 2 and _both_sides(looks) else []


def _both_sides(looks: Sequence[str]) -> bool:
    """Whether some begin and some go on: B and I as the first or the last letter."""
    ends = {letter for tag in looks for letter in (tag[0].upper(), tag[-1].upper())}
    return {"B", "I"} <= ends


def is_iob2(tags: Iterable[str]) -> bool:
    """Whether the tags of a layer, each given once, are those of IOB2.

    >>> is_iob2(("O", "B-NP", "I-NP")), is_iob2(("O", "NOUN")), is_iob2(("O",))
    (True, False, False)
    """
    prefixes = {tag if tag == "O" else _prefix(tag) for tag in tags}
    return "B" in prefixes and prefixes <= {"O", "B", "I"}


def recognise(sentences: Iterable[Sequence[str]]) -> str:
    """The scheme of the tags of a corpus: the one that leaves the fewest tags outside it.

    Tags of ``B`` and ``I`` alone are IOB1 where a span begins with ``I`` and none begins with a ``B`` it could do
    without; they are IOB2 otherwise.
    """
    sentences = list(sentences)
    count = Counter(_prefix(tag) for tags in sentences for tag in tags)
    scheme = max(SCHEMES, key=lambda scheme: sum(count[prefix] for prefix in SCHEMES[scheme]))
    if SCHEMES[scheme] != "BI":
        return scheme
    return "iob1" if any(map(_opens_with_i, sentences)) and not any(map(_opens_with_b, sentences)) else "iob2"


def _opens_with_i(tags: Sequence[str]) -> bool:
    """Whether some span begins with I."""
    return any(_prefix(tags[first]) == "I" for _, first, _ in spans(tags))


def _opens_with_b(tags: Sequence[str]) -> bool:
    """Whether some span that needs no B begins with it."""
    found = spans(tags)
    touching = {(kind, last + 1) for kind, _, last in found}
    return any(_prefix(tags[first]) == "B" and (kind, first) not in touching for kind, first, _ in found)


def check(tag: str, scheme: str) -> str | None:
    """What is wrong with a tag in its scheme; None where nothing is.

    >>> check("S-PER", "iob2")
    "tag 'S-PER' is outside the scheme iob2 (O, B-TYPE, I-TYPE)"
    """
    if tag in ("O", MISSING) or _prefix(tag) in tuple(SCHEMES[scheme]):
        return None
    return f"tag {tag!r} is outside the scheme {scheme} (O, {', '.join(f'{p}-TYPE' for p in SCHEMES[scheme])})"


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, in any scheme; a missing tag is outside.

    >>> spans(["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-ORG"])
    [('PER', 0, 1), ('PER', 2, 2), ('LOC', 3, 3), ('ORG', 5, 5)]
    """
    found: list[Span] = []
    open_type = None  # the type of a span that may go on
    for i, tag in enumerate(tags):
        match = _TAG.fullmatch(tag)
        if match is None:
            open_type = None
            continue
        prefix, kind = match.groups()
        if kind == open_type and prefix in _INSIDE + _LAST:
            found[-1] = (kind, found[-1][1], i)
        else:
            found.append((kind, i, i))
        open_type = None if prefix in _LAST + _SINGLE else kind
    return found


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The tags of the same spans in IOB2; a missing tag stays missing.

    >>> to_iob2(["I-PER", "E-PER", "_", "S-LOC", "I-ORG"])
    ['B-PER', 'I-PER', '_', 'B-LOC', 'B-ORG']
    """
    converted = [MISSING if tag == MISSING else "O" for tag in tags]
    for kind, first, last in spans(tags):
        converted[first : last + 1] = [f"B-{kind}", *[f"I-{kind}"] * (last - first)]
    return converted


def sort_tags(tags: Iterable[str]) -> list[str]:
    """The tags of a layer in order: O first, then by type, B before I; other tags by the alphabet.

    >>> sort_tags({"I-NP", "B-VP", "O", "B-NP"})
    ['O', 'B-NP', 'I-NP', 'B-VP']
    """
    return sorted(tags, key=lambda tag: (tag != "O", _TAG.sub(r"\2", tag), tag))


def _prefix(tag: str) -> str:
    match = _TAG.fullmatch(tag)
    return match[1] if match else ""
