from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.errors import InputError
from graphmtl.training.sampling import TaskSampler

SAMPLINGS = ["proportional", "uniform", "sqrt", "temperature", "annealed"]
SIZES = {"large": 400, "middle": 100, "small": 25}


def make_lengths(**sizes: int) -> dict[str, np.ndarray]:
    return {name: np.random.default_rng(len(name)).integers(1, 200, size) for name, size in sizes.items()}


def make_sampler(sampling: str = "proportional", sizes: dict[str, int] = SIZES, **options) -> TaskSampler:
    values = {"lengths": make_lengths(**sizes), "batch_size": 8, "sampling": sampling, "temperature": 4.0, "epochs": 3}
    return TaskSampler(**values | options)


def as_lists(steps) -> list[tuple[str, list[int]]]:
    return [(task, rows.tolist()) for task, rows in steps]


def rows_of(sampler: TaskSampler, task: str, epoch: int) -> list[int]:
    return [row for name, rows in sampler.epoch(epoch) if name == task for row in rows.tolist()]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 16), st.integers(1, 5))
def test_a_proportional_epoch_is_every_example_exactly_once(sizes, batch_size, epoch):
    names = {f"task{i}": size for i, size in enumerate(sizes)}
    sampler = make_sampler(sizes=names, batch_size=batch_size)
    assert len(list(sampler.epoch(epoch))) == len(sampler)
    for name, size in names.items():
        assert sorted(rows_of(sampler, name, epoch)) == list(range(size))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_steps_do_not_depend_on_the_sampling(sampling):
    sampler = make_sampler(sampling)
    steps = list(sampler.epoch(2))
    assert len(sampler) == len(steps) == 50 + 13 + 4
    assert all(1 <= len(rows) <= 8 for _, rows in steps)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_examples_of_a_task_come_round_equally_often(sampling):
    sampler = make_sampler(sampling)
    for task, size in SIZES.items():
        counts = Counter(rows_of(sampler, task, 1))
        assert max(counts.values()) - min(counts.get(row, 0) for row in range(size)) <= 1


@pytest.mark.parametrize(
    ("sampling", "epoch", "alpha"),
    [
        ("uniform", 1, 0),
        ("sqrt", 1, 0.5),
        ("temperature", 1, 0.25),
        ("annealed", 1, 1),
        ("annealed", 2, 0.6),
        ("annealed", 3, 0.2),
    ],
)
def test_tasks_are_drawn_by_a_power_of_their_size(sampling, epoch, alpha):
    powers = {task: size**alpha for task, size in SIZES.items()}
    expected = {task: power / sum(powers.values()) for task, power in powers.items()}
    assert make_sampler(sampling).probabilities(epoch) == pytest.approx(expected)
    counts = Counter(task for seed in range(60) for task, _ in make_sampler(sampling, seed=seed).epoch(epoch))
    drawn = {task: counts[task] / counts.total() for task in SIZES}
    assert drawn == pytest.approx(expected, abs=0.03)  # 4 standard errors of 4,020 draws


def test_annealed_in_one_epoch_is_drawn_by_size():
    shares = make_sampler("annealed", epochs=1).probabilities(1)
    assert shares == pytest.approx({task: size / sum(SIZES.values()) for task, size in SIZES.items()})


def test_proportional_probabilities_are_the_shares_of_the_steps():
    sampler = make_sampler()
    counts = Counter(task for task, _ in sampler.epoch(1))
    assert sampler.probabilities(1) == pytest.approx({task: counts[task] / len(sampler) for task in SIZES})


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_an_epoch_needs_no_other_epoch(sampling):
    used = make_sampler(sampling)
    first, second, third = (as_lists(used.epoch(epoch)) for epoch in (1, 2, 3))
    assert third == as_lists(make_sampler(sampling).epoch(3))
    assert first != second
    assert first != as_lists(make_sampler(sampling, seed=1).epoch(1))


def test_batches_of_a_task_do_not_depend_on_the_other_tasks():
    alone = make_sampler(sizes={"middle": 100})
    assert as_lists(alone.epoch(2)) == [step for step in as_lists(make_sampler().epoch(2)) if step[0] == "middle"]


def test_tasks_are_mixed():
    tasks = [task for task, _ in make_sampler(sizes={"left": 400, "right": 400}).epoch(1)]
    changes = sum(a != b for a, b in pairwise(tasks))
    assert changes > 30  # 49.5 of 99 are expected


def test_texts_of_like_length_share_a_batch():
    sampler = make_sampler()
    lengths = sampler.lengths["large"]
    ranges = sorted(
        (int(lengths[rows].min()), int(lengths[rows].max())) for task, rows in sampler.epoch(1) if task == "large"
    )
    assert all(high <= low for (_, high), (low, _) in pairwise(ranges))  # 50 batches are one pool


def test_batches_of_a_task_differ_between_epochs_even_where_lengths_are_few():
    sampler = make_sampler(lengths={"a": np.repeat([5, 9], 40)})
    batches = [{frozenset(rows.tolist()) for _, rows in sampler.epoch(epoch)} for epoch in (1, 2)]
    assert batches[0] != batches[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "unifrom"}, r"unknown sampling 'unifrom'.*'uniform'"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more, found 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of 1 or more, found 2.5"),
        ({"temperature": 0.0}, "temperature must be a number above 0, found 0.0"),
        ({"lengths": {"a": np.ones(3), "b": np.ones(0)}}, "task 'b' has no training example"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        make_sampler(**options)


# updates of several batches


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("mix", [False, True])
def test_updates_hold_the_batches_of_the_epoch(sampling, mix):
    sampler = make_sampler(sampling, accumulate=5, mix=mix)
    updates = [as_lists(update) for update in sampler.updates(2)]
    plain = as_lists(make_sampler(sampling).epoch(2))
    assert sorted(step for update in updates for step in update) == sorted(plain)
    assert len(updates) == sampler.updates_per_epoch == -(-67 // 5)
    assert as_lists(sampler.epoch(2)) == [step for update in updates for step in update]
    if not mix:
        assert [step for update in updates for step in update] == plain
        assert [len(update) for update in updates] == [5] * 13 + [2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 3))
def test_the_batches_of_a_mixed_update_are_of_different_tasks_as_far_as_there_are(sizes, accumulate, epoch):
    sampler = make_sampler(sizes={f"task{i}": size for i, size in enumerate(sizes)}, accumulate=accumulate, mix=True)
    updates = [[task for task, _ in update] for update in sampler.updates(epoch)]
    assert {len(update) for update in updates} <= {len(sampler) // len(updates), -(-len(sampler) // len(updates))}
    for task in sampler.lengths:
        counts = [update.count(task) for update in updates]
        assert max(counts) - min(counts) <= 1 or sum(counts) > len(updates)
        assert max(counts) <= -(-sum(counts) // len(updates)) + 1
        assert sum(counts) > len(updates) or max(counts) == 1


def test_mixed_updates_are_a_function_of_seed_and_epoch():
    one, same, other = (make_sampler(accumulate=4, mix=True, seed=seed) for seed in (1, 1, 2))
    assert [as_lists(update) for update in one.updates(2)] == [as_lists(update) for update in same.updates(2)]
    assert [as_lists(update) for update in one.updates(2)] != [as_lists(update) for update in one.updates(1)]
    assert [as_lists(update) for update in one.updates(2)] != [as_lists(update) for update in other.updates(2)]


def test_tasks_of_one_size_are_all_in_every_update():
    sampler = make_sampler(sizes={"a": 80, "b": 80, "c": 80}, accumulate=3, mix=True)
    assert [sorted(task for task, _ in update) for update in sampler.updates(1)] == [["a", "b", "c"]] * 10


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_of_tasks_apart_an_update_has_batches_of_one(sampling):
    sampler = make_sampler(sampling, accumulate=3, apart=True)
    for epoch in (1, 2):
        updates = [[task for task, _ in update] for update in sampler.updates(epoch)]
        assert all(len({*update}) == 1 for update in updates)
        short = Counter(update[0] for update in updates if len(update) < 3)
        assert set(short.values()) <= {1}  # the last one of a task
        assert sum(map(len, updates)) == len(sampler)
        if sampling == "proportional":
            assert len(updates) == sampler.updates_per_epoch
        assert len(updates) <= sampler.updates_per_epoch
