"""What ``--tasks`` means: names of the catalog, some of their tasks, YAML files, and several of these joined."""

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import NoneType
from typing import Any

from graphmtl.config import listed
from graphmtl.data.catalog import TASK_SETS, Settings, find_set, is_path, is_task_file, is_treebank
from graphmtl.data.guessing import is_data
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.shuffled import shuffle_labels as shuffled
from graphmtl.data.source import Source, SourceSet
from graphmtl.data.splits import build
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.data.task_file import given_tasks
from graphmtl.errors import InputError, check_kind, check_whole, note, unknown_name

__all__ = ["IN_MEMORY", "join_tasks", "load_tasks", "open_sources"]


IN_MEMORY = "(in memory)"
"""What stands in config.yaml for ``--tasks`` where a run was trained on data at hand in Python."""


def load_tasks(
    tasks: Path | str | Mapping[str, Any] = "planted",
    *,
    data_dir: Path | str | None = None,
    seed: int = 0,
    only: str | None = None,
    max_train: int = 0,
    shuffle_labels: bool = False,
    keep_overlap: bool = False,
    planted: PlantedOptions = PlantedOptions(),
) -> TaskSet:
    """Loads the tasks of a run.

    Args:
        tasks: a name of the catalog (``fdu-mtl``), a treebank's folder (``ud-ewt``, or a path), some tasks of a set
            (``fdu-mtl:books,dvd``), a YAML file, a file of examples whose columns are guessed
            (`graphmtl.data.guessing`), or several of these joined by ``+``. A task name that two of them
            share gets the set's name before it. Or data at hand, by the tasks' names: pandas DataFrames, data sets of
            the datasets library, or lists; see `graphmtl.data.task_file.given_tasks`.
        data_dir: folder with one folder per data set; without it the environment variable ``GRAPHMTL_DATA``.
        seed: the seed of the validation splits that are cut off, and of the generated texts.
        only: names of the tasks of these that are kept, with commas between; None keeps all.
        max_train: so many training examples of a task at most, drawn as the validation splits are; 0: all.
        shuffle_labels: permute the labels of each task's training split, so that nothing can be learned.
        keep_overlap: keep training examples whose text stands in another task's validation or test split.
        planted: options of the generated task set.

    Raises:
        InputError: whatever is wrong with the name, the files or the data.
    """
    check_whole("seed", seed)
    check_whole("max_train", max_train)
    check_kind("only", only, (str, NoneType), "names of tasks with commas between, or None")
    check_kind("data_dir", data_dir, (str, os.PathLike, NoneType), "a folder, or None")
    check_kind("planted", planted, PlantedOptions, "PlantedOptions")
    chosen = _chosen(tasks, data_dir, seed, planted)
    names = _kept(_names_in_run(chosen), only)
    sources = {
        new: part.source_set.sources[old]() for part, renamed in zip(chosen, names, strict=True) for old, new in renamed
    }
    truths = [
        part.source_set.truth.restricted(dict(renamed))
        for part, renamed in zip(chosen, names, strict=True)
        if part.source_set.truth
    ]
    data = _read_alike(build(sources, seed=seed, keep_overlap=keep_overlap, max_train=max_train))
    _note_other_orders([each.task for each in data])
    return TaskSet(
        name=_slug("-".join([*(part.slug for part in chosen), *(only.split(",") if only else ())])),
        data=[shuffled(each, seed=seed) for each in data] if shuffle_labels else data,
        truth=truths[0] if truths else None,
        loaded_with={
            "tasks": IN_MEMORY if isinstance(tasks, Mapping) else str(tasks),
            "data_dir": None if data_dir is None else str(data_dir),
            "seed": seed,
            "only": only,
            "max_train": max_train,
            "shuffle_labels": shuffle_labels,
            "keep_overlap": keep_overlap,
            **(asdict(planted) if truths else {}),  # planted alone has a true graph
        },
    )


def _note_other_orders(tasks: Sequence[Task]) -> None:
    """Says which tasks have the same labels in another order, and so are not taken for alike."""
    first: dict[tuple, Task] = {}
    for task in tasks:
        other = first.setdefault((task.kind, frozenset(task.labels)), task)
        if other.labels != task.labels:
            note(
                f"task {task.name!r} has the labels of {other.name!r} in another order ({', '.join(task.labels)}), so "
                "that they share no head and no baseline; `labels` in its section of a task file gives their order"
            )


def _read_alike(data: Sequence[TaskData]) -> list[TaskData]:
    """The tasks, those over the same texts with the same ``max_length``, and ``whole`` where one speaks of each token:
    texts are read once for all tasks, and a task alone must be read as it was learned."""
    corpora: dict[str, list[TaskData]] = {}
    for each in data:
        corpora.setdefault(each.corpus, []).append(each)
    return [replace(each, task=_as_read_with(each.task, corpora[each.corpus])) for each in data]


def _as_read_with(task: Task, others: Sequence[TaskData]) -> Task:
    limits = {each.task.max_length for each in others}
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    if len(limits) > 1 and task is others[0].task:  # said once
        kept = "as much as --max-length says" if longest is None else f"{longest} tokens"
        note(f"{', '.join(each.task.name for each in others)}: tasks over the same texts are read alike, {kept}")
    of_tokens = any(each.task.of_kind.reads_tokens for each in others)
    return replace(task, max_length=longest, whole=of_tokens and not task.of_kind.reads_tokens)


def open_sources(
    tasks: Path | str | Mapping[str, Any],
    *,
    data_dir: Path | str | None = None,
    seed: int = 0,
    planted: PlantedOptions = PlantedOptions(),
) -> dict[str, Callable[[], Source]]:
    """What reads each task, by its name in a run; nothing is read yet. The arguments are those of `load_tasks`.

    Raises:
        InputError: whatever is wrong with the name or the task file.
    """
    chosen = _chosen(tasks, data_dir, seed, planted)
    names = _names_in_run(chosen)
    return {
        new: part.source_set.sources[old] for part, renamed in zip(chosen, names, strict=True) for old, new in renamed
    }


def _chosen(
    tasks: Path | str | Mapping[str, Any], data_dir: Path | str | None, seed: int, planted: PlantedOptions
) -> list["_Part"]:
    """The parts of what was asked for."""
    if isinstance(tasks, Mapping):
        source_set = given_tasks(tasks)
        return [_Part(source_set=source_set, tasks=tuple(source_set.sources), slug="-".join(["memory", *tasks]))]
    if not isinstance(tasks, str | Path):
        raise InputError(f"tasks: found a {type(tasks).__name__}, expected a name, a file, or {{NAME: DATA}}")
    _check_kept(str(tasks))
    find = _finder(data_dir, seed, planted)
    return [_choose(part, find) for part in _parts(str(tasks))]


def _check_kept(tasks: str) -> None:
    """Whether the data of a run are more than what a Python process had in memory."""
    if tasks == IN_MEMORY:
        raise InputError(
            f"--tasks {tasks}: the run was trained on data in memory, which is not kept; its model predicts, `graphmtl "
            "evaluate RUN --tasks FILE` scores it on a file, and graphmtl.train takes the data again"
        )


def join_tasks(
    tasks: str,
    new: str,
    *,
    only: str | None = None,
    data_dir: Path | str | None = None,
    seed: int = 0,
    planted: PlantedOptions = PlantedOptions(),
) -> tuple[str, list[str]]:
    """What ``--tasks`` takes for the tasks of a run and new ones, and the names of the new ones.

    ``new`` is like ``tasks``, but a task of one of the run's sets may be spoken of by its name alone; the rest is as in
    `load_tasks`.

    Raises:
        InputError: a new task has the name of a task of the run, or no set has it.
    """
    _check_kept(tasks)
    find = _finder(data_dir, seed, planted)
    if only is not None:
        tasks = _written_out(tasks, only, find)
    sets = [_set_and_tasks(part)[0] for part in _parts(tasks)]
    parts = [_with_its_set(part, sets, find) for part in _parts(new)]
    old = [_choose(part, find) for part in _parts(tasks)]
    known = [name for part in _names_in_run(old) for _, name in part]
    added = [_choose(part, find) for part in parts]
    for name in (name for part in added for name in part.tasks):
        if name in known or name in {task for part in old for task in part.tasks}:
            raise InputError(f"task {name!r} is in the graph already (its tasks: {', '.join(known)})")
    return "+".join([tasks, *parts]), [name for part in _names_in_run([*old, *added])[len(old) :] for _, name in part]


def _written_out(tasks: str, only: str, find: Callable[[str], SourceSet]) -> str:
    """``--tasks`` and ``--only`` as ``--tasks`` alone: ``planted`` and ``child1`` as ``planted:child1``."""
    chosen = [_choose(part, find) for part in _parts(tasks)]
    kept = [",".join(old for old, _ in part) for part in _kept(_names_in_run(chosen), only)]
    sets = [_set_and_tasks(part)[0] for part in _parts(tasks)]
    return "+".join(f"{name}:{own}" for name, own in zip(sets, kept, strict=True) if own)


def _with_its_set(part: str, sets: Sequence[str], find: Callable[[str], SourceSet]) -> str:
    """``books`` as ``fdu-mtl:books`` where one of the sets has it; all else as it is."""
    if ":" in part or is_task_file(part) or is_data(part) or is_treebank(part):
        return part
    own = [name for name in dict.fromkeys(sets) if part in find(name).sources]
    if part in TASK_SETS and not own:
        return part
    if len(own) != 1:
        known = sorted({task for name in sets for task in find(name).sources})
        raise InputError(f"{unknown_name('task', part, known)}, a task set with NAME:TASK, or a .yaml file")
    return f"{own[0]}:{part}"


def _finder(data_dir: Path | str | None, seed: int, planted: PlantedOptions) -> Callable[[str], SourceSet]:
    """What finds a set by its name; of one that is named twice, nothing is read twice."""
    folder = data_dir or os.environ.get("GRAPHMTL_DATA")
    return cache(
        partial(find_set, settings=Settings(data_dir=Path(folder) if folder else None, seed=seed, planted=planted))
    )


def _parts(tasks: str) -> list[str]:
    """What stands between the ``+``; of a path, with or without tasks behind it, a ``+`` is a part."""
    pieces, parts = tasks.split("+"), []
    while pieces:
        longest = next((n for n in range(len(pieces), 1, -1) if _is_path("+".join(pieces[:n]))), 1)
        parts.append("+".join(pieces[:longest]))
        pieces = pieces[longest:]
    return parts


def _is_path(part: str) -> bool:
    """Whether a part is a path, perhaps with tasks behind it, and every ``+`` one of the path's."""
    name, wanted = _set_and_tasks(part)
    return is_path(name) and "+" not in wanted


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One part of ``--tasks``: a task set, the tasks of it that are asked for, and a short name of the two."""

    source_set: SourceSet
    tasks: tuple[str, ...]
    slug: str


def _set_and_tasks(part: str) -> tuple[str, str]:
    """``fdu-mtl:books,dvd`` as ``fdu-mtl`` and ``books,dvd``; of a whole set the second is empty."""
    colons = [i for i, sign in enumerate(part) if sign == ":"]
    path = next((part[:i] for i in [len(part), *reversed(colons)] if is_path(part[:i])), None)  # it may hold a colon
    name = part.partition(":")[0] if path is None or path in TASK_SETS else path
    return name, part[len(name) + 1 :]


def _choose(text: str, find: Callable[[str], SourceSet]) -> _Part:
    name, wanted = _set_and_tasks(text)
    source_set = find(name)
    if ":" not in text.removeprefix(name):
        return _Part(source_set=source_set, tasks=tuple(source_set.sources), slug=source_set.name)
    tasks = tuple(task.strip() for task in wanted.split(","))
    for task in tasks:
        if task not in source_set.sources:
            raise unknown_name(f"task of {name}", task, source_set.sources)
    return _Part(source_set=source_set, tasks=tasks, slug="-".join([source_set.name, *tasks]))


def _names_in_run(chosen: Sequence[_Part]) -> list[list[tuple[str, str]]]:
    """The (name in its set, name in the run) of each part's tasks: the set's name goes before a name that two share."""
    count = Counter(task for part in chosen for task in part.tasks)
    names = [
        [(task, task if count[task] == 1 else f"{_slug(part.source_set.name)}.{task}") for task in part.tasks]
        for part in chosen
    ]
    repeated = [new for new, times in Counter(new for part in names for _, new in part).items() if times > 1]
    if repeated:
        those = [part.source_set for part, own in zip(chosen, names, strict=True) if repeated[0] in dict(own).values()]
        raise _repeated(repeated[0], those)
    return names


def _repeated(task: str, sets: Sequence[SourceSet]) -> InputError:
    """The error for a task that several parts ask for: the same one, or those of sets that are called alike."""
    if all(each is sets[0] for each in sets):
        return InputError(f"task {task!r} is asked for more than once")
    return InputError(
        f"task {task!r} is asked for more than once: several task sets are called {sets[0].name!r}; to tell them apart "
        "give one another name by the key `name` of its file"
    )


def _kept(names: list[list[tuple[str, str]]], only: str | None) -> list[list[tuple[str, str]]]:
    """Of each part's (name in its set, name in the run) those that ``--only`` names."""
    if only is None:
        return names
    wanted = listed(only)
    known = [new for part in names for _, new in part]
    for task in wanted:
        if task not in known:
            raise unknown_name("task of only (--only)", task, known)
    return [[pair for pair in part if pair[1] in wanted] for part in names]


def _slug(name: str) -> str:
    """A name fit for a folder, of 40 characters at most."""
    slug = re.sub(r"[^\w.]+", "-", name).strip("-.")
    return slug if len(slug) <= 40 else f"{slug[:31].strip('-.')}-{zlib.crc32(name.encode()):08x}"
