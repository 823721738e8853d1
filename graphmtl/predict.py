"""``python -m graphmtl.predict RUN --task NAME``: label raw text, a text a line; JSON lines come out."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

from graphmtl.cli import Parser, run_verb
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.training.run_folder import Run

__all__ = ["main"]

_LINES_AT_ONCE = 4096  # so that memory does not grow with the file


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Line numbers and lines; only a newline ends a line."""
    for number, line in enumerate(file, 1):
        try:
            yield number, line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}, line {number}: byte {line[error.start]:#04x} is not UTF-8") from None


def _text(line: str, task: Task, where: str) -> str | tuple[str, str]:
    """What the task reads: the line, or for a pair its two parts."""
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
    parser.add_argument("--edges", action="store_true", help="also write the edge weights of each text")
    parser.add_argument("--batch-size", type=int, default=64, help="texts read at once")
    arguments = parser.parse_args(argv)
    model = Run.open(arguments.run).model
    tasks = list(model.tasks) if arguments.task == "all" else arguments.task.split(",")
    name = arguments.file or "standard input"
    try:
        file = open(arguments.file, "rb") if arguments.file else sys.stdin.buffer  # noqa: SIM115  read to its end
    except OSError as error:
        raise InputError(f"{arguments.file}: cannot be read ({error.strerror})") from None
    lines = _lines(file, name)
    while chunk := list(islice(lines, _LINES_AT_ONCE)):
        answers = {}
        for task in tasks:
            known = model.tasks.get(task)
            texts = [_text(line, known, f"{name}, line {number}") if known else line for number, line in chunk]
            answers[task] = model.predict(texts, task, edges=arguments.edges, batch_size=arguments.batch_size)
        for row, (number, _) in enumerate(chunk):
            for task in tasks:
                print(json.dumps({"line": number, **answers[task][row]}, ensure_ascii=False))


if __name__ == "__main__":
    run_verb(main)
