"""Language-model pre-training of what tasks share, and a run that starts from it (``--pretrained``)."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import nn

from graphmtl.config import Options, TrainingOptions, flag, part
from graphmtl.data.batching import EncodedSplit, EncodedTask, encode_texts, word_forms
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import open_sources
from graphmtl.data.task import TaskSet
from graphmtl.data.unlabelled import UnlabelledTexts, unlabelled_texts
from graphmtl.data.vectors import read_vectors
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, note
from graphmtl.files import read_json, write_whole, written_whole
from graphmtl.generators import generators_kept
from graphmtl.layers.message_lstm import LSTM
from graphmtl.models.language_model import LanguageModel, asked_words
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.resolution import resolve_chars
from graphmtl.models.weights import load_weights, save_weights
from graphmtl.models.word_encoder import WordEncoder, WordEncoderOptions
from graphmtl.options import changed
from graphmtl.training.building import build_vocabulary
from graphmtl.training.processes import process_state
from graphmtl.training.run import Run
from graphmtl.training.run_data import planted_options
from graphmtl.training.trainer import Trainer

__all__ = ["load_pretrained", "pretrain"]

_WEIGHTS, _ABOUT, _VOCABULARY = "pretrained.safetensors", "pretraining.json", "vocabulary.txt"
_DIGEST = "texts.sha256"
_LEFT_OUT: dict[str, Any] = {  # options of what is between tasks, of labels and of who looks on, and what they are
    "balancing": "equal",
    "conflict_every": 0,
    "terms": None,
    "sampling": "proportional",
    "mix": False,
    "select_by": "mean",
    "refit_on_valid": False,
    "label_smoothing": 0.0,
    "track": None,
}
_HELD_OUT, _MOST = 0.05, 500  # of the texts, whose perplexity is measured


@generators_kept()
def pretrain(tasks: TaskSet, options: Options, folder: Path, say: Callable[..., Any] = print) -> dict:
    """Trains word embeddings and an LSTM as a language model, and writes them to a folder.

    Args:
        tasks: whose unlabelled and training texts are read, with the vocabulary that a run on them has.
        options: of a run: those of its encoder, its LSTM and its training are looked at.
        folder: where it is written; ``options.resume`` and ``options.overwrite`` are as for a run.
        say: is told what is read.

    Returns:
        What ``pretraining.json`` holds: the texts, and of every direction the perplexity of held-out texts.

    Raises:
        InputError: the encoder reads no words, there are no texts, or the folder may not be written.
    """
    if not isinstance(options, WordEncoderOptions):
        raise InputError(f"pretrain: --encoder {options.encoder} is pre-trained already; accepted: --encoder lstm")
    run = Run(folder)
    run.check(options, data := fingerprint(tasks))
    vectors = read_vectors(options.embeddings) if options.embeddings else None
    chosen: Any = options if vectors is None else changed(options, embedding_size=vectors.dim)
    chosen = resolve_chars(chosen, tasks.tasks.values())
    sources = open_sources(
        options.tasks, data_dir=options.data_dir, seed=options.seed, planted=planted_options(options)
    )
    texts = unlabelled_texts(tasks, sources)
    say(f"pre-training on {texts}")
    vocabulary = build_vocabulary(tasks, chosen, vectors, say)
    train, held_out = _splits(texts, vocabulary, chosen)
    if cut := train.truncated + held_out.truncated:
        say(f"{cut:,} of {len(texts.texts):,} texts cut to {chosen.max_length} words (--max-length)")
    digest = hashlib.sha256(train.digest() + held_out.digest()).hexdigest()
    begun = folder / _DIGEST
    if options.resume and begun.is_file() and begun.read_text(errors="replace") != digest:
        raise InputError(f"{folder}: its texts are not those it began with; --overwrite begins anew")
    set_seed(options.seed)
    encoder = WordEncoder(vocabulary=vocabulary, options=chosen)
    if vectors is not None:
        encoder.load_vectors(vectors, vocabulary)
    directions = 2 if chosen.bidirectional else 1
    lstm = LSTM(input_size=encoder.output_size, hidden=chosen.hidden, directions=directions)
    model = LanguageModel(encoder=encoder, lstm=lstm, words=len(vocabulary), dropout=chosen.locked_dropout)
    state = process_state(options.device)
    with run.begun(options, data):
        if state.is_main_process:
            write_whole(begun, digest)
        given = {
            name: EncodedTask(task=task, train=train, valid=held_out, test=held_out, corpus="texts")
            for name, task in model.tasks.items()
        }
        trainer = Trainer(model=model, data=given, options=_training(options), folder=folder)
        (budget,) = trainer.budgets.values()
        result = trainer.train(resume=options.resume, keep_epochs=budget.epochs)
        about = {
            "texts": len(texts.texts),
            "unlabelled": texts.unlabelled,
            "left_out": {"held_out": texts.held_out, "repeated": texts.repeated},
            "epochs": result.epochs,
            "steps": result.steps,
            "seconds": result.seconds,
            "tokens_per_second": result.tokens_per_second,
            "perplexity": model.perplexity(held_out, 64),
            "words": len(vocabulary),
        }
        if state.is_main_process:
            vocabulary.save(folder / _VOCABULARY)
            with written_whole(folder / _WEIGHTS) as part:
                save_weights(part, _weights(model.encoder, model.lstm))
            write_whole(folder / _ABOUT, json.dumps(about, indent=2) + "\n")
    return about


def _training(options: Options) -> TrainingOptions:
    """How a language model is trained: as the run, but for what is between tasks, and up to the last epoch."""
    left_out = [name for name, value in _LEFT_OUT.items() if getattr(options, name) != value]
    if left_out:
        note(f"{', '.join(map(flag, left_out))}: of no effect on pre-training")
    return TrainingOptions(**vars(part(options, TrainingOptions)) | _LEFT_OUT)


def _splits(texts: UnlabelledTexts, vocabulary: Vocabulary, options: Any) -> tuple[EncodedSplit, EncodedSplit]:
    """The texts that are learned of, and some that are not, drawn by ``--seed``.

    Raises:
        InputError: there are too few.
    """
    if len(texts.texts) < 2:
        raise InputError(f"pretrain: found {len(texts.texts)} texts, expected 2 or more")
    order = np.random.default_rng(options.seed).permutation(len(texts.texts))
    held_out = min(max(round(_HELD_OUT * len(order)), 1), _MOST)
    forms = word_forms(vocabulary)

    def split(places: np.ndarray) -> EncodedSplit:
        some = [texts.texts[place] for place in sorted(places)]
        read: Any = encode_texts(some, vocabulary, options, forms)
        ids = [list(own) for own in read]
        words = ids if forms is None else [forms.indices(np.array(own)).tolist() for own in ids]
        asked = asked_words(words, 2 if options.bidirectional else 1)
        found = EncodedSplit(tasks=[*asked], texts=ids, labels=asked, forms=forms)
        found.truncated = read.truncated
        return found

    return split(order[held_out:]), split(order[:held_out])


def _weights(encoder: nn.Module, lstm: nn.Module) -> dict[str, torch.Tensor]:
    parts = {"encoder": encoder, "lstm": lstm}
    return {f"{name}.{key}": value for name, module in parts.items() for key, value in module.state_dict().items()}


def load_pretrained(model: MultiTaskModel, folder: str, say: Callable[..., Any] = print) -> None:
    """Starts the word embeddings and the LSTM that all tasks share from what :func:`pretrain` wrote.

    Raises:
        InputError: the folder holds no such thing, the tasks share no LSTM, or words or sizes are others.
    """
    what, path = f"--pretrained {folder}", Path(folder)
    lstm = model.architecture.shared_lstm()
    if lstm is None:
        raise InputError(
            f"{what}: --arch {model.options.arch} has no LSTM that all tasks share, as star and shared have"
        )
    for name in (_WEIGHTS, _ABOUT, _VOCABULARY):
        if not (path / name).is_file():
            raise InputError(f"{what}: no {name} there; a folder that `graphmtl pretrain` has written is expected")
    theirs = Vocabulary.load(path / _VOCABULARY)
    if theirs.words != model.vocabulary.words or theirs.tokenizer != model.vocabulary.tokenizer:
        raise InputError(
            f"{what}: its {len(theirs):,} words are not the {len(model.vocabulary):,} of this run; give both the same "
            "--tasks, --seed, --tokenizer, --min-count and --embeddings"
        )
    encoder, found = model.encoders[0], load_weights(path / _WEIGHTS)
    ours = _weights(encoder, lstm)
    for name in sorted({*found, *ours}):
        shapes = [tuple(each[name].shape) if name in each else None for each in (found, ours)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{what}: {name} is {shapes[0]}, expected {shapes[1]}; give both the same sizes")
    for prefix, module in (("encoder.", encoder), ("lstm.", lstm)):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)})
    say(
        f"{folder}: word embeddings and the LSTM that all tasks share start as a language model of "
        f"{_told(path / _ABOUT)} that stand in a validation or test split"
    )


def _told(path: Path) -> str:
    """What ``pretraining.json`` says of the texts."""
    about = read_json(path)
    try:
        perplexity = ", ".join(f"{name} {value:.1f}" for name, value in about["perplexity"].items())
        left_out = about["left_out"]["held_out"]
        return f"{about['texts']:,} texts (perplexity {perplexity}); left out of them: {left_out:,}"
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not what graphmtl writes there ({type(error).__name__}: {error})") from None
