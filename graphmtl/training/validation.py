"""What a model in training says of a split, and by which scores its epochs are compared."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from graphmtl.data.batching import EncodedTask
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.training.epoch_losses import check_finite
from graphmtl.training.evaluation import Predictions, predict_split, score

__all__ = ["Validation"]


class Validation:
    """Reads the splits of all tasks with a model, all processes together.

    Args:
        data: the encoded splits of every task.
        accelerator: of the training.
        batch_size: texts read at once.
        select_by: ``mean``, or the task whose metric decides which epoch is best.

    Raises:
        InputError: there is no such task.
    """

    def __init__(
        self, *, data: Mapping[str, EncodedTask], accelerator: Accelerator, batch_size: int, select_by: str = "mean"
    ) -> None:
        if select_by not in ("mean", *data):
            raise unknown_name("select_by", select_by, ["mean", *data])
        self.data = dict(data)
        self.accelerator = accelerator
        self.batch_size = batch_size
        self.select_by = select_by
        self._undefined: set[str] = set()

    def predict_split(
        self, model: nn.Module, split: str, *, recorder: EdgeRecorder | None = None
    ) -> dict[str, Predictions]:
        """What is predicted, labels and ``seen`` of every example of a split that has a label, per task.

        Args:
            model: what reads it.
            split: ``train``, ``valid`` or ``test``.
            recorder: counts the edge weights of every example, in the same pass.
        """
        own = EdgeRecorder()
        predictions = predict_split(
            model=model,
            data=self.data,
            split=split,
            batch_size=self.batch_size,
            accelerator=self.accelerator,
            record=None if recorder is None else own.update,
        )
        if recorder is not None:
            for part in gather_object([own.to("cpu")]):
                recorder.merge(part)
        return predictions

    def evaluate(self, model: Any, split: str, *, recorder: EdgeRecorder | None = None) -> dict[str, dict[str, float]]:
        """``{task: {METRIC: value, "loss": value}}`` of a split; see :meth:`predict_split`.

        On ``valid`` the heads take what they choose there, such as a threshold, before they are scored.
        """
        predictions = self.predict_split(model, split, recorder=recorder)
        if split == "valid":
            predictions = {name: model.choose(name, own) for name, own in predictions.items()}
        return {name: score(self.data[name].task, predictions[name]) for name in self.data}

    def scores(
        self, metrics: Mapping[str, Mapping[str, float]], groups: Iterable[str]
    ) -> dict[str, tuple[float, float]]:
        """By what each group is selected: its tasks' mean first metric and, for equal ones, mean negative loss.

        A metric that is undefined (nan) counts as 0.
        """
        firsts = {name: values[self.data[name].task.metrics[0]] for name, values in metrics.items()}
        self._say_undefined(name for name, score in firsts.items() if math.isnan(score))
        pairs = {name: (0.0 if math.isnan(score) else score, -metrics[name]["loss"]) for name, score in firsts.items()}
        joint = [pairs[name] for name in pairs if self.data[name].task.in_mean] or [*pairs.values()]
        if self.select_by != "mean":
            joint = [pairs[self.select_by]]
        chosen = {group: [pairs[group]] if group in pairs else joint for group in groups}
        return {group: tuple(np.mean(values, axis=0).tolist()) for group, values in chosen.items()}

    def _say_undefined(self, names: Iterable[str]) -> None:
        """Once of each task: so is the area under the ROC curve where all labels are the same."""
        for name in names:
            if name not in self._undefined and self.accelerator.is_main_process:
                metric = self.data[name].task.metrics[0]
                note(f"task {name!r}: {metric} is undefined on the validation split; the best epoch is chosen without")
            self._undefined.add(name)

    def check_examples(self) -> None:
        """Whether every task has validation examples.

        Raises:
            InputError: one has none.
        """
        for name, task in self.data.items():
            if task.labelled("valid") == 0:
                raise InputError(f"task {name!r} has no validation example to select the best epoch by")

    def check_losses(self, metrics: Mapping[str, Mapping[str, float]], *, step: int) -> None:
        """Whether they are finite: the epoch's last step may have spoilt the weights, which no training loss has seen.

        Raises:
            InputError: one is not.
        """
        for name, values in metrics.items():
            if self.data[name].labelled("valid"):  # without examples it is nan
                check_finite(values["loss"], task=name, step=step, which="validation")
