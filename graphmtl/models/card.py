"""The model card: what a saved model answers, how well, and what it was trained on; for people, and for the Hub."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from graphmtl.data.task import Task
from graphmtl.errors import InputError, shown
from graphmtl.metrics.named import METRICS, is_share

__all__ = ["check_scores", "model_card"]

_LONGEST = 300  # characters of what a task answers; classes may be thousands
_NOT_SAID = (
    "Where the data comes from was not said; the keys `source`, `licence` and `language` of a task file say it here."
)


def check_scores(scores: Any, tasks: Iterable[str]) -> None:
    """Whether these are a model's scores: ``{task: {"examples", "test": {METRIC: value}, "interval"}}``.

    Raises:
        InputError: they are not, or are those of other tasks.
    """
    own = [*scores.values()] if isinstance(scores, Mapping) and scores.keys() <= {*tasks} else [None]
    if not all(map(_are_scores, own)):
        raise InputError(f"scores: found {shown(scores)}, expected examples, test and interval of each task")


def _are_scores(own: Any) -> bool:
    if not isinstance(own, Mapping) or own.keys() != {"examples", "test", "interval"}:
        return False
    test, interval = own["test"], own["interval"]
    if not isinstance(test, Mapping) or not isinstance(interval, list | None):
        return False
    numbers = [own["examples"], *(value for value in test.values() if value is not None), *(interval or [])]
    return len(interval or "12") == 2 and all(isinstance(each, int | float) for each in numbers)


def model_card(model: Any) -> ModelCard:
    """The card of a :class:`~graphmtl.models.model.MultiTaskModel`, with its scores where it was tested."""
    tasks = [*model.tasks.values()]
    parts = [
        f"# {_title(model)}",
        f"One model for {len(tasks)} tasks, trained with graphmtl: architecture `{model.options.arch}`, encoder "
        f"`{model.options.encoder}`.",
        "\n".join(f"- {task.name} ({task.kind}): {_short(task.of_kind.in_words)}" for task in tasks),
        "## Scores",
        _scores(model.scores),
        "## Data",
        _data(tasks),
        "## Intended use",
        "To answer these tasks for texts like those that it was trained on. The scores hold for texts like those of "
        "the test splits, and what is wrong or one-sided in the labels is learned with them: score it on texts of your "
        "own (`graphmtl evaluate RUN --tasks FILE`) before its answers decide anything.",
        "## How to load it",
        "```python\nfrom graphmtl import MultiTaskModel\n\n"
        'model = MultiTaskModel.from_pretrained("FOLDER")  # or its name on the Hugging Face Hub\n'
        f"model.predict([{_example(tasks[0])}], task={tasks[0].name!r})\n```",
    ]
    return ModelCard("\n\n".join([f"---\n{_front_matter(model).to_yaml()}\n---", *parts]) + "\n")


def _title(model: Any) -> str:
    return f"A graphmtl model: {model.options.arch}, {len(model.tasks)} tasks"


def _front_matter(model: Any) -> ModelCardData:
    """What the Hub reads; the licence of a model is its owner's to add, and not that of its data."""
    languages = dict.fromkeys(language for task in model.tasks.values() for language in task.language)
    results = [
        EvalResult(
            task_type=model.tasks[name].of_kind.hub_task,
            dataset_type=name,
            dataset_name=name,
            dataset_split="test",
            metric_type=metric,
            metric_value=value,
        )
        for name, own in model.scores.items()
        for metric, value in own["test"].items()
        if value is not None
    ]
    return ModelCardData(
        language=[*languages] or None,
        library_name="graphmtl",
        tags=["multi-task-learning", model.options.arch],
        metrics=[*dict.fromkeys(result.metric_type for result in results)] or None,
        model_name=_title(model) if results else None,
        eval_results=results or None,
    )


def _scores(scores: Mapping[str, Any]) -> str:
    if not scores:
        return "It was not tested as it is."
    rows = []
    for name, own in scores.items():
        for i, (metric, value) in enumerate(own["test"].items()):
            form = ".3f" if is_share(metric) else ".4g"
            ends = own["interval"] if i == 0 else None
            interval = "" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"
            rows.append((name, own["examples"], metric, "" if value is None else f"{value:{form}}", interval))
    lower = [metric for metric in dict.fromkeys(row[2] for row in rows) if _lower_is_better(metric)]
    about = (
        "Of the test splits, as published. The 95 % intervals are those for other test texts (bootstrap), with this "
        "one model; other seeds may differ by more. There are none of metrics of one's own, nor of one that most draws "
        "of the texts leave undefined."
    )
    remark = f" Of {', '.join(lower)} less is better." if lower else ""
    return f"{_table(('task', 'test examples', 'metric', 'score', '95 % interval'), rows)}\n\n{about}{remark}"


def _lower_is_better(metric: str) -> bool:
    return metric in METRICS and not METRICS[metric].higher_is_better


def _data(tasks: Iterable[Task]) -> str:
    rows = [(task.name, task.source or "", task.licence or "", ", ".join(task.language)) for task in tasks]
    if not any("".join(row[1:]) for row in rows):
        return _NOT_SAID
    return _table(("task", "source", "licence", "language"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len([*head]), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _short(text: str) -> str:
    return textwrap.shorten(text, _LONGEST, placeholder=" ...")


def _example(task: Task) -> str:
    """What `predict` takes for a text of the task."""
    if task.choices:
        return '("a context", ["one choice", "another"])'
    return '("some text", "another")' if task.is_pair else '"some text"'
