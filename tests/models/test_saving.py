import json
import re
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.options import make_options
from tests.models.small import TASKS, VOCABULARY, batch, build, every_architecture
from tests.parts import model_options


@pytest.fixture
def saved(tmp_path):
    def saved(arch, **options):
        model = build(arch, **options)
        model.save_pretrained(tmp_path / "model")
        return model, tmp_path / "model"

    return saved


@every_architecture
def test_a_model_that_is_loaded_back_predicts_the_same(arch, saved):
    model, folder = saved(arch)
    loaded = MultiTaskModel.from_pretrained(folder)
    assert not loaded.training
    for task in ("a", "b"):
        texts = ["good film", "very bad", "", "zebra"]
        assert loaded.predict(texts, task, edges=True) == model.predict(texts, task, edges=True)
    assert loaded.predict([("good", "bad")], "pairs") == model.predict([("good", "bad")], "pairs")
    assert list(loaded.tasks.values()) == TASKS
    assert loaded.options == model.options
    assert loaded.vocabulary.words == VOCABULARY.words


@every_architecture
def test_what_is_shared_is_shared_after_loading_and_what_is_not_is_not(arch, saved):
    loaded = MultiTaskModel.from_pretrained(saved(arch)[1])
    used = {}
    for task in TASKS:
        loaded.zero_grad()
        loaded(batch(task.name))[task.name].logits.square().sum().backward()
        used[task.name] = {id(parameter) for parameter in loaded.parameters() if parameter.grad is not None}
    common = used["a"] & used["b"] & used["pairs"]
    embeddings = {id(encoder.embedding.weight) for encoder in loaded.encoders}
    if arch == "single":
        assert len(embeddings) == 3
        assert not any(used[x] & used[y] for x, y in (("a", "b"), ("a", "pairs"), ("b", "pairs")))
    else:
        assert len(embeddings) == 1
        assert embeddings <= common
    heads = [{id(parameter) for parameter in head.parameters()} for head in loaded.heads]
    assert not common & set.union(*heads)
    if arch not in ("single", "complete", "cross-stitch"):
        lstm = loaded.architecture.hub if arch == "star" else loaded.architecture.lstm
        assert {id(parameter) for parameter in lstm.parameters()} <= common


@every_architecture
def test_the_folder_holds_tensors_json_and_text_only(arch, saved):
    model, folder = saved(arch)
    names = {"model.safetensors", "config.json", "vocabulary.txt", "tokenizer.json", "README.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "config.json").read_text())["format"] == 1
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()


def test_the_model_card_says_what_the_model_is(saved):
    _, folder = saved("star")
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "graphmtl"
    assert "star" in card.data.tags
    for task in TASKS:
        assert f"- {task.name} ({task.kind}): {', '.join(task.labels)}" in card.text


def test_scores_are_kept_until_the_model_is_trained_on(saved, tmp_path):
    model, _ = saved("star")
    model.scores = {"a": {"examples": 4, "test": {"accuracy": 0.75}, "interval": [0.5, 1.0]}}
    model.save_pretrained(tmp_path / "tested")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "tested")
    assert loaded.scores == model.scores
    assert "| a | 4 | accuracy | 0.750 | 0.500 to 1.000 |" in loaded.generate_model_card().text
    assert loaded.eval().scores == model.scores
    assert loaded.train().scores == {}


def test_every_option_of_the_model_is_saved_and_others_are_left_out(tmp_path):
    options = make_options(arch="complete", hidden=3, attention=2, embedding_size=2, score="dot", epochs=99)
    model = MultiTaskModel(tasks=TASKS, vocabulary=VOCABULARY, options=options)
    model.save_pretrained(tmp_path)
    resolved = {"chars": "none", "pooling": "max-mean"}  # what auto means here
    expected = model_options(arch="complete", hidden=3, attention=2, embedding_size=2, score="dot", **resolved)
    assert MultiTaskModel.from_pretrained(tmp_path).options == expected


def test_a_wide_part_of_an_earlier_version_answers_as_it_did(tmp_path):
    model = build("shared", wide=True)
    for name in ("a", "b"):
        part = model.wide_part(name)
        part.weight.normal_()
        part.idf.fill_(1)
        part.strength.fill_(1)
    model.save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    later = ("form", "share", "temperature")
    save_file({name: own for name, own in load_file(weights).items() if not name.endswith(later)}, weights)
    texts = ["good film", "very bad"]
    assert MultiTaskModel.from_pretrained(tmp_path / "model").predict(texts, "a") == model.predict(texts, "a")


@pytest.mark.parametrize("fault", ["deleted", "added", "shape"])
def test_tensors_that_do_not_fit_are_not_passed_over(fault, saved):
    _, folder = saved("star")
    tensors = load_file(folder / "model.safetensors")
    name = "heads.1.linear.weight"
    if fault == "deleted":
        del tensors[name]
    else:
        tensors[name if fault == "shape" else "heads.7.linear.weight"] = torch.zeros(1)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises((InputError, RuntimeError), match=r"heads\.[17]\.linear\.weight"):
        MultiTaskModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "times"), [("runs/none", 1), ("none", 1), ("./none", 0), ("/nowhere/model", 0), ("runs/star/model", 0)]
)
def test_what_is_neither_a_folder_nor_on_the_hub_is_asked_for_once(name, times, monkeypatch, capfd):
    asked = []

    def no_route(url, **_options):
        asked.append(url)
        raise OSError("no route to host")

    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", no_route)
    with pytest.raises(InputError, match=f"there is no folder '{name}', nothing of that name in the cache "):
        MultiTaskModel.from_pretrained(name)
    assert len(asked) == times
    assert capfd.readouterr().err == ""  # nothing of huggingface_hub's retries


def test_a_cached_model_is_loaded_without_the_hub(saved, tmp_path, monkeypatch):
    model, folder = saved("star")
    repository = tmp_path / "models--our--model"
    shutil.copytree(folder, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", None)  # calling it fails
    loaded = MultiTaskModel.from_pretrained("our/model", cache_dir=tmp_path)
    assert loaded.predict(["good film"], "a") == model.predict(["good film"], "a")


def test_a_runs_folder_gives_the_model_in_it(finished):
    run = finished("star").run
    for folder in (run.folder, str(run.folder)):
        loaded = MultiTaskModel.from_pretrained(folder)
        assert loaded.state_dict().keys() == run.model.state_dict().keys()
        assert loaded.predict(["good film"], "parent1") == run.model.predict(["good film"], "parent1")


def test_a_runs_folder_whose_model_lacks_a_file_names_it(copy_of):
    folder = copy_of("star")
    (folder / "model" / "config.json").unlink()
    with pytest.raises(InputError, match=f"^{folder / 'model'}: no config.json"):
        MultiTaskModel.from_pretrained(folder)


def _changed(*path, value):
    def change(config):
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed("options", "hidden", value=0), "--hidden: found 0, expected a number from 1 to 16384"),
        (_changed("options", "hidden", value=10**6), "--hidden: found 1000000, expected"),
        (_changed("options", "hidden", value="x"), "--hidden: Expected a int"),
        (_changed("options", "hidden", value=["x"]), "--hidden: Expected a int. Got value: ['x']"),
        (
            _changed("options", "hidden", value=16384),
            "tensor architecture.hub.W: [2, 5, 16] in model.safetensors, [2, 5, 65536] in the model",
        ),
        (_changed("options", "hidden", value=None), "hidden has no value"),
        (_changed("options", "arch", value="stra"), "config.json: unknown arch 'stra'; did you mean 'star'?"),
        (_changed("options", value=[]), "expected `tasks`, a list of one or more, and `options`, an object"),
        (_changed("tasks", value=[]), "expected `tasks`, a list of one or more, and `options`, an object"),
        (_changed("tasks", 1, value=148), "found 148, expected a task"),
        (_changed("tasks", 1, "labels", value="no"), "labels of task 'b': found 'no'"),
        (_changed("tasks", 1, "labels", value=[1, 2]), "labels of task 'b': found [1, 2]"),
        (_changed("tasks", 1, "name", value=["b"]), "name of task ['b']: found ['b']"),
        (_changed("tasks", 1, "name", value="a"), "two of the tasks have the same name"),
        (_changed("tasks", 1, "kin", value="x"), "unknown key of a task 'kin'; did you mean 'kind'?"),
        (_changed("format", value=99), "format 99; this version of graphmtl reads 1"),
        (_changed("revision", value=9), "revision 9 of star, of which this version of graphmtl has revision 1"),
    ],
)
def test_what_config_json_may_not_hold(change, message, saved):
    _, folder = saved("star")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        MultiTaskModel.from_pretrained(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)


def test_a_model_of_an_architecture_whose_equations_have_changed_is_refused(saved):
    _, folder = saved("cmtr")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    assert config.pop("revision") == 2
    path.write_text(json.dumps(config))  # as it was written before there were revisions
    with pytest.raises(InputError, match=r"config\.json: revision 1 of cmtr, .* train it again"):
        MultiTaskModel.from_pretrained(folder)


@pytest.mark.parametrize("content", ["[]", "[" * 10_000, "9" * 5_000, "{", "null"])
def test_a_config_json_that_is_no_json_object(content, saved):
    _, folder = saved("star")
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        MultiTaskModel.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocabulary.txt"])
def test_a_file_that_is_missing(name, saved):
    _, folder = saved("star")
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"no {name}"):
        MultiTaskModel.from_pretrained(folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: no config.json"):
        MultiTaskModel.from_pretrained(tmp_path)
