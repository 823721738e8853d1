"""What a search has tried and chosen, as tables."""

from collections.abc import Sequence
from typing import Any

from graphmtl.comparison.search import Searched
from graphmtl.comparison.tables import as_lines

__all__ = ["SEARCH", "search_markdown", "search_table", "trials_table"]

SEARCH = (
    "The options of each row are those of the best of its trials, of which the first has them as given. Validation "
    "scores with the first seed, in points; no test score was looked at. The best of many trials is also the luckiest: "
    "its validation score is too high, the more so the fewer validation examples there are."
)


def search_table(searched: Sequence[Searched]) -> tuple[list[str], list[list[str]]]:
    """What was chosen for each variant."""
    options = list(dict.fromkeys(name for each in searched for name in each.space))
    heading = ["", "trials", "failed", "chosen", "validation as given", "validation", *options]
    return heading, [_chosen_row(each, options) for each in searched]


def _chosen_row(each: Searched, options: Sequence[str]) -> list[str]:
    failed = sum(trial.score is None for trial in each.trials)
    scores = [_points(each.trials[0].score), _points(each.best.score)]
    chosen = [str(each.best.options.get(name, "")) for name in options]
    return [each.variant.name, str(len(each.trials)), str(failed), str(each.best.number), *scores, *chosen]


def trials_table(each: Searched) -> tuple[list[str], list[list[str]]]:
    """Everything that was tried for a variant."""
    tasks = list(dict.fromkeys(name for trial in each.trials for name in trial.tasks))
    rows = [
        [
            str(trial.number),
            *(str(value) for value in trial.options.values()),
            _points(trial.score),
            *(_points(trial.tasks.get(name)) for name in tasks),
            f"{trial.seconds:.0f}",
            trial.state,
        ]
        for trial in each.trials
    ]
    return ["trial", *each.space, "validation", *tasks, "seconds", "state"], rows


def search_markdown(searched: Sequence[Searched]) -> list[str]:
    """What was chosen, as lines; nothing where there was no search."""
    return ["", SEARCH, "", *as_lines(*search_table(searched))] if searched else []


def _points(score: Any) -> str:
    return "" if score is None else f"{100 * score:.2f}"
