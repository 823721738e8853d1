"""Column files: tokens with their tags, one token a line or one sentence a line. Errors name the file and the line."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from graphmtl.data.delimited import Reading, is_header, say_header
from graphmtl.data.lines import read_lines
from graphmtl.data.readers import ending, read_file
from graphmtl.data.table import Table
from graphmtl.errors import InputError, shown, unknown_name

__all__ = [
    "CONLLU",
    "TOKEN_FORMATS",
    "read_columns",
    "read_conllu",
    "read_sentences",
    "read_tagged_words",
    "read_three_files",
]

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U (universaldependencies.org/format)."""
_THREE_FILES = ("seq.in", "seq.out", "label")
_COMMENT = re.compile(r"# *([^\s=]+) *= *(.*)")
_BLANK = " \t"


class _Sentences:
    """Sentences while their file is read.

    Args:
        path: the file.
        header: the names of its columns.
        words: the column of the tokens.
    """

    def __init__(self, path: Path, header: Sequence[str], words: str):
        if words not in header:
            raise InputError(f"{path}: {unknown_name('column', words, header)}")
        self.path, self.header, self.words = path, tuple(header), words
        self.sentences: list[list[Sequence[str]]] = []
        self.lines: list[list[int]] = []
        self.comments: list[dict[str, str]] = []
        self._begin()

    def comment(self, number: int, line: str) -> None:
        if self.rows:
            raise InputError(f"{self.path}, line {number}: a comment inside a sentence: {shown(line)}")
        if match := _COMMENT.fullmatch(line):
            self.about[match[1]] = match[2].strip()

    def token(self, number: int, line: str, fields: Sequence[str]) -> None:
        if not self.sentences and not self.rows and is_header(fields, self.header):
            say_header(self.path, number, fields, self.header)
            return
        if len(fields) != len(self.header):
            expected = f"expected {len(self.header)} ({', '.join(self.header)})"
            raise InputError(f"{self.path}, line {number}: {len(fields)} columns, {expected}: {shown(line)}")
        if not all(map(str.strip, fields)):
            empty = next(name for name, value in zip(self.header, fields, strict=True) if not value.strip())
            what = "token" if empty == self.words else f"column {empty!r}"
            raise InputError(f"{self.path}, line {number}: empty {what}: {shown(line)}")
        self.rows.append(fields)
        self.numbers.append(number)

    def _begin(self) -> None:
        self.rows: list[Sequence[str]] = []
        self.numbers: list[int] = []
        self.about: dict[str, str] = {}

    def end(self) -> None:
        """The end of a sentence, if one has begun."""
        if self.rows:
            self.sentences.append(self.rows)
            self.lines.append(self.numbers)
            self.comments.append(self.about)
        self._begin()

    def done(self) -> Table:
        self.end()
        if not self.sentences:
            raise InputError(f"{self.path}: the file holds no sentences")
        columns: dict[str, list] = {
            name: [[row[c] for row in rows] for rows in self.sentences] for c, name in enumerate(self.header)
        }
        for key in dict.fromkeys(key for comments in self.comments for key in comments):
            columns[f"# {key}"] = [comments.get(key) for comments in self.comments]
        return Table(source=str(self.path), columns=columns, lines=self.lines)


def read_columns(path: Path, header: Sequence[str], *, words: str = "word", encoding: str = "utf-8") -> Table:
    """Reads a token a line with its tags, in columns between TABs or between spaces.

    The first line with a token says which. Between sentences stands a blank line (spaces and TABs count as blank) or a
    ``-DOCSTART-``. A line ``# key = value`` before a sentence is a comment; between TABs so is any ``# ...`` without
    a TAB.

    Args:
        path: the file.
        header: the names of its columns.
        words: the column of the tokens.
        encoding: its encoding.

    Raises:
        InputError: as `read_lines`; a line with too few or too many columns, an empty token or tag, a comment inside a
            sentence, no sentence at all.
    """
    lines = read_lines(path, encoding=encoding)
    reading = _Sentences(path, header, words)
    tabs = _has_tabs(lines)
    for number, line in enumerate(lines, 1):
        if not line.strip(_BLANK) or line.lstrip(_BLANK).startswith("-DOCSTART-"):
            reading.end()
        elif _is_comment(line, tabs):
            reading.comment(number, line)
        else:
            reading.token(number, line, _fields(line) if tabs else re.split(" +", line.strip(_BLANK)))
    return reading.done()


def _fields(line: str) -> list[str]:
    """What stands between TABs; white space around a field is no part of it."""
    return [field.strip() for field in line.split("\t")]


def _has_tabs(lines: Sequence[str]) -> bool:
    """Whether TABs stand between the columns: in the first line that cannot be but a token's."""
    stripped = (line.strip(_BLANK) for line in lines)
    tokens = (line for line in stripped if line and not line.startswith(("#", "-DOCSTART-")))
    return "\t" in next(tokens, "")


def _is_comment(line: str, tabs: bool) -> bool:
    if tabs:
        return line.startswith("# ") and "\t" not in line
    return bool(line.startswith("# ") and _COMMENT.fullmatch(line))


def read_conllu(path: Path, *, words: str = "form", encoding: str = "utf-8") -> Table:
    """Reads CoNLL-U, columns `CONLLU`; the lines of multiword tokens (``3-4``) and empty nodes (``5.1``) are skipped.

    Args:
        path: the file.
        words: the column of the tokens.
        encoding: its encoding.

    Raises:
        InputError: as `read_columns`, or a line without a token's number.
    """
    reading = _Sentences(path, CONLLU, words)
    for number, line in enumerate(read_lines(path, encoding=encoding), 1):
        fields = _fields(line)
        if not line.strip(_BLANK):
            reading.end()
        elif line.startswith("#"):
            reading.comment(number, line)
        elif not re.fullmatch(r"\d+([-.]\d+)?", fields[0]):
            raise InputError(f"{path}, line {number}: a token's number expected before the first TAB: {shown(line)}")
        elif fields[0].isdigit():
            reading.token(number, line, fields)
    return reading.done()


def read_tagged_words(
    path: Path, header: Sequence[str] = (), *, sign: str, words: str = "word", encoding: str = "utf-8"
) -> Table:
    """Reads a sentence a line, each word with its tag behind a sign, as in ``the/DET dog/NOUN``.

    The last sign of a word is the one before its tag. The columns are called word and tag, or as ``header`` says.

    Raises:
        InputError: as `read_lines`; an unknown column, not two of them, or a word without a tag.
    """
    header = header or ("word", "tag")
    if len(header) != 2:
        raise InputError(f"{path}: {len(header)} columns, expected 2, those of the words and of their tags")
    reading = _Sentences(path, header, words)
    for number, line in enumerate(read_lines(path, encoding=encoding), 1):
        for each in line.split():
            word, found, tag = each.rpartition(sign)
            if not (found and word and tag):
                raise InputError(f"{path}, line {number}: {shown(each)}, expected WORD{sign}TAG")
            reading.token(number, line, (word, tag))
        reading.end()
    return reading.done()


def read_three_files(folder: Path, *, encoding: str = "utf-8") -> Table:
    """Reads the files ``seq.in`` (tokens), ``seq.out`` (tags) and ``label`` of a folder, all a sentence a line.

    The columns are called as the files, that of the sentence's label ``# label``.

    Raises:
        InputError: as `read_lines`; files of unlike length, a line with more or fewer tags than tokens, an empty line.
    """
    paths = [folder / name for name in _THREE_FILES]
    rows = _parallel(paths, encoding)
    tokens, tags = ([re.split("[ \t]+", row[i].strip(_BLANK)) for row in rows] for i in (0, 1))
    for number, (words, own) in enumerate(zip(tokens, tags, strict=True), 1):
        if len(words) != len(own):
            raise InputError(f"{paths[1]}, line {number}: {len(own)} tags, but {paths[0]} has {len(words)} tokens")
    return Table(
        source=str(paths[0]),
        columns={"seq.in": tokens, "seq.out": tags, "# label": [row[2].strip() for row in rows]},
        lines=[[number] * len(words) for number, words in enumerate(tokens, 1)],
        files={"seq.out": str(paths[1]), "# label": str(paths[2])},
    )


def _parallel(paths: Sequence[Path], encoding: str) -> list[tuple[str, ...]]:
    """The lines of several files side by side."""
    files = [read_lines(path, encoding=encoding) for path in paths]
    most = max(map(len, files))
    for path, lines in zip(paths, files, strict=True):
        empty = next((i for i, line in enumerate(lines) if not line.strip()), None)
        if empty is not None:
            raise InputError(f"{path}, line {empty + 1}: an empty line")
        if len(lines) < most:
            others = ", ".join(str(other) for other, its in zip(paths, files, strict=True) if len(its) == most)
            raise InputError(f"{path}, line {len(lines) + 1}: the file has ended, but {others} has {most} lines")
    return list(zip(*files, strict=True))


def _columns(path: Path, words: str, reading: Reading) -> Table:
    if not reading.header:
        raise InputError(f"{path}: a column file needs `columns`, the names of its columns")
    return read_columns(path, reading.header, words=words, encoding=reading.encoding)


def _conllu(path: Path, words: str, reading: Reading) -> Table:
    return read_conllu(path, words=words, encoding=reading.encoding)


def _tagged_words(sign: str, path: Path, words: str, reading: Reading) -> Table:
    return read_tagged_words(path, reading.header, sign=sign, words=words, encoding=reading.encoding)


TOKEN_FORMATS: dict[str, Callable[[Path, str, Reading], Table]] = {
    ".conllu": _conllu,
    "columns": _columns,
    "conllu": _conllu,
    "word/TAG": partial(_tagged_words, "/"),
    "word:TAG": partial(_tagged_words, ":"),
    "word_TAG": partial(_tagged_words, "_"),
}
"""What reads all columns of a file of tokens that is no table of lists, by its ending or by the key ``format``."""
_TABLES = (  # formats in which a value is a list, or a text that is written as one
    *(".csv", ".jsonl", ".ndjson", ".json", ".parquet"),
    *("csv", "tsv", "jsonl", "json", "parquet"),
)


def read_sentences(path: Path, wanted: Sequence[str] = (), *, words: str, reading: Reading = Reading()) -> Table:
    """Reads any form of tokens: a folder of three files, CoNLL-U, lists in csv, jsonl, json or parquet, or columns.

    Args:
        path: the file or folder.
        wanted: the columns that are read of a table of lists, that of the tokens among them; others are read whole.
        words: the column of the tokens.
        reading: how it is read.

    Raises:
        InputError: as the reader of the form, or no ``reading.header`` where one is needed.
    """
    if path.is_dir():
        if words != _THREE_FILES[0]:
            raise InputError(f"{path}: {unknown_name('column of tokens', words, _THREE_FILES[:1])}")
        return read_three_files(path, encoding=reading.encoding)
    kind = reading.format or ending(path)
    if kind in _TABLES:
        return read_file(path, wanted, reading)
    if kind in TOKEN_FORMATS:
        return TOKEN_FORMATS[kind](path, words, reading)
    if reading.format is not None:
        raise InputError(f"{path}: {unknown_name('format of tokens', kind, [*TOKEN_FORMATS, *_TABLES])}")
    return _columns(path, words, reading)
