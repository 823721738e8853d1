import json

import pytest

from graphmtl import Run
from tests import tiny
from tests.glue import write_glue

FILES = {
    "CoLA.tsv": {"0", "1"},
    "SST-2.tsv": {"0", "1"},
    "MRPC.tsv": {"0", "1"},
    "STS-B.tsv": None,
    "QQP.tsv": {"0", "1"},
    "MNLI-m.tsv": {"entailment", "neutral", "contradiction"},
    "MNLI-mm.tsv": {"entailment", "neutral", "contradiction"},
    "QNLI.tsv": {"entailment", "not_entailment"},
    "RTE.tsv": {"entailment", "not_entailment"},
    "WNLI.tsv": {"0", "1"},
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("data"))


def run(data_dir, folder, tasks="glue", **options):
    output, submission = folder / "run", folder / "submission"
    defaults = {"arch": "shared", "epochs": 1, "tasks": tasks, "data_dir": data_dir}
    return tiny.run(**defaults | options, output=output, write_submission=submission)


def rows(path):
    header, *lines = path.read_text().split("\n")[:-1]
    assert header == "index\tprediction"
    return [line.split("\t") for line in lines]


def test_a_file_for_every_test_split_of_glue(data_dir, tmp_path):
    finished = run(data_dir, tmp_path)
    assert {path.name for path in (tmp_path / "submission").iterdir()} == set(FILES)
    for name, labels in FILES.items():
        found = rows(tmp_path / "submission" / name)
        assert [index for index, _ in found] == [str(i) for i in range(7)]
        predictions = [prediction for _, prediction in found]
        if labels is None:
            assert all(0 <= float(each) <= 5 for each in predictions)
        else:
            assert set(predictions) <= labels
    metrics = finished.run.metrics
    mnli = metrics["tasks"]["mnli"]
    assert mnli["n_test_mismatched"] == 12
    assert list(mnli["test_mismatched"]) == ["accuracy"]
    assert "test_mismatched" in finished.printed
    assert metrics["tasks"]["wnli"]["in_mean"] is False
    assert "mean of first metrics without wnli" in " ".join(finished.printed.split())
    others = [task["test"][task["metric"]] for name, task in metrics["tasks"].items() if name != "wnli"]
    assert metrics["mean"]["test"] == pytest.approx(sum(others) / 8)


def test_predictions_are_the_models_for_the_test_texts(data_dir, tmp_path):
    finished = run(data_dir, tmp_path, tasks="glue:rte,stsb")
    assert {path.name for path in (tmp_path / "submission").iterdir()} == {"RTE.tsv", "STS-B.tsv"}
    for task, name in {"rte": "RTE", "stsb": "STS-B"}.items():
        lines = (data_dir / "glue" / name / "test.tsv").read_text().split("\n")[1:-1]
        answers = finished.run.model.predict([tuple(line.split("\t")[-2:]) for line in lines], task)
        for (_, prediction), answer in zip(rows(tmp_path / "submission" / f"{name}.tsv"), answers, strict=True):
            assert prediction == answer.get("label", prediction)
            assert "label" in answer or float(prediction) == pytest.approx(answer["value"], abs=6e-4)
    config = (finished.run.folder / "config.yaml").read_text()
    assert f"write_submission: {tmp_path / 'submission'}" in config


def command(data_dir, folder, tasks, **options):
    values = {"data_dir": data_dir, "tasks": tasks, "arch": "shared", "epochs": 1, "output": folder / "run"}
    return ["run", *tiny.flags(**tiny.OPTIONS | values, write_submission=folder / "submission", **options)]


def test_what_is_missing_is_said_before_training(error_of, tmp_path):
    data_dir = write_glue(tmp_path, "RTE", "MRPC", "MNLI")
    for name in ("MRPC/test.tsv", "MNLI/test_mismatched.tsv"):
        (data_dir / "glue" / name).unlink()
        task = name.split("/")[0].lower()
        error = error_of(*command(data_dir, tmp_path, f"glue:rte,{task}"))
        assert f"{data_dir / 'glue' / name}: no such file" in error
        assert "--write-submission needs the test texts for M" in error
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "submission").exists()


def test_the_test_file_of_mrpcs_authors_will_do(tmp_path):
    data_dir = write_glue(tmp_path, "MRPC")
    folder = data_dir / "glue" / "MRPC"
    content = (folder / "test.tsv").read_text().replace("index\t", "Quality\t")
    (folder / "msr_paraphrase_test.txt").write_text(content, encoding="utf-8-sig")
    (folder / "test.tsv").unlink()
    run(data_dir, tmp_path, tasks="glue:mrpc")
    assert len(rows(tmp_path / "submission" / "MRPC.tsv")) == 7


def test_nothing_is_overwritten_unasked(error_of, data_dir, tmp_path):
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "RTE.tsv").write_text("mine")
    error = error_of(*command(data_dir, tmp_path, "glue:rte"))
    assert f"{tmp_path / 'submission' / 'RTE.tsv'} exists; give --overwrite to replace it" in error
    assert (tmp_path / "submission" / "RTE.tsv").read_text() == "mine"
    run(data_dir, tmp_path, tasks="glue:rte", overwrite=True)
    assert len(rows(tmp_path / "submission" / "RTE.tsv")) == 7
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["tasks"]["rte"]["n_test"] == 12


def test_faults(error_of, data_dir, tmp_path):
    assert "no task of planted has a leaderboard's file" in error_of(*command(data_dir, tmp_path, "planted"))
    (tmp_path / "submission").write_text("")
    assert f"{tmp_path / 'submission'}: the folder cannot be made" in error_of(*command(data_dir, tmp_path, "glue:rte"))
    other = write_glue(tmp_path, "RTE")
    path = other / "glue" / "RTE" / "test.tsv"
    path.write_text(path.read_text() + "7\t \t\n")
    assert f"{path}, line 9: no text to predict for" in error_of(*command(other, tmp_path, "glue:rte"))


def test_teachers_write_no_submission(data_dir, tmp_path):
    run(data_dir, tmp_path, "glue:rte,wnli", arch="cmtr", teachers="train")
    teachers = Run.open(tmp_path / "run" / "teachers" / "single")
    assert teachers.options.write_submission is None
    assert {path.name for path in (tmp_path / "submission").iterdir()} == {"RTE.tsv", "WNLI.tsv"}


def test_a_submission_may_stand_in_the_runs_folder(data_dir, tmp_path):
    for options in ({}, {"overwrite": True}):
        given = {"arch": "shared", "epochs": 1, "tasks": "glue:cola,rte", "data_dir": data_dir, **options}
        tiny.run(**given, output=tmp_path / "run", write_submission=tmp_path / "run" / "submission")
        assert {path.name for path in (tmp_path / "run" / "submission").iterdir()} == {"CoLA.tsv", "RTE.tsv"}
