"""What files of examples hold, guessed from their names and contents: text and label, the kind of task, the splits.

A guess is what a task file would say of them, and `graphmtl.data.task_file` reads it as it reads such a file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphmtl.data.file_forms import read_guessed, read_held_out
from graphmtl.data.kind import default_kind, kind_class
from graphmtl.data.label_set import sort_labels
from graphmtl.data.readers import ending
from graphmtl.data.remarks import about_texts
from graphmtl.data.roles import roles
from graphmtl.data.split_files import ENDINGS, long_task_name, split_files, task_name, training_files
from graphmtl.errors import InputError, shown

__all__ = ["Guess", "guess_tasks", "is_data"]


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A task as it was guessed.

    Args:
        name: its name, that of the file.
        keys: the keys of a task file; a file is a `Path`.
        rows: how many rows each split has that is a file.
        counts: how often each label or tag stands in the training rows, in the order of the labels; of a regression
            nothing.
        about: which scores a regression has.
        remarks: what looks wrong.
        columns: the columns of the training file.
    """

    name: str
    keys: Mapping[str, Any]
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    about: str
    remarks: tuple[str, ...]
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """One line: what was guessed of the file."""
        text = " and ".join(self.keys.get("text", ())) or self.keys["tokens"]
        return (
            f"{self.keys['train']}: guessed task {self.name!r}, {self.kind}, reads {text}, learns {self.keys['label']} "
            f"({self.answers}); {self.splits}"
        )

    @property
    def kind(self) -> str:
        return self.keys.get("kind", default_kind())

    @property
    def answers(self) -> str:
        """The labels with their counts, the most frequent ones of many; or which scores there are."""
        most = Counter(self.counts).most_common(10)
        named = [f"{label} {self.counts[label]:,}" for label in self.counts if label in dict(most)]
        rest = [f"{len(self.counts) - len(most)} more"] if len(self.counts) > len(most) else []
        return self.about or ", ".join([*named, *rest])

    @property
    def splits(self) -> str:
        """How many rows there are, and how they are split."""
        found = ", ".join(f"{rows:,} rows in {split}" for split, rows in self.rows.items())
        parts = {
            "test": "a fifth for test",
            "valid": f"a tenth {'' if 'test' in self.rows else 'of the rest '}for valid",
        }
        cut = " and ".join(what for split, what in parts.items() if split not in self.rows)
        return f"{found}, {cut} cut off train" if cut else found


def is_data(name: str) -> bool:
    """Whether a name is that of a file, or of a folder of files, whose task can be guessed."""
    path = Path(name)
    try:
        if path.is_file():
            return path.suffix.lower() not in (".yaml", ".yml")
        if ending(path) in ENDINGS:
            return True  # and missing, as the reader says
        treebank = path.is_dir() and any(each for form in ("txt", "conllu") for each in path.glob(f"*train.{form}"))
        return path.is_dir() and not treebank and bool(training_files(path))
    except (OSError, ValueError):  # too long for a name, or with a character that none may have
        return False


def guess_tasks(paths: Sequence[Path]) -> list[Guess]:
    """A task for every file; files that are named as the splits of one task are one.

    Args:
        paths: files, or folders with the files of splits in them.

    Raises:
        InputError: a file cannot be read, or no text or no label can be told among its columns, which are named.
    """
    groups: dict[Path, dict[str, Path]] = {}
    for path in paths:
        trains = training_files(path) if path.is_dir() else [path]
        if not trains:
            raise InputError(f"{path}: a folder without a file for training, such as train.csv")
        for train in trains:
            splits = split_files(train)
            groups.setdefault(splits["train"], splits)
    names = [task_name(path) for path in groups]
    short = len(set(names)) == len(names)
    return [_guess(task_name(path) if short else long_task_name(path), splits) for path, splits in groups.items()]


def _guess(name: str, splits: Mapping[str, Path]) -> Guess:
    table, reading = read_guessed(splits["train"])
    keys, remarks = roles(table, splits["train"])
    if "columns" in reading and "tokens" not in keys:
        own = dict(zip((*keys["text"], keys["label"]), (*_named(keys["text"]), "label"), strict=True))
        reading["columns"] = [own.get(column, column) for column in reading["columns"]]
        table = replace(table, columns={own.get(column, column): each for column, each in table.columns.items()})
        keys |= {"text": _named(keys["text"]), "label": "label"}
    held_out, unread = read_held_out(splits, reading, table, keys)
    remarks += unread
    kind = kind_class(keys.get("kind", default_kind()))
    survey = kind.survey(table, held_out, keys["label"])
    keys |= {"missing": [*survey.missing]} if survey.missing else {}
    if survey.counts and "tokens" not in keys and (new := kind.unseen(held_out, keys["label"], survey)):
        keys["labels"] = sort_labels([*survey.counts, *new])
        remarks.append(f"labels that stand in no training row: {', '.join(map(shown, sorted(new)))}")
    remarks += [*survey.remarks, *about_texts(table, held_out, keys)]
    files = {split: splits[split] if split in held_out else size for split, size in (("valid", 0.1), ("test", 0.2))}
    return Guess(
        name=name,
        keys={"train": splits["train"], **files, **reading, **keys},
        rows={split: len(each) for split, each in {"train": table, **held_out}.items()},
        counts=survey.counts,
        about=survey.about,
        remarks=tuple(remarks),
        columns=tuple(table.columns),
    )


def _named(text: Sequence[str]) -> tuple[str, ...]:
    """What columns of text are called that have no name in their file."""
    return ("text",) if len(text) == 1 else ("text", "text_pair")
