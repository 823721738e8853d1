"""What teachers say, and what is kept on disk of it."""

import json
import shutil
from threading import Event, Thread

import numpy as np
import pytest
import torch

from graphmtl.data.batching import EncodedSplit, encode_tasks
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError
from graphmtl.files import alone
from graphmtl.training import teacher_outputs as module
from graphmtl.training.experiment import train
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.teacher_outputs import fits, teacher_outputs
from tests import tiny
from tests.tagging import tagging_tasks


@pytest.fixture
def single(finished):
    return finished("single").run


def split_of(run, task="parent1"):
    return encode_tasks(load_run_tasks(run.options), run.model.vocabulary, run.model.options)[task].train


def outputs(run, folder, split=None, **options):
    given = {"task": "child1", "split": split or split_of(run), "target": "logits"} | options
    return teacher_outputs(run=run, folder=folder, **given)


@pytest.mark.parametrize("target", ["logits", "hidden"])
def test_outputs_are_what_the_teacher_says_text_by_text(single, tmp_path, target, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 7)
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    split = split_of(single)
    found = outputs(single, tmp_path, target=target)
    assert isinstance(found, np.memmap)
    assert len(found) == len(split)
    for row in (0, 5, len(split) - 1):
        batch = split.batch([row])
        batch.tasks, batch.labels = ("child1",), None
        output = single.model(batch)["child1"]
        expected = output.logits if target == "logits" else output.hidden
        np.testing.assert_allclose(found[row], expected[0].detach().numpy(), atol=1e-5)


def test_a_teacher_with_a_linear_part_says_what_both_say(tmp_path):
    options = tiny.OPTIONS | {"arch": "single", "wide": True, "epochs": 1}
    run = train("planted", output=str(tmp_path / "run"), **options)
    split = split_of(run)
    run.model.wide_part("child1").share.fill_(0.7)
    found = outputs(run, tmp_path / "outputs", split)
    texts = load_run_tasks(run.options)["parent1"].train["text"][:3]
    for said, answer in zip(found, run.model.predict([*texts], "child1"), strict=False):
        probabilities = torch.from_numpy(np.array(said)).softmax(-1)
        torch.testing.assert_close(probabilities.tolist(), [*answer["probabilities"].values()], atol=1e-5, rtol=0)


def test_with_a_linear_part_the_key_is_another_one(single, monkeypatch):
    split = split_of(single)
    keys = [module._key(single, "child1", split, "logits")]
    monkeypatch.setattr(type(single.model), "wide_part", lambda *_: object())
    keys.append(module._key(single, "child1", split, "logits"))
    assert keys[0] != keys[1]


def test_outputs_of_taggers_are_those_of_all_tokens(tmp_path):
    tasks = tagging_tasks("pos", "plain")
    sizes = {"epochs": 1, "hidden": 4, "embedding_size": 5, "progress": False, "device": "cpu"}
    run = train(tasks, arch="single", output=str(tmp_path / "run"), **sizes)
    split = encode_tasks(tasks, run.model.vocabulary, run.model.options)["pos"].train
    found = outputs(run, tmp_path / "outputs", split, task="pos")
    assert found.shape == (split.lengths.sum(), 3)
    output = run.model(split.batch([2]))["pos"].logits[0].detach().numpy()
    start = split.lengths[:2].sum()
    np.testing.assert_allclose(found[start : start + split.lengths[2]], output, atol=1e-5)


def test_outputs_are_computed_once_and_a_file_that_was_not_finished_is_gone_on_with(single, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 8)
    monkeypatch.setattr(module, "_AT_ONCE", 8)
    whole = np.array(outputs(single, tmp_path))
    path = tmp_path / "child1-on-parent1.float32"
    read = []
    say = module._say
    monkeypatch.setattr(module, "_say", lambda *args: read.append(len(args[3])) or say(*args))
    outputs(single, tmp_path)
    assert read == []
    path.write_bytes(path.read_bytes()[: 8 * 20 + 3])  # 20 texts and a part of the next one
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({key: about[key] for key in ("key", "size")}))
    np.testing.assert_allclose(outputs(single, tmp_path), whole, atol=1e-6)
    assert sum(read) == len(whole) - 20


@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_outputs_that_are_damaged_are_made_anew(how, single, tmp_path):
    whole = np.array(outputs(single, tmp_path))
    path = tmp_path / "child1-on-parent1.float32"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.unlink() if how == "missing" else path.write_bytes(content if how == "flipped" else content[:100])
    with pytest.warns(DataWarning, match=r"child1-on-parent1\.float32: damaged, and made anew"):
        np.testing.assert_array_equal(outputs(single, tmp_path), whole)


def test_outputs_that_another_process_writes_are_waited_for(single, tmp_path, monkeypatch):
    path = tmp_path / "child1-on-parent1.float32"
    whole = np.array(outputs(single, tmp_path))
    found, waits = [], Event()
    monkeypatch.setattr(module, "say", lambda text, **_: waits.set())
    with alone(path.with_name(f".{path.name}.lock"), otherwise=pytest.fail):
        waiting = Thread(target=lambda: found.append(np.array(outputs(single, tmp_path))))
        waiting.start()
        assert waits.wait(60)
        assert not found
    waiting.join()
    np.testing.assert_array_equal(found[0], whole)


@pytest.mark.parametrize("other", ["texts", "weights", "target"])
def test_outputs_of_other_weights_or_texts_are_refused(other, single, tmp_path):
    outputs(single, tmp_path / "outputs")
    run, options = single, {}
    if other == "texts":
        split = split_of(single)
        texts = [[1, *split.batch([row]).tokens[0].tolist()[1:]] for row in range(len(split))]
        options["split"] = EncodedSplit(tasks=split.tasks, texts=texts)
    if other == "target":
        options["target"] = "hidden"
    if other == "weights":
        run = Run(shutil.copytree(single.folder, tmp_path / "run"))
        model = run.model
        model.heads[0].linear.bias.data += 1
        model.save_pretrained(run.folder / "model")
    before = (tmp_path / "outputs" / "child1-on-parent1.float32").read_bytes()
    with pytest.raises(InputError, match=r"child1-on-parent1\.float32: made by a teacher with other weights, of other"):
        outputs(run, tmp_path / "outputs", **options)
    assert (tmp_path / "outputs" / "child1-on-parent1.float32").read_bytes() == before


def test_a_folder_that_cannot_be_made(single, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="teachers' outputs cannot be kept here"):
        outputs(single, tmp_path / "file" / "outputs")


def test_what_a_teacher_can_read():
    text, pair = Task(name="a", labels=("x",)), Task(name="b", labels=("x",), text=("p", "q"))
    tags = Task(name="c", kind="token-classification", labels=("x",))
    assert [[fits(teacher, task) for task in (text, pair, tags)] for teacher in (text, pair, tags)] == np.eye(
        3
    ).tolist()


def test_the_key_stands_beside_the_outputs(single, tmp_path):
    outputs(single, tmp_path)
    about = json.loads((tmp_path / "child1-on-parent1.json").read_text())
    assert about["size"] == 2
    assert len(about["key"]) == 64
    assert torch.from_numpy(np.array(outputs(single, tmp_path))).isfinite().all()
    assert tiny.OPTIONS["planted_rich"] == len(outputs(single, tmp_path))
