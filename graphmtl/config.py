"""Every option of graphmtl and its default: the one place where a default lives.

Field names are the keys of ``config.yaml``; on the command line ``_`` becomes ``-`` (``max_length`` is
``--max-length``) and a switch that is on by default is turned off by ``--no-NAME``. A value that is not accepted is an
error however the options are made.
"""

from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

from graphmtl.errors import InputError

__all__ = [
    "FORMAT",
    "DataOptions",
    "ModelOptions",
    "Options",
    "PlantedOptions",
    "RunOptions",
    "TrainingOptions",
    "accepted",
    "flag",
]

FORMAT = 1  # of a run's folder, and so of config.yaml
_WIDEST = 1 << 14  # dimensions; beyond it a mistake, or a file that is to fill the memory
_MOST_PARTS = 1 << 8  # experts, heads or layers; likewise

Score = Literal["additive", "dot", "static"]
GateReg = Literal["prior", "entropy", "balance", "none"]
MessageStart = Literal["random", "identity"]
Sampling = Literal["proportional", "uniform", "temperature", "sqrt", "annealed"]


def option(
    default,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    archs: tuple[str, ...] = (),
    needs: str | None = None,
):
    """A dataclass field.

    Args:
        default: its default.
        help: the sentence that ``--help`` prints for it, behind the names of ``archs``.
        low: the lowest value.
        high: the highest value.
        archs: the architectures that look at it; none: all.
        needs: the option without which nothing looks at it.
    """
    help = f"{', '.join(archs)}: {help}" if archs else help
    return field(default=default, metadata={"help": help, "range": (low, high), "archs": archs, "needs": needs})


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
    value = str(value) if isinstance(value, Path) else value.item() if isinstance(value, np.generic) else value
    if option.type is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    kind: Any = str if option.type == str | None else option.type
    if not _is_of(kind, value):
        expected = str(kind).removeprefix("typing.") if get_origin(kind) is Literal else kind.__name__
        raise InputError(" ".join(f"{flag(option.name)}: Expected a {expected}. Got value: {value}".split()))
    low, high = option.metadata["range"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):  # nan is neither
        expected = f"{low} or more" if high is None else f"a number from {low} to {high}"
        raise InputError(f"{flag(option.name)}: found {value}, expected {expected}")
    return value


def _is_of(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """Options whose values have been :func:`accepted`."""

    def __post_init__(self):
        for option in fields(self):
            object.__setattr__(self, option.name, accepted(option, getattr(self, option.name)))


@dataclass(frozen=True, kw_only=True)
class PlantedOptions(_Checked):
    """The generated task set with a known task graph."""

    planted_parents: int = option(3, "tasks with many examples that children learn from", low=0)
    planted_poor_parents: int = option(1, "tasks with few examples that children learn from", low=0)
    planted_loners: int = option(1, "tasks with many examples that are nobody's parent", low=0)
    planted_unrelated: int = option(1, "tasks with few examples and neither parent nor child", low=0)
    planted_children: int = option(4, "tasks with few examples whose deciding words are mostly their parents'", low=0)
    planted_parents_per_child: int = option(2, "parents of a child", low=1)
    planted_rich: int = option(1500, "training examples of a task with many", low=10)
    planted_poor: int = option(120, "training examples of a task with few", low=10)
    planted_test: int = option(500, "test examples of every task", low=1)
    planted_words: int = option(40, "cue words of a task that is no child", low=2)
    planted_sharing: float = option(0.8, "share of a child's deciding words that are its parents'", low=0.1, high=1)
    planted_filler: int = option(200, "words that decide nothing in any task", low=1)
    planted_length: int = option(24, "words of a text; a quarter more or less at random", low=1)
    planted_noise: float = option(0.05, "share of flipped labels", low=0, high=0.5)
    planted_inverted: int = option(0, "edges whose words mean the opposite for the child (negative transfer)", low=0)


@dataclass(frozen=True, kw_only=True)
class DataOptions(_Checked):
    """Which tasks, and how their texts are read."""

    tasks: str = option("planted", "name of the catalog, NAME:TASK,TASK, several joined by +, or a YAML file")
    data_dir: str | None = option(None, "folder with one folder per data set (or GRAPHMTL_DATA)")
    only: str | None = option(None, "of --tasks these alone, by their names in the run: TASK,TASK")
    shuffle_labels: bool = option(False, "permute the labels of each task's training split: a control")
    keep_overlap: bool = option(False, "keep training examples that stand in another task's validation or test split")
    lower_case: bool = option(True, "lower-case every word")
    min_count: int = option(1, "training occurrences a word needs to get an embedding of its own", low=1)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(_Checked):
    """The encoder, the architecture and the heads."""

    arch: str = option(
        "star", "architecture: single, shared, complete, star, cmtr, mmoe, ple, adapters or adapter-fusion"
    )
    encoder: str = option(
        "lstm",
        "encoder: lstm, word embeddings for the architecture's LSTMs to read, or a transformer: a folder, or a name on "
        "the Hugging Face Hub",
    )
    freeze_layers: int = option(
        0, "transformer: the embeddings and so many of the lower layers are not trained; 0: all are", low=0
    )
    gradient_checkpointing: bool = option(False, "transformer: less memory, for a third more time in training")
    max_length: int = option(200, "tokens kept of a text; of a transformer pieces, no more than it can read", low=1)
    truncate: Literal["head", "tail", "both"] = option("both", "which end of a longer text is kept")
    embeddings: str | None = option(None, "pre-trained word vectors: word2vec or GloVe text, plain, .gz or .xz")
    embedding_size: int = option(
        100, "dimensions of the word embeddings where no vectors are given", low=1, high=_WIDEST
    )
    freeze_embeddings: bool = option(False, "never train the word embeddings")
    hidden: int = option(64, "LSTM units per direction", low=1, high=_WIDEST)
    attention: int = option(
        64,
        "dimensions of the attention's keys and queries",
        low=1,
        high=_WIDEST,
        archs=("complete", "star", "cmtr", "adapter-fusion"),
    )
    score: Score = option("additive", "how a query is matched with a node", archs=("complete", "star"))
    message_start: MessageStart = option(
        "random",
        "first weights of W_r; identity: what a node says is added to the cell as it stands",
        archs=("complete", "star"),
    )
    node_bias: bool = option(True, "learned scalar per source task in the attention", archs=("complete",))
    topology: str | None = option(
        None,
        "which tasks a task may read from (all others): complete, star, star:TASK, [[SOURCE, TARGET], ...], a YAML or "
        "GraphML file of edges, or the folder of a finished run",
        archs=("complete", "cmtr"),
    )
    top_k: int = option(
        0, "with a run as --topology: how many of the strongest edges into a task stay; 0: all", low=0, needs="topology"
    )
    detach_sources: bool = option(False, "the target's loss does not train the other tasks' LSTMs", archs=("complete",))
    adapter_size: int = option(
        64,
        "dimensions inside a task's adaptation layer",
        low=1,
        high=_WIDEST,
        archs=("cmtr", "adapters", "adapter-fusion"),
    )
    interaction: Literal["attention", "transformer", "gatv2", "none"] = option(
        "attention",
        "how tasks' representations read each other; two are torch_geometric's convolutions",
        archs=("cmtr",),
    )
    interaction_heads: int = option(
        4, "heads of the interaction, each of --attention dimensions", low=1, high=_MOST_PARTS, archs=("cmtr",)
    )
    fusion_values: Literal["raw", "interacted"] = option(
        "raw", "what the gates sum up, the tasks' representations before or after the interaction", archs=("cmtr",)
    )
    uniform_gates: bool = option(False, "equal gates for all tasks (ablation)", archs=("cmtr",))
    gate_reg: GateReg = option(
        "prior", "what the gates are pulled towards: mostly the own task, few tasks, all tasks alike", archs=("cmtr",)
    )
    gate_prior: float = option(0.5, "the own task's share in --gate-reg prior", low=0, high=1, archs=("cmtr",))
    experts: int = option(
        4, "experts; of ple shared experts of a layer", low=1, high=_MOST_PARTS, archs=("mmoe", "ple")
    )
    task_experts: int = option(1, "experts of each task in a layer", low=1, high=_MOST_PARTS, archs=("ple",))
    expert_size: int = option(128, "dimensions of an expert", low=1, high=_WIDEST, archs=("mmoe", "ple"))
    extraction_layers: int = option(2, "layers of experts; 1 is CGC", low=1, high=_MOST_PARTS, archs=("ple",))
    hub_to_head: bool = option(False, "a task's head also sees the virtual node's states", archs=("star",))
    bidirectional: bool = option(True, "read every text in both directions")
    same_start: bool = option(
        True, "tasks' LSTMs, and their heads where the labels are the same, start from equal weights"
    )
    common_head: bool = option(True, "heads of tasks with the same labels are a common head plus each task's own")
    pooling: Literal["auto", "max", "mean", "max-mean", "last", "attention", "cls"] = option(
        "auto",
        "how the token states of a text become one vector; cls: the encoder's own; auto: cls where a transformer's "
        "states are not read by LSTMs, else max-mean",
    )
    tag_head: Literal["auto", "linear", "crf"] = option(
        "auto", "head of tagging tasks; auto: crf for spans, else linear"
    )
    chars: Literal["auto", "none", "cnn", "lstm"] = option(
        "auto", "read how words are written, their characters and shape; auto: cnn where a task tags tokens"
    )
    char_size: int = option(50, "dimensions of what --chars makes of a word's characters", low=2, high=_WIDEST)
    word_dropout: float = option(0.0, "share of tokens replaced by the unknown word in training", low=0, high=0.99)
    embedding_dropout: float = option(0.3, "locked dropout on the token vectors (one mask per text)", low=0, high=0.99)
    locked_dropout: float = option(0.3, "locked dropout on the LSTM states (one mask per text)", low=0, high=0.99)
    output_dropout: float = option(0.3, "dropout on the pooled vector before the head", low=0, high=0.99)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(_Checked):
    """The optimiser, the order of the batches and when to stop."""

    seed: int = option(0, "seed of the data, the initial weights and the order of the batches", low=0, high=2**32 - 1)
    epochs: int = option(8, "epochs at most", low=1)
    batch_size: int = option(32, "examples in a step, all of one task", low=1)
    lr: float = option(3e-3, "peak learning rate (AdamW); of everything but the transformer, where there is one", low=0)
    encoder_lr: float = option(5e-5, "peak learning rate of a transformer's last layer", low=0)
    layer_decay: float = option(
        1.0, "transformer: a layer's learning rate as a share of that of the layer above it", low=0, high=1
    )
    weight_decay: float = option(0.0, "weight decay (AdamW), not applied to biases and embeddings", low=0)
    embedding_lr: float = option(1.0, "learning rate of the embeddings as a share of --lr", low=0)
    freeze_embeddings_epochs: int = option(0, "epochs before the embeddings are trained", low=0)
    schedule: Literal["constant", "linear", "cosine"] = option("linear", "learning rate after the warm-up")
    warmup: float = option(0.05, "share of all steps in which the learning rate rises", low=0, high=1)
    clip: float = option(1.0, "largest norm of the gradient; 0 turns clipping off", low=0)
    gate_reg_weight: float = option(0.1, "weight of --gate-reg in the loss", low=0, archs=("cmtr",))
    gate_ramp: float = option(
        0.1, "share of all steps in which that weight rises from 0", low=0, high=1, archs=("cmtr",)
    )
    adapters: str | None = option(
        None,
        "folder of a finished run of --arch adapters, whose body and adapters stay as they are",
        archs=("adapter-fusion",),
    )
    teachers: str | None = option(
        None,
        "distil from teachers; folders of finished runs with commas between, or train, for single-task teachers in "
        "OUTPUT/teachers",
        archs=("cmtr",),
    )
    teacher_outputs: str | None = option(
        None, "folder of what teachers said, which runs may share (OUTPUT/teachers)", needs="teachers"
    )
    kd_target: Literal["logits", "hidden"] = option(
        "logits", "what is imitated: answers, or what the head reads", needs="teachers"
    )
    kd_temperature: float = option(2.0, "temperature of teachers' and students' labels", low=0.01, needs="teachers")
    kd_weight: float = option(1.0, "weight of the distillation in the loss", low=0, needs="teachers")
    kd_off: float = option(
        0.1, "weight of the other tasks' teachers beside the own one's, which is 1", low=0, needs="teachers"
    )
    teacher_annealing: bool = option(False, "go from distillation to labels over the steps", needs="teachers")
    label_smoothing: float = option(0.0, "share of the target spread over all labels", low=0, high=1)
    ema: float = option(0.0, "decay of the moving average of the weights; 0 turns it off", low=0, high=1)
    sampling: Sampling = option("proportional", "how the task of a step is drawn")
    temperature: float = option(2.0, "temperature sampling: a task is drawn with n^(1/temperature)", low=1)
    patience: int = option(5, "evaluations without progress before training stops; 0 never stops early", low=0)
    refit_on_valid: bool = option(
        False, "once the epoch is chosen, train again from the start on training and validation split; for the test"
    )
    select_by: str = option("mean", "what picks the best epoch: mean, or the name of a task")
    precision: Literal["no", "bf16", "fp16"] = option("no", "mixed precision")
    device: Literal["auto", "cpu"] = option("auto", "auto takes the accelerator when there is one")
    tensorboard: bool = option(False, "write TensorBoard logs into the run's folder")
    progress: bool = option(True, "progress bar")
    affinity_probe: int = option(
        50, "validation texts per task on which the task affinity is measured", low=1, archs=("star",)
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(_Checked):
    """Where the run is written."""

    output: str | None = option(None, "folder of the run; runs/ARCH-TASKS-SEED by default")
    resume: bool = option(False, "go on with an unfinished run in --output")
    overwrite: bool = option(False, "replace the run in --output, and the files of a submission")
    write_submission: str | None = option(
        None, "folder for the files that a leaderboard takes: the trained tasks' predictions for GLUE's test texts"
    )


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions, TrainingOptions, ModelOptions, DataOptions, PlantedOptions):
    """Every option of a run, flat as in config.yaml; each group is read by one part of the code."""
