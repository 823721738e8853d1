"""Questions that are answered by a span of a context, from SQuAD's files to predictions, in many architectures."""

import csv
import json
from functools import cache

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch

import graphmtl
from graphmtl.cli import main
from graphmtl.metrics.answered import Answered
from graphmtl.metrics.named import compute
from graphmtl.models.model import MultiTaskModel
from graphmtl.reporting.example_texts import example_texts
from graphmtl.training.experiment import train
from graphmtl.training.run import Run
from tests.questions import COLUMNS, FAST, as_squad, questions
from tests.tiny import without_clock

TASKS = """
tasks:
  qa:
    kind: question-answering
    train: train.json
    test: dev.json
    valid: 0.2
    text: [question, context]
    label: answers
  colour:
    train: train.json
    test: dev.json
    valid: 0.2
    text: [question, context]
    label: title
"""
ASKED = [("red", "red drei vier blue zwei"), ("blue", "red drei vier blue zwei"), ("red", "and drei vier blue zwei")]
SHORT = FAST | {"epochs": 2}


def qa_tasks(size=60, **more):
    return graphmtl.load_tasks({"qa": {"train": questions(size), "test": 0.2, "valid": 0.2, **COLUMNS}, **more})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squad")
    (folder / "train.json").write_text(as_squad(questions(320)))
    (folder / "dev.json").write_text(as_squad(questions(80, seed=1)))
    (folder / "tasks.yaml").write_text(TASKS.split("  colour:")[0])
    (folder / "both.yaml").write_text(TASKS)
    return folder


@pytest.fixture(scope="module")
def learned(folder):
    """A star that has learned to answer; nobody may change it."""
    return train(str(folder / "tasks.yaml"), arch="star", output=str(folder / "learned"), **FAST)


@pytest.fixture(scope="module")
def finished(folder):
    """A short run of an architecture on questions and a task of labels over the same texts."""

    @cache
    def finished(arch, encoder="lstm"):
        options = dict(SHORT)
        if encoder != "lstm":
            options = {
                name: options[name] for name in ("epochs", "batch_size", "hidden", "attention", "device", "progress")
            }
            options |= {"encoder": encoder, "max_length": 9}
        output = str(folder / f"{arch}-{len(encoder)}")
        return train(str(folder / "both.yaml"), arch=arch, output=output, **options)

    return finished


def test_the_answer_after_the_cue_is_learned(learned):
    assert learned.metrics["tasks"]["qa"]["test"] == {"token_f1": 1.0, "exact_match": 1.0}
    first, second, none = learned.model.predict(ASKED, "qa")
    assert (first["answer"], first["start"], first["end"]) == ("drei", 4, 8)
    assert (second["answer"], second["start"], second["end"]) == ("zwei", 19, 23)
    assert (none["answer"], none["start"], none["end"]) == ("", None, None)
    assert all(0.5 < answer["probability"] <= 1 for answer in (first, second, none))


@pytest.mark.parametrize("arch", ["single", "shared", "complete", "star", "cmtr", "mmoe", "ple", "adapters"])
def test_every_architecture_answers_and_a_saved_model_the_same(finished, arch):
    run = finished(arch)
    for name, metrics in (("qa", ["token_f1", "exact_match"]), ("colour", ["accuracy"])):
        assert list(run.metrics["tasks"][name]["test"]) == metrics
        assert all(0 <= value <= 1 for value in run.metrics["tasks"][name]["test"].values())
    again = MultiTaskModel.from_pretrained(run.folder / "model")
    answers = run.model.predict(ASKED, ["qa", "colour"], edges=True)
    assert again.predict(ASKED, ["qa", "colour"], edges=True) == answers
    alone = [answer for text in ASKED for answer in again.predict([text], "qa")]
    for ours, theirs in zip(answers[::2], alone, strict=True):
        assert [ours[key] for key in ("answer", "start", "end")] == [theirs[key] for key in ("answer", "start", "end")]
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-5)


def test_evaluate_gives_the_numbers_of_the_run(finished):
    run = finished("complete")
    main(["evaluate", str(run.folder), "--overwrite"])
    found = json.loads((run.folder / "evaluation.json").read_text())
    for name, task in run.metrics["tasks"].items():
        assert found["tasks"][name]["test"] == pytest.approx(task["test"], abs=1e-6)


def test_predictions_that_are_scored_again_give_the_same(learned, tmp_path):
    file = tmp_path / "predictions.jsonl"
    main(["evaluate", str(learned.folder), "--overwrite", "--predictions", str(file)])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    texts = [[[each["text"] for each in line[key]] for line in lines] for key in ("label", "answer")]
    found = compute(
        ("token_f1", "exact_match"),
        Answered(form="texts", labels=texts[0], answers=["".join(own) for own in texts[1]]),
    )
    assert found == pytest.approx(learned.metrics["tasks"]["qa"]["test"])
    assert all(0 < line["probabilities"]["answer"] <= 1 for line in lines)
    for line in lines:
        for each in (*line["label"], *line["answer"]):
            assert line["text_pair"][each["answer_start"] :].startswith(each["text"])


@pytest.mark.parametrize("encoder", ["lstm", "bert"])
def test_a_training_that_is_gone_on_with_gives_the_same(encoder, transformer, tmp_path):
    def stop(line):
        raise KeyboardInterrupt

    tasks = qa_tasks(40)
    options = SHORT | {"arch": "shared"}
    if encoder == "bert":
        options = {name: options[name] for name in ("epochs", "batch_size", "arch", "device", "progress")}
        options |= {"encoder": transformer("bert"), "max_length": 12}
    whole = train(tasks, output=str(tmp_path / "whole"), **options)
    with pytest.raises(KeyboardInterrupt):
        train(tasks, output=str(tmp_path / "run"), callbacks=[stop], **options)
    resumed = train(tasks, output=str(tmp_path / "run"), resume=True, **options)
    assert without_clock(resumed.metrics) == without_clock(whole.metrics)
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("arch", ["shared", "star", "cmtr"])
def test_a_transformer_answers_in_contexts_beyond_its_window(finished, arch, transformer):
    run = finished(arch, transformer("bert"))
    assert run.options.max_length == 9
    context = " ".join(["drei", "Böll", "vier"] * 30)  # far more pieces
    (answer,) = run.model.predict([("red", context)], "qa", edges="tokens")
    assert len(answer["tokens"]) == 92
    if answer["answer"]:
        assert context[answer["start"] : answer["end"]] == answer["answer"]
    again = MultiTaskModel.from_pretrained(run.folder / "model")
    (same,) = again.predict([("red", context)], "qa")
    assert same == {key: answer[key] for key in ("task", "answer", "start", "end", "probability")}


def test_rows_in_memory_and_squads_file_are_the_same_data(folder, tmp_path):
    rows = questions(40)
    (tmp_path / "a.json").write_text(as_squad(rows))
    (tmp_path / "a.txt").write_text(as_squad(rows))
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    splits = {"test": 0.2, "valid": 0.2, **COLUMNS}
    given = [
        {"train": rows},
        {"train": pd.read_parquet(tmp_path / "a.parquet")},
        *({"train": str(tmp_path / name)} for name in ("a.json", "a.jsonl", "a.parquet")),
        {"train": str(tmp_path / "a.txt"), "format": "squad"},
    ]
    first, *others = (graphmtl.load_tasks({"qa": own | splits})["qa"] for own in given)
    for other in others:
        for split, own in first.splits.items():
            for column in ("text", "text_pair", "label"):
                assert other.splits[split][column] == own[column]


def test_the_loader_makes_batches_with_a_loss(finished):
    tasks, model = qa_tasks(), finished("shared").model
    batch = next(iter(graphmtl.loader(tasks, model, batch_size=8)))
    assert batch.labels["qa"].shape == (8, 2)
    assert torch.isfinite(model(batch).loss)


# ------------------------------------------------------------------------------------------------------------- verbs


def test_predict_reads_lines_and_files_and_writes_columns(learned, folder, tmp_path, capsys):
    (tmp_path / "asked.txt").write_text("".join("\t".join(pair) + "\n" for pair in ASKED) + "\n")
    capsys.readouterr()
    main(["predict", str(learned.folder), "--task", "qa", str(tmp_path / "asked.txt")])
    *answers, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert [own["answer"] for own in answers] == ["drei", "zwei", ""]
    assert blank == {"line": 4, "task": "qa", "answer": None}
    for name in ("a.csv", "a.parquet"):
        main(
            ["predict", str(learned.folder), "--task", "qa", str(folder / "dev.json"), "--output", str(tmp_path / name)]
        )
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pydict()
    lines = [*csv.DictReader((tmp_path / "a.csv").read_text().splitlines())]
    for row, asked in enumerate(questions(80, seed=1)):
        (expected,) = asked["answers"]["text"] or [""]
        assert table["qa.answer"][row] == lines[row]["qa.answer"] == expected
        start, end = table["qa.start"][row], table["qa.end"][row]
        assert expected == ("" if start is None else table["context"][row][start:end])
        assert lines[row]["qa.start"] == ("" if start is None else str(start))


def test_objects_that_have_answers_get_predictions(learned, folder, tmp_path, capsys):
    flags = ["--task", "qa", str(folder / "dev.json"), "--output", str(tmp_path / "a.jsonl")]
    main(["predict", str(learned.folder), *flags])
    assert "the model's are called 'predictions'" in capsys.readouterr().err
    first = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert [own["answer"] for own in first["predictions"]] == [each["text"] for each in first["answers"]]


def test_other_data_are_scored(learned, folder, tmp_path):
    flags = ["--tasks", str(folder / "dev.json"), "--output", str(tmp_path / "scores.json")]
    main(["evaluate", str(learned.folder), *flags])
    own = json.loads((tmp_path / "scores.json").read_text())["tasks"]["qa"]
    assert (own["n_test"], own["test"]["exact_match"], own["kind"]) == (80, 1.0, "question-answering")


def test_the_report_shows_an_answer_and_the_right_one(learned, tmp_path):
    (text, *_) = example_texts(learned, per_task=1, seed=0)["qa"]
    assert text["label"] == text["gold"]
    assert text["tokens"][1] == "<sep>"
    assert 0 < text["probability"] <= 1
    assert text["tags"] is None
    main(["report", str(learned.folder), "--output", str(tmp_path / "report.html")])
    assert f"predicted <b>{text['label']}</b>" in (tmp_path / "report.html").read_text()


def test_explain_with_its_controls(finished, tmp_path):
    main(["explain", str(finished("complete").folder), "--overwrite"])
    found = json.loads((finished("complete").folder / "explanation.json").read_text())
    assert set(found["controls"]) == {"untrained", "shuffled"}
    assert "ablation_accuracy" in found["pictures"]


def test_a_task_of_questions_joins_a_graph(finished, folder, tmp_path):
    (tmp_path / "new.yaml").write_text((folder / "tasks.yaml").read_text().replace("qa:", "more:"))
    for name in ("train.json", "dev.json"):
        (tmp_path / name).write_text((folder / name).read_text())
    flags = ["--examples", "40", "--steps", "2", "--epochs", "1", "--output", str(tmp_path / "new")]
    main(["transfer", str(finished("complete").folder), "--task", str(tmp_path / "new.yaml"), *flags])
    metrics = Run.open(tmp_path / "new").metrics["tasks"]["more"]
    assert set(metrics["test"]) == {"token_f1", "exact_match"}


@pytest.mark.parametrize("target", ["logits", "hidden"])
def test_teachers_of_questions(target, tmp_path):
    options = SHORT | {"epochs": 1, "arch": "cmtr", "teachers": "train", "kd_target": target, "refit_on_valid": True}
    run = train(qa_tasks(40), output=str(tmp_path / "run"), **options)
    assert np.isfinite(json.loads((run.folder / "history.jsonl").read_text())["losses"]["qa"])


def test_an_onnx_file_has_no_answers(finished, error_of, tmp_path):
    error = error_of("export", finished("shared").folder, "--output", tmp_path / "model.onnx")
    assert "task 'qa' of kind question-answering cannot be exported" in error
