"""The first that a report says of a run: what it gains, whether its picture can be trusted, what is odd in the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphmtl.graph.pictures.held import Held
from graphmtl.metrics.named import is_share
from graphmtl.reporting.gains import Gain, gain_panel
from graphmtl.training.results import cut_short
from graphmtl.training.run import Run

__all__ = ["baseline_gains", "data_card", "gain_card", "trust_card"]

_STRONGEST = ("tfidf",)  # the baselines that a gain is told over; a majority is no model
_NAMED = 3  # tasks in a sentence
_NOT_CUT = "Not measured: what breaks when edges are cut (graphmtl explain RUN)"
_MORE = "More pictures, of more texts, and whether they agree: graphmtl explain RUN"
_LEVELS = {True: "good", False: "bad", None: "open"}


def gain_card(run: Run, baselines: Mapping[str, dict], compared: str | None = None) -> dict[str, Any]:
    """Does it pay?

    Args:
        run: a finished run.
        baselines: their scores, as :func:`~graphmtl.baselines.scores.read_scores` gives them.
        compared: what a comparison with other runs says of it, where there is one.
    """
    lines = [compared] if compared else []
    level = "open"
    for name in _STRONGEST:
        gains = _gains(run, baselines.get(name, {}))
        if gains:
            above = sum(gain.mean > 0 for gain in gains)
            mean = sum(gain.mean for gain in gains) / len(gains)
            lines.append(f"Above {name} on test for {above} of {len(gains)} tasks, {mean:+.1f} points on average")
            level = "good" if mean > 0 and 2 * above > len(gains) else "bad"
    if not lines:
        lines.append("Not compared: the run has no baselines, and no other run stands beside it")
    if not compared:
        lines.append(
            "Against training alone: graphmtl report RUN OTHER, with a run of --arch single, or graphmtl compare"
        )
    return {"title": "Gain", "level": level, "lines": lines}


def baseline_gains(run: Run, baselines: Mapping[str, dict]) -> dict[str, Any] | None:
    """The picture of what the run gains over the strongest baseline, in points of each task's first metric."""
    for name in _STRONGEST:
        gains = _gains(run, baselines.get(name, {}))
        about = "Points of the test score; how far chance reaches is not known of one run and a baseline."
        mean = Gain(name="mean", mean=sum(gain.mean for gain in gains) / max(len(gains), 1))
        panel = gain_panel(f"Gain over {name}, which reads each task alone", about, gains, mean)
        if panel is not None:
            return panel
    return None


def _gains(run: Run, scores: Mapping[str, dict]) -> list[Gain]:
    """Over a baseline, of the tasks that both answer and whose first metric is a share."""
    found = []
    for task, own in run.metrics["tasks"].items():
        ours, theirs = (each.get("test", {}).get(own["metric"]) for each in (own, scores.get(task, {})))
        if ours is not None and theirs is not None and is_share(own["metric"]):
            found.append(Gain(name=task, mean=100 * (ours - theirs)))
    return found


def trust_card(graphs: Sequence[Held], explanation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Can the picture be trusted? None where there is none.

    Args:
        graphs: what the report draws of the run, held against its control.
        explanation: what :func:`~graphmtl.reporting.explanation.explanation_contents` says.
    """
    if not graphs:
        return None
    first, own = graphs[0], [each for each in graphs if each.name != "linear"]
    known, lines = _is_above(first), [first.finding]
    if first.name == "linear":
        lines = [f"Linear models: {first.finding}", *(f"The graph beside them: {each.finding}" for each in own[:1])]
    if explanation is not None and own:
        judged, said = _verdicts(explanation, own[0])
        known, lines = (known, [lines[0], *said]) if first.name == "linear" else (judged, said)
    elif own:  # of linear models nothing is cut
        cut = any(each.name == "ablation" for each in own)
        lines.append(_MORE if cut else _NOT_CUT)
    return {"title": "Trust of the picture", "level": _LEVELS[known], "lines": lines}


def _is_above(drawn: Held) -> bool | None:
    """Whether anything of a graph is above its control; None where it has none."""
    return None if drawn.evidence.limits is None else bool(drawn.evidence.above.any())


def _verdicts(explanation: Mapping[str, Any], drawn: Held) -> tuple[bool | None, list[str]]:
    """Whether the picture that is drawn holds, and what is said of it and of ablation."""
    verdicts = {each["picture"]: each for each in explanation["verdicts"]}
    names = ("attention" if drawn.name in ("edges", "spokes") else drawn.name, "ablation")
    shown = [verdicts[name] for name in dict.fromkeys(names) if name in verdicts]
    known, said = _is_above(drawn), [] if names[0] in verdicts else [drawn.finding]
    if names[0] in verdicts:
        known = shown[0]["holds"]
    return known, [*said, *(f"{own['picture']}: {own['says']}" for own in shown)]


def data_card(run: Run) -> dict[str, Any]:
    """What is odd in the data and in the training: dropped, cut, unknown, repeated, too short."""
    lines, known = [*_seen(run.metrics["tasks"])], run.remarks
    if known is not None:
        lines += [*_overlap(known["overlap"]), *known["lines"]]
    lines += cut_short(run.metrics) if "cut_short" in run.metrics else []
    level = "bad" if lines else "good" if known is not None else "open"
    if not lines:
        nothing = "Nothing was dropped, cut or repeated, and no test text stands in training"
        lines = [nothing if known is not None else "No test text stands in training; of the rest this run says nothing"]
    return {"title": "Data and training", "level": level, "lines": lines}


def _seen(tasks: Mapping[str, dict]) -> list[str]:
    """Test texts that a training split has."""
    seen = {name: own["n_test"] - own["n_test_dedup"] for name, own in tasks.items()}
    of = sum(own["n_test"] for own in tasks.values())
    if not any(seen.values()):
        return []
    return [
        f"{sum(seen.values()):,} of {of:,} test texts stand in training ({_listed(seen)}); test_dedup is without them"
    ]


def _overlap(overlap: Mapping[str, Mapping[str, int]]) -> list[str]:
    words = {
        "dropped": "training texts left out, since they stand in the validation or test split of another task",
        "repeated": "training texts that repeat others",
        "valid_seen": "validation texts that stand in training",
        "empty": "examples without a text",
    }
    counts = {key: {name: own.get(key, 0) for name, own in overlap.items()} for key in words}
    return [f"{words[key]}: {sum(own.values()):,} ({_listed(own)})" for key, own in counts.items() if any(own.values())]


def _listed(counts: Mapping[str, int]) -> str:
    """The tasks with the most."""
    most = sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])
    more = f" and {len(most) - _NAMED} more" if len(most) > _NAMED else ""
    return ", ".join(f"{name} {counts[name]:,}" for name in most[:_NAMED]) + more
