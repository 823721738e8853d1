import math
import weakref

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional as F

from graphmtl.data.batching import batches_by_length
from graphmtl.training.evaluation import Predictions, predict_split, score
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
            torch.testing.assert_close(
                predictions[name].logits[row], model(encoded.batch([row]))[name].logits[0].detach()
            )
        assert predictions[name].labels.tolist() == encoded.labels[name].tolist()
        assert predictions[name].seen.tolist() == encoded.seen.tolist()


def test_batch_size_does_not_matter(model, data):
    few, many = predict(model, data, batch_size=3), predict(model, data, batch_size=100)
    for name in data:
        torch.testing.assert_close(few[name].logits, many[name].logits)


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_it_was(model, data, training):
    model.train(training)
    first, second = predict(model, data), predict(model, data)
    assert torch.equal(first["a"].logits, second["a"].logits)  # no dropout
    assert not first["a"].logits.requires_grad
    assert model.training is training


def test_edges_are_recorded_for_every_example_once(model, data):
    recorded = []
    predictions = predict(model, data, record=lambda edges, _: recorded.append(edges))
    for name, task in data.items():
        assert sum(len(edges.lengths) for edges in recorded if edges.target == name) == len(task.test)
    lengths = np.concatenate([edges.lengths.numpy() for edges in recorded])
    assert sorted(lengths) == sorted(np.concatenate([task.test.lengths for task in data.values()]))
    torch.testing.assert_close(predictions["a"].logits, predict(model, data)["a"].logits)


def test_texts_without_a_label_are_told_from_the_others(model, data):
    name, split = "a", data["a"].test
    split.labels[name][3], split.counts[name][3] = -100, 0
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
    seen = torch.tensor([True, False, False, True])
    predictions = Predictions(logits=torch.eye(4), labels=torch.arange(4), seen=seen)
    unseen = predictions.unseen()
    assert len(unseen) == 2
    assert unseen.labels.tolist() == [1, 2]
    assert torch.equal(unseen.logits, torch.eye(4)[1:3])
    assert not unseen.seen.any()
    assert len(predictions) == 4


def test_score_is_the_metrics_and_the_loss(data):
    task = data["a"].task
    predictions = Predictions(
        logits=torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]),
        labels=torch.tensor([0, 1, 1]),
        seen=torch.zeros(3, dtype=torch.bool),
    )
    values = score(task, predictions)
    assert list(values) == ["accuracy", "matthews", "loss"]
    assert values["accuracy"] == pytest.approx(2 / 3)
    assert values["loss"] == pytest.approx(float(F.cross_entropy(predictions.logits, predictions.labels)))


def test_score_of_nothing(data):
    nothing = Predictions(
        logits=torch.zeros(0, 2), labels=torch.zeros(0, dtype=torch.int64), seen=torch.zeros(0, dtype=torch.bool)
    )
    assert all(math.isnan(value) for value in score(data["a"].task, nothing).values())
