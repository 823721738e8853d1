import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask, encode_tasks, made_ahead
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.overlap import Overlap
from graphmtl.data.spelling import Alphabet
from graphmtl.data.task import Task, TaskData
from graphmtl.data.vocabulary import PAD, SEP, UNK, Vocabulary, truncate
from tests.parts import label_arrays, model_options
from tests.tagging import tagging_tasks

NOTHING = Overlap(test_in_own=0, test_in_others=0, repeated=0, dropped=0, test_seen=0, valid_seen=0, empty=0)


def arrays(labels):
    return {name: label_arrays(own) for name, own in labels.items()}


texts = st.lists(st.integers(1, 50), min_size=1, max_size=9)
ends = pytest.mark.parametrize("end", ["head", "tail", "both"])


@ends
@given(ids=st.lists(st.integers(), max_size=20), max_length=st.integers(1, 12))
def test_truncation_keeps_the_length_and_the_ends(end, ids, max_length):
    kept = truncate(ids, max_length, end)
    assert len(kept) == min(len(ids), max_length)
    if len(ids) <= max_length:
        assert kept == ids
    head = {"head": len(kept), "tail": 0, "both": (len(kept) + 1) // 2}[end]
    tail = len(kept) - head
    assert kept[:head] == ids[:head]
    assert tail == 0 or kept[-tail:] == ids[-tail:]


@given(split=st.lists(texts, min_size=1, max_size=12), data=st.data())
def test_a_batch_holds_the_texts_that_were_encoded(split, data):
    rows = data.draw(st.lists(st.integers(0, len(split) - 1), min_size=1, max_size=12))
    labels = list(range(len(split)))
    batch = EncodedSplit(tasks=["a"], texts=split, labels={"a": label_arrays(labels)}).batch(rows)
    lengths = batch.lengths.tolist()
    assert lengths == [len(split[row]) for row in rows]
    assert batch.tokens.shape == (len(rows), max(lengths))
    for line, length, row in zip(batch.tokens.tolist(), lengths, rows, strict=True):
        assert line[:length] == split[row]
        assert set(line[length:]) <= {PAD}
    assert batch.labels["a"].tolist() == rows
    assert batch.weights.tolist() == [1] * len(rows)


@given(size=st.integers(1, 6), data=st.data())
def test_the_last_examples_fill(size, data):
    fillers = data.draw(st.integers(0, size))
    batch = EncodedSplit(tasks=["a"], texts=[[1]] * size).batch(range(size), fillers=fillers)
    assert batch.weights.tolist() == [1] * (size - fillers) + [0] * fillers


def test_kinds_of_numbers():
    split = EncodedSplit(tasks=["a"], texts=[[1, 2], [3]], labels={"a": label_arrays([1, 0])}, seen=[True, False])
    batch = split.batch(np.array([1, 0]))
    assert batch.tasks == ("a",)
    assert (batch.tokens.dtype, batch.lengths.dtype, batch.labels["a"].dtype) == (torch.int64,) * 3
    assert batch.weights.dtype == torch.float32
    assert (len(split), split.lengths.tolist(), split.seen.tolist()) == (2, [2, 1], [True, False])


def test_who_decides_stands_beside_the_texts_that_are_left():
    split = EncodedSplit(tasks=["a"], texts=[[1, 2], [3]], decided_by=[1, 0])
    assert split.decided_by.tolist() == [1, 0]
    assert EncodedSplit(tasks=["a"], texts=[[1, 2], [3]]).decided_by is None
    task = Task(name="t", labels=("x", "y"))
    found = encoded(task_data(task, text=["a", "b", "c"], label=[1, NO_LABEL, 0], decided_by=[0, 1, 2]))
    assert found.train.decided_by.tolist() == [0, 2]
    assert found.test.decided_by.tolist() == [0, 1, 2]


def test_texts_without_labels():
    split = EncodedSplit(tasks=["a"], texts=[[1, 2], [3]])
    assert split.labels is None
    assert split.batch([0]).labels is None
    assert split.batch([0]).to("cpu").labels is None
    assert split.seen.tolist() == [False, False]


def test_scores_may_be_missing_where_labels_are_there():
    labels = {"score": [0.5, float("nan"), -100.0], "class": [1, 0, -100]}
    split = EncodedSplit(tasks=["score", "class"], texts=[[1, 2], [3], [4]], labels=arrays(labels))
    assert {task: counts.tolist() for task, counts in split.counts.items()} == {"score": [1, 0, 1], "class": [1, 1, 0]}
    batch = split.batch([2, 1, 0])
    assert (batch.labels["score"].dtype, batch.labels["class"].dtype) == (torch.float32, torch.int64)
    assert batch.labels["score"].isnan().tolist() == [False, True, False]
    assert batch.labels["score"][[0, 2]].tolist() == [-100, 0.5]


def test_a_split_without_examples():
    split = EncodedSplit(tasks=["a"], texts=[], labels={"a": label_arrays([])})
    assert (len(split), len(split.seen)) == (0, 0)


def test_to_moves_every_tensor_but_the_lengths():
    batch = EncodedSplit(tasks=["a"], texts=[[1, 2]], labels={"a": label_arrays([1])}).batch([0]).to("meta")
    assert batch.tasks == ("a",)
    assert {tensor.device.type for tensor in (batch.tokens, batch.labels["a"], batch.weights)} == {"meta"}
    assert batch.lengths.device.type == "cpu"


def test_the_next_batch_is_made_while_the_caller_works_on_this_one():
    made = []
    steps = made_ahead(lambda item: made.append(item) or item, range(4))
    assert next(steps) == 0
    assert list(steps) == [1, 2, 3]
    assert made == [0, 1, 2, 3]


def test_an_error_in_a_batch_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(made_ahead(lambda item: 1 / item, [1, 0, 2]))


def test_tokens_are_read_from_a_file_not_held_in_memory():
    split = EncodedSplit(tasks=["a"], texts=([number] * 3 for number in range(4)))
    assert isinstance(split._ids, np.memmap)
    assert split.batch([2, 1]).tokens.tolist() == [[2, 2, 2], [1, 1, 1]]


def task_data(task, seen=False, **columns):
    """A task whose splits hold the same examples; training has no column `seen`."""
    train = Dataset.from_dict(columns)
    rest = Dataset.from_dict({**columns, "seen": [seen] * len(train)})
    return TaskData(task=task, train=train, valid=rest, test=rest, overlap=NOTHING)


VOCABULARY = Vocabulary.build(["a b c d e"])
A, B, C, D, E = (VOCABULARY.encode(word)[0] for word in "abcde")


def encoded(data, **options):
    options = model_options(**{"max_length": 10} | options)
    return encode_tasks({"t": data}, VOCABULARY, options)["t"]


def words(split):
    return [split.batch([row]).tokens[0].tolist() for row in range(len(split))]


def test_tasks_are_encoded():
    task = Task(name="t", labels=("x", "y"))
    result = encoded(task_data(task, seen=True, text=["a B z", ""], label=[1, 0]))
    assert result.task is task
    for split in (result.train, result.valid, result.test):
        assert split.tasks == ("t",)
        assert words(split) == [[A, B, UNK], [UNK]]
        assert split.labels["t"].values.tolist() == [1, 0]
    assert result.train.seen.tolist() == [False, False]
    assert result.valid.seen.tolist() == result.test.seen.tolist() == [True, True]


def test_pairs_are_encoded_with_a_separator():
    task = Task(name="t", labels=("x", "y"), text=("p", "q"))
    result = encoded(task_data(task, text=["a b", "c"], text_pair=["d", ""], label=[1, 0]))
    assert words(result.test) == [[A, B, SEP, D], [C, SEP, UNK]]


@pytest.mark.parametrize(
    ("end", "kept"), [("head", [A, B, C]), ("tail", [C, D, E]), ("both", [A, B, E])], ids=["head", "tail", "both"]
)
def test_long_texts_are_cut(end, kept):
    data = task_data(Task(name="t", labels=("x", "y")), text=["a b c d e", "a b c"], label=[0, 1])
    found = encoded(data, max_length=3, truncate=end).train
    assert words(found) == [kept, [A, B, C]]
    assert found.truncated == 1
    assert encoded(data, max_length=5).train.truncated == 0


def test_how_many_texts_were_cut_is_kept_with_those_that_are_not_encoded_again(monkeypatch):
    monkeypatch.setattr("graphmtl.data.batching.are_large", lambda rows: True)
    data = task_data(Task(name="t", labels=("x", "y")), text=["a b c d e", "a b c"], label=[0, 1])
    first, again = (encoded(data, max_length=4).train for _ in range(2))
    assert words(first) == words(again)
    assert first.truncated == again.truncated == 1


def layers(**labels):
    """Splits that hold the same tokens, a layer of labels for each task."""
    split = EncodedSplit(tasks=list(labels), texts=[[3, 4, 5], [6], [7, 8]], labels=arrays(labels))
    return EncodedTask(Task(name=next(iter(labels)), labels=("x", "y")), split, split, split, "news")


def test_a_batch_has_the_labels_of_all_tasks_of_its_corpus():
    split = layers(tags=[[1, -100, 2], [0], [-100, -100]], kind=[1, -100, 0]).train
    batch = split.batch([2, 0])
    assert batch.tasks == ("tags", "kind")
    assert batch.labels["tags"].tolist() == [[-100, -100, -100], [1, -100, 2]]
    assert batch.labels["kind"].tolist() == [0, 1]
    assert {name: counts.tolist() for name, counts in split.counts.items()} == {"tags": [2, 1, 0], "kind": [1, 0, 1]}
    assert [own.tolist() for own in split.labels["tags"].rows()] == [[1, -100, 2], [0], [-100, -100]]
    assert layers(tags=[[1, -100, 2], [0], [-100, -100]]).labelled("test") == 2


def test_a_batch_for_some_of_the_tasks():
    batch = layers(tags=[[1, 1, 2], [0], [0, 0]], kind=[1, 1, 0]).train.batch([0], tasks=["kind"])
    assert (batch.tasks, list(batch.labels)) == (("kind",), ["kind"])


def test_tasks_of_a_corpus_share_their_splits_and_no_token_is_cut_off():
    tasks = tagging_tasks("pos", "ner", "plain", missing=0.5)
    vocabulary = Vocabulary.build(["Rome NYC sees"])
    data = encode_tasks(tasks, vocabulary, model_options(max_length=2))
    assert data["pos"].train is data["ner"].train is not data["plain"].train
    assert (data["pos"].corpus, data["plain"].corpus) == ("news", "plain")
    assert data["pos"].test.lengths.tolist() == [len(tokens) for tokens in tasks["pos"].test["tokens"]]
    assert data["plain"].test.lengths.max() == 2
    labelled = sum((counts > 0) for counts in data["pos"].train.counts.values())
    assert labelled.min() == 1
    assert len(data["pos"].train) < len(tasks["pos"].train)
    assert len(data["pos"].test) == len(tasks["pos"].test)


def test_tasks_apart_have_splits_of_their_own():
    tasks = tagging_tasks("pos", "ner", missing=0.5)
    data = encode_tasks(tasks, Vocabulary.build(["Rome"]), model_options(), apart=True)
    assert [(task.corpus, task.train.tasks) for task in data.values()] == [("pos", ("pos",)), ("ner", ("ner",))]
    assert all(len(task.train) == task.labelled("train") for task in data.values())


def test_forms_keep_the_case_that_word_vectors_lose():
    vocabulary = Vocabulary.build(["nyc rome"])
    vocabulary.alphabet = Alphabet.build(["NYC", "NYC", "nyc", "nyc"])
    data = task_data(Task(name="t", labels=("x", "y")), text=["NYC nyc Rome", "Nyc"], label=[0, 1])
    batch = encode_tasks({"t": data}, vocabulary, model_options())["t"].test.batch([0, 1]).to("cpu")
    assert batch.tokens[:, 0].tolist() == [vocabulary.index("nyc")] * 2
    assert batch.tokens[1].tolist()[1:] == [PAD, PAD]
    assert len(set(batch.spelling.forms[0].tolist())) == 3
    assert batch.spelling.letters[batch.spelling.forms[0, 0]].tolist()[:3] == vocabulary.alphabet.letters("NYC")


def test_further_test_splits_and_texts_without_any_score():
    rows = Dataset.from_dict({"text": ["a b", "c", "a"], "label": [1.5, float("nan"), 2.0]})
    other = Dataset.from_dict({"text": ["b c"], "label": [0.5]})
    task = Task(name="s", kind="regression")
    data = TaskData(task=task, train=rows, valid=rows, test=rows, overlap=NOTHING, other_tests={"test_other": other})
    encoded = encode_tasks({"s": data}, Vocabulary.build(["a b c"]), model_options())["s"]
    assert [len(encoded.splits[name]) for name in ("train", "valid", "test", "test_other")] == [2, 3, 3, 1]
    assert [encoded.labelled(name) for name in ("train", "valid", "test", "test_other")] == [2, 2, 2, 1]
    assert encoded.splits["test_other"].labels["s"].values.tolist() == [0.5]


def test_where_a_pair_is_parted_and_what_examples_of_several_texts_have():
    tokens = torch.tensor([[5, SEP, 7], [5, 6, 7]])
    own = {"tasks": ("a",), "lengths": torch.tensor([3, 3]), "labels": None, "weights": torch.ones(2)}
    assert Batch(tokens=tokens, **own).between.tolist() == [1, 0]
    several = Batch(tokens=tokens, groups=torch.tensor([2, 3]), **own)
    assert several.mean_of_texts(torch.tensor([1.0, 3.0, 1.0, 2.0, 6.0])).tolist() == [2, 3]
