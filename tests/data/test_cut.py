from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.cut import _quotas, cut

EXAMPLES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz") | st.text(max_size=3)), max_size=40)


@given(EXAMPLES, st.floats(0.01, 0.99) | st.integers(1, 20), st.integers(0, 3))
def test_a_cut_keeps_equal_texts_on_one_side_and_a_bit_of_every_label(pairs, size, seed):
    labels, keys = [label for label, _ in pairs], [key for _, key in pairs]
    held_out = cut(labels, keys, size=size, rng=np.random.default_rng(seed))
    sides = {}
    for key, side in zip(keys, held_out, strict=True):
        sides.setdefault(key, set()).add(bool(side))
    assert all(len(side) == 1 for key, side in sides.items() if key)
    assert held_out.sum() <= (round(size * len(labels)) if size < 1 else size)
    assert {label for label, side in zip(labels, held_out, strict=True) if not side} == set(labels)


@pytest.mark.parametrize(("size", "count"), [(0.1, 100), (0.25, 250), (200, 200), (7, 7)])
def test_a_cut_of_different_texts_has_exactly_the_size_and_the_labels_shares(size, count):
    labels = ["a"] * 700 + ["b"] * 200 + ["c"] * 100
    held_out = cut(labels, [str(i) for i in range(1000)], size=size, rng=np.random.default_rng(0))
    assert held_out.sum() == count
    found = Counter(np.array(labels)[held_out].tolist())
    assert all(abs(found[label] - count * share) < 1 for label, share in {"a": 0.7, "b": 0.2, "c": 0.1}.items())


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.sampled_from(["", "u", "v", "w", "x"])), max_size=30),
    st.floats(0.05, 0.9),
    st.integers(0, 3),
)
def test_groups_are_drawn_in_the_order_of_their_first_rows(pairs, size, seed):
    labels, keys = [label for label, _ in pairs], [key for _, key in pairs]
    groups = {}
    for i, key in enumerate(keys):
        if key is not None:
            groups.setdefault(key or i, []).append(i)
    count = round(size * len(labels))
    room, expected = _quotas(Counter(labels), count), np.zeros(len(labels), dtype=bool)
    groups = [*groups.values()]
    for g in np.random.default_rng(seed).permutation(len(groups)):
        wanted = Counter(labels[i] for i in groups[g])
        if all(room[label] >= n for label, n in wanted.items()):
            room.subtract(wanted)
            expected[groups[g]] = True
    assert cut(labels, keys, size=size, rng=np.random.default_rng(seed)).tolist() == expected.tolist()
