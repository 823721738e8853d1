from collections import Counter

import pytest

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.loading import load_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.shuffled import shuffle_labels
from graphmtl.errors import InputError
from tests.tagging import tagging_tasks

SMALL = PlantedOptions(planted_rich=40, planted_poor=20, planted_test=10)


def test_only_the_training_labels_are_permuted():
    plain, shuffled = (load_tasks("planted", planted=SMALL, shuffle_labels=on) for on in (False, True))
    for name in plain:
        before, after = plain[name].train, shuffled[name].train
        assert before["text"] == after["text"]
        assert Counter(before["label"]) == Counter(after["label"])
        assert before["label"] != after["label"]
        for split in ("valid", "test"):
            assert getattr(plain[name], split).to_dict() == getattr(shuffled[name], split).to_dict()
    assert shuffled.loaded_with["shuffle_labels"]


def test_the_seed_says_how_and_tasks_are_permuted_apart():
    task = load_tasks("planted", planted=SMALL)["parent1"]
    one, again, other = (list(shuffle_labels(task, seed=seed).train["label"]) for seed in (0, 0, 1))
    assert one == again != other


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_tags_stay_tags(missing):
    for data in tagging_tasks(size=30, missing=missing).values():
        labels = list(data.train["label"])
        shuffled = list(shuffle_labels(data, seed=0).train["label"])
        assert shuffled != labels
        if not data.task.of_kind.labels_tokens:
            assert Counter(shuffled) == Counter(labels)
            continue
        assert [len(own) for own in shuffled] == [len(own) for own in labels]
        assert sum(tag == NO_LABEL for own in shuffled for tag in own) == sum(t == NO_LABEL for o in labels for t in o)
        if data.task.of_kind.is_spans:
            first = [data.task.labels[own[0]] for own in shuffled if own[0] != NO_LABEL]
            assert not any(label.startswith("I-") for label in first)


def test_only_keeps_the_named_tasks_as_they_are():
    whole, some = (load_tasks("planted", planted=SMALL, only=only) for only in (None, "child1,parent2"))
    assert list(some) == ["parent2", "child1"]
    assert some["child1"].test.to_dict() == whole["child1"].test.to_dict()
    assert some.name == "planted-child1-parent2"
    assert set(some.truth.edges) == {edge for edge in whole.truth.edges if set(edge) <= set(some)}


def test_only_names_what_there_is():
    with pytest.raises(InputError, match=r"unknown task of only \(--only\) 'chil1'; did you mean 'child1'"):
        load_tasks("planted", planted=SMALL, only="chil1")
