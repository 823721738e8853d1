"""Share and temperature are chosen as a loop over all of them would, each tried by a prediction of its own."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from graphmtl import train
from graphmtl.data.task import Task
from graphmtl.training.accelerator import plain_accelerator
from graphmtl.training.evaluation import predict_split
from graphmtl.training.finished import read_run
from graphmtl.training.wide import fit_wide_parts
from graphmtl.training.wide_shares import SHARES, TEMPERATURES, _best, choose_shares
from tests import tiny
from tests.models.small import build
from tests.training.wide_models import TASKS, data_of, data_of_any, fitted


def validation_of(model, data):
    """What gives the predictions of the validation split."""
    accelerator = plain_accelerator("cpu")
    return partial(predict_split, model=model, data=data, split="valid", batch_size=8, accelerator=accelerator)


def chosen_pools(model, data):
    return {name: (model.wide_part(name).share.item(), model.wide_part(name).temperature.item()) for name in data}


def slow_choice(model, data, together):
    """Of every task share and temperature, each tried: the best of all, or a task's own where it is surely better."""
    losses = {}
    pools = [*product(SHARES, TEMPERATURES)]
    for share, temperature in pools:
        for name in data:
            model.wide_part(name).share.fill_(share)
            model.wide_part(name).temperature.fill_(temperature)
        for name, said in validation_of(model, data)().items():
            losses[name, share, temperature] = said.losses
    of_all = min(pools, key=lambda pool: np.mean([losses[name, *pool].mean() for name in data]))
    found = {}
    for name in data:
        own = min(pools, key=lambda pool: losses[name, *pool].mean())
        gains = losses[name, *of_all] - losses[name, *own]
        takes_own = gains.mean() > 2 * stats.sem(gains) if together else True
        found[name] = own if takes_own else of_all
    return found


@pytest.mark.parametrize("arch", ["shared", "single"])
@pytest.mark.parametrize("sure", [1.0, 10.0])  # of an untrained graph
def test_share_and_temperature_have_the_least_loss_on_validation(arch, sure):
    tasks = [*TASKS, Task(name="any", kind="multi-label", labels=("x", "y"))]
    data = {task.name: data_of(task, 10 * k, flipped=k == 1) for k, task in enumerate(TASKS)}
    data["any"] = data_of_any(tasks[2], 7)
    model = build(arch, tasks=tasks, wide=True)
    fit_wide_parts(model, data, seed=0)
    with torch.no_grad():
        for head, name in zip(model.heads, data, strict=True):
            head.linear.weight.mul_(sure)
            model.wide_part(name).weight.mul_(sure / 3)
    said = []
    choose_shares(model, validation_of(model, data), data, say=said.append)
    chosen = chosen_pools(model, data)
    assert chosen == slow_choice(model, data, together=arch == "shared")
    listed = [f"{name} {s:g}" + (f" ({T:g})" if T != 1 else "") for name, (s, T) in chosen.items()]
    assert " ".join(said[0].split()) == (
        f"wide: its share of the answers (and the temperature of the graph): {', '.join(listed)}"
    )


@pytest.mark.parametrize(("examples", "found"), [(0, 1), (1, 1), (100, 1), (1000, 2)])
def test_a_task_takes_its_own_best_where_it_is_better_by_two_errors(examples, found):
    gains = np.random.default_rng(0).normal(size=examples)
    gains += 0.1 - gains.mean() if examples else 0
    losses = np.stack([np.full(examples, 3.0), np.full(examples, 2.0), 2.0 - gains])  # (pools, examples)
    assert _best(losses, 1) == found
    assert _best(losses, None) == (2 if examples else 0)


def test_a_task_without_validation_examples_does_as_the_others():
    task, other = TASKS
    data = {"a": data_of(task, 0, valid=0), "b": data_of(other, 10, valid=300)}
    model = fitted("shared", data)
    choose_shares(model, validation_of(model, data), data)
    found = chosen_pools(model, data)
    assert found["a"] == found["b"] != (0.5, 1.0)


def test_with_no_share_of_the_wide_part_the_graph_answers_alone():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    model = fitted("shared", data)
    for name in data:
        model.wide_part(name).share.fill_(0)
    alone = build("shared", tasks=TASKS)
    alone.load_state_dict({name: own for name, own in model.state_dict().items() if not name.startswith("wide")})
    batch = data["b"].valid.batch(range(30))
    expected = alone.eval()(batch)["b"].logits
    torch.testing.assert_close(model.eval()(batch)["b"].logits, expected)
    model.wide_part("b").temperature.fill_(2)
    torch.testing.assert_close(model(batch)["b"].logits, expected / 2)


def test_heads_choose_again_once_shares_are_chosen(monkeypatch):
    """A threshold is one of the pooled answers."""
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    model, heard = fitted("shared", data), {}
    monkeypatch.setattr(model, "choose", lambda name, said: heard.update({name: said.losses.sum()}))
    predict = validation_of(model, data)
    choose_shares(model, predict, ["a"])
    assert heard == {"a": predict()["a"].losses.sum()}


def test_equal_parts_where_no_share_is_better():
    data = {task.name: data_of(task, 10 * k, valid=0) for k, task in enumerate(TASKS)}
    model = fitted("shared", data)
    choose_shares(model, validation_of(model, data), data)
    assert {*chosen_pools(model, data).values()} == {(0.5, 1.0)}


def test_a_run_chooses_shares(tmp_path):
    """Those are kept that are chosen once the graph is trained."""
    run = train("planted", arch="star", wide=True, output=str(tmp_path / "run"), **tiny.OPTIONS)
    model, data = run.model, read_run(run)
    chosen = chosen_pools(model, data)
    for name in data:
        model.wide_part(name).share.fill_(0.5)
        model.wide_part(name).temperature.fill_(5.0)
    choose_shares(model, validation_of(model, data), data)
    assert chosen_pools(model, data) == chosen
    assert {share for share, _ in chosen.values()} != {0.5}
