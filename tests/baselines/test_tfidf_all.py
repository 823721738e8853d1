"""One model for tasks whose labels agree."""

import numpy as np
import pytest

from graphmtl.baselines import read_baselines
from graphmtl.baselines.tfidf_all import TfidfAll
from graphmtl.data.loading import load_tasks
from tests.baselines.of_kinds import of_kind

NAMES = ("tfidf", "tfidf-all", "tfidf-augmented")


def parts(size=60):
    """Two tasks of the same labels and one of others, by name."""
    whole = of_kind("text-classification", "ordinal", size=2 * size)
    rows = {kind: {split: [*map(dict, own)] for split, own in data.splits.items()} for kind, data in whole.items()}
    given = {}
    for name, kind, half in (("a", "text-classification", 0), ("b", "text-classification", 1), ("c", "ordinal", 0)):
        labels, own = whole[kind].task.labels, {}
        for split, each in rows[kind].items():
            named = [{"text": row["text"], "label": labels[row["label"]]} for row in each if row["label"] >= 0]
            own[split] = named[half::2]
        given[name] = {"kind": kind, **own}
    return given


def test_tasks_that_agree_are_learned_together():
    groups = TfidfAll().groups(load_tasks(parts()).tasks)
    assert groups == [("a", "b"), ("c",)]


def test_tasks_differ_by_kind_and_by_how_many_texts_they_read():
    tasks = of_kind("text-classification", "regression", "multi-label", "ordinal", "multiple-choice").tasks
    assert [*map(len, TfidfAll().groups(tasks))] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_tasks_does_not_matter(name, tmp_path):
    given = parts()
    found = [
        read_baselines(load_tasks(own), folder=tmp_path / str(i), seed=0, names=[name])[name]["test"]
        for i, own in enumerate((given, {task: given[task] for task in "cba"}))
    ]
    assert ["".join(own) for own in found] == ["abc", "cba"]
    for task in "abc":
        ours, theirs = (own[task].probabilities for own in found)
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_task_that_agrees_with_none_has_the_model_of_its_own(name, tmp_path):
    tasks = load_tasks(parts())
    found = read_baselines(tasks, folder=tmp_path, seed=0, names=["tfidf", name])
    ours, theirs = (found[each]["test"] for each in (name, "tfidf"))
    assert np.array_equal(ours["c"].probabilities, theirs["c"].probabilities)
    assert not np.array_equal(ours["a"].probabilities, theirs["a"].probabilities)
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("Tfidf-")]) == 3  # kept once, for both


def test_tasks_of_the_same_texts_are_learned_as_one_task_is_twice(tmp_path):
    given = parts()
    both = {split: [*given["a"][split], *given["b"][split]] for split in ("train", "valid", "test")}
    together = load_tasks({"whole": {"kind": "text-classification", **both}})
    names = ["tests.baselines.test_tfidf_all:AllAtFour", "tests.baselines.test_tfidf:AtFour"]
    apart = read_baselines(load_tasks(given, keep_overlap=True), folder=tmp_path, seed=0, names=names[:1])[names[0]]
    whole = read_baselines(together, folder=tmp_path, seed=0, names=names[1:])[names[1]]["test"]["whole"]
    found = np.concatenate([apart["test"][task].probabilities for task in "ab"])
    np.testing.assert_allclose(found, whole.probabilities, atol=2e-3)


class AllAtFour(TfidfAll):
    strengths = (4.0,)
