"""The losses of further views of a text, in the objective."""

import torch

from graphmtl import load_tasks, loader
from graphmtl.architectures import architecture_class
from graphmtl.models.predictions import ModelOutput
from graphmtl.options import make_options
from graphmtl.training.building import build_model
from graphmtl.training.views import Views, ViewsOptions
from tests.training.toy import toy_data


def outputs(**views):
    views = {name: torch.tensor(loss) for name, loss in views.items()}
    return ModelOutput(torch.zeros(3, 2), views=views, counts=torch.tensor([1, 0, 4]), task_weight=2.0)


def test_the_loss_is_the_mean_over_a_texts_labels_times_both_weights_and_fillers_do_not_count():
    batch = toy_data(a=3)["a"].train.batch([0, 1, 2])
    views = Views(weights={"own": 1.0, "others": 0.5})
    both = {name: outputs(own=[1.0, 0.0, 8.0], others=[2.0, 0.0, 4.0]) for name in ("a", "b")}
    assert views(both, batch, {}) == 2 * (2.0 * (1 + 8 / 4) + 0.5 * 2.0 * (2 + 4 / 4))
    batch.weights[2] = 0
    assert views(both, batch, {}) == 2 * (2.0 * 1 + 0.5 * 2.0 * 2)


def test_a_view_of_weight_zero_is_left_out_and_without_any_there_is_no_loss():
    batch = toy_data(a=3)["a"].train.batch([0, 1, 2])
    views = Views(weights={"own": 0.0, "others": 1.0})
    assert views({"a": outputs(own=[torch.inf] * 3, others=[1.0, 0.0, 0.0])}, batch, {}) == 2
    assert views({"a": outputs(own=[1.0] * 3)}, batch, {}) is None
    assert views({"a": outputs()}, batch, {}) is None


def test_a_run_has_them_where_its_architecture_has_views_unless_both_weights_are_zero():
    assert Views.suits(architecture_class("cmtr"))
    assert not Views.suits(architecture_class("star"))
    assert make_options(arch="cmtr", others_weight=0.25).others_weight == 0.25
    model = torch.nn.Module()
    made = Views.of_run(model, ViewsOptions(others_weight=0.25))
    assert made.weights == {"own": 1.0, "others": 0.25}
    assert model.views == ("own", "others")  # in an order that no hash decides: it is that of sums
    Views.of_run(model, ViewsOptions(own_weight=0.0))
    assert model.views == ("others",)
    assert Views.of_run(model, ViewsOptions(own_weight=0.0, others_weight=0.0)) is None
    assert not model.views


def test_views_before_pooling_are_made_in_training_where_a_run_has_them():
    texts = {name: [f"{name} text {n} of all" for n in range(40)] for name in "ab"}
    tasks = load_tasks({name: {"text": own, "label": ["no", "yes"] * 20} for name, own in texts.items()})
    options = make_options(arch="complete", hidden=4, output_dropout=0.0, locked_dropout=0.0, same_start=False)
    model = build_model(tasks, options, print)
    batch = next(iter(loader(tasks, model, batch_size=8, shuffle=False)))
    (name,) = batch.tasks
    assert not model.train()(batch)[name].views  # of a loop of one's own that has not asked for them
    model.views = ("own", "others")
    assert not model.eval()(batch)[name].views
    output = model(batch)[name]
    model.architecture.train()  # views, and no dropout
    model.training = True
    trained = model(batch)[name]
    torch.testing.assert_close(trained.losses, output.losses)
    encoded, k = model.encode(batch), model.architecture.position(name)
    ((_, views),) = model.architecture.read_with_views(encoded.states, encoded.lengths, [k], views=model.views)
    assert {*trained.views} == {*views} == {"own", "others"}
    for view, states in views.items():
        said = model.classify(model.represent(states, encoded, name), name)
        expected = model.heads[k].losses(said, batch.labels[name], batch.lengths)
        torch.testing.assert_close(trained.views[view], expected)
    assert not torch.allclose(trained.views["own"], trained.views["others"])


def test_a_heads_losses_of_the_views_are_those_of_what_they_hold():
    texts = {"text": [f"text {n} of all" for n in range(40)]}
    tasks = load_tasks(
        {"a": {**texts, "label": ["no", "yes"] * 20}, "b": {**texts, "label": ["x", "y", "z", "y"] * 10}}
    )
    model = build_model(tasks, make_options(arch="cmtr", hidden=4, output_dropout=0.0, locked_dropout=0.0), print)
    model.eval()
    model.architecture.train()  # views, and no dropout
    batch = next(iter(loader(tasks, model, batch_size=8, shuffle=False)))
    (name,) = batch.tasks
    output = model(batch)[name]
    encoded = model.encode(batch)
    ((states, _),) = model.architecture.read(encoded.states, encoded.lengths, [0])
    seen = model.architecture.interact(model.represent(states, encoded, name), encoded.lengths, 0)
    assert {*output.views} == {"own", "others"}
    for view, h in seen.views.items():
        expected = model.heads[0].losses(model.classify(h, name), batch.labels[name], batch.lengths)
        torch.testing.assert_close(output.views[view], expected)
    assert not torch.allclose(output.views["own"], output.views["others"])
