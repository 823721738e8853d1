"""What every kind has of :mod:`graphmtl.metrics`."""

from typing import Any

from graphmtl.data.kind import Kind
from graphmtl.errors import InputError
from graphmtl.metrics.answered import Answered, Metric
from graphmtl.metrics.by_class import class_scores, confusion
from graphmtl.metrics.named import METRICS, check_metric, compute, find_metric

__all__ = ["ScoredKind"]


class ScoredKind(Kind):
    """A kind whose answers are scored by their ``form``, which a kind may make of its arrays by :meth:`answered`."""

    @property
    def spans(self) -> bool | None:
        """The tags are tags of spans; None: there are no tags, or they are not known yet."""
        return None

    def check(self) -> None:
        super().check()
        task, what = self.task, f"metric of task {self.task.name!r}"
        for metric in task.metrics:
            check_metric(metric, self.form, names=task.labels, spans=self.spans, what=what)
        self._check_first(METRICS.get(task.metrics[0]))

    def _check_first(self, metric: Metric | None) -> None:
        if metric is not None and not metric.higher_is_better:
            raise InputError(
                f"metric of task {self.task.name!r}: {self.task.metrics[0]} cannot be the first one, which selects the "
                "epoch and is averaged over tasks: less of it is better; put another before it, such as "
                f"{self.default_metrics[0]}"
            )

    def find_metrics(self) -> None:
        found = [find_metric(name, what=f"metric of task {self.task.name!r}") for name in self.task.metrics]
        self._check_first(found[0])

    def answered(self, predictions: Any) -> Answered:
        """What is measured of a split's predictions (:class:`~graphmtl.training.evaluation.Predictions`)."""
        return Answered(
            form=self.form,
            labels=predictions.labels,
            answers=predictions.answers,
            probabilities=predictions.probabilities,
            names=self.task.labels,
            positive=self.task.positive,
        )

    def scores(self, predictions: Any) -> dict[str, float]:
        return compute(self.task.metrics, self.answered(predictions))

    def by_class(self, predictions: Any) -> dict[str, Any]:
        answered = self.answered(predictions)
        if self.spans:
            return {"types": class_scores(answered)}
        scores, counts = class_scores(answered), confusion(answered)
        found: dict[str, Any] = {"classes": scores} if scores else {}
        return found | ({"confusion": {"labels": [*self.task.labels], "counts": counts}} if counts else {})
