"""The files of predictions that a benchmark's leaderboard takes, for texts whose labels it keeps to itself."""

import os
from collections.abc import Mapping
from pathlib import Path

from graphmtl.data.raw_texts import Text
from graphmtl.data.splits import text_columns
from graphmtl.data.submission_file import SubmissionFile
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import InputError
from graphmtl.files import write_whole, writing
from graphmtl.models.model import MultiTaskModel

__all__ = ["Submission"]


class Submission:
    """The leaderboard's files of the tasks that have such: ``index TAB prediction``, a line for each test text.

    The test texts are read at once, so that what is missing is known before anything is trained; the folder is made
    when the files are written.

    Args:
        tasks: the tasks of a run.
        folder: where the files are written.
        overwrite: replace files that are there.

    Raises:
        InputError: no task has a leaderboard's file, a test file is missing or damaged, a text in it is empty, a file
            to be written is there, or the folder cannot be written in.
    """

    def __init__(self, tasks: TaskSet, folder: Path | str, *, overwrite: bool):
        self.folder = Path(folder)
        self._texts: list[tuple[str, SubmissionFile, list[Text]]] = []
        for name, data in tasks.items():
            for file in data.submission:
                self._check_free(file.name, overwrite)
                self._texts.append((name, file, _texts(file, data.task)))
        if not self._texts:
            raise InputError(
                f"--write-submission: no task of {tasks.name} has a leaderboard's file, those of glue have"
            )
        there = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise InputError(f"{self.folder}: the folder cannot be made or written in")

    def _check_free(self, name: str, overwrite: bool) -> None:
        if (self.folder / name).exists() and not overwrite:
            raise InputError(f"{self.folder / name} exists; give --overwrite to replace it")

    def write(self, model: MultiTaskModel) -> list[Path]:
        """Predicts, and writes every file; returns their paths."""
        paths = []
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        for task, file, texts in self._texts:
            answers = model.predict(texts, task)
            lines = [f"{i}\t{_prediction(answer, file.codes)}\n" for i, answer in enumerate(answers)]
            paths.append(self.folder / file.name)
            write_whole(paths[-1], "".join(["index\tprediction\n", *lines]))
        return paths


def _texts(file: SubmissionFile, task: Task) -> list[Text]:
    """What the predictions are for."""
    try:
        table = file.read()
    except InputError as error:
        raise InputError(f"--write-submission needs the test texts for {file.name}: {error}") from None
    rows = [*zip(*text_columns(table, task.reads, of_tokens=False).values(), strict=True)]
    for i, row in enumerate(rows):
        if not any(text.strip() for text in row):
            raise InputError(f"{table.where(i)}: no text to predict for")
    return [row if task.is_pair else row[0] for row in rows]


def _prediction(answer: Mapping, codes: Mapping[str, str]) -> str:
    """A label as the leaderboard calls it, or a score."""
    return codes[answer["label"]] if "label" in answer else f"{answer['value']:.3f}"
