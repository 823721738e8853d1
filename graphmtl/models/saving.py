"""The folder of a saved model: its config.json, weights and vocabulary, written and read back."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from graphmtl.architectures import architecture_class
from graphmtl.config import ModelOptions
from graphmtl.data.spelling import Alphabet
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, shown
from graphmtl.files import read_json
from graphmtl.models.card import check_scores
from graphmtl.models.encoders import reads_words
from graphmtl.models.model_options import chosen, model_options_class
from graphmtl.models.weights import load_weights, save_weights
from graphmtl.models.word_encoder import WordEncoderOptions

__all__ = ["check_files", "damage_is_named", "load_model", "model_folder", "save_model"]

_CONFIG, _WEIGHTS, _VOCABULARY, _ALPHABET = "config.json", "model.safetensors", "vocabulary.txt", "characters.json"
_FORMAT = 1  # of config.json
_FAILURES = (  # of a folder that is damaged, or made to do damage
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError),
    *(OSError, SafetensorError),
)
_SUBWORDS = "encoder"  # the folder of a transformer's tokenizer and config.json


def save_model(model: Any, folder: Path) -> None:
    """Writes what :func:`load_model` reads; the folder is there."""
    config = {
        "format": _FORMAT,
        "revision": model.architecture.revision,
        "tasks": [task.to_dict() for task in model.tasks.values()],
        "options": asdict(model.options),
        **({"scores": model.scores} if model.scores else {}),
    }
    if model.vocabulary.alphabet is not None:
        model.vocabulary.alphabet.save(folder / _ALPHABET)
    (folder / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    model.vocabulary.save(folder / (_SUBWORDS if isinstance(model.vocabulary, SubwordVocabulary) else _VOCABULARY))
    save_weights(folder / _WEIGHTS, model.state_dict())


def model_folder(path: str | Path) -> Path:
    """The model's folder of a run's folder, or the path itself; where it is a folder it holds a model's files.

    Raises:
        InputError: the folder lacks a file, or its ``config.json`` is damaged.
    """
    folder = Path(path)
    if (folder / "config.yaml").is_file() and (folder / "model").is_dir():
        folder = folder / "model"
    if folder.is_dir():
        check_files(folder)
    return folder


@contextmanager
def damage_is_named(folder: Path) -> Iterator[None]:
    """Whatever a damaged folder makes of loading is an InputError that names the folder."""
    try:
        yield
    except _FAILURES as error:
        if isinstance(error, InputError):
            raise
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"{folder}: no model that can be loaded from {_CONFIG} and {_WEIGHTS} ({what})") from error


def load_model(folder: Path, build: Callable[..., Any]) -> Any:
    """The model that :func:`save_model` wrote.

    Args:
        folder: where it stands.
        build: makes a fresh model of ``tasks``, ``vocabulary`` and ``options``.

    Raises:
        InputError: ``config.json`` is damaged, or the weights are not those of such a model.
    """
    tasks, options, scores = _read_config(folder / _CONFIG)
    fresh = partial(build, tasks=tasks, vocabulary=_load_vocabulary(folder, options), options=options)
    with torch.device("meta"):  # no memory: what config.json asks for may be anything
        _check_shapes(fresh(), folder)
    model = fresh()
    model.load_state_dict(load_weights(folder / _WEIGHTS), strict=True)
    model.scores = scores
    return model.eval()


def _load_vocabulary(folder: Path, options: ModelOptions) -> Vocabulary | SubwordVocabulary:
    if not reads_words(options.encoder):
        from graphmtl.models.transformer import load_subwords

        return load_subwords(str(folder / _SUBWORDS))
    vocabulary = Vocabulary.load(folder / _VOCABULARY)
    if isinstance(options, WordEncoderOptions) and options.chars not in ("auto", "none"):
        vocabulary.alphabet = Alphabet.load(folder / _ALPHABET)
    return vocabulary


def _read_config(path: Path) -> tuple[list[Task], ModelOptions, dict[str, Any]]:
    """The tasks, options and scores of a saved model.

    Raises:
        InputError: something is not what `MultiTaskModel.save_pretrained` writes there.
    """
    config = read_json(path)
    if config.get("format") != _FORMAT:
        raise InputError(f"{path}: format {shown(config.get('format'))}; this version of graphmtl reads {_FORMAT}")
    tasks, options = config.get("tasks"), config.get("options")
    if not isinstance(tasks, list) or not tasks or not isinstance(options, dict):
        raise InputError(f"{path}: expected `tasks`, a list of one or more, and `options`, an object")
    try:
        read = [Task.from_dict(task) for task in tasks]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len({task.name for task in read}) < len(read):
        raise InputError(f"{path}: two of the tasks have the same name")
    try:
        kind = model_options_class(str(chosen(options, "arch")), str(chosen(options, "encoder")))
        known = {field.name for field in fields(kind)}  # earlier versions wrote the options of every architecture
        _check_revision(str(chosen(options, "arch")), config.get("revision", 1))
        check_scores(config.get("scores", {}), [task.name for task in read])
        own = kind(**{key: value for key, value in options.items() if key in known})
        return read, own, config.get("scores", {})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_revision(arch: str, found: Any) -> None:
    """Whether the equations of an architecture are those with which a model was trained.

    Raises:
        InputError: they have changed.
    """
    ours = architecture_class(arch).revision
    if found != ours:
        raise InputError(
            f"revision {shown(found)} of {arch}, of which this version of graphmtl has revision {ours}; train it again "
            "(`graphmtl run --config RUN/config.yaml`), or read it with the version that saved it"
        )


def _check_shapes(model: nn.Module, folder: Path) -> None:
    """Whether the weights are those of such a model, before there is memory for one.

    Raises:
        InputError: a tensor is missing, of another shape, or none of the model's.
    """
    with safe_open(folder / _WEIGHTS, "pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  it is no dict
    wanted = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in _added_later(model):
        found.setdefault(name, wanted[name])
    for name in (*wanted, *found):
        ours, theirs = wanted.get(name, "no such tensor"), found.get(name, "no such tensor")
        if ours != theirs:
            raise InputError(f"{folder}: tensor {name}: {theirs} in {_WEIGHTS}, {ours} in the model of {_CONFIG}")


def _added_later(model: nn.Module) -> list[str]:
    """Names of the tensors that models of earlier versions do not have, and get when they are loaded."""
    return [
        f"{prefix}.{name}" for prefix, module in model.named_modules() for name in getattr(module, "added_later", ())
    ]


def check_files(folder: Path) -> None:
    """Whether the folder holds a saved model's files.

    Raises:
        InputError: one is missing, or ``config.json`` is damaged.
    """
    vocabulary = _SUBWORDS if (folder / _SUBWORDS).is_dir() else _VOCABULARY
    for name in (_CONFIG, _WEIGHTS, vocabulary):
        if not (folder / name).exists():
            raise InputError(f"{folder}: no {name}; a folder that MultiTaskModel.save_pretrained wrote is expected")
    _read_config(folder / _CONFIG)
