"""What teachers, models that were trained before, say of training texts, kept on disk."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphmtl.data.batching import EncodedSplit, encode_tasks
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError, note, shown
from graphmtl.files import alone, read_json, write_whole
from graphmtl.layers.pooling import token_mask
from graphmtl.models.lower_states import keep_lower_states
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run
from graphmtl.verbosity import say

__all__ = ["TeacherOutputs", "fits", "read_by_teachers", "teacher_outputs"]

_AT_ONCE = 64  # texts that a teacher reads in one go
_SUM = "sha256"  # of all outputs, in the .json
_CHUNK = 1024  # texts whose outputs are written in one go; of these, texts of like length are read together


@dataclass(frozen=True)
class TeacherOutputs:
    """What all teachers that fit say of the training texts of a corpus.

    Attributes:
        lengths: (texts,), tokens of each text.
        values: by the teacher's task, (texts, size), of taggers (tokens of all texts, size).
    """

    lengths: np.ndarray
    values: dict[str, np.ndarray]


def fits(teacher: Task, task: Task) -> bool:
    """Whether a teacher of one task can read the instances of another: one text, a pair, or tokens to be tagged."""
    return (teacher.of_kind.reads_tokens, teacher.is_pair) == (task.of_kind.reads_tokens, task.is_pair)


def read_by_teachers(
    teachers: Mapping[str, Run], tasks: TaskSet, *, target: str, folder: Path, device: torch.device, write: bool = True
) -> dict[str, TeacherOutputs]:
    """What the teachers say of the training texts of every corpus; see :func:`teacher_outputs`.

    Args:
        teachers: the run that holds each task's teacher.
        tasks: the run's tasks, and their texts.
        device: where the teachers read.
    """
    outputs: dict[str, TeacherOutputs] = {}
    for run in dict.fromkeys(teachers.values()):
        model = run.model.to(device)
        encoded = encode_tasks(tasks, model.vocabulary, model.options)
        keep_lower_states(model, (each.train for each in encoded.values()), tell=False)
        for corpus, split in {each.corpus: each.train for each in encoded.values()}.items():
            found = outputs.setdefault(corpus, TeacherOutputs(split.lengths, {}))
            for name, own in teachers.items():
                if own is run and any(fits(model.tasks[name], tasks[other].task) for other in split.tasks):
                    found.values[name] = teacher_outputs(
                        run=run, task=name, split=split, target=target, folder=folder, write=write
                    )
    return outputs


def teacher_outputs(
    *, run: Run, task: str, split: EncodedSplit, target: str, folder: Path, write: bool = True
) -> np.ndarray:
    """What a teacher says of every text of a split, read from ``folder``, and written there first where it is not.

    ``TASK-on-FIRST_TASK_OF_SPLIT.float32`` holds the outputs of the texts, or of tags those of all tokens, one after
    the other; its ``.json`` says by which weights they were made of which texts, and once all are there their checksum.
    A file that was not finished is gone on with, a damaged one is named and made anew.

    Args:
        run: the teacher's run.
        task: the task that it teaches.
        split: the texts, encoded for the teacher.
        target: ``logits``, or ``hidden`` for what the teacher's head reads.
        folder: of all teachers' outputs.
        write: False where another process does that.

    Returns:
        (texts, size), or of tags (tokens of all texts, size), float32, mapped into memory.

    Raises:
        InputError: the outputs there were made by other weights or of other texts, or the folder cannot be written.
    """
    path = folder / f"{task}-on-{split.tasks[0]}.float32"
    model = run.model
    of_tokens = model.tasks[task].of_kind.reads_tokens
    ends = split.lengths.cumsum() if of_tokens else np.arange(1, len(split) + 1)  # (texts,)
    about = path.with_suffix(".json")
    try:
        if write:
            folder.mkdir(parents=True, exist_ok=True)
            waits = f"{path}: another process writes it; its end is waited for"
            with alone(path.with_name(f".{path.name}.lock"), otherwise=lambda: say(waits, flush=True)):
                _check_key(path, about, _key(run, task, split, target), lambda: _size(model, task, split, target))
                if not _is_whole(path, about):
                    _write(path, model, task, split, target, ends, _about(about)["size"])
                    write_whole(about, json.dumps(_about(about) | {_SUM: _checksum(path)}) + "\n")
        size = _about(about)["size"]
    except OSError as error:
        raise InputError(f"{error.filename}: teachers' outputs cannot be kept here ({error.strerror})") from None
    return np.memmap(path, dtype=np.float32, mode="r", shape=(int(ends[-1]), size))


def _key(run: Run, task: str, split: EncodedSplit, target: str) -> str:
    wide = "" if run.model.wide_part(task) is None else " with the linear part"
    digest = hashlib.sha256(f"{task} {target}{wide}".encode())
    for file in sorted((run.folder / "model").rglob("*")):
        digest.update(file.read_bytes() if file.is_file() else b"")
    digest.update(split.digest())
    return digest.hexdigest()


def _about(path: Path) -> dict:
    found = read_json(path)
    if not isinstance(found.get("key"), str) or not isinstance(found.get("size"), int) or found["size"] < 1:
        raise InputError(f"{path}: found {shown(found)}, expected the key and the size of a teacher's outputs")
    return found


def _check_key(path: Path, about: Path, key: str, size) -> None:
    """Whether the file that is there may be used; where there is none, what will be in it is written down."""
    if not about.is_file():
        path.write_bytes(b"")
        write_whole(about, json.dumps({"key": key, "size": size()}) + "\n")
    elif _about(about)["key"] != key:
        raise InputError(
            f"{path}: made by a teacher with other weights, of other texts or with another --kd-target; remove it, or "
            "name another folder with --teacher-outputs"
        )


def _is_whole(path: Path, about: Path) -> bool:
    """Whether all is written, and as it was written; what is damaged is emptied."""
    expected = _about(about).get(_SUM)
    if expected is None:
        path.touch()
        return False
    if path.is_file() and _checksum(path) == expected:
        return True
    note(f"{path}: damaged, and made anew")
    path.write_bytes(b"")
    return False


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(model: MultiTaskModel, task: str, split: EncodedSplit, target: str) -> int:
    return _say(model, task, split, np.array([0]), target)[0].size(-1)


def _write(
    path: Path, model: MultiTaskModel, task: str, split: EncodedSplit, target: str, ends: np.ndarray, size: int
) -> None:
    """Appends the outputs of the texts that the file lacks, in order."""
    with path.open("r+b") as file:
        done = int(np.searchsorted(ends, file.seek(0, 2) // (4 * size), side="right"))  # whole texts
        file.truncate(4 * size * (int(ends[done - 1]) if done else 0))
        file.seek(0, 2)
        for start in range(done, len(split), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(split)))
            order = rows[split.lengths[rows].argsort(kind="stable")]
            said: dict[int, Tensor] = {}
            for some in np.split(order, range(_AT_ONCE, len(order), _AT_ONCE)):
                said |= zip(some.tolist(), _say(model, task, split, some, target), strict=True)
            file.write(torch.cat([said[row] for row in rows.tolist()]).numpy().tobytes())


@torch.no_grad()
def _say(model: MultiTaskModel, task: str, split: EncodedSplit, rows: Sequence[int] | np.ndarray, target: str):
    """The outputs of some texts, each (1, size), or of tags (tokens, size)."""
    device = next(model.parameters()).device
    batch = replace(split.batch(rows, tasks=()), tasks=(task,), labels=None).to(device)
    output = model.eval()(batch)[task]
    values = output.hidden
    if target == "logits":  # of every token, all finite; a text's are pooled with those of the linear part
        values = model.classify(values, task) if model.wide_part(task) is None else output.logits
    if not model.tasks[task].of_kind.reads_tokens:
        return values.float().cpu().view(len(rows), 1, -1).unbind()
    inside = token_mask(batch.lengths, values)  # (batch, tokens)
    return values[inside].float().cpu().split(batch.lengths.tolist())
