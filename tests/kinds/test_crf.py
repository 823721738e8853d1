import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.errors import InputError
from graphmtl.kinds.crf import CRFHead
from tests.layers.test_pooling import states

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


def test_a_crf_has_no_weights_of_classes():
    with pytest.raises(InputError, match="class_weights of task 'ner': a CRF's loss is of whole sequences"):
        crf().weigh(torch.ones(5), "ner")
