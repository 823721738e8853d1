"""A run: what its folder holds, read back."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.errors import InputError
from graphmtl.files import read_json, read_json_lines
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import BESIDE, TaskGraph
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.conflict import GradientConflict
from graphmtl.training.run_files import ANSWERS, REMARKS, VALIDATION, read_answers, read_remarks, read_scores
from graphmtl.training.run_folder import REPLACED, RunFolder

__all__ = ["Run", "open_runs"]


class Run(RunFolder):
    """A run, by its folder.

    ``config.yaml``, ``data.json``, ``metrics.json``, ``model/``, ``task_graph.json``, ``task_graph.png``,
    ``history.jsonl`` and ``checkpoints/``; ``star`` also has ``task_affinity.json`` and
    ``task_transferability.json``, those whose tasks read from each other ``task_ablation.json``, those whose linear
    models do ``task_linear.json``, all that have edges ``graph_history.jsonl``, those whose tasks' gradients were
    measured ``gradient_conflict.json``, those of a generated task set ``truth.json``, and what `graphmtl transfer`
    wrote ``transfer.json``. In ``controls/shuffled`` stands a run of the same form on shuffled labels.

    Args:
        folder: where it is.
    """

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """A finished run.

        Raises:
            InputError: there is no such folder, it is no run's, of another format, or the run has not finished.
        """
        run = cls(folder)
        if not run.folder.is_dir():
            found = "a file" if run.folder.exists() else "no such run folder"
            raise InputError(f"{folder}: {found}; a RUN is the folder that `graphmtl run` has written")
        if not (run.folder / "config.yaml").is_file():
            raise InputError(f"{folder}: not a run's folder, since it has no config.yaml")
        run.options  # noqa: B018  reads and checks config.yaml
        if not (run.folder / "metrics.json").is_file():
            earlier = run.folder / REPLACED
            before = f"; the one before it stands in {earlier}" if earlier.is_dir() else ""
            raise InputError(f"{folder}: the run has not finished (no metrics.json); go on with `run --resume`{before}")
        return run

    @cached_property
    def metrics(self) -> dict:
        """``metrics.json``.

        Raises:
            InputError: it holds something else.
        """
        return read_scores(self.folder / "metrics.json", ("valid", "test", "test_dedup"))

    @cached_property
    def validation(self) -> dict:
        """``validation.json``, of a run that was not tested.

        Raises:
            InputError: it holds something else.
        """
        return read_scores(self.folder / VALIDATION, ("valid",))

    @cached_property
    def remarks(self) -> dict | None:
        """``remarks.json``, see :func:`~graphmtl.training.run_data.remarks`; None of a run that has none.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / REMARKS
        return read_remarks(path) if path.is_file() else None

    @cached_property
    def model(self) -> MultiTaskModel:
        """The trained model, ready to predict."""
        folder = self.folder / "model"
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return MultiTaskModel.from_pretrained(folder)

    @cached_property
    def task_graph(self) -> TaskGraph:
        """``task_graph.json``."""
        return TaskGraph.load(self.folder / "task_graph.json")

    @property
    def answers(self) -> dict[str, dict[str, list[str]]] | None:
        """``self_training.json``: the unlabelled texts that the run has learned, and their labels, by task.

        Raises:
            InputError: the file holds something else.
        """
        path = self.folder / ANSWERS
        return read_answers(path) if path.is_file() else None

    @cached_property
    def graphs_beside(self) -> dict[str, TaskGraph]:
        """The other task graphs that there are, by what they are of, each from its ``task_NAME.json``.

        ``transferability`` and ``affinity`` of a star, ``ablation`` of tasks that read from each other, ``linear`` of
        linear models that do (``--wide``).
        """
        paths = {name: self.folder / f"task_{name}.json" for name in BESIDE}
        return {name: TaskGraph.load(path) for name, path in paths.items() if path.is_file()}

    @property
    def control(self) -> "Run | None":
        """The same run on shuffled labels, in ``controls/shuffled``; None where it is not there or not finished."""
        folder = self.folder / "controls" / "shuffled"
        return Run.open(folder) if (folder / "metrics.json").is_file() else None

    @cached_property
    def truth(self) -> PlantedTruth | None:
        """``truth.json``, of a task set whose true task graph is known.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / "truth.json"
        if not path.is_file():
            return None
        try:
            return PlantedTruth.from_dict(read_json(path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: not what graphmtl writes there ({type(error).__name__}: {error})") from None

    @cached_property
    def graph_history(self) -> list[tuple[int, TaskGraph]]:
        """``graph_history.jsonl``: each evaluation's epoch and task graph of the validation split.

        Raises:
            InputError: there is none or it has no edges, as for architectures without a graph, or a line is damaged.
        """
        path = self.folder / "graph_history.jsonl"
        if not path.is_file():
            raise InputError(f"{path}: no such file; `graphmtl run` writes it for architectures that have edges")
        history = []
        for number, record in enumerate(read_json_lines(path), 1):
            try:
                edges = tuple(Edge(**edge) for edge in record["edges"])
                history.append((int(record["epoch"]), replace(self.task_graph, split="valid", edges=edges)))
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise InputError(f"{path}, line {number}: no epoch and edges of a task graph: {error}") from None
        if not any(graph.edges for _, graph in history):
            raise InputError(f"{path}: no evaluation has a graph with edges")
        return history

    @cached_property
    def gradient_conflict(self) -> GradientConflict | None:
        """``gradient_conflict.json``, of a run whose tasks' gradients were measured.

        Raises:
            InputError: it holds something else.
        """
        path = self.folder / "gradient_conflict.json"
        return GradientConflict.of_json(read_json(path), path) if path.is_file() else None

    @cached_property
    def transfer(self) -> dict:
        """``transfer.json``, of a run in which new tasks joined the graph of another."""
        return read_json(self.folder / "transfer.json")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


def open_runs(folders: Sequence[Path | str]) -> list[Run]:
    """Several finished runs.

    Raises:
        InputError: one is no finished run, or given twice.
    """
    places = [Path(folder).resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise InputError(f"RUN: found {max(places, key=places.count)} twice, expected different runs")
    return [Run.open(folder) for folder in folders]
