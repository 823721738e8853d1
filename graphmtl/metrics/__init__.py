"""How good answers are: metrics by name, scores of each class, confusion; nothing here knows the kinds of tasks."""

from graphmtl.metrics.former import compute, compute_correlations, compute_spans, scores_by_type

__all__ = ["compute", "compute_correlations", "compute_spans", "scores_by_type"]
