"""Runs that were trained on data at hand in Python: what every verb makes of them."""

import json
import shutil

import datasets
import pandas as pd
import pytest

import graphmtl
from graphmtl.cli import main
from tests.tiny import OPTIONS, without_clock

TEXTS = [f"{a} {b}" for a in ("good", "bad", "not", "very", "film", "book") for b in "abcdefgh"]
FRAME = pd.DataFrame({"text": TEXTS, "label": [0, 1] * 24, "tone": ["x", None, "y"] * 16})
TASKS = {"mood": FRAME, "tone": {"train": FRAME, "label": "tone"}}
TRAINING = {key: OPTIONS[key] for key in ("hidden", "attention", "embedding_size", "device", "progress", "batch_size")}


def train(tasks, output, **options):
    return graphmtl.train(tasks, output=str(output), **{"arch": "complete", "epochs": 2, **TRAINING, **options})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on a frame, which nobody may change."""
    return train(TASKS, tmp_path_factory.mktemp("runs") / "memory", seed=3)


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished.folder, tmp_path / "run")


def test_data_at_hand_are_as_good_as_a_task_set_and_a_file(finished, tmp_path):
    assert (finished.options.tasks, finished.options.seed) == ("(in memory)", 3)
    expected = without_clock(finished.metrics)
    rows = datasets.Dataset.from_pandas(FRAME)
    loaded = graphmtl.load_tasks({"mood": rows, "tone": {"train": rows, "label": "tone"}}, seed=3)
    assert without_clock(train(loaded, tmp_path / "a").metrics) == expected
    assert without_clock(train(graphmtl.load_tasks(TASKS, seed=3), tmp_path / "b").metrics) == expected
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "t.yaml").write_text(
        "tasks:\n  mood: {train: a.csv, test: 0.2}\n  tone: {train: a.csv, test: 0.2, label: tone}\n"
    )
    sizes = [key for key in expected["tasks"]["mood"] if key.startswith("n_")]
    found = train(tmp_path / "t.yaml", tmp_path / "c", seed=3).metrics["tasks"]
    assert [found["mood"][key] for key in sizes] == [expected["tasks"]["mood"][key] for key in sizes]


def test_the_run_says_what_it_was_trained_on(finished, tmp_path, capsys):
    data = json.loads((finished.folder / "data.json").read_text())
    assert {name: own["train"]["examples"] for name, own in data["tasks"].items()}["mood"] == (
        finished.metrics["tasks"]["mood"]["n_train"]
    )
    train({"tone": TASKS["tone"]}, tmp_path / "run", arch="shared")
    assert "tone: 16 rows without a label are not learned (train " in capsys.readouterr().out


def test_resuming_takes_the_same_data_and_no_other(folder, finished, error_of):
    (folder / "metrics.json").unlink()
    again = train(TASKS, folder, seed=3, resume=True)
    assert without_clock(again.metrics) == without_clock(finished.metrics)
    (folder / "metrics.json").unlink()
    with pytest.raises(graphmtl.InputError, match=r"the data of --tasks .in memory. has changed since") as error:
        train({**TASKS, "mood": FRAME.assign(label=[1, 0] * 24)}, folder, seed=3, resume=True)
    assert "\n" not in str(error.value)


def test_verbs_that_need_no_data(folder, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("good a\n")
    main(["predict", str(folder), str(tmp_path / "texts.txt"), "--task", "all"])
    assert [json.loads(line)["task"] for line in capsys.readouterr().out.splitlines()] == ["mood", "tone"]
    main(["plot", str(folder), "--output", str(tmp_path / "graph.png")])
    main(["report", str(folder), "--output", str(tmp_path / "report.html")])
    assert "the run was trained on data in memory, which is not kept" in (tmp_path / "report.html").read_text()
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    capsys.readouterr()
    main(["evaluate", str(folder), "--tasks", str(tmp_path / "a.csv")])
    printed = [line.split()[:1] for line in capsys.readouterr().out.splitlines()]
    assert ["mood"] in printed
    assert ["tone"] in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "RUN"],
        ["explain", "RUN"],
        ["transfer", "RUN", "--task", "planted:child1"],
        ["run", "--config", "RUN/config.yaml", "--output", "OTHER"],
        ["run", "--prune", "RUN", "--output", "OTHER"],
    ],
)
def test_verbs_that_need_the_data_say_that_they_are_gone(arguments, folder, tmp_path, error_of):
    places = (("RUN", folder), ("OTHER", tmp_path / "other"))
    for name, place in places:
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    before = set(tmp_path.rglob("*"))
    assert "the run was trained on data in memory, which is not kept; its model predicts" in error_of(*arguments)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("tasks", [3, FRAME, [FRAME]])
def test_what_is_no_task_set(tasks, tmp_path):
    with pytest.raises(graphmtl.InputError, match=r"^tasks: found a \w+, expected a task set, a name, a file, or"):
        train(tasks, tmp_path / "run")
