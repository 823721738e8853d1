"""Tasks and their data: named task sets, YAML task files, the generated task set, vocabularies and word vectors."""

from typing import TYPE_CHECKING

from graphmtl.lazy import lazily

if TYPE_CHECKING:
    from graphmtl.data.loading import load_tasks
    from graphmtl.data.task import Task, TaskData, TaskSet
    from graphmtl.data.vectors import read_vectors
    from graphmtl.data.vocabulary import Vocabulary, tokenize

__all__ = ["Task", "TaskData", "TaskSet", "Vocabulary", "load_tasks", "read_vectors", "tokenize"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Task": "graphmtl.data.task",
        "TaskData": "graphmtl.data.task",
        "TaskSet": "graphmtl.data.task",
        "Vocabulary": "graphmtl.data.vocabulary",
        "load_tasks": "graphmtl.data.loading",
        "read_vectors": "graphmtl.data.vectors",
        "tokenize": "graphmtl.data.vocabulary",
    },
)
