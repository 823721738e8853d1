r"""Does a picture of the edges j -> k say which task helps which? Numbers alone; the trainings are made elsewhere.

The gain :math:`G_{k,j}` is how much lower the loss of k's test texts is where j takes part in the training; it is
measured with several seeds, and so is noisy. Tasks are of different difficulty, so all is done within the rows, the
targets:

- **noise ceiling**: with the seeds in two halves, and the test texts of each task too, how far do the gains of one half
  rank the sources as those of the other do (Spearman's correlation, the mean over rows and ways to halve)? With r the
  correlation of normal values that such ranks are expected of (Moran: Rank correlation and product-moment correlation,
  1948), the gains of all S seeds have the reliability :math:`n r / (1 + (n - 1) r)`, :math:`n = S / \lfloor S/2
  \rfloor` (Spearman, Brown, 1910). No picture, were it the true gain itself, can be expected to correlate with them by
  more than the root of that, which is given as that of ranks again.
- **within**: Spearman's correlation of picture and gain within the rows, the mean over rows and the pictures of all
  seeds.
- **sign**: how often a source that helps weighs more than one that harms (AUROC), the mean over rows that have both.
- **regret**: what is lost by training k with the one source that the picture shows as the strongest, rather than with
  the best one; a source drawn at random is the yardstick. The best one is known from these very gains, so that the
  regret of whoever chooses is too high by noise; :func:`chosen_by_other_seeds` says what the gains themselves are worth
  as a guide.

A p value is that of permuting the gains within the rows, alike for the pictures of all seeds. Rows are taken to be
independent: what a source does to all targets alike, as a large task may, makes it too small.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphmtl.graph.comparison import ALIKE, auroc

__all__ = ["Ceiling", "Choice", "Prediction", "chosen_by_other_seeds", "noise_ceiling", "predict", "top_sources"]

_DRAWS, _AT_ONCE = 2000, 200
_HALVES = 100
_SMALL = 0.05  # a p value that cannot be smaller says nothing


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """How far gains can be predicted at all.

    Attributes:
        split_half: how alike the gains of two halves rank the sources, the mean over rows and ways to halve.
        reliability: that of the gains of all seeds; 0 where the halves are no more alike than by chance.
        correlation: the most that a picture can be expected to reach within the rows.
        by_target: ``split_half`` of each row: for which targets it is settled who helps.
        p_value: how often gains permuted within the rows of each seed agree as far between seeds; None where so few
            tasks cannot give a small one.
    """

    split_half: float
    reliability: float
    correlation: float
    by_target: tuple[float, ...]
    p_value: float | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What training with one chosen source gains, the mean over targets.

    Attributes:
        chosen: with the source that was chosen.
        random: with one drawn at random.
        best: with the best one.
    """

    chosen: float
    random: float
    best: float

    @property
    def regret(self) -> float:
        """What the choice loses against the best one."""
        return self.best - self.chosen

    @property
    def share(self) -> float | None:
        """The way from a random source to the best one that the choice goes, 1 at most; None where there is none."""
        way = self.best - self.random
        return (self.chosen - self.random) / way if way > 0 else None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How far a picture says what helps.

    Attributes:
        within: its correlation with the gains within the rows; None where no row of it has two different weights.
        p_value: how often permuted gains give as much or more; None where so few tasks cannot give a small one.
        sign: the AUROC of the gain's sign; None where no row has both.
        choice: of the source that it shows as the strongest, of equal ones their mean; None where it shows none.
        rows: how many rows ``within`` is the mean of.
    """

    within: float | None
    p_value: float | None
    sign: float | None
    choice: Choice | None
    rows: int


def noise_ceiling(gains: Sequence[np.ndarray], *, seed: int = 0) -> Ceiling:
    """How far the gains of several seeds agree.

    Args:
        gains: of each target the gains of its test texts, (seeds, sources, texts), nan where target and source are one.
        seed: of the halves and the permutations.

    Raises:
        ValueError: there is one seed.
    """
    seeds = len(gains[0])
    half = seeds // 2
    if half < 1:
        raise ValueError(f"gains: found {seeds} seed, expected 2 or more")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_HALVES):
        order = rng.permutation(seeds)
        rows = [_halved(own, order[:half], order[half : 2 * half], rng) for own in gains]  # (2, sources) each
        ranks = _ranks(np.stack(rows, 1))  # (2, targets, sources)
        found.append((ranks[0] * ranks[1]).sum(-1))  # (targets,)
    by_target = np.mean(found, axis=0)
    split_half = float(by_target.mean())
    times, sources = seeds / half, len(gains) - 1
    r = _of_values(max(split_half, 0.0), sources)
    reliability = times * r / (1 + (times - 1) * r)
    means = np.stack([own.mean(-1) for own in gains], 1)  # (seeds, targets, sources)
    return Ceiling(
        split_half=split_half,
        reliability=reliability,
        correlation=_of_ranks(math.sqrt(reliability), sources),
        by_target=tuple(by_target.tolist()),
        p_value=_agreement_by_chance(means, rng),
    )


def _halved(own: np.ndarray, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean gains of a target, (2, sources), over some seeds and half of the texts, and over others and the rest."""
    texts = rng.permutation(own.shape[-1])
    middle = len(texts) // 2
    return np.stack([own[first][..., texts[:middle]].mean((0, 2)), own[second][..., texts[middle:]].mean((0, 2))])


def _of_ranks(r: float, count: int) -> float:
    """The expected Spearman correlation of ``count`` pairs of normal values that correlate by r.

    >>> round(_of_ranks(0.5, 3), 3), round(_of_ranks(0.5, 1000), 3)
    (0.371, 0.482)
    """
    return ((count - 2) * 6 * math.asin(r / 2) + 6 * math.asin(r)) / (math.pi * (count + 1))


def _of_values(spearman: float, count: int) -> float:
    """The inverse of :func:`_of_ranks`."""
    from scipy.optimize import brentq  # takes a second, which verbs without it need not spend

    return float(brentq(lambda r: _of_ranks(r, count) - spearman, 0, 1))


def _agreement_by_chance(means: np.ndarray, rng: np.random.Generator) -> float | None:
    """How often gains (seeds, targets, sources), permuted within each row, are as alike between seeds."""
    known = ~np.isnan(means)
    ranks = _ranks(means)
    if _smallest(known[1:]) > _SMALL:
        return None

    def alike(own: np.ndarray) -> np.ndarray:
        return (own.sum(-3) ** 2).sum((-2, -1))  # the sum over pairs of seeds of their correlations, but for a constant

    return _chance(alike(ranks), [alike(own) for own in _permuted(ranks, known, rng)])


def _chance(observed: float | np.ndarray, draws: Sequence[np.ndarray]) -> float:
    """How often what was drawn is as much as what was observed, or more."""
    as_much = np.concatenate(draws) >= observed - 1e-12
    return float((1 + as_much.sum()) / (1 + len(as_much)))


def predict(pictures: np.ndarray, gains: np.ndarray, *, seed: int = 0) -> Prediction:
    """How far pictures say what helps.

    Args:
        pictures: (seeds, targets, sources), nan where there is no edge; of one picture (1, targets, sources).
        gains: (targets, sources), the means over all seeds, nan where target and source are one.
        seed: of the permutations.
    """
    pictures = np.where(np.isnan(gains), np.nan, pictures)
    known = ~(np.isnan(gains) | np.isnan(pictures).any(0))  # (targets, sources)
    ours = _ranks(np.where(known, pictures, np.nan))  # (seeds, targets, sources)
    theirs = _ranks(np.where(known, gains, np.nan))  # (targets, sources)
    usable = ours.any(2) & theirs.any(1)  # (seeds, targets)
    within, p_value = None, None
    if usable.any():
        weights = np.where(usable[..., None], ours, 0).sum(0) / usable.sum()  # (targets, sources)
        within = float((weights * theirs).sum())
        known &= usable.any(0)[:, None]
        if _smallest(known) <= _SMALL:
            mixed = _permuted(theirs, known, np.random.default_rng(seed))
            p_value = _chance(within, [(weights * own).sum((1, 2)) for own in mixed])
    return Prediction(
        within=within,
        p_value=p_value,
        sign=_sign(pictures, gains),
        choice=_choice(pictures, gains),
        rows=int(usable.any(0).sum()),
    )


def chosen_by_other_seeds(gains: np.ndarray) -> Choice:
    """The choice by the gains of all other seeds, judged by those of the one that is left out.

    Args:
        gains: (seeds, targets, sources), nan where target and source are one.
    """
    chosen = []
    for place in range(len(gains)):
        others = np.delete(gains, place, axis=0).mean(0)  # (targets, sources)
        picks = np.nanargmax(others, axis=1)  # (targets,)
        chosen.append(float(np.mean(gains[place][np.arange(len(picks)), picks])))
    means = gains.mean(0)
    return Choice(
        chosen=float(np.mean(chosen)),
        random=float(np.nanmean(means, axis=1).mean()),
        best=float(np.nanmax(means, axis=1).mean()),
    )


def top_sources(picture: np.ndarray, count: int) -> list[list[int]]:
    """The strongest sources of each target, ``count`` at most; of equal ones the first.

    Args:
        picture: (targets, sources), nan where there is no edge.
        count: how many.
    """
    orders = np.argsort(np.where(np.isnan(picture), np.inf, -picture), axis=1, kind="stable")
    return [
        sorted(int(source) for source in order[:count] if not np.isnan(row[source]))
        for order, row in zip(orders, picture, strict=True)
    ]


def _sign(pictures: np.ndarray, gains: np.ndarray) -> float | None:
    signs = np.where(np.isnan(gains), np.nan, gains > 0)
    ranks = np.where(np.isnan(pictures), np.nan, _ranks(pictures))  # whose differences are no matter of rounding
    areas = np.array([auroc(own, signs) for own in ranks])  # (seeds, targets)
    return None if np.isnan(areas).all() else float(np.nanmean(areas))


def _choice(pictures: np.ndarray, gains: np.ndarray) -> Choice | None:
    ranks = np.where(np.isnan(pictures), np.nan, _ranks(pictures))
    chosen, targets = [], []
    for own in ranks:
        for k in np.flatnonzero(~np.isnan(own).all(1)):
            chosen.append(float(gains[k, own[k] == np.nanmax(own[k])].mean()))
            targets.append(k)
    if not chosen:
        return None
    random, best = np.nanmean(gains[targets], axis=1).mean(), np.nanmax(gains[targets], axis=1).mean()
    return Choice(chosen=float(np.mean(chosen)), random=float(random), best=float(best))


def _ranks(weights: np.ndarray) -> np.ndarray:
    """Centred ranks of length 1 along the last axis, 0 where there is none, or where all differ by rounding alone."""
    from scipy.stats import rankdata  # takes a second, which verbs without it need not spend

    known = ~np.isnan(weights)
    low = np.where(known, weights, np.inf).min(-1, keepdims=True)
    high = np.where(known, weights, -np.inf).max(-1, keepdims=True)
    known &= high - low > ALIKE * np.maximum(abs(low), abs(high))
    ranks = np.where(known, rankdata(np.where(known, weights, np.inf), axis=-1), 0)  # the missing ones come last
    centred = np.where(known, ranks - ranks.sum(-1, keepdims=True) / np.maximum(known.sum(-1, keepdims=True), 1), 0)
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    return centred / np.where(lengths > 0, lengths, 1)


def _permuted(ranks: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The ranks with the known places of each row in another order, again and again: (draws, ...) at a time."""
    places = np.argsort(~known, axis=-1, kind="stable")[None]
    for _ in range(_DRAWS // _AT_ONCE):
        keys = np.where(known, rng.random((_AT_ONCE, *known.shape)), 2)
        drawn = np.argsort(keys, axis=-1)  # the known places, mixed, and then the others
        mixed = np.zeros(drawn.shape)
        found = np.take_along_axis(ranks[None], drawn, -1)
        np.put_along_axis(mixed, np.broadcast_to(places, drawn.shape), found, -1)
        yield mixed


def _smallest(known: np.ndarray) -> float:
    """The smallest p value that permuting the known places of each row can give."""
    return math.exp(-sum(math.lgamma(count + 1) for count in known.sum(-1).ravel()))
