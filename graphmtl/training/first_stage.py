"""The second stage of adapter fusion starts from the first one's run."""

from typing import Any

from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.tokenizer import Tokenizer
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run

__all__ = ["load_adapters"]


def _words(vocabulary: Vocabulary | SubwordVocabulary) -> Any:
    """What a model knows, words or pieces, and their ids."""
    return vocabulary.tokenizer.get_vocab() if isinstance(vocabulary, SubwordVocabulary) else vocabulary.words


def _tokenizer(vocabulary: Vocabulary | SubwordVocabulary) -> Tokenizer | None:
    """What cuts texts into words; pieces are cut by their vocabulary."""
    return None if isinstance(vocabulary, SubwordVocabulary) else vocabulary.tokenizer


def load_adapters(model: MultiTaskModel, run: Run) -> None:
    """Puts the encoder, the LSTM and the adapters of a finished run in place, and trains them no more.

    Raises:
        InputError: the model fuses no adapters, the run has none, or it has other tasks, words or sizes.
    """
    what = f"--adapters {run.folder}"
    stage = model.architecture.first_stage
    if stage is None:
        raise InputError(f"{what}: --arch {model.options.arch} fuses no adapters; accepted with --arch adapter-fusion")
    first = run.model
    if first.options.arch != stage:
        raise InputError(f"{what}: a run of --arch {first.options.arch}; accepted: a run of --arch {stage}")
    same = {
        "tasks": [*first.tasks] == [*model.tasks],
        "words": _words(first.vocabulary) == _words(model.vocabulary),
        "tokens": _tokenizer(first.vocabulary) == _tokenizer(model.vocabulary),
    }
    for name, is_same in same.items():
        if not is_same:
            raise InputError(f"{what}: its {name} are not those of this run; give both the same --tasks and --seed")
    parts = [model.encoders, *model.architecture.frozen_parts()]
    places = tuple(f"{name}." for name, module in model.named_modules() if any(module is part for part in parts))
    theirs = {name: value for name, value in first.state_dict().items() if name.startswith(places)}
    ours = {name: value for name, value in model.state_dict().items() if name.startswith(places)}
    for name in sorted({*theirs, *ours}):
        shapes = [tuple(each[name].shape) if name in each else None for each in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{what}: {name} is {shapes[0]}, expected {shapes[1]}; give both runs the same sizes")
    model.load_state_dict(theirs, strict=False)
    for part in parts:
        part.requires_grad_(False)
