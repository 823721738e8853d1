import numpy as np
import pytest
import torch
from accelerate import Accelerator

from graphmtl.config import TrainingOptions
from graphmtl.training.budget import budget, of_corpora
from graphmtl.training.term import Term
from graphmtl.training.update_batches import UpdateBatches
from tests.training.toy import tagging_trainer, toy_data


class Process:
    """An accelerator as one of several processes sees it."""

    device = torch.device("cpu")

    def __init__(self, index: int, number: int) -> None:
        self.process_index, self.num_processes = index, number


def make(data, accelerator=None, terms=(), **options) -> UpdateBatches:
    corpora = {task.corpus: task.train for task in data.values()}
    options, accelerator = TrainingOptions(**{"batch_size": 8} | options), accelerator or Accelerator(cpu=True)
    budgets = of_corpora(data, {"mean": budget(map(len, corpora.values()), options)})
    parts = {"budgets": budgets, "accelerator": accelerator, "terms": terms}
    return UpdateBatches(corpora=corpora, options=options, **parts)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_an_update_knows_what_its_batches_hold_together(accumulate):
    batches = make(toy_data(a=20, b=9), accumulate=accumulate)
    parts = [*batches.epoch(1)]
    updates = list({id(part.update): part.update for part in parts}.values())
    assert len(updates) == batches.updates_per_epoch == -(-5 // accumulate)
    for update in updates:
        own = [part for part in parts if part.update is update]
        assert [(part.first, part.last) for part in own] == [(i == 0, i == len(own) - 1) for i in range(update.batches)]
        for name in ("a", "b"):
            mine = [part for part in own if part.corpus == name]
            assert update.labels[name] == update.texts[name] == sum(part.labels[name] for part in mine)
            assert update.shares.get(name, 0) == len(mine) / len(own)
    assert sum(part.tokens for part in parts) == sum(each.lengths.sum() for each in batches.corpora.values())


def test_tasks_of_a_corpus_have_its_share_and_those_without_labels_none(tmp_path):
    trainer = tagging_trainer(tmp_path, accumulate=2, batch_size=4)
    trainer._prepare(1, [])
    for part in trainer._batches.epoch(1):
        update = part.update
        assert update.shares.keys() == {task for task, count in update.labels.items() if count}
        for task in update.shares:
            assert update.shares[task] == update.shares_of_texts["plain" if task == "plain" else "news"]
        assert set(part.batch.tasks) == set(part.labels) <= set(update.shares)


def test_processes_share_each_batch():
    """The last batch of b has one text, of which the second process has none: its text counts for nothing."""
    data = toy_data(a=16, b=9)
    (one, first, second) = ([*make(data, Process(i, n)).epoch(1)] for i, n in ((0, 1), (0, 2), (1, 2)))
    for whole, left, right in zip(one, first, second, strict=True):
        assert whole.labels == left.labels == right.labels
        assert whole.tokens == left.tokens == right.tokens
        assert left.batch.weights.sum() + right.batch.weights.sum() == whole.batch.weights.sum()
    assert 0.0 in [part.batch.weights.sum().item() for part in second]


class Numbered(Term):
    def targets(self, corpus, rows):
        return {corpus: torch.from_numpy(np.asarray(rows))}


def test_terms_get_what_they_need_of_the_same_texts():
    data = toy_data(a=16)
    for part in make(data, terms=[Term(), Numbered()]).epoch(1):
        nothing, numbered = part.targets
        assert nothing == {}
        assert torch.equal(data["a"].train.batch(numbered["a"].numpy()).tokens, part.batch.tokens)
