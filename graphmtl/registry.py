"""The parts of the package by name; a part from outside is ``module:Class``, or the class itself.

A new part is a file of its own, with its options in it, and a line here.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from graphmtl.errors import InputError, check_kind, unknown_name

__all__ = [
    "ARCHITECTURES",
    "BALANCINGS",
    "BASELINES",
    "ENCODERS",
    "HEADS",
    "KINDS",
    "OBJECTIVES",
    "TASK_SETS",
    "TRANSFORMER",
    "find_class",
    "find_function",
    "is_outside",
    "name_of",
    "with_names",
]

ARCHITECTURES = {
    "single": "graphmtl.architectures.single:Single",
    "shared": "graphmtl.architectures.shared:Shared",
    "complete": "graphmtl.architectures.complete:Complete",
    "star": "graphmtl.architectures.star:Star",
    "cmtr": "graphmtl.architectures.cmtr:CMTR",
    "mmoe": "graphmtl.architectures.mmoe:MMoE",
    "ple": "graphmtl.architectures.ple:PLE",
    "shared-private": "graphmtl.architectures.shared_private:SharedPrivate",
    "adversarial": "graphmtl.architectures.adversarial:Adversarial",
    "cross-stitch": "graphmtl.architectures.cross_stitch:CrossStitch",
    "adapters": "graphmtl.architectures.adapters:TaskAdapters",
    "adapter-fusion": "graphmtl.architectures.adapterfusion:AdapterFusion",
}
ENCODERS = {"lstm": "graphmtl.models.word_encoder:WordEncoder"}
TRANSFORMER = "graphmtl.models.transformer:TransformerEncoder"  # the encoder that any other name means
KINDS = {
    "text-classification": "graphmtl.kinds.classification:Classification",
    "regression": "graphmtl.kinds.regression:Regression",
    "multi-label": "graphmtl.kinds.multi_label:MultiLabel",
    "token-classification": "graphmtl.kinds.tagging:Tagging",
    "ordinal": "graphmtl.kinds.ordinal:Ordinal",
    "multiple-choice": "graphmtl.kinds.multiple_choice:MultipleChoice",
    "question-answering": "graphmtl.kinds.span:QuestionAnswering",
}
HEADS = {"linear": "graphmtl.kinds.tagging:LinearTagHead", "crf": "graphmtl.kinds.crf:CRFHead"}  # of tags
TASK_SETS = {"planted": "graphmtl.data.planted:PlantedOptions"}  # the options of those that have some
OBJECTIVES = {  # what is added to the loss of the labels, in this order
    "penalty": "graphmtl.training.penalty:Penalty",
    "views": "graphmtl.training.views:Views",
    "adversary": "graphmtl.training.adversary:Adversary",
    "orthogonality": "graphmtl.training.orthogonality:Orthogonality",
    "distillation": "graphmtl.training.distillation:Distillation",
    "mean-teacher": "graphmtl.training.mean_teacher:MeanTeacher",
}
BALANCINGS = {
    "equal": "graphmtl.training.balancing.equal:Equal",
    "uncertainty": "graphmtl.training.balancing.uncertainty:Uncertainty",
    "imtl-l": "graphmtl.training.balancing.imtl_l:IMTLL",
    "dwa": "graphmtl.training.balancing.dwa:DWA",
    "random": "graphmtl.training.balancing.random_weights:RandomWeights",
    "gls": "graphmtl.training.balancing.gls:GLS",
    "famo": "graphmtl.training.balancing.famo:FAMO",
    "pcgrad": "graphmtl.training.balancing.aggregators:PCGrad",
    "cagrad": "graphmtl.training.balancing.aggregators:CAGrad",
    "mgda": "graphmtl.training.balancing.aggregators:MGDA",
    "nash-mtl": "graphmtl.training.balancing.aggregators:NashMTL",
    "imtl-g": "graphmtl.training.balancing.aggregators:IMTLG",
    "aligned-mtl": "graphmtl.training.balancing.aggregators:AlignedMTL",
    "upgrad": "graphmtl.training.balancing.aggregators:UPGrad",
    "graddrop": "graphmtl.training.balancing.aggregators:GradDrop",
}
BASELINES = {
    "majority": "graphmtl.baselines.majority:Majority",
    "tfidf": "graphmtl.baselines.tfidf:Tfidf",
    "tfidf-all": "graphmtl.baselines.tfidf_all:TfidfAll",
    "tfidf-augmented": "graphmtl.baselines.tfidf_augmented:TfidfAugmented",
}

_Part = TypeVar("_Part")


def is_outside(name: str) -> bool:
    """Whether a name is ``module:Class``.

    >>> is_outside("my_package.grid:Grid"), is_outside("star"), is_outside("C:/folder")
    (True, False, False)
    """
    check_kind("a name", name, str, "a text")
    module, colon, part = name.partition(":")
    return bool(colon) and all(word.isidentifier() for word in (*module.split("."), *part.split(".")))


def name_of(part: type | str) -> str:
    """The name by which a class is found again, in another process too; a name stays as it is.

    Raises:
        InputError: the class is in a script or a function, where no other process finds it.
    """
    if isinstance(part, str):
        return part
    if part.__module__ == "__main__" or "<locals>" in part.__qualname__:
        raise InputError(
            f"{part.__qualname__} is in a script or a function, where a saved model does not find it again; put it "
            "into a file of its own and import it from there"
        )
    return f"{part.__module__}:{part.__qualname__}"


def with_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, in which a part that is given as its class is called by its name.

    Raises:
        InputError: as :func:`name_of`.
    """
    return {name: name_of(value) if isinstance(value, type) else value for name, value in values.items()}


def find_class(what: str, name: str, known: Mapping[str, str], kind: type[_Part]) -> type[_Part]:
    """The class that a name stands for.

    Args:
        what: what it is a name of, for messages.
        name: one of ``known``, or ``module:Class``.
        known: ``module:Class`` by name.
        kind: what the class must be derived from.

    Raises:
        InputError: there is no such name, module or class, or it is none of that kind.
    """
    if name not in known and not is_outside(name):
        raise unknown_name(what, name, [*known, "module:Class"])
    found = _find(what, name, known.get(name, name))
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise InputError(f"{what} {name!r}: found {found!r}, expected a class derived from {kind.__name__}")
    return found


def find_function(what: str, name: str) -> Callable[..., Any]:
    """The function that ``module:function`` stands for.

    Args:
        what: what it is a name of, for messages.
        name: for which :func:`is_outside` holds.

    Raises:
        InputError: there is no such module or function, or it cannot be called.
    """
    found = _find(what, name, name)
    if not callable(found):
        raise InputError(f"{what} {name!r}: found {found!r}, expected a function")
    return found


def _find(what: str, name: str, where: str) -> Any:
    """What stands in a module, ``module:part``; ``what`` and ``name`` are for messages."""
    module, _, path = where.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        ours = f"{module}.".startswith(f"{error.name}.")
        whose = "there is" if ours else f"{module!r} imports one that is not there:"
        raise InputError(
            f"{what} {name!r}: {whose} no module {error.name!r}; it must be installed, or its folder in PYTHONPATH"
        ) from None
    except Exception as error:  # whatever is wrong with a user's file
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{what} {name!r}: the module {module!r} cannot be imported ({why})") from error
    for part in path.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, dir(found), n=1)
            raise InputError(
                f"{what} {name!r}: no {part!r} in {module!r}{f'; did you mean {near[0]!r}?' if near else ''}"
            )
        found = getattr(found, part)
    return found
