"""CMTR against its equations written out for one instance, one task, one token at a time."""

import pytest
import torch
from torch.nn import functional as F

from graphmtl.layers import recordings
from graphmtl.layers.interaction import Ablation
from tests.parts import build_architecture

TASKS = ("a", "b", "c", "d")
SPARSE = "[[a, c], [d, c], [c, a], [a, d]]"  # b reads itself alone
SIZE = 6  # of a state and, by max pooling, of a text
LENGTHS = torch.tensor([5, 1, 7, 3])
EVERY = [{}, {"topology": SPARSE}, {"interaction": "none"}, {"interaction": "none", "topology": SPARSE}]
EVERY += [
    {"fusion_values": "interacted"},
    {"uniform_gates": True},
    {"gate_range": 0.0, "residual": False},
    {"gate_range": 2.0, "train_sources": True},
]
BOTH = [{"topology": SPARSE, "fusion_values": "interacted", "interaction": kind} for kind in ("attention", "none")]
every_form = pytest.mark.parametrize("options", [*EVERY, *BOTH])


def build(tasks=TASKS, contextual=False, **options):
    torch.manual_seed(0)
    sizes = {"hidden": 3, "attention": 4, "interaction_heads": 2, "adapter_size": 5}
    options = sizes | {"interaction": "attention"} | options
    cmtr = build_architecture("cmtr", tasks=tasks, input_size=SIZE, contextual=contextual, **options).double()
    for parameter in cmtr.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return cmtr.eval()


def states(*shape):
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


def norm(layer, x):
    return F.layer_norm(x, (SIZE,)) * layer.weight + layer.bias


def reads(cmtr, source, target):
    return source == target or cmtr.topology is None or (cmtr.tasks[source], cmtr.tasks[target]) in cmtr.topology.edges


def represented(cmtr, h):
    """z_j of one instance, h (SIZE,)."""
    own = cmtr.adapters
    inner = [norm(own.norm, h) @ own.down.weight[j] + own.down.bias[j] for j in range(len(cmtr.tasks))]
    return [F.gelu(x) @ own.up.weight[j] + own.up.bias[j] for j, x in enumerate(inner)]


def interacted(cmtr, z, cut=()):
    """z'_j of one instance, and alpha[i][j], the mean over the heads; no other task reads those that are cut."""
    x = [own + embedding for own, embedding in zip(z, cmtr.task_embedding, strict=True)]
    K = len(x)
    if cmtr.interaction is None:
        return x, torch.eye(K, dtype=torch.float64)
    read, alpha, out = cmtr.interaction.read, torch.zeros(K, K, dtype=torch.float64), []
    for i in range(K):
        sources, messages = [j for j in range(K) if reads(cmtr, j, i) and (j == i or j not in cut)], []
        for head in range(read.heads):
            some = slice(head * read.channels, (head + 1) * read.channels)
            q = read.lin_query(x[i])[some]
            scores = torch.stack([q @ read.lin_key(x[j])[some] / read.channels**0.5 for j in sources])
            weights = torch.softmax(scores, 0)
            messages.append(sum(w * read.lin_value(x[j])[some] for w, j in zip(weights, sources, strict=True)))
            alpha[i, sources] += weights / read.heads
        out.append(norm(cmtr.interaction.norm, x[i] + cmtr.interaction.output(torch.cat(messages))))
    return out, alpha


def gates_of(cmtr, h, x, k, sources):
    """g_k of one instance h (SIZE,) over the sources, where x are its z'."""
    if cmtr.gate_bias is None:
        return torch.full((len(sources),), 1 / len(sources), dtype=torch.float64)
    scores = 4 * cmtr.gate_bias[k, sources]
    if cmtr.query is not None:
        text = norm(cmtr.adapters.norm, h)
        q = cmtr.query(text if cmtr.interaction is None else text + x[k])
        keys = [cmtr.key(cmtr.task_embedding[j]) for j in sources]
        scores = scores + cmtr.options.gate_range * torch.stack([q @ key / q.norm() / key.norm() for key in keys])
    return torch.softmax(scores, 0)


def reference(cmtr, h, k, cut=(), renormalise=True):
    """What head k sees of one instance h (SIZE,), and the weight of every task, (K,)."""
    z = represented(cmtr, h)
    x, alpha = interacted(cmtr, z, cut)
    sources = [j for j in range(len(z)) if reads(cmtr, j, k)]
    gates = gates_of(cmtr, h, x, k, sources)
    gates = torch.stack([0 * g if j in cut else g for g, j in zip(gates, sources, strict=True)])
    gates = gates / gates.sum() if renormalise else gates
    values = x if cmtr.interacted else z
    seen = sum(g * values[j] for g, j in zip(gates, sources, strict=True))
    seen = h + seen if cmtr.options.residual else seen
    weights = torch.zeros(len(z), dtype=torch.float64)
    weights[sources] = gates
    return seen, weights @ alpha if cmtr.interacted else weights


def all_weights(edges):
    """The weights (..., K) of every task, 0 for those that are not read."""
    weights = edges.weights.new_zeros(*edges.weights.shape[:-1], len(TASKS))
    weights[..., [TASKS.index(name) for name in edges.sources]] = edges.weights
    return weights


@every_form
@pytest.mark.parametrize("task", [1, 2])
def test_a_text_equals_the_reference(options, task):
    cmtr, h = build(**options), states(4)
    seen = cmtr.interact(h, LENGTHS, task, edges=True)
    weights = all_weights(seen.edges)
    assert weights.shape == (4, 1, 4)
    for b in range(4):
        expected, gates = reference(cmtr, h[b], task)
        assert_equal(seen.h[b], expected)
        assert_equal(weights[b, 0], gates)


@every_form
def test_every_token_of_tags_equals_the_reference(options):
    cmtr, h = build(**options), states(4, 7)
    seen = cmtr.interact(h, LENGTHS, 2, edges=True)
    weights = all_weights(seen.edges)
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            expected, gates = reference(cmtr, h[b, t], 2)
            assert_equal(seen.h[b, t], expected)
            assert_equal(weights[b, t], gates)
        assert not weights[b, length:].any()


@every_form
@pytest.mark.parametrize("renormalise", [True, False])
def test_a_source_that_is_cut_is_not_fused_nor_read_on_the_way(options, renormalise):
    cmtr, h = build(**options), states(4)
    ablation = Ablation(edges=frozenset({("a", "c"), ("c", "a")}), renormalise=renormalise)
    seen = cmtr.interact(h, LENGTHS, 2, edges=True, ablation=ablation)
    for b in range(4):
        expected, weights = reference(cmtr, h[b], 2, cut={0}, renormalise=renormalise)
        assert_equal(seen.h[b], expected)
        assert_equal(all_weights(seen.edges)[b, 0], weights)


@pytest.mark.parametrize("kind", ["attention", "transformer", "gatv2"])
@pytest.mark.parametrize("options", [{}, {"fusion_values": "interacted"}])
def test_what_a_source_says_that_is_cut_changes_nothing(kind, options):
    cmtr, h = build(interaction=kind, **options), states(4)
    cut = Ablation(edges=frozenset({("a", "c")}))
    whole, before = cmtr.interact(h, LENGTHS, 2).h, cmtr.interact(h, LENGTHS, 2, ablation=cut).h
    with torch.no_grad():
        cmtr.adapters.up.weight[0] += 1
        cmtr.task_embedding[0] += 1
    assert not torch.allclose(cmtr.interact(h, LENGTHS, 2).h, whole, atol=1e-3)
    assert_equal(cmtr.interact(h, LENGTHS, 2, ablation=cut).h, before)


def test_edges_of_fused_interacted_values_come_from_the_sources_sources():
    cmtr = build(topology="[[a, b], [b, c]]", fusion_values="interacted")
    read = [cmtr.interact(states(4), LENGTHS, k, edges=True).edges for k in range(4)]
    assert [edges.sources for edges in read] == [("a",), ("a", "b"), ("a", "b", "c"), ("d",)]
    assert all(edges.weights.min() > 0 for edges in read)
    alone = build(topology="[[a, b], [b, c]]", fusion_values="interacted", interaction="none")
    edges = alone.interact(states(4), LENGTHS, 2, edges=True).edges
    assert (edges.sources, edges.weights.shape) == (("b", "c"), (4, 1, 2))


def test_without_an_interaction_what_is_fused_has_the_tasks_embeddings():
    h, whole = states(4), {"interaction": "none", "residual": False}
    raw, interacted = build(**whole), build(fusion_values="interacted", **whole)
    gates = interacted.interact(h, LENGTHS, 2, edges=True).edges.weights.squeeze(1)  # (batch, K)
    added = gates @ interacted.task_embedding
    assert_equal(interacted.interact(h, LENGTHS, 2).h, raw.interact(h, LENGTHS, 2).h + added)


def test_contributions_are_the_gates_times_what_they_let_through():
    cmtr, h = build(), states(4)
    edges = cmtr.interact(h, LENGTHS, 2, edges=True).edges
    expected = torch.stack([torch.stack(represented(cmtr, own)).norm(dim=-1) for own in h])  # (4, K)
    assert_equal(edges.contributions().squeeze(1), edges.weights.squeeze(1) * expected)


@every_form
@pytest.mark.parametrize("shape", [(4,), (4, 7)])
def test_what_a_task_reads_sums_to_one(options, shape):
    seen = build(**options).interact(states(*shape), LENGTHS, 2, edges=True)
    assert_equal(seen.edges.per_instance().sum(-1), torch.ones(4, dtype=torch.float64))


def test_a_task_reads_from_itself_and_from_the_topologys_sources_only():
    cmtr = build(topology=SPARSE)
    read = [cmtr.interact(states(4), LENGTHS, k, edges=True).edges for k in range(4)]
    assert [edges.sources for edges in read] == [("a", "c"), ("b",), ("a", "c", "d"), ("a", "d")]
    assert_equal(read[1].per_instance(), torch.ones(4, 1, dtype=torch.float64))


def test_uniform_gates_are_the_mean_of_what_is_read():
    h = states(4)
    seen = build(uniform_gates=True, topology=SPARSE).interact(h, LENGTHS, 2, edges=True)
    assert_equal(seen.h, h + seen.nodes[:, [0, 2, 3]].mean(1))
    assert_equal(seen.edges.weights, torch.full((4, 1, 3), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["attention", "transformer", "gatv2"])
@pytest.mark.parametrize("values", ["raw", "interacted"])
def test_permuting_the_tasks_permutes_the_gates_and_changes_nothing_else(kind, values):
    cmtr, h, order = build(interaction=kind, fusion_values=values), states(4), [2, 0, 3, 1]
    permuted = build(tasks=[TASKS[k] for k in order], interaction=kind, fusion_values=values)
    state = cmtr.state_dict()
    for name in state:
        if name in ("task_embedding", "gate_bias") or name.startswith(("adapters.down", "adapters.up")):
            state[name] = state[name][order]
    state["gate_bias"] = state["gate_bias"][:, order]
    permuted.load_state_dict(state)
    for k in range(4):
        before = cmtr.interact(h, LENGTHS, k, edges=True)
        after = permuted.interact(h, LENGTHS, order.index(k), edges=True)
        assert_equal(after.h, before.h)
        assert_equal(after.edges.weights, before.edges.weights[..., order])
        assert after.edges.sources == tuple(before.edges.sources[k] for k in order)


@every_form
def test_gradcheck(options):
    cmtr = build(tasks=TASKS, **{"train_sources": True, **options})
    parameters = {name: value for name, value in cmtr.named_parameters() if not name.startswith("lstm")}

    def seen(h, *values):
        named = dict(zip(parameters, values, strict=True))
        return _seen(cmtr, named, h)

    assert torch.autograd.gradcheck(seen, (states(2).requires_grad_(), *parameters.values()), fast_mode=True)


class _Interact(torch.nn.Module):
    def __init__(self, cmtr):
        super().__init__()
        self.cmtr = cmtr

    def forward(self, h):
        return self.cmtr.interact(h, LENGTHS[: len(h)], 2).h


def _seen(cmtr, named, h):
    return torch.func.functional_call(_Interact(cmtr), {f"cmtr.{name}": value for name, value in named.items()}, (h,))


def test_a_contextual_encoder_needs_no_lstm():
    cmtr = build(contextual=True)
    x = states(4, 7)
    read, _ = cmtr.read(x, LENGTHS, [0])[0]
    assert not [name for name, _ in cmtr.named_parameters() if name.startswith("lstm")]
    inside = torch.arange(7) < LENGTHS[:, None]
    assert_equal(read, x * inside[..., None])
    assert cmtr.interact(read.amax(1), LENGTHS, 1).h.shape == (4, SIZE)


def test_the_penalty_is_one_of_each_text_and_only_of_training():
    cmtr = build(gate_reg="entropy")
    h = states(4, 7)
    gates = cmtr.interact(h, LENGTHS, 1, edges=True).edges.per_instance()  # (4, K)
    assert cmtr.interact(h, LENGTHS, 1).penalty is None
    assert_equal(cmtr.train().interact(h, LENGTHS, 1).penalty, -(gates * gates.log()).sum(-1))
    assert build(gate_reg="none").train().interact(h, LENGTHS, 1).penalty is None
    assert build(uniform_gates=True).train().interact(h, LENGTHS, 1).penalty is None


def test_bfloat16_on_autocast():
    cmtr = build().float()
    with torch.autocast("cpu", torch.bfloat16):
        seen = cmtr.train().interact(states(4).float(), LENGTHS, 1, edges=True)
    exact = cmtr.interact(states(4).float(), LENGTHS, 1, edges=True)
    assert (seen.h - exact.h).norm() / exact.h.norm() < 0.05
    assert (seen.edges.weights - exact.edges.weights).abs().max() < 0.05


@every_form
@pytest.mark.parametrize("shape", [(4,), (4, 7)])
def test_the_views_are_what_a_task_says_alone_and_what_it_reads_of_the_others(options, shape):
    cmtr, h = build(**options), states(*shape)
    assert cmtr.interact(h, LENGTHS, 2).views == {}
    seen = cmtr.train().interact(h, LENGTHS, 2)
    for own, alone, rest in zip(
        *(x.reshape(-1, SIZE) for x in (h, seen.views["own"], seen.views["others"])), strict=True
    ):
        z = represented(cmtr, own)
        x, _ = interacted(cmtr, z)
        values, sources = x if cmtr.interacted else z, [j for j in range(4) if reads(cmtr, j, 2)]
        gates = dict(zip(sources, gates_of(cmtr, own, x, 2, sources), strict=True))
        assert_equal(alone, values[2])
        others = [j for j in sources if j != 2]
        assert_equal(rest, sum(gates[j] * values[j] for j in others) / sum(gates[j] for j in others))


def test_a_task_without_sources_has_no_view_of_others():
    assert [*build(topology=SPARSE).train().interact(states(4), LENGTHS, 1).views] == ["own"]


@pytest.mark.parametrize("values", ["raw", "interacted"])
@pytest.mark.parametrize("view", ["h", "own", "others"])
def test_a_task_trains_its_own_representation_alone(values, view):
    cmtr, h = build(fusion_values=values).train(), states(4).requires_grad_()
    seen = cmtr.interact(h, LENGTHS, 2)
    (seen.h if view == "h" else seen.views[view]).square().sum().backward()
    norms = [cmtr.adapters.up.weight.grad[j].norm() for j in range(4)]
    assert [j for j in range(4) if norms[j] > 0] == [2]  # of the others alone, by its query for the gates
    loose = build(fusion_values=values, train_sources=True).train()
    loose.interact(states(4), LENGTHS, 2).h.square().sum().backward()
    assert all(loose.adapters.up.weight.grad[j].norm() > 0 for j in range(4))


@pytest.mark.parametrize("topology", [None, SPARSE])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_gates_start_at_the_prior(topology, share):
    torch.manual_seed(0)
    cmtr = build_architecture("cmtr", tasks=TASKS, input_size=SIZE, topology=topology, gate_prior=share, gate_range=0.0)
    h = torch.randn(20, cmtr.output_size)
    for k, sources in enumerate(cmtr.sources):
        gates = cmtr.interact(h, torch.ones(20), k, edges=True).edges.per_instance()  # (20, S)
        others = (1 - share) / max(len(sources) - 1, 1)
        expected = torch.tensor([1.0 if len(sources) == 1 else share if j == k else others for j in sources])
        torch.testing.assert_close(gates, expected.expand(20, -1))


def test_a_text_moves_the_gates_no_further_than_their_range():
    cmtr, h = build(gate_range=0.5, interaction="none"), states(50)
    common = 4 * cmtr.gate_bias[2]  # (K,)
    gates = cmtr.interact(h, torch.ones(50), 2, edges=True).edges.per_instance()  # (50, K)
    moved = gates.log() - common  # up to a constant of each text
    spread = moved.amax(1) - moved.amin(1)  # (50,)
    assert spread.max() <= 1 + 1e-9
    assert spread.max() > 0.5
    still = build(gate_range=0.0).interact(h, torch.ones(50), 2, edges=True).edges.per_instance()
    assert_equal(still, still[:1].expand_as(still))


def test_without_gate_bias_the_common_scores_stay_at_their_start():
    cmtr = build_architecture("cmtr", tasks=TASKS, input_size=SIZE, gate_bias=False)
    assert not cmtr.gate_bias.requires_grad
    assert build_architecture("cmtr", tasks=TASKS, input_size=SIZE).gate_bias.requires_grad


def test_the_weight_of_the_penalty_rises_over_the_ramp():
    cmtr = build(gate_reg_weight=0.5, gate_ramp=0.5)
    weights = [cmtr.penalty_weight(step, 20) for step in range(1, 21)]
    assert weights == pytest.approx([0.5 * step / 10 for step in range(1, 11)] + [0.5] * 10)
    assert build(gate_reg_weight=0.5, gate_ramp=0.0).penalty_weight(1, 20) == 0.5


class CalledAgain:
    """What stands in for a CUDA graph: the call is made again, and what it returns is written where it stood."""

    def __init__(self, call):
        self.call, self.result = call, call()

    def replay(self):
        again = self.call()
        for old, new in zip(*(r if isinstance(r, tuple) else (r,) for r in (self.result, again)), strict=True):
            old.detach().copy_(new)


@every_form
@pytest.mark.parametrize("target", [1, 2])
def test_a_recorded_step_is_a_step(options, target, monkeypatch):
    made = []
    monkeypatch.setattr(recordings, "_record", lambda call, _: made.append(call) or CalledAgain(call))
    cmtr, h = build(gate_reg="prior", **options).train(), states(5).requires_grad_()

    def step():
        seen = cmtr.interact(h, torch.ones(5), target)
        answers = [seen.h, seen.nodes, *seen.views.values(), *(() if seen.penalty is None else (seen.penalty,))]
        loss = sum((place + 1) * answer.square().sum() for place, answer in enumerate(answers))
        grads = torch.autograd.grad(loss, [h, *cmtr.parameters()], allow_unused=True, materialize_grads=True)
        return [*(answer.detach() for answer in answers), *grads]

    expected = step()
    monkeypatch.setattr(recordings.Recordings, "_can_record", lambda *_: True)
    monkeypatch.setattr(recordings, "_BEFORE", 0)
    for _ in range(2):
        for ours, theirs in zip(step(), expected, strict=True):
            assert_equal(ours, theirs)
    assert len(made) == 2
