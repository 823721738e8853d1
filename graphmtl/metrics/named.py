"""The metrics by the names that task files and ``metrics.json`` use.

Beside those of `METRICS` there are ``f1:LABEL``, ``precision:LABEL`` and ``recall:LABEL`` of one label (of tags of
spans: of one type), and ``module:function``, a user's own. A name that begins with one of the three is never a module.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from graphmtl.errors import InputError, unknown_name
from graphmtl.metrics import classes, numbers, probabilities, span_scores, texts
from graphmtl.metrics.answered import Answered, Metric
from graphmtl.metrics.own import own_metric
from graphmtl.registry import is_outside

__all__ = ["METRICS", "check_metric", "compute", "find_metric", "is_own", "is_share", "metrics_of"]

_CLASSES = ("classes", "label-sets", "tags")

_of_classes = partial(Metric, forms=_CLASSES, of_spans=False)
_of_one_class = partial(Metric, forms=("classes", "tags"), of_spans=False)
_of_numbers = partial(Metric, forms=("numbers",))
_of_spans = partial(Metric, forms=("tags",), of_spans=True)
_of_texts = partial(Metric, forms=("texts",))

METRICS: dict[str, Metric] = {
    "accuracy": Metric(function=classes.accuracy, forms=(*_CLASSES, "choices")),
    "balanced_accuracy": _of_one_class(function=classes.balanced_accuracy),
    "precision": _of_classes(function=classes.averaged("precision")),
    "recall": _of_classes(function=classes.averaged("recall")),
    "f1": _of_classes(function=classes.averaged("f1")),
    "micro_f1": _of_classes(function=classes.averaged("f1", "micro")),
    "macro_f1": _of_classes(function=classes.averaged("f1", "macro")),
    "weighted_f1": _of_classes(function=classes.averaged("f1", "weighted")),
    "matthews": _of_one_class(function=classes.matthews),
    "auc": Metric(function=probabilities.auc, forms=("classes", "label-sets")),
    "ece": Metric(function=probabilities.ece, forms=("classes", "label-sets", "choices"), higher_is_better=False),
    "pearson": _of_numbers(function=numbers.pearson),
    "spearman": _of_numbers(function=numbers.spearman),
    "rmse": _of_numbers(function=numbers.rmse, higher_is_better=False, is_share=False),
    "mae": _of_numbers(function=numbers.mae, higher_is_better=False, is_share=False),
    "span_f1": _of_spans(function=span_scores.of_all_types("f1")),
    "span_precision": _of_spans(function=span_scores.of_all_types("precision")),
    "span_recall": _of_spans(function=span_scores.of_all_types("recall")),
    "exact_match": _of_texts(function=texts.exact_match),
    "token_f1": _of_texts(function=texts.token_f1),
}
"""Those that have a name of their own; what each is, its function's docstring says."""


def metrics_of(form: str, *, spans: bool | None = None) -> list[str]:
    """The metrics that such labels can be measured by, and how others are written.

    Args:
        form: one of `FORMS`.
        spans: the tags are tags of spans; None: they are not known yet.
    """
    fitting = [name for name, metric in METRICS.items() if metric.fits(form, spans=spans)]
    of_one = [f"{score}:LABEL" for score in classes.SCORES if form in _CLASSES]
    return [*fitting, *of_one, "module:function"]


def check_metric(
    name: str, form: str, *, names: Sequence[str] = (), spans: bool | None = None, what: str = "metric"
) -> None:
    """Whether labels can be measured by a metric; a user's own function is not looked for, which `find_metric` does.

    Args:
        name: the metric's.
        form: one of `FORMS`.
        names: the classes or tags; empty where they are not known yet.
        spans: the tags are tags of spans; None: they are not known yet.
        what: what the name is called in a message.

    Raises:
        InputError: there is no such metric, or it measures other labels.
    """
    score, label = _score_and_label(name)
    if score is not None and form in _CLASSES:
        labels = span_scores.types_of(names) if spans else names
        if labels and label not in labels:
            raise unknown_name(what, name, [f"{score}:{each}" for each in labels])
        return
    if is_own(name):
        return
    if name in METRICS and METRICS[name].fits(form, spans=None) and not METRICS[name].fits(form, spans=spans):
        tags = "tags of spans" if spans else "no spans (O, B-TYPE, I-TYPE)"
        raise InputError(f"{what} {name!r}: its tags are {tags}; known: {', '.join(metrics_of(form, spans=spans))}")
    if name not in METRICS or not METRICS[name].fits(form, spans=spans):
        raise unknown_name(what, name, metrics_of(form, spans=spans))


def is_own(name: str) -> bool:
    """Whether a metric is a user's own function, of whose values nothing is known.

    >>> is_own("my_metrics:cost"), is_own("f1:good"), is_own("accuracy")
    (True, False, False)
    """
    score, _ = _score_and_label(name)
    return score is None and is_outside(name)


def is_share(name: str) -> bool:
    """Whether scores by a metric may be shown in percent.

    >>> is_share("accuracy"), is_share("rmse"), is_share("my_metrics:cost")
    (True, False, False)
    """
    return not is_own(name) and (name not in METRICS or METRICS[name].is_share)


def find_metric(name: str, *, what: str = "metric") -> Metric:
    """The metric of a name that `check_metric` has let pass.

    Args:
        name: the metric's.
        what: what the name is called in a message.

    Raises:
        InputError: it is ``module:function``, and there is no such module or function.
    """
    score, label = _score_and_label(name)
    if score is not None:
        return Metric(function=_of_one_label(score, label), forms=_CLASSES)
    return METRICS[name] if name in METRICS else own_metric(name, what)


def compute(metrics: Sequence[str], answered: Answered) -> dict[str, float]:
    """Every metric of a task, in the order of ``metrics``, to 7 decimals, or 7 digits where it is below 1.

    Returns:
        ``{METRIC: value}``; every value is ``nan`` where there is no example at all.

    Raises:
        InputError: a user's own function is not there, fails, or gives no finite number.
    """
    if answered.is_empty:
        return dict.fromkeys(metrics, math.nan)
    return {name: _rounded(find_metric(name).function(answered)) for name in metrics}


def _rounded(value: float) -> float:
    return round(value, 7) if abs(value) >= 1 else float(f"{value:.7g}")


def _score_and_label(name: str) -> tuple[str | None, str]:
    """The two parts of ``f1:LABEL``; None and nothing of another name."""
    score, _, label = name.partition(":")
    return (score, label) if score in classes.SCORES and label else (None, "")


def _of_one_label(score: str, label: str) -> Callable[[Answered], float]:
    def value(answered: Answered) -> float:
        of = span_scores.of_type if answered.spans else classes.of_label
        return of(score, label)(answered)

    return value
