"""The same task graphs as two versions draw them, side by side: graphs of 3, 10, 16 and 60 tasks whose truth is known.

    python -m benchmarks.pictures draw before             # with PYTHONPATH at the checkout of an earlier version
    python -m benchmarks.pictures draw now
    python -m benchmarks.pictures beside before now benchmarks/results

A third of the tasks are parents, and every other one reads from two of them; what else stands in the graph is what
training leaves there by chance: the logarithms of all weights are drawn from a normal distribution, and those of true
edges are larger. The control is the same without true edges. A version that knows neither control nor truth draws the
graph alone.
"""

import argparse
import inspect
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure

from graphmtl.cli import run_verb
from graphmtl.graph.edge import Edge
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.task_graph import TaskGraph

SIZES = (3, 10, 16, 60)
_CHANCE, _TRUE = 0.12, 0.9  # of the logarithms of weights: their deviation, and what a true edge has more
_WIDTH = 15.0  # inches of a picture of two


def graph_of(tasks: tuple[str, ...], edges: set[tuple[str, str]], seed: int) -> TaskGraph:
    """Weights into each task, which sum to 1."""
    rng = np.random.default_rng(seed)
    found = []
    for target in tasks:
        sources = [name for name in tasks if name != target]
        logits = rng.normal(0, _CHANCE, len(sources)) + [_TRUE * ((name, target) in edges) for name in sources]
        weights = np.exp(logits) / np.exp(logits).sum()
        found += [
            Edge(source=source, target=target, weight=float(weight), std=0.02, count=500)
            for source, weight in zip(sources, weights, strict=True)
        ]
    return TaskGraph(arch="complete", tasks=tasks, split="test", seed=seed, edges=tuple(found))


def true_edges(count: int) -> tuple[tuple[str, ...], set[tuple[str, str]]]:
    """Parents and children, and who reads from whom."""
    parents = [f"parent{n}" for n in range(1, max(1, count // 3) + 1)]
    children = [f"child{n}" for n in range(1, count - len(parents) + 1)]
    rng = np.random.default_rng(count)
    chosen = {child: rng.choice(parents, size=min(2, len(parents)), replace=False) for child in children}
    return (*parents, *children), {(str(parent), child) for child, own in chosen.items() for parent in own}


def drawn(count: int) -> Figure:
    """The picture of a graph by the version that is imported."""
    tasks, edges = true_edges(count)
    given: dict[str, Any] = {"control": graph_of(tasks, set(), seed=1)}
    known = inspect.signature(draw_task_graph).parameters
    if "truth" in known:
        from graphmtl.data.planted_truth import PlantedTruth  # which an earlier version has elsewhere

        given["truth"] = PlantedTruth(edges=tuple(sorted(edges)))
    own = {name: value for name, value in given.items() if name in known}
    return draw_task_graph(graph_of(tasks, edges, seed=0), **own)


def beside(before: Path, now: Path, path: Path) -> None:
    """Two pictures in one file, before on the left."""
    images = [matplotlib.image.imread(each) for each in (before, now)]
    widths = [image.shape[1] for image in images]
    tallest = max(image.shape[0] * _WIDTH / sum(widths) for image in images)
    figure = Figure(figsize=(_WIDTH, tallest), dpi=100, facecolor="white")
    places = figure.subplots(1, 2, gridspec_kw={"width_ratios": widths, "wspace": 0.02})
    for axes, image in zip(places, images, strict=True):
        axes.imshow(image)
        axes.set_axis_off()
        axes.set_anchor("N")
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0)
    figure.savefig(path, metadata={"Software": "graphmtl"})


def main(argv: list[str]) -> None:
    """Draws, or puts side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("draw").add_argument("folder", type=Path)
    both = verbs.add_parser("beside")
    for name in ("before", "now", "output"):
        both.add_argument(name, type=Path)
    args = parser.parse_args(argv)
    for count in SIZES:
        name = f"pictures-{count}.png"
        if args.verb == "draw":
            args.folder.mkdir(parents=True, exist_ok=True)
            save_figure(drawn(count), args.folder / name)
        else:
            beside(args.before / name, args.now / name, args.output / name)


if __name__ == "__main__":
    run_verb(main)
