"""One model a task: scikit-learn's, with the strength that the validation split chooses."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from graphmtl.baselines import read_baselines
from graphmtl.baselines.tfidf import Tfidf
from graphmtl.data.task import TaskSet
from graphmtl.data.tokenizer import tokenize
from graphmtl.errors import DataWarning
from graphmtl.training.evaluation import score
from tests.baselines.of_kinds import of_kind


class AtFour(Tfidf):
    strengths = (4.0,)


def pipeline(model):
    return make_pipeline(
        TfidfVectorizer(tokenizer=tokenize, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True), model
    )


def logistic(C=4.0):
    return LogisticRegression(C=C, solver="liblinear", dual=True, max_iter=2000, random_state=0)


def labelled(rows):
    return [row for row in rows if row["label"] is not None and row["label"] != -100 and row["label"] == row["label"]]


def learned(kind, model, values=lambda row: row["label"]):
    """A task, scikit-learn's own pipeline that has learned it, and the texts of its test split."""
    tasks = of_kind(kind)
    train = labelled(tasks[kind].train)
    theirs = pipeline(model).fit([row["text"] for row in train], np.array([*map(values, train)]))
    return tasks, theirs, [row["text"] for row in labelled(tasks[kind].test)]


@pytest.mark.parametrize(
    ("kind", "model"), [("text-classification", logistic()), ("ordinal", OneVsRestClassifier(logistic()))]
)
def test_probabilities_are_those_of_scikit_learns_pipeline(kind, model, tmp_path):
    tasks, theirs, texts = learned(kind, model)
    (found,) = read_baselines(tasks, folder=tmp_path, seed=0, names=["tests.baselines.test_tfidf:AtFour"]).values()
    np.testing.assert_allclose(found["test"][kind].probabilities, theirs.predict_proba(texts), atol=1e-3)
    assert np.array_equal(found["test"][kind].answers, theirs.predict(texts))


def test_scores_are_those_of_scikit_learns_pipeline(tmp_path):
    tasks, theirs, texts = learned("regression", Ridge(alpha=0.25, solver="lsqr"))
    (found,) = read_baselines(tasks, folder=tmp_path, seed=0, names=["tests.baselines.test_tfidf:AtFour"]).values()
    np.testing.assert_allclose(found["test"]["regression"].answers, theirs.predict(texts), rtol=1e-3, atol=1e-3)


def test_each_of_several_labels_is_scikit_learns(tmp_path):
    tasks, theirs, texts = learned("multi-label", OneVsRestClassifier(logistic()))
    (found,) = read_baselines(tasks, folder=tmp_path, seed=0, names=["tests.baselines.test_tfidf:AtFour"]).values()
    np.testing.assert_allclose(found["test"]["multi-label"].probabilities, theirs.predict_proba(texts), atol=1e-3)


def relabelled(tasks, name, split):
    """The same tasks with the labels of a split turned round."""
    rows = getattr(tasks[name], split)
    other = rows.map(lambda row: {"label": row["label"] if row["label"] == -100 else 1 - row["label"]})
    changed = [replace(data, **{split: other}) if task == name else data for task, data in tasks.items()]
    return TaskSet(name=tasks.name, data=changed)


@pytest.mark.parametrize("name", ["tfidf", "tfidf-all", "tfidf-augmented"])
def test_labels_of_the_test_split_change_nothing_that_is_said(name, tmp_path):
    tasks = of_kind("text-classification", "ordinal")
    found = [
        read_baselines(own, folder=tmp_path / folder, seed=0, names=[name])[name]["test"]["text-classification"]
        for folder, own in (("a", tasks), ("b", relabelled(tasks, "text-classification", "test")))
    ]
    assert np.array_equal(found[0].answers, found[1].answers)
    assert np.array_equal(found[0].probabilities, found[1].probabilities)
    assert not np.array_equal(found[0].losses, found[1].losses)


class Fixed(Tfidf):
    """Learns with the strength that it is told."""


def test_the_validation_split_chooses_the_strength_and_is_not_learned(tmp_path, monkeypatch):
    tasks = of_kind("text-classification", size=40)
    names = ["tests.baselines.test_tfidf:Fixed"]
    found = {}
    for C in Tfidf.strengths:
        monkeypatch.setattr(Fixed, "strengths", (C,))
        found[C] = read_baselines(tasks, folder=tmp_path / str(C), seed=0, names=names)[names[0]]
    task = tasks["text-classification"].task
    good = {C: score(task, own["valid"]["text-classification"]) for C, own in found.items()}
    best = max(good, key=lambda C: (good[C]["accuracy"], -good[C]["loss"]))
    assert len({each["accuracy"] for each in good.values()}) > 1
    chosen = read_baselines(tasks, folder=tmp_path, seed=0, names=["tfidf"])["tfidf"]
    for split in ("valid", "test"):
        ours, theirs = (own[split]["text-classification"] for own in (chosen, found[best]))
        assert np.array_equal(ours.probabilities, theirs.probabilities)


def test_a_task_that_it_cannot_do_is_said(tmp_path):
    with pytest.warns(
        DataWarning, match="baseline tfidf: task 'question-answering' has none: .* of kind question-answ"
    ):
        assert read_baselines(of_kind("question-answering"), folder=tmp_path, seed=0, names=["tfidf"]) == {"tfidf": {}}


def test_what_the_words_decide_is_learned(tmp_path):
    tasks = of_kind("text-classification", "token-classification", "multi-label", "multiple-choice", size=300)
    found = read_baselines(tasks, folder=tmp_path, seed=0, names=["tfidf"])["tfidf"]["test"]
    scores = {name: score(tasks[name].task, own)[tasks[name].task.metrics[0]] for name, own in found.items()}
    assert min(scores.values()) > 0.95, scores
