import itertools
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

import graphmtl
from graphmtl.cli import main
from graphmtl.training.run import Run
from tests.tiny import OPTIONS, flags

ROWS = [(f"some text number {i} of them", label) for i, label in enumerate(["good", "bad"] * 20)]
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
TOKENS = [{"tokens": text.split(), "tags": ["O", "B-X", "I-X", "O", "O", "O"]} for text, _ in ROWS]
CONLLU = "".join(f"{i}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n" for i, word, tag in [(1, "{}", "X"), (2, "b", "Y")])

FILES = {
    "a.csv": "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS),
    "b.tsv": "premise\thypothesis\tlabel\n" + "".join(f"{text}\tnot {text}\t{label}\n" for text, label in ROWS),
    "c.txt": "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS),
    "d.jsonl": "".join(f"{json.dumps(each)}\n" for each in OBJECTS),
    "e.ndjson": "".join(f"{json.dumps(each)}\n" for each in TOKENS),
    "f.json": json.dumps(OBJECTS),
    "g.txt": "".join(f"__label__{label} {text}\n" for text, label in ROWS),
    "h.conll": "".join("".join(f"{word} {word[0]}\n" for word in text.split()) + "\n" for text, _ in ROWS),
    "i.conllu": "".join(CONLLU.format(f"a{i}") + "\n" for i in range(40)),
    "j.txt": "".join(" ".join(f"{word}/{word[0]}" for word in text.split()) + "\n" for text, _ in ROWS),
    "k.csv": "".join(f"{label};{text}\n" for text, label in ROWS),
    "l.csv": "text,score\n" + "".join(f"{text},{i / 8}\n" for i, (text, _) in enumerate(ROWS)),
    "m.csv": "text,label\n" + "".join(f"{text},{'yes' if label == 'good' else 'a: #b'}\n" for text, label in ROWS),
}
NAMES = [*FILES, "n.parquet", "o"]


@pytest.fixture
def files(tmp_path):
    """A file of every format, none with a text of another."""
    for number, (name, content) in enumerate(FILES.items()):
        (tmp_path / name).write_text(content.replace("some", f"some{number}"), encoding="utf-8")
    columns = {"text": [f"other text {i}" for i in range(40)], "label": ["x", "y"] * 20}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "n.parquet")
    for split, name in itertools.product(("train", "dev", "test"), ("seq.in", "seq.out", "label")):
        (tmp_path / "o" / split).mkdir(parents=True, exist_ok=True)
        lines = {"seq.in": "play {} song", "seq.out": "O B-x O", "label": "{}"}[name]
        content = "".join(f"{lines.format('ab'[i % 2] if name == 'label' else f'{split}{i}')}\n" for i in range(8))
        (tmp_path / "o" / split / name).write_text(content)
    return tmp_path


def test_what_is_written_loads_whatever_the_format(files, capsys):
    output = files / "written" / "my.yaml"
    output.parent.mkdir()
    main(["init", *(str(files / name) for name in NAMES), "--output", str(output)])
    assert capsys.readouterr().out.endswith(f"wrote {output}; it is trained on by: graphmtl run --tasks {output}\n")
    tasks = graphmtl.load_tasks(output)
    assert list(tasks) == [name.split(".")[0] for name in NAMES]
    kinds = {name: data.task.kind for name, data in tasks.items()}
    assert {name for name, kind in kinds.items() if kind == "token-classification"} == {"e", "h", "i", "j", "o"}
    assert {name for name, kind in kinds.items() if kind == "regression"} == {"l"}
    assert tasks["b"].task.is_pair
    assert set(tasks["m"].task.labels) == {"yes", "a: #b"}
    assert "train: ../a.csv\n" in output.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_task_as_the_written_one_is(name, files, monkeypatch):
    monkeypatch.chdir(files)
    main(["init", name, "--output", "own.yaml"])
    with pytest.warns(graphmtl.errors.DataWarning, match="guessed task"):
        direct = graphmtl.load_tasks(name if "." in name else f"./{name}")
    assert {own: data.task for own, data in direct.items()} == {
        own: data.task for own, data in graphmtl.load_tasks("own.yaml").items()
    }


def test_comments_say_what_stands_in_a_file_and_what_looks_wrong(files, capsys):
    (files / "a.csv").write_text(FILES["a.csv"] + "one more,Good\n" * 2)
    main(["init", str(files / "a.csv"), "--output", str(files / "t.yaml")])
    written = (files / "t.yaml").read_text()
    assert "    # 42 rows in train, a fifth for test and a tenth of the rest for valid cut off train\n" in written
    assert "    # columns: text, label\n    # labels: Good 2, bad 20, good 20\n" in written
    wrong = "look: the labels 'Good' and 'good' differ in case alone and are different classes\n"
    assert f"    # {wrong}" in written
    assert f"  {wrong}" in capsys.readouterr().out
    assert max(map(len, written.splitlines())) <= 120


def test_nothing_in_a_file_leaves_its_comment(files):
    rows = [{"text": text, "label": f"x\n  evil: {label}\u2028y", "no\nte\0": 1} for text, label in ROWS]
    (files / "d.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    main(["init", str(files / "d.jsonl"), "--output", str(files / "t.yaml")])
    assert list(graphmtl.load_tasks(files / "t.yaml")) == ["d"]


def test_nothing_is_overwritten_unless_it_is_said(files, error_of):
    output = files / "t.yaml"
    output.write_text("mine")
    assert "t.yaml exists; give --overwrite" in error_of("init", files / "a.csv", "--output", output)
    assert output.read_text() == "mine"
    main(["init", str(files / "a.csv"), "--output", str(output), "--overwrite"])
    assert "train: a.csv" in output.read_text()


def test_a_file_that_cannot_be_guessed_leaves_no_task_file(files, error_of):
    (files / "bad.csv").write_text("id,name\n1,x\n2,y\n3,z\n4,u\n")
    error = error_of("init", files / "a.csv", files / "bad.csv", "--output", files / "t.yaml")
    assert "bad.csv: no column of labels can be told (its columns: 'id', 'name')" in error
    assert not (files / "t.yaml").exists()
    assert "(its columns: 'id', 'name')" in error_of("run", files / "bad.csv")


def test_files_are_trained_on_and_the_run_can_be_repeated(files, capsys):
    chosen = [str(files / name) for name in ("a.csv", "h.conll")]
    options = flags(**{**OPTIONS, "arch": "shared", "epochs": 1})
    main(["run", *chosen, *options, "--output", str(files / "run")])
    said = capsys.readouterr()
    guessed = [line for line in said.err.splitlines() if "guessed task" in line]
    assert [line.split("guessed task ")[1][:3] for line in guessed] == ["'a'", "'h'"]
    assert "learns label (bad 20, good 20); 40 rows in train" in guessed[0]
    run = Run(files / "run")
    assert run.options.tasks == "+".join(chosen)
    main(["run", "--config", str(files / "run" / "config.yaml"), "--output", str(files / "again"), "-q"])
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == f"run: {files / 'again'}\n"
    assert Run(files / "again").metrics["tasks"] == run.metrics["tasks"]
    main(["evaluate", str(files / "again"), "-q"])
    mean = run.metrics["mean"]
    assert capsys.readouterr().out == f"mean test {mean['test']:.4f}, mean test_dedup {mean['test_dedup']:.4f}\n"


def test_files_and_tasks_exclude_each_other(files, error_of):
    assert "a.csv names tasks too" in error_of("run", files / "a.csv", "--tasks", "planted")


def test_a_file_that_is_missing(files, error_of):
    assert "none.csv: no such file" in error_of("run", files / "none.csv")
