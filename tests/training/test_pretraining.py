"""From unlabelled texts to the run that starts from them."""

import json
import random
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file

from graphmtl.cli import main
from graphmtl.training import pretraining
from graphmtl.training.run import Run
from graphmtl.training.trainer import Trainer
from tests.tiny import flags

WORDS = ("good", "bad", "dull", "great", "film", "book", "plot", "cast")
SMALL = {"hidden": 6, "embedding_size": 5, "epochs": 2, "lr": 0.02, "batch_size": 16, "device": "cpu"}
SMALL |= {"progress": False, "tasks": "fdu-mtl:books,dvd"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """FDU-MTL's files of two small domains, with unlabelled texts, of which two are test texts of the other domain."""
    rng, folder = random.Random(0), tmp_path_factory.mktemp("data")
    (folder / "fdu-mtl").mkdir()

    def text(number):
        return " ".join([*rng.choices(WORDS, k=6), f"n{number}"])

    tests = {}
    for name in ("books", "dvd"):
        tests[name] = [text(n) for n in range(40)]
        for split, texts in (("train", [text(n) for n in range(240)]), ("test", tests[name])):
            lines = [f"{int('good' in own.split())}\t{own}\n" for own in texts]
            (folder / "fdu-mtl" / f"{name}.task.{split}").write_text("".join(lines))
    for name, other in (("books", "dvd"), ("dvd", "books")):
        texts = [*(text(n) for n in range(100)), tests[other][0]]
        (folder / "fdu-mtl" / f"{name}.task.unlabel").write_text("".join(f"{own}\n" for own in texts))
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pre") / "trained"
    main(["pretrain", *flags(**SMALL, data_dir=data, output=folder)])
    return folder


def run(data, folder, **options):
    main(["run", *flags(**SMALL | options, data_dir=data, output=folder)])
    return Run(folder)


def test_what_was_read_and_left_out_is_written_down(finished):
    about = json.loads((finished / "pretraining.json").read_text())
    assert about["unlabelled"] == 200
    assert about["left_out"]["held_out"] == 2
    assert about["texts"] == 200 + 2 * 40  # 200 training reviews of each domain are its validation split
    assert {*about["perplexity"]} == {"forward", "backward"}


def test_cut_texts_are_counted(data, tmp_path, capsys):
    main(["pretrain", *flags(**SMALL | {"max_length": 6, "epochs": 1}, data_dir=data, output=tmp_path / "pre")])
    assert "280 of 280 texts cut to 6 words (--max-length)\n" in capsys.readouterr().out


@pytest.mark.parametrize(("arch", "name"), [("star", "hub"), ("shared", "lstm"), ("shared-private", "lstm")])
def test_a_run_starts_from_it_and_says_so(data, finished, tmp_path, capsys, arch, name):
    """Its learning rate is 0: what was loaded is there after the training, and nothing else is."""
    found = run(data, tmp_path / "run", arch=arch, pretrained=finished, lr=0.0, epochs=1)
    printed = capsys.readouterr().out
    assert "word embeddings and the LSTM that all tasks share start as a language model of 280 texts" in printed
    assert "left out of them: 2 that stand in a validation or test split" in printed
    weights, state = load_file(finished / "pretrained.safetensors"), found.model.state_dict()
    for part in ("W", "U", "b"):
        assert torch.equal(state[f"architecture.{name}.{part}"], weights[f"lstm.{part}"])
    assert torch.equal(state["encoders.0.embedding.weight"], weights["encoder.embedding.weight"])
    without = run(data, tmp_path / "without", arch=arch, lr=0.0, epochs=1).model.state_dict()
    different = {key for key in state if not torch.equal(state[key], without[key])}
    assert different == {*(f"architecture.{name}.{part}" for part in "WUb"), "encoders.0.embedding.weight"}


def test_half_precision_and_what_has_no_effect(data, tmp_path, capsys):
    half = {"precision": "bf16", "epochs": 1, "label_smoothing": 0.1, "mix": True, "accumulate": 2}
    main(["pretrain", *flags(**SMALL | half, data_dir=data, output=tmp_path / "half")])
    assert "--mix, --label-smoothing: of no effect on pre-training" in capsys.readouterr().err
    perplexity = json.loads((tmp_path / "half" / "pretraining.json").read_text())["perplexity"]
    assert all(1 < value < 100 for value in perplexity.values())


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(data, finished, tmp_path, monkeypatch, error_of):
    def stop(line):
        raise KeyboardInterrupt

    given = flags(**SMALL, data_dir=data, output=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "Trainer", lambda **own: Trainer(**own | {"callbacks": [stop]}))
        with pytest.raises(SystemExit):
            main(["pretrain", *given])
    assert not (tmp_path / "stopped" / "pretrained.safetensors").exists()
    unlabelled = data / "fdu-mtl" / "books.task.unlabel"
    before = unlabelled.read_text()
    unlabelled.write_text(f"{before}one more text\n")
    assert "its texts are not those it began with" in error_of("pretrain", *given, "--resume")
    unlabelled.write_text(before)
    main(["pretrain", *given, "--resume"])
    ours, theirs = (load_file(each / "pretrained.safetensors") for each in (tmp_path / "stopped", finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    about = [json.loads((each / "pretraining.json").read_text()) for each in (tmp_path / "stopped", finished)]
    assert about[0]["perplexity"] == about[1]["perplexity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "complete"}, "--arch complete has no LSTM that all tasks share, as star and shared have"),
        ({"arch": "star", "hidden": 7}, "lstm.U is (2, 6, 24), expected (2, 7, 28); give both the same sizes"),
        ({"arch": "star", "min_count": 5}, "words are not the"),
    ],
)
def test_what_does_not_fit_is_one_line(data, finished, tmp_path, error_of, options, message):
    error = error_of("run", *flags(**SMALL | options, data_dir=data, pretrained=finished), "--output", tmp_path / "run")
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_none(data, finished, tmp_path, error_of):
    given = flags(**SMALL, data_dir=data, arch="star", pretrained=tmp_path)
    assert "no pretrained.safetensors there" in error_of("run", *given, "--output", tmp_path / "run")
    assert "exists: --overwrite replaces it" in error_of("pretrain", *flags(**SMALL, data_dir=data, output=finished))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pretrained.safetensors", b"", r"pretrained\.safetensors: cannot be read"),
        ("pretraining.json", b"{}", r"pretraining\.json: not what graphmtl writes there \(KeyError: 'perplexity'\)"),
        ("pretraining.json", b'{"perplexity": 3}', r"pretraining\.json: not what graphmtl writes there"),
    ],
)
def test_a_damaged_file_is_named(data, finished, tmp_path, error_of, name, content, message):
    folder = shutil.copytree(finished, tmp_path / "pre")
    (folder / name).write_bytes(content)
    options = flags(**SMALL, data_dir=data, arch="star", pretrained=folder, output=tmp_path / "run")
    assert re.search(message, error_of("run", *options))
    assert not (tmp_path / "run").exists()


def test_two_at_once_is_one_line(data, finished, error_of):
    with Run(finished).held():
        error = error_of("pretrain", *flags(**SMALL, data_dir=data, output=finished, resume=True))
    assert f"{finished}: another process" in error
    assert "trains this run" in error
