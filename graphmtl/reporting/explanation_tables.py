"""The tables that ``explain`` prints, each by its title."""

from collections.abc import Mapping

import numpy as np
from rich.markup import escape
from rich.table import Table

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.graph.comparison import Comparison

__all__ = ["explanation_tables", "stability_table"]

_STRONGEST = ("attention", "contribution", "ablation", "transferability", "affinity", "benefit")  # with first edges

_FIRST = ("attention", "affinity")  # what the other pictures are compared with on the screen; the file has all pairs


def explanation_tables(heading: str, trained: Explanation, controls: Mapping[str, Explanation]) -> dict[str, Table]:
    """What an explanation comes to: strongest edges, agreement, removal, and the true graph where it is known."""
    models = {"trained": trained, **controls}
    tables = {
        f"{heading}: the strongest source of each task; reliance of this trained model": _strongest_table(trained),
        "Two pictures of the same model: Spearman within rows (p by permutation)": _agreement_table(models),
    }
    if controls:
        title = "The same picture of a control, which learned nothing: Spearman within rows (p by permutation)"
        tables[title] = _likeness_table(trained, controls)
    if trained.removal is not None:
        title = "Edges cut into every task at once, by attention: rise of the negative log-likelihood"
        tables[title] = _removal_table(models)
    if any(trained.auroc().values()):
        areas = {name: own.auroc() for name, own in models.items()}
        tables["True sources against the others: AUROC, the mean over targets"] = _auroc_table(areas)
    if trained.text_auroc:
        title = "Texts that one parent each decides, what they read from it against the other parents"
        areas = {name: own.text_auroc for name, own in models.items()}
        tables[f"{title}: AUROC over texts, the mean over targets"] = _auroc_table(areas)
    return tables


def _table(*columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(box=None, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def _number(value: float | None, sign: str = "+") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def _strongest_table(trained: Explanation) -> Table:
    """The strongest edge from another node into each task in each picture."""
    names = [name for name in _STRONGEST if name in trained.pictures]
    table = _table("task", *names)
    for task in trained.pictures["attention"].tasks:
        others = ([e for e in trained.pictures[name].incoming(task) if e.source != task] for name in names)
        table.add_row(escape(task), *(f"{escape(e[0].source)} {e[0].weight:.3f}" if e else "-" for e in others))
    return table


def _agreement_table(models: Mapping[str, Explanation]) -> Table:
    table = _table("pictures", *models)
    found = {name: own.agreement() for name, own in models.items()}
    for pair in (pair for pair in found["trained"] if pair[0] in _FIRST or pair == ("contribution", "ablation")):
        table.add_row(" ~ ".join(pair), *(_within(own.get(pair)) for own in found.values()))
    return table


def _within(comparison: Comparison | None) -> str:
    if comparison is None or comparison.within is None:
        return "-"
    return f"{comparison.within:+.3f} ({comparison.p_value:.4f})"


def _likeness_table(trained: Explanation, controls: Mapping[str, Explanation]) -> Table:
    """A picture that an untrained model shows too says nothing of what was learned."""
    table = _table("picture", *controls)
    found = [trained.likeness(own) for own in controls.values()]
    for name in found[0]:
        table.add_row(name, *(_within(own[name]) for own in found))
    return table


def _removal_table(models: Mapping[str, Explanation]) -> Table:
    columns = [f"{name}, {order}" for name in models for order in ("strongest", "random", "weakest")]
    table = _table("edges", *columns)
    removals = [own.removal for own in models.values()]
    for i, size in enumerate(removals[0]["edges"]):
        values = (removal[order][i] for removal in removals for order in ("strongest", "random", "weakest"))
        table.add_row(str(size), *map(_number, values))
    return table


def _auroc_table(areas: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Of each model, picture and target."""
    table = _table("picture", "targets", *areas)
    for picture, own in areas["trained"].items():
        means = (float(np.mean([*each[picture].values()])) if each.get(picture) else None for each in areas.values())
        table.add_row(picture, str(len(own)), *(_number(mean, "") for mean in means))
    return table


def stability_table(alike: Mapping[str, float | None]) -> Table:
    """How alike the pictures of several runs are."""
    table = _table("picture", "stability")
    for name, value in alike.items():
        table.add_row(name, _number(value))
    return table
