"""All baselines of a task set: in a model's form, kept, and found again."""

import numpy as np
import pytest
from accelerate import Accelerator

from graphmtl.baselines import read_baselines
from graphmtl.data.batching import encode_tasks
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
