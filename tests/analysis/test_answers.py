"""All heads over the same texts."""

import torch

from graphmtl.analysis.answers import answers_of_tasks
from graphmtl.data.batching import EncodedSplit
from tests.analysis.test_transferability import model_of
from tests.parts import label_arrays


def test_all_heads_answer_as_they_do_when_they_are_asked_alone():
    model = model_of(k="text-classification", s="regression", t="token-classification").eval()
    batch = EncodedSplit(tasks=["k"], texts=[[3, 4, 5], [6]], labels={"k": label_arrays([0, 1])}).batch([0, 1])
    found = answers_of_tasks(model, batch, ["k", "s", "t"])
    torch.testing.assert_close(found["k"], model(batch)["k"].logits)
    assert {name: tuple(own.shape) for name, own in found.items()} == {"k": (2, 2), "s": (2, 1), "t": (2, 3)}
    encoded = model.encode(batch)
    ((states, _),) = model.architecture.read(encoded.states, encoded.lengths, [2])
    tags = model.classify(states, "t")  # (2, 3, 3)
    torch.testing.assert_close(found["t"], torch.stack([tags[0].mean(0), tags[1, 0]]))
