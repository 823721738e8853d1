"""Scores of predicted numbers; nan where some are infinite or none, as of a failed training."""

import math

import numpy as np

from graphmtl.metrics.answered import Answered

__all__ = ["mae", "pair", "pearson", "rmse", "spearman"]


def rmse(answered: Answered) -> float:
    """The root of the mean squared error, in the labels' unit; 0 is the best."""
    from sklearn.metrics import root_mean_squared_error

    right, given = pair(answered)
    return float(root_mean_squared_error(right, given)) if np.isfinite(given).all() else math.nan


def mae(answered: Answered) -> float:
    """The mean absolute error, in the labels' unit; 0 is the best."""
    from sklearn.metrics import mean_absolute_error

    right, given = pair(answered)
    return float(mean_absolute_error(right, given)) if np.isfinite(given).all() else math.nan


def pearson(answered: Answered) -> float:
    """The linear correlation, from -1 to 1; 0 where all answers or all labels are the same."""
    return _correlation(*pair(answered))


def spearman(answered: Answered) -> float:
    """The correlation of ranks, from -1 to 1; equal numbers have the mean of their ranks. 0 as of `pearson`."""
    from scipy.stats import rankdata

    right, given = pair(answered)
    return _correlation(rankdata(right), rankdata(given) if np.isfinite(given).all() else given)


def pair(answered: Answered) -> tuple[np.ndarray, np.ndarray]:
    """Labels and answers, (examples,) double."""
    return np.asarray(answered.labels, dtype=np.float64), np.asarray(answered.answers, dtype=np.float64)


def _correlation(right: np.ndarray, given: np.ndarray) -> float:
    from scipy.stats import pearsonr

    if not np.isfinite(given).all():
        return math.nan
    if np.ptp(right) == 0 or np.ptp(given) == 0:
        return 0.0
    return float(pearsonr(_standardised(right), _standardised(given)).statistic)


def _standardised(values: np.ndarray) -> np.ndarray:
    """With mean 0 and standard deviation 1, which changes no correlation: scipy warns of small differences."""
    return (values - values.mean()) / values.std()
