"""Who teaches a run: runs that are named, or that are trained before it, and the term by which it imitates them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import set_seed

from graphmtl.architectures import architecture_class
from graphmtl.config import Options
from graphmtl.data.batching import EncodedTask
from graphmtl.data.overlap import row_keys
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import changed
from graphmtl.training.distillation import Distillation, DistillationOptions, say_idle, who_teaches
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_fitted_tasks
from graphmtl.training.run_files import VALIDATION
from graphmtl.training.teacher_outputs import read_by_teachers

__all__ = [
    "check_imitable",
    "check_unseen",
    "distillation_of",
    "find_teachers",
    "folder_of_outputs",
    "given_teachers",
    "trained_teachers",
]


def check_imitable(tasks: Mapping[str, Task]) -> None:
    """Whether teachers can be imitated in all these tasks.

    Raises:
        InputError: an example of one is several texts.
    """
    for name, task in tasks.items():
        if task.choices:
            raise InputError(
                f"--teachers: an example of task {name!r} of kind {task.kind} is several texts, for which there is no "
                "distillation; leave the task or --teachers out"
            )


def find_teachers(runs: Iterable[Run], tasks: Mapping[str, Task], *, option: str = "--teachers") -> dict[str, Run]:
    """The run that holds each task's teacher, the first one that has the task.

    Args:
        runs: those that there are.
        tasks: the tasks that are taught.
        option: what names the runs, for errors.

    Raises:
        InputError: a task without teacher, or one whose labels differ.
    """
    teachers: dict[str, Run] = {}
    for run in runs:
        for name, task in run.model.tasks.items():
            if name in tasks and name not in teachers:
                _check_same(run, task, tasks[name], option)
                teachers[name] = run
    for name in tasks:
        if name not in teachers:
            hint = "; `--teachers train` trains a teacher for every task" if option == "--teachers" else ""
            raise InputError(f"{option}: no run has task {name!r}{hint}")
    return {name: teachers[name] for name in tasks}


def _check_same(run: Run, theirs: Task, ours: Task, option: str) -> None:
    for what in ("kind", "labels"):
        if getattr(theirs, what) != getattr(ours, what):
            raise InputError(
                f"{option} {run.folder}: {what} of task {ours.name!r}: found {getattr(theirs, what)}, "
                f"expected {getattr(ours, what)}, as in this run"
            )


def check_unseen(run: Run, names: Iterable[str], theirs: TaskSet, ours: TaskSet, *, option: str = "--teachers") -> None:
    """Whether no teacher of a run was trained on a text that this run validates or tests on, in any of its test splits.

    Texts that are in a task's training split of both runs are left out: this run has them too.

    Args:
        run: the teachers' run.
        names: the tasks whose texts they were trained on.
        theirs: the tasks of their run.
        ours: those of this run.
        option: what names the run, for errors.

    Raises:
        InputError: a teacher has seen such a text.
    """
    scored = [rows for data in ours.values() for name, rows in data.splits.items() if name != "train"]
    held_out = {key for rows in scored for key in row_keys(rows)}
    for name in names:
        known = set(row_keys(ours[name].train)) if name in ours else set()
        unseen = held_out & (set(row_keys(theirs[name].train)) - known - {""})
        if unseen:
            raise InputError(
                f"{option} {run.folder}: task {name!r} was trained on {len(unseen)} texts that stand in a validation "
                "or test split of this run; train it with this run's --tasks and --seed"
            )


def given_teachers(options: Options, tasks: TaskSet, model: MultiTaskModel) -> dict[str, Run]:
    """The runs that ``--teachers`` names, by task; none where they are still to be trained.

    Raises:
        InputError: no run, no teacher for a task, or one that has seen what this run validates or tests on.
    """
    if not isinstance(options, DistillationOptions) or options.teachers is None:
        return {}
    check_imitable(model.tasks)
    say_idle(options)
    if who_teaches(options) == "ema" or _arch_of_teachers(options) is not None:
        return {}
    folders = str(options.teachers).split(",")
    if not all(folders):
        raise InputError(
            f"--teachers {options.teachers!r}: folders of runs with commas between are expected, or train, train:ARCH, "
            "ema"
        )
    teachers = find_teachers([Run.open(folder) for folder in folders], model.tasks)
    for run in dict.fromkeys(teachers.values()):
        names = [name for name, own in teachers.items() if own is run]
        if not run.model.architecture.own_encoder_per_task:  # it learned from the texts of all its tasks
            names = list(run.model.tasks)
        check_unseen(run, names, load_fitted_tasks(run), tasks)
    return teachers


def _arch_of_teachers(options: Options) -> str | None:
    """The architecture of teachers that are to be trained first, or None.

    Raises:
        InputError: there is no such architecture.
    """
    who = who_teaches(options) if isinstance(options, DistillationOptions) else None
    first, _, arch = (who or "").partition(":")
    if first != "train":
        return None
    architecture_class(arch)
    return arch


def trained_teachers(
    run: Run, options: Options, tasks: TaskSet, model: MultiTaskModel, *, train: Callable[..., Run], test: bool
) -> dict[str, Run]:
    """The teachers by task that ``--teachers train`` asks for, in ``teachers/ARCH`` of the run; none where it does not.

    What is there already is gone on with.

    Args:
        run: that which they will teach.
        options: its.
        tasks: their texts too.
        model: whose tasks they teach.
        train: :func:`graphmtl.training.experiment.train_run`.
        test: whether they are tested.
    """
    arch = _arch_of_teachers(options)
    if arch is None:
        return {}
    teachers = Run(run.folder / "teachers" / arch.rpartition(":")[2])
    if not (teachers.folder / ("metrics.json" if test else VALIDATION)).is_file():
        changes: dict[str, Any] = {"refit_on_valid": False, "write_submission": None, "teachers": None}
        if architecture_class(arch).own_encoder_per_task:
            changes |= {"balancing": "equal", "conflict_every": 0, "pretrained": None}  # they share nothing
        first = changed(options, arch=arch, **changes)
        train(tasks, replace(first, output=str(teachers.folder), resume=True, overwrite=False), test=test)
    PartialState().wait_for_everyone()
    return find_teachers([Run.open(teachers.folder) if test else teachers], model.tasks)


def folder_of_outputs(run: Run, options: Options) -> Path:
    """Where what the teachers of a run say is kept."""
    given = options.teacher_outputs if isinstance(options, DistillationOptions) else None
    return Path(given or run.folder / "teachers" / "outputs")


def distillation_of(
    options: Options,
    tasks: TaskSet,
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    teachers: Mapping[str, Run],
    *,
    folder: Path,
) -> list[Distillation]:
    """What the teachers say of all training texts, kept in a folder, and heads to imitate them; nothing without any."""
    if not teachers or not isinstance(options, DistillationOptions):
        return []
    state = PartialState()
    with state.main_process_first():
        outputs = read_by_teachers(
            teachers,
            tasks,
            target=options.kd_target,
            folder=folder,
            device=state.device,
            write=state.is_main_process,
        )
    set_seed(options.seed)  # the first weights of the heads are the same whether teachers were at hand or not
    distillation = Distillation(
        tasks=model.tasks,
        node_size=model.architecture.node_size,  # type: ignore[arg-type]
        outputs=outputs,
        own={name: each.corpus for name, each in data.items()},
        options=options,
    )
    return [distillation]
