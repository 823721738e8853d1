"""The affinity against autograd through the plain reference of the star, one text, task and token at a time."""

from dataclasses import replace

import pytest
import torch

from graphmtl.analysis.affinity import logit_correlation, probe_batches, task_affinity
from graphmtl.data.batching import EncodedSplit
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.models.model import MultiTaskModel
from tests.architectures import reference
from tests.parts import model_options

VOCABULARY = Vocabulary.build(["a b c d e f g"])
TEXTS = [[3, 4, 5, 6], [7], [8, 9, 3], [4, 4]]


def star(tasks="xyz", **options):
    torch.manual_seed(0)
    labels = {"x": ("1", "2"), "y": ("1", "2", "3"), "z": ("1", "2"), "s": ()}
    kinds = {"s": "regression"}
    options = {"hidden": 3, "attention": 4, "embedding_size": 4} | options
    model = MultiTaskModel(
        tasks=[Task(name=name, labels=labels[name], kind=kinds.get(name, Task.kind)) for name in tasks],
        vocabulary=VOCABULARY,
        options=model_options(arch="star", **options),
    ).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model.eval()


def batch(rows, task="x"):
    return EncodedSplit(tasks=[task], texts=TEXTS).batch(rows)


def affinity(model, *batches):
    return task_affinity(model, batches, split="valid", seed=0)


def naive_attribution(model, text, k):
    """What the hub's states of a text contribute to the margin of task k's winning label, as one long vector."""
    architecture = model.architecture
    x = model.encoders[0].embedding.weight.detach()[text]  # (T, I)
    ways, hubs, seen = [], [], []
    for d in range(architecture.directions):
        way = x if d == 0 else x.flip(0)
        hubs.append([(h.detach() / 2).requires_grad_() for h in reference.plain_lstm(architecture.hub, d, way)])
        states, *_ = reference.message_lstm(architecture.lstms[k], d, way, [hubs[d]] * len(way))
        ways.append(torch.stack(states if d == 0 else states[::-1]))
        if architecture.hub_to_head:
            seen.append(torch.stack(hubs[d] if d == 0 else hubs[d][::-1]))
    states = torch.cat([*ways, *seen], -1)  # (T, D * H), with the hub's states (T, 2 D * H)
    pooled = torch.cat([states.max(0).values, states.mean(0)])
    parts = [part for part in (model.heads[k].linear, model.common_head(k)) if part is not None]
    logits = sum(part.weight @ pooled + part.bias for part in parts).sort(descending=True).values
    margin = logits[0] - logits[1] if len(logits) > 1 else logits[0]  # of a regression the score itself
    half = [h for hub in hubs for h in hub]
    return torch.cat([2 * h * gradient for h, gradient in zip(half, torch.autograd.grad(margin, half), strict=True)])


@pytest.mark.parametrize("score", ["additive", "dot", "static"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_equals_autograd_through_the_reference(score, bidirectional):
    model = star("xyzs", score=score, bidirectional=bidirectional)
    graph = affinity(model, batch([0, 1, 2]), batch([3], task="y"))
    pairs = {"x": TEXTS[:3], "y": TEXTS[3:]}  # the texts of either task; no text is z's or s's
    assert len(graph.edges) == 10
    for edge in graph.edges:
        k, j = (list(model.tasks).index(name) for name in (edge.target, edge.source))
        cosines = []
        texts = pairs.get(edge.target, []) + pairs.get(edge.source, [])
        for text in texts:
            ours, theirs = naive_attribution(model, text, k), naive_attribution(model, text, j)
            cosines.append((ours @ theirs / (ours.norm() * theirs.norm())).item())
        cosines = torch.tensor(cosines, dtype=torch.float64)
        assert edge.weight == pytest.approx(cosines.mean().item(), abs=1e-9)
        assert edge.std == pytest.approx(cosines.std(correction=0).item(), abs=1e-9)
        assert edge.count == len(texts) > 0


def test_equals_autograd_where_the_head_sees_the_hub():
    model = star("xy", hub_to_head=True)
    (edge, _) = affinity(model, batch([0])).edges
    ours, theirs = (naive_attribution(model, TEXTS[0], k) for k in (0, 1))
    assert edge.weight == pytest.approx((ours @ theirs / (ours.norm() * theirs.norm())).item(), abs=1e-9)


def test_it_is_symmetric_lists_both_directions_and_is_a_cosine():
    graph = affinity(star(), batch([0, 1]), batch([2], task="y"), batch([3], task="z"))
    weights = {(edge.source, edge.target): edge.weight for edge in graph.edges}
    assert set(weights) == {(a, b) for a in "xyz" for b in "xyz" if a != b}
    for (source, target), weight in weights.items():
        assert weight == pytest.approx(weights[target, source], abs=1e-12)
        assert -1 <= weight <= 1
    assert (graph.arch, graph.tasks, graph.split, graph.seed) == ("star", ("x", "y", "z"), "valid", 0)
    assert not graph.virtual


def test_two_tasks_with_the_same_parameters_have_affinity_1():
    model = star()
    model.architecture.lstms[2].load_state_dict(model.architecture.lstms[0].state_dict())
    model.heads[2].load_state_dict(model.heads[0].state_dict())
    weights = {(edge.source, edge.target): edge.weight for edge in affinity(model, batch([0, 1, 2, 3])).edges}
    assert weights["x", "z"] == pytest.approx(1, abs=1e-9)
    assert weights["x", "y"] < 1 - 1e-3


def test_a_head_turned_around_has_the_same_affinity():
    """The margin is that of the winning label, whichever it is: what counts is what the decision rests on."""
    model = star(common_head=False)
    before = affinity(model, batch([0, 1, 2, 3])).matrix()
    head = model.heads[0].linear
    head.weight.data, head.bias.data = head.weight.data.flip(0), head.bias.data.flip(0)
    assert affinity(model, batch([0, 1, 2, 3])).matrix() == pytest.approx(before, abs=1e-9, nan_ok=True)


def test_the_order_of_texts_and_batches_plays_no_part():
    model = star()
    expected = affinity(model, batch([0, 1, 2]), batch([3], task="z")).matrix()
    for batches in ([batch([2, 1, 0]), batch([3], task="z")], [batch([3], task="z"), batch([2, 0]), batch([1])]):
        assert affinity(model, *batches).matrix() == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_dropout_is_off_and_no_gradient_is_left_behind():
    model = star(embedding_dropout=0.5, locked_dropout=0.5, output_dropout=0.5).train()
    first, second = (affinity(model, batch([0, 1, 2, 3])) for _ in range(2))
    assert first.edges == second.edges
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_probe_is_as_many_texts_of_every_task_as_there_are():
    splits = {
        name: EncodedSplit(tasks=[name], texts=[[3 + i] for i in range(size)]) for name, size in (("x", 9), ("y", 2))
    }
    first, again, other = (list(probe_batches(splits, per_task=4, seed=seed)) for seed in (0, 0, 1))
    assert [batch.tasks for batch in first] == [("x",), ("y",)]
    assert [len(set(batch.tokens.flatten().tolist())) for batch in first] == [4, 2]
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].tokens, other[0].tokens)


def test_a_large_probe_is_read_in_parts():
    split = EncodedSplit(tasks=["x"], texts=[[3 + i] * (1 + i % 3) for i in range(70)])
    parts = list(probe_batches({"x": split}, per_task=60, seed=0))
    assert [len(part.lengths) for part in parts] == [50, 10]
    words = {word for part in parts for word in part.tokens[:, 0].tolist()}
    assert len(words) == 60
    assert parts[0].lengths.max() <= parts[1].lengths.min()


def test_logit_correlation_is_pearsons_of_the_margins():
    model = star("xyz")
    model.tasks["y"] = replace(model.tasks["y"], labels=("1", "2"))
    others = EncodedSplit(tasks=["y"], texts=[[7, 8]]).batch([0])  # neither x's nor z's
    model.heads[1] = type(model.heads[0])(input_size=model.heads[0].linear.in_features, classes=2, dropout=0.0).double()
    graph = logit_correlation(model, [batch([0, 1]), others, batch([2, 3], task="z")], split="valid", seed=0)
    margins = []
    encoded = model.encode(batch([0, 1, 2, 3]))
    for k, name in enumerate("xyz"):
        states, _ = model.architecture.read(encoded.states, encoded.lengths, [k])[0]
        logits = model.classify(model.represent(states, encoded, name), name)
        margins.append((logits - logits.mean(0)).flatten())
    expected = torch.corrcoef(torch.stack(margins)[[0, 2]])[0, 1].item()
    edges = [edge for edge in graph.edges if {edge.source, edge.target} == {"x", "z"}]
    assert [edge.weight for edge in edges] == pytest.approx([expected, expected], abs=1e-9)
    assert {edge.count for edge in edges} == {len(TEXTS)}


def test_logit_correlation_joins_tasks_with_the_same_labels():
    graph = logit_correlation(star(), [batch([0, 1, 2, 3])], split="valid", seed=0)
    assert {(edge.source, edge.target) for edge in graph.edges} == {("x", "z"), ("z", "x")}
