"""All baselines of a task set: in a model's form, kept, and found again."""

import random

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from graphmtl.baselines import read_baselines
from graphmtl.baselines.answers import of_classes
from graphmtl.baselines.baseline import Baseline, held_out
from graphmtl.data.batching import encode_tasks
from graphmtl.errors import DataWarning, InputError
from graphmtl.options import make_options
from graphmtl.registry import BASELINES, KINDS
from graphmtl.training.building import build_model
from graphmtl.training.evaluation import predict_split, score
from tests.baselines.of_kinds import of_kind

DONE = {"majority": {*KINDS}, **dict.fromkeys([*BASELINES][1:], {*KINDS} - {"question-answering"})}


def same(ours, theirs) -> bool:
    """Whether two arrays are the same, those of lists too."""
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def form(answer):
    """The shape of an answer; of a list, which may be empty, that it is one."""
    return list if isinstance(answer, list) else np.shape(answer)


@pytest.mark.filterwarnings("ignore:baseline")
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_a_models_examples(kind, tmp_path):
    tasks = of_kind(kind)
    options = make_options(arch="shared", hidden=4, embedding_size=4, tasks="planted", device="cpu")
    model = build_model(tasks, options)
    data = encode_tasks(tasks, model.vocabulary, model.options)
    found = read_baselines(tasks, folder=tmp_path, seed=0)
    for name, own in found.items():
        assert set(own) == ({"valid", "test"} if kind in DONE[name] else set())
        for split, predictions in own.items():
            given = {"split": split, "batch_size": 16, "accelerator": Accelerator(cpu=True)}
            expected, ours = predict_split(model=model, data=data, **given)[kind], predictions[kind]
            for field in ("labels", "counts", "seen"):
                assert same(getattr(ours, field), getattr(expected, field))
            assert [*map(form, ours.answers)] == [*map(form, expected.answers)]
            assert ours.losses.shape == expected.losses.shape
            assert (ours.probabilities is None) == (expected.probabilities is None)
            assert score(tasks[kind].task, ours).keys() == score(tasks[kind].task, expected).keys()


class FirstLetter(Baseline):
    """A text that begins with an s has the label 1."""

    def refusal(self, task):
        return None if task.kind == "text-classification" else "it looks at letters"

    def groups(self, tasks):
        return [tuple(tasks)]

    def fit(self, group, words, *, seed):
        return {split: {task: self.say(own) for task, own in each.items()} for split, each in held_out(group).items()}

    def say(self, examples):
        return of_classes(np.eye(2)[[int(text.startswith("s")) for text in examples.rows["text"]]], examples)


def test_a_baseline_from_elsewhere(tmp_path):
    name = "tests.baselines.test_reading:FirstLetter"
    tasks = of_kind("text-classification", "regression")
    with pytest.warns(DataWarning, match=f"^baseline {name}: task 'regression' has none: it looks at letters$"):
        found = read_baselines(tasks, folder=tmp_path, seed=0, names=[name])
    assert [*found] == [name]
    assert [(split, [*own]) for split, own in found[name].items()] == [
        (split, ["text-classification"]) for split in ("valid", "test")
    ]
    assert 0 < found[name]["test"]["text-classification"].answers.sum() < 40


def test_an_unknown_baseline_is_one_line(tmp_path):
    with pytest.raises(InputError, match="unknown baseline 'bert'"):
        read_baselines(of_kind("ordinal"), folder=tmp_path, seed=0, names=["majority", "bert"])
    assert [*tmp_path.iterdir()] == []


def test_global_generators_are_left_alone(tmp_path):
    tasks = of_kind("text-classification", "token-classification")
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    read_baselines(tasks, folder=tmp_path, seed=0)
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]
