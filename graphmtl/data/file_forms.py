"""Files whose form is guessed: encoding, delimiter, names of columns, tokens a line or examples a line."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphmtl.data.column_files import TOKEN_FORMATS, read_columns, read_sentences
from graphmtl.data.delimited import Reading
from graphmtl.data.encodings import likely_encoding
from graphmtl.data.lines import read_bytes, read_lines, read_text
from graphmtl.data.readers import FORMATS, ending, read_file
from graphmtl.data.roles import CLASSES, LABELS, NUMBER, TEXTS, TITLES, is_of_tokens, no_columns
from graphmtl.data.rows import ROW_FORMATS, read_rows
from graphmtl.data.table import Table
from graphmtl.data.values import labelled
from graphmtl.errors import InputError

__all__ = ["read_guessed", "read_held_out"]

_SIGNS = {"/": "word/TAG", "_": "word_TAG", ":": "word:TAG"}
_LINES_LOOKED_AT = 2000  # to tell the form of a file; what is wrong in later ones its reader says
_COLUMNS_AT_MOST = 30  # of a column file


def read_guessed(path: Path) -> tuple[Table, dict[str, Any]]:
    """All columns of a file, and the keys by which a task file says how it is read.

    Raises:
        InputError: the file cannot be read, or no columns can be told.
    """
    if path.is_dir():
        return read_sentences(path, words="seq.in"), {}
    kind = ending(path)
    if kind == ".parquet":
        return read_file(path, read_rows(path).names), {}
    keys = _encoding(path)
    encoding = keys.get("encoding", "utf-8")
    if kind == ".conllu":
        return read_sentences(path, words="form", reading=Reading(encoding=encoding)), keys
    if kind.removeprefix(".") in ROW_FORMATS and kind not in (".csv", ".tsv"):
        rows = read_rows(path, reading=Reading(encoding=encoding))
        return rows.table(rows.names), keys
    lines = read_lines(path, encoding=encoding)
    if kind != ".csv" and (header := _column_header(lines)):
        return read_columns(path, header, words=header[0], encoding=encoding), {**keys, "columns": [*header]}
    if kind not in (".csv", ".tsv") and (form := _line_format(lines)) is not None:
        keys["format"] = form
        if form in TOKEN_FORMATS:
            return read_sentences(path, words="word", reading=Reading(encoding=encoding, format=form)), keys
        return read_file(path, ("label", "text"), Reading(encoding=encoding, format=form)), keys
    return _delimited(path, kind, keys, lines)


def read_held_out(
    splits: Mapping[str, Path], reading: Mapping[str, Any], train: Table, keys: Mapping[str, Any]
) -> tuple[dict[str, Table], list[str]]:
    """The other splits that are files and have labels, and what is to be said of those that have none."""
    found: dict[str, Table] = {}
    remarks = []
    for split, path in splits.items():
        if split == "train":
            continue
        try:
            table = _again(path, reading, train, keys)
        except InputError as error:
            remarks.append(f"not taken for {split}: {error}")
            continue
        if any(labelled(table, keys["label"])):
            found[split] = table
        else:
            remarks.append(f"not taken for {split}: {path} has no label in {keys['label']!r}")
    return found, remarks


def _again(path: Path, reading: Mapping[str, Any], train: Table, keys: Mapping[str, Any]) -> Table:
    """The columns of another split that matter, read as those for training."""
    own = Reading(
        header=tuple(reading.get("columns", ())),
        **{name: reading[name] for name in ("encoding", "delimiter", "format") if name in reading},
    )
    if is_of_tokens(train):
        return read_sentences(path, words=keys["tokens"], reading=own)
    return read_file(path, [*keys.get("text", [keys.get("tokens")]), keys["label"]], own)


def _encoding(path: Path) -> dict[str, str]:
    """The encoding, where it is not UTF-8 and can be told."""
    try:
        read_text(path, "utf-8")
    except InputError:
        likely = likely_encoding(read_bytes(path))
        if likely is None:
            raise
        return {"encoding": likely}
    return {}


def _column_header(lines: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns of a file with a token a line and blank lines between sentences; none of another."""
    lines = lines[:_LINES_LOOKED_AT]
    blanks = sum(not line.strip() for line in lines)
    tokens = [line.strip(" \t") for line in lines if line.strip() and not line.startswith(("# ", "-DOCSTART-"))]
    if not blanks or len(tokens) < 2:
        return ()
    tabs = "\t" in tokens[0]
    fields = [line.split("\t") if tabs else re.split(" +", line) for line in tokens]
    count = len(fields[0])
    if not 2 <= count <= _COLUMNS_AT_MOST or any(len(own) != count or " " in own[-1].strip() for own in fields):
        return ()
    if all(field.strip().casefold() in TITLES for field in fields[0]):
        return tuple(field.strip() for field in fields[0])
    return ("word", *(f"column{i}" for i in range(2, count)), "tag")


def _line_format(lines: Sequence[str]) -> str | None:
    """The form of a file with an example a line and no TABs."""
    first = [line for line in lines[:_LINES_LOOKED_AT] if line.strip()]
    if all(line.startswith("__label__") for line in first):
        return "LABEL text"
    if "\t" in first[0]:
        return None
    words = [word for line in first for word in line.split()]
    for sign, form in _SIGNS.items():
        if all(re.fullmatch(rf".+{sign}[^{sign}]+", word) for word in words):
            return form
    heads = Counter(line.split(None, 1)[0] for line in lines if line.strip())
    if 2 <= len(heads) <= CLASSES and min(heads.values()) > 1 and len(heads) <= sum(heads.values()) / 5:
        return "LABEL text"
    return None


def _delimited(path: Path, kind: str, keys: dict[str, Any], lines: Sequence[str]) -> tuple[Table, dict[str, Any]]:
    """A csv or tsv file, with a line of names or without."""
    delimiter = "," if kind == ".csv" else "\t"
    if delimiter not in lines[0]:
        other = next((sign for sign in ";\t|," if sign in lines[0]), None)
        if other is None:
            raise no_columns(path, [lines[0]], "no columns, each with a name, can be told")
        delimiter, keys["delimiter"] = other, other
    if f".{kind.removeprefix('.')}" not in FORMATS:
        keys["format"] = "tsv"
    reading = Reading(delimiter=delimiter, encoding=keys.get("encoding", "utf-8"))
    rows = read_rows(path, "csv" if kind == ".csv" else "tsv", reading)
    if not rows.values:
        raise InputError(f"{path}: one line and no examples after it")
    if _is_row(rows.names, rows.values):
        names = tuple(f"column{i}" for i in range(1, len(rows.names) + 1))
        keys["columns"] = [*names]
        rows = read_rows(path, "csv" if kind == ".csv" else "tsv", replace(reading, header=names))
    return rows.table([*dict.fromkeys(rows.names)]), keys


def _is_row(names: Sequence[str], values: Sequence[Sequence[str]]) -> bool:
    """Whether the first line is an example, and no line of names."""
    if any(not name.strip() or NUMBER.fullmatch(name) or len(name.split()) > 4 for name in names):
        return not any(name.casefold() in (*TEXTS, *LABELS) for name in names)
    columns = zip(*values, strict=True)
    return any(name in {each.strip() for each in own} for name, own in zip(names, columns, strict=True))
