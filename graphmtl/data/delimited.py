"""Files of fields with a delimiter between: csv, tsv and what is like them, and which first line holds names."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from graphmtl.data.lines import each_line, each_piece, holds_quotes, read_text
from graphmtl.errors import InputError, note, shown

__all__ = ["Reading", "is_header", "read_delimited", "say_header"]

_FIELD = r'(?:"(?:[^"]|"")*+"|[^"\t\n]*)'
_QUOTED_FILE = re.compile(rf"{_FIELD}(?:[\t\n]{_FIELD})*+")  # every quote in it is one of those around a field
_QUOTED_FIELD = re.compile(r'(?:^|\t)"(?:[^"\t]|"")*"(?=\t|$)', re.MULTILINE)
_TITLES = {  # what columns are called
    *("text", "sentence", "review", "tweet", "comment", "document", "utterance", "query", "label", "class"),
    *("target", "category", "sentiment", "intent", "topic", "stars", "rating", "score", "word", "token"),
    *("form", "lemma", "tag", "pos", "upos", "xpos", "ner", "chunk"),
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read.

    Args:
        header: the names of all columns of a file that has no line of names.
        encoding: the encoding of a file of text.
        delimiter: what stands between the fields of a csv, tsv or txt file; None: as its ending says.
        quoting: ``csv``: fields in double quotes may hold delimiters, line ends, and quotes written twice; ``none``:
            quotes are letters like others; None: as the ending says, and in a tsv file as the fields look.
        format: what the file is, where its ending does not say so: one of `graphmtl.data.readers.FORMATS`.
    """

    header: tuple[str, ...] = ()
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoting: str | None = None
    format: str | None = None


def read_delimited(
    path: Path, reading: Reading, delimiter: str
) -> tuple[tuple[str, ...], Iterator[tuple[int, list[str]]], bool]:
    """The names of the columns of a csv or tsv file, and its rows, with the line of each: all fields, as they stand.

    Returns:
        Names, rows, and whether fields may stand in double quotes.

    Raises:
        InputError: the file is missing, empty, undecodable or damaged, or a line has too few or too many fields.
    """
    delimiter = reading.delimiter or delimiter
    quoted = reading.quoting == "csv" or (reading.quoting is None and delimiter != "\t")
    if reading.quoting is None and delimiter == "\t":
        quoted = holds_quotes(path) and _looks_quoted(read_text(path, reading.encoding), path)
    rows = (_quoted_rows if quoted else _plain_rows)(path, reading.encoding, delimiter)
    number, fields = next(rows, (1, []))
    fields = [field.strip() for field in fields]
    named = not reading.header or is_header(fields, reading.header)
    rows = rows if named else chain([(number, fields)], rows)
    if named and reading.header:
        say_header(path, number, fields, reading.header)
    header = reading.header or tuple(fields)
    return header, (_checked_fields(path, row, header, "" if quoted else delimiter) for row in rows), quoted


def _checked_fields(
    path: Path, row: tuple[int, list[str]], header: Sequence[str], delimiter: str
) -> tuple[int, list[str]]:
    """A row that has as many fields as there are columns."""
    number, fields = row
    if len(fields) == 1 < len(header) and delimiter:
        what = {"\t": "TAB"}.get(delimiter, repr(delimiter))
        raise InputError(
            f"{path}, line {number}: no {what} between the columns {', '.join(header)}: {shown(fields[0])}"
        )
    if len(fields) != len(header):
        raise InputError(f"{path}, line {number}: {len(fields)} fields, expected {len(header)} ({', '.join(header)})")
    return row


def _plain_rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    numbered = enumerate(each_line(path, encoding), 1)
    lines = ((number, line) for number, line in numbered if line.strip() or delimiter in line)
    return ((number, line.split(delimiter)) for number, line in lines)


def _quoted_rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 30))  # a text may be longer than Python's 131,072
    reader, before = csv.reader(_lines_of_csv(path, encoding), strict=True, delimiter=delimiter), 0
    try:
        for fields in reader:
            number, before = before + 1, reader.line_num  # a record may span lines: name its first
            if fields == [""] or len(fields) > 1 or any(map(str.strip, fields)):  # a blank line is no record, "" is one
                yield number, fields
    except csv.Error as error:
        raise InputError(f"{path}, line {before + 1}: not CSV ({error})") from None


def _lines_of_csv(path: Path, encoding: str) -> Iterator[str]:
    """The lines as the csv library counts them, for which a carriage return alone ends one too."""
    for piece in each_piece(path, encoding):
        if "\r" in piece:
            yield from io.StringIO(piece, newline="")
        else:
            yield piece


def _looks_quoted(text: str, path: Path) -> bool:
    """Whether a tsv file is quoted as csv files are: every quote in it is one of those around a field."""
    text = text.replace("\r\n", "\n")
    fields = len(_QUOTED_FIELD.findall(text))
    if not fields:
        return False
    quoted = bool(_QUOTED_FILE.fullmatch(text))
    if quoted:
        note(f"{path}: {fields} fields stand in double quotes, which are no part of them (quoting: none keeps them)")
    elif '""' in text:
        note(
            f"{path}: {fields} fields stand in double quotes, which are read as letters, since other quotes in the file"
            " are letters too (quoting: csv takes them away)"
        )
    return quoted


def is_header(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the first line of a file whose columns have these names is a line of names, and no example.

    >>> is_header(["Review", "Stars"], ["text", "stars"]), is_header(["good film", "5"], ["text", "stars"])
    (True, False)
    """
    found = [field.strip().casefold() for field in fields]
    own = [a == b.casefold() for a, b in zip(found, names, strict=False)]
    titles = sum(a or b in _TITLES for a, b in zip(own, found, strict=False))
    return titles == len(names) or (any(own) and 2 * titles >= len(names))


def say_header(path: Path, number: int, fields: Sequence[str], names: Sequence[str]) -> None:
    """Notes that a line is taken for one of names, where it holds something that columns are not called."""
    known = _TITLES | {name.casefold() for name in names}
    if not known.issuperset(field.strip().casefold() for field in fields):
        note(f"{path}, line {number}: {shown(' '.join(fields))} is taken for names of the columns, and is no example")
