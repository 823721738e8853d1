import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from graphmtl import predict as predict_module
from graphmtl.architectures import ARCHITECTURES
from graphmtl.cli import main
from graphmtl.models.model import MultiTaskModel
from tests.tiny import TASKS

ROOT = Path(__file__).parents[1]
TEXTS = ["good film", "very bad book !", "not dull", "zebra"]


@pytest.fixture
def predicted(capsys, monkeypatch, tmp_path):
    """What predict writes for some lines, from a file or from standard input."""

    def predicted(folder, content, *arguments, stdin=False):
        content = content.encode() if isinstance(content, str) else content
        file = []
        if stdin:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        else:
            (tmp_path / "texts.txt").write_bytes(content)
            file = [str(tmp_path / "texts.txt")]
        capsys.readouterr()
        main(["predict", str(folder), *file, *arguments])
        printed, error = capsys.readouterr()
        assert error == ""
        assert printed == "" or printed.endswith("\n")
        return [json.loads(line) for line in printed.split("\n")[:-1]]

    return predicted


@pytest.fixture
def folder(finished):
    return finished("complete").run.folder


def lines(texts):
    return "".join(f"{text}\n" for text in texts)


def assert_same(found, expected):
    """Equal but for the rounding of probabilities, which may depend on what else is in the batch."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert {key: ours[key] for key in ours if key != "probabilities"} == {
            key: theirs[key] for key in theirs if key != "probabilities"
        }
        assert ours.get("probabilities") == pytest.approx(theirs.get("probabilities"), abs=1e-6)


@pytest.mark.parametrize("arch", list(ARCHITECTURES))
def test_a_line_of_json_for_each_line_of_text(arch, finished, predicted):
    run = finished(arch).run
    found = predicted(run.folder, lines(TEXTS), "--task", "child1")
    assert [answer["line"] for answer in found] == [1, 2, 3, 4]
    for answer in found:
        assert list(answer) == ["line", "task", "label", "probabilities"]
        assert answer["task"] == "child1"
        assert list(answer["probabilities"]) == ["negative", "positive"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert answer["probabilities"][answer["label"]] == max(answer["probabilities"].values())
    expected = run.model.predict(TEXTS, "child1")
    assert_same(found, [{"line": i, **answer} for i, answer in enumerate(expected, 1)])


@pytest.mark.parametrize("stdin", [False, True])
def test_a_byte_order_mark_is_no_word(folder, predicted, stdin):
    found = predicted(folder, b"\xef\xbb\xbf" + lines(TEXTS).encode(), "--task", "child1", "--edges", stdin=stdin)
    assert found == predicted(folder, lines(TEXTS), "--task", "child1", "--edges")
    assert predicted(folder, b"\xef\xbb\xbf", "--task", "child1", stdin=stdin) == predicted(
        folder, "\n", "--task", "child1"
    )


def test_standard_input_is_as_good_as_a_file(folder, predicted):
    arguments = ("--task", "child1")
    assert predicted(folder, lines(TEXTS), *arguments, stdin=True) == predicted(folder, lines(TEXTS), *arguments)


@pytest.mark.parametrize(
    ("task", "names"), [("child1,parent1", ["child1", "parent1"]), ("all", list(TASKS)), ("pairs", ["pairs"])]
)
def test_several_tasks_answer_line_by_line(task, names, folder, predicted):
    texts = [f"{text}\tit is" for text in TEXTS]
    found = predicted(folder, lines(texts), "--task", task)
    assert [(answer["line"], answer["task"]) for answer in found] == [(i, name) for i in (1, 2, 3, 4) for name in names]
    for name in names:
        alone = predicted(folder, lines(texts), "--task", name)
        assert_same([answer for answer in found if answer["task"] == name], alone)


def test_blank_lines_have_no_label(folder, predicted):
    for arguments in ((), ("--edges",)):
        found = predicted(folder, "good\n\n  \t \n\r\nbad\n", "--task", "child1", *arguments)
        assert [answer["line"] for answer in found] == [1, 2, 3, 4, 5]
        assert found[1:4] == [{"line": i, "task": "child1", "label": None} for i in (2, 3, 4)]
        assert found[0]["label"] is not None
        assert found[4]["label"] is not None


def test_no_lines_no_answers(folder, predicted):
    assert predicted(folder, "", "--task", "child1") == []


def test_the_last_line_needs_no_newline(folder, predicted):
    assert predicted(folder, "good\nbad", "--task", "child1") == predicted(folder, "good\nbad\n", "--task", "child1")


def test_lines_may_end_as_on_windows(folder, predicted):
    found = predicted(folder, "good\r\nbad\r\n", "--task", "child1")
    assert found == predicted(folder, "good\nbad\n", "--task", "child1")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_newline_ends_a_line(mark, folder, predicted):
    found = predicted(folder, f"good{mark}film\nbad\n", "--task", "child1")
    assert [answer["line"] for answer in found] == [1, 2]
    assert_same(found, predicted(folder, "good film\nbad\n", "--task", "child1"))


def test_pairs_stand_with_a_tab_between(finished, predicted):
    run = finished("star").run
    found = predicted(run.folder, "good film\tit is good\nbad\t\n\ndull\tnot\tdull\n", "--task", "pairs")
    pairs = [("good film", "it is good"), ("bad", ""), "", ("dull", "not\tdull")]
    expected = [{"line": i, **answer} for i, answer in enumerate(run.model.predict(pairs, "pairs"), 1)]
    assert_same(found, expected)
    assert list(found[0]["probabilities"]) == ["no", "maybe", "yes"]


def test_a_pair_without_a_tab(folder, tmp_path, error_of):
    (tmp_path / "texts.txt").write_text("good\tfilm\nbad film\n")
    for task in ("pairs", "all"):
        error = error_of("predict", folder, tmp_path / "texts.txt", "--task", task)
        assert f"{tmp_path}/texts.txt, line 2: task 'pairs' reads a pair of texts with a TAB between" in error


def test_edges_of_the_complete_graph_sum_to_1(folder, predicted):
    found = predicted(folder, lines(TEXTS), "--task", "child1,parent1", "--edges")
    for answer in found:
        assert list(answer) == ["line", "task", "label", "probabilities", "edges"]
        others = [name for name in TASKS if name != answer["task"]]
        assert [(edge["source"], edge["target"]) for edge in answer["edges"]] == [(j, answer["task"]) for j in others]
        assert all(set(edge) == {"source", "target", "weight"} for edge in answer["edges"])
        assert sum(edge["weight"] for edge in answer["edges"]) == pytest.approx(1, abs=1e-6)
    plain = predicted(folder, lines(TEXTS), "--task", "child1,parent1")
    assert_same([{key: answer[key] for key in answer if key != "edges"} for answer in found], plain)


def test_edges_of_the_star_are_spokes_and_the_rest_have_none(finished, predicted):
    (answer,) = predicted(finished("star").run.folder, "good film", "--task", "child1", "--edges")
    (edge,) = answer["edges"]
    assert (edge["source"], edge["target"]) == ("virtual", "child1")
    assert 0 < edge["weight"] < 1
    for arch in ("single", "shared"):
        assert predicted(finished(arch).run.folder, "good", "--task", "child1", "--edges")[0]["edges"] == []


@pytest.mark.parametrize("arguments", [("--batch-size", "1"), ("--batch-size", "3"), ("--batch-size", "99")])
def test_how_many_are_read_at_once_plays_no_part(arguments, folder, predicted, monkeypatch):
    texts = lines([*TEXTS, "", *reversed(TEXTS)])
    expected = predicted(folder, texts, "--task", "child1,parent1")
    monkeypatch.setattr(predict_module, "_LINES_AT_ONCE", 2)
    assert_same(predicted(folder, texts, "--task", "child1,parent1", *arguments), expected)


def test_neither_labels_nor_data_are_needed(copy_of, predicted):
    """What is left of the run is config.yaml, metrics.json and the model; its data are nowhere."""
    folder = copy_of("star")
    expected = predicted(folder, lines(TEXTS), "--task", "child1")
    for path in folder.iterdir():
        if path.name not in ("config.yaml", "metrics.json", "model"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("tasks.yaml", "gone.yaml"))
    assert predicted(folder, lines(TEXTS), "--task", "child1") == expected


def test_the_model_folder_alone_is_enough(finished, tmp_path):
    run = finished("complete").run
    shutil.copytree(run.folder / "model", tmp_path / "model")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert loaded.predict(TEXTS, ["child1", "parent1"], edges=True) == run.model.predict(
        TEXTS, ["child1", "parent1"], edges=True
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\nbad\xff\n", "line 2: byte 0xff is not UTF-8"),
        (b"good\n\ncaf\xe9 noir\n", "line 3: byte 0xe9 is not UTF-8"),
    ],
)
def test_a_byte_that_is_no_text(content, message, folder, tmp_path, error_of, monkeypatch):
    (tmp_path / "texts.txt").write_bytes(content)
    error = error_of("predict", folder, tmp_path / "texts.txt", "--task", "child1")
    assert f"{tmp_path}/texts.txt, {message}" in error
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert f"standard input, {message}" in error_of("predict", folder, "--task", "child1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "FILE", "--task", "child"], "unknown task 'child'; did you mean 'child1'? (known: pairs, parent1, "),
        (["RUN", "FILE", "--task", "child1,"], "unknown task ''"),
        (["RUN", "FILE", "--task", "child1,al"], "unknown task 'al'"),
        (["RUN", "FILE"], "required: --task"),
        (["RUN", "nowhere.txt", "--task", "all"], "nowhere.txt: no such file"),
        (["RUN", "RUN", "--task", "all"], "a folder, where a file is expected"),
        (["nowhere", "FILE", "--task", "all"], "nowhere: no such run folder"),
        (["RUN", "FILE", "--task", "all", "--edge-weights"], "unrecognized arguments: --edge-weights"),
        (["RUN", "FILE", "--task", "all", "--batch-size", "many"], "--batch-size: invalid int value: 'many'"),
    ],
)
def test_mistakes(arguments, message, folder, tmp_path, error_of):
    (tmp_path / "texts.txt").write_text("good\tfilm\n")
    places = {"RUN": folder, "FILE": tmp_path / "texts.txt"}
    assert message in error_of("predict", *(places.get(argument, argument) for argument in arguments))


def test_the_file_may_stand_last(folder, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("good\n")
    main(["predict", str(folder), "--task", "child1", "--edges", str(tmp_path / "texts.txt")])
    assert json.loads(capsys.readouterr().out)["line"] == 1


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_batch_size_that_cannot_be(size, folder, tmp_path, error_of):
    (tmp_path / "texts.txt").write_text("good\n")
    arguments = ("--task", "child1", "--batch-size", size)
    assert "--batch-size" in error_of("predict", folder, tmp_path / "texts.txt", *arguments)


def test_an_unknown_task_is_a_mistake_even_if_there_is_no_line(folder, tmp_path, error_of):
    (tmp_path / "texts.txt").write_text("")
    assert "unknown task 'child'" in error_of("predict", folder, tmp_path / "texts.txt", "--task", "child")


def remove_tensor(model):
    tensors = load_file(model / "model.safetensors")
    del tensors["heads.0.linear.weight"]
    save_file(tensors, model / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_tensor, "heads.0.linear.weight"),
        (lambda model: (model / "model.safetensors").write_bytes(b"x" * 100), "model.safetensors"),
        (lambda model: (model / "config.json").write_text("{"), "config.json"),
        (lambda model: (model / "config.json").write_text("{}"), "config.json"),
        (lambda model: (model / "config.json").unlink(), "config.json"),
        (shutil.rmtree, "model"),
    ],
    ids=["a tensor is missing", "no tensors", "no JSON", "another JSON", "no config", "no folder"],
)
def test_a_damaged_model_is_one_line(damage, message, copy_of, tmp_path, error_of):
    folder = copy_of("star")
    damage(folder / "model")
    (tmp_path / "texts.txt").write_text("good\n")
    assert message in error_of("predict", folder, tmp_path / "texts.txt", "--task", "child1")


def test_a_missing_vocabulary_is_one_line(copy_of, tmp_path, error_of):
    folder = copy_of("star")
    (folder / "model" / "vocabulary.txt").unlink()
    assert f"{folder}/model: no vocabulary.txt" in error_of("predict", folder, "--task", "child1")


def test_as_a_process_whose_reader_goes_away(folder):
    command = [sys.executable, "-m", "graphmtl.predict", folder, "--task", "child1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, encoding="utf-8", **pipes) as process:
        process.stdin.write("good film\u2028bad\n" * 3000)  # 300 kB of answers, more than a pipe holds
        process.stdin.close()
        first = json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert (first["line"], first["task"]) == (1, "child1")


class Terminal(io.BytesIO):
    def isatty(self):
        return True


def test_that_a_terminal_is_read_is_said(finished, monkeypatch, capsys):
    """Else it looks as if the command did not go on."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Terminal(b"good film\n")))
    main(["predict", str(finished("star").run.folder), "--task", "parent1"])
    printed, error = capsys.readouterr()
    assert error == "no FILE: texts are read from the terminal, one a line, until Ctrl-D\n"
    assert printed.count("\n") == 1
