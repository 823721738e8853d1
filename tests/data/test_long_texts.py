import numpy as np
import pytest
from datasets import Dataset

from graphmtl.config import ModelOptions
from graphmtl.data.batching import encode_tasks
from graphmtl.data.long_texts import bytes_of_scores, warn_of_long
from graphmtl.data.task import Task, TaskData
from graphmtl.data.vocabulary import Vocabulary


def said(caplog, lengths, training=True, **options):
    caplog.clear()
    warn_of_long(np.array(lengths), ModelOptions(**options), "ner, train", training=training)
    return caplog.text


def test_the_longest_text_is_named_with_what_it_costs(caplog):
    text = said(caplog, [5, 25_000, 9_000], arch="star")
    assert "ner, train, row 1: 25,000 tokens, none of which is cut off, take about 11.6 GiB" in text
    assert "about 4.7 GiB" in said(caplog, [25_000], training=False, arch="star")
    assert "about 5.8 GiB" in said(caplog, [25_000], arch="star", bidirectional=False)


@pytest.mark.parametrize("arch", ["single", "shared", "complete", "cmtr"])
def test_what_grows_with_the_tokens_alone_is_not_warned_of(arch, caplog):
    assert said(caplog, [25_000], arch=arch) == ""


def test_ordinary_texts_and_none_are_not_warned_of(caplog):
    assert said(caplog, [4_000, 7], arch="star") == said(caplog, [], arch="star") == ""
    assert said(caplog, [8_000], training=False, arch="star") == ""  # 0.5 GiB
    assert "8,000 tokens" in said(caplog, [8_000], arch="star")


def test_the_scores_grow_with_the_square():
    options = ModelOptions(arch="star")
    for training in (False, True):
        once = bytes_of_scores(1_000, options, training=training)
        assert bytes_of_scores(3_000, options, training=training) == 9 * once


def test_encoding_names_task_split_and_row(caplog):
    rows = [["a"], ["a"] * 9_000]
    split = Dataset.from_dict({"tokens": rows, "label": [[0] * len(row) for row in rows]})
    task = Task(name="ner", kind="token-classification", labels=("O", "B-a"))
    data = TaskData(task=task, train=split, valid=split, test=split, overlap=None)
    encode_tasks({"ner": data}, Vocabulary.build(["a"]), ModelOptions(arch="star"))
    assert "ner, train, row 1: 9,000 tokens" in caplog.text
    assert "ner, test" not in caplog.text
