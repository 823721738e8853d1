import json
import re
import sys
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import tokenizers
import torch
from transformers import AutoModel, AutoTokenizer

from graphmtl import export
from graphmtl.cli import main
from graphmtl.data.batching import EncodedSplit, encode_texts
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.transformer import load_subwords
from graphmtl.onnx import onnx_export
from graphmtl.training.run import Run
from tests import tiny
from tests.parts import model_options
from tests.tiny import TASKS

EXPORTED = list(onnx_export._STATES)
TEXTS = ["Good film", "very bad book!", "It’s a “zebra”"]
FILES = ["model.onnx", "model.tokenizer.json", "model.vocabulary.txt"]


def answers(output, task, texts):
    """Probabilities from the two files alone, as the manual says."""
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_file(str(output.with_suffix(".tokenizer.json")))
    for text in texts:
        tokens = np.array([tokenizer.encode(text).ids])
        (logits,) = session.run([task], {"tokens": tokens, "lengths": np.array([tokens.shape[1]])})
        labels = json.loads(session.get_modelmeta().custom_metadata_map["tasks"])[task]["labels"]
        yield dict(zip(labels, (np.exp(logits) / np.exp(logits).sum())[0].tolist(), strict=True))


@pytest.mark.parametrize("arch", EXPORTED)
def test_the_files_alone_predict_what_the_run_predicts(arch, finished, tmp_path, capsys):
    run, output = finished(arch).run, tmp_path / "model.onnx"
    main(["export", str(run.folder), "--output", str(output)])
    printed = capsys.readouterr().out
    assert "largest difference from the model's logits: " in printed
    assert "(texts x tokens: 1 x 1, 3 x 17, 8 x 50)" in printed
    assert f"wrote {output} (" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    for task in ("child1", "parent1"):
        expected = [answer["probabilities"] for answer in run.model.predict(TEXTS, task)]
        assert list(answers(output, task, TEXTS)) == [pytest.approx(each, abs=1e-6) for each in expected]


@pytest.mark.parametrize(
    ("task", "names"),
    [("all", [*TASKS]), ("child1,pairs", ["child1", "pairs"]), ("pairs,child1,pairs", ["pairs", "child1"])],
)
def test_the_tasks_asked_for_are_the_outputs(task, names, copy_of):
    folder = copy_of("star")
    main(["export", str(folder), "--task", task])
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == names


@pytest.mark.parametrize("there", FILES)
def test_nothing_is_overwritten_unless_asked(there, copy_of, error_of):
    folder = copy_of("shared")
    (folder / there).write_text("precious")
    assert f"{folder / there} exists; give --overwrite" in error_of("export", folder)
    assert (folder / there).read_text() == "precious"
    main(["export", str(folder), "--overwrite"])
    assert (folder / there).stat().st_size > 100


def test_a_file_that_computes_something_else_is_not_written(finished, tmp_path, error_of, monkeypatch):
    monkeypatch.setattr(onnx_export, "largest_difference", lambda *_: 1.5e-4)
    error = error_of("export", finished("shared").run.folder, "--output", tmp_path / "model.onnx")
    assert "the ONNX file is not written: its logits are up to 1.5e-04 from the model's, more than 1e-04" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_library_that_is_missing(library, finished, error_of, monkeypatch):
    monkeypatch.delitem(sys.modules, "graphmtl.onnx.onnx_export")
    monkeypatch.delattr("graphmtl.onnx.onnx_export")
    monkeypatch.setitem(sys.modules, library, None)
    error = error_of("export", finished("shared").run.folder)
    assert f"export needs {library}: pip install graphmtl[onnx]" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--task", "child"], "unknown task 'child'; did you mean 'child1'?"),
        (["RUN", "--task", "child1,"], "unknown task ''"),
        (["nowhere"], "nowhere: no such run folder"),
        (
            ["RUN", "--output", "nowhere/model.onnx"],
            "nowhere/model.onnx: cannot be written (No such file or directory)",
        ),
        (["RUN", "--precision", "int8"], "unrecognized arguments: --precision int8"),
        ([], "required: RUN"),
    ],
)
def test_mistakes(arguments, message, finished, error_of):
    folder = finished("shared").run.folder
    assert message in error_of("export", *(folder if argument == "RUN" else argument for argument in arguments))


@pytest.mark.parametrize("task", ["all", "pairs,child1"])
def test_8_bits(task, copy_of, capsys, monkeypatch):
    monkeypatch.setattr(export, "_ACCEPTED", 1.0)  # a text of the tiny task set is worth some points
    folder = copy_of("star")
    main(["export", str(folder), "--int8", "--task", task])
    printed = capsys.readouterr().out
    score = float(re.search(r"mean validation score: [\d.]+ with weights of 8 bits, ([\d.]+) without", printed)[1])
    run = Run.open(folder)
    if task == "all":
        assert score == pytest.approx(100 * run.metrics["mean"]["valid"], abs=0.01)
    kinds = {each.data_type for each in onnx.load(folder / "model.onnx").graph.initializer}
    assert onnx.TensorProto.UINT8 in kinds
    expected = [answer["probabilities"] for answer in run.model.predict(TEXTS, "child1")]
    assert list(answers(folder / "model.onnx", "child1", TEXTS)) == [pytest.approx(each, abs=0.05) for each in expected]


def test_8_bits_that_cost_too_much_are_not_written(copy_of, error_of, monkeypatch):
    folder = copy_of("shared")
    worse = MultiTaskModel.from_pretrained(folder / "model")
    for head in worse.heads:
        for parameter in head.parameters():
            parameter.data.neg_()
    for head in worse.common_heads:
        for parameter in head.parameters():
            parameter.data.neg_()
    file = onnx_export.to_onnx(worse, [*worse.tasks]).SerializeToString()
    monkeypatch.setattr("graphmtl.onnx.onnx_int8.to_int8", lambda _: file)
    error = error_of("export", folder, "--int8")
    assert re.search(r"--int8: no file is written; mean validation score: .* 0\.1 point less is accepted", error)
    assert not (folder / "model.onnx").exists()


# a transformer alone


@pytest.fixture(scope="module")
def on_transformer(transformer, tiny_tasks, tmp_path_factory):
    """A finished run on a transformer, by its architecture and options."""

    @cache
    def on_transformer(arch, **options) -> Run:
        given = {"arch": arch, "tasks": tiny_tasks, "encoder": transformer(), "encoder_lr": 0.05, "max_length": 20}
        return tiny.run(**tiny.OPTIONS | given | options, output=tmp_path_factory.mktemp("runs") / arch).run

    return on_transformer


def states_of(folder):
    """What the transformers library reads in a folder makes of a text."""
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS[1], return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0]  # (pieces, dim)


def states_in(model, task):
    texts = encode_texts([(TEXTS[1],)], model.vocabulary, model.options, None)
    with torch.no_grad():
        return model.encode(EncodedSplit(tasks=[task], texts=texts).batch([0]), task).states[0]  # (pieces, dim)


@pytest.mark.parametrize("options", [{}, {"lora": 2, "freeze_layers": 1}], ids=["whole", "lora"])
def test_a_trained_transformer_is_read_by_the_transformers_library_and_by_a_run(
    options, on_transformer, transformer, tiny_tasks, tmp_path, capsys
):
    run, folder = on_transformer("shared", **options), tmp_path / "new" / "encoder"
    main(["export", "--encoder", str(folder), str(run.folder)])
    assert f"wrote {folder}, which AutoModel.from_pretrained and graphmtl run --encoder read" in capsys.readouterr().out
    torch.testing.assert_close(states_of(folder), states_in(run.model, "pairs"))
    assert (states_of(folder) - states_of(transformer())).abs().max() > 1e-3
    again = MultiTaskModel(
        tasks=[*run.model.tasks.values()],
        vocabulary=load_subwords(str(folder)),
        options=model_options(arch="shared", encoder=str(folder), max_length=20),
    )
    again.load_encoder()
    torch.testing.assert_close(states_in(again.eval(), "pairs"), states_in(run.model, "pairs"))


def test_of_single_the_transformer_of_the_task_that_is_named(on_transformer, tmp_path, error_of):
    run = on_transformer("single", lora=2)
    error = error_of("export", "--encoder", tmp_path / "encoder", run.folder)
    assert "--encoder: --arch single has one for each task; --task pairs|parent1|child1" in error
    assert not (tmp_path / "encoder").exists()
    for task in ("pairs", "child1"):
        main(["export", "--encoder", str(tmp_path / task), str(run.folder), "--task", task])
        torch.testing.assert_close(states_of(tmp_path / task), states_in(run.model, task))
    assert not torch.allclose(states_of(tmp_path / "pairs"), states_of(tmp_path / "child1"))


def test_no_folder_is_overwritten_unless_asked(on_transformer, tmp_path, error_of):
    run = on_transformer("shared")
    (tmp_path / "config.json").write_text("precious")
    assert f"{tmp_path}: it has files; give --overwrite" in error_of("export", "--encoder", tmp_path, run.folder)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    main(["export", "--encoder", str(tmp_path), str(run.folder), "--overwrite"])
    torch.testing.assert_close(states_of(tmp_path), states_in(run.model, "pairs"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "pair"], "unknown task 'pair'; did you mean 'pairs'?"),
        (["--int8"], "--int8 is for ONNX files"),
        (["--output", "model.onnx"], "--output is for ONNX files"),
        ([], "--encoder: the run has --encoder lstm; a transformer is expected"),
    ],
)
def test_mistakes_with_a_transformer(arguments, message, finished, tmp_path, error_of):
    folder = finished("shared").run.folder
    assert message in error_of("export", folder, "--encoder", tmp_path / "encoder", *arguments)
    assert not (tmp_path / "encoder").exists()


def test_a_file_is_no_folder_for_a_transformer(on_transformer, tmp_path, error_of):
    (tmp_path / "encoder").write_text("precious")
    error = error_of("export", on_transformer("shared").folder, "--encoder", tmp_path / "encoder", "--overwrite")
    assert "encoder: it is no folder; give another folder" in error
    assert (tmp_path / "encoder").read_text() == "precious"
