"""What a model predicts on a split, and how good it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl import metrics
from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask, batches_by_length
from graphmtl.data.task import NO_LABEL, Task
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.models.losses import text_losses

__all__ = [
    "Predictions",
    "Record",
    "ScorePredictions",
    "TagPredictions",
    "predict_split",
    "score",
]

Record = Callable[[EdgeWeights, Tensor | None], None]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A task's predictions on the texts of a split that have a label, in the split's order, on the CPU.

    Attributes:
        logits: (examples, classes), float.
        labels: (examples,), int64.
        seen: (examples,), bool: the example's text occurs in a training split of the run.
    """

    logits: Tensor
    labels: Tensor
    seen: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def unseen(self) -> "Predictions":
        """The predictions for texts that occur in no training split (``test_dedup``)."""
        keep = ~self.seen  # (examples,)
        return Predictions(logits=self.logits[keep], labels=self.labels[keep], seen=self.seen[keep])


@dataclass(frozen=True, kw_only=True)
class ScorePredictions:
    """The scores that a regression predicts for the texts of a split that have a label, in the split's order.

    Attributes:
        scores: (examples,), float, in the label's units.
        labels: (examples,), float.
        losses: (examples,), squared errors of the standardised scores.
        seen: (examples,), bool: the example's text occurs in a training split of the run.
    """

    scores: Tensor
    labels: Tensor
    losses: Tensor
    seen: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def unseen(self) -> "ScorePredictions":
        """The predictions for texts that occur in no training split (``test_dedup``)."""
        return self.chosen(~self.seen)

    def chosen(self, keep: Tensor) -> "ScorePredictions":
        """The predictions for some of the texts."""
        return ScorePredictions(
            scores=self.scores[keep], labels=self.labels[keep], losses=self.losses[keep], seen=self.seen[keep]
        )


@dataclass(frozen=True, kw_only=True)
class TagPredictions:
    """A task's predicted tags on the sentences of a split that have a label, in the split's order.

    Attributes:
        tags: (tokens,) int64 of each sentence.
        labels: (tokens,) int64 of each sentence, -100 where there is none.
        losses: (examples,), minus the log-likelihood of each sentence's labels.
        seen: (examples,), bool: the sentence occurs in a training split of the run.
    """

    tags: list[np.ndarray]
    labels: list[np.ndarray]
    losses: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def unseen(self) -> "TagPredictions":
        """The predictions for sentences that occur in no training split (``test_dedup``)."""
        return self.chosen(~self.seen)

    def chosen(self, keep: np.ndarray) -> "TagPredictions":
        """The predictions for some of the sentences."""
        rows = np.flatnonzero(keep)
        tags, labels = ([values[i] for i in rows] for values in (self.tags, self.labels))
        return TagPredictions(tags=tags, labels=labels, losses=self.losses[rows], seen=self.seen[rows])

    def as_lists(self) -> tuple[list[list[int]], list[list[int]]]:
        """Predicted and right tags of every sentence."""
        return [tags.tolist() for tags in self.tags], [labels.tolist() for labels in self.labels]


def score(task: Task, predictions: Predictions | ScorePredictions | TagPredictions) -> dict[str, float]:
    """The task's metrics, and ``loss``: the mean cross-entropy of the right labels, without label smoothing.

    For tags it is the mean per token; a CRF's is minus the log-likelihood, a regression's the squared error of the
    standardised scores. All are ``nan`` where there is no prediction.
    """
    if isinstance(predictions, ScorePredictions):
        correlations = metrics.compute_correlations(task, predictions.scores, predictions.labels)
        return correlations | {"loss": float(predictions.losses.mean())}
    if isinstance(predictions, TagPredictions):
        return _tag_scores(task, predictions)
    scores = metrics.compute(task, predictions.logits, predictions.labels)
    return scores | {"loss": float(F.cross_entropy(predictions.logits, predictions.labels))}


def _tag_scores(task: Task, predictions: TagPredictions) -> dict[str, float]:
    if len(predictions) == 0:
        return dict.fromkeys((*task.metrics, "loss"), float("nan"))
    tokens = sum(int((labels != NO_LABEL).sum()) for labels in predictions.labels)
    return metrics.compute_spans(task, *predictions.as_lists()) | {"loss": float(predictions.losses.sum() / tokens)}


@torch.no_grad()
def predict_split(
    *,
    model: nn.Module,
    data: Mapping[str, EncodedTask],
    split: str,
    batch_size: int,
    accelerator: Accelerator,
    record: Record | None = None,
) -> dict[str, Predictions | ScorePredictions | TagPredictions]:
    """Predict every example of a split of every task; what several tasks read is read once.

    The processes share the batches, and each gets all predictions.

    Args:
        model: the model, not wrapped for several processes.
        data: the tasks to predict.
        split: ``train``, ``valid``, ``test`` or another test split, of the tasks that have it.
        batch_size: examples read at once, texts of like length together.
        accelerator: device, precision and processes.
        record: is given the edge weights of every batch of this process, for architectures that have them, and which
            of its texts have a label of the target, (batch,) bool, None where all have.

    Returns:
        ``{task: predictions}``.
    """
    training = model.training
    model.eval()
    data = {name: task for name, task in data.items() if split in task.splits}
    processes, rank = accelerator.num_processes, accelerator.process_index
    predictions: dict[str, Predictions | ScorePredictions | TagPredictions] = {}
    for encoded in {task.corpus: task.splits[split] for task in data.values()}.values():
        done: list[tuple[np.ndarray, dict[str, tuple[Tensor, ...]]]] = []
        for rows in list(batches_by_length(encoded.lengths, batch_size))[rank::processes]:
            batch = encoded.batch(rows).to(accelerator.device)  # tokens (batch, tokens)
            with accelerator.autocast():
                done.append((rows, _predict(model, batch, record, encoded, rows)))
        done = [(rows, {name: tuple(x.cpu() for x in own) for name, own in results.items()}) for rows, results in done]
        done = done if processes == 1 else gather_object(done)
        for name in encoded.tasks:
            task, own = data[name].task, [(rows, results[name]) for rows, results in done]
            in_order = _tags_in_order if task.is_tagging else _scores_in_order if task.is_regression else _in_order
            predictions[name] = in_order(encoded, own, task)
    model.train(training)
    return {name: predictions[name] for name in data}


def _predict(
    model: nn.Module, batch: Batch, record: Record | None, encoded: EncodedSplit, rows: np.ndarray
) -> dict[str, tuple[Tensor, ...]]:
    """Each task's :func:`_result`; the edge weights, and the states they hold, are gone before the next batch."""
    outputs = model(batch, edges=record is not None)
    for name, output in outputs.items():
        if record is not None and output.edges is not None:
            labelled = encoded.counts[name][rows] > 0  # (batch,)
            record(output.edges, None if labelled.all() else torch.from_numpy(labelled))
    return {name: _result(output, batch.labels[name]) for name, output in outputs.items()}


def _result(output, labels: Tensor) -> tuple[Tensor, ...]:
    """The logits (batch, classes), or the predicted scores (batch,) or tags (batch, tokens) and the losses (batch,)."""
    if labels.is_floating_point():
        return output.scores.float(), text_losses(output, labels)
    if labels.ndim == 1:
        return (output.logits.float(),)
    return output.tags, text_losses(output, labels).float()


def _in_order(split: EncodedSplit, done: list[tuple[np.ndarray, tuple[Tensor, ...]]], task: Task) -> Predictions:
    logits = torch.zeros(len(split), len(task.labels))  # (examples, classes)
    for rows, (part,) in done:
        logits[torch.as_tensor(rows)] = part
    labels = torch.as_tensor(split.labels[task.name], dtype=torch.int64)  # (examples,)
    known = labels != NO_LABEL
    seen = torch.as_tensor(split.seen, dtype=torch.bool)  # (examples,)
    return Predictions(logits=logits[known], labels=labels[known], seen=seen[known])


def _scores_in_order(
    split: EncodedSplit, done: list[tuple[np.ndarray, tuple[Tensor, ...]]], task: Task
) -> ScorePredictions:
    scores, losses = torch.zeros(len(split)), torch.zeros(len(split))  # (examples,)
    for rows, (part, own) in done:
        scores[torch.as_tensor(rows)], losses[torch.as_tensor(rows)] = part, own
    labels = torch.as_tensor(split.labels[task.name])  # (examples,)
    seen = torch.as_tensor(split.seen, dtype=torch.bool)  # (examples,)
    whole = ScorePredictions(scores=scores, labels=labels, losses=losses, seen=seen)
    return whole.chosen(~labels.isnan())


def _tags_in_order(
    split: EncodedSplit, done: list[tuple[np.ndarray, tuple[Tensor, ...]]], task: Task
) -> TagPredictions:
    tags, losses = [np.empty(0, np.int64)] * len(split), np.zeros(len(split))  # (examples,)
    for rows, (part, own) in done:
        losses[rows] = own.numpy()
        for row, predicted in zip(rows, part.numpy(), strict=True):
            tags[row] = predicted[: split.lengths[row]]
    whole = TagPredictions(tags=tags, labels=split.labels_of(task.name), losses=losses, seen=split.seen)
    return whole.chosen(split.counts[task.name] > 0)
