import numpy as np
import pytest

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.planted_truth import DECIDED_BY
from graphmtl.data.raw_texts import text_of_row
from graphmtl.errors import InputError
from graphmtl.reporting import example_texts as examples
from graphmtl.reporting.example_texts import _contrasts, example_texts
from graphmtl.training.experiment import train
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from tests import tiny
from tests.tagging import tagging_tasks
from tests.tiny import OPTIONS


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A run of tagging tasks and its data, some labels of which are missing."""
    tasks = tagging_tasks(missing=0.5)
    options = {key: OPTIONS[key] for key in ("hidden", "attention", "embedding_size", "device", "progress")}
    return train(
        tasks, arch="complete", output=str(tmp_path_factory.mktemp("runs") / "tags"), epochs=1, **options
    ), tasks


@pytest.mark.parametrize("arch", ["single", "shared", "complete", "star"])
def test_weights_are_what_the_model_read(arch, finished):
    run = finished(arch).run
    found = example_texts(run, per_task=2, seed=0)
    assert list(found) == list(run.model.tasks)
    for task, texts in found.items():
        assert [text["contrast"] is None for text in texts] == [True] * 2 + [False] * (2 if arch == "complete" else 0)
        for text in texts:
            weights = np.array(text["weights"])
            others = [name for name in found if name != task]
            if arch == "complete":
                assert text["columns"] == others
                assert weights.shape == (len(text["tokens"]), len(others))
                np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-3)
            elif arch == "star":
                assert text["columns"] is None
                assert weights.shape == (len(text["tokens"]), len(text["tokens"]))
                np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-2)
            else:
                assert text["weights"] == []


def test_texts_and_labels_are_those_of_the_test_split(finished):
    run = finished("complete").run
    tasks = load_run_tasks(run.options)
    for name, texts in example_texts(run, per_task=3, seed=1).items():
        task, test = tasks[name].task, tasks[name].test
        pairs = [" <sep> ".join(row[c] for c in ("text", "text_pair") if c in row) for row in test]
        known = {(pair, task.labels[label]) for pair, label in zip(pairs, test["label"], strict=True)}
        assert {(" ".join(text["tokens"]), text["gold"]) for text in texts} <= known
        assert all(text["label"] in task.labels and 0 < text["probability"] <= 1 for text in texts)


def test_seed_draws_the_texts(finished):
    run = finished("shared").run
    drawn = [
        [text["tokens"] for texts in example_texts(run, per_task=2, seed=seed).values() for text in texts]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_short_texts_come_first(finished, monkeypatch):
    run = finished("shared").run
    lengths = [len(text["tokens"]) for text in example_texts(run, per_task=40, seed=0)["parent1"]]
    assert lengths != sorted(lengths)
    monkeypatch.setattr(examples, "_LONGEST", np.median(lengths))
    sorted_out = [len(text["tokens"]) for text in example_texts(run, per_task=40, seed=0)["parent1"]]
    short = [length for length in lengths if length <= np.median(lengths)]
    assert sorted_out[: len(short)] == short
    assert sorted_out[len(short) :] == sorted(set(lengths) - set(short)) or min(sorted_out[len(short) :]) > max(short)


@pytest.mark.parametrize("arch", ["complete", "cmtr"])
def test_two_texts_read_most_differently_from_two_other_tasks(arch, finished):
    run = finished(arch).run
    tasks = load_run_tasks(run.options)
    for name, texts in example_texts(run, per_task=1, seed=0).items():
        assert [text["contrast"] is None for text in texts] == [True, False, False]
        rows = [text_of_row(row) for row in tasks[name].test][:200]
        read = [
            {edge["source"]: edge["weight"] for edge in own["edges"]}
            for own in run.model.predict(rows, name, edges=True)
        ]
        a, b = texts[1]["contrast"]["sources"]
        assert texts[2]["contrast"]["sources"] == [b, a]
        assert {a, b} == set(run.model.tasks) - {name}
        leaning = [own[a] - own[b] for own in read]
        for text, expected in zip(texts[1:], (max(leaning), -min(leaning)), strict=True):
            mine, other = text["contrast"]["weights"]
            assert mine - other == pytest.approx(expected, abs=2e-4)
            means = dict(zip(text["columns"], np.mean(text["weights"], axis=0), strict=True))
            first, second = text["contrast"]["sources"]
            assert (means[first], means[second]) == pytest.approx((mine, other), abs=2e-4)
            assert text["contrast"]["texts"] == len(rows)
            assert text["decided_by"] is None


def test_texts_that_all_read_alike_have_no_contrast():
    alike = [[[{"source": "a", "weight": 0.7}, {"source": "b", "weight": 0.3}]]] * 3
    assert _contrasts("x", alike) == []
    assert _contrasts("x", []) == []
    one = [[[{"source": "a", "weight": weight}]] for weight in (0.1, 0.9)]
    assert _contrasts("x", one) == []
    own = [[[{"source": "x", "weight": 1 - weight}, {"source": "a", "weight": weight}]] for weight in (0.1, 0.9)]
    assert _contrasts("x", own) == []  # what it keeps for itself is no other source


def test_the_widest_two_sources_are_held_against_each_other():
    weights = [[0.5, 0.3, 0.2], [0.4, 0.1, 0.5], [0.45, 0.55, 0.0]]  # of a, b, c; the second token says the same
    edges = [[[{"source": s, "weight": w} for s, w in zip("abc", own, strict=True)]] * 2 for own in weights]
    (one, first), (other, second) = _contrasts("x", edges)
    assert (one, first) == (2, {"sources": ["b", "c"], "weights": [0.55, 0.0], "texts": 3})
    assert (other, second) == (1, {"sources": ["c", "b"], "weights": [0.5, 0.1], "texts": 3})


def test_the_task_that_decides_a_text_is_named_where_it_is_known(tmp_path):
    small = {"planted_parents": 2, "planted_parents_per_child": 2, "planted_switching": True}
    run = tiny.run(arch="complete", tasks="planted", output=tmp_path / "run", **small, epochs=1).run
    tasks = load_run_tasks(run.options)
    test = tasks["child1"].test
    known = {
        text: tasks.truth.deciders["child1"][who] for text, who in zip(test["text"], test[DECIDED_BY], strict=True)
    }
    found = example_texts(run, per_task=5, seed=0)
    assert {text["decided_by"] for text in found["child1"]} == {"parent1", "parent2"}
    assert all(text["decided_by"] == known[" ".join(text["tokens"])] for text in found["child1"])
    assert all(text["decided_by"] is None for text in found["parent1"])


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_of_long_texts_the_beginning_is_shown(arch, finished, monkeypatch):
    run = finished(arch).run
    whole, *_ = example_texts(run, per_task=1, seed=0)["parent1"]
    monkeypatch.setattr(examples, "_SHOWN", 3)
    found, *_ = example_texts(run, per_task=1, seed=0)["parent1"]
    assert found["tokens"] == whole["tokens"][:3]
    assert (whole["more"], found["more"]) == (0, len(whole["tokens"]) - 3)
    width = 3 if arch == "star" else None
    assert found["weights"] == [row[:width] for row in whole["weights"][:3]]


def test_tags_stand_beside_the_words(tagger, monkeypatch):
    run, tasks = tagger
    monkeypatch.setattr(examples, "load_tasks_again", lambda run: tasks)
    found = example_texts(run, per_task=5, seed=0)
    labels = tasks["ner"].task.labels
    for text in found["ner"]:
        row = next(row for row in tasks["ner"].test if row["tokens"] == text["tokens"])
        assert len(text["tags"]) == len(text["gold_tags"]) == len(text["tokens"])
        assert set(text["tags"]) <= set(labels)
        assert row
        assert text["label"] is text["gold"] is None
    gold = [[None if tag == NO_LABEL else labels[tag] for tag in row["label"]] for row in tasks["ner"].test]
    assert all(text["gold_tags"] in gold for text in found["ner"])
    assert all(text["tags"] is None and text["label"] in ("calm", "angry") for text in found["mood"])


def test_blank_texts_are_not_shown(tagger, monkeypatch):
    run, tasks = tagger
    plain = tasks["plain"].test
    blank = plain.map(lambda row, i: {"text": "  " if i % 2 else row["text"]}, with_indices=True)
    monkeypatch.setattr(tasks["plain"], "test", blank)
    monkeypatch.setattr(examples, "load_tasks_again", lambda run: tasks)
    texts = [text for text in example_texts(run, per_task=100, seed=0)["plain"] if text["contrast"] is None]
    assert len(texts) == (len(plain) + 1) // 2
    assert all("<unk>" not in text["tokens"] for text in texts)


def test_other_data_is_refused(finished, tagger, monkeypatch):
    monkeypatch.setattr(examples, "load_tasks_again", lambda run: tagger[1])
    with pytest.raises(InputError, match=r"the data has the tasks .*, the model pairs, parent1, child1"):
        example_texts(finished("star").run, per_task=1, seed=0)


def test_missing_model_is_said(copy_of):
    folder = copy_of("star")
    for path in (folder / "model").iterdir():
        path.unlink()
    (folder / "model").rmdir()
    with pytest.raises(InputError, match="model: no such folder"):
        example_texts(Run.open(folder), per_task=1, seed=0)
