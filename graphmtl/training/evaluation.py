"""What a model predicts on a split, and how good it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask, batches_by_length
from graphmtl.data.task import Task
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.layers.modes import evaluating

__all__ = ["Predictions", "Record", "predict_split", "score"]

Record = Callable[[EdgeWeights, Tensor | None], None]
_Said = tuple[Any, ...]
"""Of a batch answers, losses and probabilities."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A task's predictions on the texts of a split that have a label, in the split's order.

    Labels and answers are as the task's kind has them, (examples, ...); where texts have a list of their own, they are
    arrays of such, (examples,).

    Attributes:
        labels: the right ones.
        answers: of the same form.
        probabilities: those of the classes, (examples, classes), float32, where an answer has such; else None. Of
            choices (examples, most choices), 0 where an example has no more.
        losses: (examples,), the sum over each text's labels, without label smoothing.
        counts: (examples,), how many labels each text has.
        seen: (examples,), bool: the text occurs in a training split of the run.
        texts: (examples,) uint64, by which the text is known (:func:`~graphmtl.data.fingerprint.text_ids`); None where
            nobody has asked.
    """

    labels: np.ndarray
    answers: np.ndarray
    probabilities: np.ndarray | None = None
    losses: np.ndarray
    counts: np.ndarray
    seen: np.ndarray
    texts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def unseen(self) -> "Predictions":
        """The predictions for texts that occur in no training split (``test_dedup``)."""
        return self.chosen(~self.seen)

    def chosen(self, keep: np.ndarray) -> "Predictions":
        """The predictions for some of the texts, ``keep`` (examples,) bool, or their places, (some,)."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen: dict[str, Any] = {name: None if values is None else values[keep] for name, values in own.items()}
        return Predictions(**chosen)


def score(task: Task, predictions: Predictions) -> dict[str, float]:
    """The task's metrics, and ``loss``: the mean loss of a label, without label smoothing and weights of classes.

    All are ``nan`` where there is no prediction.
    """
    labels = predictions.counts.sum()
    loss = float(predictions.losses.sum() / labels) if labels else math.nan
    return task.of_kind.scores(predictions) | {"loss": loss}


@torch.no_grad()
def predict_split(
    *,
    model: nn.Module,
    data: Mapping[str, EncodedTask],
    split: str,
    batch_size: int,
    accelerator: Accelerator,
    record: Record | None = None,
) -> dict[str, Predictions]:
    """Predict every example of a split of every task; what several tasks read is read once.

    The processes share the batches, and each gets all predictions.

    Args:
        model: the model, not wrapped for several processes.
        data: the tasks to predict.
        split: ``train``, ``valid``, ``test`` or another test split, of the tasks that have it.
        batch_size: examples read at once, texts of like length together.
        accelerator: device, precision and processes.
        record: is given the edge weights of every batch of this process, for architectures that have them, and which
            of its texts have a label of the target, (texts,) bool, None where all have.

    Returns:
        ``{task: predictions}``.
    """
    data = {name: task for name, task in data.items() if split in task.splits}
    processes, rank = accelerator.num_processes, accelerator.process_index
    predictions: dict[str, Predictions] = {}
    with evaluating(model):
        for encoded in {task.corpus: task.splits[split] for task in data.values()}.values():
            done: list[tuple[np.ndarray, dict[str, _Said]]] = []
            for rows in list(batches_by_length(encoded.lengths, batch_size))[rank::processes]:
                batch = encoded.batch(rows).to(accelerator.device)  # tokens (batch, tokens)
                with accelerator.autocast():
                    done.append((rows, _predict(model, batch, record)))
            done = [(rows, {name: tuple(map(_to_numpy, own)) for name, own in said.items()}) for rows, said in done]
            done = done if processes == 1 else gather_object(done)
            for name in encoded.tasks:
                own = [(rows, said[name]) for rows, said in done]
                predictions[name] = _in_order(encoded, own, data[name].task)
    return {name: predictions[name] for name in data}


def _predict(model: nn.Module, batch: Batch, record: Record | None) -> dict[str, _Said]:
    """What is kept of each task; the edge weights, and the states they hold, are gone before the next batch."""
    outputs = model(batch, edges=record is not None)
    for output in outputs.values():
        if record is not None and output.edges is not None:
            labelled = batch.by_text(output.counts > 0).cpu()  # (texts,)
            record(output.edges, None if labelled.all() else labelled)
    return {name: (each.answers, each.losses.float(), each.probabilities) for name, each in outputs.items()}


def _to_numpy(values: Tensor | None) -> np.ndarray | None:
    if values is None:
        return None
    return (values.float() if values.is_floating_point() else values).cpu().numpy()


def _in_order(split: EncodedSplit, done: Sequence[tuple[np.ndarray, tuple]], task: Task) -> Predictions:
    """What was said of each batch's rows, in the order of the split, without the texts that have no label."""
    answers, losses, probabilities = ([(rows, said[i]) for rows, said in done] for i in range(3))
    lengths = split.lengths if task.of_kind.labels_tokens else None
    labels = split.labels[task.name]
    whole = Predictions(
        labels=labels.rows(),
        answers=labels.as_rows(_joined(answers, len(split), lengths)),
        probabilities=_joined(probabilities, len(split)) if probabilities and probabilities[0][1] is not None else None,
        losses=_joined(losses, len(split)).astype(np.float64),
        counts=split.counts[task.name],
        seen=split.seen,
    )
    return whole.chosen(whole.counts > 0)


def _joined(parts: Sequence[tuple[np.ndarray, np.ndarray]], size: int, lengths: np.ndarray | None = None) -> np.ndarray:
    """Rows and their values, (rows, ...), to the values of all rows, (size, ...); cut to ``lengths`` where given.

    Where some parts have fewer columns than others, 0 stands in the place of the others.
    """
    shape, dtype = ((), object) if not parts or lengths is not None else (_largest(parts), parts[0][1].dtype)
    found = np.zeros((size, *shape), dtype=dtype)
    for rows, values in parts:
        if lengths is None:
            found[(rows, *map(slice, values.shape[1:]))] = values
        else:
            for row, own in zip(rows, values, strict=True):
                found[row] = own[: lengths[row]]
    return found


def _largest(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[int, ...]:
    """The shape of the values of a row, the largest one of all parts."""
    return tuple(max(sizes) for sizes in zip(*(values.shape[1:] for _, values in parts), strict=True))
