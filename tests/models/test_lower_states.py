"""States of frozen layers are those that the whole model computes, computed once, and never those of another model."""

import json
import os
import shutil
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import encode_tasks
from graphmtl.data.task import Task, TaskSet
from graphmtl.errors import DataWarning, InputError
from graphmtl.models import lower_states
from graphmtl.models.lower_states import keep_lower_states
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.transformer import TransformerEncoder, load_subwords
from graphmtl.training.run_data import all_splits
from graphmtl.training.trainer import Trainer
from tests.parts import model_options
from tests.tagging import tagging_tasks
from tests.transformer_folders import LAYERS

KINDS = {
    "bert": {},
    "roberta": {},
    "electra": {"embedding_size": 6},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": None, "eos_token_id": None},
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def tasks() -> TaskSet:
    """Tags, a label of the same sentences, and texts."""
    return tagging_tasks("pos", "mood", "plain", size=12)


@pytest.fixture
def build(transformer, tasks, tmp_path):
    """A model with frozen layers, and the data it reads."""

    def build(kind="bert", arch="shared", changes=None, freeze_layers=2, **options):
        folder = transformer(kind, **KINDS.get(kind, {}), **(changes or {}))
        values = {"frozen_states": str(tmp_path / "states"), "max_length": 12, "hidden": 4} | options
        options = model_options(encoder=folder, arch=arch, freeze_layers=freeze_layers, **values)
        torch.manual_seed(0)
        model = MultiTaskModel(tasks=list(tasks.tasks.values()), vocabulary=load_subwords(folder), options=options)
        model.load_encoder()
        return model, encoded(model, tasks)

    return build


def encoded(model, tasks):
    return encode_tasks(tasks, model.vocabulary, model.options, apart=model.architecture.own_encoder_per_task)


@pytest.fixture
def texts_read(monkeypatch):
    """How many texts the lowest layers have read since, those of the check left out."""
    read = []
    lower = TransformerEncoder.lower_states

    def counted(self, batch):
        read.append(len(batch.lengths))
        return lower(self, batch)

    monkeypatch.setattr(TransformerEncoder, "lower_states", counted)
    return lambda encoders=1: sum(read[encoders:])  # the first call of each encoder is the check's


def keep(model, data, **options):
    keep_lower_states(model, all_splits(data), **options)


def logits(model, data, rows=(0, 3, 5, 7)):
    return {name: model(task.train.batch(rows))[name].logits for name, task in data.items()}


def segments(tmp_path) -> list[Path]:
    return sorted((tmp_path / "states").glob("*/*/states.bin"))


# the same numbers


@pytest.mark.parametrize("frozen", range(1, LAYERS + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_above_say_the_same(kind, frozen, build):
    model, data = build(kind, freeze_layers=frozen)
    model.eval()
    expected = logits(model, data)
    keep(model, data)
    assert any((data["pos"].train.batch([row]).windows.lengths >= 12).any() for row in range(12))  # in several windows
    for name, task in data.items():
        assert task.train.batch([0]).windows.states is not None
        torch.testing.assert_close(logits(model, data)[name], expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen", [1, LAYERS])
def test_what_is_kept_is_what_is_read(frozen, build):
    """With other states the answers are others: the lower layers play no part."""
    model, data = build(freeze_layers=frozen)
    model.eval()
    keep(model, data)
    batch = data["plain"].train.batch([0, 1])
    before = model(batch)["plain"].logits
    batch.windows.states = batch.windows.states.flip(2)
    assert not torch.allclose(model(batch)["plain"].logits, before)


def test_deberta_is_kept_where_all_layers_are_frozen(build):
    model, data = build("deberta", freeze_layers=LAYERS)
    expected = logits(model.eval(), data)
    keep(model, data)
    assert data["plain"].train.batch([0]).windows.states is not None
    torch.testing.assert_close(logits(model, data)["plain"], expected["plain"], rtol=1e-4, atol=1e-5)


def test_lower_layers_that_read_trained_weights_are_computed_anew(build, tmp_path):
    """DeBERTa's relative position embeddings are trained with the upper layers."""
    model, data = build("deberta", freeze_layers=1)
    with pytest.warns(DataWarning, match="the lower layers of deberta-v2 read weights that are trained"):
        keep(model, data)
    assert data["plain"].train.batch([0]).windows.states is None
    assert not segments(tmp_path)


def test_a_model_that_cannot_be_taken_apart_is_computed_anew(build, monkeypatch):
    """One that adds the embeddings to what its last layer makes."""
    model, data = build()
    encoder = model.encoders[0].model.encoder
    encoder.register_forward_hook(
        lambda module, inputs, output: output.__class__(last_hidden_state=output.last_hidden_state + module.seen)
    )
    encoder.layer[0].register_forward_hook(lambda module, inputs, output: setattr(encoder, "seen", output))
    with pytest.warns(DataWarning, match="bert say something else where the lower ones are left out; what is frozen"):
        keep(model, data)
    assert data["plain"].train.batch([0]).windows.states is None


def test_layers_that_share_their_weights_cannot_be_frozen(build):
    with pytest.raises(InputError, match="--freeze-layers 1: the encoder has 0 layers that can be told apart"):
        build("albert", changes={"embedding_size": 6}, freeze_layers=1)


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize(("arch", "frozen"), [("shared", 1), ("shared", LAYERS), ("single", 2), ("star", 2)])
def test_training_has_the_same_losses(arch, frozen, precision, build):
    histories = []
    for kept in (False, True):
        model, data = build(arch=arch, freeze_layers=frozen, changes=NO_DROPOUT)
        if kept:
            keep(model, data)
        options = TrainingOptions(epochs=2, batch_size=4, device="cpu", progress=False, precision=precision)
        histories.append(Trainer(model=model, data=data, options=options).train().history)
    for plain, kept in zip(*histories, strict=True):
        near = 1e-4 if precision == "no" else 0.02
        assert kept["losses"] == pytest.approx(plain["losses"], rel=near)
        for name, metrics in plain["metrics"].items():
            assert kept["metrics"][name]["loss"] == pytest.approx(metrics["loss"], rel=near)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_take_half_the_disk_and_say_nearly_the_same(dtype, build, tmp_path):
    model, data = build()
    model.eval()
    expected = logits(model, data)
    keep(model, data)
    (whole,) = segments(tmp_path)
    model, data = build(frozen_states_dtype=dtype)
    model.eval()
    keep(model, data)
    (half,) = (path for path in segments(tmp_path) if path != whole)
    assert 2 * half.stat().st_size == whole.stat().st_size
    batch = data["plain"].train.batch([0, 1])
    assert batch.windows.states.dtype == getattr(torch, dtype)
    for name, found in logits(model, data).items():
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected[name], rtol=0.05, atol=0.05)


def test_states_that_do_not_fit_into_16_bits(build, monkeypatch, tmp_path):
    model, data = build(frozen_states_dtype="float16")
    monkeypatch.setattr(lower_states, "_checked", lambda encoder, batch, dtype: encoder.lower_states(batch))
    lower = TransformerEncoder.lower_states
    monkeypatch.setattr(TransformerEncoder, "lower_states", lambda self, batch: lower(self, batch) * 1e6)
    with pytest.raises(InputError, match="--frozen-states-dtype float16: this encoder has larger states; expected"):
        keep(model, data)
    assert not segments(tmp_path)


# once


def test_a_text_is_read_once_by_all_runs(build, texts_read, tasks, capsys):
    model, data = build()
    keep(model, data)
    pieces = {
        key: each
        for split in all_splits(data)
        for key, each in zip(split.subwords.digests(), split.subwords.pieces, strict=True)
    }
    assert texts_read() == len(pieces)
    size = f"{sum(pieces.values()) * 8 * 4 / 1e6:.1f} MB"
    assert f"states of 2 frozen layers: {size} computed in 0 s and written to" in capsys.readouterr().out
    for arch in ("star", "single"):
        other, again = build(arch=arch)
        before = texts_read()
        keep(other, again)
        assert texts_read() - before <= 4 * len(other.encoders)  # the check
        assert f"states of 2 frozen layers: {size} found in" in capsys.readouterr().out
        batch, expected = (each["plain"].train.batch([1, 4]).windows.states for each in (again, data))
        assert torch.equal(batch, expected)


def test_other_cuts_of_the_same_texts_are_found(build, tasks, texts_read, capsys):
    """Text by text: another seed cuts validation off elsewhere."""
    model, data = build()
    keep(model, data)
    plain = tasks["plain"]
    turned = TaskSet(name="turned", data=[replace(plain, train=plain.valid, valid=plain.train)])
    assert encoded(model, turned)["plain"].train.digest() != data["plain"].train.digest()
    before = texts_read()
    keep(model, encoded(model, turned))
    assert texts_read() - before <= 4
    assert "written" not in capsys.readouterr().out.split("\n")[1]


def test_new_texts_alone_are_computed(build, tasks, texts_read, tmp_path):
    model, data = build()
    keep_lower_states(model, [data["plain"].train])
    before = texts_read()
    keep(model, data)
    known = set(data["plain"].train.subwords.digests())
    others = {key for split in all_splits(data) for key in split.subwords.digests()} - known
    assert len(others) <= texts_read() - before <= len(others) + 4
    assert len(segments(tmp_path)) == 2


def test_long_work_is_kept_in_parts(build, monkeypatch, tmp_path):
    monkeypatch.setattr(lower_states, "_SEGMENT", 1000)
    monkeypatch.setattr(lower_states, "_AT_ONCE", 30)
    model, data = build()
    expected = logits(model.eval(), data)
    keep(model, data)
    assert len(segments(tmp_path)) > 3
    torch.testing.assert_close(logits(model, data)["plain"], expected["plain"], rtol=1e-4, atol=1e-5)


def test_batches_hold_no_more_pieces_than_are_read_at_once(monkeypatch):
    monkeypatch.setattr(lower_states, "_AT_ONCE", 20)
    pieces = np.array([3, 9, 4, 25, 1, 9, 8])
    rows = np.array([0, 1, 2, 3, 5, 6])
    found = [*lower_states._of_like_length(pieces, rows)]
    assert sorted(np.concatenate(found)) == rows.tolist()
    assert all(len(each) * pieces[each].max() <= 20 or len(each) == 1 for each in found)
    assert [pieces[each].tolist() for each in found] == [[3, 4], [8, 9], [9], [25]]


@pytest.mark.parametrize(
    "change",
    [
        {"freeze_layers": 1},
        {"frozen_states_dtype": "bfloat16"},
        {"changes": {"hidden_act": "relu"}},
        {"changes": {"layer_norm_eps": 1e-3}},
        {"kind": "electra"},
    ],
    ids=str,
)
def test_other_weights_configurations_and_forms_have_another_store(change, build, tmp_path):
    keep(*build())
    before = segments(tmp_path)
    keep(*build(**change))
    assert len({path.parents[1] for path in segments(tmp_path)}) == len(before) + 1


def test_one_changed_weight_makes_another_store_if_it_is_frozen(build):
    model, _ = build()
    encoder = model.encoders[0]
    before = encoder.frozen_digest()
    with torch.no_grad():
        encoder.layers()[-1][0].view(-1)[0] += 1  # trained
    assert encoder.frozen_digest() == before
    with torch.no_grad():
        encoder.layers()[2][-1].view(-1)[-1] += 1e-6  # of the second layer
    assert encoder.frozen_digest() != before


def test_frozen_weights_beside_the_layers_count_too(build):
    """DeBERTa's relative position embeddings, where something else is trained in their place (adapters)."""
    model, _ = build("deberta", freeze_layers=1)
    encoder = model.encoders[0]
    embeddings = encoder.model.encoder.rel_embeddings.weight
    digests = []
    for trained in (True, False):
        embeddings.requires_grad_(trained)
        for _ in range(2):
            digests.append(encoder.frozen_digest())
            with torch.no_grad():
                embeddings.add_(1)
    assert digests[0] == digests[1]
    assert len({*digests[1:]}) == 3


def test_encoders_of_single_that_differ_are_computed_anew(build):
    model, data = build(arch="single")
    with torch.no_grad():
        model.encoders[1].layers()[0][0].add_(1)
    with pytest.warns(DataWarning, match="the tasks' encoders have different frozen weights"):
        keep(model, data)
    assert data["plain"].train.batch([0]).windows.states is None


def test_none_and_trained_layers_keep_nothing(build, tmp_path, capsys):
    for options in ({"frozen_states": "none"}, {"freeze_layers": 0}):
        model, data = build(**options)
        keep(model, data)
        assert data["plain"].train.batch([0]).windows.states is None
    assert not (tmp_path / "states").exists()
    assert capsys.readouterr().out == ""


# what is there and is not right


def replaced(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda own: (own / "states.bin").write_bytes((own / "states.bin").read_bytes()[:-1]), r"states.bin: damaged"),
        (lambda own: replaced(own / "states.bin", (own / "states.bin").read_bytes()[40:44], b"\0\0\x80?"), r"damaged"),
        (lambda own: (own / "states.bin").unlink(), r"states.bin: cannot be read \(No such file"),
        (lambda own: (own / "texts.npy").write_bytes(b"\x93NUMPY"), r"texts.npy: damaged; remove"),
        (lambda own: (own / "texts.npy").unlink(), r"texts.npy: no such file"),
        (lambda own: (own / "about.json").write_text("{"), r"about.json, line 1: not JSON"),
        (lambda own: (own / "about.json").unlink(), r"about.json: no such file"),
        (
            lambda own: replaced(own / "about.json", b'"key": "', b'"key": "0'),
            r"about.json: not of this folder \(key is",
        ),
        (lambda own: replaced(own / "about.json", b'"dim": 8', b'"dim": 4'), r"\(dim is 4, expected 8\); remove"),
        (lambda own: (own.parent / "notes.txt").write_text("x"), r"notes.txt/about.json: cannot be read \(Not a dir"),
        (lambda own: (own.parent / "empty").mkdir(), r"empty/about.json: no such file"),
    ],
    ids=["cut", "changed", "no-states", "index", "no-index", "json", "no-json", "foreign", "dim", "file", "folder"],
)
def test_a_damaged_or_foreign_file_is_named(damage, message, build, tmp_path):
    keep(*build())
    (path,) = segments(tmp_path)
    damage(path.parent)
    with pytest.raises(InputError, match=message) as error:
        keep(*build())
    assert str(path.parents[1]) in str(error.value)
    assert "\n" not in str(error.value)


def test_states_of_another_encoder_under_the_same_name(build, tmp_path, monkeypatch):
    """Should a fingerprint ever miss what matters, no run goes on with such states."""
    monkeypatch.setattr(TransformerEncoder, "frozen_digest", lambda self: "0" * 64)
    keep(*build())
    model, data = build()
    with torch.no_grad():
        model.encoders[0].layers()[0][0].normal_()
    with pytest.raises(InputError, match="states that this encoder does not compute; remove the folder"):
        keep(model, data)


def test_what_a_killed_process_leaves_is_not_taken_and_removed_later(build, tmp_path):
    keep(*build())
    (path,) = segments(tmp_path)
    left = path.parent.with_suffix(".unfinished")
    shutil.copytree(path.parent, left)
    (left / "states.bin").write_bytes(b"half")
    keep(*build())
    assert left.is_dir()  # it may be another process's, which is at work
    old = time.time() - 4000
    for each in (*left.iterdir(), left):
        os.utime(each, (old, old))
    keep(*build())
    assert not left.exists()


def test_an_interruption_leaves_nothing(build, tmp_path, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            keep(*build())
    assert [*(tmp_path / "states").glob("*/*")] == []
    keep(*build())
    assert len(segments(tmp_path)) == 1


def test_two_processes_at_once_do_no_harm(build, tmp_path, monkeypatch):
    """The other one writes the same texts while this one computes them."""
    (model, data), (other, theirs) = build(), build()
    computed = lower_states._Store._computed

    def late(self, *given):
        monkeypatch.setattr(lower_states._Store, "_computed", computed)
        keep(other, theirs)
        return computed(self, *given)

    monkeypatch.setattr(lower_states._Store, "_computed", late)
    keep(model, data)
    assert len(segments(tmp_path)) == 2
    third, again = build()
    keep(third, again)
    expected = logits(model.eval(), data)
    torch.testing.assert_close(logits(third.eval(), again)["plain"], expected["plain"])


def test_a_disk_that_is_full(build, monkeypatch, tmp_path):
    model, data = build()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 2**28))
    with pytest.warns(DataWarning, match=r"MB do not fit into .*, where 268.4 MB are free; what is frozen is comp"):
        keep(model, data)
    assert data["plain"].train.batch([0]).windows.states is None
    assert not segments(tmp_path)


def test_a_folder_that_cannot_be_made(build, tmp_path, monkeypatch):
    (tmp_path / "states").write_text("a file")
    with pytest.raises(InputError, match=r"--frozen-states .*states: the folder cannot be made \(File exists\)"):
        keep(*build())
    monkeypatch.setenv("GRAPHMTL_CACHE", str(tmp_path / "states"))
    with pytest.warns(DataWarning, match=r"frozen-states cannot be made \(Not a directory\); what is frozen"):
        keep(*build(frozen_states=None))


def test_the_default_folder_is_in_the_users_cache(build, tmp_path, monkeypatch):
    monkeypatch.delenv("GRAPHMTL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep(*build(frozen_states=None))
    (store,) = (tmp_path / "cache" / "graphmtl" / "frozen-states").iterdir()
    assert store.name.startswith("bert-2-float32-")
    (about,) = store.glob("*/about.json")
    assert json.loads(about.read_text())["frozen_layers"] == 2


def test_texts_without_pieces_and_models_of_words_are_left_alone(tasks):
    from graphmtl.data.vocabulary import Vocabulary

    words = Vocabulary.build(["Ada"])
    model = MultiTaskModel(tasks=[Task(name="plain", labels=("a", "b"))], vocabulary=words, options=model_options())
    keep(model, encode_tasks({"plain": tasks["plain"]}, words, model.options))
