"""Task graphs to draw and to convert."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from graphmtl.graph.edge import VIRTUAL, Edge
from graphmtl.graph.pictures.panels import Area, Panel
from graphmtl.graph.task_graph import TaskGraph

DOMAINS = [
    "books",
    "electronics",
    "dvd",
    "kitchen_housewares",
    "apparel",
    "camera_photo",
    "health_personal_care",
    "music",
    "toys_games",
    "video",
    "baby",
    "magazines",
    "software",
    "sports_outdoors",
    "imdb",
    "MR",
]


def names(count: int) -> tuple[str, ...]:
    """The domains of FDU-MTL, then longer names made of them."""
    longer = [f"{prefix}_{domain}" for prefix in ("reviews", "forum", "hotels", "letters") for domain in DOMAINS]
    return (*DOMAINS, *longer)[:count]


def edges(tasks: tuple[str, ...], matrix: np.ndarray) -> tuple[Edge, ...]:
    """The off-diagonal edges of a (targets, sources) matrix."""
    return tuple(
        Edge(source=source, target=target, weight=float(matrix[k, j]), std=0.01, count=400)
        for k, target in enumerate(tasks)
        for j, source in enumerate(tasks)
        if k != j
    )


def complete(count: int, seed: int = 0) -> TaskGraph:
    """Every task reads from every other, some more than others; weights into a task sum to 1."""
    weights = np.random.default_rng(seed).gamma(0.5, size=(count, count)) + 1e-3
    np.fill_diagonal(weights, 0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    tasks = names(count)
    return TaskGraph(arch="complete", tasks=tasks, split="test", seed=seed, edges=edges(tasks, weights))


def star(count: int, seed: int = 0) -> TaskGraph:
    spokes = np.random.default_rng(seed).uniform(0.1, 0.5, count)
    tasks = names(count)
    found = [
        Edge(source=VIRTUAL, target=t, weight=float(w), std=0.05, count=9) for t, w in zip(tasks, spokes, strict=True)
    ]
    return TaskGraph(arch="star", tasks=tasks, split="test", seed=seed, virtual=True, edges=tuple(found))


def affinity(count: int, seed: int = 0) -> TaskGraph:
    """Symmetric, with negative weights."""
    vectors = np.random.default_rng(seed).normal(size=(count, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tasks = names(count)
    return TaskGraph(arch="star", tasks=tasks, split="valid", seed=seed, edges=edges(tasks, vectors @ vectors.T))


def without_edges(count: int) -> TaskGraph:
    return TaskGraph(arch="shared", tasks=names(count), split="test", seed=0)


def rescaled(graph: TaskGraph, scale: float, shift: float) -> TaskGraph:
    return replace(graph, edges=tuple(replace(e, weight=scale * e.weight + shift) for e in graph.edges))


def by_chance(graph: TaskGraph) -> TaskGraph:
    """A control of a graph: weights that hardly differ, of an affinity small ones."""
    if graph.virtual or graph.arch != "star":
        mean = {k: np.mean([e.weight for e in graph.edges if e.target == k or graph.virtual]) for k in graph.tasks}
        return replace(graph, edges=tuple(replace(e, weight=float(mean[e.target])) for e in graph.edges))
    return rescaled(graph, 0.1, 0)


def growing(graph: TaskGraph, evaluations: int) -> list[tuple[int, TaskGraph]]:
    """Evaluations at which the differences between the edges grow to those of ``graph``, which is the last."""
    mean = float(np.mean([edge.weight for edge in graph.edges]))
    shares = [(i + 1) / evaluations for i in range(evaluations)]
    return [(i, rescaled(graph, share, (1 - share) * mean)) for i, share in enumerate(shares, 1)]


def write_history(folder: Path, history: list[tuple[int, TaskGraph]]) -> None:
    """``graph_history.jsonl``, as training writes it."""
    lines = [
        json.dumps({"step": 10 * epoch, "epoch": epoch, "edges": [asdict(edge) for edge in graph.edges]})
        for epoch, graph in history
    ]
    (folder / "graph_history.jsonl").write_text("".join(f"{line}\n" for line in lines))


def write_control(folder: Path) -> None:
    """A control of the run in a folder, by hand: its graphs hardly show anything, so that much is above it.

    What says what a model of a few updates knows or relies on is chance, and is left out.
    """
    for name in ("task_transferability.json", "task_ablation.json"):
        (folder / name).unlink(missing_ok=True)
    control = folder / "controls" / "shuffled"
    shutil.copytree(
        folder, control, ignore=shutil.ignore_patterns("controls", "checkpoints", "model"), dirs_exist_ok=True
    )
    for name in ("task_graph.json", "task_affinity.json"):
        if (folder / name).is_file():
            by_chance(TaskGraph.load(folder / name)).save(control / name)


def drawn(panel: Panel) -> Figure:
    figure = Figure(figsize=(panel.width, panel.height))
    panel.draw(Area(figure, 0, 0, panel.width, panel.height))
    return figure


ABOUT = {"arch": "complete", "tasks": ("a", "b", "c"), "split": "test", "seed": 3}


def edge(source: str, target: str, weight: float = 0.5, std: float = 0.1, count: int = 7) -> Edge:
    return Edge(source=source, target=target, weight=weight, std=std, count=count)
