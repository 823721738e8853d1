"""Whose answers say a task's labels: answers that are known, to texts of one word."""

import numpy as np
import pytest
import torch

from graphmtl.analysis import transferability as module
from graphmtl.analysis.transferability import transferability
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.models.model import MultiTaskModel
from tests.parts import label_arrays, model_options

SIZE = 120
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, SIZE)
NOISE = torch.from_numpy(RNG.normal(size=(3, SIZE, 2)))


def model_of(**kinds):
    torch.manual_seed(0)
    labels = {"text-classification": ("no", "yes"), "token-classification": ("A", "B", "C"), "multi-label": ("r", "s")}
    tasks = [Task(name=name, kind=kind, labels=labels.get(kind, ())) for name, kind in kinds.items()]
    options = model_options(arch="shared", hidden=3, embedding_size=4, chars="none")
    return MultiTaskModel(tasks=tasks, vocabulary=Vocabulary.build(["a b c d"]), options=options)


CLASSES = dict.fromkeys(("k", "right", "noise", "echo"), "text-classification")


def texts(task="k", labels=LABELS):
    """Batches of texts whose only word is their number, so that an answer can be looked up."""
    split = EncodedSplit(tasks=[task], texts=[[n] for n in range(len(labels))], labels={task: label_arrays(labels)})
    return [split.batch(np.arange(start, min(start + 50, len(labels)))) for start in range(0, len(labels), 50)]


@pytest.fixture
def say(monkeypatch):
    """Makes every head answer what is given: by task, a row for each text."""

    def given(**answers):
        def look_up(model, batch, names):
            return {name: answers[name][batch.tokens[:, 0]] for name in names}

        monkeypatch.setattr(module, "answers_of_tasks", look_up)

    return given


def data_of(model, train=None):
    """The tasks without a training text, but those of one task where they are given."""
    empty = {name: EncodedSplit(tasks=[name], texts=[], labels={name: label_arrays([])}) for name in model.tasks}
    return {
        name: EncodedTask(task, train if train and name in train.tasks else empty[name], empty[name], empty[name])
        for name, task in model.tasks.items()
    }


def weights(model, batches, seed=0, train=None):
    graph = transferability(model, batches, data_of(model, train), split="test", seed=seed)
    return {(edge.source, edge.target): edge.weight for edge in graph.edges}


RIGHT = torch.nn.functional.one_hot(torch.from_numpy(LABELS), 2).double()


def test_right_answers_say_all_and_noise_says_nothing(say):
    say(k=NOISE[0], right=RIGHT, noise=NOISE[1], echo=NOISE[2])
    found = weights(model_of(**CLASSES), texts())
    assert {*found} == {("right", "k"), ("noise", "k"), ("echo", "k")}
    assert found["right", "k"] == pytest.approx(1, abs=0.05)
    assert abs(found["noise", "k"]) < 0.02 > abs(found["echo", "k"])


def test_where_all_is_noise_the_shares_are_zero_on_the_average(say):
    found = []
    for seed in range(10):
        noise = torch.randn(4, SIZE, 2, generator=torch.Generator().manual_seed(seed))
        say(**dict(zip(CLASSES, noise, strict=True)))
        found += weights(model_of(**CLASSES), texts()).values()
    assert abs(np.mean(found)) < 0.01


def test_what_another_task_says_better_counts_for_that_one(say):
    """Beside a task that knows the labels, one that repeats half of it has hardly a share, where alone it has one."""
    echo = RIGHT + NOISE[2]
    say(k=NOISE[0], right=RIGHT, noise=NOISE[1], echo=echo)
    beside = weights(model_of(**CLASSES), texts())["echo", "k"]
    say(k=NOISE[0], right=NOISE[1], noise=NOISE[1], echo=echo)
    alone = weights(model_of(**CLASSES), texts())["echo", "k"]
    assert beside < 0.1 < alone


def test_what_the_task_itself_answers_and_how_large_answers_are_play_no_part(say):
    say(k=NOISE[0], right=RIGHT, noise=NOISE[1], echo=NOISE[2])
    expected = weights(model_of(**CLASSES), texts())
    say(k=RIGHT, right=10 * RIGHT + 3, noise=NOISE[1] - 7, echo=NOISE[2] / 50)
    assert weights(model_of(**CLASSES), texts()) == pytest.approx(expected)


def test_what_the_tasks_own_training_texts_say_is_not_told_again(say):
    """Where the words of the test texts stand in the training split, all with the same labels, nothing is left open."""
    say(k=NOISE[0], right=RIGHT, noise=NOISE[1], echo=NOISE[2])
    seen = [n for n in range(SIZE) for _ in range(5)]
    right, wrong = (
        EncodedSplit(tasks=["k"], texts=[[n] for n in seen], labels={"k": label_arrays(labels)})
        for labels in (LABELS[seen], RNG.permutation(LABELS[seen]))
    )
    model = model_of(**CLASSES)
    assert abs(weights(model, texts(), train=right)["right", "k"]) < 0.05
    assert weights(model, texts(), train=wrong)["right", "k"] > 0.5


def test_it_has_a_direction(say):
    """k's labels are told by the answers of the other, whose labels nothing tells."""
    say(k=NOISE[0], right=RIGHT)
    model = model_of(k="text-classification", right="text-classification")
    found = weights(model, [*texts(), *texts("right", RNG.integers(0, 2, SIZE))])
    assert found["right", "k"] > 0.9
    assert abs(found["k", "right"]) < 0.05


@pytest.mark.parametrize("seed", [0, 1])
def test_the_answers_turned_around_say_as_much(say, seed):
    say(k=NOISE[0], right=RIGHT, noise=NOISE[1], echo=NOISE[2])
    expected = weights(model_of(**CLASSES), texts(), seed)
    say(k=NOISE[0], right=RIGHT.flip(1), noise=NOISE[1], echo=NOISE[2])
    assert weights(model_of(**CLASSES), texts(), seed) == pytest.approx(expected)


def test_scores_sets_of_labels_and_tags_are_told_too(say):
    scores = RNG.normal(size=SIZE).astype(np.float32)
    sets = RNG.integers(0, 2, (SIZE, 2))
    kinds = {"s": "regression", "m": "multi-label", "t": "token-classification"}
    model = model_of(k="text-classification", **kinds)
    tags = EncodedSplit(
        tasks=["t"], texts=[[n, n] for n in range(SIZE)], labels={"t": label_arrays([[n, 2] for n in LABELS])}
    )
    own = {"s": scores, "m": sets}
    batches = [batch for name, labels in own.items() for batch in texts(name, labels)]
    batches += [tags.batch(range(SIZE))]
    said = torch.from_numpy(np.concatenate([scores[:, None], sets, RIGHT], 1))
    say(k=said, s=NOISE[0][:, :1], m=NOISE[1], t=NOISE[2])
    found = weights(model, batches)
    assert {target for _, target in found} == {"s", "m", "t"}
    assert all(found["k", target] > 0.9 for target in "smt")


def test_a_task_with_few_texts_or_with_one_label_alone_has_no_edges(say):
    say(**dict.fromkeys(CLASSES, NOISE[0]))
    assert not weights(model_of(**CLASSES), texts(labels=LABELS[:19]))
    assert not weights(model_of(**CLASSES), texts(labels=np.ones(SIZE, dtype=int)))
    assert weights(model_of(**CLASSES), texts(labels=LABELS[:20]))


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e9])
def test_scores_have_no_unit(unit):
    rng = np.random.default_rng(0)
    y, alone = rng.normal(size=(60, 1)), rng.normal(size=(60, 1))
    said = {"right": y + 0.1, "noise": rng.normal(size=(60, 1))}
    expected = module._shares(said, alone, y, 0)
    found = module._shares(said, alone, unit * (y + 7), 0)
    assert expected["right"].mean() > 0.5
    assert found.keys() == expected.keys()
    for name, own in found.items():
        assert own == pytest.approx(expected[name], abs=1e-6)
    assert module._shares(said, alone, np.full((60, 1), 0.1 * unit), 0) == {}


def test_texts_without_a_label_are_left_out(say):
    answers = {"k": NOISE[0], "right": RIGHT, "noise": NOISE[1], "echo": NOISE[2]}
    say(**answers)
    model, some = model_of(**CLASSES), np.where(np.arange(SIZE) < 60, LABELS, -100)
    graph = transferability(model, texts(labels=some), data_of(model), split="test", seed=0)
    assert {edge.count for edge in graph.edges} == {60}
    assert (graph.arch, graph.split, graph.virtual) == ("shared", "test", False)
