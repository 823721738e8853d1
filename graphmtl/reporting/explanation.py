"""What a report says of an explanation: pictures of the same model, held against each other and against controls."""

from dataclasses import asdict

import numpy as np

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.analysis.holm import holm
from graphmtl.analysis.verdicts import verdicts
from graphmtl.graph.evidence import evidence, finding
from graphmtl.graph.pictures.cells import cells
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.reporting.heat_map import edge_map

__all__ = ["explanation_contents"]

_CONTROLS = {"untrained": "untrained model", "shuffled": "trained on shuffled labels"}
_FORMAT = 1
_ORDERS = ("strongest", "random", "weakest")
_MEANINGS = {
    "attention": "how much the target looks at the source; of a star its spoke, of cmtr its gate",
    "contribution": "how much of what the source says comes through the target's gate",
    "ablation": "rise of the target's negative log-likelihood without the source; the others share its weight",
    "ablation_accuracy": "the accuracy that is lost then",
    "ablation_zeroed": "as ablation, but nothing takes the source's place (cmtr: in the gates)",
    "alone": "what the source is worth when it is the only one",
    "affinity": "whether two tasks use the virtual node alike",
    "logits": "correlation of the two heads' logits: the affinity's control, which needs no graph",
    "transferability": "the share of the variance of the target's labels that the source's answers account for, beside "
    "those of all others",
    "benefit": "what training with the source gains the target over training alone",
}


def explanation_contents(found: dict) -> dict:
    """The tables, charts and maps that the report makes of ``explanation.json``.

    ``likeness``, ``auroc``, ``text_auroc`` and ``stability`` are tables, None where that was not measured, and so is
    ``spokes``, of the pictures of a star's edges; ``removal`` is a chart for the model and each control.

    Raises:
        ValueError: It has another format.
    """
    if found["format"] != _FORMAT:
        raise ValueError(f"format: found {found['format']}, expected {_FORMAT}")
    models = {"this model": found, **{_CONTROLS[name]: own for name, own in found["controls"].items()}}
    graphs = {name: TaskGraph.from_json(picture) for name, picture in found["pictures"].items()}
    agreement = [_agreement(own) for own in models.values()]
    return {
        "verdicts": found["verdicts"] if "verdicts" in found else _verdicts(found),
        "split": found["split"],
        "columns": list(models),
        "rows": [
            {"a": _title(a), "b": _title(b), "cells": [own.get((a, b)) for own in agreement]} for a, b in agreement[0]
        ],
        "likeness": _likeness(found),
        "auroc": _auroc({name: own["auroc"] for name, own in models.items()}),
        "text_auroc": _auroc({name: own.get("text_auroc", {}) for name, own in models.items()}),  # former files: none
        "stability": _stability(found),
        "removal": _removal(models),
        "spokes": _spokes(graphs),
        "meanings": [(_title(name), _MEANINGS[name]) for name in graphs],
        "maps": [_map(name, graph, found["controls"]) for name, graph in graphs.items() if not graph.virtual],
    }


def _map(name: str, graph: TaskGraph, controls: dict[str, dict]) -> dict:
    """The map of a picture, held against that of the control that was trained on shuffled labels."""
    picture = controls.get("shuffled", {}).get("pictures", {}).get(name)
    control = None if picture is None else TaskGraph.from_json(picture)
    compared = evidence(graph, control, of=name)
    title = f"{_title(name)}: {finding(graph, compared)}"
    return edge_map(title, cells(graph, compared))


def _title(picture: str) -> str:
    return picture.replace("_", ", ")


def _verdicts(found: dict) -> list[dict]:
    """Of a file of an earlier version, from its pictures; the true edges, which it does not have, play no part."""

    def pictures(own: dict) -> Explanation:
        graphs = {name: TaskGraph.from_json(picture) for name, picture in own["pictures"].items()}
        return Explanation(pictures=graphs, removal=None)

    controls = {name: pictures(own) for name, own in found["controls"].items()}
    alike = found["stability"]["pictures"] if "stability" in found else None
    return [asdict(verdict) for verdict in verdicts(pictures(found), controls, alike)]


def _agreement(explanation: dict) -> dict[tuple[str, str], dict]:
    """Every two pictures, with the probability that they agree by chance, corrected for their number."""
    rows = {(row["pictures"][0], row["pictures"][1]): row for row in explanation["agreement"]}
    known = {pair: row["p_value"] for pair, row in rows.items() if row["p_value"] is not None}
    p = dict(zip(known, holm([*known.values()]), strict=True))
    return {pair: {**row, "p": p.get(pair)} for pair, row in rows.items()}


def _likeness(found: dict) -> dict | None:
    """How far a control shows the same picture as the model."""
    controls = {name: own["likeness"] for name, own in found["controls"].items()}
    rows = [
        (_title(picture), [own[picture]["within"] if picture in own else None for own in controls.values()])
        for picture in found["pictures"]
        if any(picture in own for own in controls.values())
    ]
    return {"columns": [_CONTROLS[name] for name in controls], "rows": rows} if controls else None


def _auroc(models: dict[str, dict[str, dict[str, float]]]) -> dict | None:
    """The mean over targets of the area of each model, picture and target."""

    def mean(areas: dict[str, float] | None) -> float | None:
        return float(np.mean([*areas.values()])) if areas else None

    rows = [
        (_title(picture), [mean(own.get(picture)) for own in models.values()])
        for picture, areas in models["this model"].items()
        if areas
    ]
    return {"columns": list(models), "rows": rows} if rows else None


def _stability(found: dict) -> dict | None:
    """How alike the pictures of several runs are, where several were explained together."""
    if "stability" not in found:
        return None
    alike = found["stability"]
    rows = [(_title(picture), [value]) for picture, value in alike["pictures"].items()]
    return {"runs": len(alike["runs"]), "columns": ["stability"], "rows": rows}


def _spokes(graphs: dict[str, TaskGraph]) -> dict | None:
    """What each picture says of the one edge into each task, where there is a virtual node."""
    virtual = {name: graph for name, graph in graphs.items() if graph.virtual}
    if not virtual:
        return None
    weights = {name: {edge.target: edge.weight for edge in graph.edges} for name, graph in virtual.items()}
    rows = [(task, [own.get(task) for own in weights.values()]) for task in virtual["attention"].tasks]
    return {"columns": [_title(name) for name in virtual], "rows": rows}


def _removal(models: dict[str, dict]) -> list[dict]:
    """A chart for the model and each control, on one scale."""
    curves = {name: own["removal"] for name, own in models.items() if own["removal"] is not None}
    harms = [harm for own in curves.values() for order in _ORDERS for harm in own[order]]
    return [
        {
            "title": f"Harm of removing edges: {name}",
            "x": "edges removed",
            "range": [min(harms), max(harms)],
            "kept": None,
            "series": [
                {"name": order, "points": list(zip(own["edges"], own[order], strict=True)), "strong": False}
                for order in _ORDERS
            ],
        }
        for name, own in curves.items()
    ]
