"""A regression beside a classification, from files to predictions, in every architecture."""

import json
import random

import numpy as np
import onnxruntime
import pytest

from graphmtl.cli import main
from graphmtl.kinds.regression import RegressionHead
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
from graphmtl.reporting.example_texts import example_texts
from graphmtl.training.run import Run
from tests import tiny

WORDS = {"awful": 1.0, "dull": 2.0, "so-so": 3.0, "good": 4.0, "great": 5.0}
TASKS = """
metrics: [accuracy]
tasks:
  stars:
    kind: regression
    scale: [1, 5]
    metrics: [pearson, spearman]
    train: stars.tsv
    test: 0.25
    valid: 0.25
  same:
    train: same.tsv
    test: 0.25
    valid: 0.25
    text: [one, two]
    labels: ["no", "yes"]
    positive: "yes"
    metrics: [f1, accuracy]
"""
FAST = {"epochs": 6, "lr": 0.02, "batch_size": 8, "embedding_size": 12, "output_dropout": 0.0, "locked_dropout": 0.0}


@pytest.fixture(scope="session")
def finished_regression(tmp_path_factory):
    """The finished run of an architecture, which is made when it is first asked for."""
    folder, runs = tmp_path_factory.mktemp("regression"), {}
    rng = random.Random(0)
    stars, same = ["text\tlabel"], ["one\ttwo\tlabel"]
    for i in range(120):
        words = rng.choices([*WORDS], k=3)
        stars.append(f"{' '.join(words)} film {i}\t{sum(WORDS[word] for word in words) / 3:.2f}")
        other = words if i % 2 else rng.choices([*WORDS], k=3)
        same.append(f"{' '.join(words)} {i}\t{' '.join(other)}\t{['no', 'yes'][words == other]}")
    (folder / "stars.tsv").write_text("\n".join(stars) + "\n")
    (folder / "same.tsv").write_text("\n".join(same) + "\n")
    (folder / "tasks.yaml").write_text(TASKS)

    def finished_regression(arch):
        if arch not in runs:
            output = tmp_path_factory.mktemp("runs") / arch
            runs[arch] = tiny.run(arch=arch, tasks=folder / "tasks.yaml", output=output, **FAST)
        return runs[arch].run

    return finished_regression


every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))


@every_architecture
def test_a_score_is_learned_beside_labels(finished_regression, arch):
    run = finished_regression(arch)
    stars = run.metrics["tasks"]["stars"]
    assert (stars["kind"], stars["metric"], stars["n_train"]) == ("regression", "pearson", 68)
    assert list(stars["test"]) == ["pearson", "spearman"]
    assert stars["test"]["pearson"] > 0.8
    history = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    assert history[-1]["losses"]["stars"] < history[0]["losses"]["stars"] / 2
    assert (run.folder / "task_graph.png").is_file() == bool(run.task_graph.edges)


@every_architecture
def test_a_saved_model_answers_in_the_labels_units(finished_regression, arch, capsys, tmp_path):
    run = finished_regression(arch)
    (tmp_path / "texts.txt").write_text("awful awful dull film\n\ngreat great good film\n")
    capsys.readouterr()
    main(["predict", str(run.folder), "--task", "stars", "--edges", str(tmp_path / "texts.txt")])
    low, blank, high = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert 1 <= low["value"] < 2.7 < 3.2 < high["value"] <= 5
    assert {**blank, "edges": []} == {"line": 2, "task": "stars", "value": None, "edges": []}
    edges = {"complete": 1, "star": 1, "cmtr": 2, "adapter-fusion": 2, "cross-stitch": 2}.get(arch, 0)
    assert len(low["edges"]) == edges
    again = MultiTaskModel.from_pretrained(run.folder / "model").predict(["awful awful dull film"], "stars")
    assert again == [{"task": "stars", "value": pytest.approx(low["value"], abs=1e-5)}]


@every_architecture
def test_evaluate_gives_the_numbers_of_the_run(finished_regression, arch):
    run = finished_regression(arch)
    main(["evaluate", str(run.folder), "--overwrite"])
    found = json.loads((run.folder / "evaluation.json").read_text())
    for name, task in run.metrics["tasks"].items():
        assert found["tasks"][name]["test"] == pytest.approx(task["test"], abs=1e-6)
    assert found["mean"]["test"] == pytest.approx(run.metrics["mean"]["test"], abs=1e-6)


@pytest.mark.parametrize("arch", ["single", "shared", "complete", "star"])
def test_an_onnx_file_answers_in_the_labels_units(finished_regression, arch, tmp_path):
    run = finished_regression(arch)
    main(["export", str(run.folder), "--output", str(tmp_path / "model.onnx")])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    text = "awful good film"
    tokens = np.array([run.model.vocabulary.encode(text)])
    (values,) = session.run(["stars"], {"tokens": tokens, "lengths": np.array([tokens.shape[1]])})
    assert values.tolist() == [pytest.approx(run.model.predict([text], "stars")[0]["value"], abs=1e-4)]


def test_the_head_knows_mean_and_deviation_of_the_training_labels(finished_regression):
    model = finished_regression("shared").model
    (head,) = (head for head in model.heads if isinstance(head, RegressionHead))
    assert 2.5 < head.mean < 3.5
    assert 0.5 < head.std < 1.2
    assert {"heads.0.mean", "heads.0.std"} <= model.state_dict().keys()
    assert "stars (regression): a number from 1 to 5" in str(model.generate_model_card())


def test_plot_reads_a_text_for_a_regression(finished_regression, tmp_path):
    run = finished_regression("star")
    output = str(tmp_path / "read.png")
    main(["plot", str(run.folder), "--text", "great film", "--task", "stars", "--output", output])
    assert (tmp_path / "read.png").is_file()


@pytest.mark.parametrize(("freeze", "same"), [("all-but-new", True), ("none", False)])
def test_a_task_joins_a_graph_that_has_a_regression(finished_regression, freeze, same, tmp_path):
    (tmp_path / "tone.tsv").write_text("text\tlabel\n" + "".join(f"film {i}\t{i % 2}\n" for i in range(20)))
    (tmp_path / "tone.yaml").write_text("tasks: {tone: {train: tone.tsv, test: 0.25}}\n")
    flags = ["--freeze", freeze, "--steps", "0", "--epochs", "1", "--output", str(tmp_path / "new")]
    main(["transfer", str(finished_regression("star").folder), "--task", str(tmp_path / "tone.yaml"), *flags])
    old = Run.open(tmp_path / "new").transfer["old"]
    assert {name: task["identical"] for name, task in old.items()} == {"stars": same, "same": same}


def test_a_score_outside_the_scale_is_named(error_of, tmp_path):
    (tmp_path / "stars.tsv").write_text("text\tlabel\na\t1\nb\t5.5\nc\t2\nd\t3\n")
    (tmp_path / "tasks.yaml").write_text(TASKS.split("  same:")[0].replace("0.25", "1"))
    error = error_of("run", "--tasks", tmp_path / "tasks.yaml", "--output", tmp_path / "run")
    assert f"{tmp_path / 'stars.tsv'}, line 3: score '5.5', expected a number from 1 to 5" in error
    (tmp_path / "stars.tsv").write_text("text\tlabel\na\t1\nb\t5\nc\tx\nd\t3\n")
    error = error_of("run", "--tasks", tmp_path / "tasks.yaml", "--output", tmp_path / "run")
    assert f"{tmp_path / 'stars.tsv'}, line 4: score 'x', expected a number from 1 to 5" in error


@pytest.mark.parametrize("arch", ["complete", "cmtr"])
def test_the_report_shows_scores(finished_regression, arch, tmp_path):
    (text, *_) = example_texts(finished_regression(arch), per_task=1, seed=0)["stars"]
    assert abs(float(text["label"])) < 10
    assert -10 < float(text["gold"]) < 10
    assert text["probability"] is None
    assert len(text["weights"]) == len(text["tokens"])  # of cmtr every token has the text's own gates
    main(["report", str(finished_regression(arch).folder), "--output", str(tmp_path / "report.html")])
    assert f"predicted <b>{text['label']}</b>," in (tmp_path / "report.html").read_text()
