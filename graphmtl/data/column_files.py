"""Column files: tokens with their tags, one token a line or one sentence a line. Errors name the file and the line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from graphmtl.data.readers import read_lines
from graphmtl.data.tags import MISSING
from graphmtl.errors import InputError, shown, unknown_name

__all__ = ["CONLLU", "Sentences", "read_columns", "read_conllu", "read_sentences", "read_three_files"]

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U (universaldependencies.org/format)."""
_THREE_FILES = ("seq.in", "seq.out", "label")
_COMMENT = re.compile(r"# *([^\s=]+) *= *(.*)")
_BLANK = " \t"


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences as they were read, with all their annotation layers.

    Args:
        source: the file they come from.
        tokens: the tokens of each sentence, at least one.
        columns: the tags of each sentence by the name of the column.
        comments: the comments of each sentence, {key: value}.
        lines: the line of each token.
        files: the files of columns and comments that stand in a file of their own, by column and comment key.
    """

    source: str
    tokens: list[list[str]]
    columns: Mapping[str, list[list[str]]]
    comments: list[dict[str, str]]
    lines: list[list[int]]
    files: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: np.ndarray) -> "Sentences":
        """Some of the sentences."""
        return Sentences(
            source=self.source,
            tokens=[self.tokens[i] for i in rows],
            columns={name: [tags[i] for i in rows] for name, tags in self.columns.items()},
            comments=[self.comments[i] for i in rows],
            lines=[self.lines[i] for i in rows],
            files=self.files,
        )

    def where(self, layer: str, i: int, j: int = 0) -> str:
        """The place of token ``j`` of sentence ``i``, for an error message about a layer."""
        return f"{self.files.get(layer, self.source)}, line {self.lines[i][j]}"

    def tags(self, column: str) -> list[list[str]]:
        """The tags of each sentence in a column, `MISSING` where there is none.

        Raises:
            InputError: there is no such column.
        """
        if column not in self.columns:
            raise InputError(f"{self.source}: {unknown_name('column', column, self.columns)}")
        return self.columns[column]

    def labels(self, key: str) -> list[str]:
        """The label of each sentence under the key of a comment, `MISSING` where there is none.

        Raises:
            InputError: no sentence has such a comment.
        """
        known = sorted({key for comments in self.comments for key in comments})
        if key not in known:
            raise InputError(f"{self.source}: {unknown_name('key of a comment', key, known)}")
        return [comments.get(key) or MISSING for comments in self.comments]


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

    def done(self) -> Sentences:
        self.end()
        if not self.sentences:
            raise InputError(f"{self.path}: the file holds no sentences")
        columns = {name: [[row[c] for row in rows] for rows in self.sentences] for c, name in enumerate(self.header)}
        return Sentences(
            source=str(self.path),
            tokens=columns.pop(self.words),
            columns=columns,
            comments=self.comments,
            lines=self.lines,
        )


def read_columns(path: Path, header: Sequence[str], *, words: str = "word", encoding: str = "utf-8") -> Sentences:
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
        if not line.strip(_BLANK) or line.startswith("-DOCSTART-"):
            reading.end()
        elif _is_comment(line, tabs):
            reading.comment(number, line)
        else:
            reading.token(number, line, line.split("\t") if tabs else re.split(" +", line.strip(" ")))
    return reading.done()


def _has_tabs(lines: Sequence[str]) -> bool:
    """Whether TABs stand between the columns: in the first line that cannot be but a token's."""
    tokens = (line for line in lines if line.strip(_BLANK) and not line.startswith(("#", "-DOCSTART-")))
    return "\t" in next(tokens, "")


def _is_comment(line: str, tabs: bool) -> bool:
    if tabs:
        return line.startswith("# ") and "\t" not in line
    return bool(line.startswith("# ") and _COMMENT.fullmatch(line))


def read_conllu(path: Path, *, words: str = "form", encoding: str = "utf-8") -> Sentences:
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
        fields = line.split("\t")
        if not line.strip(_BLANK):
            reading.end()
        elif line.startswith("#"):
            reading.comment(number, line)
        elif not re.fullmatch(r"\d+([-.]\d+)?", fields[0]):
            raise InputError(f"{path}, line {number}: a token's number expected before the first TAB: {shown(line)}")
        elif fields[0].isdigit():
            reading.token(number, line, fields)
    return reading.done()


def read_three_files(folder: Path, *, encoding: str = "utf-8") -> Sentences:
    """Reads the files ``seq.in`` (tokens), ``seq.out`` (tags) and ``label`` of a folder, all a sentence a line.

    The tags are the column ``seq.out``, the sentence's label is the comment ``label``.

    Raises:
        InputError: as `read_lines`; files of unlike length, a line with more or fewer tags than tokens, an empty line.
    """
    paths = [folder / name for name in _THREE_FILES]
    rows = _parallel(paths, encoding)
    tokens, tags = ([re.split("[ \t]+", row[i].strip(_BLANK)) for row in rows] for i in (0, 1))
    for number, (words, own) in enumerate(zip(tokens, tags, strict=True), 1):
        if len(words) != len(own):
            raise InputError(f"{paths[1]}, line {number}: {len(own)} tags, but {paths[0]} has {len(words)} tokens")
    return Sentences(
        source=str(paths[0]),
        tokens=tokens,
        columns={"seq.out": tags},
        comments=[{"label": row[2].strip()} for row in rows],
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


def read_sentences(path: Path, *, header: Sequence[str], words: str, encoding: str = "utf-8") -> Sentences:
    """Reads any of the forms: a folder of three files, ``.conllu``, or a column file otherwise.

    Args:
        path: the file or folder.
        header: the names of the columns of a column file.
        words: the column of the tokens.
        encoding: the encoding.

    Raises:
        InputError: as the reader of the form, or no ``header`` where one is needed.
    """
    if path.is_dir():
        if words != _THREE_FILES[0]:
            raise InputError(f"{path}: {unknown_name('column of tokens', words, _THREE_FILES[:1])}")
        return read_three_files(path, encoding=encoding)
    if path.suffix == ".conllu":
        return read_conllu(path, words=words, encoding=encoding)
    if not header:
        raise InputError(f"{path}: a column file needs `columns`, the names of its columns")
    return read_columns(path, header, words=words, encoding=encoding)
