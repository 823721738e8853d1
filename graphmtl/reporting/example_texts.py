"""Test texts of a run with what each of their tokens read."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from datasets import Dataset

from graphmtl.data.planted_truth import DECIDED_BY
from graphmtl.data.raw_texts import as_read, text_of_row
from graphmtl.data.task import Task
from graphmtl.graph.comparison import ALIKE
from graphmtl.graph.pictures.token_map import rows_are_alike
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_tasks_again

__all__ = ["example_texts"]

_LONGEST = 60  # tokens; of longer texts the shortest are taken, where a task has no other
_COMPARED = 100  # texts among which those are sought that read most differently
_SHOWN = 150  # tokens: what each of them read from each is a square of numbers


def example_texts(run: Run, *, per_task: int, seed: int) -> dict[str, list[dict]]:
    """Some test texts of every task, drawn by ``seed``, as the finished model reads them.

    Where a task reads from several others, two more follow: of 100 texts those that read most differently, the one that
    leaned most towards one of two sources, away from the other, and the one that leaned the other way.

    Returns:
        For each task, ``{"tokens", "more", "tags", "gold_tags", "label", "probability", "gold", "columns", "itself",
        "alike", "weights", "contrast", "decided_by"}`` of each text. ``tokens`` are its first 150, and there are
        ``more``. ``weights`` (tokens, columns) is what each token read from each of ``columns``: tasks, or the tokens
        themselves, which is ``columns`` None; ``itself`` is the place of the task among them, or None, and ``alike``
        says whether every token read the same (see :func:`~graphmtl.graph.pictures.token_map.rows_are_alike`).
        ``weights`` is empty where tasks do not read from each other. Tags are None unless the task tags tokens, and
        then ``label`` and ``gold`` are. ``contrast`` is None of a drawn text; of the two that follow it is
        ``{"sources", "weights", "texts"}``: the source that the text leaned towards and the one that it turned from,
        the mean over tokens of what it read from each, and among how many texts it was found. ``decided_by`` is the
        task that decides the text, where that is known (:class:`~graphmtl.data.planted_truth.PlantedTruth`).

    Raises:
        InputError: The run's data or its model cannot be loaded, or the data has changed.
    """
    data, model = load_tasks_again(run), run.model
    data.check_learned(model.tasks, run.folder)
    reads_tasks = model.architecture.has_edges and model.architecture.virtual_node is None
    examples = {}
    for name, task in data.tasks.items():
        deciders = () if data.truth is None else data.truth.deciders.get(name, ())
        rows = _choose(data[name].test, model, max(per_task, _COMPARED) if reads_tasks else per_task, seed)
        answers = model.predict([text_of_row(row) for row in rows], name, edges="tokens")
        texts = [_example(task, *pair, deciders) for pair in zip(rows[:per_task], answers[:per_task], strict=True)]
        for i, contrast in _contrasts(name, [answer["edges"] for answer in answers] if reads_tasks else []):
            texts.append({**_example(task, rows[i], answers[i], deciders), "contrast": contrast})
        examples[name] = texts
    return examples


def _contrasts(target: str, edges: Sequence[list[list[dict]]]) -> list[tuple[int, dict]]:
    """The texts that read most differently, each by its place, and what it read: two texts, or none."""
    sources = [edge["source"] for edge in edges[0][0]] if edges else []
    read = np.array([np.mean([[edge["weight"] for edge in own] for own in text], axis=0) for text in edges])
    others = [i for i, source in enumerate(sources) if source != target]  # read: (texts, sources)
    leanings = {(a, b): read[:, a] - read[:, b] for a, b in combinations(others, 2)}  # (texts,)
    if not leanings:
        return []
    a, b = max(leanings, key=lambda pair: float(np.ptp(leanings[pair])))
    leaning = leanings[a, b]
    if np.ptp(leaning) < ALIKE:
        return []

    def contrast(place: np.intp, one: int, other: int) -> tuple[int, dict]:
        weights = [round(float(read[place, i]), 4) for i in (one, other)]
        found = {"sources": [sources[one], sources[other]], "weights": weights, "texts": len(edges)}
        return int(place), found

    return [contrast(leaning.argmax(), a, b), contrast(leaning.argmin(), b, a)]


def _choose(split: Dataset, model: MultiTaskModel, count: int, seed: int) -> list[dict]:
    """``count`` rows in an order drawn by ``seed``; no blank texts, and those of more than 60 tokens come last."""
    rows: list[dict[str, Any]] = [split[int(i)] for i in np.random.default_rng(seed).permutation(len(split))[:200]]
    texts = [as_read(text_of_row(row)) for row in rows]
    lengths = [max(len(model.vocabulary.split(*each)) for each in own) for own in texts]
    order = sorted(range(len(rows)), key=lambda i: max(lengths[i], _LONGEST))  # stable: the drawn order
    return [rows[i] for i in order if any("".join(text).strip() for each in texts[i] for text in each)][:count]


def _example(task: Task, row: dict, answer: dict, deciders: Sequence[str]) -> dict:
    edges = answer["edges"]
    words_are_read = bool(edges[0]) and "reads" in edges[0][0]
    if words_are_read:
        weights = [edge["reads"] for (edge,) in edges]  # (tokens, tokens)
    else:
        weights = [[edge["weight"] for edge in own] for own in edges]  # (tokens, sources)
    if len(weights) == 1:  # the nodes are read once for the whole text
        weights = weights * len(answer["tokens"])
    shown = slice(_SHOWN)
    columns = shown if words_are_read else slice(None)
    sources = None if words_are_read else [edge["source"] for edge in edges[0]]
    itself = sources.index(task.name) if sources and task.name in sources else None
    others = [i for i in range(len(weights[0])) if i != itself]
    kind, gold = task.of_kind, row["label"]
    label, probability = (None, None) if kind.labels_tokens else kind.short(answer)
    return {
        "tokens": answer["tokens"][shown],
        "more": max(len(answer["tokens"]) - _SHOWN, 0),
        "tags": answer["labels"][shown] if kind.labels_tokens else None,
        "gold_tags": kind.named(gold)[shown] if kind.labels_tokens else None,
        "label": label,
        "probability": probability,
        "gold": None if kind.labels_tokens else kind.short_label(gold),
        "columns": sources,
        "itself": itself,
        "alike": bool(others) and rows_are_alike(np.array(weights)[:, others]),
        "weights": [[round(weight, 4) for weight in own[columns]] for own in weights[shown]] if any(weights) else [],
        "contrast": None,
        "decided_by": deciders[row[DECIDED_BY]] if deciders else None,
    }
