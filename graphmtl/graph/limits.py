r"""How far edges reach by chance, as those of a control tell it.

Of n edges none of another control is above the limit with 95 % (Bonferroni), if what chance makes is normal; nor is any
of the control itself, which is more than that where it is not.

**A measure** that may be negative (affinity, ablation) has one limit, :math:`m + t_{n-1, 1 - 0.05 / n} \, s
\sqrt{1 + 1 / n}`, with the mean m and the standard deviation s of the control's edges. Of cosines and correlations
these are those of Fisher's z. Of norms, which are the absolute values of what lies around 0, it is
:math:`t_{n, 1 - 0.05 / 2 n}` times their root mean square.

**Shares** (the weights into a target sum to 1: attention, gates) have one in each row, since on shuffled labels the row
of a task with many examples wanders several times as far as that of one with few. With :math:`x_{k,j} = w_{k,j} / \bar
w_k - 1`, the ratio to the equal share less 1, which is 0 in the mean over the row, a row of :math:`d_k + 1` edges has
the variance :math:`s_k^2 = \sum_j x_{k,j}^2 / d_k`. So few edges are little to go by: it is moderated by the variances
of the other rows, to which an inverse chi-square with :math:`d_0` degrees of freedom around :math:`s_0^2` is fitted
(Smyth, Linear models and empirical Bayes methods, Statistical Applications in Genetics and Molecular Biology 3(1),
2004, section 6.2), and

.. math::
    \tilde s_k^2 = \frac{d_0 s_0^2 + d_k s_k^2}{d_0 + d_k}, \quad
    x > \tilde s_k \max(t_{d_0 + d_k, 1 - 0.05 / n}, \; \max_{k, j} x_{k,j} / \tilde s_k)

Where the rows differ no more than chance makes them, :math:`d_0` is infinite and all have the same limit.

**The texts** that an edge is the mean over make chance too, of which the control says little where a model that knows
nothing tells nothing (transferability). Of a row's edges, each with the standard deviation :math:`\sigma` over c texts,
it reaches to :math:`t_{d, 1 - 0.05 / n} \, \sqrt{\mathrm{mean} \; \sigma^2 / (c - 1)}`, where d is the sum of c - 1.
That takes a row's edges for alike: where one of five varies twice as much as the others, chance is above the limit in
a sixth of cases, not in a twentieth. A mean over runs, whose instances are few, has no such limit.
"""

import numpy as np

__all__ = ["limit_of_measure", "limits_of_shares", "limits_of_texts"]

_LEVEL = 0.05  # of all edges together
_SURE = 1 - 1e-9  # the largest cosine that has a Fisher's z
_LEAST = 1e-4  # of the mean variance: that of a row whose edges are all alike
_FEWEST = 20  # instances of an edge, below which they are runs


def limit_of_measure(excess: np.ndarray, *, correlations: bool = False, norms: bool = False) -> float:
    """That of all edges.

    Args:
        excess: of the control, (edges,).
        correlations: whether these are cosines or correlations.
        norms: whether they are lengths of something that chance makes normal, and as often negative as positive.
    """
    from scipy.stats import t  # takes a second, which verbs without it need not spend

    largest, count = float(np.abs(excess).max()), len(excess)
    if norms:
        return max(largest, float(t.ppf(1 - _LEVEL / (2 * count), count) * np.sqrt(np.square(excess).mean())))
    if count == 1:
        return largest
    found = np.arctanh(excess.clip(-_SURE, _SURE)) if correlations else excess
    bound = float(found.mean() + t.ppf(1 - _LEVEL / count, count - 1) * found.std(ddof=1) * np.sqrt(1 + 1 / count))
    return max(largest, float(np.tanh(bound)) if correlations else bound)


def limits_of_texts(std: np.ndarray, count: np.ndarray) -> np.ndarray:
    """How far the mean over texts reaches by chance in each row, (rows,); 0 where a row has no edges of 20 or more.

    Args:
        std: the standard deviation over texts, (rows, edges); nan where there is no edge.
        count: of how many texts, likewise.
    """
    from scipy.stats import t

    d = np.where(count >= _FEWEST, count - 1.0, 0)  # (rows, edges)
    rows = d.any(1)
    limits = np.zeros(len(std))
    errors = np.square(std[rows]) / np.where(d[rows] > 0, d[rows], np.nan)  # squared, of the means: (rows, edges)
    bound = t.ppf(1 - _LEVEL / max(1, (~np.isnan(std)).sum()), d[rows].sum(1))  # (rows with edges,)
    limits[rows] = bound * np.sqrt(np.nanmean(errors, 1))
    return limits


def limits_of_shares(excess: np.ndarray) -> np.ndarray:
    """That of each row, (rows,); 0 where a row has no edges, or but one.

    Args:
        excess: of the control, the ratio to the equal share less 1, (rows, edges); nan where there is no edge.
    """
    from scipy.stats import t

    d = (~np.isnan(excess)).sum(1) - 1.0  # (rows,)
    counted = d > 0
    limits = np.zeros(len(excess))
    if not counted.any():
        return limits
    own, d = excess[counted], d[counted]
    variances = np.nansum(np.square(own), 1) / d  # (counted rows,)
    if not variances.any():
        return limits
    d_0, s_0 = _prior(np.maximum(variances, _LEAST * variances.mean()), d)
    moderated = np.full(len(d), s_0) if np.isinf(d_0) else (d_0 * s_0 + d * variances) / (d_0 + d)
    spread = np.sqrt(moderated)  # (counted rows,)
    bound = t.ppf(1 - _LEVEL / (d + 1).sum(), np.minimum(d_0 + d, d.sum()))  # (counted rows,)
    limits[counted] = spread * np.maximum(bound, np.nanmax(own / spread[:, None]))
    return limits


def _prior(variances: np.ndarray, d: np.ndarray) -> tuple[float, float]:
    """The degrees of freedom and the scale of the inverse chi-square that variances of d degrees of freedom come from.

    0 degrees of freedom, where there is one variance, leave it as it is.
    """
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    if len(variances) == 1:
        return 0.0, float(variances[0])
    e = np.log(variances) - digamma(d / 2) + np.log(d / 2)  # (rows,)
    beyond = float(e.var(ddof=1) - polygamma(1, d / 2).mean())  # chance makes them
    if beyond <= 1e-6:
        return np.inf, float(np.exp(e.mean()))
    half = brentq(lambda x: polygamma(1, x) - beyond, 1e-6, 1e7)
    return 2 * half, float(np.exp(e.mean() + digamma(half) - np.log(half)))
