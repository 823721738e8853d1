import math
import weakref

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional as F

from graphmtl.data.batching import batches_by_length
from graphmtl.training.evaluation import predict_split, score
from tests.parts import class_predictions
from tests.training.toy import ToyModel, toy_data


@pytest.fixture
def data():
    return toy_data(a=30, b=13)


@pytest.fixture
def model(data):
    torch.manual_seed(0)
    return ToyModel([task.task for task in data.values()], dropout=0.5)


def predict(model, data, **options):
    values = {"split": "test", "batch_size": 4, "accelerator": Accelerator(cpu=True)}
    return predict_split(model=model, data=data, **values | options)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_predictions_are_in_the_order_of_the_split(model, data, split):
    predictions = predict(model, data, split=split)
    model.eval()
    for name, task in data.items():
        encoded = getattr(task, split)
        for row in range(len(encoded)):
            said = model(encoded.batch([row]))[name].probabilities[0].detach().numpy()
            np.testing.assert_allclose(predictions[name].probabilities[row], said, rtol=1e-5)
        assert predictions[name].labels.tolist() == encoded.labels[name].values.tolist()
        assert predictions[name].seen.tolist() == encoded.seen.tolist()


def test_batch_size_does_not_matter(model, data):
    few, many = predict(model, data, batch_size=3), predict(model, data, batch_size=100)
    for name in data:
        np.testing.assert_allclose(few[name].probabilities, many[name].probabilities, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_it_was(model, data, training):
    model.train(training)
    first, second = predict(model, data), predict(model, data)
    assert np.array_equal(first["a"].probabilities, second["a"].probabilities)  # no dropout
    assert model.training is training


def test_edges_are_recorded_for_every_example_once(model, data):
    recorded = []
    predictions = predict(model, data, record=lambda edges, _: recorded.append(edges))
    for name, task in data.items():
        assert sum(len(edges.lengths) for edges in recorded if edges.target == name) == len(task.test)
    lengths = np.concatenate([edges.lengths.numpy() for edges in recorded])
    assert sorted(lengths) == sorted(np.concatenate([task.test.lengths for task in data.values()]))
    assert np.array_equal(predictions["a"].probabilities, predict(model, data)["a"].probabilities)


def test_texts_without_a_label_are_told_from_the_others(model, data):
    name, split = "a", data["a"].test
    split.labels[name].values[3], split.counts[name][3] = -100, 0
    kept = {"a": [], "b": []}
    predict(model, data, record=lambda edges, keep: kept[edges.target].append(keep))
    for keep, rows in zip(kept["a"], batches_by_length(split.lengths, 4), strict=True):
        assert keep is None if 3 not in rows else keep.tolist() == (rows != 3).tolist()
    assert set(kept["b"]) == {None}


def test_edges_of_a_batch_are_gone_before_the_next(model, data):
    given = []

    def none_is_left(*_):
        assert not any(edges() for edges in given)

    model.register_forward_pre_hook(none_is_left)
    predict(model, data, record=lambda edges, _: given.append(weakref.ref(edges)))
    assert len(given) > 2


def test_unseen_leaves_out_what_was_seen():
    predictions = class_predictions([0, 1, 2, 3], np.eye(4), [True, False, False, True])
    unseen = predictions.unseen()
    assert len(unseen) == len(unseen.losses) == 2
    assert unseen.labels.tolist() == unseen.answers.tolist() == [1, 2]
    assert np.array_equal(unseen.probabilities, predictions.probabilities[1:3])
    assert not unseen.seen.any()
    assert len(predictions) == 4


def test_score_is_the_metrics_and_the_loss(data):
    logits, labels = [[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], [0, 1, 1]
    values = score(data["a"].task, class_predictions(labels, logits, [False] * 3))
    assert list(values) == ["accuracy", "matthews", "loss"]
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert values["loss"] == pytest.approx(float(F.cross_entropy(torch.tensor(logits), torch.tensor(labels))))


def test_score_of_nothing(data):
    nothing = class_predictions([], np.zeros((0, 2)), [])
    assert all(math.isnan(value) for value in score(data["a"].task, nothing).values())
