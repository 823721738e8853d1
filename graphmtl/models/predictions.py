"""What a model says of a batch, and the same in words: labels, scores, tags and edges by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphmtl.data.digits import shortest
from graphmtl.data.raw_texts import Text
from graphmtl.data.task import Task
from graphmtl.data.tokenizer import Span
from graphmtl.errors import InputError
from graphmtl.layers.interaction import EdgeWeights

__all__ = ["Halves", "ModelOutput", "ModelOutputs", "blank_prediction", "in_words", "text_edges", "token_edges"]


class Halves(NamedTuple):
    """The token states of some texts where training holds two halves of them apart.

    Attributes:
        shared: what all tasks make of the texts, (texts, tokens, dim), 0 at padding.
        own: what the task itself makes of them, in the same shape.
        lengths: (texts,), always on the CPU.
    """

    shared: Tensor
    own: Tensor
    lengths: Tensor


@dataclass
class ModelOutput:
    """What the head of a task says of a batch.

    Attributes:
        logits: what the head gives: (batch, classes), or of tags (batch, tokens, classes); of a regression
            standardised scores (batch,); of choices (batch, choices), minus infinity where there are no more; of
            answers that are spans (batch, tokens, 2), minus infinity where none can stand.
        edges: if they were asked for and the architecture has any; of every text, also where examples have several.
        penalty, nodes: see :class:`~graphmtl.architectures.architecture.HeadInput`.
        hidden: what the head read, (batch, dim), of tags (batch, tokens, dim), of choices (texts, dim).
        halves: the token states of every text, in training, where the architecture ``holds_apart`` halves of them.
        answers: the answer to every text, of the form of the labels (batch, ...); None in training.
        probabilities: those of the classes (batch, classes), where an answer has such; None in training.
        losses: the loss of every text's labels (batch,); None without labels, as the following.
        views: of each further view of a text the loss of its labels from it (batch,); nothing but in training.
        counts: how many labels every text has (batch,).
        right: how many of them are answered right (batch,), nan where that is no question; None in training.
        weights: the batch's own (batch,), see :class:`~graphmtl.data.batching.Batch`.
        task_weight: the weight of the task's loss.
    """

    logits: Tensor
    edges: EdgeWeights | None = None
    answers: Tensor | None = None
    probabilities: Tensor | None = None
    losses: Tensor | None = None
    counts: Tensor | None = None
    right: Tensor | None = None
    penalty: Tensor | None = None
    nodes: Tensor | None = None
    hidden: Tensor | None = None
    halves: Halves | None = None
    weights: Tensor | None = None
    task_weight: float = 1.0
    views: dict[str, Tensor] = field(default_factory=dict)

    def loss(self, total: float | None = None) -> Tensor:
        r"""The loss of the task in the batch, (): :math:`\frac{1}{N} \sum_i w_i \ell_i`, a mean over its labels.

        Args:
            total: N; by default the number of labels, each with its text's weight. Where a batch is cut over P
                processes, every process gives N = labels of the whole batch / P: the mean over processes (of losses and
                of gradients, which is what DDP takes) is then that of the whole batch.
        """
        assert self.losses is not None
        assert self.counts is not None
        assert self.weights is not None
        total_loss = (self.losses * self.weights).sum()  # ()
        return total_loss / ((self.counts * self.weights).sum() if total is None else total)


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
        """Of each task the mean loss of its labels in the batch, (); see :meth:`ModelOutput.loss`.

        Raises:
            InputError: the batch has no labels.
        """
        losses = {}
        for task, output in self.items():
            if output.losses is None:
                raise InputError(f"batch: found no labels of task {task!r}, without which there is no loss")
            losses[task] = output.loss()
        return losses

    @property
    def loss(self) -> Tensor:
        """The sum of the tasks' losses, (), each times the task's weight; a batch is mostly of one task.

        ``graphmtl run`` adds what the architecture asks for besides: a penalty (cmtr's, with ``gate_reg``) and the
        losses of other views (cmtr's and complete's), which stand at each task's output, ``penalty`` and ``views``; and
        the terms of the objective (``adversarial``, teachers).

        Raises:
            InputError: the batch has no labels.
        """
        weights = [output.task_weight for output in self.values()]
        return torch.stack([weight * loss for weight, loss in zip(weights, self.losses.values(), strict=True)]).sum()


def blank_prediction(task: Task, text: Text) -> dict:
    """The answer to a text in which nothing stands."""
    return {"task": task.name, **task.of_kind.blank(text)}


def in_words(
    task: Task,
    output: ModelOutput,
    words: Sequence[list[str]],
    offsets: Sequence[list[Span] | None],
    edges: bool,
    answers: Sequence[Any] | None = None,
    reads: int | None = None,
) -> list[dict]:
    """The answers of a task to the texts of a batch.

    Args:
        task: the task.
        output: what the model says of the texts.
        words: their tokens where each is spoken of, else nothing.
        offsets: of each text where its tokens stand in it, or None where that is not known.
        edges: whether the edge weights are given too.
        answers: those of the texts as the task's kind puts them in words; None: as the output has them.
        reads: see `token_edges`.
    """
    assert output.answers is not None
    _check_finite(task, output)
    given = shortest(output.answers) if answers is None else answers
    probabilities = [None] * len(given) if output.probabilities is None else shortest(output.probabilities)
    found = [
        {"task": task.name, **task.of_kind.answer(answer, own, tokens)}
        for answer, own, tokens in zip(given, probabilities, words or [[]] * len(given), strict=True)
    ]
    if edges:
        per_text = token_edges(output.edges, words, reads) if words else text_edges(output.edges, len(found))
        for i, (answer, own) in enumerate(zip(found, per_text, strict=True)):
            found[i] = {**answer, **({"tokens": words[i]} if words else {}), "edges": own}
    for answer, own in zip(found, offsets, strict=bool(words)):
        if own is not None:
            answer["offsets"] = [[start, end] for start, end in own]
    return found


def _check_finite(task: Task, output: ModelOutput) -> None:
    """Whether the answers are numbers.

    Raises:
        InputError: they are not, as where the weights are not.
    """
    found = (values for values in (output.answers, output.probabilities) if values is not None)
    finite = all(values.isfinite().all() for values in found if values.is_floating_point())
    if not finite or output.logits.isnan().any():  # of tags there is no probability
        raise InputError(
            f"task {task.name!r}: the model answers nan or inf, so its weights are damaged; train it again"
        )


def text_edges(read: EdgeWeights | None, texts: int) -> list[list[dict]]:
    """For every text what was read from each source, the mean over its tokens; nothing where there is no graph."""
    if read is None:
        return [[] for _ in range(texts)]
    return [_edges(read, row) for row in shortest(read.per_instance())]


def token_edges(
    read: EdgeWeights | None, words: Sequence[Sequence[str]], reads: int | None = None
) -> list[list[list[dict]]]:
    """For every token of every text what was read from each source and, where the nodes are tokens, from which.

    Args:
        read: what the architecture says, or None.
        words: the tokens of every text.
        reads: how many tokens are told that a token read, those of which it read most, as pairs of their places and
            weights; None: the weights of all.
    """
    if read is None:
        return [[[] for _ in own] for own in words]
    edges = [
        [_edges(read, row) for row in rows[: len(own)]] for own, rows in zip(words, shortest(read.weights), strict=True)
    ]
    if read.positions is not None:
        for own, weights in zip(edges, read.positions(), strict=True):
            among = weights[: len(own), : len(own)]  # (tokens, tokens)
            told = shortest(among) if reads is None else _most(among, reads)
            for (edge,), row in zip(own, told, strict=True):
                edge["reads"] = row
    return edges


def _most(weights: Tensor, number: int) -> list[list[list]]:
    """The largest of every row of (tokens, tokens), each with its place, the largest first."""
    found, places = weights.topk(min(number, weights.size(1)), dim=1)  # (tokens, number)
    rows = zip(places.tolist(), shortest(found), strict=True)
    return [[[place, weight] for place, weight in zip(*row, strict=True)] for row in rows]


def _edges(read: EdgeWeights, row: Sequence[float]) -> list[dict]:
    weights = zip(read.sources, row, strict=True)
    return [{"source": source, "target": read.target, "weight": weight} for source, weight in weights]
