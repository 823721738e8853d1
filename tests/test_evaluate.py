import json
from pathlib import Path

import numpy as np
import pytest

from graphmtl.cli import main
from graphmtl.errors import DataWarning
from graphmtl.evaluate import evaluate, evaluate_on
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.experiment import train
from graphmtl.training.finished import predict_run
from graphmtl.training.run import Run
from tests import tiny
from tests.tagging import tagging_tasks

every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))


@pytest.fixture
def evaluated(capsys):
    """What evaluate writes, and what it prints."""

    def evaluated(folder, *arguments):
        capsys.readouterr()
        main(["evaluate", str(folder), *arguments])
        printed, error = capsys.readouterr()
        assert error == ""
        return json.loads((folder / "evaluation.json").read_text()), printed

    return evaluated


@every_architecture
def test_the_test_split_gives_the_numbers_of_the_run(arch, finished):
    run = Run.open(finished(arch).run.folder)
    tasks = evaluate(run, "test")
    assert list(tasks) == list(run.metrics["tasks"])
    for name, task in tasks.items():
        known = run.metrics["tasks"][name]
        assert {"kind", "metric", "test", "test_dedup", "n_test", "n_test_dedup", "classes"} <= set(task)
        assert task == {key: known[key] for key in task}


def test_the_file_is_in_the_form_of_metrics_and_metrics_stay_as_they_are(copy_of, evaluated):
    folder = copy_of("star")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    written, printed = evaluated(folder)
    metrics = json.loads(before["metrics.json"])
    assert set(written) == {"split", "tasks", "mean"}
    assert written["split"] == "test"
    assert written["mean"] == {split: metrics["mean"][split] for split in ("test", "test_dedup")}
    for name, task in written["tasks"].items():
        assert task == {key: metrics["tasks"][name][key] for key in task}
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert set(after) - set(before) == {"evaluation.json"}
    assert {name: after[name] for name in before} == before

    lines = [line.split() for line in printed.splitlines()]
    assert ["task", "metric", "test", "test_dedup"] in lines
    for name, task in written["tasks"].items():
        first = [f"{100 * task[split][task['metric']]:.1f}" for split in ("test", "test_dedup")]
        assert [name, task["metric"], *first] in lines
    assert ["mean", "of", "first", "metrics", *(f"{100 * mean:.1f}" for mean in written["mean"].values())] in lines


def test_the_validation_split(copy_of, evaluated):
    folder = copy_of("single")
    written, _ = evaluated(folder, "--split", "valid")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert written["split"] == "valid"
    assert written["mean"] == {"valid": metrics["mean"]["valid"]}
    for name, task in written["tasks"].items():
        scores = {key: value for key, value in task.items() if key not in ("classes", "confusion")}
        assert scores == {key: metrics["tasks"][name][key] for key in ("kind", "metric", "valid", "n_valid")}


def test_the_training_split(copy_of, evaluated):
    folder = copy_of("complete")
    written, printed = evaluated(folder, "--split", "train")
    data, predictions = predict_run(Run.open(folder), "train")
    for name, task in written["tasks"].items():
        right = predictions[name].answers == predictions[name].labels
        assert task["train"]["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
        assert task["n_train"] == len(data[name].train) == len(predictions[name])
    first = [task["train"][task["metric"]] for task in written["tasks"].values()]
    assert written["mean"]["train"] == pytest.approx(np.mean(first))
    assert ["task", "metric", "train"] in [line.split() for line in printed.splitlines()]


def test_another_evaluation_replaces_the_first(copy_of, evaluated):
    folder = copy_of("shared")
    first = evaluated(folder)
    assert evaluated(folder) == first
    assert evaluated(folder, "--split", "valid")[0]["split"] == "valid"
    assert evaluated(folder, "--overwrite") == first  # as scripts say that were written when it was asked for


def test_an_evaluation_that_cannot_be_written(copy_of, error_of):
    folder = copy_of("shared")
    (folder / "evaluation.json").mkdir()
    assert f"{folder}/evaluation.json: cannot be written (Is a directory)" in error_of("evaluate", folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: RUN"),
        (["RUN", "--split", "tset"], "--split: invalid choice: 'tset' (choose from 'train', 'valid', 'test')"),
        (["RUN", "--splits", "test"], "unrecognized arguments: --splits"),
        (["RUN/nothing"], "nothing: no such run folder"),
        (["RUN/model"], "model: not a run's folder, since it has no config.yaml"),
    ],
)
def test_mistakes(arguments, message, finished, error_of):
    folder = str(finished("star").run.folder)
    assert message in error_of("evaluate", *(argument.replace("RUN", folder) for argument in arguments))


def edit(folder, old, new):
    config = (folder / "config.yaml").read_text()
    assert old in config
    (folder / "config.yaml").write_text(config.replace(old, new))


def test_a_run_of_another_format(copy_of, error_of):
    folder = copy_of("star")
    edit(folder, "format: 2\n", "format: 99\n")
    message = f"{folder}/config.yaml: format 99; this version of graphmtl reads format 1 to 2"
    assert message in error_of("evaluate", folder)
    assert message in error_of("predict", folder, "--task", "all")


def test_a_run_that_has_not_finished(copy_of, error_of):
    folder = copy_of("star")
    (folder / "metrics.json").unlink()
    assert f"{folder}: the run has not finished (no metrics.json)" in error_of("evaluate", folder)


def test_data_that_is_no_longer_there(copy_of, error_of):
    folder = copy_of("star")
    edit(folder, "tasks.yaml+planted", "gone.yaml+planted")
    assert "gone.yaml: no such file" in error_of("evaluate", folder)
    assert not (folder / "evaluation.json").exists()


def test_data_of_another_task(copy_of, error_of):
    folder = copy_of("star")
    edit(folder, "planted_children: 1", "planted_children: 2")
    assert "child2" in error_of("evaluate", folder)


def test_data_whose_labels_have_changed(copy_of, tmp_path, error_of):
    """The same names, but the model's second label is the data's third: its numbers would mean nothing."""
    folder = copy_of("star")
    tasks = tiny.write_tasks(tmp_path)
    (tmp_path / "tasks.yaml").write_text((tmp_path / "tasks.yaml").read_text().replace('"no", maybe', 'maybe, "no"'))
    line = next(line for line in (folder / "config.yaml").read_text().splitlines() if line.startswith("tasks: "))
    edit(folder, line, f"tasks: {tasks}")
    assert "is not what the model has learned: its `labels` is " in error_of("evaluate", folder)


def test_a_folder_whose_name_holds_brackets(copy_of, evaluated, tmp_path):
    folder = copy_of("shared").rename(tmp_path / "run [red]")
    assert "run[red],test" in "".join(evaluated(folder)[1].split())  # a long path is wrapped


def test_predictions_are_those_that_are_scored(copy_of, evaluated, tmp_path, error_of):
    folder, path = copy_of("star"), tmp_path / "answers.jsonl"
    written, printed = evaluated(folder, "--predictions", str(path))
    assert f"wrote {path}" in printed
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for name, task in written["tasks"].items():
        own = [line for line in lines if line["task"] == name]
        for split, kept in (("test", own), ("test_dedup", [line for line in own if not line["seen"]])):
            right = [line["label"] == line["answer"] for line in kept]
            assert task[f"n_{split}"] == len(right)
            assert task[split]["accuracy"] == pytest.approx(np.mean(right))
        assert all(line["answer"] == max(line["probabilities"], key=line["probabilities"].get) for line in own)
    before = path.read_bytes()
    (folder / "evaluation.json").unlink()
    assert f"{path} exists; give --overwrite" in error_of("evaluate", folder, "--predictions", path)
    assert not (folder / "evaluation.json").exists()
    evaluated(folder, "--predictions", str(path), "--overwrite", "--split", "train")
    assert path.read_bytes() != before
    assert {line["split"] for line in map(json.loads, path.read_text().splitlines())} == {"train"}


@pytest.fixture
def scored(capsys):
    """What evaluate --tasks prints, and the file that it writes."""

    def scored(folder, *arguments):
        output = folder.parent / "scores.json"
        capsys.readouterr()
        main(["evaluate", str(folder), *map(str, arguments), "--output", str(output), "--overwrite"])
        return json.loads(output.read_text()), capsys.readouterr().out

    return scored


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@every_architecture
def test_other_data_that_is_the_runs_own_gives_the_numbers_of_the_run(arch, copy_of, scored):
    """Nothing is cut off, nothing is dropped, and the run's folder stays as it is."""
    folder = copy_of(arch)
    run, before = Run.open(folder), contents(folder)
    written, printed = scored(folder, "--tasks", run.options.tasks)
    assert list(written["tasks"]) == list(run.metrics["tasks"])
    for name, own in written["tasks"].items():
        known = run.metrics["tasks"][name]
        assert (own["n_test"], own["kind"], own["metric"]) == (known["n_test"], known["kind"], known["metric"])
        assert own["test"] == pytest.approx(known["test"], abs=1e-6)
    assert written["data"] == run.options.tasks
    assert written["mean"] == {"test": pytest.approx(run.metrics["mean"]["test"], abs=1e-6)}
    first = written["tasks"]["pairs"]["test"]["f1"]
    assert ["pairs", "f1", f"{100 * first:.1f}"] in [line.split() for line in printed.splitlines()]
    assert contents(folder) == before


def test_texts_of_other_data_that_are_cut_are_counted(copy_of, tmp_path, capsys):
    (tmp_path / "texts.csv").write_text(f"text,label\n{'good ' * 201},positive\nbad,negative\n")
    main(["evaluate", str(copy_of("star")), "--tasks", str(tmp_path / "texts.csv"), "--task", "child1"])
    told = "texts cut to the words that are read (--max-length): child1 1 of 2 (50.0%)"
    assert f"graphmtl: {told}\n" in capsys.readouterr().err


def test_other_data_whose_words_are_unknown_or_that_have_no_text_are_named(copy_of, tmp_path, capsys):
    (tmp_path / "texts.csv").write_text("text,label\nqwfp zxcd bnmv,positive\n,negative\nluyj arst,negative\n")
    main(["evaluate", str(copy_of("star")), "--tasks", str(tmp_path / "texts.csv"), "--task", "child1"])
    told = capsys.readouterr().err
    assert "child1: without a text, and scored with the rest: 1 of 3 examples" in told
    assert "more than 25% of the tokens are unknown in child1, and nothing was learned of them" in told


def test_a_file_is_read_by_the_runs_columns(copy_of, scored, tmp_path):
    folder = copy_of("star")
    run = Run.open(folder)
    file = Path(run.options.tasks.split("+")[0]).with_name("test.tsv")
    written, _ = scored(folder, "--tasks", file)
    assert list(written["tasks"]) == ["pairs"]
    assert written["tasks"]["pairs"]["test"] == pytest.approx(run.metrics["tasks"]["pairs"]["test"], abs=1e-6)
    (tmp_path / "texts.csv").write_text("text,label\ngood film,positive\nbad,\n")
    written, printed = scored(folder, "--tasks", tmp_path / "texts.csv", "--predictions", tmp_path / "answers.jsonl")
    assert {name: (own["n_test"], own["n_unlabelled"]) for name, own in written["tasks"].items()} == {
        "parent1": (1, 1),
        "child1": (1, 1),
    }
    assert "child1: 1 rows without a label are not scored" in printed
    (line, other) = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert (line["row"], line["text"], line["label"], other["task"]) == (2, "good film", "positive", "child1")
    assert line["answer"] == run.model.predict("good film", "parent1")[0]["label"]
    assert list(scored(folder, "--tasks", tmp_path / "texts.csv", "--task", "child1")[0]["tasks"]) == ["child1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "child1"], "--task: goes with --tasks FILE, which is not given"),
        (["--output", "x"], "--output: goes with --tasks FILE, which is not given"),
        (["--tasks", "a.csv", "--split", "test"], "--split: is one of the run's own data"),
        (["--tasks", "a.csv", "--output", "no/x.json"], "--output no/x.json: there is no folder no"),
        (["--tasks", "a.csv", "--output", "a.csv"], "a.csv exists; give --overwrite to replace it"),
        (
            ["--tasks", "a.csv", "--output", "x.csv", "--predictions", "./x.csv"],
            "--output x.csv: is the file of --predictions too; give another",
        ),
        (["--tasks", "no.csv"], "no.csv: no such file"),
        (["--tasks", "no.yaml"], "no.yaml: no such file"),
        (["--tasks", "plantd"], "unknown task set 'plantd'; did you mean 'planted'"),
        (["--tasks", "a.csv", "--task", "child"], "unknown task 'child'; did you mean 'child1'"),
        (
            ["--tasks", "a.csv"],
            "a.csv, line 3: label 'fine' is not among the task's labels (known: negative, positive)",
        ),
    ],
)
def test_mistakes_about_other_data(arguments, message, finished, error_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\ngood film,positive\nbad,fine\n")
    assert message in error_of("evaluate", finished("star").run.folder, *arguments)


def test_columns_may_have_other_names_in_the_data_than_in_the_model(copy_of, evaluated):
    """What a later version calls the column of a corpus is nothing that a model depends on."""
    folder = copy_of("shared")
    path = folder / "model" / "config.json"
    path.write_text(path.read_text().replace('"premise"', '"sentence1"'))
    assert Run.open(folder).model.tasks["pairs"].text == ("sentence1", "hypothesis")
    written, _ = evaluated(folder)
    assert written["tasks"]["pairs"]["test"] == Run.open(folder).metrics["tasks"]["pairs"]["test"]


def test_tokens_without_a_tag_are_counted(tmp_path, capsys):
    sizes = {"epochs": 1, "hidden": 4, "embedding_size": 5, "progress": False, "device": "cpu"}
    run = train(tagging_tasks("pos"), arch="single", output=str(tmp_path / "run"), **sizes)
    rows = [{"text": ["Ada", "sees"], "label": ["name", "_"]}, {"text": ["Rome"], "label": ["name"]}]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, rows)))
    main(["evaluate", str(run.folder), "--tasks", str(tmp_path / "new.jsonl")])
    assert "pos: without a tag, and not scored: 1 of 3 tokens" in capsys.readouterr().err


def test_that_the_validation_split_was_learned_is_said(copy_of, capsys):
    folder = copy_of("star")
    main(["evaluate", str(folder), "--split", "valid"])
    assert capsys.readouterr().err == ""
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("refit_on_valid: false", "refit_on_valid: true"))
    main(["evaluate", str(folder), "--split", "valid"])
    assert "the validation split was learned too (--refit-on-valid), of pairs, parent1" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:tone, mood. tasks over the same texts")
@pytest.mark.parametrize(
    ("tone", "mood", "read"),
    [
        ("max_length: 30", "max_length: 4", (30, False)),
        ("max_length: 4", "weight: 1.0", (None, False)),
        (
            "kind: token-classification, tokens: tokens",
            "kind: text-classification, tokens: tokens, max_length: 4",
            (None, True),
        ),
    ],
)
def test_a_task_alone_is_read_as_it_was_learned_over_the_same_texts(tmp_path, tone, mood, read):
    rows = [
        {"text": f"{'dull ' * 15}{'yes' if i % 2 else 'no'} w{i}", "mood": "ab"[i % 2], "tone": "xy"[i // 2 % 2]}
        for i in range(48)
    ]
    for row in rows:
        row["tokens"] = row["text"].split()
        row["tone"] = [row["tone"]] * len(row["tokens"]) if "tokens" in tone else row["tone"]
    for split, own in {"train": rows[:36], "test": rows[36:]}.items():
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    files = "train: train.jsonl, test: test.jsonl"
    path = tmp_path / "both.yaml"
    path.write_text(f"tasks: {{tone: {{{files}, label: tone, {tone}}}, mood: {{{files}, label: mood, {mood}}}}}")
    how = {"epochs": 1, "hidden": 4, "embedding_size": 4, "batch_size": 8, "truncate": "head", "device": "cpu"}
    how |= {"baselines": False, "control": "never", "progress": False}
    with pytest.warns(DataWarning, match="tone, mood: tasks over the same texts are read alike, "):
        run = train(str(path), arch="shared", output=str(tmp_path / "run"), **how)
    assert (run.model.tasks["mood"].max_length, run.model.tasks["mood"].whole) == read
    alone = evaluate_on(run, path, names=["mood"])["mood"]
    assert alone["test"] == pytest.approx(run.metrics["tasks"]["mood"]["test"])
    texts = [row["tokens"] if read[1] else row["text"] for row in rows[36:]]
    answers = run.model.predict(texts, "mood")
    expected = predict_run(run, "test")[1]["mood"].probabilities  # (texts, labels)
    found = [[*answer["probabilities"].values()] for answer in answers]
    assert np.allclose(sorted(found), sorted(expected.tolist()), atol=1e-5)
