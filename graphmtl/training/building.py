"""A fresh model for the tasks of a run: its vocabulary, its first weights, and what is said of them."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from accelerate.utils import set_seed
from datasets import Dataset

from graphmtl.architectures.adapterfusion import AdapterFusionOptions
from graphmtl.config import Options
from graphmtl.data.kept import are_large, digest_of, kept
from graphmtl.data.raw_texts import texts_of_split
from graphmtl.data.spelling import Alphabet
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskData, TaskSet
from graphmtl.data.tokenizer import KINDS, Tokenizer
from graphmtl.data.vectors import Vectors, coverage, read_vectors
from graphmtl.data.vocabulary import Vocabulary, count_words
from graphmtl.errors import InputError, check_kind
from graphmtl.generators import generators_kept
from graphmtl.graph.topology import Topology
from graphmtl.models.encoder import VocabularyOptions
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.resolution import resolve
from graphmtl.models.transformer import TransformerOptions, load_subwords
from graphmtl.models.word_encoder import WordEncoderOptions
from graphmtl.options import changed
from graphmtl.registry import is_outside
from graphmtl.training.first_stage import load_adapters
from graphmtl.training.run import Run
from graphmtl.verbosity import progress

__all__ = ["build_model", "build_vocabulary", "learn_from_labels"]


@generators_kept()
def build_model(tasks: TaskSet, options: Options, say: Callable[..., Any] = print) -> MultiTaskModel:
    """A fresh model for the tasks, started from a transformer's weights or, if given, pre-trained word vectors."""
    check_kind("tasks", tasks, TaskSet, "a task set (graphmtl.load_tasks)")
    check_kind("options", options, Options, "options (graphmtl.make_options)")
    vectors = None
    if isinstance(options, WordEncoderOptions) and options.embeddings:
        vectors = read_vectors(options.embeddings)
        options = changed(options, embedding_size=vectors.dim)
    subwords = None if isinstance(options, VocabularyOptions) else _subwords(options)
    options = resolve(options, list(tasks.tasks.values()), subwords)
    vocabulary = build_vocabulary(tasks, options, vectors, say) if subwords is None else subwords
    set_seed(options.seed)
    model = MultiTaskModel(tasks=list(tasks.tasks.values()), vocabulary=vocabulary, options=options)
    if model.architecture.topology is not None:
        say(_about(model.architecture.topology))
    learn_from_labels(model, tasks)
    if isinstance(options, TransformerOptions):
        _load_encoder(model, options, say)
    elif isinstance(options, WordEncoderOptions) and vectors is not None:
        covered = coverage(vocabulary.counts, vectors)
        say(
            f"{options.embeddings}: {len(vectors.words)} vectors of {vectors.dim} dimensions cover {covered.types:.1%} "
            f"of the training texts' different words, {covered.tokens:.1%} of all their words"
        )
        model.load_vectors(vectors)
    if isinstance(options, AdapterFusionOptions) and options.adapters is not None:
        load_adapters(model, Run.open(options.adapters))
    return model


def learn_from_labels(model: MultiTaskModel, tasks: Mapping[str, TaskData]) -> None:
    """Gives the heads what they need to know of their training labels, such as the mean of scores."""
    for head, task in zip(model.heads, model.tasks, strict=True):
        if task in tasks:
            head.learn_from(tasks[task].train["label"])


def _subwords(options: Options) -> SubwordVocabulary:
    """A transformer's pieces."""
    if is_outside(options.encoder):
        raise InputError(
            f"encoder {options.encoder!r}: one from outside the package reads words, so its Options must be derived "
            "from graphmtl.models.encoder.VocabularyOptions"
        )
    return load_subwords(options.encoder)


def build_vocabulary(tasks: TaskSet, options: Any, vectors: Vectors | None, say: Callable[..., Any]) -> Vocabulary:
    """The words of the training texts, and their characters if these are read.

    Args:
        tasks: whose training texts they are.
        options: of the run, a :class:`~graphmtl.models.encoder.VocabularyOptions` among them.
        vectors: pre-trained ones, whose words are known too.
        say: is told how many there are.
    """
    tokenizer = _tokenizer(tasks, options, say)
    layers = {data.corpus or name: data.train for name, data in tasks.items()}.values()
    texts = [own for rows in layers for own in texts_of_split(rows)]
    vocabulary = Vocabulary.of_counts(
        _counted([*layers], texts, tokenizer),
        min_count=options.min_count,
        tokenizer=tokenizer,
        extra_words=vectors.words if vectors is not None else (),
    )
    say(f"{len(vocabulary)} words in the vocabulary")
    if isinstance(options, WordEncoderOptions) and options.chars != "none":
        vocabulary.alphabet = Alphabet.build(
            word
            for words, *_ in vocabulary.split_texts((text,) for text in chain.from_iterable(texts))
            for word in words
        )
        say(f"{len(vocabulary.alphabet.characters)} characters, {len(vocabulary.alphabet.shapes)} shapes of words")
    return vocabulary


def _counted(layers: Sequence[Dataset], texts: Sequence[Collection], tokenizer: Tokenizer) -> Mapping[str, int]:
    """How often each word of the training texts occurs; of large ones it is kept."""

    def count() -> Mapping[str, int]:
        every = progress(chain.from_iterable(texts), "counting words", sum(map(len, texts)))
        return count_words(every, tokenizer)

    if not are_large(layers):
        return count()
    made_of = {"texts": [*map(digest_of, layers)], "tokenizer": [tokenizer.kind, tokenizer.digest()]}
    found = kept("counts of words", made_of, lambda: _as_arrays(count()))
    return dict(zip(json.loads(found["words"].tobytes()), found["counts"].tolist(), strict=True))


def _as_arrays(counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    words = json.dumps([*counts]).encode()
    return {"words": np.frombuffer(words, dtype=np.uint8), "counts": np.array([*counts.values()], dtype=np.int64)}


def _tokenizer(tasks: TaskSet, options: VocabularyOptions, say: Callable[..., Any]) -> Tokenizer:
    """What cuts the texts.

    Raises:
        InputError: it cannot be read, or makes pieces of words where words are asked for.
    """
    tokenizer = Tokenizer(options.tokenizer, lower_case=options.lower_case)
    if options.tokenizer not in KINDS and not options.lower_case:
        say(f"--no-lower-case has no effect with --tokenizer {options.tokenizer}, whose normalizer says it")
    if tokenizer.has_pieces:
        tagged = next((name for name, data in tasks.items() if data.task.tokens), None)
        what = f"--tokenizer {options.tokenizer}: its model makes pieces of words"
        if tagged is not None:
            raise InputError(f"{what}, but task {tagged!r} is given in words; accepted: {', '.join(KINDS)}")
        if isinstance(options, WordEncoderOptions) and options.chars != "none":
            raise InputError(f"{what}, and --chars {options.chars} reads words; accepted: --chars none")
    return tokenizer


def _load_encoder(model: MultiTaskModel, options: TransformerOptions, say: Callable[..., Any]) -> None:
    name = model.options.encoder
    first, *_ = layers = [encoder.layers() for encoder in model.encoders]
    if options.layer_decay < 1 and len(first) == 1:
        raise InputError(f"--layer-decay: the layers of {name} share their weights")
    model.load_encoder()
    size = sum(parameter.numel() for layer in first for parameter in layer)
    copies = "" if len(layers) == 1 else f", one for each of {len(layers)} tasks"
    say(f"{name}: {size:,} parameters, {len(model.vocabulary):,} pieces{copies}")
    if options.lora:
        trained = sum(parameter.numel() for layer in first for parameter in layer if parameter.requires_grad)
        say(f"lora: {trained:,} of {size:,} parameters trained")


def _about(topology: Topology) -> str:
    lonely = [task for task, sources in topology.sources.items() if not sources]
    about = f"topology: {len(topology.edges)} edges between {len(topology.tasks)} tasks"
    return f"{about}; without sources: {', '.join(lonely)}" if lonely else about
