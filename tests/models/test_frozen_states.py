import pytest
import torch

from graphmtl.data.batching import EncodedSplit
from graphmtl.models.frozen_states import FrozenStates
from graphmtl.models.new_tasks import add_tasks, frozen_parameters, keep_frozen_states
from tests.models.test_new_tasks import LONGER, MOOD, PLAIN, SCALE, make
from tests.parts import label_arrays

SPLIT = EncodedSplit(
    tasks=["longer"], texts=[[3, 4, 5], [4], [3, 4, 5], [5, 3]], labels={"longer": label_arrays([0, 1, 0, 1])}
)


def grown_from(arch):
    old = make(PLAIN, SCALE, arch=arch, chars="none")
    return old, add_tasks(old, [LONGER])


@pytest.mark.parametrize("arch", ["star", "complete"])
def test_nodes_are_those_without_dropout_and_read_once(arch, monkeypatch):
    _, model = grown_from(arch)
    states, read = FrozenStates(model, 2), []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch, task=None: read.append(len(batch.tokens)) or encode(batch, task))
    for rows in ([0, 1], [3, 1, 2, 0], [1]):
        batch = SPLIT.batch(rows)
        model.train()
        nodes = states.nodes(batch)
        assert model.training
        x = encode(batch).states if not model.eval().training else None
        expected = model.architecture.node_states(x, batch.lengths, [2])
        torch.testing.assert_close(nodes, expected)
    assert read == [2, 1]


@pytest.mark.parametrize("arch", ["star", "complete"])
def test_outputs_and_gradients_are_the_same(arch):
    old, model = grown_from(arch)
    for frozen in frozen_parameters(model, old, "all-but-new").values():
        for parameter in frozen:
            parameter.requires_grad_(False)
    gradients = []
    for kept in (False, True):
        if kept:
            keep_frozen_states(model, ["longer"])
        assert (model.frozen_states is not None) == kept
        model.zero_grad()
        model(SPLIT.batch([0, 1, 3]))["longer"].logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_nothing_is_kept_where_new_nodes_are_read_or_none():
    old = make(PLAIN, SCALE, arch="complete", chars="none")
    two = add_tasks(old, [LONGER, MOOD])
    keep_frozen_states(two, ["longer", "mood"])
    assert two.frozen_states is None
    _, alone = grown_from("shared")
    keep_frozen_states(alone, ["longer"])
    assert alone.frozen_states is None
