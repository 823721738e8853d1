"""Which columns of a file of examples are text and label, guessed from their names and from what they hold."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from graphmtl.data.column_files import CONLLU
from graphmtl.data.kind import default_kind, suited_kind
from graphmtl.data.split_files import task_name
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING
from graphmtl.data.values import listed
from graphmtl.errors import InputError, shown

__all__ = [
    "CLASSES",
    "LABELS",
    "NUMBER",
    "SCORES",
    "TEXTS",
    "TITLES",
    "are_numbers",
    "flat",
    "have_fractions",
    "is_of_tokens",
    "no_columns",
    "non_missing",
    "numbers",
    "roles",
]

TEXTS = (
    *("text", "sentence", "review", "tweet", "comment", "document", "utterance", "content", "body", "message"),
    *("question", "query", "headline", "title", "description", "abstract", "article", "post", "input"),
)
_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("question", "sentence")),
    *(("query", "document"), ("query", "passage"), ("question", "answer"), ("question", "passage")),
    *(("claim", "evidence"), ("source", "target"), ("source", "translation"), ("text", "text_pair")),
)
LABELS = (
    *("label", "labels", "gold_label", "class", "category", "target", "y", "sentiment", "intent", "topic", "emotion"),
    *("stance", "polarity", "stars", "rating", "score", "similarity", "relatedness", "entailment", "genre", "type"),
)
SCORES = (
    *("score", "rating", "similarity", "relatedness", "value", "price", "grade", "intensity", "valence", "arousal"),
    *("quality", "complexity", "readability", "probability", "stars"),
)
_TOKENS = ("tokens", "words", "token", "word", "form", "sentence", "text")
_TAGS = ("tags", "ner_tags", "ner", "labels", "label", "pos_tags", "pos", "upos", "chunk_tags", "slots", "tag", "xpos")
TITLES = {*_TOKENS, *_TAGS, "chunk", "lemma"}  # what the columns of a column file are called
_NO_LABELS = ("id", "idx", "index", "guid", "uid", "row", "split", "fold", "url", "date", "year", "file", "filename")
_FIRST = re.compile(r"1|(?<![a-z0-9])a(?![a-z0-9])|a$")  # what names the first of two columns, as in text_a
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARKS = ("", "nan", "none", "null", "n/a", "na", "?", "-", "<na>")  # what stands in the place of a number
CLASSES = 50  # different values of a column that is a label by nothing but its contents, at most


def roles(table: Table, path: Path) -> tuple[dict[str, Any], list[str]]:
    """The keys of a task file that name text, label and kind, and what is to be said of the choice.

    Args:
        table: all columns of the file.
        path: the file, for errors.

    Raises:
        InputError: no text or no label can be told among the columns, which are named.
    """
    if is_of_tokens(table):
        return _of_columns(table, path)
    lists = [name for name, values in table.columns.items() if _is_list(values)]
    if lists and (keys := _of_lists(table, lists)):
        return keys, []
    label, others = _label(table, path, [name for name in table.columns if name not in lists])
    if lists:
        tokens = min(lists, key=lambda name: _rank(name, _TOKENS))
        keys = {"kind": default_kind(), "tokens": tokens, "label": label}
        return keys, _other_labels(others)
    text = _text(table, path, label)
    keys = {"text": text, "label": label}
    if (kind := suited_kind(label, table[label])) != default_kind():
        keys["kind"] = kind
    others = [name for name in others if name not in text]
    rest = [name for name in table.columns if name not in (*text, label, *others) and _is_text(table[name])]
    unread = [name for name in rest if _mean_words(table[name]) >= _mean_words(table[text[0]]) / 2]
    remarks = [f"also looks like text, and is not read: {', '.join(map(shown, unread))}"] if unread else []
    return keys, [*_other_labels(others), *remarks]


def is_of_tokens(table: Table) -> bool:
    """Whether it was read from a file of a token a line, or of words with their tags."""
    return table.lines is not None and isinstance(table.lines[0], list)


def _other_labels(others: Sequence[str]) -> list[str]:
    return [f"may be labels too, each for a task of its own: {', '.join(map(shown, others))}"] if others else []


def _of_columns(table: Table, path: Path) -> tuple[dict[str, Any], list[str]]:
    """Tokens and tags of a file of tokens: the last column that is named as tags, or the last one."""
    names = [name for name in table.columns if not name.startswith("# ")]
    tokens = "form" if tuple(names) == CONLLU else names[0]
    tagged = [name for name in names if name != tokens and any(flat(table[name], but=MISSING))]
    if tuple(names) == CONLLU:
        tagged = [name for name in ("upos", "xpos") if name in tagged]
    if not tagged:
        raise no_columns(path, names, "no column of tags can be told")
    label = tagged[0] if tokens == "form" and "upos" in tagged else tagged[-1]
    others = [name for name in tagged if name != label]
    remarks = [f"may be tags too, each for a task of its own: {', '.join(map(shown, others))}"] if others else []
    sentences = [name.removeprefix("# ") for name in table.columns if name.startswith("# ")]
    several = [key for key in sentences if 2 <= len({*table[f"# {key}"]}) <= min(CLASSES, len(table) / 2)]
    if several:
        remarks.append(f"may be labels of whole sentences, as `label: '# {several[0]}'`: {', '.join(several)}")
    return {"kind": default_kind(labels_tokens=True), "tokens": tokens, "label": label}, remarks


def _of_lists(table: Table, lists: Sequence[str]) -> dict[str, Any]:
    """Tokens and tags that are lists of the same lengths."""
    table = listed(table, lists)
    lengths = {name: [len(each or ()) for each in table[name]] for name in lists}
    texts = [name for name in lists if all(isinstance(each, str) for each in flat(table[name]))]
    for tokens in sorted(texts, key=lambda name: (_rank(name, _TOKENS), -len({*flat(table[name])}))):
        alike = [name for name in lists if name != tokens and lengths[name] == lengths[tokens]]
        if alike:
            label = min(alike, key=lambda name: _rank(name, _TAGS))
            return {"kind": default_kind(labels_tokens=True), "tokens": tokens, "label": label}
    return {}


def _rank(name: str, known: Sequence[str]) -> int:
    return known.index(name.casefold()) if name.casefold() in known else len(known)


def _label(table: Table, path: Path, names: Sequence[str]) -> tuple[str, list[str]]:
    """The column of the labels, and others that may be such."""
    several = [name for name in names if len({*map(str, non_missing(table[name]))}) > 1]
    possible = [name for name in several if _can_be_label(name, table[name])]
    named = sorted((name for name in possible if _rank(name, LABELS) < len(LABELS)), key=lambda n: _rank(n, LABELS))
    named += [name for name in possible if name not in named and name.casefold().endswith(("label", "class", "score"))]
    few = [name for name in possible if name not in named and _rank(name, _NO_LABELS) == len(_NO_LABELS)]
    few = [name for name in few if _is_few(table[name])]
    few.sort(key=lambda name: len({*map(str, non_missing(table[name]))}))
    scores = [name for name in possible if name not in named and _rank(name, SCORES) < len(SCORES)]
    scores += [name for name in possible if name not in scores and have_fractions(table[name])]
    found = [*dict.fromkeys([*named, *few, *scores])]
    same = next((name for name in names if name not in several and name.casefold() in LABELS), None)
    if not found or (same is not None and not named):
        what = "no column of labels can be told" if same is None else f"every row has the same in {same!r}"
        raise no_columns(path, [*table.columns], what)
    return found[0], found[1:]


def _can_be_label(name: str, values: Sequence[Any]) -> bool:
    """Whether a column may be one of labels or scores: texts of a few words, or numbers."""
    present = non_missing(values)
    if not all(isinstance(value, str | int | float) for value in present):
        return False
    if are_numbers(present):
        return True
    different = {str(value) for value in present}
    return _mean_words(present) <= 6 and (len(different) <= len(present) / 2 or len(different) <= 3)


def _is_few(values: Sequence[Any]) -> bool:
    present = non_missing(values)
    return len({*map(str, present)}) <= max(2, min(CLASSES, len(present) / 5))


def _text(table: Table, path: Path, label: str) -> tuple[str, ...]:
    """The column of the text, or the two of a pair."""
    possible = {name.casefold(): name for name in table.columns if name != label and _is_text(table[name])}
    for pair in _PAIRS:
        if {*pair} <= {*possible}:
            return tuple(possible[name] for name in pair)
    for name in possible:
        for first in _FIRST.finditer(name):
            other = f"{name[: first.start()]}{'2' if first[0] == '1' else 'b'}{name[first.end() :]}"
            if other in possible:
                return possible[name], possible[other]
    named = sorted((name for name in possible if name in TEXTS), key=TEXTS.index)
    if named:
        return (possible[named[0]],)
    longest = sorted(possible.values(), key=lambda name: -_mean_words(table[name]))
    if not longest or not any(non_missing(table[longest[0]])):
        raise no_columns(path, [*table.columns], f"label may be {label!r}, but no column of text can be told")
    return (longest[0],)


def no_columns(path: Path, columns: Sequence[str], what: str) -> InputError:
    """The error for a file whose columns cannot be guessed; it names them, and says how a task file does.

    Args:
        path: the file.
        columns: its columns.
        what: what cannot be told.
    """
    found = ", ".join(shown(name) for name in columns[:20])
    example = f"tasks: {{{task_name(path)}: {{train: {path.name}, test: 0.2, text: COLUMN, label: COLUMN}}}}"
    return InputError(f"{path}: {what} (its columns: {found}); a task file, as graphmtl init writes, says: {example}")


def non_missing(values: Iterable[Any]) -> list[Any]:
    """The values that are there."""
    found = (value.strip() if isinstance(value, str) else value for value in values)
    return [value for value in found if value not in (None, "") and value == value]


def _is_list(values: Sequence[Any]) -> bool:
    """Whether most of what is there is a list, or written as one."""
    present = non_missing(values)
    each = [isinstance(v, list) or (isinstance(v, str) and v[0] == "[" and v[-1] == "]") for v in present]
    return bool(each) and sum(each) > len(each) / 2


def flat(values: Iterable[Any], but: str | None = None) -> list[Any]:
    """What stands in lists, one after the other, without what stands for nothing."""
    return [each for value in values for each in value or () if each != but]


def _is_text(values: Sequence[Any]) -> bool:
    present = non_missing(values)
    return bool(present) and all(isinstance(value, str) for value in present) and not are_numbers(present)


def _mean_words(values: Sequence[Any]) -> float:
    present = non_missing(values)
    return sum(len(str(value).split()) for value in present) / max(len(present), 1)


def numbers(values: Sequence[Any]) -> list[float]:
    """The numbers among values; a truth value is none."""
    texts = (str(value) for value in values if not isinstance(value, bool))
    return [float(text) for text in texts if NUMBER.fullmatch(text)]


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are numbers, but for what stands where there is none."""
    there = [value for value in non_missing(values) if str(value).casefold() not in _MARKS]
    return bool(there) and len(numbers(there)) == len(there)


def have_fractions(values: Sequence[Any]) -> bool:
    """Whether all are numbers, and some no whole ones."""
    return are_numbers(values) and any(number % 1 for number in numbers(non_missing(values)))
