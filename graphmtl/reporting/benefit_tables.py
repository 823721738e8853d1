"""The tables that ``explain --benefit`` prints, each by its title."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from graphmtl.printed_tables import table_of

__all__ = ["benefit_tables"]

_TITLES = {
    "together": "Gain of training with one other task, against alone",
    "left_out": "Gain from one task among all, against all others",
}
_NAMED = 3  # targets
_GRAPHS = {
    "gains": "by the gains on these texts",
    "random": "drawn at random",
    "all": "all edges",
    "alone": "none, alone",
}


def benefit_tables(found: Mapping[str, Any], without_graph: Mapping[str, str]) -> dict[str, Table]:
    """What the benefit comes to.

    Args:
        found: ``benefit`` of ``explanation.json``.
        without_graph: what the measures that need no graph are called.
    """
    seeds = len(found["seeds"])
    tables = {}
    for name, title in _TITLES.items():
        own = found[name]
        ceiling = own["ceiling"]
        p = ceiling["p_value"]
        chance = "" if p is None else f", p {_p(p)}"
        said = textwrap.fill(own["conclusion"], width=80, break_long_words=False, break_on_hyphens=False)
        heading = (
            f"{title} ({seeds} seeds, test texts)\n{said}\nnoise ceiling {ceiling['correlation']:.2f}: "
            f"halves of seeds and texts agree by {ceiling['split_half']:.2f}{chance}\n"
            f"who helps is most settled for {_most_settled(found['tasks'], ceiling['by_target'])}"
        )
        tables[heading] = _predictions(own, without_graph)
    if found["groups"]:
        heading = f"The graph cut to {found['top']} sources of each task ({seeds} seeds, mean over tasks)"
        tables[heading] = _groups(found["groups"], without_graph)
    return tables


def _most_settled(tasks: Sequence[str], by_target: Sequence[float]) -> str:
    """The targets for which halves agree most."""
    order = sorted(range(len(tasks)), key=lambda k: -by_target[k])[:_NAMED]
    return ", ".join(f"{tasks[k]} {by_target[k]:.2f}" for k in order)


def _predictions(found: Mapping[str, Any], without_graph: Mapping[str, str]) -> Table:
    """Who predicts the gains."""
    table = table_of("picture", "within rows", "p", "sign", "regret", "of the best")
    for name, own in found["pictures"].items():
        table.add_row(name.replace("_", ", "), *_cells(own))
    table.add_section()
    for name, own in found["without_graph"].items():
        table.add_row(without_graph[name], *_cells(own))
    table.add_section()
    if found["truth"] is not None:
        table.add_row("the true edges", *_cells(found["truth"]))
    guide = found["guide"]
    table.add_row("the gains of the other seeds", "", "", "", *_regret(guide))
    table.add_row("a source at random", "", "", "", f"{guide['best'] - guide['random']:.4f}", "0%")
    return table


def _cells(own: Mapping[str, Any]) -> list[str]:
    p = own["p_value"]
    return [_number(own["within"], "+.2f"), "-" if p is None else _p(p), _number(own["sign"]), *_regret(own["choice"])]


def _regret(choice: Mapping[str, Any] | None) -> list[str]:
    """What a choice loses against the best source, and the way from a random one to that."""
    if choice is None:
        return ["-", "-"]
    return [f"{choice['regret']:.4f}", "-" if choice["share"] is None else f"{choice['share']:.0%}"]


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else f"{value:{form}}"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"[1:] if value < 1 else "1"


def _groups(groups: Mapping[str, Mapping[str, Sequence[float]]], without_graph: Mapping[str, str]) -> Table:
    """What each graph costs and scores, and how far it is from all edges, with a 95 % t interval over seeds."""
    table = table_of("sources by", "loss", "against all edges", "score, %")
    order = [name for name in groups if name not in _GRAPHS] + [*_GRAPHS]
    for name in order:
        loss, score = (np.array(groups[name][key]) for key in ("loss", "score"))
        called = _GRAPHS.get(name, without_graph.get(name, name))
        against = "" if name == "all" else _interval(loss - np.array(groups["all"]["loss"]))
        table.add_row(called, f"{loss.mean():.4f}", against, f"{100 * score.mean():.1f}")
    return table


def _interval(differences: np.ndarray) -> str:
    """The mean difference and its 95 % t interval."""
    from scipy.stats import t  # takes a second, which verbs without it need not spend

    count = len(differences)
    wide = t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count)
    return f"{differences.mean():+.4f} ± {wide:.4f}"
