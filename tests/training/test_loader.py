"""A loader of one's own loop gives the batches that a run is trained on."""

from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

import graphmtl
from graphmtl.config import ModelOptions
from graphmtl.data.batching import encode_tasks
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import DataWarning, InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.loader import loader
from graphmtl.training.sampling import TaskSampler
from tests.parts import model_options


def rows(word, count=60):
    return {"text": [f"{word} {'x ' * (n % 7)}{n}" for n in range(count)], "label": ["a", "b"] * (count // 2)}


def labelled_partly():
    """Two tasks over the same texts, one of which has labels for few."""
    few = {**rows("both"), "few": [("yes" if n % 10 else "no") if n % 5 == 0 else None for n in range(60)]}
    return {"most": {"train": few, "text": "text", "label": "label"}, "few": {"train": few, "label": "few"}}


@pytest.fixture(scope="module")
def tasks():
    return graphmtl.load_tasks({"one": rows("first"), "two": rows("second", 30), **labelled_partly()})


@pytest.fixture(scope="module")
def vocabulary(tasks):
    return Vocabulary.build(text for data in tasks.values() for text in data.train["text"])


def texts_of(batches, vocabulary):
    """The texts of every batch, and the tasks that read them."""
    words = vocabulary.words
    return [
        (batch.tasks, [" ".join(words[i] for i in ids[:n]) for ids, n in zip(batch.tokens, batch.lengths, strict=True)])
        for batch in batches
    ]


@pytest.mark.parametrize("sampling", ["proportional", "uniform", "annealed"])
def test_the_batches_are_those_that_a_run_is_trained_on(tasks, vocabulary, sampling):
    batches = loader(tasks, vocabulary, batch_size=8, seed=3, sampling=sampling, epochs=3)
    encoded = encode_tasks(tasks, vocabulary, ModelOptions())
    corpora = {task.corpus: task.train for task in encoded.values()}
    lengths = {corpus: split.lengths for corpus, split in corpora.items()}
    sampler = TaskSampler(lengths=lengths, batch_size=8, seed=3, sampling=sampling, epochs=3)
    for epoch in (1, 2):
        for batch, (corpus, own) in zip(batches, sampler.epoch(epoch), strict=True):
            exact = corpora[corpus].batch(own, tasks=batch.tasks)
            assert torch.equal(batch.tokens, exact.tokens)
            assert all(torch.equal(batch.labels[task], exact.labels[task]) for task in batch.tasks)


def test_epochs_differ_and_can_be_chosen(tasks, vocabulary):
    batches = loader(tasks, vocabulary, batch_size=8)
    first, second = texts_of(batches, vocabulary), texts_of(batches, vocabulary)
    assert first != second
    batches.sampler.set_epoch(0)
    assert texts_of(batches, vocabulary) == first
    assert texts_of(batches, vocabulary) == second
    assert texts_of(loader(tasks, vocabulary, batch_size=8, seed=1), vocabulary) != first


def test_every_labelled_text_comes_once(tasks, vocabulary):
    batches = loader(tasks, vocabulary, batch_size=8)
    assert isinstance(batches, DataLoader)
    seen = [text for _, texts in texts_of(batches, vocabulary) for text in texts]
    assert (
        len(seen)
        == len(set(seen))
        == len(batches.dataset)
        == sum(map(len, (tasks[n].train for n in ("one", "two", "most"))))
    )
    assert len(list(batches)) == len(batches)


def test_without_shuffling_texts_come_in_the_order_of_the_data(tasks, vocabulary):
    batches = loader({"two": tasks["two"]}, vocabulary, split="test", batch_size=4, shuffle=False)
    seen = [text for _, texts in texts_of(batches, vocabulary) for text in texts]
    exact = [text.split() for text in tasks["two"].test["text"]]
    assert [text.split()[0] for text in seen] == [first for first, *_ in exact]
    assert [len(text.split()) for text in seen] == [len(text) for text in exact]
    assert [len(batch.lengths) for batch in batches] == [4, 2]


def test_cut_texts_are_counted(vocabulary):
    long = {"text": [f"{'x ' * 201}{n}" for n in range(40)], "label": ["a", "b"] * 20}
    tasks = graphmtl.load_tasks({"one": long})
    count = len(tasks["one"].train)
    told = rf"^texts cut to the words that are read \(--max-length\): one {count} of {count} \(100.0%\)$"
    with pytest.warns(DataWarning, match=told):
        loader(tasks, vocabulary, batch_size=4)


def test_a_task_alone_comes_without_the_texts_that_it_has_no_label_for(tasks, vocabulary):
    alone = loader({"few": tasks["few"]}, vocabulary, batch_size=4)
    labels = torch.cat([batch.labels["few"] for batch in alone])
    assert len(labels) == sum(label != -100 for label in tasks["few"].train["label"]) < len(tasks["few"].train)
    assert (labels != -100).all()
    for batch in loader(tasks, vocabulary, batch_size=2):
        assert all((batch.labels[task] != -100).any() for task in batch.tasks)
        assert batch.tasks


def test_workers_make_the_same_batches_and_no_random_number_is_taken(tasks, vocabulary):
    before = torch.get_rng_state()
    plain = texts_of(loader(tasks, vocabulary, batch_size=8), vocabulary)
    assert torch.equal(torch.get_rng_state(), before)
    assert texts_of(loader(tasks, vocabulary, batch_size=8, num_workers=1), vocabulary) == plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "dev"}, "unknown split 'dev' (known: train, valid, test)"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more, found 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of 1 or more, found 2.5"),
        ({"batch_size": 0, "shuffle": False}, "batch_size must be a whole number of 1 or more, found 0"),
        ({"seed": "1"}, "seed: found '1', expected a whole number from 0 on"),
        ({"seed": -1}, "seed: found -1, expected a whole number from 0 on"),
        ({"epochs": 0}, "epochs: found 0, expected a whole number from 1 on"),
        ({"temperature": "2"}, "temperature must be a number above 0, found '2'"),
        ({"split": 3}, "unknown split 3 (known: train, valid, test)"),
        ({"drop_last": True}, "drop_last: found True, but the loader says itself which texts share a batch"),
        ({"tasks": {"films": 1}}, "tasks: found {'films': 1}, expected a task set"),
        ({"sampling": "sqr"}, "unknown sampling 'sqr'; did you mean 'sqrt'?"),
        ({"model": "vocabulary.txt"}, "model: found 'vocabulary.txt', expected a MultiTaskModel or a Vocabulary"),
        ({"tasks": "planted"}, "tasks: found 'planted', expected a task set (graphmtl.load_tasks)"),
        ({"tasks": {}}, "tasks: found {}, expected a task set (graphmtl.load_tasks)"),
    ],
)
def test_what_is_no_loader(tasks, vocabulary, changes, message):
    with pytest.raises(InputError) as error:
        loader(**{"tasks": tasks, "model": vocabulary, **changes})
    assert message in str(error.value)


def test_data_that_the_model_has_learned_otherwise_are_named(tasks, vocabulary):
    learned = {"one": tasks["one"].task, "two": replace(tasks["two"].task, labels=("b", "a"))}
    model = MultiTaskModel(tasks=[*learned.values()], vocabulary=vocabulary, options=model_options())
    told = r"task 'two' of the data is not the model's: its `labels` is \('a', 'b'\), the model's \('b', 'a'\)"
    with pytest.raises(InputError, match=told):
        loader({name: tasks[name] for name in learned}, model)
    assert len(loader({"one": tasks["one"]}, model)) > 0
