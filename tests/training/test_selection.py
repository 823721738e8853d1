import pytest
import torch
from torch import nn

from graphmtl.training.selection import BestEpochs, GivenEpochs


def make_model(value: float) -> nn.Module:
    model = nn.ParameterDict({"a": torch.zeros(2), "b": torch.zeros(2)})
    fill(model, value)
    return model


@torch.no_grad()
def fill(model: nn.Module, value: float) -> None:
    for parameter in model.parameters():
        parameter.fill_(value)


def look(selection, scores: list[dict[str, float]]) -> nn.Module:
    """Epoch e's weights all have the value e; returns the model with the kept weights."""
    model = make_model(0)
    for epoch, values in enumerate(scores, start=1):
        fill(model, epoch)
        selection.update(model=model, epoch=epoch, scores={group: (value,) for group, value in values.items()})
        if selection.finished:
            break
    fill(model, -1)
    selection.restore(model)
    return model


def values_of(model: nn.Module) -> dict[str, float]:
    return {name: float(parameter.detach()[0]) for name, parameter in model.named_parameters()}


def one_group(patience: int = 0) -> BestEpochs:
    return BestEpochs(groups={"mean": ["a", "b"]}, patience=patience, last={"mean": 99})


def two_groups(patience: int = 0) -> BestEpochs:
    return BestEpochs(groups={"a": ["a"], "b": ["b"]}, patience=patience, last={"a": 99, "b": 99})


def test_the_epoch_of_the_highest_score_is_kept():
    selection = one_group()
    model = look(selection, [{"mean": x} for x in (0.1, 0.7, 0.3, 0.7)])
    assert selection.best_epoch == 2
    assert values_of(model) == {"a": 2, "b": 2}


def test_equal_scores_are_told_apart_by_what_follows():
    selection = one_group()
    for epoch, scores in enumerate([(0.5, -1.0), (0.5, -0.5), (0.4, 0.0)], start=1):
        selection.update(model=make_model(epoch), epoch=epoch, scores={"mean": scores})
    assert selection.best_epoch == 2


def test_groups_keep_their_own_epochs():
    selection = two_groups()
    model = look(selection, [{"a": 0.1, "b": 0.9}, {"a": 0.8, "b": 0.2}])
    assert selection.best_epoch == {"a": 2, "b": 1}
    assert values_of(model) == {"a": 2, "b": 1}


def test_patience_counts_epochs_since_the_best():
    selection = one_group(patience=2)
    look(selection, [{"mean": x} for x in (0.1, 0.5, 0.2, 0.3, 0.9)])
    assert selection.epoch == 4
    assert selection.best_epoch == 2


def test_no_patience_means_no_end():
    selection = one_group(patience=0)
    look(selection, [{"mean": -float(epoch)} for epoch in range(30)])
    assert selection.epoch == 30


def test_a_settled_group_stays_and_the_others_go_on():
    scores = [{"a": 0.5, "b": 0.1}, {"a": 0.4, "b": 0.2}, {"a": 0.3, "b": 0.3}, {"a": 0.9, "b": 0.4}]
    selection = two_groups(patience=2)
    model = look(selection, scores + [{"a": 0.9, "b": 0.0}] * 5)
    assert selection.best_epoch == {"a": 1, "b": 4}  # a was settled after epoch 3, as if trained alone
    assert values_of(model) == {"a": 1, "b": 4}
    assert selection.epoch == 6


def test_kept_weights_do_not_follow_the_model():
    selection, model = one_group(), make_model(1)
    selection.update(model=model, epoch=1, scores={"mean": (1.0,)})
    fill(model, 5)
    selection.restore(model)
    assert values_of(model) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "make", [two_groups, lambda: GivenEpochs(groups={"a": ["a"], "b": ["b"]}, epochs=1, last={"a": 4, "b": 4})]
)
def test_state_goes_on_elsewhere(make):
    first, second = make(), make()
    look(first, [{"a": 0.5, "b": 0.5}])
    second.load_state_dict(first.state_dict())
    assert second.finished == first.finished
    assert second.best_epoch == {"a": 1, "b": 1}
    second.update(model=make_model(2), epoch=2, scores={"a": (0.1,), "b": (0.2,)})
    model = make_model(-1)
    second.restore(model)
    assert values_of(model) == {"a": 1, "b": 1}


def test_given_epochs_are_kept_without_scores():
    selection = GivenEpochs(groups={"a": ["a"], "b": ["b"]}, epochs={"a": 3, "b": 1}, last={"a": 9, "b": 9})
    model = look(selection, [{}] * 9)
    assert selection.epoch == 3  # nothing is trained after the last one
    assert values_of(model) == {"a": 3, "b": 1}


def test_one_given_epoch_holds_for_every_group():
    selection = GivenEpochs(groups={"a": ["a"], "b": ["b"]}, epochs=2, last={"a": 9, "b": 9})
    assert values_of(look(selection, [{}] * 9)) == {"a": 2, "b": 2}


@pytest.mark.parametrize("epoch", [0, 4])
def test_a_given_epoch_that_never_comes(epoch):
    with pytest.raises(ValueError, match=f"epochs: expected 1 to 3 for group 'b', found {epoch}"):
        GivenEpochs(groups={"a": ["a"], "b": ["b"]}, epochs={"a": 1, "b": epoch}, last={"a": 3, "b": 3})


def test_a_group_is_settled_after_its_last_epoch_and_says_when_it_still_rose():
    selection = BestEpochs(groups={"a": ["a"], "b": ["b"]}, patience=0, last={"a": 2, "b": 4})
    scores = [{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.9}, {"a": 0.8, "b": 0.3}]
    model = look(selection, scores + [{"a": 0.9, "b": 0.4}] * 3)
    assert selection.epoch == 4
    assert values_of(model) == {"a": 2, "b": 2}
    assert selection.cut_short == ["a"]  # b fell after its second epoch
