"""One model for all tasks whose labels agree."""

from collections.abc import Hashable, Mapping

from graphmtl.baselines.tfidf import Tfidf
from graphmtl.data.task import Task

__all__ = ["TfidfAll"]


class TfidfAll(Tfidf):
    """``tfidf-all``: as ``tfidf``, with one model for all tasks of a kind that have the same labels and form of input.

    A task that no other agrees with has a model of its own, that of ``tfidf``.
    """

    alone = Tfidf

    def groups(self, tasks: Mapping[str, Task]) -> list[tuple[str, ...]]:
        found: dict[Hashable, list[str]] = {}
        for name, task in tasks.items():
            labels = task.of_kind.head_of_several()
            form = (type(task.of_kind), labels, len(task.text), bool(task.choices))
            found.setdefault(name if labels is None else form, []).append(name)
        return [*map(tuple, found.values())]
