"""Which files are the splits of one task, as their names say, and what the task is called."""

import re
from pathlib import Path

from graphmtl.data.column_files import TOKEN_FORMATS
from graphmtl.data.readers import FORMATS, ending

__all__ = ["ENDINGS", "long_task_name", "split_files", "task_name", "training_files"]

_SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "dev", "val", "development", "eval"),
    "test": ("test", "testing"),
}
ENDINGS = {*(name for name in (*FORMATS, *TOKEN_FORMATS) if name.startswith(".")), ".conll"}


def task_name(path: Path) -> str:
    """The file's name without its ending and the name of its split; of ``books/train.csv`` the folder's."""
    words = _words(path)
    split = _split_word(path)
    left = [word for i, word in enumerate(words) if i != split and word not in "-_."]
    joints = [*words[:split], *words[split + 1 :]] if split is not None else words
    name = re.sub(r"([-_.])[-_.]+", r"\1", "".join(joints)).strip("-_.") if left else path.resolve().parent.name
    return _slug(name)


def long_task_name(path: Path) -> str:
    """The same with the folder's name before it, where files of two folders are called alike."""
    return f"{_slug(path.resolve().parent.name)}.{task_name(path)}"


def _slug(name: str) -> str:
    """A name that a task may have."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"


def _words(path: Path) -> list[str]:
    """The words of a file's name without its ending, and what stands between them."""
    suffixes = {suffix.lower() for suffix in path.suffixes} & {*ENDINGS, ".gz", ".xz"}
    name = path.name
    while suffixes and Path(name).suffix.lower() in suffixes:
        name = Path(name).stem
    return [word for word in re.split(r"([-_.])", name) if word]


def _split_word(path: Path) -> int | None:
    """Which of the words names a split."""
    found = [i for i, word in enumerate(_words(path)) if any(word.lower() in own for own in _SPLITS.values())]
    return found[-1] if found else None


def split_files(path: Path) -> dict[str, Path]:
    """The file of each split, by files beside it whose names differ in the name of the split alone."""
    place = _split_word(path)
    if place is None:
        return {"train": path}
    words = _words(path)
    rest = path.name.removeprefix("".join(words))
    found: dict[str, Path] = {}
    for split, names in _SPLITS.items():
        beside = (path.with_name("".join([*words[:place], name, *words[place + 1 :]]) + rest) for name in names)
        own = next((each for each in beside if each.exists()), None)
        found |= {split: own} if own is not None else {}
    return found if "train" in found else {"train": path}


def training_files(folder: Path) -> list[Path]:
    """The files, or folders of ``seq.in``, for training in a folder; the folder itself where it has no splits."""
    if (folder / "seq.in").is_file():
        return [folder]
    inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    known = {*ENDINGS, *(f".{name}" for name in _SPLITS["train"])}
    files = [each for each in inside if (each.is_file() and ending(each) in known) or (each / "seq.in").is_file()]
    trains = []
    for each in files:
        place = _split_word(each)
        if place is not None and _words(each)[place].lower() in _SPLITS["train"]:
            trains.append(each)
    return trains
