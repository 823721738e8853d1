"""Files of texts with their labels. Files of lines are read line by line, so that an error names the line."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from graphmtl.data.column import gathered
from graphmtl.data.delimited import Reading, is_header, read_delimited, say_header
from graphmtl.data.lines import check_encodable, each_line, read_bytes, read_lines, read_text
from graphmtl.data.squad import is_squad, squad_rows
from graphmtl.data.table import Table
from graphmtl.errors import InputError, shown, unknown_name
from graphmtl.files import parse_json

__all__ = ["FORMATS", "check_column", "ending", "read_file", "read_label_tab_text", "read_label_text", "read_tsv"]

_FASTTEXT = "__label__"


Row = tuple[int, Sequence[Any]]
"""The line of a row, and the wanted columns of it."""


def read_file(path: Path, wanted: Sequence[str], reading: Reading = Reading()) -> Table:
    """Reads the wanted columns of a file; its ending, of which ``.gz`` and ``.xz`` are no part, says what it is.

    - csv: fields in double quotes may hold commas, line ends, and quotes written twice.
    - tsv: one example a line, TAB between the fields. Quotes are letters like others, unless every quote in the file is
      one of those around a field: such a file is read as csv with TABs, and that is said.
    - txt: as tsv, if there is a TAB in its first line.
    - jsonl: one JSON object a line; json: a list of objects, an object of lists, or SQuAD's form.
    - parquet.

    A text such as ``NA`` or ``null`` stays text; white space around a field of a csv or tsv file is no part of it.

    Args:
        path: the file.
        wanted: the columns; all others are left.
        reading: how it is read.

    Raises:
        InputError: another ending; a file that is missing, empty, undecodable or damaged; a column that does not
            exist or stands there twice; a line with too few or too many fields.
    """
    kind = reading.format or ending(path)
    if kind not in FORMATS:
        endings = ", ".join(name for name in FORMATS if name.startswith("."))
        others = ", ".join(name for name in FORMATS if not name.startswith("."))
        raise InputError(f"{path}: unknown file format {kind!r} (known: {endings}, or by the key `format`: {others})")
    return FORMATS[kind](path, wanted, reading)


def ending(path: Path) -> str:
    """What a file's name ends in; of ``a.csv.gz`` that is ``.csv``."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".xz")]
    return suffixes[-1] if suffixes else ""


def read_tsv(path: Path, wanted: Sequence[str], reading: Reading = Reading(quoting="none")) -> Table:
    """Reads a tsv file whatever its name ends in, quotes being letters like others; see `read_file`."""
    return _of_rows(path, wanted, _delimited(path, wanted, reading, "\t"))


def _csv(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    return _of_rows(path, wanted, _delimited(path, wanted, reading, ","))


def _tsv(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    return _of_rows(path, wanted, _delimited(path, wanted, reading, "\t"))


def _txt(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    if reading.delimiter is None and "\t" not in next(each_line(path, reading.encoding)):
        raise InputError(
            f"{path}, line 1: no TAB between columns; the key `delimiter` names what stands there, or `format` what "
            f"the file is ({', '.join(name for name in FORMATS if not name.startswith('.'))})"
        )
    return _tsv(path, wanted, reading)


def _of_rows(path: Path, wanted: Sequence[str], rows: Iterator[Row], row: str = "line") -> Table:
    def checked() -> Iterator[Sequence[Any]]:
        for line, values in rows:
            check_encodable(values, f"{path}, {row} {line}")
            yield line, *values

    lines, *found = gathered(checked(), 1 + len(wanted))
    if not lines:
        raise InputError(f"{path}: the file holds no examples")
    return Table(source=str(path), columns=dict(zip(wanted, found, strict=True)), lines=lines, row=row)


def _delimited(path: Path, wanted: Sequence[str], reading: Reading, delimiter: str) -> Iterator[Row]:
    """The rows of a csv or tsv file."""
    header, rows, _ = read_delimited(path, reading, delimiter)
    chosen = _positions(path, header, wanted, reading.delimiter or delimiter)
    for number, fields in rows:
        yield number, [fields[i].strip() for i in chosen]


def _positions(path: Path, header: Sequence[str], wanted: Sequence[str], delimiter: str) -> list[int]:
    for column in wanted:
        other = next((sign for sign in (";", "\t", ",", "|") if len(header) == 1 and sign in header[0]), None)
        if column not in header and other is not None:
            between, found = ({"\t": "TABs", ",": "commas"}.get(sign, repr(sign)) for sign in (delimiter, other))
            raise InputError(
                f"{path}: {unknown_name('column', column, header)}; {between} are expected between its columns, "
                f"not {found}; the key `delimiter` names another, such as `delimiter: {json.dumps(other)}`"
            )
        check_column(path, column, header)
    return [header.index(column) for column in wanted]


def check_column(source: Path | str, column: str, found: Sequence[str]) -> None:
    """Whether a column is there, and once.

    Raises:
        InputError: it is not.
    """
    if column not in found:
        raise InputError(f"{source}: {unknown_name('column', column, found)}")
    if list(found).count(column) > 1:
        raise InputError(f"{source}: column {column!r} stands there {list(found).count(column)} times")


def _jsonl(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    lines = enumerate(each_line(path, reading.encoding), 1)
    rows = ((number, _parsed_line(line, path, number)) for number, line in lines if line.strip())
    return _of_objects(path, wanted, rows, "line")


def _parsed_line(line: str, path: Path, number: int) -> Any:
    try:
        return parse_json(line, path, number)
    except InputError as error:
        hint = "; one that goes over several lines is `format: json`" if line.strip() in ("[", "{") else ""
        raise InputError(f"{error}{hint}") from None


def _json(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    """A list of objects, an object whose only list is such, an object of lists of the same length, or SQuAD's form."""
    try:
        content = parse_json(read_text(path, reading.encoding), path)
    except InputError as error:
        hint = "; an object a line is `format: jsonl`" if "Extra data" in str(error) else ""
        raise InputError(f"{error}{hint}") from None
    if is_squad(content):
        return _of_objects(path, wanted, enumerate(squad_rows(content, path), 1), "question")
    if isinstance(content, dict):
        lists = {key: value for key, value in content.items() if isinstance(value, list)}
        if not set(wanted) <= set(lists) and len(lists) == 1:
            (content,) = lists.values()
    if isinstance(content, list):
        return _of_objects(path, wanted, enumerate(content, 1), "item")
    if not isinstance(content, dict):
        raise InputError(f"{path}: a list of objects expected, or an object of lists of the same length")
    for column in wanted:
        check_column(path, column, [*content])
    columns = [content[column] for column in wanted]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        raise InputError(f"{path}: a list of objects expected, or an object of lists of the same length")
    return _of_rows(path, wanted, enumerate(zip(*columns, strict=True), 1), "item")


def _squad(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    rows = squad_rows(parse_json(read_text(path, reading.encoding), path), path)
    return _of_objects(path, wanted, enumerate(rows, 1), "question")


def _of_objects(path: Path, wanted: Sequence[str], rows: Iterable[tuple[int, Any]], what: str) -> Table:
    """The wanted values of JSON objects; a key that some rows do not have is null there."""
    known: dict[str, None] = {}

    def picked() -> Iterator[Row]:
        for number, row in rows:
            if not isinstance(row, dict):
                raise InputError(f"{path}, {what} {number}: a JSON object expected, found {shown(row)}")
            known.update(dict.fromkeys(row))
            yield number, [row.get(column) for column in wanted]

    table = _of_rows(path, wanted, picked(), what)
    for column in wanted:
        check_column(path, column, [*known])
    return table


def _parquet(path: Path, wanted: Sequence[str], reading: Reading) -> Table:
    from graphmtl.data.arrow import read_parquet  # here: it loads the datasets library

    read_bytes(path, most=1)  # which says whether it is there
    return read_parquet(path, wanted)


def read_label_text(path: Path, wanted: Sequence[str], reading: Reading = Reading()) -> Table:
    """Reads ``LABEL text``, one example a line: the label is what stands before the first space or TAB.

    fastText's ``__label__`` before a label is no part of it. The columns are called label and text, or as
    ``reading.header`` says; a first line that is just these names is no example.

    Raises:
        InputError: as `read_lines`; an unknown column, a line of two labels, or one without a label of fastText where
            others have it.
    """
    header = reading.header or ("label", "text")
    if len(header) != 2:
        raise InputError(f"{path}: {len(header)} columns, expected 2, those of the label and of the text")
    for column in wanted:
        check_column(path, column, header)
    return _of_rows(path, wanted, _rows_of_labels(path, wanted, header, reading.encoding))


def _rows_of_labels(path: Path, wanted: Sequence[str], header: Sequence[str], encoding: str) -> Iterator[Row]:
    fasttext = False
    for number, line in enumerate(each_line(path, encoding), 1):
        fasttext = line.startswith(_FASTTEXT) if number == 1 else fasttext
        label, *rest = re.split("[ \t]", line.strip(), maxsplit=1)
        text = rest[0] if rest else ""
        if not label:
            continue
        if number == 1 and is_header((label, text), header):
            say_header(path, number, (label, text), header)
            continue
        if fasttext and (not label.startswith(_FASTTEXT) or text.lstrip().startswith(_FASTTEXT)):
            raise InputError(f"{path}, line {number}: one label, such as {_FASTTEXT}x, expected before {shown(line)}")
        values = dict(zip(header, (label.removeprefix(_FASTTEXT), text.strip()), strict=True))
        yield number, [values[column] for column in wanted]


FORMATS: dict[str, Callable[[Path, Sequence[str], Reading], Table]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _txt,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "squad": _squad,
    "LABEL text": read_label_text,
}
"""What reads the wanted columns of a file, by its ending or by the key ``format``."""


def read_label_tab_text(path: Path, *, fallback: str | None = None) -> Table:
    """Reads ``label TAB text``, one example a line, no line of names; columns ``label`` and ``text``.

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
    return Table(source=str(path), columns={"text": texts, "label": labels})
