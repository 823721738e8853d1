"""``python -m graphmtl.predict RUN --task NAME``: label raw text; JSON lines come out.

The texts stand a text a line, or in the columns of a file; with ``--output`` a file comes out that holds the input and
the answers beside it.
"""

import gzip
import json
import lzma
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.config import listed
from graphmtl.data.choices import Columns, every_column
from graphmtl.data.delimited import Reading
from graphmtl.data.lines import each_line_of
from graphmtl.data.raw_texts import Text, check_columns, text_of_line, texts_of_table
from graphmtl.data.readers import ending
from graphmtl.data.rows import OUTPUT_FORMATS, ROW_FORMATS, Rows, Write, open_rows, read_rows
from graphmtl.data.section import Given
from graphmtl.data.split_files import ENDINGS
from graphmtl.data.task import Task
from graphmtl.errors import InputError, note, shown, unknown_name
from graphmtl.files import check_output, check_regular
from graphmtl.training.run import Run
from graphmtl.verbosity import say

__all__ = ["main"]

_LINES_AT_ONCE = 4096  # so that memory does not grow with a file of lines
_EDGES_AT_ONCE = 256  # lines, each of whose tokens may have edges to all tasks


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Some rows of the input.

    Attributes:
        start: the place of the first among all.
        lines: the line of each.
        values: what stands in each, column by column.
        texts: what each task reads; tasks that read the same have the very same list.
    """

    start: int
    lines: list[int]
    values: Sequence[list[Any]]
    texts: dict[str, list[Text]]


def _open(path: str | None) -> AbstractContextManager[BinaryIO]:
    """The file, or standard input, which stays open."""
    if path is None:
        if sys.stdin.isatty():
            say("no FILE: texts are read from the terminal, one a line, until Ctrl-D", file=sys.stderr, flush=True)
        return nullcontext(sys.stdin.buffer)
    check_regular(path)  # a pipe is read where it is the standard input
    opened: Any = {".gz": gzip.open, ".xz": lzma.open}.get(Path(path).suffix.lower(), open)
    try:
        return opened(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _texts_alone(lines: Iterator[str], name: str, tasks: Mapping[str, Task]) -> Iterator[str]:
    """The lines, the first of which is none of names.

    Raises:
        InputError: it holds TABs and the name of a column that a task reads.
    """
    known = {column for task in tasks.values() for column in every_column(task.reads)}
    for first in islice(lines, 1):
        fields = first.split("\t")
        found = next((field.strip() for field in fields if field.strip() in known), None)
        if found is not None and len(fields) > 1:
            raise InputError(
                f"{name}, line 1: {shown(first)} holds TABs and the name of the column {found!r}; --format tsv reads "
                "the columns of a table, --format lines each line as a text"
            )
        yield first
    yield from lines


def _parts_of_lines(
    lines: Iterator[str], name: str, tasks: Mapping[str, Task], pretokenized: bool, at_once: int
) -> Iterator[_Part]:
    """Some thousands of lines at once; tasks of pairs and of choices read what stands between TABs."""
    numbered, start = enumerate(lines, 1), 0
    while chunk := [*islice(numbered, at_once)]:
        numbers, texts = [number for number, _ in chunk], [line for _, line in chunk]
        single: list[Text] = [line.split() for line in texts] if pretokenized else [*texts]
        forms = {(task.is_pair, bool(task.choices)): task for task in reversed([*tasks.values()])}
        several = {
            form: [text_of_line(line, task, f"{name}, line {i}") for i, line in chunk] if any(form) else single
            for form, task in forms.items()
        }
        read = {own: several[task.is_pair, bool(task.choices)] for own, task in tasks.items()}
        yield _Part(start=start, lines=numbers, values=[[line] for line in texts], texts=read)
        start += len(chunk)


def _parts_of_rows(
    rows: Rows, columns: Mapping[str, Columns], tasks: Mapping[str, Task], pretokenized: bool, at_once: int
) -> Iterator[_Part]:
    tokens = [str(columns[name][0]) for name, task in tasks.items() if task.tokens]
    wanted = [*dict.fromkeys(column for own in columns.values() for column in every_column(own))]
    for start in range(0, len(rows), at_once):
        stop = start + at_once
        texts = texts_of_table(rows.table(wanted, start, stop), columns, tokens)
        if pretokenized:
            split = {own: _split(texts[name]) for name, own in columns.items()}
            texts = {name: split[own] for name, own in columns.items()}
        yield _Part(start=start, lines=[*rows.lines[start:stop]], values=rows.values[start:stop], texts=texts)


def _split(texts: Sequence[Text]) -> list[Text]:
    return [text.split() if isinstance(text, str) else text for text in texts]


def _read_rows(path: str | None, kind: str, reading: Reading) -> Rows:
    """The rows of a file, or of standard input."""
    if path is not None:
        return read_rows(Path(path), kind, reading)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "standard input"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            return read_rows(copy, kind, reading)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), copy.name)) from None


def _columns(tasks: Mapping[str, Task], given: str | None, rows: Rows, source: str) -> dict[str, Columns]:
    """The columns that each task reads: the run's own, or those that ``--text`` names."""
    columns = {name: task.reads for name, task in tasks.items()}
    if given is not None:
        named = tuple(name.strip() for name in given.split(","))
        for name, task in tasks.items():
            count, texts = len(every_column(task.reads)), len(task.text)
            if len(named) != count:
                raise InputError(f"--text {given}: task {name!r} reads {count} columns, found {len(named)}")
            columns[name] = (*named[:texts], named[texts:]) if task.choices else named
    hint = "" if given else "; --text COLUMN names another, of a pair two"
    if len(rows.names) == 1 and any(sign in rows.names[0] for sign in ",;\t|"):
        hint = "; --delimiter names what stands between the columns"
    check_columns(columns, rows.names, source, hint)
    return columns


def _answer_keys(task: Task, edges: bool) -> dict[str, pa.DataType]:
    """The keys of a task's answers that are columns of their own, with their types."""
    return {**task.of_kind.columns, **({"edges": pa.string()} if edges else {})}


def _object_key(columns: Sequence[str]) -> str:
    """The key of the list of answers in a row that is an object; SQuAD's rows have ``answers`` of their own."""
    if "answers" not in columns:
        return "answers"
    note("--output: the input has a column 'answers' already, so the model's are called 'predictions'")
    return "predictions"


def _beside(answers: Mapping[str, dict], tasks: Mapping[str, Task], edges: bool) -> list[Any]:
    """The answers to a row, column by column."""
    cells: list[Any] = []
    for name, task in tasks.items():
        cells += task.of_kind.cells(answers[name]).values()
        if edges:
            own = answers[name].get("edges")
            cells.append(None if own is None else json.dumps(own, ensure_ascii=False))
    return cells


def _write_all(
    parts: Iterator[_Part], predict: Callable[[_Part], list[dict[str, dict]]], write: Callable[[_Part, list], None]
) -> int:
    """Labels all rows; how many there were."""
    count = 0
    for part in parts:
        write(part, predict(part))
        count += len(part.lines)
    return count


def _print_answers(part: _Part, answers: Sequence[Mapping[str, dict]]) -> None:
    for line, own in zip(part.lines, answers, strict=True):
        for answer in own.values():
            print(json.dumps({"line": line, **answer}, ensure_ascii=False))


def _written(write: Write, tasks: Mapping[str, Task], edges: bool, as_objects: bool) -> Callable[[_Part, list], None]:
    """What writes some rows with the answers beside them, as objects in JSON and else as columns."""

    def write_part(part: _Part, answers: Sequence[Mapping[str, dict]]) -> None:
        added = [[[*own.values()]] if as_objects else _beside(own, tasks, edges) for own in answers]
        write(part.start, part.values, added)

    return write_part


def _kind(path: str | None, given: str | None) -> str:
    """The format of the input: ``lines``, or one of `ROW_FORMATS`.

    Raises:
        InputError: the file's ending is one that is read for training alone.
    """
    if given is not None:
        return given
    found = "" if path is None else ending(Path(path))
    if found.removeprefix(".") in ROW_FORMATS:
        return found.removeprefix(".")
    if found in ENDINGS - {".txt"}:
        raise InputError(
            f"{path}: predict reads no {found} files; give the texts a line, with --pretokenized their tokens with "
            "spaces between, or say what the file is with --format"
        )
    return "lines"


def main(argv: Sequence[str]) -> None:
    """The verb ``predict``."""
    arguments = ARGUMENTS["predict"](argv)
    for flag, value in {"--batch-size": arguments.batch_size, "--reads": arguments.reads}.items():
        if value is not None and value < 1:
            raise InputError(f"{flag}: found {value}, expected 1 or more")
    if arguments.reads is not None and not arguments.edges:
        raise InputError("--reads: says how many --edges tell, which is not given")
    model = Run.open(arguments.run).model
    names = list(model.tasks) if arguments.task == "all" else listed(arguments.task)
    for name in names:
        if name not in model.tasks:
            raise unknown_name("task", name, [*model.tasks, "all"])
    tasks = {name: model.tasks[name] for name in names}
    kind, where, output = _kind(arguments.file, arguments.format), arguments.file or "standard input", arguments.output
    if output is not None:
        check_output(output, option="--output", endings=OUTPUT_FORMATS, overwrite=arguments.overwrite)
    elif arguments.overwrite:
        raise InputError("--overwrite: replaces the file of --output, which is not given")
    if kind == "lines" and arguments.text is not None:
        raise InputError(f"--text {arguments.text}: {where} is read a text a line; --format says what else it is")

    if kind not in ("csv", "tsv") and arguments.delimiter is not None:
        raise InputError(f"--delimiter: {where} is not read as csv or tsv; --format says what it is")
    delimiter = None if arguments.delimiter is None else Given(vars(arguments), what="predict").delimiter("delimiter")
    reading = Reading(delimiter=delimiter, encoding=arguments.encoding)

    def predict(part: _Part) -> list[dict[str, dict]]:
        how = {"edges": arguments.edges, "reads": arguments.reads, "batch_size": arguments.batch_size}
        return model.predict_each(part.texts, **how)

    def answer(parts: Iterator[_Part], columns: Sequence[str], rows: Rows | None) -> None:
        if output is None:
            _write_all(parts, predict, _print_answers)
            return
        keys = {name: _answer_keys(task, arguments.edges) for name, task in tasks.items()}
        as_objects = output.suffix.lower() == ".jsonl"
        added = {f"{name}.{key}": kind for name, own in keys.items() for key, kind in own.items()}
        added = {_object_key(columns): None} if as_objects else added
        with open_rows(output, columns, added, rows) as write:
            count = _write_all(parts, predict, _written(write, tasks, arguments.edges, as_objects))
        print(f"wrote {output} ({count} rows)")

    at_once = _EDGES_AT_ONCE if arguments.edges else _LINES_AT_ONCE
    if kind == "lines":
        with _open(arguments.file) as file:
            lines = each_line_of(file, where, arguments.encoding)
            lines = lines if arguments.format else _texts_alone(lines, where, tasks)
            answer(_parts_of_lines(lines, where, tasks, arguments.pretokenized, at_once), ["text"], None)
        return
    rows = _read_rows(arguments.file, kind, reading)
    columns = _columns(tasks, arguments.text, rows, where)
    answer(_parts_of_rows(rows, columns, tasks, arguments.pretokenized, at_once), rows.names, rows)


if __name__ == "__main__":
    run_verb(main)
