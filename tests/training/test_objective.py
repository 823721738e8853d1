"""What an update minimises, against losses that are put together by hand."""

import re
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from graphmtl.config import OptionGroup
from graphmtl.data.batching import EncodedTask
from graphmtl.errors import DataWarning, InputError
from graphmtl.registry import BALANCINGS, find_class
from graphmtl.training.balancing.balancing import Balancing, GradientBalancing
from graphmtl.training.objective import check_balancing, terms_of
from graphmtl.training.term import Term
from graphmtl.training.trainer import Trainer
from tests.training.toy import tagging_trainer, toy_data, toy_trainer

BY_GRADIENT = [
    name for name in BALANCINGS if issubclass(find_class("", name, BALANCINGS, Balancing), GradientBalancing)
]
TOGETHER = [*BY_GRADIENT, "gls", "famo"]
MIXED = {"accumulate": 3, "mix": True}


def gradients(trainer: Trainer) -> list[dict[str, Tensor]]:
    """The gradient of every update of the first epoch, at the first weights, and what each part says of its losses."""
    trainer.model.double()
    trainer._prepare(1, [])
    trainer.model.train()
    trainer.objective.begin_epoch([])
    found = []
    for part in trainer._batches.epoch(1):
        trainer.objective.backward(trainer._parallel, part, len(found))
        if part.last:
            found.append({name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None})
            trainer.model.zero_grad(set_to_none=True)
    return found


def assert_close(left: Mapping[str, Tensor], right: Mapping[str, Tensor], **tolerance: float) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def by_hand(trainer: Trainer, shares: Mapping[str, float]) -> dict[str, dict[str, Tensor]]:
    """Of each task the gradient of its mean loss over all its training examples, times its share."""
    found = {}
    for name, share in shares.items():
        split = trainer.data[name].train
        batch = split.batch(range(len(split)))
        loss = nn.functional.cross_entropy(trainer.model(batch)[name].logits, batch.labels[name])
        trainer.model.zero_grad(set_to_none=True)
        (share * loss).backward()
        found[name] = {key: p.grad for key, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad(set_to_none=True)
    return found


def total(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for own in parts.values() for name in own)
    return {name: sum(own[name] for own in parts.values() if name in own) for name in names}


# updates of several batches


@pytest.mark.parametrize("arch", [None, "star", "cmtr", "complete"])
def test_batches_of_an_update_are_one_large_batch(arch):
    """20 texts as one batch, or as batches of 6, 6, 6 and 2."""
    data = toy_data(a=20)
    (whole,) = gradients(toy_trainer(data, arch=arch, batch_size=20))
    (parts,) = gradients(toy_trainer(data, arch=arch, batch_size=6, accumulate=4))
    assert_close(parts, whole, rtol=0, atol=1e-6)


def test_tags_with_holes_are_normalised_by_the_labels_of_the_whole_update(tmp_path):
    """The texts of a corpus have labels of several tasks, of some tasks none in whole batches; another corpus apart."""

    def trainer(**options) -> Trainer:
        made = tagging_trainer(tmp_path, **options)
        del made.corpora["plain"]
        return made

    (whole,) = gradients(trainer(batch_size=17))
    (parts,) = gradients(trainer(batch_size=3, accumulate=6))
    assert_close(total({"": parts}), whole, rtol=0, atol=1e-5)  # float32 scores


def test_a_mixed_update_is_the_sum_over_tasks_by_their_share_of_the_batches():
    trainer = toy_trainer(toy_data(a=16, b=8), **MIXED)
    (found,) = gradients(trainer)
    assert_close(found, total(by_hand(trainer, {"a": 2 / 3, "b": 1 / 3})), rtol=0, atol=1e-12)


def test_a_task_is_learned_by_its_own_weight():
    data = toy_data(a=16, b=8)
    for name, weight in (("a", 0.25), ("b", 3.0)):
        object.__setattr__(data[name].task, "weight", weight)
    trainer = toy_trainer(data, **MIXED)
    (found,) = gradients(trainer)
    assert_close(found, total(by_hand(trainer, {"a": 0.25 * 2 / 3, "b": 3.0 / 3})), rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{"accumulate": 4}, {"accumulate": 2, "batch_size": 16}])
def test_whole_trainings_with_one_update_an_epoch_are_the_same(options):
    """Learning rate, history and weights: what counts are updates."""
    one = toy_trainer(toy_data(a=32), batch_size=32, ema=0.5, weight_decay=0.1)
    several = toy_trainer(toy_data(a=32), ema=0.5, weight_decay=0.1, **{"batch_size": 8} | options)
    results = []
    for trainer in (one, several):
        trainer.model.double()
        results.append(trainer.train())
    assert results[0].steps == results[1].steps == 4
    for left, right in zip(*(result.history for result in results), strict=True):
        assert (left["lr"], left["step"]) == (right["lr"], right["step"])
        assert left["losses"]["a"] == pytest.approx(right["losses"]["a"], abs=1e-9)
    assert_close(several.model.state_dict(), one.model.state_dict(), rtol=0, atol=1e-6)


# terms


class Shrinking(Term):
    """The mean of the squared logits, which weighs less and less."""

    def weight(self, step, steps):
        return 1 - step / steps

    def forward(self, outputs, batch, targets):
        return sum((output.logits.square().sum(-1) * batch.weights).sum() for output in outputs.values())


class Learned(Shrinking):
    """The same with a parameter of its own, beside half of the loss of the labels; asks for something of each text."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def labels_weight(self, step, steps):
        return 0.5

    def targets(self, corpus, rows):
        return {"rows": torch.from_numpy(rows)}

    def forward(self, outputs, batch, targets):
        assert len(targets["rows"]) == len(batch.weights)
        return self.scale * super().forward(outputs, batch, targets)


def squares(trainer: Trainer, shares: Mapping[str, float]) -> dict[str, Tensor]:
    """The gradient of the mean of the squared logits of each task's texts, times its share."""
    trainer.model.zero_grad(set_to_none=True)
    for name, share in shares.items():
        split = trainer.data[name].train
        logits = trainer.model(split.batch(range(len(split))))[name].logits
        (share * logits.square().sum(-1).mean()).backward()
    found = {key: p.grad for key, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("balancing", ["equal", "gls", "mgda"])
def test_a_term_is_added_as_the_mean_of_the_texts(balancing):
    """Whatever becomes of the loss of the labels."""
    data, terms = toy_data(a=16, b=8), "tests.training.test_objective:Shrinking"
    (plain,) = gradients(toy_trainer(data, balancing=balancing, **MIXED))
    trainer = toy_trainer(data, balancing=balancing, terms=terms, **MIXED)
    (found,) = gradients(trainer)
    expected = total({"labels": plain, "term": squares(trainer, {"a": 2 / 3, "b": 1 / 3})})
    assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("balancing", ["equal", "gls", "upgrad"])
def test_what_a_term_leaves_to_the_labels(balancing):
    data, terms = toy_data(a=16, b=8), "tests.training.test_objective:Learned"
    (plain,) = gradients(toy_trainer(data, balancing=balancing, **MIXED))
    trainer = toy_trainer(data, balancing=balancing, terms=terms, **MIXED)
    (found,) = gradients(trainer)
    halves = {name: 0.5 * gradient for name, gradient in plain.items()}
    expected = total({"labels": halves, "term": squares(trainer, {"a": 2 / 3, "b": 1 / 3})})
    assert_close(found, expected, rtol=0, atol=1e-9)


def test_the_parameters_of_a_term_are_trained():
    trainer = toy_trainer(toy_data(a=16, b=8), terms="tests.training.test_objective:Learned")
    trainer.train()
    (scale,) = trainer.objective.terms[-1].parameters()
    assert scale.item() < 0.99


def test_terms_that_are_none():
    for terms, message in (
        ("tests.training.toy:ToyModel", "found <class .*ToyModel.*derived from Term"),
        ("nonsense", "unknown term 'nonsense'"),
    ):
        trainer = toy_trainer(toy_data(a=8))
        with pytest.raises(InputError, match=message):
            terms_of(trainer.model, type(trainer.options)(terms=terms))


# balancing


def test_equal_is_what_there_is_without_balancing():
    """Bit for bit, with an update a batch and the bare sum of the losses."""
    trainer = toy_trainer(toy_data(a=16, b=8))
    found = gradients(trainer)
    trainer._prepare(1, [])
    for part, own in zip(trainer._batches.epoch(1), found, strict=True):
        (name,) = part.batch.tasks
        nn.functional.cross_entropy(
            trainer.model(part.batch)[name].logits, part.batch.labels[name], reduction="none"
        ).sum().div(len(part.batch.labels[name])).backward()
        for key, parameter in trainer.model.named_parameters():
            assert parameter.grad is None or torch.equal(parameter.grad, own[key]), key
        trainer.model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("balancing", ["uncertainty", "imtl-l", "random", "gls", "famo"])
def test_weights_of_losses_hold_for_shared_and_own_parameters(balancing):
    trainer = toy_trainer(toy_data(a=16, b=8), balancing=balancing, **MIXED)
    (found,) = gradients(trainer)
    own = by_hand(trainer, {"a": 2 / 3, "b": 1 / 3})
    weights = {task: (found[f"heads.{task}.bias"] / own[task][f"heads.{task}.bias"]).mean() for task in own}
    expected = {task: {name: weights[task] * g for name, g in each.items()} for task, each in own.items()}
    assert_close(found, total(expected), rtol=1e-6, atol=1e-9)
    if balancing not in ("imtl-l",):  # its weights begin as 1
        assert all(abs(weight - 1) > 1e-3 for weight in weights.values())


@pytest.mark.parametrize(
    ("balancing", "arch"),
    [*((name, None) for name in BY_GRADIENT), *(("mgda", arch) for arch in ("star", "complete", "mmoe"))],
)
def test_shared_parameters_get_the_direction_and_own_ones_their_tasks_gradient(balancing, arch):
    trainer = toy_trainer(toy_data(a=16, b=8), balancing=balancing, arch=arch, **MIXED)
    torch.manual_seed(0)
    (found,) = gradients(trainer)
    own = by_hand(trainer, {"a": 2 / 3, "b": 1 / 3})
    shared = [name for name in own["a"] if name in own["b"]]
    tasks = [trainer._batches.epoch(1).__next__().batch.tasks[0]]
    order = [*tasks, *({"a", "b"} - {*tasks})]  # of the rows: as the tasks come in the update
    rows = torch.stack([torch.cat([own[task][name].flatten() for name in shared]) for task in order])
    method = type(trainer.objective.balancing)(tasks=["a", "b"])
    torch.manual_seed(0)
    trainer._prepare(1, [])  # draws as before
    expected = method.combine(rows, [["a", "b"].index(task) for task in order])
    assert arch is not None or len(shared) == 3  # embeddings, weight and bias of the layer
    torch.testing.assert_close(torch.cat([found[name].flatten() for name in shared]), expected, rtol=1e-5, atol=1e-9)
    for task in own:
        for name in own[task].keys() - {*shared}:
            torch.testing.assert_close(found[name], own[task][name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("balancing", ["pcgrad", "famo", "uncertainty"])
def test_frozen_parameters_have_no_part_in_it(balancing):
    trainer = toy_trainer(toy_data(a=16, b=8), balancing=balancing, frozen=9, schedule="constant", **MIXED)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train(keep_epochs=1)
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("embeddings"), name


def test_frozen_parameters_do_not_turn_the_direction():
    """As if the embeddings were constants: mgda looks at the layer alone, and so does the conflict."""
    found = []
    for frozen in (False, True):
        trainer = toy_trainer(toy_data(a=16, b=8), balancing="mgda", **MIXED)
        trainer.model.embeddings.requires_grad_(frozen)
        trainer.frozen_until = [(9, [*trainer.model.embeddings.parameters()])]
        trainer.train(keep_epochs=1)
        found.append((trainer.model.layers["shared"].weight.detach(), trainer.objective.conflict.mean()))
    torch.testing.assert_close(found[1][0], found[0][0])
    assert found[1][1] == pytest.approx(found[0][1])


def test_dwa_is_told_the_losses_of_each_epoch():
    trainer = toy_trainer(toy_data(a=16, b=8), balancing="dwa")
    history, method = trainer.train().history, trainer.objective.balancing
    for values, line in ((method.last, history[-1]), (method.before, history[-2])):
        assert dict(zip("ab", values.tolist(), strict=True)) == pytest.approx(line["losses"])


def test_famo_sees_the_losses_of_the_same_texts_after_the_update():
    trainer = toy_trainer(toy_data(a=16, b=8), balancing="famo", schedule="constant", warmup=0.0, **MIXED)
    trainer.model.double()
    seen = []
    trainer._prepare(1, [])
    trainer.objective.balancing.look_back = seen.append
    trainer.objective.begin_epoch([])
    for part in trainer._batches.epoch(1):
        trainer.objective.backward(trainer._parallel, part, 0)
    trainer._update([], ["a", "b"])
    for name, loss in seen[0].items():
        split = trainer.data[name].train
        batch = split.batch(range(len(split)))
        expected = nn.functional.cross_entropy(trainer.model(batch)[name].logits, batch.labels[name])
        torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("balancing", [*BALANCINGS])
def test_every_method_learns_in_mixed_precision_too(balancing):
    trainer = toy_trainer(toy_data(a=48, b=24), balancing=balancing, precision="bf16", epochs=9, **MIXED)
    history = trainer.train().history
    assert sum(history[-1]["losses"].values()) < 0.9 * sum(history[0]["losses"].values())


@pytest.mark.parametrize("balancing", ["equal", "gls", "pcgrad", "mgda", "nash-mtl"])
def test_losses_that_are_scaled_have_the_same_gradients_scaled(balancing):
    """As with float16, whose gradients the scaler divides again: methods see them as they are."""
    found = {}
    for scale in (None, 4096.0):
        trainer = toy_trainer(toy_data(a=16, b=8), balancing=balancing, **MIXED)
        if scale is not None:
            trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        (found[scale],) = gradients(trainer)
    assert_close(found[4096.0], {name: 4096 * gradient for name, gradient in found[None].items()}, rtol=1e-6, atol=1e-9)


def test_gradients_that_are_not_finite_are_the_scalers_to_see():
    trainer = toy_trainer(toy_data(a=16, b=8), balancing="cagrad", **MIXED)
    trainer._prepare(1, [])
    rows = torch.tensor([[1.0, float("inf")], [2.0, 3.0]])
    assert torch.equal(trainer.objective._direction(["a", "b"], rows), torch.tensor([3.0, float("inf")]))
    assert torch.equal(trainer.objective._direction(["a", "b"], torch.zeros(2, 2)), torch.zeros(2))


@pytest.mark.parametrize("balancing", ["uncertainty", "imtl-l"])
def test_what_a_method_learns_is_learned(balancing):
    trainer = toy_trainer(toy_data(a=16, b=8), balancing=balancing, **MIXED)
    trainer.train()
    (learned,) = trainer.objective.balancing.parameters()
    assert (learned.abs() > 1e-3).all()


# the conflict of gradients


def cosine(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> float:
    shared = [name for name in left if name in right]
    rows = [torch.cat([each[name].flatten() for name in shared]) for each in (left, right)]
    return nn.functional.cosine_similarity(*rows, dim=0).item()


@pytest.mark.parametrize(
    "options", [{"conflict_every": 1}, {"balancing": "mgda"}, {"balancing": "gls", "conflict_every": 1}]
)
def test_the_conflict_is_the_cosine_on_shared_parameters(options):
    trainer = toy_trainer(toy_data(a=16, b=8), **MIXED, **options)
    gradients(trainer)
    expected = cosine(*by_hand(trainer, {"a": 1.0, "b": 1.0}).values())
    found = trainer.objective.conflict
    assert found.matrix()[0, 1] == found.matrix()[1, 0] == pytest.approx(expected, abs=1e-9)
    assert found.mean() == pytest.approx(expected, abs=1e-9)


def test_measuring_the_conflict_changes_nothing():
    data = toy_data(a=48, b=24)
    plain, measured = (toy_trainer(data, dropout=0.3, conflict_every=every, **MIXED) for every in (0, 2))
    first, second = plain.train(), measured.train()
    assert_close(measured.model.state_dict(), plain.model.state_dict(), rtol=0, atol=0)
    assert not any("gradient_cosine" in line for line in first.history)
    assert all(-1 <= line["gradient_cosine"] <= 1 for line in second.history)
    assert 0 < measured.objective.conflict.updates <= 6  # half of 12


# what cannot work is said at once


def refused(options: Mapping, message: str, data: Mapping[str, EncodedTask] | None = None, **how) -> None:
    with pytest.raises(InputError, match=message) as error:
        toy_trainer(data or toy_data(a=16, b=8), **options, **how)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("balancing", TOGETHER)
def test_updates_of_one_task_have_nothing_to_balance(balancing):
    refused(
        {"balancing": balancing}, rf"--balancing {balancing}: every update has one task \(a, b\).*--accumulate N --mix"
    )
    toy_trainer(toy_data(a=16, b=8), balancing=balancing, accumulate=2)  # two batches may be of different tasks


def test_nor_have_they_a_conflict():
    refused({"conflict_every": 3}, "--conflict-every 3: every update has one task")


def test_texts_with_labels_of_several_tasks_are_enough(tmp_path):
    tagging_trainer(tmp_path, balancing="pcgrad")


@pytest.mark.parametrize("balancing", TOGETHER)
def test_one_task_alone_is_left_as_it_is_and_it_is_said(balancing):
    with pytest.warns(DataWarning, match=f"--balancing {balancing} has no effect: a is the only task"):
        trainer = toy_trainer(toy_data(a=16), balancing=balancing)
    for found, expected in zip(gradients(trainer), gradients(toy_trainer(toy_data(a=16))), strict=True):
        assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("balancing", BY_GRADIENT)
def test_separate_models_share_nothing(balancing):
    refused(
        {"balancing": balancing, "own": True},
        f"--balancing {balancing}: the tasks of this model share nothing",
        **MIXED,
    )


@pytest.mark.parametrize("options", [*({"balancing": name} for name in TOGETHER), {"conflict_every": 1}])
def test_several_processes(options):
    trainer = toy_trainer(toy_data(a=16, b=8))
    for processes in (1, 2):
        chosen = type(trainer.options)(accumulate=2, **options)
        given = {"corpora": trainer.corpora, "together": True, "processes": processes}
        if processes == 1:
            check_balancing(chosen, **given)
        else:
            with pytest.raises(InputError, match=r"found 2 processes.*uncertainty, imtl-l, dwa or random"):
                check_balancing(chosen, **given)


@pytest.mark.parametrize("name", ["uncertainty", "imtl-l", "dwa", "random", "equal"])
def test_methods_that_know_their_weights_before_do_with_several(name):
    trainer = toy_trainer(toy_data(a=16, b=8))
    chosen = type(trainer.options)(balancing=name)
    check_balancing(chosen, trainer.corpora, together=True, processes=2)


def test_a_method_that_does_not_exist():
    refused({"balancing": "pcgard"}, re.escape("unknown --balancing 'pcgard'; did you mean 'pcgrad'?"))
    refused({"balancing": "tests.training.toy:ToyModel"}, "expected a class derived from Balancing")


class Halves(Balancing):
    """A method from outside the package."""

    Options = OptionGroup

    def weights(self, places, losses, shares):
        return 0.5 * torch.ones_like(losses)


class Largest(Balancing):
    compares = True

    def weights(self, places, losses, shares):
        return (losses == losses.max()).to(losses)


def test_a_method_from_outside_that_compares_sees_all_losses_of_an_update():
    data = toy_data(a=16, b=8)
    (plain,) = gradients(toy_trainer(data, **MIXED))
    (found,) = gradients(toy_trainer(data, balancing="tests.training.test_objective:Largest", **MIXED))
    heads = {name.split(".")[1]: found[name].abs().sum() > 0 for name in plain if name.startswith("heads.")}
    assert sorted(heads.values()) == [False, True]


def test_a_method_from_outside():
    data = toy_data(a=16, b=8)
    (plain,) = gradients(toy_trainer(data, **MIXED))
    (found,) = gradients(toy_trainer(data, balancing="tests.training.test_objective:Halves", **MIXED))
    assert_close(found, {name: 0.5 * gradient for name, gradient in plain.items()}, rtol=0, atol=1e-12)
