import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from graphmtl.models.linear import Linear, tfidf_rows
from graphmtl.models.wide import BUCKETS
from graphmtl.training.wide import _Texts
from graphmtl.training.wide_forms import Augmented, Told
from tests.training.wide_models import SPECIAL, TASKS, data_of, fitted, split


def test_what_the_others_say_counts_less_its_mean():
    texts = _Texts(split("a", 60, 0), "a", SPECIAL)
    part = fitted("shared", {"a": data_of(TASKS[0], 0)}, "own").wide_part("a")
    features, labels = tfidf_rows(part, texts.ngrams), texts.columns(part)
    other = Linear(part.weight.numpy() + 2, np.zeros(1))  # knows the labels, and is far from 0 in the mean
    told = Told(features, [other])
    (found,) = told.learner(labels, 0)(4.0)
    said = features @ other.weights
    both = sparse.hstack([features, (said - said.mean(0)) / said.std(0) / 10])
    expected = LogisticRegression(C=4.0, solver="liblinear", dual=True, max_iter=20_000, tol=1e-8)
    expected.fit(both, labels[:, 0])
    np.testing.assert_allclose(found(features)[:, 0], expected.decision_function(both), atol=0.05)


def test_one_task_has_no_copy():
    features = sparse.csr_matrix(np.eye(2))
    assert Augmented([features]).rows.shape == (2, 2)
    both = Augmented([features, sparse.csr_matrix((2, 2))])
    assert both.rows.toarray().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def related(seed, texts=80):
    """What two others say of texts, and labels that follow what the first says."""
    rng = np.random.default_rng(seed)
    features = sparse.random(texts, BUCKETS, density=4e-5, rng=rng, format="csr", dtype=np.float32)
    weights = rng.normal(size=(BUCKETS, 2)).astype(np.float32)
    return features, weights, (features @ weights[:, :1] > 0)


def test_what_is_read_of_the_source_that_decides_is_more_than_of_another_and_of_other_texts():
    features, weights, labels = related(0)
    told = Told(features, [Linear(weights[:, [k]], np.zeros(1)) for k in range(2)])
    read, *by_chance = told.read(labels, 16.0, 0)
    assert np.shape(by_chance) == (5, 2)
    assert read[0] > 2 * max(read[1], np.max(by_chance))


def test_what_is_read_is_what_logistic_regression_reads_beside_permuted_columns():
    features, weights, labels = related(1)
    said = features @ weights
    said = (said - said.mean(0)) / said.std(0) / 10
    told = Told(features, [Linear(weights, np.zeros(2))])
    read, *by_chance = told.read(labels, 4.0, 3)
    rng, own, others = np.random.default_rng(3), [], []
    for _ in range(5):
        expected = LogisticRegression(C=4.0, solver="liblinear", dual=True, max_iter=20_000, tol=1e-8)
        expected.fit(sparse.hstack([features, said, rng.permuted(said, axis=0)]), labels[:, 0])
        worth = np.abs(expected.coef_[0, BUCKETS:]) / 10
        own, others = [*own, worth[:2]], [*others, worth[2:]]
    np.testing.assert_allclose(read, np.sqrt(np.square(own).mean(0)), atol=0.02)
    np.testing.assert_allclose(by_chance, others, atol=0.02)
