"""Which data a run was trained and tested on: a fingerprint by content of every split, and a comparison in words.

What counts is what a model sees: texts as they are, labels by their names, in which split they stand and in which
order. File names, the name of a task set, what marks seen texts and how Arrow lays the columns out count for nothing.

Each example is written as JSON in ASCII: ``[text]``, ``[text, text_pair]``, ``[[token, ...]]`` or ``[context, [choice,
...]]``, its label as a name, a number, a list of names, or null where there is none. Of every split there are

- ``texts``: SHA-256 of the SHA-256 digests of the texts, one after the other;
- ``labels``: SHA-256 of the labels, a newline between;
- ``text_sum`` and ``example_sum``: the sum, modulo 2^256, of the digests of the texts, and of the texts with their
  labels. It does not depend on the order, and the sums of all splits together say whether examples have only moved.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from graphmtl.data.column import EachValue
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError, shown
from graphmtl.files import read_json

__all__ = ["check_data", "difference", "fingerprint", "read_fingerprint", "text_ids"]

_FORMAT = 1
_DIGEST = 32  # bytes of one
_MOST = 1 << 30  # bytes; the rows of a large split that others were cut off from take some
_DIGESTS = ("texts", "labels", "text_sum", "example_sum")
_json = json.JSONEncoder(separators=(",", ":")).encode


def fingerprint(tasks: TaskSet) -> dict:
    """The content of ``data.json``.

    Returns:
        ``{"format", "name", "tasks": {task: {split: {"examples", "rows", "texts", "labels", "text_sum",
        "example_sum"}}}}``. ``rows`` is where the source has the examples, such as ``2-181,183``, in their order; only
        where the splits have a column of that name.
    """
    texts: dict[tuple[str, str], bytes] = {}  # (corpus, split): digests, of layers once
    found: dict[str, dict] = {}
    for name, data in tasks.items():
        found[name] = {}
        for split, rows in data.splits.items():
            if (data.corpus, split) not in texts:
                texts[data.corpus, split] = _text_digests(rows)
            found[name][split] = _of_split(data.task, texts[data.corpus, split], rows)
    return {"format": _FORMAT, "name": tasks.name, "tasks": found}


def text_ids(tasks: TaskSet, split: str) -> dict[str, np.ndarray]:
    """By which the texts of a split that have a label are known: the first 64 bits of their digests.

    Returns:
        Of each task that has the split (examples,) uint64, in the split's order.
    """
    known: dict[str, np.ndarray] = {}  # of layers once
    found: dict[str, np.ndarray] = {}
    for name, data in tasks.items():
        if split in data.splits:
            rows, labelled = data.splits[split], data.task.of_kind.is_labelled
            if data.corpus not in known:
                digests = np.frombuffer(_text_digests(rows), ">u8").reshape(len(rows), _DIGEST // 8)
                known[data.corpus] = digests[:, 0].astype(np.uint64)
            kept = np.array([labelled(label) for label in EachValue(rows, "label")], dtype=bool)
            found[name] = known[data.corpus][kept]
    return found


def _text_digests(rows: Dataset) -> bytes:
    """The digests of the texts, one after the other."""
    names = [name for name in ("text", "text_pair", "tokens", "choices") if name in rows.column_names]
    columns = (EachValue(rows, name) for name in names)
    return b"".join(sha256(_json(row).encode()).digest() for row in zip(*columns, strict=True))


def _of_split(task: Task, texts: bytes, rows: Dataset) -> dict:
    labels, between, text_sum, example_sum = sha256(), b"", 0, 0
    for i, label in enumerate(EachValue(rows, "label")):
        text, named = texts[i * _DIGEST : (i + 1) * _DIGEST], _json(task.of_kind.named(label)).encode()
        labels.update(between + named)
        text_sum += int.from_bytes(text, "big")
        example_sum += int.from_bytes(sha256(text + named).digest(), "big")
        between = b"\n"
    return {
        "examples": len(rows),
        **({"rows": _ranges([*EachValue(rows, "row")])} if "row" in rows.column_names else {}),
        "texts": sha256(texts).hexdigest(),
        "labels": labels.hexdigest(),
        "text_sum": _hex(text_sum),
        "example_sum": _hex(example_sum),
    }


def _hex(total: int) -> str:
    return f"{total % 2**256:064x}"


def _ranges(rows: Sequence[int]) -> str:
    """Rows in their order, those that follow each other as a range.

    >>> _ranges([2, 3, 4, 7, 6])
    '2-4,7,6'
    """
    if not rows:
        return ""
    parts = np.split(np.asarray(rows), np.flatnonzero(np.diff(rows) != 1) + 1)
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def difference(then: Mapping[str, Any], now: Mapping[str, Any], *, in_order: bool) -> str | None:
    """What differs between two fingerprints, in words; None if nothing does.

    Args:
        then: of the run.
        now: of the data as it is read again.
        in_order: the same examples of a split in another order differ too.
    """
    ours, theirs = then["tasks"], now["tasks"]
    if set(ours) != set(theirs):
        return f"the tasks were {', '.join(ours)} and are now {', '.join(theirs)}"
    found = {name: _task_difference(ours[name], theirs[name], in_order) for name in ours}
    found = {name: words for name, words in found.items() if words}
    if not found:
        return None
    (name, words), *others = found.items()
    more = f"; {len(others)} more of its tasks differ" if len(others) > 1 else ""
    more = f"; task {others[0][0]!r} differs too" if len(others) == 1 else more
    return f"task {name!r} has {words}{more}"


def _task_difference(then: Mapping[str, Any], now: Mapping[str, Any], in_order: bool) -> str | None:
    if set(then) != set(now):
        return f"the splits {_listed([*now])}, and had {_listed([*then])}"

    def changed(*keys: str) -> list[str]:
        return [split for split in then if any(then[split][key] != now[split][key] for key in keys)]

    if texts := changed("text_sum"):
        if _total(then) == _total(now):
            count = sum(each["examples"] for each in then.values())
            return f"the same {count} texts in all, but others of them in {_listed(texts)}"
        return f"other texts in {_listed([f'{split} ({_sizes(then[split], now[split])})' for split in texts])}"
    if labels := changed("example_sum"):
        return f"the same texts, but other labels in {_listed(labels)}"
    if in_order and (moved := changed("texts", "labels")):
        return f"the same examples, but in another order in {_listed(moved)}"
    return None


def _sizes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    a, b = then["examples"], now["examples"]
    return f"{a} then and now" if a == b else f"{a} then, {b} now"


def _total(splits: Mapping[str, Any]) -> tuple[int, int]:
    """The number of texts of all splits, and the sum of their digests."""
    sums = sum(int(split["text_sum"], 16) for split in splits.values()) % 2**256
    return sum(split["examples"] for split in splits.values()), sums


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def check_data(path: Path, now: Mapping[str, Any], *, tasks: str, in_order: bool = False, otherwise: str) -> None:
    """Whether the data is that of a run; nothing is known of a run without ``data.json``.

    Args:
        path: the run's ``data.json``.
        now: the fingerprint of the data as it is read again.
        tasks: what ``--tasks`` says.
        in_order: as in :func:`difference`.
        otherwise: what can be done, for the message.

    Raises:
        InputError: the data is other data, or the file is damaged.
    """
    then = read_fingerprint(path)
    found = None if then is None else difference(then, now, in_order=in_order)
    if found:
        raise InputError(f"{path}: the data of --tasks {tasks} has changed since: {found}; {otherwise}")


def read_fingerprint(path: Path) -> dict | None:
    """What :func:`fingerprint` gave when the file was written; None where there is no file.

    Raises:
        InputError: the file is damaged, or of another format.
    """
    if not path.is_file():
        return None
    found = read_json(path, most=_MOST)
    version = found.get("format")
    if version != _FORMAT:
        raise InputError(f"{path}: format {shown(version)}; this version of graphmtl reads format {_FORMAT}")
    tasks = found.get("tasks")
    if not isinstance(tasks, dict) or not all(isinstance(splits, dict) and splits for splits in tasks.values()):
        raise InputError(f"{path}: damaged, expected `tasks` with the splits of each task")
    for name, splits in tasks.items():
        for split, own in splits.items():
            if not _is_whole(own):
                keys = ", ".join(("examples", *_DIGESTS))
                raise InputError(f"{path}: damaged, the {split} split of task {name!r} lacks one of {keys}")
    return found


def _is_whole(split: object) -> bool:
    if not isinstance(split, dict) or not isinstance(split.get("examples"), int):
        return False
    return all(isinstance(split.get(key), str) and _is_digest(split[key]) for key in _DIGESTS)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
