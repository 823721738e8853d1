import re
import sys

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from graphmtl.cli import main
from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedSplit, encode_texts
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models.lora import merged
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.transformer import load_subwords
from graphmtl.training import experiment
from graphmtl.training.optimization import adamw
from graphmtl.training.run import Run
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.parts import label_arrays, model_options
from tests.transformer_folders import KINDS, LAYERS

TASKS = [Task(name="plain", labels=("no", "yes")), Task(name="other", labels=("no", "yes"))]
TEXTS = ["Ada sees Rome", "a bad book", "never"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def build(folder, arch="shared", **options):
    torch.manual_seed(0)
    options = model_options(arch=arch, encoder=folder, **{"lora": 2, "output_dropout": 0.0} | options)
    model = MultiTaskModel(tasks=TASKS, vocabulary=load_subwords(folder), options=options)
    model.load_encoder()
    return model.eval()


def batch_of(model):
    texts = encode_texts([(text,) for text in TEXTS], model.vocabulary, model.options, None)
    return EncodedSplit(tasks=["plain"], texts=texts, labels={"plain": label_arrays([0, 1, 1])}).batch([0, 1, 2])


def states_of(model):
    return model.encode(batch_of(model)).states


def adapters(model) -> dict[str, LoraLayer]:
    return {name: module for name, module in model.encoders.named_modules() if isinstance(module, LoraLayer)}


def with_any_adapters(model):
    """The model as if it had been trained."""
    with torch.no_grad():
        for name, parameter in model.encoders.named_parameters():
            if ".lora_" in name:
                parameter.normal_()
    return model


def train(model, steps=3):
    optimizer = adamw(model.train(), TrainingOptions(weight_decay=0.1))
    for _ in range(steps):
        model(batch_of(model))["plain"].loss().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@every_kind
def test_the_transformer_begins_as_it_was(kind, transformer):
    expected = states_of(build(transformer(kind), lora=0))
    assert torch.equal(states_of(build(transformer(kind))), expected)
    assert not torch.equal(states_of(with_any_adapters(build(transformer(kind)))), expected)


@pytest.mark.parametrize(("alpha", "scale"), [(0, 2.0), (3, 1.5)])
def test_an_adapted_layer_is_that_of_the_equation(alpha, scale, transformer):
    layers = adapters(with_any_adapters(build(transformer(), lora_alpha=alpha)).double())
    assert len(layers) == 2 * LAYERS
    x = torch.randn(4, 8, dtype=torch.float64)
    for layer in layers.values():
        A, B = (each["default"].weight for each in (layer.lora_A, layer.lora_B))
        assert A.shape == (2, 8)
        expected = layer.base_layer(x) + scale * torch.einsum("or,ri,ni->no", B, A, x)
        torch.testing.assert_close(layer(x), expected)


@every_kind
@pytest.mark.parametrize("frozen", [0, 2])
def test_nothing_but_the_adapters_of_the_layers_that_are_not_frozen_is_trained(kind, frozen, transformer):
    model = build(transformer(kind), freeze_layers=frozen, encoder_lr=0.1)
    places = {re.search(r"\.layer\.(\d)\..*\b(query|value)", name).groups() for name in adapters(model)}
    assert places == {(str(i), part) for i in range(frozen, LAYERS) for part in ("query", "value")}
    before = {name: parameter.clone() for name, parameter in model.encoders.named_parameters()}
    train(model)
    for name, parameter in model.encoders.named_parameters():
        assert torch.equal(parameter, before[name]) is (".lora_" not in name), name


def test_a_kind_that_peft_does_not_know_has_adapters_in_all_linear_layers(transformer, monkeypatch):
    monkeypatch.delitem(sys.modules["peft.utils"].TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING, "bert")
    found = adapters(build(transformer(), freeze_layers=2))
    assert len(found) == 6
    assert all(".layer.2." in name for name in found)


def test_rates_fall_from_layer_to_layer(transformer):
    model = build(transformer(), encoder_lr=0.1, layer_decay=0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in adamw(model, TrainingOptions(lr=0.3)).param_groups:
        for name in (names[id(parameter)] for parameter in group["params"]):
            layer = re.search(r"\.layer\.(\d)\..*\.lora_", name)
            assert group["lr"] == (0.3 if layer is None else 0.1 * 0.5 ** (LAYERS - 1 - int(layer[1]))), name


@pytest.mark.parametrize("arch", ["shared", "single"])
def test_a_model_is_saved_and_loaded_identically(arch, transformer, tmp_path):
    model = train(build(transformer(), arch, encoder_lr=0.1))
    model.save_pretrained(tmp_path / "model")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert torch.equal(states_of(loaded), states_of(model))
    assert loaded.predict(TEXTS, "plain") == model.predict(TEXTS, "plain")
    trained = [name for name, parameter in loaded.encoders.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 2 * LAYERS * len(model.encoders)
    assert all(".lora_" in name for name in trained)


def test_a_saved_model_that_lacks_an_adapter_is_not_loaded(transformer, tmp_path):
    build(transformer()).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    lacks = next(name for name in weights if ".lora_B." in name)
    save_file({name: own for name, own in weights.items() if name != lacks}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=re.escape(f"tensor {lacks}: no such tensor in model.safetensors")):
        MultiTaskModel.from_pretrained(tmp_path)


@every_kind
def test_merged_weights_give_the_same_states_without_adapters(kind, transformer):
    model = with_any_adapters(build(transformer(kind), freeze_layers=1)).double()
    expected, before = states_of(model), {name: own.clone() for name, own in model.state_dict().items()}
    plain = merged(model.encoders[0].model)
    assert {*plain.state_dict()} == {*build(transformer(kind), lora=0).encoders[0].model.state_dict()}
    assert not hasattr(plain, "peft_config")
    assert all(torch.equal(own, before[name]) for name, own in model.state_dict().items())
    model.encoders[0].model = plain
    torch.testing.assert_close(states_of(model), expected)


@every_kind
def test_gradient_checkpointing_changes_no_gradient(kind, transformer):
    gradients = []
    for checkpointing in (False, True):
        options = {"gradient_checkpointing": checkpointing, "freeze_layers": 1}
        model = with_any_adapters(build(transformer(kind), **options)).double().train()
        model(batch_of(model))["plain"].loss().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert sum(".lora_" in name for name in gradients[0]) == 2 * 2 * (LAYERS - 1)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


# what cannot be adapted


def test_where_all_layers_are_frozen_there_is_nothing_to_adapt(transformer):
    with pytest.raises(InputError, match=r"--lora 2: no linear layer of bert is trained .*--freeze-layers"):
        build(transformer(), freeze_layers=LAYERS)


def test_without_peft_one_line_says_what_to_install(transformer, monkeypatch, tmp_path):
    build(transformer()).save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "peft", None)
    for action in (lambda: build(transformer()), lambda: MultiTaskModel.from_pretrained(tmp_path)):
        with pytest.raises(InputError, match=re.escape("pip install graphmtl[lora]")) as error:
            action()
        assert "\n" not in str(error.value)
    build(transformer(), lora=0)


# whole runs


OPTIONS = tiny.OPTIONS | {"arch": "shared", "lora": 2, "encoder_lr": 0.05, "freeze_layers": 1, "max_length": 9}


@pytest.fixture(scope="module")
def whole(transformer, tiny_tasks, tmp_path_factory) -> tiny.Finished:
    output = tmp_path_factory.mktemp("runs") / "shared"
    return tiny.run(**OPTIONS | {"tasks": tiny_tasks, "encoder": transformer(), "output": output})


def test_what_is_trained_is_said(whole):
    assert "lora: 128 of 2,636 parameters trained\n" in whole.printed  # 2 layers, query and value, 2 x (8 x 2)
    assert whole.run.metrics["tasks"].keys() == {*tiny.TASKS}


def test_an_interrupted_run_ends_as_if_it_had_not_been(whole, transformer, tiny_tasks, tmp_path, monkeypatch):
    def stop(record):
        raise KeyboardInterrupt

    options = OPTIONS | {"tasks": tiny_tasks, "encoder": transformer(), "output": tmp_path / "run"}
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "Trainer", lambda **given: Trainer(**given | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            tiny.run(**options)
    main(["run", "--config", f"{tmp_path}/run/config.yaml", "--resume"])
    assert tiny.without_clock(Run.open(tmp_path / "run").metrics) == tiny.without_clock(whole.run.metrics)
    weights = "model/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (whole.run.folder / weights).read_bytes()


def test_states_of_frozen_layers_that_are_kept_change_nothing(whole, transformer, tiny_tasks, tmp_path):
    options = {"tasks": tiny_tasks, "encoder": transformer(), "output": tmp_path / "run", "frozen_states": "none"}
    kept, computed = whole.run.model.state_dict(), tiny.run(**OPTIONS | options).run.model.state_dict()
    for name, weight in kept.items():
        torch.testing.assert_close(weight, computed[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("freeze", "changes"), [("none", True), ("encoder", False)])
def test_a_new_task_joins(freeze, changes, whole, tmp_path):
    (tmp_path / "new.csv").write_text("text,label\n" + "".join(f"good {i},{'ab'[i % 2]}\n" for i in range(40)))
    (tmp_path / "new.yaml").write_text("tasks: {tone: {train: new.csv, test: 0.25, valid: 0.25}}")
    flags = ["--steps", "0", "--epochs", "1", "--no-progress", "--freeze", freeze, "--output", f"{tmp_path}/new"]
    main(["transfer", str(whole.run.folder), "--task", f"{tmp_path}/new.yaml", *flags])
    old, new = whole.run.model.encoders.state_dict(), Run.open(tmp_path / "new").model.encoders.state_dict()
    assert old.keys() == new.keys()
    for name in old:
        assert torch.equal(old[name], new[name]) is not (changes and ".lora_" in name), name
