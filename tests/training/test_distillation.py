"""The distillation loss by hand, and what training with it means."""

import math

import numpy as np
import pytest
import torch

from graphmtl.data.task import Task
from graphmtl.training.distillation import AUTO, Distillation, DistillationOptions
from graphmtl.training.teacher_outputs import TeacherOutputs
from tests import tiny
from tests.tiny import without_clock

TASKS = {
    task.name: task
    for task in (
        Task(name="a", labels=("x", "y")),
        Task(name="b", labels=("p", "q", "r")),
        Task(name="pair", labels=("x", "y"), text=("s", "t")),
        Task(name="tags", kind="token-classification", labels=("n", "v")),
    )
}
LENGTHS = np.array([2, 1, 3, 2])
SIZE = 4
ROWS = np.array([2, 1])


def outputs():
    rng = np.random.default_rng(0)
    say = {name: rng.normal(size=(4, len(TASKS[name].labels))).astype(np.float32) for name in ("a", "b", "pair")}
    tags = rng.normal(size=(8, 2)).astype(np.float32)
    return {
        "one": TeacherOutputs(LENGTHS, {"a": say["a"], "b": say["b"]}),
        "two": TeacherOutputs(LENGTHS, {"pair": say["pair"]}),
        "news": TeacherOutputs(LENGTHS, {"tags": tags}),
    }


def build(**options):
    torch.manual_seed(0)
    own = {"a": "one", "b": "one", "pair": "two", "tags": "news"}
    options = DistillationOptions(**options)
    return Distillation(tasks=TASKS, node_size=SIZE, outputs=outputs(), own=own, options=options)


def nodes(*shape):
    return torch.randn(*shape, len(TASKS), SIZE, generator=torch.Generator().manual_seed(1))


def lengths():
    return torch.from_numpy(LENGTHS[ROWS])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_labels_by_hand(temperature):
    distillation, z = build(kd_temperature=temperature, kd_off=0.25).requires_grad_(False), nodes(2)
    said = distillation.targets("one", ROWS)
    found = distillation.losses({"b": z}, said, lengths())
    for row, text in enumerate(ROWS):
        expected = 0.0
        for j, (name, weight) in enumerate([("a", 0.25), ("b", 1.0)]):
            teacher = torch.softmax(torch.from_numpy(outputs()["one"].values[name][text]) / temperature, 0)
            student = torch.softmax(distillation.heads[j](z[row, j]) / temperature, 0)
            divergence = sum(float(t * (t / s).log()) for t, s in zip(teacher, student, strict=True))
            expected += weight * temperature**2 * divergence
        assert found[row].item() == pytest.approx(expected, abs=1e-5)


def equal(distillation, said):
    """Nodes and heads by which every student says what its teacher says."""
    z = torch.zeros(*next(iter(said.values())).shape[:-1], len(TASKS), SIZE)
    for j, name in enumerate(TASKS):
        if name in said:
            target = said[name]
            if distillation.options.kd_target == "hidden":
                target = (target - getattr(distillation, f"mean{j}")) / getattr(distillation, f"std{j}")
            z[..., j, : target.size(-1)] = target
            distillation.heads[j].weight.data = torch.eye(target.size(-1), SIZE)
            distillation.heads[j].bias.data.zero_()
    return z


@pytest.mark.parametrize("target", ["logits", "hidden"])
@pytest.mark.parametrize(("corpus", "task"), [("one", "a"), ("two", "pair"), ("news", "tags")])
def test_the_loss_is_zero_when_the_student_equals_the_teacher(target, corpus, task):
    distillation = build(kd_target=target)
    said = distillation.targets(corpus, ROWS)
    z = equal(distillation, said)
    torch.testing.assert_close(distillation.losses({task: z}, said, lengths()), torch.zeros(2))
    assert (distillation.losses({task: z + nodes(*z.shape[:-2])}, said, lengths()) > 0.01).all()


def test_hidden_states_are_standardised():
    distillation, z = build(kd_target="hidden", kd_off=0.0), nodes(2)
    values = outputs()["one"].values["a"]
    expected = (values[ROWS] - values.mean(0)) / values.std(0)
    found = distillation.losses({"a": z}, distillation.targets("one", ROWS), lengths())
    by_hand = (distillation.heads[0](z[:, 0]) - torch.from_numpy(expected)).square().mean(-1)
    torch.testing.assert_close(found, by_hand)


def test_of_tags_it_is_the_mean_over_the_tokens_of_each_text():
    distillation, z = build(), nodes(2, 3)
    said = distillation.targets("news", ROWS)
    assert said["tags"].shape == (2, 3, 2)
    assert np.array_equal(said["tags"][0].numpy(), outputs()["news"].values["tags"][3:6])
    assert np.array_equal(said["tags"][1, :1].numpy(), outputs()["news"].values["tags"][2:3])
    found = distillation.losses({"tags": z}, said, lengths())
    one_token = {"tags": said["tags"][:, :1]}
    alone = distillation.losses({"tags": z[:, :1]}, one_token, torch.tensor([1, 1]))
    torch.testing.assert_close(found[1], alone[1])
    garbage = z.clone()
    garbage[1, 1:] = 1e3
    torch.testing.assert_close(distillation.losses({"tags": garbage}, said, lengths()), found)


def test_the_losses_of_several_tasks_of_a_text_are_added():
    distillation, z = build(), nodes(2)
    said = distillation.targets("one", ROWS)
    alone = sum(distillation.losses({name: z}, said, lengths()) for name in ("a", "b"))
    torch.testing.assert_close(distillation.losses({"a": z, "b": z}, said, lengths()), alone)


# runs


@pytest.fixture
def distilled(finished, tiny_tasks, tmp_path):
    def distilled(**options):
        teachers = str(finished("single").run.folder)
        given = {"tasks": tiny_tasks, "output": tmp_path / "distilled", "teachers": teachers}
        return tiny.run(arch="cmtr", **given | options).run

    return distilled


def test_a_distilled_run_learns_something_else_and_is_saved_without_its_heads(distilled, finished):
    run, plain = distilled(), finished("cmtr").run
    assert [*run.model.state_dict()] == [*plain.model.state_dict()]
    weights = run.model.architecture.adapters.up.weight
    assert not torch.equal(weights, plain.model.architecture.adapters.up.weight)
    files = sorted(path.name for path in (run.folder / "teachers" / "outputs").glob("*.float32"))
    assert files == [f"{name}.float32" for name in (
        "child1-on-child1", "child1-on-parent1", "pairs-on-pairs", "parent1-on-child1", "parent1-on-parent1"
    )]  # fmt: skip


def test_without_weight_distillation_changes_nothing(distilled, finished):
    ours = without_clock(distilled(kd_weight=0).metrics)
    assert ours["tasks"] == without_clock(finished("cmtr").run.metrics)["tasks"]


def test_the_first_step_of_annealing_has_no_labels_and_the_last_no_teacher():
    distillation = build(teacher_annealing=True, kd_weight=3.0)
    labels = [distillation.labels_weight(step, 5) for step in range(5)]
    assert labels == [0, 0.25, 0.5, 0.75, 1]
    assert [distillation.weight(step, 5) for step in range(5)] == [3 * (1 - weight) for weight in labels]
    assert (build().labels_weight(0, 5), build(kd_weight=3.0).weight(0, 5)) == (1, 3)


def test_teachers_that_are_missing_are_trained_once(tiny_tasks, tmp_path, finished, capsys):
    options = {"tasks": tiny_tasks, "output": tmp_path / "run", "teachers": "train"}
    first = tiny.run(arch="cmtr", **options)
    teachers = tmp_path / "run" / "teachers" / "single"
    assert (teachers / "model" / "model.safetensors").read_bytes() == (
        finished("single").run.folder / "model" / "model.safetensors"
    ).read_bytes()
    before = (teachers / "metrics.json").stat().st_mtime_ns
    (tmp_path / "run" / "metrics.json").unlink()
    again = tiny.run(arch="cmtr", **options, resume=True)
    assert (teachers / "metrics.json").stat().st_mtime_ns == before
    assert without_clock(again.run.metrics) == without_clock(first.run.metrics)


@pytest.mark.parametrize("teachers", ["train:shared", "auto"])
def test_teachers_of_another_architecture_are_trained_first(teachers, finished, tiny_tasks, tmp_path):
    options = {"arch": "cmtr", "tasks": tiny_tasks}
    run = tiny.run(**options, output=tmp_path / "run", teachers=teachers).run
    assert run.options.teachers == teachers
    teachers = run.folder / "teachers" / AUTO.removeprefix("train:")
    weights = "model/model.safetensors"
    assert (teachers / weights).read_bytes() == (finished("shared").run.folder / weights).read_bytes()
    named = tiny.run(**options, output=tmp_path / "named", teachers=str(teachers)).run
    assert (run.folder / weights).read_bytes() == (named.folder / weights).read_bytes()


def test_teachers_of_no_architecture(tiny_tasks, tmp_path, error_of):
    given = tiny.OPTIONS | {"arch": "cmtr", "tasks": tiny_tasks, "output": tmp_path / "run", "teachers": "train:shard"}
    assert "unknown arch 'shard'; did you mean 'shared'?" in error_of("run", *tiny.flags(**given))
    assert not (tmp_path / "run").exists()


def test_kl_is_finite_for_certain_teachers():
    distillation = build()
    said = {"a": torch.tensor([[60.0, -60.0], [0.0, 0.0]])}
    loss = distillation.losses({"a": nodes(2)}, said, lengths())
    assert all(math.isfinite(value) for value in loss.tolist())
