"""What a report says of a run: plain lists, numbers and names, read from the files in its folder."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from graphmtl.baselines.scores import beside, means, not_above, read_scores
from graphmtl.errors import InputError
from graphmtl.files import read_json, read_json_lines
from graphmtl.graph.pictures.cells import decimals_for
from graphmtl.graph.pictures.held import Held
from graphmtl.graph.pictures.panels import short_name
from graphmtl.metrics.named import is_share
from graphmtl.printed_tables import mean_heading, same_as_test, score_text
from graphmtl.reporting.cards import baseline_gains, data_card, gain_card, trust_card
from graphmtl.reporting.class_tables import class_tables
from graphmtl.reporting.example_texts import example_texts
from graphmtl.reporting.explanation import explanation_contents
from graphmtl.reporting.heat_map import edge_map, heat_map
from graphmtl.training.run import Run
from graphmtl.training.run_picture import has_edges, held_graphs

__all__ = ["RunGains", "comparison", "run_contents"]

_Found = TypeVar("_Found")

_SPLITS = ("test", "test_dedup", "valid")
_SIZES = {"n_train": "n train", "n_test": "n test", "n_test_dedup": "n test_dedup", "n_valid": "n valid"}
_MOST_CURVES = 6  # that can be told apart by colour
_RATIOS = "A number is what is read over the equal share."
_BESIDE = "Tasks that have much to do with each other stand side by side."


@dataclass(frozen=True, kw_only=True)
class RunGains:
    """What a comparison of several runs says of one of them: a sentence, and a picture of its tasks' gains."""

    sentence: str
    panel: dict


def run_contents(run: Run, *, name: str, examples: int, seed: int, gains: RunGains | None = None) -> dict:
    """Everything that the report says of a run.

    A part that the run's folder does not give is None (of what may be several an empty list), and ``no_examples`` says
    why there are no examples.

    Args:
        run: a finished run.
        name: what the report calls it.
        examples: texts of each task that are shown with their edges.
        seed: draws the texts.
        gains: what it gains over another run of the report, where they are compared.

    Raises:
        InputError: A file of the run holds something else than its name says.
    """
    texts, no_examples = _example_texts(run, examples, seed)
    graphs, baselines = held_graphs(run), read_scores(run)
    explanation = _checked(run.folder / "explanation.json", _explanation, run)
    cards = _checked(run.folder / "metrics.json", lambda run: _cards(run, graphs, baselines, explanation, gains), run)
    return {
        "name": name,
        "cards": cards,
        "gains": gains.panel if gains else baseline_gains(run, baselines),
        "facts": _checked(run.folder / "metrics.json", _facts, run),
        "results": _checked(run.folder / "metrics.json", lambda run: _results(run, baselines), run),
        "classes": _checked(run.folder / "metrics.json", lambda run: class_tables(run.metrics["tasks"]), run),
        "has_edges": has_edges(run),
        "findings": [found.finding for found in graphs],
        "maps": [_map(found) for found in graphs if not found.graph.virtual],
        "graphs": [
            _interactive(found) for found in graphs[:1] if found.evidence.above.any() and not found.graph.virtual
        ],
        "spokes": [_spokes(found) for found in graphs if found.graph.virtual],
        "conflict": _conflict(run),
        "curves": _checked(run.folder / "history.jsonl", _curves, run),
        "task_curves": _checked(run.folder / "history.jsonl", _task_curves, run),
        "examples": texts,
        "no_examples": no_examples,
        "explanation": explanation,
    }


def _cards(
    run: Run, graphs: Sequence[Held], baselines: dict[str, dict], explanation: dict | None, gains: RunGains | None
) -> list[dict[str, Any]]:
    compared = None if gains is None else gains.sentence
    found = [gain_card(run, baselines, compared), trust_card(graphs, explanation), data_card(run)]
    return [card for card in found if card is not None]


def comparison(runs: Sequence[Run], names: Sequence[str]) -> dict:
    """The first metric of every task in several runs, with the differences to the first run, for each split.

    The means are compared between runs of the same tasks and metrics only; ``test_dedup`` is there where a run has
    other scores on it than on ``test``.
    """
    scores = [run.metrics["tasks"] for run in runs]
    tasks = list(dict.fromkeys(name for own in scores for name in own))
    splits = _shown_splits(all(map(same_as_test, scores)))
    metrics = {own["metric"] for each in scores for own in each.values()}
    return {
        "names": names,
        "metric": next(iter(metrics)) if len(metrics) == 1 else None,
        "splits": {split: _compared(runs, scores, tasks, split) for split in splits},
        "apart": "",
        "sentences": [],
        "panels": [],
        "notes": [],
    }


def _shown_splits(alike: bool) -> tuple[str, ...]:
    """Without ``test_dedup`` where it is ``test``."""
    return tuple(split for split in _SPLITS if split != "test_dedup" or not alike)


def _compared(runs: Sequence[Run], scores: list[dict], tasks: list[str], split: str) -> list[dict]:
    rows = []
    for task in tasks:
        found = [own[task] for own in scores if task in own]
        scored = [own[task][split].get(found[0]["metric"]) if task in own else None for own in scores]
        rows.append({"task": task, "metric": found[0]["metric"], "values": _with_differences(scored)})
    means = [run.metrics["mean"][split] for run in runs]
    same = all(_first_metrics(each) == _first_metrics(scores[0]) for each in scores)
    values = _with_differences(means) if same else [(mean, None) for mean in means]
    return [*rows, {"task": mean_heading(scores[0]), "metric": "first metrics", "values": values}]


def _first_metrics(tasks: dict[str, dict]) -> dict[str, str]:
    return {task: own["metric"] for task, own in tasks.items()}


def _with_differences(values: Sequence[float | None]) -> list[tuple[float | None, float | None]]:
    """Each value with its difference to the first."""
    first = values[0]
    return [(value, None if value is None or first is None else value - first) for value in values]


def _checked(path: Path, read: Callable[[Run], _Found], run: Run) -> _Found:
    """What ``read`` finds in a file of the run; what is wrong with the file becomes one line that names it."""
    try:
        return read(run)
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise InputError(f"{path}: not what graphmtl writes there ({type(error).__name__}: {error})") from error


def _facts(run: Run) -> list[tuple[str, str]]:
    metrics, options = run.metrics, run.options
    facts = [
        ("architecture", metrics["arch"]),
        ("tasks", f"{options.tasks} ({len(metrics['tasks'])})"),
        ("seed", str(metrics["seed"])),
        ("parameters", f"{metrics['parameters']:,}"),
        ("training", f"{metrics['train_seconds']:,.0f} s"),
    ]
    if isinstance(metrics["best_epoch"], int):  # of `single` every task has its own
        facts.append(("best epoch", str(metrics["best_epoch"])))
    return [*facts, ("folder", str(run.folder))]


def _results(run: Run, baselines: dict[str, dict]) -> dict:
    """The table of scores; ``columns`` are the test splits, the baselines on ``test``, and validation."""
    tasks = beside(run.metrics["tasks"], baselines)
    splits = _shown_splits(same_as_test(run.metrics["tasks"]))
    columns = [*splits[:-1], *baselines, splits[-1]]
    sizes = {size: heading for size, heading in _SIZES.items() if size.removeprefix("n_") in ("train", *splits)}
    rows = [
        {
            "task": task if i == 0 else "",
            "sizes": [own[size] if i == 0 else "" for size in sizes],
            "metric": metric,
            "first": i == 0,
            "scores": [score_text(own[column].get(metric), metric) for column in columns],
        }
        for task, own in tasks.items()
        for i, metric in enumerate(own["test"])
    ]
    mean = run.metrics["mean"] | means(tasks, baselines)
    below = {name: ", ".join(those) for name, those in not_above(run.metrics["tasks"], baselines).items() if those}
    firsts = [own["metric"] for own in run.metrics["tasks"].values()]
    metric = next((metric for metric in firsts if not is_share(metric)), firsts[0])  # of the mean
    metrics = {row["metric"] for row in rows}
    return {
        "metric": next(iter(metrics)) if len(metrics) == 1 else None,
        "columns": columns,
        "sizes": [*sizes.values()],
        "rows": rows,
        "mean": mean_heading(tasks),
        "means": [score_text(mean[column], metric) for column in columns],
        "not_above": below,
        "in_percent": any(is_share(row["metric"]) for row in rows),
    }


def _title(found: Held) -> str:
    return found.title[0].upper() + found.title[1:]


def _map(found: Held) -> dict:
    return edge_map(_title(found), found.cells) | {"note": _note(found), "finding": found.finding}


def _note(found: Held) -> str:
    """How a map is to be read."""
    lines = [found.note, _RATIOS if found.evidence.ratio else "", _BESIDE]
    if any(edge.source == edge.target for edge in found.graph.edges):
        lines.append("On the diagonal: the share that a task reads from itself.")
    if found.cells.dots.any():
        shown = "what the same model shows that was trained on shuffled labels"
        shown = found.control if found.name == "linear" else shown
        lines.append(f"A dot: not above {shown}.")
    if found.cells.frames.any():
        lines.append("A frame: a true edge of this generated task set.")
    return " ".join(filter(None, lines))


def _spokes(found: Held) -> dict:
    """How much each task reads from the virtual node, most first; ``share`` goes from half of the mean to double."""
    weights = {edge.target: edge.weight for edge in found.graph.edges}
    mean = sum(weights.values()) / len(weights)
    rows = [
        {
            "name": task,
            "text": f"{weights[task]:.3f}",
            "share": round(max(-1.0, min(1.0, math.log2(max(weights[task] / mean, 2**-10)))), 3),
            "dot": bool(dot),
        }
        for task, dot in zip(found.cells.targets, found.cells.dots[:, 0], strict=True)
        if task in weights
    ]
    return {"finding": found.finding, "rows": sorted(rows, key=lambda row: -row["share"])}


def _conflict(run: Run) -> dict | None:
    """The cosines between the tasks' gradients as a map, where they were measured."""
    conflict = run.gradient_conflict
    if conflict is None:
        return None
    note = (
        f"The mean cosine between the gradients of two tasks on what they share, in up to {conflict.updates:,} updates "
        "of training. Below 0 a step for the one is a step against the other."
    )
    found = heat_map("Do the tasks' gradients agree?", conflict.tasks, conflict.matrix())
    return {**found, "between": "and", "note": note}


def _interactive(found: Held) -> dict:
    """What is above the control, as graph.js draws it; of an affinity, which is symmetric, each edge once.

    The ``weight`` of an edge is its number in the map, and ``place`` how far it is beyond the control, from 0 to 1.
    What a task reads from itself is no line: it is ``own`` of its node, None where there is no such edge.
    """
    graph, cells = found.graph, found.cells
    own = {edge.target: edge.weight for edge in graph.edges if edge.source == edge.target}
    edges = []
    for edge in graph.edges:
        k, j = graph.tasks.index(edge.target), graph.tasks.index(edge.source)
        if found.evidence.above[k, j] and (found.directed or j < k):
            shown = {"weight": float(cells.texts[k][j]), "place": round(float(cells.places[k, j]), 3)}
            edges.append({"source": j, "target": k, **shown, "std": edge.std, "count": edge.count})
    return {
        "title": _title(found),
        "directed": found.directed,
        "verb": found.verb,
        "unit": cells.unit if found.evidence.ratio else "",
        "nodes": [{"name": name, "short": short_name(name, 24), "own": own.get(name)} for name in graph.tasks],
        "edges": edges,
        "decimals": 2 if found.evidence.ratio else decimals_for([edge.weight for edge in graph.edges]),
    }


def _curves(run: Run) -> list[dict] | None:
    """Losses and the first metrics by epoch, a series for each task and one for the mean."""
    path = run.folder / "history.jsonl"
    if not path.is_file():
        return None
    history = read_json_lines(path)
    if not history:
        raise ValueError("no line")
    metric = {task: own["metric"] for task, own in run.metrics["tasks"].items()}

    def scored(record: dict, task: str, key: str) -> float | None:
        own = record["metrics"].get(task)  # a transfer evaluates its new tasks alone, and few examples are not split
        return None if own is None else own[key]

    read: dict[str, Callable[[dict, str], float | None]] = {
        "training loss": lambda record, task: record["losses"].get(task),
        "validation loss": lambda record, task: scored(record, task, "loss"),
        "first metric, validation": lambda record, task: scored(record, task, metric[task]),
    }
    epochs = [record["epoch"] for record in history]
    kept = run.metrics.get("best_epoch")
    return [
        {
            "title": title,
            "x": "epoch",
            "range": None,
            "kept": kept if isinstance(kept, int) else None,
            "series": _series(epochs, {t: [get(r, t) for r in history] for t in metric}),
        }
        for title, get in read.items()
    ]


def _task_curves(run: Run) -> list[dict]:
    """Of more tasks than colours tell apart a small chart each: its first metric on the validation split.

    The scale is one for all tasks that are measured alike; the epoch that was kept is marked.
    """
    curves = _curves(run)
    if curves is None or len(run.metrics["tasks"]) <= _MOST_CURVES:
        return []
    series = {own["name"]: own for own in curves[-1]["series"] if not own["strong"]}
    metrics = {task: own["metric"] for task, own in run.metrics["tasks"].items()}
    best = run.metrics.get("best_epoch")
    found = []
    for name, own in series.items():
        alike = [y for task, other in series.items() if metrics[task] == metrics[name] for _, y in other["points"]]
        kept = best.get(name) if isinstance(best, dict) else best
        chart = {"title": name, "x": "epoch", "range": [min(alike), max(alike)], "kept": kept}
        found.append({**chart, "series": [{**own, "strong": True}]})
    return found


def _series(x: Sequence[float], values: dict[str, list[float | None]]) -> list[dict]:
    """A series for each name, and their mean where there are several; a value that is missing is left out.

    So is a name without any value.
    """
    values = {name: column for name, column in values.items() if any(value is not None for value in column)}
    mean = [_mean(column) for column in zip(*values.values(), strict=True)]
    named = [*values.items(), *([("mean of all tasks", mean)] if len(values) > 1 else [])]
    return [
        {"name": name, "points": [[a, b] for a, b in zip(x, y, strict=True) if b is not None], "strong": y is mean}
        for name, y in named
    ]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _example_texts(run: Run, count: int, seed: int) -> tuple[dict[str, list[dict]] | None, str]:
    if count == 0:
        return None, "left out by --examples 0"
    try:
        return example_texts(run, per_task=count, seed=seed), ""
    except InputError as error:
        return None, str(error)


def _explanation(run: Run) -> dict | None:
    """What ``graphmtl explain`` left in ``explanation.json``."""
    path = run.folder / "explanation.json"
    return explanation_contents(read_json(path)) if path.is_file() else None
