"""What is most frequent, of every kind of labels."""

from collections import Counter

import numpy as np
import pytest

from graphmtl.baselines import read_baselines
from graphmtl.data.loading import load_tasks
from graphmtl.kinds.classification import Classification
from graphmtl.training.evaluation import score
from tests.baselines.of_kinds import of_kind


@pytest.fixture
def said(tmp_path):
    def said(tasks):
        return read_baselines(tasks, folder=tmp_path, seed=0, names=["majority"])["majority"]

    return said


def labels(data, split="train"):
    known = data.task.of_kind.is_labelled
    return [label for label in getattr(data, split)["label"] if known(label)]


@pytest.mark.parametrize("kind", ["text-classification", "ordinal", "multiple-choice"])
def test_the_most_frequent_class_is_answered_with_its_frequency(kind, said):
    tasks = of_kind(kind)
    counts = Counter(labels(tasks[kind]))
    classes = len(tasks[kind].task.labels) or 2
    found = said(tasks)["test"][kind]
    assert {*found.answers.tolist()} == {max(counts, key=lambda label: (counts[label], -label))}
    expected = [(counts[c] + 1) / (counts.total() + classes) for c in range(classes)]
    np.testing.assert_allclose(found.probabilities, np.tile(expected, (len(found), 1)), rtol=1e-6)
    np.testing.assert_allclose(found.losses, [-np.log(expected[label]) for label in found.labels])


def test_a_place_that_an_example_has_not_is_not_answered(said):
    rows = [
        {"text": "a", "options": ["b", "c", "d"], "label": 2},
        {"text": f"{'e'}", "options": ["f", "g"], "label": 1},
    ]
    train = [{**row, "text": f"{row['text']} {i}"} for i in range(3) for row in (*rows, rows[0])]
    given = {"kind": "multiple-choice", "choices": "options", "first": "0", "train": train, "valid": rows, "test": rows}
    found = said(load_tasks({"own": given}))["test"]["own"]
    assert found.answers.tolist() == [2, 1]
    np.testing.assert_allclose(found.probabilities, [[1 / 12, 4 / 12, 7 / 12], [1 / 5, 4 / 5, 0]], rtol=1e-6)


def test_the_mean_is_as_far_from_scores_as_they_spread(said):
    tasks = of_kind("regression")
    values = np.float32(labels(tasks["regression"]))
    found = said(tasks)["test"]["regression"]
    np.testing.assert_allclose(found.answers, np.full(len(found), values.mean(dtype=np.float64)), rtol=1e-6)
    np.testing.assert_allclose(found.losses, ((found.labels - values.mean()) / values.std()) ** 2, rtol=1e-4)
    assert score(tasks["regression"].task, found)["pearson"] == 0


def test_the_most_frequent_tag_of_all_tokens(said):
    tasks = of_kind("token-classification")
    task = tasks["token-classification"].task
    counts = Counter(tag for own in labels(tasks["token-classification"]) for tag in own if tag >= 0)
    found = said(tasks)["test"]["token-classification"]
    assert {tag for own in found.answers for tag in own.tolist()} == {counts.most_common(1)[0][0]}
    p = {tag: (count + 1) / (counts.total() + len(task.labels)) for tag, count in counts.items()}
    expected = [sum(-np.log(p[tag]) for tag in own if tag >= 0) for own in found.labels]
    np.testing.assert_allclose(found.losses, expected)


def test_labels_are_answered_from_the_frequency_on_that_is_best_on_validation(said):
    tasks = of_kind("multi-label")
    found = said(tasks)["valid"]["multi-label"]
    task = tasks["multi-label"].task
    best = score(task, found)["micro_f1"]
    for own in ([0, 0], [0, 1], [1, 0], [1, 1]):
        rates = np.mean(labels(tasks["multi-label"]), axis=0)
        if rates[own.index(1) if 1 in own else 0] >= rates.max() or sum(own) != 1:
            answers = np.tile(own, (len(found), 1))
            hits, said_labels = (answers & found.labels).sum(), answers.sum() + found.labels.sum()
            assert best >= 2 * hits / said_labels - 1e-6
    rates = (np.sum(labels(tasks["multi-label"]), axis=0) + 1) / (len(labels(tasks["multi-label"])) + 2)
    np.testing.assert_allclose(found.probabilities, np.tile(rates, (len(found), 1)), rtol=1e-6)


def questions(answers):
    """A task of questions whose answers are words of the context, by place, or None for no answer."""
    rows = []
    for i, place in enumerate(answers):
        words = [f"w{i}", "b", "c", "d"]
        start = 0 if place is None else len(" ".join(words[:place])) + (place > 0)
        label = {"text": [], "answer_start": []} if place is None else {"text": [words[place]], "answer_start": [start]}
        rows.append({"question": "who", "context": " ".join(words), "label": label})
    return rows


def test_the_most_frequent_place_of_an_answer(said):
    train, test = questions([1, 1, 1, 2, None, None]), questions([1, 3, None])
    test.append({"question": "who", "context": "short", "label": {"text": ["short"], "answer_start": [0]}})
    keys = {"kind": "question-answering", "text": ["question", "context"], "metrics": ["exact_match"]}
    tasks = load_tasks({"own": {**keys, "train": train, "valid": test, "test": test}})
    found = said(tasks)["test"]["own"]
    assert [own[0]["text"] for own in found.answers] == ["b", "b", "b", "short"]
    assert score(tasks["own"].task, found)["exact_match"] == 0.5
    p = np.array([3, 1, 4, 2, 1]) / 11  # none, and the four words
    np.testing.assert_allclose(found.losses[:3], -np.log(p[[2, 4, 0]]))
    np.testing.assert_allclose(found.probabilities[:3, 0], p[2] ** 2, rtol=1e-6)
    none = load_tasks({"own": {**keys, "train": [*train, *questions([None] * 9)[6:]], "valid": test, "test": test}})
    assert [*said(none)["test"]["own"].answers] == [[], [], [], []]


class Unheard(Classification):
    """A kind whose answers nobody knows."""

    form = "unheard of"
    default_metrics = ("tests.baselines.test_majority:nothing",)

    def check(self):
        pass


def test_an_unknown_kind_of_labels_is_said():
    from graphmtl.baselines.majority import Majority
    from graphmtl.data.task import Task

    task = Task(name="own", kind="tests.baselines.test_majority:Unheard")
    assert "of kind tests.baselines.test_majority:Unheard" in Majority().refusal(task)
