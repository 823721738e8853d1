"""The orthogonality of what is shared and what is a task's own, against the formula."""

import torch

from graphmtl.architectures import architecture_class
from graphmtl.data.batching import Batch
from graphmtl.models.predictions import Halves, ModelOutput
from graphmtl.training.orthogonality import Orthogonality
from tests.training.toy import toy_data, toy_trainer

LENGTHS = torch.tensor([3, 1, 2])


def states(seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 3, 4, generator=generator, dtype=torch.float64)
    return x * (torch.arange(3) < LENGTHS[:, None]).unsqueeze(-1)


def output(shared, own):
    return ModelOutput(torch.zeros(3, 2), halves=Halves(shared, own, LENGTHS))


def batch(weights=(1.0, 1.0, 1.0), groups=None):
    return Batch((), torch.zeros(3, 3, dtype=torch.int64), LENGTHS, None, torch.tensor(weights), groups=groups)


def by_hand(shared, own):
    """Of every text, (texts,), dimension by dimension."""
    found = []
    for s, h, length in zip(shared, own, LENGTHS, strict=True):
        pairs = [sum(s[t, i] * h[t, j] for t in range(length)) / length for i in range(4) for j in range(4)]
        found.append(sum(pair**2 for pair in pairs))
    return torch.stack(found)


def test_it_is_the_sum_of_the_squared_products_and_fillers_do_not_count():
    shared, one, two = (states(seed) for seed in range(3))
    outputs = {"a": output(shared, one), "b": output(shared, two)}
    found = Orthogonality(weight=1.0)(outputs, batch((1.0, 2.0, 0.0)), {})
    each = by_hand(shared, one) + by_hand(shared, two)
    torch.testing.assert_close(found, each[0] + 2 * each[1], rtol=0, atol=1e-12)


def test_the_texts_of_an_example_of_several_count_together_as_one():
    shared, own = states(0), states(1)
    found = Orthogonality(weight=1.0)({"a": output(shared, own)}, batch((1.0, 1.0), torch.tensor([2, 1])), {})
    each = by_hand(shared, own)
    torch.testing.assert_close(found, each[:2].mean() + each[2], rtol=0, atol=1e-12)


def test_it_is_zero_where_no_dimension_goes_with_any_and_does_not_grow_with_a_text_said_twice():
    a, b = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    a[0, :2], b[0, 2:] = 1, 1  # the one speaks of the first tokens, the other of the last

    def of(shared, own):
        text = Batch((), torch.zeros(1, 4, dtype=torch.int64), torch.tensor([4]), None, torch.ones(1))
        halves = Halves(shared, own, torch.tensor([shared.size(1)]))
        return Orthogonality(weight=1.0)({"a": ModelOutput(torch.zeros(1, 2), halves=halves)}, text, {})

    assert of(a, b) == 0
    assert of(a, a) > 0
    torch.testing.assert_close(of(a.repeat(1, 2, 1), a.repeat(1, 2, 1)), of(a, a))


def test_a_run_has_it_where_what_is_shared_is_held_apart_unless_its_weight_is_zero():
    assert Orthogonality.suits(architecture_class("adversarial"))
    assert not Orthogonality.suits(architecture_class("shared-private"))
    assert Orthogonality.of_run(torch.nn.Module(), Orthogonality.Options()).weight(0, 1) == 0.01
    assert Orthogonality.of_run(torch.nn.Module(), Orthogonality.Options(orthogonality_weight=0.0)) is None


def test_the_halves_are_the_states_of_both_lstms_and_there_in_training_alone():
    data = toy_data(a=8, b=8)
    model = toy_trainer(data, arch="adversarial").model
    texts = data["b"].train.batch(range(8))
    halves = model.train()(texts)["b"].halves
    encoded = model.encode(texts)
    for half, lstm in ((halves.shared, model.architecture.lstm), (halves.own, model.architecture.lstms[1])):
        torch.testing.assert_close(half, lstm(encoded.states, encoded.lengths))
    assert model.eval()(texts)["b"].halves is None
    assert toy_trainer(data, arch="shared-private").model.train()(texts)["b"].halves is None
