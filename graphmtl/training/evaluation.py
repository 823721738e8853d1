"""What a model predicts on a split, and how good it is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.metrics import compute

__all__ = ["Predictions", "Record", "predict_split", "score"]

Record = Callable[[EdgeWeights], None]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A task's predictions on a split, in the split's order, on the CPU.

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


def score(task: Task, predictions: Predictions) -> dict[str, float]:
    """The task's metrics, and ``loss``: the mean cross-entropy of the right labels, without label smoothing.

    All are ``nan`` where there is no prediction.
    """
    scores = compute(task, predictions.logits, predictions.labels)
    return scores | {"loss": float(F.cross_entropy(predictions.logits, predictions.labels))}


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
    """Predict every example of a split of every task.

    The processes share the batches, and each gets all predictions. With ``record`` every process reads every batch, so
    that each one's recorder sees every example.

    Args:
        model: the model, not wrapped for several processes.
        data: the tasks to predict.
        split: ``train``, ``valid`` or ``test``.
        batch_size: examples read at once, texts of like length together.
        accelerator: device, precision and processes.
        record: is given the edge weights of every batch, for architectures that have them.

    Returns:
        ``{task: predictions}``.
    """
    training = model.training
    model.eval()
    processes, rank = accelerator.num_processes, accelerator.process_index
    if record is not None:
        processes, rank = 1, 0
    predictions = {}
    for name, task in data.items():
        encoded: EncodedSplit = getattr(task, split)
        done = []
        for rows in list(_batches_by_length(encoded, batch_size))[rank::processes]:
            batch = encoded.batch(rows).to(accelerator.device)  # tokens (batch, tokens)
            with accelerator.autocast():
                output = model(batch, edges=record is not None)  # logits (batch, classes)
            if record is not None and output.edges is not None:
                record(output.edges)
            done.append((rows, output.logits.float()))
        done = [(rows, logits.cpu()) for rows, logits in done]
        predictions[name] = _in_order(encoded, done if processes == 1 else gather_object(done), len(task.task.labels))
    model.train(training)
    return predictions


def _batches_by_length(split: EncodedSplit, batch_size: int) -> Iterator[np.ndarray]:
    order = np.argsort(np.asarray(split.lengths), kind="stable")  # (examples,)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _in_order(split: EncodedSplit, done: list[tuple[np.ndarray, Tensor]], classes: int) -> Predictions:
    logits = torch.zeros(len(split), classes)  # (examples, classes)
    for rows, part in done:
        logits[torch.as_tensor(rows)] = part
    return Predictions(
        logits=logits,
        labels=torch.as_tensor(split.labels, dtype=torch.int64),  # (examples,)
        seen=torch.as_tensor(split.seen, dtype=torch.bool),  # (examples,)
    )
