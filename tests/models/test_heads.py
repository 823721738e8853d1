import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.models.heads import ClassificationHead, CRFHead, LinearTagHead, RegressionHead
from tests.layers.test_pooling import states


def test_the_head_is_a_linear_layer():
    head = ClassificationHead(input_size=4, classes=3, dropout=0.5).eval()
    x = torch.randn(2, 4)
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)
    assert head(x).shape == (2, 3)


def test_dropout_stands_before_the_layer_and_only_in_training():
    torch.manual_seed(0)
    head = ClassificationHead(input_size=1000, classes=1, dropout=0.25).train()
    torch.nn.init.ones_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    kept = (head(torch.ones(500, 1000)) * 0.75).squeeze(-1)  # how many of 1,000 ones are left
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-2)
    assert abs(kept.mean() / 1000 - 0.75) < 0.01
    assert head.eval()(torch.ones(1, 1000)).item() == pytest.approx(1000)


LABELS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def crf(labels=LABELS, spans=True, seed=0) -> CRFHead:
    torch.manual_seed(seed)
    head = CRFHead(input_size=3, labels=labels, spans=spans, dropout=0.0).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def is_valid(path, labels=LABELS) -> bool:
    tags = ["O", *(labels[tag] for tag in path)]
    return all(tag[0] != "I" or (before != "O" and before[2:] == tag[2:]) for before, tag in pairwise(tags))


def path_score(head, logits, path) -> float:
    score = head.starts[path[0]] + head.ends[path[-1]] + sum(logits[t, tag] for t, tag in enumerate(path))
    return (score + sum(head.transitions[a, b] for a, b in pairwise(path))).item()


def brute_force(head, logits, length, labels=LABELS, spans=True):
    """Every path that may be, with its probability."""
    paths = [p for p in product(range(len(labels)), repeat=length) if not spans or is_valid(p, labels)]
    scores = torch.tensor([path_score(head, logits, path) for path in paths], dtype=torch.float64)
    return dict(zip(paths, scores.softmax(0).tolist(), strict=True))


crf_kinds = pytest.mark.parametrize(("labels", "spans"), [(LABELS, True), (LABELS[:3], True), (("x", "y", "z"), False)])


@crf_kinds
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_the_crf_equals_a_sum_over_all_paths(labels, spans, lengths, seed):
    head, (x, sizes) = crf(labels, spans, seed), states(lengths)
    logits = head(x)
    expected, gold = [], torch.full(x.shape[:2], -100)
    decoded = head.decode(logits, sizes)
    for row, length in enumerate(lengths):
        paths = brute_force(head, logits[row], length, labels, spans)
        path = sorted(paths)[seed % len(paths)]
        gold[row, :length] = torch.tensor(path)
        expected.append(-math.log(paths[path]))
        assert tuple(decoded[row, :length].tolist()) == max(paths, key=paths.get)
    torch.testing.assert_close(head.losses(logits, gold, sizes).tolist(), expected)


@settings(max_examples=25)
@given(known=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_a_token_without_a_label_may_have_any(known, seed):
    lengths = [len(own) for own in known]
    head, (x, sizes) = crf(seed=seed), states(lengths)
    logits, gold, expected = head(x), torch.full(x.shape[:2], -100), []
    for row, own in enumerate(known):
        paths = brute_force(head, logits[row], len(own))
        path = sorted(paths)[seed % len(paths)]
        for t, label_is_there in enumerate(own):
            gold[row, t] = path[t] if label_is_there else -100
        agreeing = [p for q, p in paths.items() if all(q[t] == path[t] for t in range(len(own)) if own[t])]
        expected.append(-math.log(sum(agreeing)))
    losses = head.losses(logits, gold, sizes)
    torch.testing.assert_close(losses.tolist(), expected, rtol=1e-6, atol=1e-7)
    losses.sum().backward()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)  # None: no transition


def test_a_sentence_without_labels_has_no_loss_and_no_gradient():
    head, (x, sizes) = crf(), states([3, 1])
    losses = head.losses(head(x), torch.full((2, 3), -100), sizes)
    assert losses.tolist() == [0, 0]
    losses.sum().backward()
    assert all(parameter.grad.abs().max() < 1e-12 for parameter in head.parameters())


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 12), scale=st.sampled_from([1.0, 100.0, 900.0]))
def test_what_is_decoded_is_valid_iob2_whatever_was_learned(seed, length, scale):
    head = crf(seed=seed)
    head.transitions.data *= scale
    logits = scale * torch.randn(2, length, len(LABELS), dtype=torch.float64)
    for path in head.decode(logits, torch.tensor([length, 1]))[:1].tolist():
        assert is_valid(path)
    assert is_valid(head.decode(logits, torch.tensor([length, 1]))[1, :1].tolist())


def test_padding_plays_no_part_in_a_crf():
    head, (x, sizes) = crf(), states([2, 4, 1])
    gold = torch.tensor([[1, 2, -100, -100], [0, 3, 4, 0], [1, -100, -100, -100]])
    losses, tags = head.losses(head(x), gold, sizes), head.decode(head(x), sizes)
    for row, length in enumerate([2, 4, 1]):
        alone, size = head(x[row : row + 1, :length]), torch.tensor([length])
        torch.testing.assert_close(head.losses(alone, gold[row : row + 1, :length], size)[0], losses[row])
        assert torch.equal(head.decode(alone, size)[0], tags[row, :length])


def test_a_crf_in_half_precision_is_computed_in_single():
    head, (x, sizes) = crf().float(), states([3])
    losses = head.losses(head(x.float()).bfloat16(), torch.tensor([[1, 2, 0]]), sizes)
    assert losses.dtype == torch.float32


def test_the_linear_head_takes_the_largest_logit():
    torch.manual_seed(0)
    head = LinearTagHead(input_size=3, labels=LABELS, spans=True, dropout=0.0).double()
    x, sizes = states([3, 1])
    assert head.losses(head(x), torch.zeros(2, 3, dtype=torch.int64), sizes) is None
    assert torch.equal(head.decode(head(x), sizes), head(x).argmax(-1))


def regression(scale=None, **buffers):
    head = RegressionHead(input_size=4, scale=scale, dropout=0.0).double()
    head.standardise(torch.tensor([1.0, 3.0, math.nan, 5.0], dtype=torch.float64))
    return head


def test_a_regression_standardises_its_labels():
    head = regression()
    assert head.mean.item() == 3
    assert head.std.item() == pytest.approx(math.sqrt(8 / 3))
    pooled = torch.randn(5, 4, dtype=torch.float64)
    logits = head(pooled)
    assert logits.shape == (5,)
    torch.testing.assert_close(head.scores(logits), 3 + head.std * (pooled @ head.linear.weight[0] + head.linear.bias))
    labels = torch.tensor([1.0, 2.0, math.nan, 4.0, 5.0], dtype=torch.float64)
    losses = head.losses(logits, labels, torch.ones(5))
    expected = [
        0 if math.isnan(y) else ((head.scores(z) - y) / head.std).item() ** 2
        for z, y in zip(logits, labels, strict=True)
    ]
    assert losses.tolist() == pytest.approx(expected, abs=1e-12)
    losses.sum().backward()
    assert head.linear.weight.grad.isfinite().all()


def test_no_score_outside_the_scale():
    logits = torch.tensor([-100.0, 0.0, 100.0], dtype=torch.float64)
    assert regression((0.0, 4.0)).scores(logits).tolist() == [0, 3, 4]
    assert regression().scores(logits)[2] > 100


def test_a_common_head_is_added_to_a_regression():
    head, common = regression(), torch.nn.Linear(4, 1).double()
    head.reset_to_zero()
    pooled = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(head(pooled, common), common(pooled)[:, 0])
