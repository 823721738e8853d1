"""From raw texts to predictions: texts are checked, and read once for all tasks that read the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeGuard

import numpy as np
import torch

from graphmtl.config import ModelOptions
from graphmtl.data.batching import Batch, EncodedSplit, encode_texts, read_by_word, word_forms
from graphmtl.data.choices import filled
from graphmtl.data.long_texts import batches_of, warn_of_long
from graphmtl.data.raw_texts import Text, as_read, texts_by_task
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task
from graphmtl.data.tokenizer import Span
from graphmtl.errors import CountWarning, InputError, check_kind, note, shown, unknown_name
from graphmtl.layers.modes import evaluating
from graphmtl.models.predictions import ModelOutput, blank_prediction, in_words

__all__ = ["predict", "predict_each"]


def predict(
    model: Any,
    texts: Any,
    task: str | Sequence[str],
    *,
    edges: bool | Literal["tokens"] = False,
    batch_size: int = 64,
    reads: int | None = None,
) -> list[dict]:
    """See :meth:`MultiTaskModel.predict <graphmtl.models.model.MultiTaskModel.predict>`."""
    check_kind("task", task, Iterable, "the name of a task, or several")
    names = [task] if isinstance(task, str) else list(task)
    for name in names:
        if name not in model.tasks:
            raise unknown_name("task", str(name), model.tasks)
    read = texts_by_task(texts, [model.tasks[name] for name in names])
    predictions = predict_each(model, read, edges=edges, batch_size=batch_size, reads=reads)
    return [own[name] for own in predictions for name in names]


@torch.no_grad()
def predict_each(
    model: Any,
    texts: Mapping[str, list[Text]],
    *,
    edges: bool | Literal["tokens"] = False,
    batch_size: int = 64,
    reads: int | None = None,
) -> list[dict[str, dict]]:
    """See :meth:`MultiTaskModel.predict_each <graphmtl.models.model.MultiTaskModel.predict_each>`."""
    for name, value in {"batch_size": batch_size, "reads": 1 if reads is None else reads}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name}: found {shown(value)}, expected a whole number from 1 on")
    if edges not in (True, False, "tokens"):
        raise InputError(f"edges: found {shown(edges)}, expected True, False or 'tokens'")
    same: dict[int, list[str]] = {}
    for name, read in texts.items():
        same.setdefault(id(read), []).append(name)
    rows = len(next(iter(texts.values()), ()))
    predictions: list[dict[str, dict]] = [{} for _ in range(rows)]
    with evaluating(model):
        for names in same.values():
            checked = _checked(texts[names[0]], [model.tasks[name] for name in names])
            found = _predictions(model, checked, names, edges, batch_size, reads)
            for own, more in zip(predictions, found, strict=True):
                own |= more
    return predictions


def _predictions(
    model: Any,
    texts: Sequence[Text],
    names: Sequence[str],
    edges: bool | Literal["tokens"],
    batch_size: int,
    reads: int | None,
) -> list[dict[str, dict]]:
    """Of every text the predictions of several tasks."""
    predictions = [{name: blank_prediction(model.tasks[name], text) for name in names} for text in texts]
    every_token = {name: model.tasks[name].of_kind.reads_tokens or edges == "tokens" for name in names}
    groups: dict[tuple[bool, bool, int], list[str]] = {}
    for name, every in every_token.items():
        by_word = read_by_word(model.tasks[name], model.vocabulary, every_token=every)
        kept = model.tasks[name].kept_tokens(model.options.max_length)
        groups.setdefault((by_word, every, kept), []).append(name)
    for (by_word, every, kept), alike in groups.items():
        options = replace(model.options, max_length=kept)
        for row, found in _read(
            model, texts, alike, bool(edges), batch_size, reads, options=options, whole=by_word, every_token=every
        ):
            predictions[row] |= found
    return predictions


def _read(
    model: Any,
    texts: Sequence[Text],
    names: Sequence[str],
    edges: bool,
    batch_size: int,
    reads: int | None,
    *,
    options: ModelOptions,
    whole: bool,
    every_token: bool,
) -> Iterator[tuple[int, dict[str, dict]]]:
    """The row and the predictions of every text that is not blank; ``whole`` cuts no token off.

    With ``every_token`` they speak of every token.
    """
    device = next(model.parameters()).device
    given = [as_read(text) for text in texts]
    rows = [row for row, own in enumerate(given) if any(_is_something(text) for each in own for text in each)]
    forms = word_forms(model.vocabulary)
    chosen = (each for row in rows for each in given[row])
    groups = np.array([len(given[row]) for row in rows], dtype=np.int64) if model.tasks[names[0]].choices else None
    ids = encode_texts(chosen, model.vocabulary, options, forms, whole=whole, keep_both=groups is not None)
    split = EncodedSplit(tasks=names, texts=ids, forms=forms, groups=groups)
    lengths = np.zeros(len(texts), dtype=np.int64)  # (texts,)
    lengths[rows] = split.lengths
    told = edges and every_token  # how much each token read of each, where the nodes are tokens
    where = f"{', '.join(names)}, the texts to be predicted"
    warn_of_long(lengths, options, where, training=False, told=told and reads is None)
    if split.truncated:
        note(CountWarning(f"{where}:", split.truncated, f"cut to {options.max_length} tokens, as in training"))
    order = split.lengths.argsort(kind="stable")  # (examples,)
    for cut in batches_of(split.lengths[order], options, batch_size=batch_size, told=told):
        some = order[cut]
        batch = split.batch(some)
        outputs = model(batch.to(device), edges=edges)
        read: list[Any] = [given[rows[i]] for i in some]
        words, offsets = _tokens(model, [each for own in read for each in own], batch) if every_token else ([], [])
        read = [own for (own,) in read] if groups is None else read
        found = {}
        for name in names:
            answers = model.tasks[name].of_kind.located(outputs[name].answers, read, model.vocabulary)
            output, tokens, places = _of_chosen(batch, outputs[name], words, offsets)
            found[name] = in_words(model.tasks[name], output, tokens, places, edges, answers, reads)
        for i, predictions in zip(some, zip(*found.values(), strict=True), strict=True):
            yield rows[i], dict(zip(names, predictions, strict=True))


def _of_chosen(
    batch: Batch, output: ModelOutput, words: list[list[str]], offsets: list[list[Span] | None]
) -> tuple[ModelOutput, list[list[str]], list[list[Span] | None]]:
    """What is said of an example that has several texts is said of the one that was chosen: its tokens and edges."""
    if batch.groups is None or output.answers is None:
        return output, words, offsets
    places = batch.groups.cumsum(0) - batch.groups + output.answers.cpu()  # (batch,)
    edges = None if output.edges is None else output.edges.chosen(places)
    chosen = places.tolist() if words else []
    return replace(output, edges=edges), [words[i] for i in chosen], [offsets[i] for i in chosen]


def _tokens(model: Any, texts: Sequence[tuple], batch: Batch) -> tuple[list[list[str]], list[list[Span] | None]]:
    """The tokens of each text of a batch: its words, or the subwords that a transformer read of it.

    Also where they stand; None for subwords, lists of tokens and pairs of texts.
    """
    if isinstance(model.vocabulary, SubwordVocabulary) and batch.windows.words is None:
        ids = zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)
        return [model.vocabulary.tokens(own[:length]) for own, length in ids], [None] * len(texts)
    spans = model.vocabulary.spans(text[0] for text in texts if _is_raw(text))
    offsets = [next(spans) if _is_raw(text) else None for text in texts]
    words = [
        model.vocabulary.split(*text) if own is None else [text[0][start:end] for start, end in own]
        for text, own in zip(texts, offsets, strict=True)
    ]
    return words, offsets


def _checked(texts: list[Text], tasks: Sequence[Task]) -> list[Text]:
    """The texts, all of which the tasks read; for tasks of tokens a tuple of words is a list of them."""
    of_pairs = any(task.is_pair for task in tasks)
    if any(task.choices for task in tasks):
        texts = [
            (text[0], filled(text[1], f"texts[{i}]")) if _has_choices(text) else text for i, text in enumerate(texts)
        ]
    for i, text in enumerate(texts):
        if not (isinstance(text, str) or _are_texts(text) or _has_choices(text)):
            accepted = "a text, a list of tokens, a pair of texts, or a context and a list of its choices"
            raise InputError(f"texts[{i}]: found {shown(text)}, expected {accepted}")
        for task in tasks:
            if not _is_read(text, task, of_pairs):
                reads = "a pair of texts (a tuple)" if task.is_pair else "one text"
                reads = "a context and a list of two or more choices (a tuple)" if task.choices else reads
                raise InputError(f"texts[{i}]: task {task.name!r} reads {reads}, found {shown(text)}")
    if of_pairs or any(task.choices for task in tasks) or not any(task.tokens for task in tasks):
        return texts
    return [[*map(str, text)] if isinstance(text, tuple) else text for text in texts]


def _is_read(text: Text, task: Task, of_pairs: bool) -> bool:
    """Whether the task reads the text; a tuple is a pair if any of the tasks reads pairs."""
    if task.choices:
        given = len(text[1]) > 1 or not (text[1] or _is_something(text[0])) if _has_choices(text) else False
        return given or not _is_something(text)
    if _has_choices(text):
        return False
    if task.is_pair:
        return (isinstance(text, tuple) and len(text) == 2) or not _is_something(text)
    return not isinstance(text, tuple) or (task.tokens and not of_pairs)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(each, str) for each in values)


def _has_choices(text: Any) -> TypeGuard[tuple[str, list[str]]]:
    return isinstance(text, tuple) and len(text) == 2 and isinstance(text[0], str) and _are_texts(text[1])


def _is_raw(text: tuple) -> bool:
    """Whether it is one text, not a list of tokens nor a pair of texts."""
    return len(text) == 1 and isinstance(text[0], str)


def _is_something(text: Sequence[Any]) -> bool:
    return bool(text.strip()) if isinstance(text, str) else len(text) > 0
