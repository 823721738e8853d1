"""Tasks and their data: named task sets, YAML task files, the generated task set, vocabularies and word vectors."""

from graphmtl.data.loading import load_tasks
from graphmtl.data.task import Task, TaskData, TaskSet
from graphmtl.data.vectors import read_vectors
from graphmtl.data.vocabulary import Vocabulary, tokenize

__all__ = ["Task", "TaskData", "TaskSet", "Vocabulary", "load_tasks", "read_vectors", "tokenize"]
