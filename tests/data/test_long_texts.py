import warnings

import numpy as np
import pytest
from datasets import Dataset

from graphmtl.data.batching import encode_tasks
from graphmtl.data.long_texts import bytes_of_scores, warn_of_long
from graphmtl.data.task import Task, TaskData
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import DataWarning
from tests.parts import model_options


def said(lengths, training=True, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_long(np.array(lengths), model_options(**options), "ner, train", training=training)
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


def test_encoding_names_task_split_and_row():
    rows = [["a"], ["a"] * 9_000]
    split = Dataset.from_dict({"tokens": rows, "label": [[0] * len(row) for row in rows]})
    task = Task(name="ner", kind="token-classification", labels=("O", "B-a"))
    data = TaskData(task=task, train=split, valid=split, test=split, overlap=None)
    with pytest.warns(DataWarning) as caught:
        encode_tasks({"ner": data}, Vocabulary.build(["a"]), model_options(arch="star"))
    assert len(caught) == 1
    assert "ner, train, row 1: 9,000 tokens" in str(caught[0].message)
