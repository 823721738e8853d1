"""The named task sets, and what ``--tasks`` means. A task set is a function here and a line in ``TASK_SETS``."""

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from graphmtl.config import PlantedOptions
from graphmtl.data.planted import generate
from graphmtl.data.readers import read_label_tab_text
from graphmtl.data.source import Source, SourceSet
from graphmtl.data.splits import build
from graphmtl.data.task import Task, TaskSet
from graphmtl.data.task_file import read_task_file
from graphmtl.errors import InputError, unknown_name

__all__ = ["TASK_SETS", "Settings", "load_tasks"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a task set is loaded with."""

    data_dir: Path | None
    seed: int
    planted: PlantedOptions

    def folder(self, name: str) -> Path:
        """The data set's folder in the data folder.

        Raises:
            InputError: no data folder was given, or it holds no such folder.
        """
        if self.data_dir is None:
            raise InputError(f"task set {name!r} needs a data folder: give --data-dir or set GRAPHMTL_DATA")
        if not self.data_dir.is_dir():
            raise InputError(f"data folder {self.data_dir} does not exist")
        if not (self.data_dir / name).is_dir():
            raise InputError(f"data folder {self.data_dir} holds no folder {name!r}")
        return self.data_dir / name


def planted(settings: Settings) -> SourceSet:
    """The generated task set with a known task graph (`graphmtl.data.planted`)."""
    generated = generate(settings.planted, seed=settings.seed)
    sources = {name: partial(generated.sources.__getitem__, name) for name in generated.sources}
    return SourceSet(name="planted", sources=sources, truth=generated.truth)


_FDU_MTL = """
    apparel baby books camera_photo dvd electronics health_personal_care imdb
    kitchen_housewares magazines MR music software sports_outdoors toys_games video
"""


def fdu_mtl(settings: Settings) -> SourceSet:
    """FDU-MTL: sentiment of reviews in 16 domains (Liu, Qiu, Huang, ACL 2017, arXiv 1704.05742).

    ``fdu-mtl/DOMAIN.task.{train,test}``: label TAB tokenised text. 200 training examples of each domain are the
    validation split, as in the paper. The lines of MR and dvd that are not UTF-8 are latin-1.
    """
    folder = settings.folder("fdu-mtl")
    return SourceSet(
        name="fdu-mtl", sources={name: partial(_fdu_mtl_source, folder, name) for name in _FDU_MTL.split()}
    )


def _fdu_mtl_source(folder: Path, name: str) -> Source:
    fallback = "latin-1" if name in ("MR", "dvd") else None
    return Source(
        task=Task(name=name, labels=("0", "1")),
        names={"0": "negative", "1": "positive"},
        train=read_label_tab_text(folder / f"{name}.task.train", fallback=fallback),
        valid=200,
        test=read_label_tab_text(folder / f"{name}.task.test", fallback=fallback),
    )


TASK_SETS: dict[str, Callable[[Settings], SourceSet]] = {
    "planted": planted,
    "fdu-mtl": fdu_mtl,
}


def load_tasks(
    tasks: str = "planted",
    *,
    data_dir: Path | str | None = None,
    seed: int = 0,
    keep_overlap: bool = False,
    planted: PlantedOptions = PlantedOptions(),
) -> TaskSet:
    """Loads the tasks of a run.

    Args:
        tasks: a name of the catalog (``fdu-mtl``), some of its tasks (``fdu-mtl:books,dvd``), a YAML file, or several
            of these joined by ``+``. A task name that two of them share gets the set's name before it.
        data_dir: folder with one folder per data set; without it the environment variable ``GRAPHMTL_DATA``.
        seed: the seed of the validation splits that are cut off, and of the generated texts.
        keep_overlap: keep training examples whose text stands in another task's validation or test split.
        planted: options of the generated task set.

    Raises:
        InputError: whatever is wrong with the name or the files.
    """
    folder = data_dir or os.environ.get("GRAPHMTL_DATA")
    settings = Settings(data_dir=Path(folder) if folder else None, seed=seed, planted=planted)
    parts = [tasks] if Path(tasks).is_file() else tasks.split("+")  # a file's name may hold a +
    chosen = [_choose(part, settings) for part in parts]
    names = _names_in_run(chosen)
    sources = {
        new: part.source_set.sources[old]() for part, renamed in zip(chosen, names, strict=True) for old, new in renamed
    }
    truths = [
        part.source_set.truth.restricted(dict(renamed))
        for part, renamed in zip(chosen, names, strict=True)
        if part.source_set.truth
    ]
    return TaskSet(
        name=_slug("-".join(part.slug for part in chosen)),
        data=build(sources, seed=seed, keep_overlap=keep_overlap),
        truth=truths[0] if truths else None,
        loaded_with={
            "tasks": tasks,
            "data_dir": None if data_dir is None else str(data_dir),
            "seed": seed,
            "keep_overlap": keep_overlap,
            **asdict(planted),
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One part of ``--tasks``: a task set, the tasks of it that are asked for, and a short name of the two."""

    source_set: SourceSet
    tasks: tuple[str, ...]
    slug: str


def _choose(text: str, settings: Settings) -> _Part:
    name, colon, wanted = (text, "", "") if _is_file(text) else text.partition(":")
    source_set = _find(name, settings)
    if not colon:
        return _Part(source_set=source_set, tasks=tuple(source_set.sources), slug=source_set.name)
    tasks = tuple(task.strip() for task in wanted.split(","))
    for task in tasks:
        if task not in source_set.sources:
            raise unknown_name(f"task of {name}", task, source_set.sources)
    return _Part(source_set=source_set, tasks=tasks, slug="-".join([source_set.name, *tasks]))


def _find(name: str, settings: Settings) -> SourceSet:
    if _is_file(name):
        return read_task_file(Path(name))
    if name not in TASK_SETS:
        raise InputError(f"{unknown_name('task set', name, TASK_SETS)}, or a .yaml file")
    return TASK_SETS[name](settings)


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _names_in_run(chosen: Sequence[_Part]) -> list[list[tuple[str, str]]]:
    """The (name in its set, name in the run) of each part's tasks: the set's name goes before a name that two share."""
    count = Counter(task for part in chosen for task in part.tasks)
    names = [
        [(task, task if count[task] == 1 else f"{_slug(part.source_set.name)}.{task}") for task in part.tasks]
        for part in chosen
    ]
    repeated = [new for new, times in Counter(new for part in names for _, new in part).items() if times > 1]
    if repeated:
        raise InputError(f"task {repeated[0]!r} is asked for more than once")
    return names


def _slug(name: str) -> str:
    """A name fit for a folder, of 40 characters at most."""
    slug = re.sub(r"[^\w.]+", "-", name).strip("-.")
    return slug if len(slug) <= 40 else f"{slug[:31].strip('-.')}-{zlib.crc32(name.encode()):08x}"
