"""Is what a run draws by itself true? Of finished runs on generated tasks, what their maps show above the control.

    graphmtl compare --archs star,complete,cmtr --seeds 0,1,2 --control always --output runs/maps
    python -m benchmarks.drawn_maps runs/maps/runs/* --results benchmarks/results/drawn-maps.md

A map counts that leads from one task to another (`graphmtl.graph.pictures.held`). Its AUROC is the mean over the
targets that have true and false sources; siblings are neither true nor false.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.planted_graph import interval
from graphmtl.analysis.faithfulness import true_edges
from graphmtl.cli import run_verb
from graphmtl.errors import InputError
from graphmtl.graph.comparison import auroc
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.run import Run, open_runs
from graphmtl.training.run_picture import held_graphs

_HEADER = ["arch", "map", "runs", "drawn first", "AUROC", "AUROC of the control", "true edges", "others", "siblings"]


@dataclass(frozen=True)
class Drawn:
    """A map of one run.

    Attributes:
        first: whether it leads the picture.
        area: its AUROC.
        chance: that of the control.
        above: of true edges, others and siblings how many are above the control, (3,).
        of: how many there are, (3,).
    """

    first: bool
    area: float
    chance: float
    above: np.ndarray
    of: np.ndarray


def drawn_maps(run: Run) -> dict[str, Drawn]:
    """The maps of a run that lead from one task to another, by name.

    Raises:
        InputError: the true task graph is not known, or a map has no control.
    """
    truth, maps, found = run.truth, held_graphs(run), {}
    if truth is None:
        raise InputError(f"{run.folder}: no true task graph (--tasks planted)")
    for own in maps:
        if not own.directed or own.graph.virtual:
            continue
        if own.against is None:
            raise InputError(f"{run.folder}: no control of its {own.name} (--control always)")
        is_true = true_edges(truth, own.graph.tasks)  # (targets, sources)
        known = ~np.isnan(own.evidence.excess)
        kinds = [known & (is_true == 1), known & (is_true == 0), known & np.isnan(is_true)]
        found[own.name] = Drawn(
            first=own is maps[0],
            area=_area(own.graph, is_true),
            chance=_area(replace(own.against, tasks=own.graph.tasks), is_true),
            above=np.array([(own.evidence.above & kind).sum() for kind in kinds]),
            of=np.array([kind.sum() for kind in kinds]),
        )
    return found


def _area(graph: TaskGraph, is_true: np.ndarray) -> float:
    return float(np.nanmean(auroc(graph.matrix(), is_true)))


def table(runs: list[Run]) -> list[str]:
    """A row for each architecture and map."""
    rows: dict[tuple[str, str], list[Drawn]] = {}
    for run in runs:
        for name, own in drawn_maps(run).items():
            rows.setdefault((run.options.arch, name), []).append(own)
    lines = [f"| {' | '.join(_HEADER)} |", "|---" * len(_HEADER) + "|"]
    for (arch, name), every in rows.items():
        above, of = (sum(getattr(own, part) for own in every) for part in ("above", "of"))
        cells = [arch, name, len(every), sum(own.first for own in every)]
        cells += [interval([getattr(own, part) for own in every]) for part in ("area", "chance")]
        cells += [f"{a} of {b}" for a, b in zip(above, of, strict=True)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main(argv: list[str]) -> None:
    """Prints the table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    lines = table(open_runs([path for path in arguments.runs if path.suffix != ".log"]))
    print("\n".join(lines))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
