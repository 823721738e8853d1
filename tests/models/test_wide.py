"""The wide part: its features are scikit-learn's, its answers are pooled with the graph's."""

from collections import Counter
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from graphmtl.data.task import Task
from graphmtl.data.tokenizer import PAD, SEP, UNK
from graphmtl.models import wide
from graphmtl.models.wide import BUCKETS, Wide, count_ngrams, ngrams_of
from tests.models.small import TASKS, batch, build

SPECIAL = (PAD, UNK, SEP)
texts = st.lists(st.lists(st.sampled_from([UNK, SEP, 3, 4, 5, 70_000]), min_size=1, max_size=8), min_size=1, max_size=5)


def padded(rows, more=0):
    """Token ids (batch, tokens) and lengths (batch,)."""
    lengths = torch.tensor([*map(len, rows)])
    tokens = torch.full((len(rows), int(lengths.max()) + more), PAD)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
    return tokens, lengths


def slow_counts(row):
    """Of one text how often each place is hit, one n-gram at a time, in Python's whole numbers."""

    def place(key):
        return (key * 0x9E3779B97F4A7C15 % 2**64) >> (64 - 18)

    known = [token > SEP for token in row]
    words = [place(token) for token, is_known in zip(row, known, strict=True) if is_known]
    pairs = [
        place((a + 1) * 2**31 + b) for (a, b), both in zip(pairwise(row), pairwise(known), strict=True) if all(both)
    ]
    return Counter(words + pairs)


@given(texts, st.integers(0, 3))
def test_counts_are_those_of_a_loop_whatever_the_padding(rows, more):
    found = count_ngrams(*padded(rows, more), special=SPECIAL)
    assert found.texts == len(rows)
    for i, row in enumerate(rows):
        own = found.rows == i
        assert dict(zip(found.buckets[own].tolist(), found.counts[own].tolist(), strict=True)) == slow_counts(row)


def test_pairs_are_ordered_and_apart_from_words():
    buckets = [{*count_ngrams(*padded([row]), special=SPECIAL).buckets.tolist()} for row in ([3, 4], [4, 3])]
    words = buckets[0] & buckets[1]
    assert [len(own) for own in (*buckets, words)] == [3, 3, 2]


@pytest.mark.parametrize(
    "words",
    [range(3, 100_003), np.random.default_rng(0).integers(3, 70_000, 100_000).tolist()],
    ids=["each", "any"],
)
def test_places_are_used_as_evenly_as_by_chance(words):
    found = count_ngrams(*padded([words]), special=SPECIAL).buckets
    different = len({*words}) + len({*pairwise(words)})
    # of n balls thrown into b places b (1 - exp(-n / b)) are hit
    assert len(found) > 0.98 * BUCKETS * (1 - np.exp(-different / BUCKETS))


@given(texts)
def test_values_are_those_of_scikit_learn(rows):
    ngrams, part = count_ngrams(*padded(rows), special=SPECIAL), Wide(columns=1, separate=False)
    counts = sparse.csr_matrix((ngrams.counts, (ngrams.rows, ngrams.buckets)), shape=(len(rows), BUCKETS))
    transformer = TfidfTransformer(sublinear_tf=True).fit(counts)
    part.idf.copy_(torch.from_numpy(transformer.idf_))
    expected = transformer.transform(counts.astype(float)).tocsr()
    found = sparse.csr_matrix((part.values(ngrams), (ngrams.rows, ngrams.buckets)), shape=counts.shape)
    assert abs(found - expected).max() < 1e-6


def test_scores_are_logits_of_two_of_three_or_of_each_label():
    scores = torch.tensor([[0.5, -1.0, 2.0]])
    one = torch.sigmoid(scores[:, :1])
    assert torch.allclose(
        Wide(columns=1, separate=False).logits(scores[:, :1]).softmax(-1), torch.cat([1 - one, one], 1)
    )
    p = torch.sigmoid(scores)
    assert torch.allclose(Wide(columns=3, separate=False).logits(scores).softmax(-1), p / p.sum())
    assert Wide(columns=3, separate=True).logits(scores) is scores


def learned(model):
    """The model, with wide parts that have an answer of their own to every word."""
    for part in model.wide.values():
        part.idf.fill_(1.0)
        part.weight.copy_(torch.randn(part.weight.shape, generator=torch.Generator().manual_seed(0)))
        part.strength.fill_(1.0)
    return model


def test_answers_are_pooled_in_equal_parts_and_not_in_training():
    model, alone, given = learned(build("shared", wide=True)), build("shared"), batch("a")
    model.load_state_dict(alone.state_dict(), strict=False)
    graph, both = (each(given)["a"].logits for each in (alone, model))
    own = model.wide_part("a")(ngrams_of(given, SPECIAL))
    assert not torch.allclose(both, graph)
    assert torch.allclose(both, (graph + own) / 2)
    geometric = (graph.softmax(-1) * own.softmax(-1)).sqrt()
    assert torch.allclose(both.softmax(-1), geometric / geometric.sum(-1, keepdim=True))
    model.train()
    assert model._ngrams(given) is None


def test_what_has_not_learned_says_nothing():
    model, alone, given = build("shared", wide=True), build("shared"), batch("b")
    model.load_state_dict(alone.state_dict(), strict=False)
    assert torch.equal(model(given)["b"].logits, alone(given)["b"].logits)


def test_tasks_of_pairs_scores_and_tags_have_none():
    tasks = [
        *TASKS,
        Task(name="score", kind="regression"),
        Task(name="tags", kind="token-classification", labels=("O", "B-x")),
    ]
    model = build("shared", tasks=tasks, wide=True, chars="none")
    assert [name for name in model.tasks if model.wide_part(name) is not None] == ["a", "b"]
    assert [model.wide_part(name).weight.size(1) for name in ("a", "b")] == [1, 3]


def test_a_text_is_answered_alike_in_every_batch():
    model = learned(build("star", wide=True))
    together = model(batch("b"))["b"].logits
    for i, row in enumerate([(3, 4), (5, 6, 7, 8), (1,)]):
        assert torch.allclose(model(batch("b", [row]))["b"].logits[0], together[i], atol=1e-6)


def test_it_is_saved_with_the_model(tmp_path):
    model = learned(build("shared", wide=True))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.options.wide
    assert torch.equal(again(batch("b"))["b"].logits, model(batch("b"))["b"].logits)


def test_gradients_do_not_reach_it():
    assert not {name for name, _ in build("shared", wide=True).named_parameters() if name.startswith("wide")}
    assert wide.BUCKETS == 2**18


@pytest.mark.parametrize("separate", [False, True])
def test_probabilities_come_back_as_logits(separate):
    part = Wide(columns=3, separate=separate)
    logits = torch.randn(50, 3) * torch.tensor([1.0, 4.0, 12.0])
    to_probabilities = torch.sigmoid if separate else partial(torch.softmax, dim=-1)
    expected = logits.clamp(-80, 16) if separate else logits.log_softmax(-1)
    found = part.logits_of(to_probabilities(logits))
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=0, atol=2.0 if separate else 1e-3)
    near = expected.abs() < 8
    torch.testing.assert_close(found[near], expected[near], rtol=1e-3, atol=1e-3)
    sure = part.logits_of(torch.tensor([[0.0, 1.0, 0.5]]))
    assert sure.isfinite().all()
    assert (sure[0, 0], sure[0, 1]) < (-80, 17)


def test_logits_of_few_bits_are_pooled_in_32():
    part = Wide(columns=1, separate=False)
    part.share.fill_(0.25)
    part.temperature.fill_(2)
    graph, own = torch.randn(4, 2).bfloat16(), torch.randn(4, 2)
    torch.testing.assert_close(part.pool(graph, own), 0.375 * graph.float() + 0.25 * own)
    assert part.pool(graph.double(), own).dtype == torch.float64
