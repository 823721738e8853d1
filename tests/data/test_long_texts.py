import warnings

import numpy as np
import pytest
from datasets import Dataset

from graphmtl.data.batching import encode_tasks
from graphmtl.data.long_texts import batches_of, bytes_of_scores, warn_of_long
from graphmtl.data.task import Task, TaskData
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import DataWarning
from tests.parts import model_options


def said(lengths, training=True, told=False, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_long(np.array(lengths), model_options(**options), "ner, train", training=training, told=told)
    return " ".join(str(each.message) for each in caught)


def test_the_longest_text_is_named_with_what_it_costs():
    text = said([5, 25_000, 9_000], arch="star")
    assert "ner, train, row 1: 25,000 tokens, none of which is cut off, take about 11.6 GiB" in text
    assert "about 4.7 GiB" in said([25_000], training=False, arch="star")
    assert "about 5.8 GiB" in said([25_000], arch="star", bidirectional=False)


@pytest.mark.parametrize("arch", ["single", "shared", "complete", "cmtr"])
def test_what_grows_with_the_tokens_alone_is_not_warned_of(arch):
    assert said([25_000], arch=arch) == ""


def test_ordinary_texts_and_none_are_not_warned_of():
    assert said([4_000, 7], arch="star") == said([], arch="star") == ""
    assert said([8_000], training=False, arch="star") == ""  # 0.5 GiB
    assert "8,000 tokens" in said([8_000], arch="star")


def test_the_scores_grow_with_the_square():
    options = model_options(arch="star")
    for training in (False, True):
        once = bytes_of_scores(1_000, options, training=training)
        assert bytes_of_scores(3_000, options, training=training) == 9 * once


def test_what_is_told_of_every_two_tokens_is_named_before_it_is_computed():
    text = said([5, 4_000], training=False, told=True, arch="star")
    assert "row 1: how much each of 4,000 tokens read of each are 16,000,000 numbers, for which about 1.3 GiB" in text
    assert "--reads 10" in text
    assert said([1_000], training=False, told=True, arch="star") == ""
    assert said([4_000], training=False, told=True, arch="complete") == ""


def cut(lengths, told=False, **options):
    return [
        (part.start, part.stop)
        for part in batches_of(np.array(lengths), model_options(**options), batch_size=64, told=told)
    ]


def test_long_texts_are_read_a_few_at_once():
    """So that the scores of a batch take what those of one long text take, not that as often as it has texts."""
    assert cut([], arch="star") == []
    assert cut([9] * 100, arch="star") == cut([9_000] * 100, arch="complete") == [(0, 64), (64, 100)]
    parts = cut([20] * 10 + [4_000] * 20, arch="star")
    assert [stop for _, stop in parts[:-1]] == [start for start, _ in parts[1:]]
    assert (parts[0][0], parts[-1][1]) == (0, 30)
    assert all(stop - start <= 2 for start, stop in parts if stop > 12)
    assert len(cut([1_000] * 100, told=True, arch="star")) > len(cut([1_000] * 100, arch="star")) > 2


def test_encoding_names_task_split_and_row():
    rows = [["a"], ["a"] * 9_000]
    split = Dataset.from_dict({"tokens": rows, "label": [[0] * len(row) for row in rows]})
    task = Task(name="ner", kind="token-classification", labels=("O", "B-a"))
    data = TaskData(task=task, train=split, valid=split, test=split, overlap=None)
    with pytest.warns(DataWarning) as caught:
        encode_tasks({"ner": data}, Vocabulary.build(["a"]), model_options(arch="star"))
    assert len(caught) == 1
    assert "ner, train, row 1: 9,000 tokens" in str(caught[0].message)
