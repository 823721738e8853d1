"""File formats. Files of lines are read line by line, so that an error names the line."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from graphmtl.data.arrow import read_parquet
from graphmtl.data.encodings import likely_encoding
from graphmtl.data.examples import Columns, Examples, check_columns, plain_row
from graphmtl.errors import InputError, shown

__all__ = ["read_bytes", "read_file", "read_label_tab_text", "read_lines", "read_tsv"]

_HALF = re.compile("[\ud800-\udfff]")  # a lone surrogate: half of a character, as JSON's \ud83d without its \ude00

Row = tuple[int, Sequence[str]]
"""The line of a row, and the wanted columns of it."""


def read_file(path: Path, columns: Columns) -> Examples:
    """Reads a csv, tsv, jsonl or parquet file, told apart by their endings.

    - csv: fields in double quotes may hold commas, line ends, and quotes written twice.
    - tsv: one example a line, TAB between the fields, quotes are letters like others.
    - jsonl: one JSON object a line.

    A text such as ``NA`` or ``null`` stays text.

    Raises:
        InputError: another ending; a file that is missing, empty, undecodable or damaged; a column that does not
            exist; a line with too few or too many fields, or without a label.
    """
    if path.suffix == ".parquet":
        read_bytes(path)  # which says whether it is there
        return read_parquet(path, columns)
    if path.suffix not in _ROWS:
        raise InputError(f"{path}: unknown file format {path.suffix!r} (known: {', '.join([*_ROWS, '.parquet'])})")
    return _read_rows(path, columns, _ROWS[path.suffix])


def read_tsv(path: Path, columns: Columns) -> Examples:
    """Reads a tsv file whatever its name ends in; see `read_file`."""
    return _read_rows(path, columns, _tsv_rows)


def _read_rows(path: Path, columns: Columns, read: "Callable[[Path, Columns], Iterator[Row]]") -> Examples:
    lines, fields = [], []
    for line, row in read(path, columns):
        if columns.label and not row[-1].strip():
            raise InputError(f"{path}, line {line}: no label in column {columns.label!r}")
        _check_encodable(row, f"{path}, line {line}")
        lines.append(line)
        fields.append(row)
    if not lines:
        raise InputError(f"{path}: the file holds no examples")
    return columns.examples(fields, source=str(path), lines=lines)


def _check_encodable(row: Sequence[str], where: str) -> None:
    """JSON can name half of a character, which cannot be written into any file."""
    for value in row:
        if _HALF.search(value):
            raise InputError(f"{where}: {shown(value)} holds half of a character (a lone surrogate); text is expected")


def _tsv_rows(path: Path, columns: Columns) -> Iterator[Row]:
    lines = enumerate(read_lines(path, encoding=columns.encoding), 1)
    header = columns.header or tuple(next(lines)[1].split("\t"))
    chosen = _positions(path, header, columns)
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) == 1 < len(header):
            raise InputError(f"{path}, line {number}: no TAB between the columns {', '.join(header)}: {shown(line)}")
        yield number, _pick(fields, chosen, header, path, number)


def _csv_rows(path: Path, columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 30))  # a text may be longer than Python's 131,072
    reader = csv.reader(io.StringIO(_read_text(path, columns.encoding), newline=""), strict=True)
    header, chosen, before = columns.header, None, 0
    try:
        for fields in reader:
            number, before = before + 1, reader.line_num  # a record may span lines: name its first
            if not fields:
                continue
            if chosen is None:
                first_is_header = not header
                header = header or tuple(fields)
                chosen = _positions(path, header, columns)
                if first_is_header:
                    continue
            yield number, _pick(fields, chosen, header, path, number)
    except csv.Error as error:
        raise InputError(f"{path}, line {before + 1}: not CSV ({error})") from None


def _positions(path: Path, header: Sequence[str], columns: Columns) -> list[int]:
    check_columns(path, header, columns)
    return [header.index(column) for column in columns.wanted]


def _pick(fields: list[str], chosen: list[int], header: Sequence[str], path: Path, number: int) -> list[str]:
    if len(fields) != len(header):
        names = ", ".join(header)
        raise InputError(f"{path}, line {number}: {len(fields)} fields, expected {len(header)} ({names})")
    return [fields[i] for i in chosen]


def _jsonl_rows(path: Path, columns: Columns) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path, encoding=columns.encoding), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
            raise InputError(f"{path}, line {number}: not JSON ({error}): {shown(line)}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: a JSON object expected, found {shown(line)}")
        check_columns(f"{path}, line {number}", list(row), columns)
        yield number, plain_row(row, columns, f"{path}, line {number}")


_ROWS: dict[str, Callable[[Path, Columns], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".jsonl": _jsonl_rows,
}


def read_label_tab_text(path: Path, *, fallback: str | None = None) -> Examples:
    """Reads ``label TAB text``, one example a line, no line of names.

    Args:
        path: the file.
        fallback: as in `read_lines`.

    Raises:
        InputError: as `read_lines`, or a line has no TAB or no label.
    """
    labels, texts = [], []
    for number, line in enumerate(read_lines(path, fallback=fallback), 1):
        label, tab, text = line.partition("\t")
        if not tab:
            raise InputError(f"{path}, line {number}: no TAB between label and text: {shown(line)}")
        if not label.strip():
            raise InputError(f"{path}, line {number}: no label before the TAB: {shown(line)}")
        labels.append(label.strip())
        texts.append(text)
    return Examples(source=str(path), text=texts, label=labels)


def read_lines(path: Path, *, encoding: str = "utf-8", fallback: str | None = None) -> list[str]:
    """The lines of a file, cut at newlines only and without a carriage return at their end.

    Empty lines at the end of the file are left out.

    Args:
        path: the file.
        encoding: its encoding.
        fallback: the encoding of those lines that are not UTF-8.

    Raises:
        InputError: the file is missing, unreadable or empty, or it cannot be decoded.
    """
    if fallback is None:
        lines = _read_text(path, encoding).split("\n")
    else:
        lines = [_decode(line, fallback) for line in read_bytes(path).split(b"\n")]
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _decode(line: bytes, fallback: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(fallback)


def _read_text(path: Path, encoding: str) -> str:
    content = read_bytes(path)
    try:
        return content.decode(encoding)
    except LookupError:
        raise InputError(f"{path}: unknown encoding {encoding!r}") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        likely = likely_encoding(content)
        hint = "the key `encoding` in the YAML file names another" if likely is None else f"try `encoding: {likely}`"
        raise InputError(f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; {hint}") from None


def read_bytes(path: Path) -> bytes:
    """The content of a file, without the byte order mark of UTF-8.

    Raises:
        InputError: the file is missing, unreadable or empty.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(f"{path}: {reason}") from None
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    return content
