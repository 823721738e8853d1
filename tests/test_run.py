"""The verb run: what a run's folder holds, key by key, and what a user's mistakes lead to."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from graphmtl.cli import main
from graphmtl.comparison.grid import _Training
from graphmtl.errors import InputError
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.options import make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.finished import predict_run
from graphmtl.training.run import Run
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.run_picture import has_edges
from graphmtl.training.validation import Validation
from tests import tiny
from tests.tiny import TASKS, flags, without_clock

KNOWN = ", ".join([*ARCHITECTURES, "module:Class"])
every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
FILES = {
    "config.yaml",
    "data.json",
    "metrics.json",
    "model",
    "task_graph.json",
    "truth.json",
    "remarks.json",
    "history.jsonl",
    "checkpoints",
    "baselines.json",
}


def read_json(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def answers(run, split, **options):
    """What the run's model says to the raw texts of a split, and the right labels, by task."""
    for name, data in load_run_tasks(run.options).items():
        rows = getattr(data, split)
        pairs = zip(rows["text"], rows["text_pair"], strict=True) if data.task.is_pair else rows["text"]
        labels = [data.task.labels[label] for label in rows["label"]]
        yield name, rows, run.model.predict(list(pairs), name, **options), labels


def accuracy(answers, labels, keep=None):
    right = [answer["label"] == label for answer, label in zip(answers, labels, strict=True)]
    return np.mean(right if keep is None else np.array(right)[np.array(keep)])


@every_architecture
def test_the_folder_holds_what_it_should_and_nothing_else(arch, finished):
    folder = finished(arch).run.folder
    more = {"graph_history.jsonl", "task_graph.png"} if finished(arch).run.task_graph.edges else set()
    star, reads = arch == "star", has_edges(finished(arch).run)
    more |= {"task_affinity.json", "task_transferability.json"} if star else {"task_ablation.json"} if reads else set()
    asked = {"test_answers.npz"}  # of a run that other tests have compared
    assert {path.name for path in folder.iterdir()} - asked == FILES | more


@every_architecture
def test_config_holds_every_resolved_option(arch, finished, tiny_tasks):
    folder = finished(arch).run.folder
    given = {"arch": arch, "tasks": tiny_tasks, "output": str(folder), **tiny.OPTIONS}
    options = make_options(**given)
    assert yaml.safe_load((folder / "config.yaml").read_text()) == {"format": 2, **asdict(options)}
    assert all(getattr(options, name) == value for name, value in given.items() if hasattr(options, name))


@every_architecture
def test_metrics_have_the_keys_and_kinds_that_tools_read(arch, finished):
    metrics = read_json(finished(arch).run.folder, "metrics.json")
    kinds = {
        "arch": str,
        "seed": int,
        "tasks": dict,
        "mean": dict,
        "parameters": int,
        "train_seconds": float,
        "tokens_per_second": float,
        "best_epoch": dict if arch == "single" else int,
        "budget": dict,
        "cut_short": list,
        "versions": dict,
    }
    assert {key: type(value) for key, value in metrics.items()} == kinds
    assert (metrics["arch"], metrics["seed"]) == (arch, 0)
    assert metrics["train_seconds"] > 0
    assert metrics["tokens_per_second"] > 0
    assert {"python", "graphmtl", "torch"} <= set(metrics["versions"])
    assert set(metrics["mean"]) == {"valid", "test", "test_dedup"}
    best = metrics["best_epoch"]
    assert set(best.values() if arch == "single" else [best]) <= {1, 2}
    assert arch != "single" or tuple(best) == TASKS
    assert tuple(metrics["tasks"]) == TASKS
    for name, task in metrics["tasks"].items():
        sizes = {"n_train", "n_valid", "n_test", "n_test_dedup"}
        assert set(task) == {"kind", "metric", "valid", "test", "test_dedup", "classes", "confusion"} | sizes
        assert (task["kind"], task["metric"]) == ("text-classification", "f1" if name == "pairs" else "accuracy")
        for split in ("valid", "test", "test_dedup"):
            assert list(task[split]) == (["f1", "accuracy"] if name == "pairs" else ["accuracy"])
            assert all(0 <= value <= 1 for value in task[split].values())


@every_architecture
def test_means_are_over_the_first_metrics(arch, finished):
    metrics = finished(arch).run.metrics
    for split, mean in metrics["mean"].items():
        first = [task[split][task["metric"]] for task in metrics["tasks"].values()]
        assert mean == pytest.approx(sum(first) / 3, abs=1e-12)


@every_architecture
def test_metrics_are_those_of_the_saved_model_on_the_raw_texts(arch, finished):
    run = finished(arch).run
    for split in ("valid", "test"):
        for name, rows, found, labels in answers(run, split):
            task = run.metrics["tasks"][name]
            assert task[split]["accuracy"] == pytest.approx(accuracy(found, labels), abs=1e-6)
            assert task[f"n_{split}"] == len(rows)
            if split == "test":
                unseen = [not seen for seen in rows["seen"]]
                assert task["n_test_dedup"] == sum(unseen)
                assert task["test_dedup"]["accuracy"] == pytest.approx(accuracy(found, labels, unseen), abs=1e-6)
    assert 0 < run.metrics["tasks"]["pairs"]["n_test_dedup"] < run.metrics["tasks"]["pairs"]["n_test"]


@every_architecture
def test_sizes_and_parameters(arch, finished):
    run = finished(arch).run
    data = load_run_tasks(run.options)
    assert {name: task["n_train"] for name, task in run.metrics["tasks"].items()} == {
        name: len(each.train) for name, each in data.items()
    }
    assert run.metrics["parameters"] == sum(parameter.numel() for parameter in run.model.parameters())


def test_a_single_model_per_task_has_more_parameters_than_a_shared_one(finished):
    single, shared = (finished(arch).run.metrics["parameters"] for arch in ("single", "shared"))
    embeddings = finished("shared").run.model.encoders[0].embedding.weight.numel()
    assert single > shared + 2 * embeddings


@every_architecture
def test_the_task_graph_file(arch, finished):
    data = read_json(finished(arch).run.folder, "task_graph.json")
    assert data["directed"] is True
    assert data["multigraph"] is False
    assert data["graph"] == {"arch": arch, "tasks": list(TASKS), "split": "test", "seed": 0}
    nodes = [{"id": name, "kind": "task"} for name in TASKS]
    assert data["nodes"] == nodes + ([{"id": "virtual", "kind": "virtual"}] if arch == "star" else [])
    for edge in data["edges"]:
        assert set(edge) == {"source", "target", "weight", "std", "count"}
    ends = Counter((edge["source"], edge["target"]) for edge in data["edges"])
    expected = {
        **{name: [(j, k) for j in TASKS for k in TASKS] for name in ("cmtr", "adapter-fusion", "cross-stitch")},
        "complete": [(j, k) for j in TASKS for k in TASKS if j != k],
        "star": [("virtual", k) for k in TASKS],
    }
    assert ends == Counter(expected.get(arch, []))
    if arch in ("complete", "cmtr", "adapter-fusion", "cross-stitch"):
        for target in TASKS:
            assert sum(e["weight"] for e in data["edges"] if e["target"] == target) == pytest.approx(1, abs=1e-5)
    assert all(0 < edge["weight"] < 1 for edge in data["edges"])


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_edges_are_means_over_the_test_texts(arch, finished):
    run = finished(arch).run
    for name, _, found, _ in answers(run, "test", edges=True):
        for edge in run.task_graph.incoming(name):
            weights = [each["weight"] for answer in found for each in answer["edges"] if each["source"] == edge.source]
            assert edge.count == len(weights) == len(found)
            assert edge.weight == pytest.approx(np.mean(weights), abs=1e-5)
            assert edge.std == pytest.approx(np.std(weights), abs=1e-5)


def test_the_task_affinity_file_of_the_star(finished):
    data = read_json(finished("star").run.folder, "task_affinity.json")
    assert data["graph"] == {"arch": "star", "tasks": list(TASKS), "split": "valid", "seed": 0}
    assert data["nodes"] == [{"id": name, "kind": "task"} for name in TASKS]
    weights = {(edge["source"], edge["target"]): edge["weight"] for edge in data["edges"]}
    assert set(weights) == {(j, k) for j in TASKS for k in TASKS if j != k}
    assert all(weights[j, k] == pytest.approx(weights[k, j], abs=1e-6) for j, k in weights)
    assert {edge["count"] for edge in data["edges"]} == {2 * tiny.OPTIONS["affinity_probe"]}  # the texts of either task


@every_architecture
def test_the_picture_is_a_png_and_there_is_none_without_edges(arch, finished):
    run, path = finished(arch).run, finished(arch).run.folder / "task_graph.png"
    drawn = any(edge.source != edge.target for edge in run.task_graph.edges)
    assert (f"task graph: {path}" in finished(arch).printed.replace("\n", "")) == path.is_file() == drawn
    if not drawn:
        return
    picture = path.read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert picture.endswith(b"IEND\xaeB`\x82")


@every_architecture
def test_history_has_a_line_per_epoch(arch, finished):
    folder = finished(arch).run.folder
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["step"] == 2 * lines[0]["step"]
    for line in lines:
        assert set(line["losses"]) == set(line["metrics"]) == set(TASKS)
        assert set(line["metrics"]["pairs"]) == {"f1", "accuracy", "loss"}


@every_architecture
def test_the_graph_of_each_epoch_is_that_of_the_validation_split(arch, finished):
    run = Run.open(finished(arch).run.folder)
    if not run.task_graph.edges:
        with pytest.raises(InputError, match=r"graph_history\.jsonl: no such file"):
            run.graph_history  # noqa: B018
        return
    assert [epoch for epoch, _ in run.graph_history] == [1, 2]
    ends = {(edge.source, edge.target) for edge in run.task_graph.edges}
    for _, graph in run.graph_history:
        assert {(edge.source, edge.target) for edge in graph.edges} == ends
        assert {edge.target: edge.count for edge in graph.edges} == {
            name: task["n_valid"] for name, task in run.metrics["tasks"].items()
        }
        assert (graph.split, graph.tasks, graph.virtual) == ("valid", run.task_graph.tasks, run.task_graph.virtual)
    best = dict(run.graph_history)[run.metrics["best_epoch"]]
    recorder = EdgeRecorder()
    data = predict_run(run, "valid")[0]
    for name, task in data.items():
        recorder.update(run.model(task.valid.batch(range(len(task.valid))), edges=True)[name].edges)
    again = recorder.graph(arch=arch, tasks=best.tasks, split="valid", seed=best.seed, virtual=best.virtual)
    assert [edge.weight for edge in again.edges] == pytest.approx([edge.weight for edge in best.edges], abs=1e-5)


@every_architecture
def test_the_best_epoch_is_where_validation_was_best(arch, finished):
    run = finished(arch).run
    lines = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    best = run.metrics["best_epoch"] if arch == "single" else dict.fromkeys(TASKS, run.metrics["best_epoch"])
    for name, epoch in best.items():
        expected = {k: v for k, v in lines[epoch - 1]["metrics"][name].items() if k != "loss"}
        assert run.metrics["tasks"][name]["valid"] == pytest.approx(expected, abs=1e-6)
    first = {name: [line["metrics"][name][m] for line in lines] for name, m in first_metrics(run).items()}
    if arch == "single":
        assert all(values[best[name] - 1] == max(values) for name, values in first.items())
    else:
        means = np.mean(list(first.values()), axis=0)
        assert means[run.metrics["best_epoch"] - 1] == pytest.approx(max(means), abs=1e-6)


def first_metrics(run):
    return {name: task["metric"] for name, task in run.metrics["tasks"].items()}


@every_architecture
def test_the_model_folder_holds_tensors_json_text_and_a_card(arch, finished):
    folder = finished(arch).run.folder / "model"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocabulary.txt",
    ]
    load_file(folder / "model.safetensors")
    json.loads((folder / "config.json").read_text())


def percent(score: float) -> str:
    return f"{100 * score:.1f}"


@every_architecture
def test_the_table_that_is_printed(arch, finished):
    metrics, printed = finished(arch).run.metrics, finished(arch).printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["task", "metric", "test", "test_dedup", "majority", "tfidf", "validation"] in lines
    baselines = json.loads((finished(arch).run.folder / "baselines.json").read_text())["baselines"]
    columns = [
        {name: own[split] for name, own in scores.items()}
        for split, scores in [
            *((split, metrics["tasks"]) for split in ("test", "test_dedup")),
            *(("test", baselines[name]) for name in ("majority", "tfidf")),
            ("valid", metrics["tasks"]),
        ]
    ]
    for name, task in metrics["tasks"].items():
        assert [name, task["metric"], *(percent(own[name][task["metric"]]) for own in columns)] in lines
    assert ["accuracy", *(percent(own["pairs"]["accuracy"]) for own in columns)] in lines
    first = [[own[name][task["metric"]] for name, task in metrics["tasks"].items()] for own in columns]
    assert ["mean", "of", "first", "metrics", *(percent(sum(own) / len(own)) for own in first)] in lines


def test_repeated_texts_are_printed_first(finished):
    lines = finished("star").printed.splitlines()
    assert lines[0].strip() == "Texts that occur more than once"
    pairs = next(line.split() for line in lines if line.split()[:1] == ["pairs"])
    assert pairs[:2] == ["pairs", "8"]  # the test texts that are copies of training texts


@every_architecture
def test_the_config_of_a_run_repeats_it(arch, finished, tmp_path):
    first = finished(arch).run
    main(["run", "--config", f"{first.folder}/config.yaml", "--output", f"{tmp_path}/again"])
    assert without_clock(read_json(tmp_path / "again", "metrics.json")) == without_clock(first.metrics)
    picture = ["task_graph.png"] if first.task_graph.edges else []
    for name in ("model/model.safetensors", "model/vocabulary.txt", "task_graph.json", *picture):
        assert (tmp_path / "again" / name).read_bytes() == (first.folder / name).read_bytes()


def test_the_control_beside_a_run(tiny_tasks, tmp_path):
    made = tiny.run(arch="complete", tasks=tiny_tasks, output=tmp_path / "run", control="always")
    assert "control: the same on shuffled labels, in " in made.printed
    control = made.run.control
    assert control.options.shuffle_labels
    assert control.metrics["best_epoch"] == made.run.metrics["best_epoch"]
    assert control.control is None


def test_another_seed_is_another_run(finished, tiny_tasks, tmp_path):
    other = tiny.run(arch="shared", tasks=tiny_tasks, output=tmp_path / "run", seed=1).run
    weights = [load_file(run.folder / "model" / "model.safetensors") for run in (finished("shared").run, other)]
    assert not weights[0]["architecture.lstm.W"].equal(weights[1]["architecture.lstm.W"])
    assert other.metrics["seed"] == 1


def test_the_folder_is_named_after_architecture_tasks_and_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["run", *flags(**tiny.OPTIONS | {"epochs": 1, "arch": "shared", "tasks": "planted:child1", "seed": 3})])
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["shared-planted-child1-3"]


def test_a_run_is_replaced_only_when_asked(copy_of, tiny_tasks, error_of):
    folder = copy_of("shared")
    before = (folder / "metrics.json").read_bytes()
    arguments = ["run", *flags(**tiny.OPTIONS | {"epochs": 1}), "--arch", "shared", "--tasks", tiny_tasks]
    assert f"{folder} exists: --overwrite" in error_of(*arguments, "--output", folder)
    assert (folder / "metrics.json").read_bytes() == before
    (folder / "evaluation.json").write_text("{}")
    main([*arguments, "--output", str(folder), "--overwrite"])
    assert len((folder / "history.jsonl").read_text().splitlines()) == 1
    assert not (folder / "evaluation.json").exists()


def test_repeating_a_run_that_replaced_another_replaces_nothing(tmp_path, error_of):
    arguments = ["run", *flags(**tiny.OPTIONS | {"epochs": 1}), "--arch", "shared", "--tasks", "planted:child1"]
    for options in ([], ["--overwrite"]):
        main([*arguments, "--output", f"{tmp_path}/run", *options])
    assert "exists" in error_of("run", "--config", tmp_path / "run" / "config.yaml")


# mistakes

TINY = flags(**tiny.OPTIONS)


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """A data folder with one domain of FDU-MTL."""
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)
    folder = tmp_path / "data" / "fdu-mtl"
    folder.mkdir(parents=True)
    for split, count in {"train": 260, "test": 10}.items():
        lines = "".join(f"{i % 2}\t{split} review number {i}\n" for i in range(count))
        (folder / f"books.task.{split}").write_text(lines)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--tasks", "fdu-mtl"],
            "task set 'fdu-mtl' needs a data folder: give data_dir (--data-dir) or set GRAPHMTL_DATA",
        ),
        (["--tasks", "fdu-mtl", "--data-dir", "/nowhere"], "data folder /nowhere does not exist"),
        (["--tasks", "plantd"], "unknown task set 'plantd'; did you mean 'planted'?"),
        (["--tasks", "planted:chld1"], "unknown task of planted 'chld1'; did you mean 'child1'?"),
        (["--tasks", "no.yaml"], "no.yaml: no such file"),
        (["--arch", "stra"], f"unknown arch 'stra'; did you mean 'star'? (known: {KNOWN})"),
        (["--encoder", "lstn"], "unknown encoder 'lstn'; did you mean 'lstm'?"),
        (["--arch", "complete", "--topology", "no.yaml"], "--topology 'no.yaml': no such file or folder; accepted: "),
        (["--arch", "complete", "--top-k", "2"], "--top-k 2: --topology 'complete' has no weights to rank"),
        (["--arch", "complete", "--top-k", "-1"], "--top-k: found -1, expected 0 or more"),
        (["--select-by", "chld1"], "unknown select_by 'chld1'; did you mean 'child1'?"),
        (["--embeddings", "/nowhere.gz"], "/nowhere.gz: no such file"),
        (["--epocs", "3"], "unknown option '--epocs'; did you mean '--epochs'?"),
        (["--epochs", "-1"], "--epochs: found -1, expected 0 or more"),
        (["--word-dropout", "1.5"], "--word-dropout: found 1.5, expected a number from 0 to 0.99"),
        (["--score", "dott"], "--score: Expected a Literal['additive', 'dot', 'static']. Got value: dott"),
        (["--planted-parents-per-child", "7"], "planted_parents_per_child is 7"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: no such file"),
    ],
)
def test_mistakes_in_options(arguments, message, tmp_path, error_of, monkeypatch):
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)
    assert message in error_of("run", *TINY, "--output", tmp_path / "run", *arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test", b"0\tgood\nno tab here\n", "books.task.test, line 2: no TAB between label and text: 'no tab here'"),
        ("test", b"0\tgood\n\tno label\n", "books.task.test, line 2: no label before the TAB"),
        (
            "test",
            b"0\tgood\n2\tbad\n",
            "books.task.test, line 2: label '2' is not among the task's labels (known: 0, 1)",
        ),
        ("test", b"", "books.task.test: the file is empty"),
        ("train", b"0\tgood\n1\tcaf\xe9\n", "books.task.train, line 2: byte 0xe9 is not utf-8"),
        ("train", None, "books.task.train: no such file"),
    ],
)
def test_mistakes_in_data_files(name, content, message, data_dir, tmp_path, error_of):
    path = data_dir / "fdu-mtl" / f"books.task.{name}"
    path.unlink() if content is None else path.write_bytes(content)
    arguments = ["--tasks", "fdu-mtl:books", "--data-dir", data_dir, "--output", tmp_path / "run"]
    assert f"{data_dir}/fdu-mtl/{message}" in error_of("run", *TINY, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("good 1 2 3\nbad 1 2\n", "line 2: 2 numbers after the word, expected 3"),
        ("2 3\ngood 1 2 3\nbad 1 2 3 4\n", "line 3: 4 numbers after the word, expected 3"),
        ("good 1 2 3\nbad 1 x 3\n", "line 2: 'x' is not a finite number"),
        ("3 2\ngood 1 2\n", "the first line promises 3 words, the file holds 1"),
    ],
)
def test_mistakes_in_vectors(content, message, tmp_path, error_of):
    path = tmp_path / "vectors.txt"
    path.write_text(content)
    error = error_of("run", *TINY, "--embeddings", path, "--output", tmp_path / "run")
    assert str(path) in error
    assert message in error


def test_mistakes_in_yaml_files_name_the_line(tmp_path, error_of):
    (tmp_path / "base.yaml").write_text("epochs: 3\n\nhiden: 8\n")
    error = error_of("run", *TINY, "--config", tmp_path / "base.yaml", "--output", tmp_path / "run")
    assert f"{tmp_path}/base.yaml, line 3: unknown key 'hiden'; did you mean 'hidden'?" in error
    tiny.write_tasks(tmp_path)
    (tmp_path / "tasks.yaml").write_text((tmp_path / "tasks.yaml").read_text().replace("labels:", "lables:"))
    error = error_of("run", *TINY, "--tasks", tmp_path / "tasks.yaml", "--output", tmp_path / "run")
    assert f"{tmp_path}/tasks.yaml, line 8: unknown key 'lables'; did you mean 'labels'?" in error
    assert not (tmp_path / "run").exists()


@pytest.fixture
def seeds_trained(finished, monkeypatch):
    """The runs of ``--seeds`` by their folders; each is the finished run of ``shared``, and seed 7 fails."""
    cells = {}

    def run(self, cell, log, held):
        cells[cell.folder.name] = cell
        if cell.seed != 7:
            shutil.copytree(finished("shared").run.folder, cell.folder, dirs_exist_ok=True)
        return cell.seed != 7

    monkeypatch.setattr(_Training, "_run", run)
    return cells


def test_seeds_are_runs_of_their_own_and_a_table_of_mean_and_spread(seeds_trained, tmp_path, capsys):
    command = ["run", *TINY, "--arch", "shared", "--output", f"{tmp_path}/run", "--seeds", "0,3"]
    main(command)
    assert [*seeds_trained] == ["run-0", "run-3"]
    assert seeds_trained["run-3"].flags[-2:] == ("--seed", "3")
    printed = capsys.readouterr().out
    assert "shared, seeds 0, 3: mean and standard deviation" in printed
    mean = Run.open(tmp_path / "run-0").metrics["mean"]["test"]
    assert f"{percent(mean)} ± 0.0" in printed
    assert f"runs: {tmp_path}/run-0, {tmp_path}/run-3\n" in printed


def test_seeds_are_gone_on_with_or_replaced_as_a_run_is(seeds_trained, tmp_path, error_of):
    command = ["run", *TINY, "--arch", "shared", "--output", f"{tmp_path}/run", "--seeds=0,3"]
    main(command)
    seeds_trained.clear()
    assert "run-0 exists: --overwrite replaces it, --resume goes on with it" in error_of(*command)
    main([*command, "--overwrite", "--jobs", "2"])
    assert {name: cell.anew for name, cell in seeds_trained.items()} == {"run-0": True, "run-3": True}
    error = error_of(*command, "--resume", "--arch", "star")
    assert "run-0/config.yaml: arch is 'shared', not 'star'; a run is resumed with the options it was" in error


def test_a_seed_that_fails_is_exit_code_1(seeds_trained, tmp_path, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["run", *TINY, "--arch", "shared", "--output", f"{tmp_path}/run", "--seeds", "0,7"])
    assert leaving.value.code == 1
    assert "shared, seed 7: the run failed" in capsys.readouterr().err


def test_seeds_without_a_test_are_compared_by_validation(finished, monkeypatch, tmp_path, capsys):
    def run(self, cell, log, held):
        cell.folder.mkdir()
        (cell.folder / "validation.json").write_text(json.dumps(finished("shared").run.metrics))
        return True

    monkeypatch.setattr(_Training, "_run", run)
    main(["run", *TINY, "--arch", "shared", "--output", f"{tmp_path}/run", "--seeds", "0,3", "--no-test"])
    printed = capsys.readouterr().out
    means = finished("shared").run.metrics["mean"]
    assert f"{percent(means['valid'])} ± 0.0" in printed
    assert "test_dedup" not in printed


def test_a_run_without_a_test_prints_validation_and_is_tested_when_it_is_resumed(
    finished, tiny_tasks, tmp_path, capsys, error_of, monkeypatch
):
    splits = []
    whole = Validation.predict_split

    def predict_split(self, model, split, **more):
        splits.append(split)
        return whole(self, model, split, **more)

    monkeypatch.setattr(Validation, "predict_split", predict_split)
    given = ["run", *TINY, "--arch", "shared", "--tasks", tiny_tasks, "--output", f"{tmp_path}/run"]
    main([*given, "--no-test"])
    assert {*splits} == {"valid"}
    means, printed = finished("shared").run.metrics["mean"], capsys.readouterr().out
    assert percent(means["valid"]) in printed
    assert "test_dedup" not in printed
    assert "not tested; with the same options and --resume it is" in printed
    found = read_json(tmp_path / "run", "validation.json")
    assert found["tasks"]["pairs"]["valid"] == finished("shared").run.metrics["tasks"]["pairs"]["valid"]
    assert "run has not finished (no metrics.json); go on with `run --resume`" in error_of("evaluate", tmp_path / "run")
    main([*given, "--resume"])
    assert without_clock(Run.open(tmp_path / "run").metrics) == without_clock(finished("shared").run.metrics)
    assert {*splits} == {"valid", "test"}


def test_jobs_are_those_of_seeds(error_of):
    assert "--jobs: how many of --seeds are trained at once; found no --seeds" in error_of("run", "--jobs", "2")
    assert "--seeds: found '0;1'" in error_of("run", "--seeds", "0;1")


def test_an_output_that_is_no_run_is_left_alone(tmp_path, error_of):
    (tmp_path / "letter.txt").write_text("precious")
    for output in (tmp_path, tmp_path / "letter.txt"):
        assert str(output) in error_of("run", *TINY, "--output", output, "--overwrite")
    assert (tmp_path / "letter.txt").read_text() == "precious"


faults = pytest.mark.parametrize(
    "fault",
    [
        ["--arch", "stra"],
        ["--encoder", "lstn"],
        ["--embeddings", "/nowhere.gz"],
        ["--select-by", "chld1"],
        ["--arch", "complete", "--topology", "nowhere"],
        ["--precision", "fp16"],
    ],
    ids=lambda fault: fault[0][2:],
)


@faults
def test_a_mistake_leaves_no_folder_behind(fault, tmp_path, error_of):
    error_of("run", *TINY, *fault, "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@faults
def test_a_mistake_costs_nobody_the_run_that_is_there(fault, copy_of, tiny_tasks, error_of):
    folder = copy_of("shared")
    error_of("run", *TINY, "--tasks", tiny_tasks, *fault, "--output", folder, "--overwrite")
    assert (folder / "metrics.json").is_file()


def test_a_run_that_was_moved_is_still_a_run(copy_of, tmp_path):
    folder = copy_of("complete")
    shutil.move(folder, tmp_path / "elsewhere")
    main(["evaluate", str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere" / "evaluation.json").is_file()


def test_rows_without_a_label_and_tasks_that_lose_most_of_their_texts_are_named(tmp_path, capsys):
    """The texts of small stand in the test split of big; of tone two thirds of the rows have no label."""
    rows = [
        f"text {'abcdefghij'[i // 10]}{i % 10},{'xy'[i % 2]},{'uv'[i % 2] if i % 3 == 0 else ''}" for i in range(60)
    ]
    for name, own in {"train": rows[:40], "test": rows[40:], "small": [*rows[40:], *rows[:8]]}.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label,tone", *own]) + "\n")
    both = "train: train.csv, test: test.csv, valid: 10"
    (tmp_path / "tasks.yaml").write_text(
        f"tasks:\n  big: {{{both}}}\n  tone: {{{both}, label: tone}}\n"
        "  small: {train: small.csv, test: 4, valid: 2}\n"
    )
    options = {"tasks": tmp_path / "tasks.yaml", "output": tmp_path / "run", "arch": "shared", "epochs": 1}
    main(["run", *flags(**tiny.OPTIONS | options)])
    printed = capsys.readouterr().out.splitlines()
    (line,) = [line for line in printed if "without a label" in line]
    tasks = load_run_tasks(Run.open(tmp_path / "run").options)
    counts = {
        split: sum(label < 0 for label in getattr(tasks["tone"], split)["label"])
        for split in ("train", "valid", "test")
    }
    each = ", ".join(f"{split} {count}" for split, count in counts.items())
    assert line == f"tone: {sum(counts.values())} rows without a label are not learned ({each})"
    dropped, kept = tasks["small"].overlap.dropped, len(tasks["small"].train)
    assert dropped > kept > 0
    (line,) = [line for line in printed if "more than half" in line]
    assert line.startswith(f"small: {dropped} of {dropped + kept} training texts are left out, more than half, since")


def test_nothing_is_said_where_all_have_labels_and_most_texts_stay(finished):
    assert "without a label" not in finished("star").printed
    assert "more than half" not in finished("star").printed


@pytest.mark.parametrize("arch", ["star", "complete", "cmtr"])
def test_torch_geometric_is_loaded_only_where_it_is_asked_for(arch, tiny_tasks, tmp_path, monkeypatch):
    """A convolution of its own asks for it, and so does a graph in its form."""
    loaded = [name for name in sys.modules if name.partition(".")[0] == "torch_geometric"]
    for name in {"torch_geometric", "torch_geometric.data", "torch_geometric.nn", *loaded}:
        monkeypatch.setitem(sys.modules, name, None)  # to import it would be an error
    run = tiny.run(arch=arch, tasks=tiny_tasks, output=tmp_path / "run", epochs=1).run
    assert run.task_graph.edges
    with pytest.raises(ModuleNotFoundError, match="torch_geometric"):
        run.task_graph.to_pyg()


def test_cut_texts_are_counted_for_each_task(tiny_tasks, tmp_path, capsys):
    """Of words as of a transformer's pieces; in the run, and in what its report says of the data."""
    options = {**tiny.OPTIONS, "arch": "shared", "tasks": tiny_tasks, "max_length": 7, "epochs": 1}
    main(["run", *tiny.flags(**options, output=tmp_path / "run")])
    told = "texts cut to the words that are read (--max-length): pairs 68 of 68 (100.0%), parent1 "
    assert told in " ".join(capsys.readouterr().out.split())
    assert any(line.startswith(told) for line in json.loads((tmp_path / "run" / "remarks.json").read_text())["lines"])
    main(["run", *tiny.flags(**{**options, "max_length": 20}, output=tmp_path / "whole")])
    assert "texts cut" not in capsys.readouterr().out
