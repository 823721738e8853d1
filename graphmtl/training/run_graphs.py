"""The task graphs that a finished run leaves: that of its edges, and those that are measured beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphmtl.analysis.ablation import reliance
from graphmtl.analysis.affinity import AffinityOptions, probe_batches, task_affinity
from graphmtl.analysis.faithfulness import draw_texts
from graphmtl.analysis.transferability import MOST_TEXTS, transferability
from graphmtl.config import Options, part
from graphmtl.data.batching import Batch, EncodedTask, encode_tasks
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.finished import fitted_tasks
from graphmtl.training.linear_graph import LinearGraph
from graphmtl.training.run import Run

__all__ = ["graph_of_test", "save_graphs"]

_MOST_READ = 50_000  # texts in all, each with one edge cut, where a task has more than the fewest
_FEWEST = 20  # texts of a task


def graph_of_test(options: Options, model: MultiTaskModel, recorder: EdgeRecorder) -> TaskGraph:
    """The task graph of what was recorded while the test split was read."""
    about: dict[str, Any] = {"arch": options.arch, "tasks": tuple(model.tasks), "seed": options.seed}
    return recorder.graph(**about, split="test", virtual=model.architecture.virtual_node is not None)


def save_graphs(
    run: Run,
    options: Options,
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    recorder: EdgeRecorder,
    *,
    control_of: Run | None = None,
    linear: LinearGraph | None = None,
) -> None:
    """Writes ``task_graph.json``, and ``task_NAME.json`` of all that is measured beside it and has edges.

    What is given is as in :func:`~graphmtl.training.results.write_run`, which calls this.
    """
    graph = graph_of_test(options, model, recorder)
    graph.save(run.folder / "task_graph.json")
    found = (
        _of_a_hub(options, model, data, control_of)
        if graph.virtual
        else {"ablation": _ablation(options, model, data, graph)}
    )
    if linear is not None:
        found |= {"linear": linear.graph, "linear_permuted": linear.permuted}
    for name, own in found.items():
        if own.edges:
            own.save(run.folder / f"task_{name}.json")


def _of_a_hub(
    options: Options, model: MultiTaskModel, data: Mapping[str, EncodedTask], control_of: Run | None
) -> dict[str, TaskGraph]:
    """What a star says of two tasks, neither of which reads from the other."""
    if len(model.tasks) < 2:
        return {}
    device, seed = next(model.parameters()).device, options.seed
    valid = {name: own.valid for name, own in data.items()}
    probe = probe_batches(valid, per_task=part(options, AffinityOptions).affinity_probe, seed=seed)
    known = data if control_of is None else encode_tasks(fitted_tasks(control_of), model.vocabulary, model.options)
    texts = _drawn(options, model, data, MOST_TEXTS)
    return {
        "affinity": task_affinity(model, (batch.to(device) for batch in probe), split="valid", seed=seed),
        "transferability": transferability(model, texts, known, split="test", seed=seed),
    }


def _ablation(options: Options, model: MultiTaskModel, data: Mapping[str, EncodedTask], graph: TaskGraph) -> TaskGraph:
    """Of fewer texts of each task where there are many edges."""
    per_task = max(_FEWEST, min(MOST_TEXTS, _MOST_READ // max(1, len(graph.edges))))
    return reliance(model, _drawn(options, model, data, per_task), graph)


def _drawn(options: Options, model: MultiTaskModel, data: Mapping[str, EncodedTask], per_task: int) -> Iterator[Batch]:
    """Labelled texts of the test split."""
    about: dict[str, Any] = {"batch_size": options.texts_at_once, "seed": options.seed}
    return draw_texts(data, "test", per_task=per_task, **about, device=next(model.parameters()).device)
