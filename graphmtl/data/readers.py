"""File formats. Files of lines are read line by line, so that an error names the line."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import yaml
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from graphmtl.errors import InputError, shown, unknown_name

__all__ = [
    "Columns",
    "Examples",
    "YamlKey",
    "compose_yaml",
    "read_bytes",
    "read_file",
    "read_hub",
    "read_label_tab_text",
    "read_lines",
    "read_tsv",
    "shown",
    "yaml_keys",
]

datasets.disable_progress_bars()  # of casts and files, which come and go; --progress is the training's

_PATIENCE = 10  # seconds in which the Hub must answer
_HALF = re.compile("[\ud800-\udfff]")  # a lone surrogate: half of a character, as JSON's \ud83d without its \ude00


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples as they were read.

    Args:
        source: the file (or Hub data set) they come from.
        text: the texts.
        label: the labels as written there.
        text_pair: the second texts, of pairs only.
        lines: the line of each example, counted from 1; None where the source has no lines.
        row: what such a line is called.
        labels: the names of all classes in their order, where the source itself declares them.
    """

    source: str
    text: list[str]
    label: list[str]
    text_pair: list[str] | None = None
    lines: list[int] | None = None
    row: str = "line"
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.text)

    def where(self, i: int) -> str:
        """The place of example ``i``, for an error message."""
        return f"{self.source}, {self.row} {i + 1 if self.lines is None else self.lines[i]}"

    def take(self, rows: Iterable[int]) -> "Examples":
        """Some of the examples."""
        lines = range(1, len(self) + 1) if self.lines is None else self.lines
        rows = list(rows)
        return Examples(
            source=self.source,
            text=[self.text[i] for i in rows],
            label=[self.label[i] for i in rows],
            text_pair=None if self.text_pair is None else [self.text_pair[i] for i in rows],
            lines=[lines[i] for i in rows],
            row=self.row,
            labels=self.labels,
        )

    def empty(self) -> int:
        """How many examples have an empty text (of a pair: either)."""
        pairs = self.text if self.text_pair is None else self.text_pair
        return sum(not (a.strip() and b.strip()) for a, b in zip(self.text, pairs, strict=True))


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns to read, and how a file of lines is read.

    Args:
        text: the column of the text, or the two columns of a pair.
        label: the column of the label; empty for examples without labels.
        header: the names of all columns of a csv or tsv file that has no line of names.
        encoding: the encoding of a csv, tsv or jsonl file.
        scores: the labels are numbers of any kind.
    """

    text: tuple[str, ...] = ("text",)
    label: str = "label"
    header: tuple[str, ...] = ()
    encoding: str = "utf-8"
    scores: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        return (*self.text, self.label) if self.label else self.text

    def examples(self, rows: Iterable[Sequence[str]], *, source: str, **fields) -> "Examples":
        """The examples of rows of the wanted columns; those without labels have the label ""."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        texts = columns[: len(self.text)]
        return Examples(
            source=source,
            text=texts[0],
            text_pair=texts[1] if len(texts) == 2 else None,
            label=[label.strip() for label in columns[-1]] if self.label else [""] * len(texts[0]),
            **fields,
        )


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
        return _read_parquet(path, columns)
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
    _check_columns(path, header, columns)
    return [header.index(column) for column in columns.wanted]


def _check_columns(source: Path | str, found: Sequence[str], columns: Columns) -> None:
    for column in columns.wanted:
        if column not in found:
            raise InputError(f"{source}: {unknown_name('column', column, found)}")


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
        _check_columns(f"{path}, line {number}", list(row), columns)
        yield number, _plain(row, columns, f"{path}, line {number}")


_ROWS: dict[str, Callable[[Path, Columns], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".jsonl": _jsonl_rows,
}


def _plain(row: Mapping[str, Any], columns: Columns, where: str) -> list[str]:
    """The wanted values of a row whose values have types: texts, and a label of text, number or truth value."""
    for column in columns.text:
        if not isinstance(row[column], str):
            raise InputError(f"{where}: column {column!r} holds {shown(row[column])}, expected a text")
    texts = [row[column] for column in columns.text]
    if not columns.label:
        return texts
    label = row[columns.label]
    if label is None:
        raise InputError(f"{where}: no label in column {columns.label!r}")
    if not isinstance(label, str | int | float if columns.scores else str | int):
        raise InputError(
            f"{where}: label {shown(label)}, expected a {'number' if columns.scores else 'text or a whole number'}"
        )
    return [*texts, str(label)]


def _read_parquet(path: Path, columns: Columns) -> Examples:
    read_bytes(path)
    try:
        with _without_log():
            rows = datasets.Dataset.from_parquet(str(path))
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise InputError(f"{path}: cannot be read as parquet ({_one_line(error)})") from None
    return _from_dataset(rows, columns, source=str(path))


def read_hub(name: str, columns: Columns, *, config: str | None, split: str) -> Examples:
    """Reads one split of a data set of the Hugging Face Hub, or of a local folder that is laid out like one.

    Raises:
        InputError: the data set, its configuration, its split or a column does not exist, or the Hub is out of reach.
    """
    source = f"Hub data set {name}{f' ({config})' if config else ''}, split {split}"
    problem = None if Path(name).is_dir() else _hub_problem(name)
    try:
        with _without_log(), _offline(problem is not None):
            rows = datasets.load_dataset(name, name=config, split=split)
    except Exception as error:  # network, Hub and data set errors have no common class
        if problem is not None and isinstance(error, ConnectionError):
            place = f", and the cache {datasets.config.HF_DATASETS_CACHE} does not have it"
            raise InputError(f"{source}: cannot be loaded ({_one_line(problem)}){place}") from None
        raise InputError(f"{source}: cannot be loaded ({_one_line(error)})") from None
    return _from_dataset(rows, columns, source=source)


def _hub_problem(name: str) -> Exception | None:
    """Why the Hub does not answer, if so; asked once, where a library that loads asks on for half a minute."""
    try:
        HfApi().dataset_info(name, timeout=_PATIENCE)
    except (RepositoryNotFoundError, ValueError):  # it answers, or is not asked: of the name more is said by loading
        return None
    except Exception as error:  # network and Hub errors have no common class
        return error
    return None


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Loads from the cache alone, if wanted."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _without_log() -> Iterator[None]:
    """Without what the library logs beside the error that it raises."""
    level = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)


def _from_dataset(rows: datasets.Dataset, columns: Columns, *, source: str) -> Examples:
    if not len(rows):
        raise InputError(f"{source}: no examples in it")
    _check_columns(source, rows.column_names, columns)
    declared = getattr(rows.features[columns.label], "names", None) if columns.label else None
    fields = []
    for i, row in enumerate(rows.select_columns(list(columns.wanted)), 1):
        fields.append(_plain(_named(row, columns.label, declared), columns, f"{source}, row {i}"))
    return columns.examples(fields, source=source, row="row", labels=tuple(declared or ()))


def _named(row: dict, label: str, declared: list[str] | None) -> dict:
    """The row with its class index replaced by the class's name; the Hub's -1 for a hidden label is no label."""
    if declared is None or row[label] is None:
        return row
    return {**row, label: declared[row[label]] if row[label] >= 0 else None}


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
        raise InputError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; if the file has another"
            " encoding, name it in the YAML file, such as `encoding: latin-1`"
        ) from None


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


def compose_yaml(content: bytes, name: object) -> yaml.Node | None:
    """The nodes of a YAML document, which know their lines; None for a document of comments.

    Args:
        content: the document.
        name: what an error calls it.

    Raises:
        InputError: the content is not UTF-8, or no YAML.
    """
    try:
        return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{name}, line {error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{name}: not YAML ({' '.join(str(error).split())})") from None


@dataclass(frozen=True)
class YamlKey:
    """The value of a key in a YAML document, and the key's line, counted from 1."""

    node: yaml.Node
    line: int


def yaml_keys(mapping: yaml.MappingNode, name: object, *, what: str) -> dict[str, YamlKey]:
    """The keys of a mapping.

    Args:
        mapping: the mapping.
        name: what an error calls the document.
        what: what it calls the mapping.

    Raises:
        InputError: a key is no plain name, or stands twice.
    """
    keys: dict[str, YamlKey] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{name}, line {line}: the keys of {what} must be plain names")
        if key.value in keys:
            raise InputError(f"{name}, line {line}: key {shown(key.value)} stands twice in {what}")
        keys[key.value] = YamlKey(value, line)
    return keys


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
