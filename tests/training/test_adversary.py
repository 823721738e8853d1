"""The discriminator of tasks: its loss against the formula, and that what is shared is pulled the other way."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from graphmtl.architectures import architecture_class
from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning
from graphmtl.layers.pooling import pool
from graphmtl.models.predictions import Halves, ModelOutput
from graphmtl.options import make_options
from graphmtl.training.adversary import Adversary
from graphmtl.training.joining import options_for
from graphmtl.training.objective import terms_of
from tests.parts import label_arrays
from tests.training.toy import toy_data, toy_trainer

LENGTHS = torch.tensor([3, 1, 2])
KINDS = ("Adversary", "Orthogonality")
MIXED = {"accumulate": 4, "mix": True, "batch_size": 8}


def states(size=4, texts=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(texts, 3, size, generator=generator, dtype=torch.float64) * inside()


def inside():
    return (torch.arange(3) < LENGTHS[:, None]).unsqueeze(-1)


def output(shared, counts=(1, 1, 1)):
    """What a model says of a task; the task's own half plays no part."""
    halves = Halves(shared, torch.full_like(shared, torch.nan), LENGTHS)
    return ModelOutput(torch.zeros(3, 2), counts=torch.tensor(counts), halves=halves)


def batch(weights=(1.0, 1.0, 1.0), groups=None):
    return Batch((), torch.zeros(3, 3, dtype=torch.int64), LENGTHS, None, torch.tensor(weights), groups=groups)


def adversary(tasks=("a", "b", "c")):
    torch.manual_seed(0)
    return Adversary(tasks=tasks, size=4, weight=0.5).double()


def by_hand(term, shared, tasks):
    """The loss of every text, (texts,)."""
    losses = []
    for text, length, task in zip(shared, LENGTHS, tasks, strict=True):
        v = torch.cat([text[:length].amax(0), text[:length].mean(0)])
        logits = term.discriminator.weight @ v + term.discriminator.bias
        losses.append(-torch.log_softmax(logits, 0)[task])
    return torch.stack(losses)


def test_its_loss_is_the_cross_entropy_over_all_tasks_though_the_batch_is_of_one():
    term, shared = adversary(), states()
    found = term({"b": output(shared)}, batch(), {})
    torch.testing.assert_close(found, by_hand(term, shared, [1, 1, 1]).sum(), rtol=0, atol=1e-6)


def test_a_filler_does_not_count_and_a_text_belongs_to_the_first_task_that_labels_it():
    term, shared = adversary(), states()
    outputs = {"c": output(shared, (0, 1, 1)), "a": output(shared, (1, 1, 1))}
    found = term(outputs, batch((1.0, 1.0, 0.0)), {})
    torch.testing.assert_close(found, by_hand(term, shared, [0, 2, 2])[:2].sum(), rtol=0, atol=1e-6)


def test_the_texts_of_an_example_of_several_count_together_as_one():
    term, shared = adversary(), states()
    outputs = {"c": output(shared, (1, 1))}
    found = term(outputs, batch((1.0, 2.0), torch.tensor([2, 1])), {})
    losses = by_hand(term, shared, [2, 2, 2])
    torch.testing.assert_close(found, losses[:2].mean() + 2 * losses[2], rtol=0, atol=1e-6)


def test_the_discriminator_goes_down_and_what_is_shared_goes_up():
    term, shared = adversary(), states().requires_grad_()
    (-by_hand(term, shared, [1, 1, 1]).sum()).backward()
    reversed_, shared.grad = shared.grad, None
    down = {name: -p.grad for name, p in term.named_parameters()}
    term.zero_grad()
    term({"b": output(shared)}, batch(), {}).backward()
    torch.testing.assert_close(shared.grad * inside(), reversed_, rtol=0, atol=1e-6)  # padding is 0 whatever
    for name, parameter in term.named_parameters():
        torch.testing.assert_close(parameter.grad, down[name], rtol=0, atol=1e-6)


def test_batches_of_one_task_have_together_the_gradient_of_one_sum_over_all_texts():
    """Of an update with 16 texts of a and 8 of b in batches of 8: two thirds of it are a's, as of the labels."""
    trainer = toy_trainer(toy_data(a=16, b=8), arch="adversarial", **MIXED)
    trainer.model.double()
    term = Adversary(tasks=["a", "b"], size=10, weight=0.5).double()
    trainer._prepare(1, [term])
    for part in trainer._batches.epoch(1):
        trainer.objective.backward(trainer._parallel, part, 0)
    found = {name: parameter.grad for name, parameter in term.named_parameters()}
    term.zero_grad()
    losses = []
    for task, name in enumerate("ab"):
        texts = trainer.data[name].train.batch(range(len(trainer.data[name].train)))
        encoded = trainer.model.encode(texts)
        ((read, _),) = trainer.model.architecture.read(encoded.states, encoded.lengths, [task])
        shared = read.chunk(2, -1)[0].detach()  # (texts, tokens, 10)
        for text, length in zip(shared, encoded.lengths, strict=True):
            v = torch.cat([text[:length].amax(0), text[:length].mean(0)])
            losses.append(F.cross_entropy(term.discriminator(v), torch.tensor(task)))
    (0.5 * torch.stack(losses).mean()).backward()
    for name, parameter in term.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-6)


def test_a_run_has_it_where_what_is_shared_is_held_apart_unless_its_weight_is_zero():
    assert Adversary.suits(architecture_class("adversarial"))
    assert not Adversary.suits(architecture_class("shared-private"))
    model = toy_trainer(toy_data(a=8, b=8), arch="adversarial").model

    def terms(**values):
        made = terms_of(model, make_options(tasks="fdu-mtl", **values))
        return {type(term).__name__: term.weight(0, 1) for term in made if type(term).__name__ in KINDS}

    assert terms(arch="adversarial") == {"Adversary": 0.05, "Orthogonality": 0.01}
    assert terms(arch="adversarial", adversarial_weight=0.0) == {"Orthogonality": 0.01}
    assert terms(arch="adversarial", adversarial_weight=0.25, orthogonality_weight=0.0) == {"Adversary": 0.25}
    assert terms(arch="shared-private") == terms(arch="star") == {}


def test_with_a_single_task_there_is_nothing_to_tell_and_it_is_said():
    model = toy_trainer(toy_data(a=8), arch="adversarial").model
    with pytest.warns(DataWarning, match="--adversarial-weight has no effect: a is the only task"):
        assert Adversary.of_run(model, Adversary.Options()) is None


def test_a_task_that_joins_a_trained_graph_is_told_from_no_other(tmp_path):
    class Finished:
        options, folder = make_options(arch="adversarial", adversarial_weight=0.5), tmp_path

    options = options_for(Finished)
    assert (options.adversarial_weight, options.orthogonality_weight) == (0.0, 0.01)


def words_of_its_own() -> dict[str, EncodedTask]:
    """Two tasks with the same question, whether the first word is of the first four; b's words are other ones."""
    generator, data = np.random.default_rng(0), {}
    for task, first in (("a", 3), ("b", 11)):
        rows = [generator.integers(first, first + 8, 5) for _ in range(64)]
        labels = {task: label_arrays([int(row[0] < first + 4) for row in rows])}
        split = EncodedSplit(tasks=[task], texts=[row.tolist() for row in rows], labels=labels)
        data[task] = EncodedTask(task=Task(name=task, labels=("low", "high")), train=split, valid=split, test=split)
    return data


def told_apart(weight: float) -> float:
    """How well a fresh linear layer tells the tasks by what is shared, its loss, after a training with the term."""
    data = words_of_its_own()
    trainer = toy_trainer(data, arch="adversarial", epochs=8, lr=0.02, accumulate=2, mix=True)
    trainer.train(keep_epochs=8, terms=[Adversary(tasks=["a", "b"], size=10, weight=weight)] if weight else [])
    texts = []
    for task, name in enumerate("ab"):
        encoded = trainer.model.encode(data[name].train.batch(range(64)))
        ((read, _),) = trainer.model.architecture.read(encoded.states, encoded.lengths, [task])
        texts.append(pool(read.chunk(2, -1)[0], encoded.lengths, "max-mean").detach())
    x, probe = torch.cat(texts), torch.nn.Linear(20, 2)
    torch.nn.init.zeros_(probe.weight)
    for _ in range(200):
        loss = F.cross_entropy(probe(x), torch.arange(2).repeat_interleave(64))
        grads = torch.autograd.grad(loss, [*probe.parameters()])
        with torch.no_grad():
            [parameter.sub_(grad) for parameter, grad in zip(probe.parameters(), grads, strict=True)]
    return loss.item()


def test_with_it_what_is_shared_says_less_of_the_task():
    """With a weight of 1 or more the two chase each other instead, and the fresh layer finds what it looks for."""
    assert told_apart(0.3) > 1.2 * told_apart(0.0)
