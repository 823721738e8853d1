"""Files of examples that tests write, and what is guessed of them."""

import json
from itertools import count
from pathlib import Path

from graphmtl.data.guessing import guess_tasks

_NUMBERS = count()  # no two texts are the same


def text(words: int = 6) -> str:
    return " ".join([*["some", "words", "of", "a", "long", "text"][: words - 1], f"w{next(_NUMBERS)}"])


def rows(labels=("good", "bad"), times: int = 20) -> list[tuple[str, str]]:
    return [(text(), label) for label in [*labels] * times]


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def csv(path: Path, *names: str, of=None, sign: str = ",") -> Path:
    return written(path, *([sign.join(names)] if names else []), *(sign.join(row) for row in of or rows()))


def jsonl(path: Path, objects) -> Path:
    return written(path, *map(json.dumps, objects))


def guess(*paths: Path):
    (found,) = guess_tasks(paths)
    return found


def roles(*paths: Path) -> dict:
    """What was guessed, without the files of the splits."""
    return {key: value for key, value in guess(*paths).keys.items() if key not in ("train", "valid", "test")}
