"""The tables that ``explain`` prints, each by its title."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.analysis.holm import p_of
from graphmtl.graph.comparison import Comparison
from graphmtl.graph.pictures.cells import decimals_for
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.printed_tables import table_of

__all__ = ["explanation_tables", "stability_table"]

_STRONGEST = ("attention", "contribution", "ablation", "transferability", "affinity", "benefit")  # with first edges

_FIRST = ("attention", "affinity")  # what the other pictures are compared with on the screen; the file has all pairs
_ORDERS = ("strongest", "random", "weakest")
_WITHIN = "Spearman within rows (p by permutation, corrected for the pictures)"


def explanation_tables(trained: Explanation, controls: Mapping[str, Explanation]) -> dict[str, Table]:
    """What an explanation comes to: strongest edges, agreement, removal, and the true graph where it is known."""
    models = {"trained": trained, **controls}
    tables = {
        "The strongest source of each task": _strongest_table(trained),
        f"Two pictures of the same model: {_WITHIN}": _agreement_table(models),
    }
    if controls:
        tables[f"The same picture of a control, which learned nothing: {_WITHIN}"] = _likeness_table(trained, controls)
    if trained.removal is not None:
        title = "Edges cut into every task at once, by attention: rise of the negative log-likelihood"
        tables[title] = _removal_table({name: own.removal for name, own in models.items() if own.removal is not None})
    if any(trained.auroc().values()):
        areas = {name: own.auroc() for name, own in models.items()}
        tables["True sources against the others: AUROC, the mean over targets"] = _auroc_table(areas)
    if trained.text_auroc:
        title = "Texts that one parent each decides, what they read from it against the other parents"
        areas = {name: own.text_auroc for name, own in models.items()}
        tables[f"{title}: AUROC over texts, the mean over targets"] = _auroc_table(areas)
    return tables


def _number(value: float | None, sign: str = "+") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"


def _strongest_table(trained: Explanation) -> Table:
    """The strongest edge from another node into each task in each picture."""
    names = [name for name in _STRONGEST if name in trained.pictures]
    tasks = trained.pictures["attention"].tasks
    columns = [_strongest(trained.pictures[name], tasks) for name in names]
    table = table_of("task", *names)
    for row in zip(map(escape, tasks), *columns, strict=True):
        table.add_row(*row)
    return table


def _strongest(graph: TaskGraph, tasks: Sequence[str]) -> list[str]:
    """The strongest source of each task and its weight; "-" where it has none."""
    edges = [next((edge for edge in graph.incoming(task) if edge.source != task), None) for task in tasks]
    decimals = decimals_for([edge.weight for edge in edges if edge is not None])
    return ["-" if edge is None else f"{escape(edge.source)} {edge.weight:.{decimals}f}" for edge in edges]


def _agreement_table(models: Mapping[str, Explanation]) -> Table:
    table = table_of("pictures", *models)
    found = {name: own.agreement() for name, own in models.items()}
    p = {name: p_of(own) for name, own in found.items()}
    for pair in (pair for pair in found["trained"] if pair[0] in _FIRST or pair == ("contribution", "ablation")):
        table.add_row(" ~ ".join(pair), *(_within(own.get(pair), p[name].get(pair)) for name, own in found.items()))
    return table


def _within(comparison: Comparison | None, p: float | None) -> str:
    if comparison is None or comparison.within is None:
        return "-"
    return f"{comparison.within:+.2f}" + ("" if p is None else f" ({p:.3f})")


def _likeness_table(trained: Explanation, controls: Mapping[str, Explanation]) -> Table:
    """A picture that an untrained model shows too says nothing of what was learned."""
    table = table_of("picture", *controls)
    found = {(name, key): own for name, each in controls.items() for key, own in trained.likeness(each).items()}
    p = p_of(found)
    for key in dict.fromkeys(key for _, key in found):
        table.add_row(key, *(_within(found.get((name, key)), p.get((name, key))) for name in controls))
    return table


def _removal_table(removals: Mapping[str, Mapping[str, list]]) -> Table:
    columns = [f"{name}, {order}" for name in removals for order in _ORDERS]
    table = table_of("edges", *columns)
    decimals = decimals_for([x for own in removals.values() for order in _ORDERS for x in own[order]])
    for i, size in enumerate(removals["trained"]["edges"]):
        values = (removal[order][i] for removal in removals.values() for order in _ORDERS)
        table.add_row(str(size), *(f"{value:+z.{decimals}f}" for value in values))
    return table


def _auroc_table(areas: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Of each model, picture and target."""
    table = table_of("picture", "targets", *areas)
    for picture, own in areas["trained"].items():
        means = (float(np.mean([*each[picture].values()])) if each.get(picture) else None for each in areas.values())
        table.add_row(picture, str(len(own)), *(_number(mean, "") for mean in means))
    return table


def stability_table(alike: Mapping[str, float | None]) -> Table:
    """How alike the pictures of several runs are."""
    table = table_of("picture", "stability")
    for name, value in alike.items():
        table.add_row(name, _number(value))
    return table
