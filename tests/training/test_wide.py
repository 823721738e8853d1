"""What the wide parts learn is what scikit-learn's logistic regression learns of the same features."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from graphmtl import Run, train
from graphmtl.cli import main
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.graph.pictures.held import OTHER_TEXTS
from graphmtl.models.linear import tfidf_rows
from graphmtl.models.wide import FORMS
from graphmtl.reporting.contents import run_contents
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.run_picture import held_graphs, linear_control, run_picture
from graphmtl.training.wide import STRENGTHS, _count, _learned_forms, _Part, _Texts, fit_wide_parts
from tests import tiny
from tests.models.small import build
from tests.parts import label_arrays
from tests.training.wide_models import SPECIAL, TASKS, data_of, fitted


def test_it_is_logistic_regression_of_common_and_own_features():
    data = {task.name: data_of(task, 10 * k, flipped=k == 1) for k, task in enumerate(TASKS)}
    model = fitted("shared", data, "augmented")
    parts = [model.wide_part(name) for name in data]
    train = [_Texts(own.train, name, SPECIAL) for name, own in data.items()]
    features = [tfidf_rows(part, own.ngrams) for own, part in zip(train, parts, strict=True)]
    labels = np.concatenate([own.labels.numpy() for own in train])
    C = parts[0].strength.item()
    regression = LogisticRegression(C=C, solver="liblinear", dual=True, max_iter=20_000, tol=1e-8)
    regression.fit(sparse.hstack([sparse.vstack(features), sparse.block_diag(features)]), labels)
    for k, (part, own) in enumerate(zip(parts, train, strict=True)):
        blocks = [features[k] if j in (0, k + 1) else features[k] * 0 for j in range(3)]
        expected = regression.decision_function(sparse.hstack(blocks))
        found = part(own.ngrams).diff(dim=1)[:, 0]
        np.testing.assert_allclose(found.numpy(), expected, atol=0.05)
    assert parts[0].weight.sub(parts[1].weight).abs().max() > 0.1  # the two tasks say the opposite


def is_told_by(part, source, name, data):
    """Checks that a part is a regression of its features and of what a source says, and gives the weight of that."""
    texts = {split: _Texts(getattr(data, split), name, SPECIAL) for split in ("train", "test")}
    features = {split: tfidf_rows(part, own.ngrams) for split, own in texts.items()}
    said = {split: x @ source.weight.numpy() for split, x in features.items()}  # (texts, 1)
    mean, spread = said["train"].mean(0), said["train"].std(0)
    both = {split: sparse.hstack([x, (said[split] - mean) / spread / 10]) for split, x in features.items()}
    regression = LogisticRegression(C=4.0, solver="liblinear", dual=True, max_iter=20_000, tol=1e-8)
    regression.fit(both["train"], texts["train"].labels.numpy())
    found = part(texts["test"].ngrams).diff(dim=1)[:, 0]
    np.testing.assert_allclose(found.numpy(), regression.decision_function(both["test"]), atol=0.05)
    return regression.coef_[0, -1]


def test_told_it_is_logistic_regression_of_own_features_and_of_what_the_others_say():
    data = {task.name: data_of(task, 10 * k, flipped=k == 1) for k, task in enumerate(TASKS)}
    told, alone = fitted("shared", data, "told"), fitted("shared", data, "own")
    for name, other in (("a", "b"), ("b", "a")):
        weight = is_told_by(told.wide_part(name), alone.wide_part(other), name, data[name])
        assert weight < -0.1  # the two tasks say the opposite
        texts = _Texts(data[name].test, name, SPECIAL)
        assert (told.wide_part(name)(texts.ngrams) - alone.wide_part(name)(texts.ngrams)).abs().max() > 0.1


def test_each_task_keeps_the_form_that_has_the_least_loss_on_validation(monkeypatch):
    found, best = {}, _Part.best

    def watched(part, forms):
        found[id(part.wide)] = forms
        return best(part, forms)

    monkeypatch.setattr(_Part, "best", watched)
    data = {task.name: data_of(task, 10 * k, flipped=k == 1) for k, task in enumerate(TASKS)}
    model = fitted("shared", data)
    for (name, task), head in zip(data.items(), model.heads, strict=True):
        part = model.wide_part(name)
        losses = {each.form: each.loss for each in found[id(part)]}
        assert losses.keys() == {*FORMS}
        assert min(losses, key=losses.__getitem__) == FORMS[int(part.form)]
        assert _Texts(task.valid, name, SPECIAL).loss(part, head) == pytest.approx(min(losses.values()))


def test_of_words_that_a_new_task_does_not_have_those_of_before_count():
    model = build("shared", tasks=TASKS, wide=True)
    fit_wide_parts(model, {"a": data_of(TASKS[0], 0)}, seed=0)
    few = EncodedSplit(tasks=["b"], texts=[[5], [6]], labels={"b": label_arrays([0, 1])})
    fit_wide_parts(model, {"b": EncodedTask(TASKS[1], few, few, few)}, seed=0)
    assert ((model.wide_part("b").idf > 0) >= (model.wide_part("a").idf > 0)).all()


def test_after_an_earlier_choice_the_models_that_others_read_have_its_strength():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    parts = {name: _Part(fitted("shared", data, "told"), name, own) for name, own in data.items()}
    _count([*parts.values()], [])
    found = _learned_forms(parts, [[*parts]], [], 0)
    assert {each.form: each.strength for each in found["a"]} == {"own": 4, "told": 4, "augmented": 1}


def test_the_tasks_of_before_tell_a_new_one():
    tasks = [TASKS[0], Task(name="new", labels=("bad", "good"))]
    model = build("shared", tasks=tasks, wide=True)
    fit_wide_parts(model, {"a": data_of(tasks[0], 0)}, seed=0)
    first = model.wide_part("a").weight.clone()
    new = model.wide_part("new")
    new.form.fill_(FORMS.index("told"))
    new.strength.fill_(4.0)
    fit_wide_parts(model, {"new": data_of(tasks[1], 10)}, seed=0)
    assert torch.equal(model.wide_part("a").weight, first)
    assert is_told_by(new, model.wide_part("a"), "new", data_of(tasks[1], 10)) > 0.1


def test_a_run_and_a_refit_draw_whom_linear_models_read(run, tmp_path):
    (edge,), (by_chance,) = run.graphs_beside["linear"].edges, linear_control(run).edges
    assert (edge.source, edge.target) == (by_chance.source, by_chance.target) == ("child1", "parent1")
    *_, last = held_graphs(run)
    assert (last.graph.edges, last.control) == ((edge,), OTHER_TEXTS)
    given = {"arch": "shared", "wide": True, **tiny.OPTIONS}
    alone = train("planted", output=str(tmp_path / "shared"), **given)
    assert alone.graphs_beside["linear"].edges == (edge,)  # whatever the graph is
    assert (alone.folder / "task_graph.png").is_file()
    assert [each.control for each in held_graphs(alone)] == [OTHER_TEXTS]
    note = run_contents(alone, name="a", examples=0, seed=0)["maps"][0]["note"]
    assert "1 is what is read by chance" in note
    assert "shuffled" not in note
    main(["report", str(alone.folder)])
    page = (alone.folder / "report.html").read_text()
    assert "Can the picture be trusted?" not in page  # of linear models nothing can be cut
    assert "2 tasks, train split" in drawn_texts(run_picture(alone))
    again = train("planted", output=str(tmp_path / "refit"), refit_on_valid=True, **given)
    assert (
        again.graphs_beside["linear"].edges[0].count > edge.count
    )  # of the model that is kept, with the texts of validation
    (alone.folder / "task_linear_permuted.json").write_text((alone.folder / "task_graph.json").read_text())
    with pytest.raises(InputError, match=r"task_linear_permuted\.json: not of the edges"):
        held_graphs(Run.open(alone.folder))


def test_a_model_of_an_earlier_version_says_nothing_of_the_form():
    part = fitted("shared", {TASKS[0].name: data_of(TASKS[0], 0)}).wide_part("a")
    state = {name: value for name, value in part.state_dict().items() if name not in ("form", "share", "temperature")}
    again = build("shared", tasks=TASKS, wide=True).wide_part("a")
    again.load_state_dict(state)
    assert torch.equal(again.weight, part.weight)
    assert (int(again.form), again.share.item(), again.temperature.item()) == (0, 0.5, 1)


def test_the_strength_has_the_least_loss_on_validation():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    model = fitted("shared", data)

    def loss(model):
        heads = dict(zip(model.tasks, model.heads, strict=True))
        valid = {name: _Texts(own.valid, name, SPECIAL) for name, own in data.items()}
        return sum(own.loss(model.wide_part(name), heads[name]) for name, own in valid.items())

    losses = {}
    for C in STRENGTHS:
        other = build("shared", tasks=TASKS, wide=True)
        for name in data:
            other.wide_part(name).form.copy_(model.wide_part(name).form)
            other.wide_part(name).strength.fill_(C)
        fit_wide_parts(other, data, seed=0)
        losses[C] = loss(other)
    assert model.wide_part("a").strength == min(losses, key=losses.__getitem__)
    assert loss(model) == pytest.approx(min(losses.values()))


def test_separate_models_learn_alone():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    both = fitted("single", data)
    one = fitted("single", {"a": data["a"], "b": data_of(TASKS[1], 10, flipped=True)})
    assert torch.equal(both.wide_part("a").weight, one.wide_part("a").weight)
    assert not torch.equal(both.wide_part("b").weight, one.wide_part("b").weight)
    together = fitted("shared", data)
    other = fitted("shared", {"a": data["a"], "b": data_of(TASKS[1], 10, flipped=True)})
    assert not torch.equal(together.wide_part("a").weight, other.wide_part("a").weight)


def test_a_task_whose_texts_have_no_known_word_learns_its_labels_frequency():
    data = {task.name: data_of(task, 10 * k) for k, task in enumerate(TASKS)}
    unknown = EncodedSplit(tasks=["b"], texts=[[SPECIAL[0]]] * 30, labels={"b": label_arrays([0, 0, 1] * 10)})
    data["b"] = EncodedTask(TASKS[1], unknown, unknown, unknown)
    part = fitted("single", data).wide_part("b")
    assert not part.weight.any()
    assert part.bias.item() < 0


def test_texts_without_a_label_are_left_out():
    texts = EncodedSplit(tasks=["a"], texts=[[3], [4], [5]], labels={"a": label_arrays([1, -100, 0])})
    found = _Texts(texts, "a", SPECIAL)
    assert len(found) == 2
    assert sorted(found.labels.tolist()) == [0, 1]


def drawn_texts(figure):
    return " ".join(text.get_text() for text in figure.texts)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide") / "run"
    return train("planted", arch="star", wide=True, output=str(folder), **tiny.OPTIONS)


def test_a_run_says_so_and_its_saved_model_has_it(run, tmp_path, capsys):
    main(["run", *tiny.flags(**tiny.OPTIONS, arch="star", wide=True, output=tmp_path / "again")])
    assert "wide: 2 linear models of words (1 augmented, 1 told), C " in capsys.readouterr().out
    again = Run.open(tmp_path / "again")
    assert tiny.without_clock(again.metrics) == tiny.without_clock(run.metrics)
    assert again.model.predict(["good"], "child1") == run.model.predict(["good"], "child1")
    capsys.readouterr()
    main(["evaluate", str(run.folder)])
    assert f"{100 * run.metrics['mean']['test']:.1f}" in capsys.readouterr().out


def test_beside_frozen_layers_it_is_that_beside_none(transformer, tmp_path):
    given = tiny.OPTIONS | {"arch": "shared", "wide": True, "encoder": transformer(), "epochs": 1}
    runs = [
        train("planted", output=str(tmp_path / str(frozen)), freeze_layers=frozen, max_length=16, **given)
        for frozen in (0, 2)
    ]
    for name in ("parent1", "child1"):
        first, second = (own.model.wide_part(name) for own in runs)
        assert first.strength > 0
        assert torch.equal(first.weight, second.weight)


def test_tasks_without_it_are_named(tiny_tasks, tmp_path):
    with pytest.warns(UserWarning, match="--wide: no wide part for pairs"):
        train(tiny_tasks, arch="shared", wide=True, output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})


def test_refit_keeps_the_strength(run, tmp_path):
    again = train("planted", arch="star", wide=True, refit_on_valid=True, output=str(tmp_path / "run"), **tiny.OPTIONS)
    for task in ("parent1", "child1"):
        first, second = (each.model.wide_part(task) for each in (run, again))
        assert first.strength == second.strength > 0
        assert (first.form, first.share, first.temperature) == (second.form, second.share, second.temperature)
        assert not torch.equal(first.weight, second.weight)  # of more texts


def test_a_new_task_learns_its_own(run, tmp_path, capsys):
    rows = [f"{word} film {i}\t{label}" for i in range(30) for word, label in (("bad", "dull"), ("good", "great"))]
    (tmp_path / "tone.tsv").write_text("\n".join(["text\tlabel", *rows, ""]))
    task = {"tasks": {"tone": {"train": "tone.tsv", "test": "tone.tsv", "valid": 0.25}}}
    (tmp_path / "tone.yaml").write_text(json.dumps(task))
    flags = [
        "--steps",
        "0",
        "--epochs",
        "2",
        "--freeze",
        "all-but-new",
        "--no-progress",
        "--output",
        str(tmp_path / "new"),
    ]
    main(["transfer", str(run.folder), "--task", str(tmp_path / "tone.yaml"), *flags])
    new = Run.open(tmp_path / "new").model
    part = new.wide_part("tone")
    assert part.strength > 0
    assert part.share == 1  # of words that tell all, beside a head that has learned for two epochs
    assert torch.equal(new.wide_part("child1").weight, run.model.wide_part("child1").weight)
    assert new.predict(["good"], "child1") == run.model.predict(["good"], "child1")


def test_a_transfer_draws_whom_the_new_task_reads(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_Part, "best", lambda _, found: next(each for each in found if each.form == "told"))
    known = load_run_tasks(run.options)["parent1"].train
    rows = [f"{one['text']}\t{one['label']}" for one in known]
    (tmp_path / "like.tsv").write_text("\n".join(["text\tlabel", *rows, ""]))
    task = {"tasks": {"like": {"train": "like.tsv", "test": 10, "valid": 10, "text": "text", "label": "label"}}}
    (tmp_path / "like.yaml").write_text(json.dumps(task))
    flags = ["--steps", "0", "--epochs", "1", "--no-progress", "--output", str(tmp_path / "new")]
    main(["transfer", str(run.folder), "--task", str(tmp_path / "like.yaml"), *flags])
    edges = Run.open(tmp_path / "new").graphs_beside["linear"].edges
    assert {(edge.source, edge.target) for edge in edges} == {("parent1", "like"), ("child1", "like")}
    assert max(edges, key=lambda edge: edge.weight).source == "parent1"


@pytest.mark.parametrize("more", [[], ["--int8"]])
def test_it_is_exported(run, more, tmp_path, capsys):
    main(["export", str(run.folder), "--output", str(tmp_path / "model.onnx"), *more])
    assert f"wrote {tmp_path / 'model.onnx'}" in capsys.readouterr().out
