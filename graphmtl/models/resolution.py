"""What a model's options come to for its tasks: what ``auto`` means, and the topology edge by edge.

``config.yaml`` of a run keeps what was asked for, which may come to something else for another architecture; what it
came to stands in the model's own options.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from graphmtl.architectures import architecture_class, resolve_topology
from graphmtl.config import ModelOptions
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models.encoders import encoder_class
from graphmtl.models.word_encoder import WordEncoderOptions

__all__ = ["resolve", "resolve_chars", "resolve_pooling"]

_Options = TypeVar("_Options", bound=ModelOptions)


def resolve(options: _Options, tasks: Sequence[Task], subwords: SubwordVocabulary | None = None) -> _Options:
    """All of it, before anything is built; what has been resolved stays as it is.

    Args:
        options: of a model, and maybe more.
        tasks: that it is to have.
        subwords: those of a transformer.

    Raises:
        InputError: the topology or the pooling does not fit.
    """
    options = resolve_chars(resolve_topology(options, [task.name for task in tasks]), tasks)
    has_cls = encoder_class(options.encoder).has_cls if subwords is None else subwords.starts_with_cls
    return resolve_pooling(options, has_cls, tasks)


def resolve_chars(options: _Options, tasks: Iterable[Task]) -> _Options:
    """The options with what ``--chars auto`` means for these tasks."""
    if not isinstance(options, WordEncoderOptions) or options.chars != "auto":
        return options
    chars = "cnn" if any(task.of_kind.reads_tokens for task in tasks) else "none"
    return replace(options, chars=chars)


def resolve_pooling(options: _Options, has_cls: bool, tasks: Iterable[Task]) -> _Options:
    """The options with what ``--pooling auto`` means for an architecture and the tasks.

    Args:
        options: of a model, and maybe more.
        has_cls: the encoder has a vector of its own for a whole text.
        tasks: that the model is to have.

    Raises:
        InputError: ``cls`` with an encoder that has no such vector, or ``max-mean`` where what acts after pooling also
            reads the tokens of a task, which have half as many dimensions.
    """
    architecture = architecture_class(options.arch)
    of_tokens = (task.name for task in tasks if task.of_kind.reads_tokens)
    tagging = next(of_tokens, None) if architecture.acts_after_pooling else None
    if options.pooling == "max-mean" and tagging is not None:
        raise InputError(
            f"--pooling max-mean: --arch {options.arch} reads texts and the tokens of task {tagging!r} with the same "
            "layers, and max-mean doubles the size of texts; accepted: auto, max, mean, last, attention"
        )
    if options.pooling == "cls" and not has_cls:
        raise InputError(f"--pooling cls: the encoder {options.encoder} has no vector of its own for a whole text")
    if options.pooling != "auto":
        return options
    as_it_is = has_cls and not architecture.reads_contextual
    own: Literal["mean", "max-mean", "max"] = architecture.auto_pooling
    if own == "max-mean" and tagging is not None:
        own = "max"
    return replace(options, pooling="cls" if as_it_is else own)
