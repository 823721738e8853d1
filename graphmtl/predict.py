"""``python -m graphmtl.predict RUN --task NAME``: label raw text, a text a line; JSON lines come out."""

import codecs
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import BinaryIO

from graphmtl.cli import Parser, run_verb
from graphmtl.data.task import Task
from graphmtl.errors import InputError, unknown_name
from graphmtl.files import check_regular
from graphmtl.models.model import Text
from graphmtl.training.run_folder import Run

__all__ = ["main"]

_LINES_AT_ONCE = 4096  # so that memory does not grow with the file


def _open(path: str | None) -> AbstractContextManager[BinaryIO]:
    """The file, or standard input, which stays open."""
    if path is None:
        if sys.stdin.isatty():
            print("no FILE: texts are read from the terminal, one a line, until Ctrl-D", file=sys.stderr, flush=True)
        return nullcontext(sys.stdin.buffer)
    check_regular(path)  # a pipe is read where it is the standard input
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Line numbers and lines; only a newline ends a line, and the byte order mark before the first is left out."""
    for number, line in enumerate(file, 1):
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        try:
            yield number, line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}, line {number}: byte {line[error.start]:#04x} is not UTF-8") from None


def _text(line: str, task: Task, where: str, pretokenized: bool) -> Text:
    """What the task reads: the line, or for a pair its two parts, or the tokens that stand in it."""
    if pretokenized and not task.is_pair:
        return line.split()
    if not task.is_pair or not line.strip():
        return line
    first, tab, second = line.partition("\t")
    if not tab:
        raise InputError(f"{where}: task {task.name!r} reads a pair of texts with a TAB between, found no TAB")
    return first, second


def main(argv: Sequence[str]) -> None:
    """The verb ``predict``."""
    parser = Parser(prog="graphmtl predict", description="Label raw text, a text a line; JSON lines come out.")
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="UTF-8 text, a text a line (a pair: TAB between); default stdin"
    )
    parser.add_argument("--task", required=True, help="a task's name, several with commas between, or all")
    parser.add_argument(
        "--edges", action="store_true", help="also write the edge weights of each text, of tags of each token"
    )
    parser.add_argument(
        "--pretokenized", action="store_true", help="the words of a text are what spaces divide (not of pairs)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="texts read at once")
    arguments = parser.parse_intermixed_args(argv)
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size: found {arguments.batch_size}, expected 1 or more")
    model = Run.open(arguments.run).model
    names = list(model.tasks) if arguments.task == "all" else arguments.task.split(",")
    for name in names:
        if name not in model.tasks:
            raise unknown_name("task", name, [*model.tasks, "all"])
    where = arguments.file or "standard input"
    with _open(arguments.file) as file:
        lines = _lines(file, where)
        while chunk := list(islice(lines, _LINES_AT_ONCE)):
            answers = {}
            for name in names:
                texts = [
                    _text(line, model.tasks[name], f"{where}, line {number}", arguments.pretokenized)
                    for number, line in chunk
                ]
                answers[name] = model.predict(texts, name, edges=arguments.edges, batch_size=arguments.batch_size)
            for row, (number, _) in enumerate(chunk):
                for name in names:
                    print(json.dumps({"line": number, **answers[name][row]}, ensure_ascii=False))


if __name__ == "__main__":
    run_verb(main)
