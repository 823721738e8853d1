"""What a task's own training texts say: a ridge regression of words, checked against scikit-learn's."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from threadpoolctl import threadpool_info, threadpool_limits

from graphmtl.analysis.alone import Alone, label_numbers
from graphmtl.data.batching import EncodedSplit
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.vocabulary import Vocabulary
from tests.analysis.test_transferability import model_of
from tests.parts import label_arrays

FIRST, GOOD = 3, 4  # ids of words; this one says "yes"


def split(size, seed, task="k", label=lambda text: int(GOOD in text)):
    rng = np.random.default_rng(seed)
    texts = [rng.integers(FIRST, 12, size=rng.integers(2, 7)).tolist() for _ in range(size)]
    labels = [label(text) for text in texts]
    arrays = TextLabels(np.array(labels), known=np.ones(size, bool)) if task == "m" else label_arrays(labels)
    return EncodedSplit(tasks=[task], texts=texts, labels={task: arrays}), texts


MODEL = model_of(k="text-classification", s="regression", t="token-classification", m="multi-label")


def said(train, test, task="k", seed=0):
    return Alone(MODEL, train, task, seed=seed)(test.batch(range(len(test))))


def references(words, others):
    """TF-IDF of texts, their labels, and by the strength of labels what ridge regression says of other texts."""
    tfidf = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, tokenizer=str.split, token_pattern=None, smooth_idf=True
    )
    x = tfidf.fit_transform([" ".join(map(str, own)) for own in words])
    y = np.eye(2)[[int(GOOD in own) for own in words]]
    x_others = tfidf.transform([" ".join(map(str, own)) for own in others])
    ridges = {C: Ridge(alpha=1 / C, solver="sparse_cg", tol=1e-8).fit(x, y) for C in (0.25, 1.0, 4.0, 16.0, 64.0)}
    return x, y, {C: ridge.predict(x_others) for C, ridge in ridges.items()}


def test_it_is_ridge_regression_of_words_and_pairs():
    (train, words), (test, others) = split(100, 0), split(50, 1)
    found = said(train, test).numpy()
    x, y, expected = references(words, others)

    def left_out(C: float) -> float:
        kept, dense = ~np.eye(len(y), dtype=bool), x.toarray()
        ridges = [Ridge(alpha=1 / C).fit(dense[own], y[own]) for own in kept]
        return sum(np.square(ridge.predict(dense[[i]]) - y[i]).sum() for i, ridge in enumerate(ridges))

    best = min(expected, key=left_out)
    assert 0.25 < best < 64
    assert np.abs(found - expected[best]).max() < 0.005  # a hashed place of two n-grams would be further
    right = np.array([GOOD in own for own in others])
    assert found[right, 1].min() > found[~right, 1].max()


def test_of_many_texts_some_choose_the_penalty_and_all_are_learned(monkeypatch):
    (train, words), (test, others) = split(100, 0), split(50, 1)
    read = []
    monkeypatch.setattr("graphmtl.analysis.alone._CHOSEN_ON", 30)
    real = RidgeCV.fit

    def fit(own, x, y):
        read.append((x, {library["num_threads"] for library in threadpool_info()}))
        return real(own, x, y)

    monkeypatch.setattr(RidgeCV, "fit", fit)
    with threadpool_limits(2):
        found = said(train, test).numpy()
    ((some, threads),) = read
    assert threads == {1}
    assert some.shape[0] == 30
    numbers = some.getnnz(1)
    assert numbers.min() <= 3 < 10 <= numbers.max()  # of texts of two words and of six, which are read by length
    assert min(np.abs(found - own).max() for own in references(words, others)[2].values()) < 0.005


def test_numbers_sets_of_labels_and_tags_are_learned_too():
    def error(task, label):
        train, _ = split(300, 0, task, label)
        test, _ = split(60, 1, task, label)
        wanted, known = label_numbers(MODEL, test.batch(range(60)), task)
        assert known.all()
        found = said(train, test, task)
        assert found.shape == wanted.shape
        return float((found - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum())

    assert error("s", lambda text: float(text.count(GOOD) / len(text))) < 0.4
    assert error("m", lambda text: [int(GOOD in text), int(5 in text)]) < 0.4
    assert error("t", lambda text: [int(word == GOOD) for word in text]) < 0.4


def test_labels_that_words_do_not_tell_are_said_to_be_their_mean():
    train, _ = split(200, 0, label=lambda text: int(np.random.default_rng(text).integers(2)))
    found = said(train, split(50, 1)[0])
    assert found[:, 1].std() < 0.25


def test_a_task_without_training_texts_says_nothing():
    assert not said(split(0, 0)[0], split(5, 1)[0]).any()
    alone = said(split(1, 0)[0], split(5, 1)[0])  # no text to leave out
    assert torch.isfinite(alone).all()


def test_a_batch_on_another_device_is_read_on_the_cpu():
    train, (test, _) = split(50, 0)[0], split(10, 1)
    batch = test.batch(range(10))
    elsewhere = SimpleNamespace(to=lambda device: batch if device == "cpu" else None)
    alone = Alone(MODEL, train, "k", seed=0)
    assert torch.equal(alone(elsewhere), alone(batch))


def test_texts_of_unknown_words_alone_say_their_mean():
    texts = [[Vocabulary.special_ids[0]]] * 30
    train = EncodedSplit(tasks=["k"], texts=texts, labels={"k": label_arrays([0, 0, 1] * 10)})
    assert said(train, split(5, 1)[0])[:, 1].tolist() == pytest.approx([1 / 3] * 5)


def test_training_texts_without_a_label_are_left_out():
    words = split(100, 0)[1]
    labels = np.array([int(GOOD in own) for own in words])
    labels = np.where(np.arange(100) < 60, labels, -100)
    some = EncodedSplit(tasks=["k"], texts=words, labels={"k": label_arrays(labels)})
    few = EncodedSplit(tasks=["k"], texts=words[:60], labels={"k": label_arrays(labels[:60])})
    test, _ = split(30, 1)
    assert torch.equal(said(some, test), said(few, test))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_draws_texts_and_nothing_else(seed):
    train, test = split(200, 0)[0], split(50, 1)[0]
    assert torch.equal(said(train, test, seed=seed), said(train, test, seed=seed))
    assert said(train, test, seed=seed).sub(said(train, test, seed=7)).abs().max() < 1e-3  # 200 are not drawn from
