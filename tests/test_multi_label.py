"""A multi-label task beside a classification, from files to predictions, in every architecture."""

import csv
import json
import random
import shutil

import numpy as np
import onnxruntime
import pyarrow.parquet
import pytest
import torch

import graphmtl
from graphmtl.cli import main
from graphmtl.kinds.multi_label import MultiLabelHead
from graphmtl.models.model import MultiTaskModel
from graphmtl.registry import ARCHITECTURES
from graphmtl.reporting.example_texts import example_texts
from graphmtl.training.run import Run
from tests import tiny

CUES = {"anger": ("mad", "cross"), "fear": ("scared", "afraid"), "joy": ("glad", "merry")}
FILLER = ("the", "film", "book", "it", "was", "very", "and", "then", "a", "day")
TASKS = """
valid: 0.25
test: 0.25
tasks:
  mood:
    kind: multi-label
    train: mood.jsonl
    label: moods
    metrics: [micro_f1, macro_f1, accuracy]
    class_weights: {anger: 1.5}
  tone:
    train: tone.csv
"""
FAST = {"epochs": 10, "lr": 0.03, "batch_size": 8, "embedding_size": 12, "output_dropout": 0.0, "locked_dropout": 0.0}


def write_tasks(folder):
    """A task whose labels the words decide, and one of three classes."""
    rng = random.Random(0)
    moods, tones = [], ["text,label"]
    for _ in range(200):
        own = [label for label in CUES if rng.random() < 0.35]
        words = rng.choices(FILLER, k=4) + [rng.choice(CUES[label]) for label in own]
        rng.shuffle(words)
        moods.append(json.dumps({"text": " ".join(words), "moods": own}))
        label = rng.choice([*CUES])
        tones.append(f"{rng.choice(CUES[label])} {' '.join(rng.choices(FILLER, k=3))},{label}")
    moods[3] = json.dumps({"text": "nobody knows", "moods": None})
    (folder / "mood.jsonl").write_text("\n".join(moods) + "\n")
    (folder / "tone.csv").write_text("\n".join(tones) + "\n")
    (folder / "tasks.yaml").write_text(TASKS)
    return folder / "tasks.yaml"


@pytest.fixture(scope="session")
def moods(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("moods"))


@pytest.fixture(scope="session")
def finished_moods(moods, tmp_path_factory):
    """The finished run of an architecture, which is made when it is first asked for; nobody may change it."""
    runs = {}

    def finished_moods(arch):
        if arch not in runs:
            runs[arch] = tiny.run(arch=arch, tasks=moods, output=tmp_path_factory.mktemp("runs") / arch, **FAST)
        return runs[arch].run

    return finished_moods


def kept_epoch(run):
    """The scores on the validation split of the epoch that the run has kept."""
    history = map(json.loads, (run.folder / "history.jsonl").read_text().splitlines())
    best = run.metrics["best_epoch"]
    (metrics,) = (line["metrics"] for line in history if line["epoch"] == best)
    return metrics


every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))


@every_architecture
def test_labels_are_learned_beside_classes(finished_moods, arch):
    run = finished_moods(arch)
    mood = run.metrics["tasks"]["mood"]
    assert (mood["kind"], mood["metric"]) == ("multi-label", "micro_f1")
    assert mood["test"]["micro_f1"] > 0.8
    assert [*mood["classes"]] == [*CUES]
    assert "confusion" not in mood
    head = run.model.heads[0]
    assert isinstance(head, MultiLabelHead)
    assert head.class_weights.tolist() == [1.5, 1, 1]


def test_words_that_decide_are_learned_without_an_error(moods, tmp_path):
    options = {**FAST, "epochs": 30, "patience": 0, "only": "mood"}
    run = tiny.run(arch="shared", tasks=moods, output=tmp_path / "run", **options).run
    assert run.metrics["tasks"]["mood"]["test"]["accuracy"] == 1
    assert kept_epoch(run)["mood"]["micro_f1"] == 1
    assert kept_epoch(run)["mood"]["loss"] < 0.1  # that of labels which the words decide is 0


def test_a_transformer_learns_labels(moods, transformer, tmp_path):
    options = {name: value for name, value in {**tiny.OPTIONS, **FAST}.items() if name != "embedding_size"}
    options |= {"encoder": transformer(), "encoder_lr": 0.01, "arch": "complete", "epochs": 2, "max_length": 12}
    main(["run", *tiny.flags(**options, tasks=moods, output=tmp_path / "run")])
    (answer,) = Run(tmp_path / "run").model.predict(["mad and glad"], "mood")
    assert [*answer["probabilities"]] == [*CUES]


@every_architecture
def test_a_saved_model_answers_with_its_threshold(finished_moods, arch, capsys, tmp_path):
    run = finished_moods(arch)
    (tmp_path / "texts.txt").write_text("mad and glad day\n\nthe film\n")
    capsys.readouterr()
    main(["predict", str(run.folder), "--task", "mood", "--edges", str(tmp_path / "texts.txt")])
    answer, blank, none = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert {**blank, "edges": []} == {"line": 2, "task": "mood", "labels": None, "edges": []}
    assert [label for label, p in none["probabilities"].items() if p >= 0.5] == [] == none["labels"]
    threshold = run.model.heads[0].threshold.item()
    assert answer["labels"] == [label for label, p in answer["probabilities"].items() if p >= threshold]
    (again,) = MultiTaskModel.from_pretrained(run.folder / "model").predict(["mad and glad day"], "mood")
    assert again["labels"] == answer["labels"]
    assert again["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)


def test_the_threshold_is_that_of_the_kept_epoch(finished_moods):
    run = finished_moods("shared")
    mood = run.metrics["tasks"]["mood"]["valid"]
    assert {**kept_epoch(run)["mood"], **mood} == pytest.approx(kept_epoch(run)["mood"], abs=1e-6)
    assert run.model.heads[0].threshold.item() != 0.5


@pytest.mark.parametrize("arch", ["single", "star"])
def test_evaluate_gives_the_numbers_of_the_run(finished_moods, arch, moods, tmp_path, capsys):
    run, path = Run(shutil.copytree(finished_moods(arch).folder, tmp_path / "run")), tmp_path / "answers.jsonl"
    main(["evaluate", str(run.folder), "--overwrite", "--predictions", str(path)])
    found = json.loads((run.folder / "evaluation.json").read_text())
    mood = run.metrics["tasks"]["mood"]
    assert found["tasks"]["mood"]["test"] == pytest.approx(mood["test"], abs=1e-6)
    lines = [own for own in map(json.loads, path.read_text().splitlines()) if own["task"] == "mood"]
    sets = [[{*own[key]} for own in lines] for key in ("label", "answer")]
    assert np.mean([a == b for a, b in zip(*sets, strict=True)]) == pytest.approx(mood["test"]["accuracy"])
    both, right, given = (sum(map(len, each)) for each in (map(set.__and__, *sets), *sets))
    assert 2 * both / (right + given) == pytest.approx(mood["test"]["micro_f1"], abs=1e-6)
    assert [*lines[0]["probabilities"]] == [*CUES]
    main(["evaluate", str(run.folder), "--overwrite", "--predictions", str(tmp_path / "answers.csv")])
    first = next(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert json.loads(first["label"]) == lines[0]["label"]


def test_other_data_are_scored_however_they_are_written(finished_moods, moods, tmp_path, capsys):
    run = finished_moods("complete")
    rows = [json.loads(line) for line in moods.with_name("mood.jsonl").read_text().splitlines()]
    known = [row for row in rows if row["moods"] is not None]
    bits = [{**row, "moods": [int(label in row["moods"]) for label in CUES]} for row in known]
    (tmp_path / "bits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bits))
    text = "".join(f"{row['text']}\t{';'.join(row['moods']) or '[]'}\n" for row in known)
    (tmp_path / "a.tsv").write_text(f"text\tmoods\n{text}")
    (tmp_path / "a.yaml").write_text(
        "tasks: {mood: {kind: multi-label, label: moods, separator: ;, train: a.tsv, test: 0.2}}"
    )
    found = {}
    for name in (moods.with_name("mood.jsonl"), tmp_path / "bits.jsonl", tmp_path / "a.yaml"):
        output = tmp_path / "scores.json"
        main(["evaluate", str(run.folder), "--tasks", str(name), "--task", "mood", "--output", str(output)])
        own = json.loads(output.read_text())["tasks"]["mood"]
        found[name.name] = {**own["test"], "n": own["n_test"], "classes": own["classes"]}
        output.unlink()
    assert found["mood.jsonl"] == found["bits.jsonl"] == found["a.yaml"]
    assert found["mood.jsonl"]["n"] == 199


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_answers_beside_the_input(finished_moods, ending, tmp_path):
    run, output = finished_moods("shared"), tmp_path / f"out.{ending}"
    (tmp_path / "in.csv").write_text("text\nmad and glad day\n\nthe film\n")
    main(["predict", str(run.folder), "--task", "mood", "--output", str(output), str(tmp_path / "in.csv")])
    if ending == "csv":
        rows = [*csv.DictReader(output.read_text().splitlines())]
        labels = [json.loads(row["mood.labels"]) for row in rows]
        probabilities = [json.loads(row["mood.probabilities"]) for row in rows]
    else:
        table = pyarrow.parquet.read_table(output).to_pydict()
        labels, probabilities = table["mood.labels"], table["mood.probabilities"]
    assert labels[0] == run.model.predict("mad and glad day", "mood")[0]["labels"]
    assert labels[-1] == probabilities[-1] == []
    assert [len(own) for own in probabilities] == [len(own) for own in labels]


def test_an_interrupted_run_ends_as_if_it_had_not_been(finished_moods, moods, tmp_path):
    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    whole, folder = finished_moods("complete"), tmp_path / "run"
    options = {name: value for name, value in tiny.OPTIONS.items() if not name.startswith("planted")}
    with pytest.raises(KeyboardInterrupt):
        graphmtl.train(moods, arch="complete", output=str(folder), callbacks=[stop], **options | FAST)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert tiny.without_clock(Run.open(folder).metrics) == tiny.without_clock(whole.metrics)
    weights = "model/model.safetensors"
    assert (folder / weights).read_bytes() == (whole.folder / weights).read_bytes()


def test_a_refit_keeps_the_threshold_that_was_chosen(finished_moods, moods, tmp_path):
    once = finished_moods("shared")
    again = tiny.run(arch="shared", tasks=moods, output=tmp_path / "run", refit_on_valid=True, **FAST).run
    ours, theirs = (run.model.heads[0] for run in (once, again))
    assert ours.threshold == theirs.threshold != 0.5
    assert not torch.equal(ours.linear.weight, theirs.linear.weight)
    assert again.metrics["tasks"]["mood"]["valid"] == once.metrics["tasks"]["mood"]["valid"]


def test_averaged_weights_have_a_threshold_of_their_own(moods, tmp_path):
    options = {**FAST, "ema": 0.9, "label_smoothing": 0.1, "common_head": True}
    run = tiny.run(arch="shared", tasks=moods, output=tmp_path / "run", **options).run
    valid = run.metrics["tasks"]["mood"]["valid"]
    assert {**kept_epoch(run)["mood"], **valid} == pytest.approx(kept_epoch(run)["mood"], abs=1e-6)


def test_an_onnx_file_answers(finished_moods, tmp_path):
    run = finished_moods("star")
    main(["export", str(run.folder), "--output", str(tmp_path / "model.onnx")])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["tasks"])
    assert about["mood"]["threshold"] == run.model.heads[0].threshold.item()
    assert "threshold" not in about["tone"]
    text = "mad and glad day"
    tokens = np.array([run.model.vocabulary.encode(text)])
    (logits,) = session.run(["mood"], {"tokens": tokens, "lengths": np.array([tokens.shape[1]])})
    expected = run.model.predict([text], "mood")[0]
    assert (1 / (1 + np.exp(-logits[0]))).tolist() == pytest.approx([*expected["probabilities"].values()], abs=1e-4)


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_what_a_task_reads_is_explained_and_reported(finished_moods, arch, tmp_path):
    run = Run(shutil.copytree(finished_moods(arch).folder, tmp_path / "run"))
    main(["explain", str(run.folder)])
    texts = example_texts(run, per_task=8, seed=0)["mood"]
    assert {text["probability"] for text in texts} == {None}
    assert all({*text["label"].split(", ")} <= {*CUES, "(none)"} for text in texts)
    assert all({*text["gold"].split(", ")} <= {*CUES, "(none)"} for text in texts)
    main(["report", str(run.folder), "--output", str(tmp_path / "report.html")])
    assert f"predicted <b>{texts[0]['label']}</b>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("start", ["mean", "fresh"])
def test_a_multi_label_task_joins_a_graph(finished_moods, start, tmp_path):
    rows = [json.dumps({"text": f"{CUES[x][0]} film {i}", "moods": [x]}) for i in range(8) for x in CUES]
    (tmp_path / "more.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "more.yaml").write_text(
        "tasks: {more: {kind: multi-label, train: more.jsonl, label: moods, test: 0.25}}"
    )
    old = finished_moods("star")
    flags = [
        "--start",
        start,
        "--freeze",
        "all-but-new",
        "--steps",
        "0",
        "--epochs",
        "1",
        "--output",
        str(tmp_path / "new"),
    ]
    main(["transfer", str(old.folder), "--task", str(tmp_path / "more.yaml"), *flags])
    new = Run.open(tmp_path / "new")
    assert new.transfer["old"]["mood"]["identical"]
    assert new.model.heads[0].threshold == old.model.heads[0].threshold
    assert new.metrics["tasks"]["more"]["n_valid"] > 0
    valid = new.metrics["tasks"]["more"]["valid"]
    assert {**kept_epoch(new)["more"], **valid} == pytest.approx(kept_epoch(new)["more"], abs=1e-6)


def test_teachers_of_a_multi_label_task(moods, finished_moods, tmp_path):
    teachers = finished_moods("single").folder
    run = tiny.run(arch="cmtr", tasks=moods, output=tmp_path / "run", teachers=teachers, **{**FAST, "epochs": 2}).run
    assert run.metrics["tasks"]["mood"]["test"]["micro_f1"] > 0.4


def test_tasks_in_memory(tmp_path):
    texts = [f"{CUES[x][0]} film {i}" for i in range(12) for x in CUES]
    frame = {"text": texts, "moods": [[label for label in CUES if CUES[label][0] in text] for text in texts]}
    task = {"train": frame, "kind": "multi-label", "label": "moods", "class_weights": "balanced"}
    options = {name: value for name, value in tiny.OPTIONS.items() if not name.startswith("planted")}
    run = graphmtl.train({"mood": task}, arch="shared", output=str(tmp_path / "run"), **options)
    assert run.model.tasks["mood"].labels == tuple(CUES)
    assert run.model.predict("mad film", "mood")[0]["labels"] is not None
    batch = next(iter(graphmtl.loader(graphmtl.load_tasks({"mood": task}), run.model)))
    outputs = run.model.train()(batch)
    assert outputs["mood"].logits.shape == batch.labels["mood"].shape
    assert outputs.loss.isfinite()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("separator: 3", "tasks.yaml, line 2: `separator` is '3', expected what stands between labels, a text"),
        ("scale: [0, 1]", "`scale` is for tasks of regression; task 'mood' is of another kind"),
        ("metrics: [pearson]", "line 2: unknown metric of task 'mood' 'pearson'"),
        ("labels: [anger, fear]", "mood.jsonl, line "),
        ("class_weights: {joyy: 2}", "unknown label in class_weights of task 'mood' 'joyy'; did you mean 'joy'"),
    ],
)
def test_mistakes_are_one_line(keys, message, moods, tmp_path, error_of):
    path = tmp_path / "tasks.yaml"
    given = f"kind: multi-label, label: moods, test: 0.25, train: {moods.with_name('mood.jsonl')}"
    path.write_text(f"tasks:\n  mood: {{{given}, {keys}}}\n")
    assert message in error_of("run", "--tasks", path, "--output", tmp_path / "run")


def test_a_key_above_the_tasks_is_for_those_that_have_it(moods, tmp_path, error_of):
    path = tmp_path / "tasks.yaml"
    mood = f"{{kind: multi-label, train: {moods.with_name('mood.jsonl')}, label: moods}}"
    tone = f"{{train: {moods.with_name('tone.csv')}}}"
    path.write_text(f"separator: TAB\ntest: 0.2\ntasks:\n  mood: {mood}\n  tone: {tone}\n")
    tasks = graphmtl.load_tasks(path).tasks
    assert (tasks["mood"].separator, tasks["tone"].separator) == ("\t", None)
    path.write_text(f"test: 0.2\ntasks:\n  tone:\n    train: {moods.with_name('tone.csv')}\n    separator: ','\n")
    assert "tasks.yaml, line 5: `separator` is for tasks of multi-label; task 'tone' is of another kind" in error_of(
        "run", "--tasks", path
    )
