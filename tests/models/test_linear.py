"""Linear models: their optimum is that of the formula, whoever computes it."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from graphmtl.errors import DataWarning
from graphmtl.models.linear import logistic, ridge, softmax_passes

C = 3.0


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return sparse.csr_matrix(rng.standard_normal((40, 5)) * (rng.random((40, 5)) < 0.6)), rng


def test_logits_are_at_the_optimum_of_the_penalised_loss(rows):
    features, rng = rows
    labels = rng.random((40, 2)) < 0.5
    found = logistic(features, labels, C=C, seed=0)
    x = np.hstack([features.toarray(), np.ones((40, 1))])
    for column in range(2):
        y = np.where(labels[:, column], 1, -1)
        best = minimize(lambda w, y=y: w @ w / 2 + C * np.logaddexp(0, -y * (x @ w)).sum(), np.zeros(6)).x
        np.testing.assert_allclose(found(features)[:, column], x @ best, atol=2e-3)


def test_a_column_without_two_values_has_a_constant_logit(rows):
    features, _ = rows
    labels = np.tile([True, False], (40, 1))
    scores = logistic(features, labels, C=C, seed=0)(features)
    np.testing.assert_allclose(scores, np.tile([np.log(41), -np.log(41)], (40, 1)))


def test_ridge_is_at_the_optimum_of_the_penalised_squares(rows):
    features, rng = rows
    values = rng.standard_normal(40) + 5
    found = ridge(features, values, C=C)
    x, y = features.toarray(), values
    x, y = x - x.mean(0), y - y.mean()
    best = np.linalg.solve(x.T @ x + np.eye(5) / C, x.T @ y)
    np.testing.assert_allclose(found.weights[:, 0], best, rtol=1e-3, atol=1e-4)
    assert found(features).mean() == pytest.approx(values.mean())


def test_what_has_not_converged_is_said(rows, monkeypatch):
    monkeypatch.setattr("graphmtl.models.linear._MOST", 1)
    features, rng = rows
    with pytest.warns(DataWarning, match="C = 1e\\+06: stopped after 1 passes before its optimum"):
        logistic(features, rng.random((40, 1)) < 0.5, C=1e6, seed=0)


def test_passes_lead_to_the_most_likely_classes():
    rng = np.random.default_rng(0)
    features = sparse.csr_matrix((rng.random((2000, 12)) < 0.3).astype(float))
    p = softmax(features @ rng.standard_normal((12, 3)), axis=1)
    labels = (rng.random((2000, 1)) > p.cumsum(1)).sum(1)
    *_, last = softmax_passes(features, labels, classes=3, passes=40, seed=0)
    best = LogisticRegression(C=1e3, max_iter=500).fit(features, labels).predict_proba(features)
    loss, least = (-np.log(own[np.arange(2000), labels]).mean() for own in (softmax(last(features), axis=1), best))
    assert least <= loss < least + 2e-3


def test_passes_are_those_of_the_seed(rows):
    features, rng = rows
    labels = rng.integers(3, size=40)
    runs = [[*softmax_passes(features, labels, classes=3, passes=2, seed=seed)] for seed in (0, 0, 1)]
    first, again, other = (own[-1].weights for own in runs)
    assert np.array_equal(first, again)
    assert first.shape == other.shape
    assert not np.array_equal(runs[0][0].weights, first)
