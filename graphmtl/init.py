"""``python -m graphmtl.init FILE ...``: write a task file for files of examples, their columns guessed."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.data.guessing import Guess, guess_tasks
from graphmtl.files import check_output, write_whole
from graphmtl.verbosity import say

__all__ = ["main", "task_file_text"]

_WIDTH = 120  # of a line of labels in a comment
_WORD = re.compile(r"(\.\./)*[A-Za-z_][\w./-]*")
_NO_TEXTS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")  # words that YAML takes for something else


def task_file_text(guesses: Sequence[Guess], folder: Path) -> str:
    """A task file, with comments.

    Args:
        guesses: its tasks.
        folder: where the file is to stand; its paths are relative to it.
    """
    lines = ["# Written by `graphmtl init`: what stands here was guessed from the files. Every key is described at the"]
    lines += ["# top of graphmtl/data/task_file.py.", "tasks:"]
    for guess in guesses:
        lines += [f"  {_yaml(guess.name)}:", *(f"    {line}" for line in _task(guess, folder))]
    return "\n".join(lines) + "\n"


def _task(guess: Guess, folder: Path) -> Iterator[str]:
    yield from _comment(guess.splits)
    yield from _comment(f"columns: {', '.join(guess.columns)}")
    label = "scores" if guess.about else "labels"
    yield from _comment(f"{label}: {guess.about or ', '.join(f'{name} {n:,}' for name, n in guess.counts.items())}")
    for remark in guess.remarks:
        yield from _comment(f"look: {remark}")
    for key, value in guess.keys.items():
        yield f"{key}: {_value(value, folder)}"


def _comment(text: str) -> Iterator[str]:
    """Lines of a comment; a label may hold anything, and no character of it ends a line."""
    line = "#"
    for word in "".join(c if c.isprintable() else " " for c in text).split():
        if len(line) + len(word) >= _WIDTH and line != "#":
            yield line
            line = "#  "
        line += f" {word}"
    yield line


def _value(value: Any, folder: Path) -> str:
    if isinstance(value, Path):
        return _yaml(_relative(value, folder))
    if isinstance(value, list | tuple):
        items = [_yaml(each) for each in value]
        return items[0] if len(items) == 1 and isinstance(value, tuple) else f"[{', '.join(items)}]"
    return _yaml(value)


def _relative(path: Path, folder: Path) -> str:
    """The path of a file as seen from a folder."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return str(path.resolve())


def _yaml(value: Any) -> str:
    """A text or number in YAML, in quotes where it needs them; what JSON escapes, YAML does."""
    if isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _NO_TEXTS:
        return value
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))


def main(argv: Sequence[str]) -> None:
    """The verb ``init``.

    Raises:
        InputError: a file cannot be read or guessed, or the task file is there or cannot be written.
    """
    arguments = ARGUMENTS["init"](argv)
    output: Path = arguments.output
    check_output(output, option="--output", endings=(".yaml", ".yml"), overwrite=arguments.overwrite)
    guesses = guess_tasks(arguments.files)
    for guess in guesses:
        say(str(guess))
        say(*(f"  look: {remark}" for remark in guess.remarks)) if guess.remarks else None
    text = task_file_text(guesses, output.parent)
    write_whole(output, text)
    print(f"wrote {output}; it is trained on by: graphmtl run --tasks {output}")


if __name__ == "__main__":
    run_verb(main)
