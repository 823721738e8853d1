"""A comparison as tables: Markdown, CSV in long form, LaTeX, JSON, and for a terminal of 80 columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas

from graphmtl.comparison.bootstrap import DRAWS, Difference
from graphmtl.comparison.comparing import MAJORITY, Compared, Summary
from graphmtl.comparison.verdict import sentences
from graphmtl.metrics.named import is_share

__all__ = ["MARKS", "as_json", "as_lines", "frame", "latex", "markdown", "notes", "terminal"]

MARKS = {"better": "▲", "worse": "▼", "within chance": ""}
_LATEX_MARKS = {"better": r"$^{\blacktriangle}$", "worse": r"$^{\blacktriangledown}$", "within chance": ""}
_WIDE = 80  # columns of a terminal
_NORMALISED = (
    "Normalised: a score as a share of the distance from that of the most frequent label (of numbers: their mean) to "
    "1, percent."
)
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{each: f"\\{each}" for each in "&%$#_{}"},
}


def _spread(values: Sequence[float] | None, *, digits: int = 2, factor: float = 100) -> str:
    """The mean, and of several its standard deviation, in points; nothing where there are none."""
    if values is None:
        return ""
    own = factor * np.asarray(values)
    return f"{own.mean():.{digits}f}" + (f" ± {own.std(ddof=1):.{digits}f}" if len(own) > 1 else "")


def _interval(found: Difference | None, *, digits: int = 2) -> str:
    if found is None:
        return ""
    return f"{found.mean:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def as_lines(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown, as lines."""
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def markdown(compared: Compared) -> list[str]:
    """All tables, as lines."""
    lines = [f"{line}." for line in sentences(compared)]
    found = [line for each in lines for line in (each, "")]
    found += ["Scores in points, mean and standard deviation over seeds:", "", *as_lines(*summary_table(compared)), ""]
    if compared.others:
        found += [
            f"Differences to {compared.against} in points, paired:",
            "",
            *as_lines(*difference_table(compared)),
            "",
        ]
        found += ["Of each task:", "", *as_lines(*task_table(compared)), ""]
    found += ["Test score of each task:", "", *as_lines(*score_table(compared)), ""]
    return [*found, *(line for note in notes(compared) for line in (note, ""))][:-1]


def summary_table(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """A row for everything that is compared."""
    heading = ["", "validation", "test", "test_dedup", "normalised", "calibration error"]
    heading += ["parameters", "best epoch", "training, minutes"]
    return heading, [_summary_row(name, compared.summary(name)) for name in [compared.against, *compared.others]]


def _summary_row(name: str, own: Summary) -> list[str]:
    scores = [_spread(each) for each in (own.valid, own.test, own.dedup)] + [_spread(own.share, digits=1)]
    size = "" if own.parameters is None else f"{own.parameters:,}"
    minutes = "" if own.minutes is None else f"{own.minutes:.1f}"
    return [name, *scores, _spread(own.calibration, digits=1), size, ", ".join(own.epochs), minutes]


def difference_table(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """Everything against the reference, over all tasks."""
    heading = ["", "test", "test_dedup", "normalised", "better, worse, within chance", "worst task"]
    rows = []
    for name, own in compared.to_reference.items():
        means = [_interval(each) for each in (own.mean, own.mean_dedup, own.mean_share)]
        counts = ", ".join(str(len(own.which(verdict))) for verdict in ("better", "worse", "within chance"))
        worst = f"{own.worst[0]} {_interval(own.worst[1].found)}" if own.tasks else ""
        rows.append([name, *means, counts, worst])
    return heading, rows


def task_table(compared: Compared, *, digits: int = 2) -> tuple[list[str], list[list[str]]]:
    """Every task's difference, with its interval and mark."""
    rows = []
    for task in compared.tasks:
        cells = [compared.to_reference[name].tasks.get(task) for name in compared.others]
        shown = ["" if own is None else f"{_interval(own.found, digits=digits)} {MARKS[own.verdict]}" for own in cells]
        rows.append([task, *(each.strip() for each in shown)])
    return ["task", *compared.others], rows


def score_table(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """Every task's score, sizes and metric."""
    names = [compared.against, *compared.others]
    summaries = [compared.summary(name) for name in names]
    rows = []
    for task, metric in compared.metrics.items():
        train, test = compared.sizes(task)
        scores = [_spread(own.scores.get(task), digits=1) for own in summaries]
        rows.append([task, metric, "" if train is None else f"{train:,}", f"{test:,}", *scores])
    return ["task", "metric", "n_train", "n_test", *names], rows


def notes(compared: Compared) -> Iterator[str]:
    """How the tables are to be read."""
    yield from _notes_on_scores(compared)
    if compared.floor:
        yield _NORMALISED
    yield "Calibration error: ECE in 15 bins, percent, the mean over the tasks whose answers have probabilities."


def _notes_on_scores(compared: Compared) -> Iterator[str]:
    several = len(compared.seeds) > 1
    over = "test examples and seeds" if several else "test examples; of one seed nothing is known of other seeds"
    better, worse = MARKS["better"], MARKS["worse"]
    numbers = {len(own.tasks) for own in compared.to_reference.values()}
    tasks = "the number of tasks" if len(numbers) != 1 else "1 task" if numbers == {1} else f"{numbers.pop()} tasks"
    yield (
        f"Seed{'s' if several else ''} {', '.join(map(str, compared.seeds))}. Intervals are paired, 95 %, over {over} "
        f"(bootstrap, {DRAWS:,} draws). {better} and {worse}: beyond chance, corrected for {tasks} (Holm)."
    )
    if compared.undefined:
        yield (
            "Undefined on the test examples, and so in no difference and no mean: "
            f"{'; '.join(_undefined(compared, name) for name in compared.undefined)}."
        )
    if apart := [name for name in compared.tasks if name not in {*compared.in_mean, *compared.undefined}]:
        yield f"Not in the mean over tasks: {', '.join(apart)}."
    if not compared.one_metric and compared.in_mean:
        yield _why_no_mean(compared)
    if unbounded := [metric for metric in dict.fromkeys(compared.metrics.values()) if not is_share(metric)]:
        yield f"Scores and differences of {', '.join(unbounded)}, which need not be shares, stand times 100 too."
    if compared.saw_more:
        yield (
            f"test_dedup leaves out what a training split of any row has, for all rows: {', '.join(compared.saw_more)} "
            "learned from more texts than others."
        )
    if compared.cut_short:
        yield (
            f"Still better in the last epoch than in any before: {', '.join(compared.cut_short)}. More --epochs may "
            "give better scores."
        )


def _undefined(compared: Compared, task: str) -> str:
    rows = compared.undefined[task]
    trained = any(not compared.rows[name].is_baseline for name in rows)  # else the task is compared without them
    return f"{compared.metrics[task]} of {task}" + ("" if trained else f" for {', '.join(rows)}")


def _why_no_mean(compared: Compared) -> str:
    metrics = ", ".join(dict.fromkeys(compared.metrics[name] for name in compared.in_mean))
    if compared.summary(compared.against).share is not None:
        then = "; normalised scores are"
    elif MAJORITY in compared.rows:
        then = ", nor normalised, since the share of the way to a perfect score is not known of all of them"
    else:
        then = "; without baselines there are no normalised ones either"
    return f"The tasks are measured by different metrics ({metrics}), so their scores are not averaged{then}."


def frame(compared: Compared) -> pandas.DataFrame:
    """A line for each row and task, and for each row's mean over tasks (task ``mean``)."""
    lines = [line for name in [compared.against, *compared.others] for line in _lines(compared, name)]
    return pandas.DataFrame(lines)


def _lines(compared: Compared, name: str) -> Iterator[dict[str, Any]]:
    own, found = compared.summary(name), compared.to_reference.get(name)
    for task, scores in own.scores.items():
        train, test = compared.sizes(task)
        line = {"row": name, "task": task, "metric": compared.metrics[task], "n_train": train, "n_test": test}
        each = None if found is None else found.tasks.get(task)
        yield {
            **line,
            **_numbers(scores, None if each is None else each.found),
            "p_holm": None if each is None else each.corrected,
            "verdict": None if each is None else each.verdict,
            "normalised_difference": None if each is None else each.share,
        }
    if own.test is not None or own.share is not None:
        share = None if found is None or found.mean_share is None else found.mean_share.mean
        line = {"row": name, "task": "mean", "metric": "first metrics", "n_train": None, "n_test": None}
        ends = {"p_holm": None, "verdict": None, "normalised_difference": share}
        yield {**line, **_numbers(own.test, None if found is None else found.mean), **ends}


def _numbers(scores: Sequence[float] | None, found: Difference | None) -> dict[str, float | None]:
    """The score in points, and its difference to the reference."""
    values = None if scores is None else 100 * np.asarray(scores)
    return {
        "score": None if values is None else float(values.mean()),
        "deviation": None if values is None or len(values) < 2 else float(values.std(ddof=1)),
        "difference": None if found is None else found.mean,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "p": None if found is None else found.p,
    }


def as_json(compared: Compared) -> dict[str, Any]:
    """All that is known, as plain values."""
    rows = {name: {"arch": row.arch, **asdict(compared.summary(name))} for name, row in compared.rows.items()}
    differences = {}
    for name, own in compared.to_reference.items():
        differences[name] = asdict(own)
        for task, each in own.tasks.items():
            differences[name]["tasks"][task]["verdict"] = each.verdict
    return {
        "format": 1,
        "verdict": [*sentences(compared)],
        "against": compared.against,
        "seeds": compared.seeds,
        "metrics": compared.metrics,
        "majority": {name: own.tolist() for name, own in compared.floor.items()},
        "rows": rows,
        "differences": differences,
    }


def latex(compared: Compared) -> list[str]:
    """A table with booktabs: the reference's scores, and every other row's differences with their marks."""
    names = [compared.against, *compared.others]
    reference = compared.summary(compared.against)
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["task", *map(_escaped, names)]) + r" \\",
        r"\midrule",
    ]
    for task in compared.tasks:
        cells = [_spread(reference.scores.get(task), digits=1).replace(" ± ", r" $\pm$ ")]
        for name in compared.others:
            own = compared.to_reference[name].tasks.get(task)
            cells.append("" if own is None else f"${own.found.mean:+.1f}${_LATEX_MARKS[own.verdict]}")
        lines.append(" & ".join([_escaped(task), *cells]) + r" \\")
    mean = _spread(reference.test, digits=1).replace(" ± ", r" $\pm$ ")
    means = [compared.to_reference[name].mean for name in compared.others]
    shown = ["" if own is None else f"${own.mean:+.1f}$" for own in means]
    lines += [r"\midrule", " & ".join(["mean", mean, *shown]) + r" \\", r"\bottomrule", r"\end{tabular}"]
    return lines


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(each, each) for each in text)


def terminal(compared: Compared) -> list[str]:
    """The sentences, then of every task the reference's score and the others' differences, in 80 columns.

    Rows that do not stand beside each other in 80 columns follow below.
    """
    lines = [line for each in sentences(compared) for line in _wrapped(f"{each}.")]
    first = len(_wrapped(f"{next(sentences(compared))}."))
    lines = [*lines[:first], "", *lines[first:], ""]
    reference = compared.summary(compared.against)
    scores = {task: _spread(reference.scores.get(task), digits=1) for task in compared.tasks}
    scores["mean"] = _spread(reference.test, digits=1)
    columns = {compared.against: scores}
    for name, own in compared.to_reference.items():
        shown = {task: f"{each.found.mean:+.1f} {MARKS[each.verdict] or ' '}" for task, each in own.tasks.items()}
        columns[name] = {**shown, "mean": "" if own.mean is None else f"{own.mean.mean:+.1f}  "}
    tasks = [*compared.tasks, *(["mean"] if compared.one_metric else [])]
    told = [*_notes_on_scores(compared)]
    if not compared.one_metric and reference.share is not None:
        told.append(_NORMALISED)
        tasks.append("normalised, %")
        scores[tasks[-1]] = _spread(reference.share, digits=1)
        for name, own in compared.to_reference.items():
            columns[name][tasks[-1]] = "" if own.mean_share is None else f"{own.mean_share.mean:+.1f}  "
    lines += _blocks(tasks, columns)
    return [*lines, *(line for note in told for line in _wrapped(note))]


def _wrapped(text: str) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _WIDE:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def _blocks(tasks: Sequence[str], columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Tables with as many of the columns as fit, the first one in each."""
    width = {name: max(map(len, [name, *own.values()])) for name, own in columns.items()}
    first, *others = columns
    name_width = max(map(len, [*tasks, "task"]))
    apart = name_width + 2 + width[first] > _WIDE - 20  # the names have lines of their own
    lines: list[str] = []
    while others or not lines:
        room = _WIDE - (2 if apart else name_width) - 2 - width[first]
        taken = [*others[:1]]
        while len(taken) < len(others) and sum(width[each] + 2 for each in others[: len(taken) + 1]) <= room:
            taken.append(others[len(taken)])
        others = others[len(taken) :]
        lines += _block(tasks, {name: columns[name] for name in (first, *taken)}, width, 0 if apart else name_width)
        lines.append("")
    return lines


def _block(
    tasks: Sequence[str], columns: Mapping[str, Mapping[str, str]], width: Mapping[str, int], name_width: int
) -> list[str]:
    def line(task: str, cells: Sequence[str]) -> Iterator[str]:
        shown = "  ".join(cell.rjust(width[name]) for name, cell in zip(columns, cells, strict=True))
        if name_width:
            yield f"{task.ljust(name_width)}  {shown}".rstrip()
        else:
            yield from (*([task] if task else []), f"  {shown}".rstrip())

    rows = [(task, [own.get(task, "") for own in columns.values()]) for task in tasks]
    whole = [("task" if name_width else "", [*columns]), *rows]
    return [each for task, cells in whole for each in line(task, cells)]
