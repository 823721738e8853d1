"""The model's own average as its teacher: the loss by hand, and what training with it means."""

import math
from dataclasses import replace

import pytest
import torch

from graphmtl.cli import main
from graphmtl.data.batching import EncodedSplit, encode_texts
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.training import experiment
from graphmtl.training.distillation import DistillationOptions
from graphmtl.training.mean_teacher import MeanTeacher
from graphmtl.training.run import Run
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.parts import label_arrays
from tests.tiny import without_clock
from tests.training.toy import graph_model, toy_data, toy_trainer

TASKS = [
    Task(name="a", labels=("x", "y")),
    Task(name="b", labels=("p", "q", "r")),
    Task(name="score", kind="regression"),
    Task(name="pair", labels=("x", "y"), text=("s", "t")),
    Task(name="tags", kind="token-classification", labels=("n", "v")),
]
WORDS = "ada sees rome in 1999"
TEXTS = {"a": ["ada sees rome", "in"], "pair": [("ada", "sees rome"), ("in", "in")], "tags": [["ada", "in"], ["in"]]}


def build(**options):
    """A model that is not its average, and the term."""
    torch.manual_seed(0)
    model = graph_model(TASKS, "cmtr", 0.0, Vocabulary.build([WORDS]), chars="none").double()
    term = MeanTeacher(model=model, options=DistillationOptions(teachers="ema", **options))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.train(), term


def batch_of(model, name):
    texts = [(text,) if isinstance(text, (str, list)) else text for text in TEXTS[name]]
    encoded = encode_texts(texts, model.vocabulary, model.options, None)
    labels = label_arrays([[0, 1], [1]] if name == "tags" else [0, 1])
    return EncodedSplit(tasks=[name], texts=encoded, labels={name: labels}).batch([0, 1])


def divergence(target, student, T):
    target, student = (torch.softmax(each.detach() / T, 0) for each in (target, student))
    return T**2 * sum(float(t * (t / s).log()) for t, s in zip(target, student, strict=True))


def test_the_loss_by_hand():
    model, term = build(kd_off=0.25, kd_temperature=3.0)
    batch = batch_of(model, "a")
    batch.weights[1] = 0.5
    outputs, average = model(batch), term.average.model
    taught = average(replace(batch, labels=None))["a"]
    expected = 0.0
    for row, weight in enumerate([1.0, 0.5]):
        for j, name in enumerate(["a", "b"]):
            target = average.classify(taught.hidden if name == "a" else taught.nodes[:, j], name)[row]
            student = average.classify(outputs["a"].nodes[:, j], name)[row]
            expected += weight * (1.0 if name == "a" else 0.25) * divergence(target, student, 3.0)
        scores = [average.classify(z[:, 2], "score").view(-1)[row] for z in (taught.nodes, outputs["a"].nodes.detach())]
        expected += weight * 0.25 * float(scores[0] - scores[1]) ** 2
    assert term(outputs, batch, {}).item() == pytest.approx(expected, rel=1e-6)  # of pairs and tags there is nothing


def test_of_tags_it_is_the_mean_over_the_tokens_of_each_text():
    model, term = build()
    batch = batch_of(model, "tags")
    outputs, average = model(batch), term.average.model
    taught = average(replace(batch, labels=None))["tags"]
    target, student = (average.classify(h, "tags") for h in (taught.hidden, outputs["tags"].nodes[:, :, 4]))
    tokens = {(row, t): divergence(target[row, t], student[row, t], 2.0) for row, t in ((0, 0), (0, 1), (1, 0))}
    expected = (tokens[0, 0] + tokens[0, 1]) / 2 + tokens[1, 0]
    assert term(outputs, batch, {}).item() == pytest.approx(expected, rel=1e-6)


def test_a_model_that_is_its_average_has_nothing_to_learn_of_other_tasks():
    model, term = build()
    term.average.model.load_state_dict(model.state_dict())
    batch = batch_of(model, "a")
    alone = build(kd_off=0.0)[1]
    alone.average.model.load_state_dict(model.state_dict())
    outputs = model(batch)
    torch.testing.assert_close(term(outputs, batch, {}), alone(outputs, batch, {}))
    assert term(outputs, batch, {}) > 1e-4  # what a task says of its own is fused


def test_representations_learn_and_heads_and_the_average_do_not():
    model, term = build()
    batch = batch_of(model, "a")
    term(model(batch), batch, {}).backward()
    trained = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert not any(name.startswith(("heads.", "common_heads.")) for name in trained)
    assert any(name.startswith("encoders.") for name in trained)
    up = model.architecture.adapters.up.weight.grad  # (K, ...)
    assert [bool(own.any()) for own in up] == [True, True, True, False, False]
    assert not [*term.parameters()]
    assert all(p.grad is None for p in term.average.model.parameters())


def test_the_weight_rises_to_its_full_height():
    term = build(kd_weight=3.0, teacher_ramp=0.5)[1]
    assert [term.weight(step, 8) for step in (0, 2, 4, 7)] == pytest.approx(
        [3 * math.exp(-5), 3 * math.exp(-1.25), 3, 3]
    )
    assert build(teacher_ramp=0.0)[1].weight(0, 8) == 1


def test_the_average_follows_every_update():
    trainer = toy_trainer(toy_data(a=17, b=9), arch="cmtr", accumulate=2)
    term = MeanTeacher(model=trainer.model, options=DistillationOptions(teachers="ema", teacher_decay=0.5))
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    result = trainer.train(terms=[term], keep_epochs=4)
    assert term.average.updates["all"] == result.steps == 4 * 3
    means = [*term.average.model.parameters()]
    ends = [*trainer.model.parameters()]
    moved = [(mean - end).norm() < (mean - start).norm() for mean, end, start in zip(means, ends, before, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


# runs


@pytest.fixture(scope="module")
def whole(tiny_tasks, tmp_path_factory) -> Run:
    output = tmp_path_factory.mktemp("runs") / "ema"
    return tiny.run(arch="cmtr", tasks=tiny_tasks, output=output, teachers="ema").run


def test_a_taught_run_learns_something_else_and_is_saved_without_its_teacher(whole, finished):
    plain = finished("cmtr").run
    assert [*whole.model.state_dict()] == [*plain.model.state_dict()]
    name = "architecture.adapters.up.weight"
    assert not torch.equal(whole.model.state_dict()[name], plain.model.state_dict()[name])


def test_without_weight_the_teacher_changes_nothing(finished, tiny_tasks, tmp_path):
    run = tiny.run(arch="cmtr", tasks=tiny_tasks, output=tmp_path / "run", teachers="ema", kd_weight=0).run
    assert without_clock(run.metrics)["tasks"] == without_clock(finished("cmtr").run.metrics)["tasks"]


def test_an_interrupted_run_ends_as_if_it_had_not_been(whole, tiny_tasks, tmp_path, monkeypatch):
    def stop(record):
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            tiny.run(arch="cmtr", tasks=tiny_tasks, output=folder, teachers="ema")
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    weights = "model/model.safetensors"
    assert (folder / weights).read_bytes() == (whole.folder / weights).read_bytes()
    assert without_clock(Run.open(folder).metrics) == without_clock(whole.metrics)


@pytest.mark.parametrize(
    ("teachers", "option", "value"),
    [("ema", "kd_target", "hidden"), ("ema", "teacher_annealing", True), ("train", "teacher_decay", 0.5)],
)
def test_options_of_other_teachers_are_named(teachers, option, value, tiny_tasks, tmp_path, capsys):
    tiny.run(arch="cmtr", tasks=tiny_tasks, output=tmp_path / "run", epochs=1, teachers=teachers, **{option: value})
    flag = option.replace("_", "-")
    assert f"--{flag} has no effect with --teachers {teachers}\n" in capsys.readouterr().err
