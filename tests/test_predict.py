import csv
import gzip
import io
import json
import lzma
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from safetensors.torch import load_file, save_file

from graphmtl import predict as predict_module
from graphmtl.cli import main
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
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
    assert predicted(folder, b"\xef\xbb\xbf", "--task", "child1", stdin=stdin) == []


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


@pytest.mark.parametrize("stdin", [False, True])
def test_a_carriage_return_ends_lines_where_no_newline_does(stdin, folder, predicted):
    found = predicted(folder, "good\rbad\r\rdull film", "--task", "child1", stdin=stdin)
    assert found == predicted(folder, "good\nbad\n\ndull film\n", "--task", "child1")


@pytest.mark.parametrize("stdin", [False, True])
@pytest.mark.parametrize(
    ("mark", "codec", "encoding"),
    [
        ("", "utf-16", "utf-16"),
        ("\ufeff", "utf-16-le", "utf-16"),
        ("\ufeff", "utf-16-be", "utf-16"),
        ("\ufeff", "utf-16-be", "utf-16-be"),
        ("", "utf-16-le", "utf-16-le"),
        ("", "utf-32", "utf-32"),
        ("", "utf-8-sig", "utf-8-sig"),
    ],
)
def test_lines_of_characters_of_several_bytes(mark, codec, encoding, stdin, folder, predicted, monkeypatch):
    monkeypatch.setattr("graphmtl.data.lines._FLOW", 7)  # which cuts characters in two
    text = "good film\nnot dull\n\nna\u00efve \u0a0a\U0001f3ac\nbad\n"
    found = predicted(folder, (mark + text).encode(codec), "--task", "child1", "--encoding", encoding, stdin=stdin)
    assert found == predicted(folder, text, "--task", "child1")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_newline_ends_a_line(mark, folder, predicted):
    found = predicted(folder, f"good{mark}film\nbad\n", "--task", "child1")
    assert [answer["line"] for answer in found] == [1, 2]
    assert_same(found, predicted(folder, "good film\nbad\n", "--task", "child1"))


def test_pairs_stand_with_a_tab_between(finished, predicted):
    run = finished("star").run
    found = predicted(run.folder, "good film\tit is good\nbad\t\n\ndull\tnot dull\n", "--task", "pairs")
    pairs = [("good film", "it is good"), ("bad", ""), "", ("dull", "not dull")]
    expected = [{"line": i, **answer} for i, answer in enumerate(run.model.predict(pairs, "pairs"), 1)]
    assert_same(found, expected)
    assert list(found[0]["probabilities"]) == ["no", "maybe", "yes"]


@pytest.mark.parametrize(("line", "found"), [("bad film", "no TABs"), ("bad\tfilm\tyes", "2 TABs")])
def test_a_pair_without_a_tab_or_with_several(line, found, folder, tmp_path, error_of):
    (tmp_path / "texts.txt").write_text(f"good\tfilm\n{line}\n")
    for task in ("pairs", "all"):
        error = error_of("predict", folder, tmp_path / "texts.txt", "--task", task)
        reads = "task 'pairs' reads a pair of texts with a TAB between"
        assert f"{tmp_path}/texts.txt, line 2: {reads}, found {found}" in error


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


def test_texts_that_are_cut_are_counted_over_all_parts_of_the_input(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict_module, "_LINES_AT_ONCE", 2)
    long = " ".join(["good film"] * 300)
    (tmp_path / "texts.txt").write_text(lines([long, "good", "bad", "good", long, long]))
    main(["predict", str(folder), str(tmp_path / "texts.txt"), "--task", "child1,parent1"])
    said = capsys.readouterr().err.splitlines()
    assert said == ["graphmtl: child1, parent1, the texts to be predicted: 3 cut to 200 tokens, as in training"]


def test_fewer_lines_are_held_where_each_has_edges(folder, predicted, monkeypatch):
    read = []
    whole = predicted(folder, lines(TEXTS), "--task", "child1", "--edges")
    monkeypatch.setattr(predict_module, "_EDGES_AT_ONCE", 3)
    parts = predict_module._parts_of_lines
    monkeypatch.setattr(
        predict_module, "_parts_of_lines", lambda *a: (read.append(len(part.lines)) or part for part in parts(*a))
    )
    assert_same(predicted(folder, lines(TEXTS), "--task", "child1", "--edges"), whole)
    assert read == [3, 1]


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
        (b"good\nbad\xff\n", "line 2: byte 0xff is not utf-8"),
        (b"good\n\ncaf\xe9 noir\n", "line 3: byte 0xe9 is not utf-8"),
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
        (["RUN", "FILE", "--task", "all", "--edges", "--reads", "0"], "--reads: found 0, expected 1 or more"),
        (["RUN", "FILE", "--task", "all", "--reads", "3"], "--reads: says how many --edges tell, which is not given"),
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


ROWS = [  # what both kinds of tasks read, and what none does
    {"id": "007", "premise": "good film", "hypothesis": "it is", "text": "not dull", "note": 'said "no", twice'},
    {"id": "008", "premise": "", "hypothesis": "", "text": "", "note": "two\nlines"},
    {"id": "", "premise": "bad", "hypothesis": "", "text": "very bad film", "note": "naïve 日本"},
]


def write_rows(path, rows=ROWS):
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def answered(capsys):
    """What predict prints."""

    def answered(*arguments):
        capsys.readouterr()
        main(["predict", *map(str, arguments)])
        return capsys.readouterr().out

    return answered


quotes = pytest.mark.filterwarnings("ignore:.*stand in double quotes")


@quotes
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_columns_are_those_of_the_tasks(ending, finished, answered, tmp_path):
    """Pairs and single texts at once, each answered as what stands in its columns."""
    run = finished("star").run
    path = write_rows(tmp_path / f"rows.{ending}")
    found = [json.loads(line) for line in answered(run.folder, path, "--task", "all").splitlines()]
    lines = {"csv": [2, 3, 5], "tsv": [2, 3, 5], "jsonl": [1, 2, 3], "json": [1, 2, 3], "parquet": [1, 2, 3]}[ending]
    assert [(answer.pop("line"), answer["task"]) for answer in found] == [(i, name) for i in lines for name in TASKS]
    pairs = [(row["premise"], row["hypothesis"]) for row in ROWS]
    assert_same(found[::3], run.model.predict(pairs, "pairs"))
    assert_same([a for a in found if a["task"] != "pairs"], run.model.predict([r["text"] for r in ROWS], TASKS[1:]))


def test_a_packed_file_is_read_like_another(folder, answered, tmp_path):
    rows, lines = write_rows(tmp_path / "rows.csv"), tmp_path / "texts.txt"
    lines.write_text("good\nbad\n")
    for path in (rows, lines):
        for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
            packed = path.with_name(path.name + suffix)
            packed.write_bytes(pack(path.read_bytes()))
            assert answered(folder, packed, "--task", "child1") == answered(folder, path, "--task", "child1")


def test_other_columns_and_formats(folder, answered, tmp_path, monkeypatch):
    expected = answered(folder, write_rows(tmp_path / "rows.jsonl"), "--task", "child1")
    renamed = [{"body": row["text"], "n": 3} for row in ROWS]
    write_rows(tmp_path / "other.jsonl", renamed).rename(tmp_path / "rows.data")
    arguments = ("--task", "child1", "--text", "body", "--format", "jsonl")
    assert answered(folder, tmp_path / "rows.data", *arguments) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "rows.data").read_bytes())))
    assert answered(folder, *arguments) == expected
    pair = answered(folder, tmp_path / "rows.jsonl", "--task", "pairs", "--text", "hypothesis, premise")
    swapped = [{"premise": row["hypothesis"], "hypothesis": row["premise"]} for row in ROWS]
    assert pair == answered(folder, write_rows(tmp_path / "swapped.jsonl", swapped), "--task", "pairs")


def test_another_delimiter_and_encoding(folder, answered, tmp_path, error_of):
    plain, other, lines, task = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.txt", ("--task", "child1")
    plain.write_text("id,text\n1,caf\xe9 noir\n2,good\n", encoding="utf-8")
    other.write_text("id;text\n1;caf\xe9 noir\n2;good\n", encoding="latin-1")
    lines.write_text("id\ncaf\xe9 noir\ngood\n", encoding="latin-1")
    expected = answered(folder, plain, *task)
    assert answered(folder, other, *task, "--delimiter", ";", "--encoding", "latin-1") == expected
    assert answered(folder, lines, *task, "--encoding", "latin-1").splitlines()[1:] == expected.splitlines()
    assert "--delimiter names what stands between" in error_of("predict", folder, plain, *task, "--delimiter", ";")
    assert "expected a single character" in error_of("predict", folder, other, *task, "--delimiter", ";;")
    assert "--delimiter: " in error_of("predict", folder, lines, *task, "--delimiter", ";", "--encoding", "latin-1")
    assert "unknown encoding 'latin-x'" in error_of("predict", folder, lines, *task, "--encoding", "latin-x")
    assert "byte 0xe9 is not utf-8" in error_of("predict", folder, lines, *task)


def test_the_lines_of_a_table(folder, predicted, tmp_path, answered):
    """``--format lines`` reads any file as texts, a text a line."""
    (tmp_path / "a.csv").write_text("text,id\ngood film\n")
    found = answered(folder, tmp_path / "a.csv", "--task", "child1", "--format", "lines")
    assert [json.loads(line) for line in found.splitlines()] == predicted(
        folder, "text,id\ngood film\n", "--task", "child1"
    )


@pytest.mark.parametrize("ending", ["conll", "conllu", "CoNLLu.gz"])
def test_a_file_that_training_alone_reads_is_not_read_as_texts(ending, folder, answered, tmp_path, error_of):
    path = tmp_path / f"a.{ending}"
    path.write_bytes((gzip.compress if ending.endswith("gz") else bytes)(b"good O\nfilm B\n"))
    error = error_of("predict", folder, path, "--task", "child1")
    assert f"{path}: predict reads no .{ending.lower().removesuffix('.gz')} files; give the texts a line" in error
    assert answered(folder, path, "--task", "child1", "--format", "lines").count("\n") == 2


@pytest.mark.parametrize("stdin", [False, True])
def test_a_line_of_names_is_no_text(stdin, folder, predicted, tmp_path, error_of, monkeypatch):
    content = "id\ttext\tlabel\n1\tgood film\tpositive\n"
    tables = predicted(folder, content, "--task", "child1", "--format", "tsv", stdin=stdin)
    assert_same(tables, [answer | {"line": 2} for answer in predicted(folder, "good film\n", "--task", "child1")])
    assert len(predicted(folder, content, "--task", "child1", "--format", "lines", stdin=stdin)) == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    where = [] if stdin else [tmp_path / "texts.txt"]
    (tmp_path / "texts.txt").write_text(content)
    error = error_of("predict", folder, *where, "--task", "all")
    name = "standard input" if stdin else where[0]
    assert f"{name}, line 1: 'id\\ttext\\tlabel' holds TABs and the name of the column 'text'; --format tsv" in error
    for first in ("text", "a text\tgood"):  # a text itself, and none of the names
        assert len(predicted(folder, f"{first}\n{content}", "--task", "child1", stdin=stdin)) == 3


@pytest.mark.parametrize("at_once", [2, 4096])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_input_stands_beside_the_answers(ending, at_once, finished, answered, tmp_path, monkeypatch):
    monkeypatch.setattr(predict_module, "_LINES_AT_ONCE", at_once)
    run, path, output = finished("star").run, write_rows(tmp_path / f"rows.{ending}"), tmp_path / f"out.{ending}"
    printed = answered(run.folder, path, "--task", "all", "--output", output)
    assert printed == f"wrote {output} (3 rows)\n"
    assert {each.name for each in tmp_path.iterdir()} == {path.name, output.name}
    expected = {
        "pairs": run.model.predict([(row["premise"], row["hypothesis"]) for row in ROWS], "pairs"),
        **{name: run.model.predict([row["text"] for row in ROWS], name) for name in TASKS[1:]},
    }
    if ending == "jsonl":
        found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        for i, row in enumerate(found):
            assert_same(row.pop("answers"), [expected[name][i] for name in TASKS])
        assert found == ROWS
        return
    if ending == "csv":
        with output.open(encoding="utf-8", newline="") as file:
            found = [*csv.DictReader(file)]
    else:
        found = pyarrow.parquet.read_table(output).to_pylist()
    for i, row in enumerate(found):
        assert {key: row[key] for key in ROWS[0]} == ROWS[i]
        assert [*row] == [*ROWS[0], *(f"{name}.{key}" for name in TASKS for key in ("label", "probability"))]
        for name in TASKS:
            label, probability = row[f"{name}.label"] or None, row[f"{name}.probability"] or None
            answer = expected[name][i]
            assert label == answer["label"]
            if label is not None:
                assert float(probability) == pytest.approx(answer["probabilities"][label], abs=1e-6)
            else:
                assert probability is None


@quotes
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_lines_beside_their_answers(ending, folder, answered, tmp_path, monkeypatch):
    monkeypatch.setattr(predict_module, "_LINES_AT_ONCE", 2)
    (tmp_path / "texts.txt").write_text('good "film"\n\nbad\tbook\n')
    answered(folder, tmp_path / "texts.txt", "--task", "child1", "--output", tmp_path / f"out.{ending}")
    again = [json.loads(line) for line in answered(folder, tmp_path / f"out.{ending}", "--task", "child1").splitlines()]
    expected = [json.loads(line) for line in answered(folder, tmp_path / "texts.txt", "--task", "child1").splitlines()]
    for answer in (*again, *expected):
        del answer["line"]
    assert_same(again, expected)


@pytest.mark.parametrize("output", ["csv", "parquet", "jsonl"])
def test_edges_beside_the_input(output, finished, answered, tmp_path):
    run = finished("complete").run
    path = write_rows(tmp_path / "rows.jsonl")
    answered(run.folder, path, "--task", "child1", "--edges", "--output", tmp_path / f"out.{output}")
    if output == "jsonl":
        found = [
            json.loads(line)["answers"][0].get("edges") for line in (tmp_path / "out.jsonl").read_text().splitlines()
        ]
    elif output == "csv":
        with (tmp_path / "out.csv").open(newline="") as file:
            found = [json.loads(row["child1.edges"] or "null") for row in csv.DictReader(file)]
    else:
        edges = pyarrow.parquet.read_table(tmp_path / "out.parquet")["child1.edges"].to_pylist()
        found = [own and json.loads(own) for own in edges]
    assert found[1] is None
    assert [edge["source"] for edge in found[0]] == ["pairs", "parent1"]


def test_nothing_is_overwritten(folder, answered, tmp_path, error_of):
    path, output = write_rows(tmp_path / "rows.csv"), tmp_path / "out.csv"
    answered(folder, path, "--task", "child1", "--output", output)
    before = output.read_bytes()
    arguments = ("predict", folder, path, "--task", "parent1", "--output", output)
    assert f"{output} exists; give --overwrite" in error_of(*arguments)
    assert output.read_bytes() == before
    answered(*arguments[1:], "--overwrite")
    assert output.read_bytes() != before


def test_a_line_that_fails_leaves_no_output(folder, tmp_path, error_of, monkeypatch):
    monkeypatch.setattr(predict_module, "_LINES_AT_ONCE", 1)
    (tmp_path / "texts.txt").write_bytes(b"good\nbad\xff\n")
    output = tmp_path / "out.csv"
    assert "line 2: byte 0xff" in error_of(
        "predict", folder, tmp_path / "texts.txt", "--task", "child1", "--output", output
    )
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["a.csv", "--task", "child1"],
            "a.csv: task 'child1' reads column 'text', which is not there (columns: body, id); --text",
        ),
        (
            ["a.csv", "--task", "child1", "--text", "boddy"],
            "reads column 'boddy', which is not there (columns: body, id)",
        ),
        (["a.csv", "--task", "all", "--text", "body"], "--text body: task 'pairs' reads 2 columns, found 1"),
        (["a.csv", "--task", "child1", "--text", "body,id"], "task 'child1' reads 1 columns, found 2"),
        (["a.csv", "--task", "all"], "a.csv: task 'pairs' reads column 'premise', which is not there"),
        (["b.csv", "--task", "child1"], "b.csv: task 'child1' reads column 'text', which stands there 2 times"),
        (["c.jsonl", "--task", "child1"], "c.jsonl, line 2: column 'text' holds 3, expected a text or a list"),
        (["no.csv", "--task", "child1"], "no.csv: no such file"),
        (["t", "--task", "child1", "--text", "body"], "--text body: t is read a text a line; --format says"),
        (["t", "--task", "child1", "--overwrite"], "--overwrite: replaces the file of --output, which is not given"),
        (["t", "--task", "child1", "--output", "o.xlsx"], "--output o.xlsx: expected a name that ends in .jsonl, .csv"),
        (["t", "--task", "child1", "--output", "no/o.csv"], "--output no/o.csv: there is no folder no"),
        (["d.csv", "--task", "child1", "--output", "o.csv"], "the input has a column 'child1.label' already"),
        (["t", "--task", "child1", "--format", "xml"], "--format: invalid choice: 'xml'"),
        (["e.gz", "--task", "child1"], "e.gz: cannot be read (Not a gzipped file"),
    ],
)
def test_mistakes_about_columns_and_outputs(arguments, message, folder, tmp_path, error_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("body,id\ngood,1\n")
    (tmp_path / "b.csv").write_text("text,text\ngood,1\n")
    (tmp_path / "c.jsonl").write_text('{"text": null}\n{"text": 3}\n')
    (tmp_path / "d.csv").write_text("text,child1.label\ngood,1\n")
    (tmp_path / "e.gz").write_text("good\n")
    (tmp_path / "t").write_text("good\n")
    before = {path.name for path in tmp_path.iterdir()}
    assert message in error_of("predict", folder, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_fault_in_standard_input_names_it(folder, error_of, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n{\n')))
    error = error_of("predict", folder, "--task", "child1", "--format", "jsonl")
    assert error.startswith("graphmtl: error: standard input, line 2: not JSON")


def test_a_table_without_rows(folder, answered, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n")
    assert answered(folder, tmp_path / "a.csv", "--task", "child1") == ""
    answered(folder, tmp_path / "a.csv", "--task", "child1", "--output", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "id,text,child1.label,child1.probability\n"


def test_words_between_spaces_of_a_column(folder, finished, answered, tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [{"text": "don't film!"}])
    found = json.loads(answered(folder, path, "--task", "child1", "--pretokenized"))
    assert_same(
        [found], [{"line": 1, **a} for a in finished("complete").run.model.predict([["don't", "film!"]], "child1")]
    )


def test_texts_are_encoded_once_for_all_tasks(folder, answered, tmp_path, monkeypatch):
    read, encode = [], MultiTaskModel.encode
    monkeypatch.setattr(
        MultiTaskModel, "encode", lambda model, batch, task=None: read.append(batch.tasks) or encode(model, batch, task)
    )
    (tmp_path / "texts.txt").write_text("good\tfilm\n")
    answered(folder, tmp_path / "texts.txt", "--task", "all")
    assert read == [("pairs",), ("parent1", "child1")]
