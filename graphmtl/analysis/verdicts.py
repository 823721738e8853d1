"""What may be said of each picture of a model, in one sentence that follows from its numbers by rule.

A picture is not to be interpreted where none of its edges is above the model trained on shuffled labels
(:mod:`graphmtl.graph.evidence`), where a control ranks the edges as it does, where it is known not to show the true
edges, or where several runs do not agree on it. Of what a model looks at, ablation says whether it is relied upon.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphmtl.analysis.faithfulness import Explanation
from graphmtl.analysis.holm import holm, p_of
from graphmtl.graph.comparison import Comparison
from graphmtl.graph.evidence import evidence, finding
from graphmtl.graph.task_graph import TaskGraph

__all__ = ["Verdict", "verdicts"]

_CONTROLS = {"untrained": "an untrained model", "shuffled": "a model trained on shuffled labels"}
_SMALL = 0.05
_ALIKE = 0.7  # Spearman within rows, from which on a control shows the same picture
_STABLE = 0.5  # the same, below which several runs do not
_TRUE = 0.7  # AUROC below which a picture does not show the true edges
_LOOKED_AT = ("attention", "contribution")  # what a model looks at, which need not be what it relies upon


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A sentence on a picture.

    Attributes:
        picture: its name.
        says: the sentence, without a full stop.
        holds: whether the picture may be interpreted; None: that is not known.
    """

    picture: str
    says: str
    holds: bool | None


def verdicts(
    trained: Explanation, controls: Mapping[str, Explanation], stability: Mapping[str, float | None] | None = None
) -> list[Verdict]:
    """One for every picture.

    Args:
        trained: the model's pictures.
        controls: those of the models ``untrained`` and ``shuffled``; none where they were not made.
        stability: how alike each picture is over several runs.
    """
    same, relied = _same(trained, controls), _relied(trained)
    found = []
    for name, graph in trained.pictures.items():
        if name == "benefit":
            found.append(Verdict(picture=name, says=_gains(graph), holds=True))
            continue
        areas = {model: _area(own, name) for model, own in {"trained": trained, **controls}.items()}
        doubts = [*same.get(name, []), *_not_true(areas), *_unstable((stability or {}).get(name))]
        found.append(_verdict(name, trained, _control(name, controls), areas, doubts, relied.get(name)))
    return found


def _verdict(
    name: str,
    trained: Explanation,
    control: TaskGraph | None,
    areas: Mapping[str, float | None],
    doubts: list[str],
    relied: tuple[str, bool] | None,
) -> Verdict:
    """Of one picture, with all that speaks against it and what ablation says of it."""
    graph = trained.pictures[name]
    edges = evidence(graph, control, of=name)
    said, ours, theirs = finding(graph, edges, truth=trained.truth), areas["trained"], areas.get("shuffled")
    if ours is not None:
        said += f" (AUROC {ours:.2f}{'' if theirs is None else f', shuffled labels {theirs:.2f}'})"
    if edges.limits is not None and not edges.above.any():
        return Verdict(picture=name, says=said, holds=False)
    if doubts:
        return Verdict(picture=name, says="; ".join([said, *doubts, "do not interpret"]), holds=False)
    if relied is not None:
        said += f"; {relied[0]}"
    holds = None if edges.limits is None else relied is None or relied[1]
    return Verdict(picture=name, says=said, holds=holds)


def _same(trained: Explanation, controls: Mapping[str, Explanation]) -> dict[str, list[str]]:
    """Of every picture which controls, that learned nothing, show the same."""
    found = {
        (control, name): comparison
        for control, own in controls.items()
        for name, comparison in trained.likeness(own).items()
    }
    p, same = p_of(found), dict[str, list[str]]()
    for (control, name), comparison in found.items():
        if _agree(comparison, p[control, name]) and (comparison.within or 0) >= _ALIKE:
            said = f"{_CONTROLS[control]} shows the same ({comparison.within:.2f})"
            same.setdefault(name, []).append(said)
    return same


def _not_true(areas: Mapping[str, float | None]) -> list[str]:
    ours, theirs = areas["trained"], areas.get("shuffled")
    return ["it does not show the true edges"] if ours is not None and ours < max(_TRUE, theirs or 0) else []


def _unstable(alike: float | None) -> list[str]:
    return [f"other runs show something else ({alike:.2f})"] if alike is not None and alike < _STABLE else []


def _control(name: str, controls: Mapping[str, Explanation]) -> TaskGraph | None:
    return controls["shuffled"].pictures.get(name) if "shuffled" in controls else None


def _area(explanation: Explanation, name: str) -> float | None:
    """The mean over targets."""
    areas = explanation.auroc().get(name)
    return float(np.mean([*areas.values()])) if areas else None


def _relied(trained: Explanation) -> dict[str, tuple[str, bool]]:
    """Of what the model looks at whether cutting edges ranks them alike, in words, and yes or no."""
    agreement = trained.agreement()
    p, found = p_of(agreement), dict[str, tuple[str, bool]]()
    for name in _LOOKED_AT:
        own, chance = agreement.get((name, "ablation")), p.get((name, "ablation"))
        if own is None or own.within is None:
            continue
        if _agree(own, chance):
            found[name] = f"ablation agrees ({own.within:.2f})", True
        elif chance is None:
            found[name] = "with so few tasks ablation cannot tell whether it is relied upon", False
        else:
            found[name] = f"ablation does not agree ({own.within:.2f}), so it need not be relied upon", False
    return found


def _agree(comparison: Comparison, p: float | None) -> bool:
    """Whether two pictures are alike, and beyond chance."""
    return comparison.within is not None and comparison.within > 0 and p is not None and p < _SMALL


def _gains(graph: TaskGraph) -> str:
    """Of measured gains, which need no control: how many are beyond the chance of the seeds."""
    from scipy.stats import t  # takes a second, which verbs without it need not spend

    edges = [edge for edge in graph.edges if edge.source != edge.target]
    errors = [edge.std / edge.count**0.5 or np.inf for edge in edges]
    degrees = [max(1, edge.count - 1) for edge in edges]
    ratios = [abs(edge.weight) / error for edge, error in zip(edges, errors, strict=True)]
    p = holm((2 * t.sf(ratios, degrees)).tolist())
    beyond = [edge.weight for edge, own in zip(edges, p, strict=True) if own < _SMALL]
    gain, loss = sum(weight > 0 for weight in beyond), sum(weight < 0 for weight in beyond)
    return (
        f"of {len(edges)} sources {gain} {'helps its' if gain == 1 else 'help their'} target and {loss} "
        f"{'harms' if loss == 1 else 'harm'} it, beyond the chance of the seeds"
    )
