"""Learning curves of a leave-one-out experiment: a table, a picture, and the area between two curves."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log2

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphmtl.metrics.named import is_share
from graphmtl.printed_tables import score_text
from graphmtl.training.leave_one_out import Cell

__all__ = ["area_between", "curves_table", "draw_curves", "interval"]

_COLOURS = ("#0072b2", "#e69f00", "#555555")  # of Okabe and Ito, which the colour-blind tell apart

Curves = Mapping[tuple[str, int], Mapping[int, Mapping[str, float]]]
"""For each (target, draw) and number of training and validation examples the score of every arm, a share in points."""


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """The mean, and its 95 % t interval over the differences (each a target and a draw); nan for fewer than two.

    >>> [round(x, 2) for x in interval([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    """
    from scipy.stats import t  # takes a second, which verbs without it need not spend

    mean = float(np.mean(differences))
    if len(differences) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, len(differences) - 1)) * np.std(differences, ddof=1) / len(differences) ** 0.5
    return mean, float(mean - half), float(mean + half)


def area_between(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """The mean height between two curves over the logarithm of the number of examples, by the trapezoidal rule.

    >>> area_between({50: 70.0, 100: 80.0, 200: 80.0}, {50: 60.0, 100: 60.0, 200: 80.0})
    12.5
    """
    sizes = sorted(ours)
    if len(sizes) == 1:
        return ours[sizes[0]] - theirs[sizes[0]]
    steps = [(log2(b / a), (ours[a] - theirs[a] + ours[b] - theirs[b]) / 2) for a, b in pairwise(sizes)]
    return sum(width * height for width, height in steps) / sum(width for width, _ in steps)


def _curves(cells: Sequence[Cell], split: str) -> Curves:
    curves: dict[tuple[str, int], dict[int, dict[str, float]]] = {}
    for cell in cells:
        scores = {arm: own[split] for arm, own in cell.arms.items()}
        if cell.examples != 0 and None not in scores.values():
            size = cell.n_train + cell.n_valid
            scale = 100 if is_share(cell.metric) else 1
            points = {arm: scale * score for arm, score in scores.items() if score is not None}
            curves.setdefault((cell.target, cell.draw), {})[size] = points
    return curves


def _metrics(cells: Sequence[Cell]) -> dict[str, str]:
    """Of every target its metric."""
    return {cell.target: cell.metric for cell in cells}


def _in_unit(metric: str) -> str:
    return f"{metric} in points" if is_share(metric) else metric


def _number(examples: int | None) -> str:
    return "all" if examples is None else str(examples)


def _in_order(cells: Sequence[Cell]) -> list[int | None]:
    """The numbers of examples, ``all`` last."""
    found = {cell.examples for cell in cells if cell.examples != 0}
    return [*sorted(number for number in found if number is not None), *([None] if None in found else [])]


def curves_table(cells: Sequence[Cell], split: str = "test") -> str:
    """The curves in Markdown: scores, the mean over draws ± their standard deviation, and for each metric differences.

    Scores that are shares are in points.

    Args:
        cells: finished cells.
        split: ``test``, or ``test_dedup``: without test texts that stand in a training split.
    """
    arms = list(next(cell.arms for cell in cells if cell.examples != 0))
    lines = [f"| target | metric | examples | {' | '.join(arms)} |", "|---" * (3 + len(arms)) + "|"]
    for target, metric in _metrics(cells).items():
        for examples in _in_order(cells):
            own = [cell for cell in cells if (cell.target, cell.examples) == (target, examples)]
            if own:
                shown = [_spread([cell.arms[arm][split] for cell in own], metric) for arm in arms]
                lines.append(f"| {target} | {metric} | {_number(examples)} | {' | '.join(shown)} |")
    for metric in dict.fromkeys(cell.metric for cell in cells if cell.examples != 0):
        lines += ["", *_differences([cell for cell in cells if cell.metric == metric], split, arms, metric)]
    zero = [cell for cell in cells if cell.examples == 0 and cell.arms]
    if zero:
        ways = list(zero[0].arms)
        lines += ["", "Without any example:", ""]
        lines += [f"| target | metric | {' | '.join(ways)} |", "|---" * (2 + len(ways)) + "|"]
        for cell in zero:
            shown = [_spread([cell.arms[way][split]], cell.metric) for way in ways]
            lines.append(f"| {cell.target} | {cell.metric} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _spread(scores: Sequence[float | None], metric: str) -> str:
    values = [score for score in scores if score is not None]
    if not values:
        return "-"
    spread = f" ± {score_text(float(np.std(values, ddof=1)), metric)}" if len(values) > 1 else ""
    return score_text(float(np.mean(values)), metric) + spread


def _differences(cells: Sequence[Cell], split: str, arms: Sequence[str], metric: str) -> list[str]:
    """Rows of the first arms' differences from the last one, for every number of examples, and the area.

    The cells are of one metric, since a mean over several says nothing.
    """
    *others, base = arms
    lines = [
        f"Differences of {_in_unit(metric)}, each the mean over targets and draws with its 95 % t interval:",
        "",
        f"| examples | {' | '.join(f'{arm} - {base}' for arm in others)} |",
        "|---" * (1 + len(others)) + "|",
    ]
    for examples in _in_order(cells):
        pairs = _curves([cell for cell in cells if cell.examples == examples], split)
        scores = [score for curve in pairs.values() for score in curve.values()]
        shown = [_with_interval([score[arm] - score[base] for score in scores], metric) for arm in others]
        lines.append(f"| {_number(examples)} | {' | '.join(shown)} |")
    curves = _curves(cells, split)
    sizes = {key: {cell.examples for cell in cells if (cell.target, cell.draw) == key} - {0} for key in curves}
    common = set.intersection(*sizes.values()) if sizes else set()  # no text of the split may be unseen
    curves = _curves([cell for cell in cells if cell.examples in common], split)
    if len(common) > 1:
        shown = []
        for arm in others:
            areas = [
                area_between(*({n: s[a] for n, s in curve.items()} for a in (arm, base))) for curve in curves.values()
            ]
            shown.append(_with_interval(areas, metric))
        lines.append(f"| area between the curves | {' | '.join(shown)} |")
    return lines


def _with_interval(differences: Sequence[float], metric: str) -> str:
    if not differences:
        return "-"
    mean, low, high = (f"{value:{'+.1f' if is_share(metric) else '+.4g'}}" for value in interval(differences))
    return mean if len(differences) < 2 else f"{mean} [{low}, {high}]"


def draw_curves(cells: Sequence[Cell], split: str = "test") -> Figure:
    """A panel per target: the mean score over draws by the number of examples, in a band of a standard deviation."""
    metrics = _metrics(cells)
    targets, one_metric = [*metrics], len({*metrics.values()}) == 1
    arms = list(next(cell.arms for cell in cells if cell.examples != 0))
    columns = min(len(targets), 4)
    rows = -(-len(targets) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.6, 2.9 * rows + 0.4), dpi=150, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=one_metric, squeeze=False).flat
    for panel, target in zip(panels, targets, strict=False):
        own = {key: curve for key, curve in _curves(cells, split).items() if key[0] == target}
        for arm, colour in zip(arms, _COLOURS, strict=False):
            _draw_curve(panel, arm, colour, list(own.values()))
        sizes = sorted({size for curve in own.values() for size in curve})
        panel.set(
            title=target if one_metric else f"{target}: {_in_unit(metrics[target])}",
            xscale="log",
            xlabel="labelled examples",
        )
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    for panel in list(figure.axes)[len(targets) :]:
        panel.remove()
    figure.axes[0].set_ylabel(_in_unit(metrics[targets[0]]) if one_metric else "")
    figure.axes[0].legend(loc="best", frameon=False)
    return figure


def _draw_curve(panel: Axes, arm: str, colour: str, curves: Sequence[Mapping[int, Mapping[str, float]]]) -> None:
    sizes = sorted({size for curve in curves for size in curve})
    scores = [[curve[size][arm] for curve in curves if size in curve] for size in sizes]
    mean = np.array([np.mean(own) for own in scores])  # (sizes,)
    spread = np.array([np.std(own, ddof=1) if len(own) > 1 else 0.0 for own in scores])  # (sizes,)
    panel.plot(sizes, mean, marker="o", markersize=3, color=colour, label=arm)
    panel.fill_between(sizes, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
