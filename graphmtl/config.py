"""What an option is, and those that every run has; the others stand beside the part that looks at them.

An architecture, an encoder, an objective and a task set have options of their own, an :class:`OptionGroup` next to the
class, and :mod:`graphmtl.options` puts together what a run looks at. Field names are the keys of ``config.yaml``; on
the command line ``_`` becomes ``-`` (``max_length`` is ``--max-length``) and a switch that is on by default is turned
off by ``--no-NAME``. A default lives where the option is declared, and a value that is not accepted is an error however
the options are made.
"""

from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from graphmtl.errors import InputError, unknown_name
from graphmtl.registry import BALANCINGS, HEADS, is_outside

__all__ = [
    "FORMAT",
    "MOST_PARTS",
    "WIDEST",
    "ArchitectureOptions",
    "DataOptions",
    "ModelOptions",
    "OptionGroup",
    "Options",
    "RunOptions",
    "TrainingOptions",
    "accepted",
    "check_fields",
    "flag",
    "is_given",
    "listed",
    "option",
    "part",
    "picked",
]

FORMAT = 2  # of config.yaml; format 1 held every option of the package
WIDEST = 1 << 14  # dimensions; beyond it a mistake, or a file that is to fill the memory
MOST_PARTS = 1 << 8  # experts, heads or layers; likewise

Sampling = Literal["proportional", "uniform", "temperature", "sqrt", "annealed"]


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    needs: str | None = None,
    unless: tuple[str, str] | None = None,
    shown: str | None = None,
    trains: bool = False,
    names: Collection[str] = (),
) -> Any:
    """A dataclass field.

    Args:
        default: its default.
        help: the sentence that ``--help`` prints for it.
        low: the lowest value.
        high: the highest value.
        needs: the option without which nothing looks at it, or NAME=VALUE.
        unless: the option, or NAME=VALUE, with which nothing looks at it, and why.
        shown: what ``--help`` prints for its value.
        trains: it says how a part is trained, not what it is, and so may differ where a trained one is trained on.
        names: what it takes besides ``module:Class``; empty: any text.
    """
    metadata = {"help": help, "range": (low, high), "needs": needs, "unless": unless, "shown": shown}
    return field(default=default, metadata={**metadata, "trains": trains, "names": tuple(names)})


def listed(text: str) -> list[str]:
    """The names in a text with commas between, each once."""
    return [*dict.fromkeys(name.strip() for name in text.split(","))]


def flag(name: str) -> str:
    """How an option is called on the command line, and in messages."""
    return "--" + name.replace("_", "-")


def accepted(option: Field, value: Any) -> Any:
    """A value of an option in the option's own type; paths and numpy's numbers become plain values.

    Raises:
        InputError: it is of another type, none of the choices, or out of range.
    """
    if value is None:
        if option.default is not None:
            raise InputError(f"{option.name} has no value")
        return None
    value = str(value) if isinstance(value, Path) else value
    if type(value).__module__ == "numpy" and value.ndim == 0:  # numpy is not loaded for it
        value = value.item()
    if option.type is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    kind: Any = str if option.type == str | None else option.type
    if not _is_of(kind, value):
        expected = str(kind).removeprefix("typing.") if get_origin(kind) is Literal else kind.__name__
        raise InputError(" ".join(f"{flag(option.name)}: Expected a {expected}. Got value: {value}".split()))
    names = option.metadata["names"]
    if names and value not in names and not is_outside(value):
        raise unknown_name(flag(option.name), value, names)
    low, high = option.metadata["range"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):  # nan is neither
        expected = f"{low} or more" if high is None else f"a number from {low} to {high}"
        raise InputError(f"{flag(option.name)}: found {value}, expected {expected}")
    return value


def is_given(condition: str, values: Mapping[str, Any], own: Mapping[str, Field]) -> bool:
    """Whether an option has the value that NAME=VALUE says; of NAME alone, whether it has another than its default."""
    name, has_value, value = condition.partition("=")
    found = values.get(name, own[name].default)
    return str(found) == value if has_value else found != own[name].default


def _is_of(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def check_fields(group: type) -> None:
    """Whether every field of a group is an :func:`option`; types that are given as texts become what they mean.

    Raises:
        InputError: one is not.
    """
    for own in fields(group):
        if "range" not in own.metadata:
            raise InputError(f"{group.__qualname__}.{own.name}: declare it with graphmtl.config.option(default, help)")
        if isinstance(own.type, str):  # from __future__ import annotations
            own.type = get_type_hints(group)[own.name]


@dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that one part looks at; their values have been :func:`accepted`."""

    def __post_init__(self) -> None:
        check_fields(type(self))
        for option in fields(self):
            object.__setattr__(self, option.name, accepted(option, getattr(self, option.name)))


_Group = TypeVar("_Group", bound=OptionGroup)


def picked(kind: type[_Group], values: Mapping[str, Any]) -> _Group:
    """The options of a group, out of values by name; one that nothing looks at for want of another is left out."""
    own = {field.name: field for field in fields(kind)}
    found = {name: value for name, value in values.items() if name in own}
    for name in [*found]:
        needs = own[name].metadata["needs"]
        if needs is not None and not is_given(needs, found, own):
            del found[name]
    return kind(**found)


def part(options: OptionGroup, kind: type[_Group]) -> _Group:
    """The options of one group, such as ``ModelOptions``, out of more."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


@dataclass(frozen=True, kw_only=True)
class DataOptions(OptionGroup):
    """Which tasks, and how they are read."""

    tasks: str = option(
        "planted",
        "name of the catalog, NAME:TASK,TASK, a YAML file, a file of examples, or several joined by +",
        shown="TASKS",
    )
    data_dir: str | None = option(None, "folder with one folder per data set (or GRAPHMTL_DATA)", shown="DIR")
    only: str | None = option(None, "of --tasks these alone, by their names in the run: TASK,TASK", shown="TASKS")
    max_train: int = option(0, "training examples of a task at most, drawn by --seed; 0: all", low=0)
    shuffle_labels: bool = option(False, "permute the labels of each task's training split: a control")
    keep_overlap: bool = option(False, "keep training examples that stand in another task's validation or test split")


@dataclass(frozen=True, kw_only=True)
class ArchitectureOptions(OptionGroup):
    """The LSTMs that every architecture has; those of an architecture with more are derived from it."""

    hidden: int = option(64, "LSTM units per direction", low=1, high=WIDEST)
    bidirectional: bool = option(True, "read every text in both directions")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionGroup):
    """The parts of a model, and what stands between them."""

    arch: str = option(
        "star",
        "architecture: single, shared, complete, star, cmtr, mmoe, ple, shared-private, adversarial, cross-stitch, "
        "adapters, adapter-fusion, or module:Class",
        shown="ARCH",
    )
    encoder: str = option(
        "lstm",
        "encoder: lstm, word embeddings for the architecture's LSTMs to read, or a transformer: a folder, or a name on "
        "the Hugging Face Hub; or module:Class",
        shown="ENCODER",
    )
    max_length: int = option(200, "tokens kept of a text; of a transformer pieces, no more than it can read", low=1)
    truncate: Literal["head", "tail", "both"] = option("both", "which end of a longer text is kept")
    same_start: bool = option(
        True, "tasks' LSTMs, and their heads where the labels are the same, start from equal weights"
    )
    common_head: bool = option(
        True,
        "heads of tasks with the same labels are a common head plus each task's own",
        unless=("arch=single", "in which no task shares anything"),
    )
    head_layers: int = option(
        0,
        "hidden layers between what a head reads and its answer, common to the tasks that have a common head",
        low=0,
        high=MOST_PARTS,
    )
    head_width: int = option(128, "dimensions of those layers", low=1, high=WIDEST, needs="head_layers")
    wide: bool = option(
        False,
        "beside the graph a linear model of words (of a transformer pieces) and pairs of neighbours (TF-IDF, logistic "
        "regression), whose answers are pooled with its own; for tasks that label single texts",
    )
    pooling: Literal["auto", "max", "mean", "max-mean", "last", "attention", "cls"] = option(
        "auto",
        "how the token states of a text become one vector; cls: the encoder's own; auto: cls where a transformer's "
        "states are not read by LSTMs, else mean for cmtr and max-mean for all others",
    )
    tag_head: str = option(
        "auto",
        "head of tagging tasks: linear, crf, or module:Class; auto: crf for spans, else linear",
        shown="HEAD",
        names=("auto", *HEADS),
    )
    locked_dropout: float = option(0.3, "locked dropout on the LSTM states (one mask per text)", low=0, high=0.99)
    output_dropout: float = option(
        0.3, "dropout on the pooled vector before the head, and before each layer of --head-layers", low=0, high=0.99
    )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(OptionGroup):
    """The optimiser, the order of the batches and when to stop."""

    seed: int = option(0, "seed of the data, the initial weights and the order of the batches", low=0, high=2**32 - 1)
    epochs: int = option(
        0, "epochs at most; 0: 8, or as many as --min-updates asks for where the texts are few, but 40 at most", low=0
    )
    min_updates: int = option(
        500,
        "updates of the weights that --epochs 0 gives at least for each task, whether alone or together with others",
        low=0,
        unless=("epochs", "which says how many there are"),
    )
    batch_size: int = option(
        0,
        "examples in a batch, all of one task; 0: 32, or where the texts are so few that an epoch has less than 64 "
        "batches 16 or 8",
        low=0,
    )
    accumulate: int = option(1, "batches in an update of the weights", low=1)
    mix: bool = option(
        False,
        "the batches of an update are of different tasks, as far as there are",
        needs="accumulate",
        unless=("arch=single", "in which each task has updates of its own"),
    )
    balancing: str = option(
        "equal",
        "how the tasks are weighed against each other: equal, uncertainty, imtl-l, dwa, random, gls, famo, pcgrad, "
        "cagrad, mgda, nash-mtl, imtl-g, aligned-mtl, upgrad, graddrop, or module:Class",
        shown="METHOD",
        names=tuple(BALANCINGS),
    )
    conflict_every: int = option(
        0,
        "measure the cosines between the tasks' gradients in every N-th update, which costs one more pass back for "
        "each task; methods that look at gradients measure every update; 0: no other is measured",
        low=0,
    )
    terms: str | None = option(
        None, "further terms of the loss from outside: module:Class, several with commas between", shown="TERMS"
    )
    lr: float = option(3e-3, "peak learning rate (AdamW); of everything but the transformer, where there is one", low=0)
    weight_decay: float = option(0.0, "weight decay (AdamW), not applied to biases and embeddings", low=0)
    schedule: Literal["constant", "linear", "cosine"] = option("linear", "learning rate after the warm-up")
    warmup: float = option(0.05, "share of all steps in which the learning rate rises", low=0, high=1)
    clip: float = option(1.0, "largest norm of the gradient; 0 turns clipping off", low=0)
    label_smoothing: float = option(0.0, "share of the target spread over all labels", low=0, high=1)
    ema: float = option(0.0, "decay of the moving average of the weights; 0 turns it off", low=0, high=1)
    sampling: Sampling = option("proportional", "how the task of a step is drawn")
    temperature: float = option(
        2.0, "temperature sampling: a task is drawn with n^(1/temperature)", low=1, needs="sampling=temperature"
    )
    patience: int = option(5, "evaluations without progress before training stops; 0 never stops early", low=0)
    refit_on_valid: bool = option(
        False, "once the epoch is chosen, train again from the start on training and validation split; for the test"
    )
    self_training: str | None = option(
        None,
        "a finished run of the same tasks, whose answers to the task set's unlabelled texts are learned too, as far as "
        "it is sure of them",
        shown="RUN",
    )
    self_confidence: float = option(
        0.9, "the probability from which on an answer of that run is learned", low=0, high=1
    )
    select_by: str = option(
        "mean",
        "what picks the best epoch: mean, or the name of a task",
        unless=("arch=single", "in which each task has its own best epoch"),
        shown="TASK",
    )
    precision: Literal["no", "bf16", "fp16"] = option("no", "mixed precision")
    device: str = option(
        "auto", "cpu, cuda, cuda:1, mps, ...; auto takes the accelerator when there is one", shown="DEVICE"
    )
    track: str | None = option(
        None,
        "where else each evaluation's losses and metrics go: tensorboard, wandb, mlflow, trackio, comet or another of "
        "accelerate's trackers, or several with commas between",
        shown="TRACKER",
    )
    progress: bool = option(True, "progress bar")

    @property
    def texts_at_once(self) -> int:
        """How many texts are read at once where nothing is learned from them."""
        return self.batch_size or 32


@dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """Where the run is written."""

    output: str | None = option(None, "folder of the run; runs/ARCH-TASKS-SEED by default", shown="DIR")
    resume: bool = option(False, "go on with an unfinished run in --output")
    overwrite: bool = option(False, "replace the run in --output, and the files of a submission")
    baselines: bool = option(
        True, "also score the majority class and TF-IDF with a linear model on every task, which takes seconds"
    )
    control: Literal["auto", "always", "never"] = option(
        "auto",
        "train the same on shuffled labels too, so that the picture of the task graph tells what chance shows; auto: "
        "where it costs less than half of the run, or a minute",
    )
    write_submission: str | None = option(
        None,
        "folder for the files that a leaderboard takes: the trained tasks' predictions for GLUE's test texts",
        shown="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions, TrainingOptions, ModelOptions, DataOptions):
    """What every run has, flat as in config.yaml.

    Those of a run are of a class derived from it and from the groups that its architecture, encoder, objectives and
    task set declare; :func:`graphmtl.options.make_options` makes them.
    """

    def __post_init__(self) -> None:
        if type(self) is Options:
            raise InputError("Options are made by graphmtl.make_options(...), which knows what a run looks at")
        super().__post_init__()
