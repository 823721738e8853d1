"""What a model says of a batch, and the same in words: labels, scores, tags and edges by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphmtl.data.task import Task
from graphmtl.data.tokenizer import Span
from graphmtl.errors import InputError
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.models.losses import task_loss

__all__ = ["ModelOutput", "ModelOutputs", "blank_prediction", "in_words", "text_edges", "token_edges"]


@dataclass
class ModelOutput:
    """What the head of a task says of a batch.

    Attributes:
        logits: (batch, classes), or of tags (batch, tokens, classes); of a regression standardised scores (batch,).
        edges: if they were asked for and the architecture has any.
        penalty, nodes: see :class:`~graphmtl.architectures.architecture.HeadInput`.
        hidden: what the head read, (batch, dim), or of tags (batch, tokens, dim).
        losses: the loss of every text's labels (batch,), of a head that has its own (CRF, regression); else None.
        tags: the predicted tags (batch, tokens), of a tagging task outside training.
        scores: the predicted scores (batch,) in the label's units, of a regression.
        labels, weights: the batch's own, see :class:`~graphmtl.data.batching.Batch`.
    """

    logits: Tensor
    edges: EdgeWeights | None = None
    losses: Tensor | None = None
    tags: Tensor | None = None
    scores: Tensor | None = None
    penalty: Tensor | None = None
    nodes: Tensor | None = None
    hidden: Tensor | None = None
    labels: Tensor | None = None
    weights: Tensor | None = None


class ModelOutputs(dict[str, ModelOutput]):
    """What a model says of a batch: for each task that reads it, by name, a :class:`ModelOutput`."""

    @property
    def logits(self) -> dict[str, Tensor]:
        """Of each task, as in :class:`ModelOutput`."""
        return {task: output.logits for task, output in self.items()}

    @property
    def edges(self) -> dict[str, EdgeWeights]:
        """Of each task, where ``model(batch, edges=True)`` asked for them and the architecture has any."""
        return {task: output.edges for task, output in self.items() if output.edges is not None}

    @property
    def losses(self) -> dict[str, Tensor]:
        """Of each task the mean loss of its labels in the batch, (); see :func:`~graphmtl.models.losses.task_loss`.

        Raises:
            InputError: the batch has no labels.
        """
        losses = {}
        for task, output in self.items():
            if output.labels is None or output.weights is None:
                raise InputError(f"batch: found no labels of task {task!r}, without which there is no loss")
            losses[task] = task_loss(output, output.labels, output.weights)
        return losses

    @property
    def loss(self) -> Tensor:
        """What a step of training minimises, (): the sum of the tasks' losses, of which most batches have one.

        An architecture's own penalty (cmtr's, with ``gate_reg``) is not in it; it stands at each task's output.

        Raises:
            InputError: the batch has no labels.
        """
        return torch.stack([*self.losses.values()]).sum()


def blank_prediction(task: Task, text: str | Sequence[str]) -> dict:
    """The answer to a text in which nothing stands."""
    if task.is_tagging:
        offsets: dict[str, list] = {"offsets": []} if isinstance(text, str) else {}
        return {"task": task.name, "tokens": [], "labels": [], **offsets}
    return {"task": task.name, "value" if task.is_regression else "label": None}


def in_words(
    task: Task,
    output: ModelOutput,
    words: Sequence[list[str]],
    offsets: Sequence[list[Span] | None],
    edges: bool,
) -> list[dict]:
    """The answers of a task to the texts of a batch.

    Args:
        task: the task.
        output: what the model says of the texts.
        words: their tokens where each is spoken of, else nothing.
        offsets: of each text where its tokens stand in it, or None where that is not known.
        edges: whether the edge weights are given too.
    """
    name, labels = task.name, task.labels
    answers: list[dict]
    if output.tags is not None:
        answers = [
            {"task": name, "tokens": own, "labels": [labels[tag] for tag in tags[: len(own)]]}
            for own, tags in zip(words, output.tags.tolist(), strict=True)
        ]
    elif output.scores is not None:
        answers = [{"task": name, "value": value} for value in output.scores.tolist()]
    else:
        best = output.logits.argmax(-1).tolist()  # (batch,)
        probabilities = output.logits.float().softmax(-1).tolist()  # (batch, classes)
        answers = [
            {"task": name, "label": labels[label], "probabilities": dict(zip(labels, row, strict=True))}
            for label, row in zip(best, probabilities, strict=True)
        ]
    if edges:
        per_text = token_edges(output.edges, words) if words else text_edges(output.edges, len(answers))
        for i, (answer, own) in enumerate(zip(answers, per_text, strict=True)):
            answers[i] = {**answer, **({"tokens": words[i]} if words else {}), "edges": own}
    for answer, own in zip(answers, offsets, strict=bool(words)):
        if own is not None:
            answer["offsets"] = [[start, end] for start, end in own]
    return answers


def text_edges(read: EdgeWeights | None, texts: int) -> list[list[dict]]:
    """For every text what was read from each source, the mean over its tokens; nothing where there is no graph."""
    if read is None:
        return [[] for _ in range(texts)]
    return [_edges(read, row) for row in read.per_instance().tolist()]


def token_edges(read: EdgeWeights | None, words: Sequence[Sequence[str]]) -> list[list[list[dict]]]:
    """For every token of every text what was read from each source and, where the nodes are tokens, from which."""
    if read is None:
        return [[[] for _ in own] for own in words]
    edges = [
        [_edges(read, row) for row in rows[: len(own)]] for own, rows in zip(words, read.weights.tolist(), strict=True)
    ]
    if read.positions is not None:
        for own, rows in zip(edges, read.positions().tolist(), strict=True):
            for (edge,), row in zip(own, rows[: len(own)], strict=True):
                edge["reads"] = row[: len(own)]
    return edges


def _edges(read: EdgeWeights, row: Sequence[float]) -> list[dict]:
    weights = zip(read.sources, row, strict=True)
    return [{"source": source, "target": read.target, "weight": weight} for source, weight in weights]
