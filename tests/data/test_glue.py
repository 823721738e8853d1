import os
from pathlib import Path

import datasets
import pytest

from graphmtl.data.glue import _TASKS, sentence_of_phrase
from graphmtl.data.loading import load_tasks
from graphmtl.errors import InputError
from tests import tiny
from tests.glue import LAYOUTS, write_glue

DATA = os.environ.get("GRAPHMTL_DATA", "")
NAMES = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("glue"), train=40)


@pytest.fixture
def no_hub(monkeypatch):
    def no_network(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", no_network)


def test_all_nine_tasks_in_the_published_layouts(data_dir, no_hub):
    tasks = load_tasks("glue", data_dir=data_dir)
    assert tuple(tasks) == NAMES
    for name, data in tasks.items():
        pair = name not in ("cola", "sst2")
        assert data.task.is_pair is pair
        assert ("text_pair" in data.test.column_names) is pair
        assert (len(data.train) + data.overlap.dropped + len(data.valid), len(data.test)) == (40, 12)
        assert all('"' in text for text in data.test["text"])
        assert {text.split()[-1] for text in data.test["text"]} >= {"NA", "null"}
    metrics = {name: data.task.metrics for name, data in tasks.items()}
    assert {metrics.pop(name)[0] for name in ("mrpc", "qqp")} == {"f1"}
    assert metrics.pop("cola") == ("matthews", "accuracy")
    assert metrics.pop("stsb") == ("pearson", "spearman")
    assert set(metrics.values()) == {("accuracy",)}
    assert (tasks["mrpc"].task.positive, tasks["qqp"].task.positive) == ("equivalent", "duplicate")
    assert tasks["stsb"].test["label"][:4] == [0, 2.5, 3.75, 5]
    assert tasks["rte"].task.labels == tasks["qnli"].task.labels == ("entailment", "not_entailment")
    assert [name for name, task in tasks.tasks.items() if not task.in_mean] == ["wnli"]


def test_mnli_is_tested_on_both_dev_splits(data_dir):
    mnli = load_tasks("glue:mnli", data_dir=data_dir)["mnli"]
    assert list(mnli.other_tests) == ["test_mismatched"]
    assert mnli.test["text"][:] != mnli.other_tests["test_mismatched"]["text"][:]
    assert [file.name for file in mnli.submission] == ["MNLI-m.tsv", "MNLI-mm.tsv"]


def test_a_task_file_makes_a_task_of_a_dev_split_alone(data_dir, tmp_path):
    dev = data_dir / "glue" / "QNLI" / "dev.tsv"
    keys = f"{{train: {dev}, test: 0.2, text: [question, sentence], quoting: none}}"
    (tmp_path / "qnli.yaml").write_text(f"tasks: {{qnli: {keys}}}")
    tasks = load_tasks(f"glue:rte+{tmp_path / 'qnli.yaml'}", data_dir=data_dir)
    assert [len(split) for split in (tasks["qnli"].train, tasks["qnli"].valid, tasks["qnli"].test)] == [9, 1, 2]
    assert tasks["qnli"].task.labels == tasks["rte"].task.labels
    assert all('"' in text for text in tasks["qnli"].train["text_pair"])


def test_what_is_not_at_hand_is_named_with_what_is(tmp_path, no_hub):
    folder = write_glue(tmp_path, "CoLA", "RTE", "MNLI")
    (folder / "glue" / "MNLI" / "train.tsv").unlink()
    with pytest.raises(InputError) as error:
        load_tasks("glue", data_dir=folder)
    message = str(error.value)
    assert f"task 'sst2' of glue: no {folder / 'glue' / 'SST-2' / 'train.tsv'} and no " in message
    assert "Hub data set nyu-mll/glue (sst2), split train: cannot be loaded (ConnectionError: no network)" in message
    assert "not at hand: sst2, mrpc, stsb, qqp, mnli, qnli, wnli; the others are tasks glue:cola,rte" in message
    assert "\n" not in message
    assert list(load_tasks("glue:cola,rte", data_dir=folder)) == ["cola", "rte"]


def test_without_a_data_folder_the_hub_is_asked(no_hub, monkeypatch):
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)
    with pytest.raises(InputError, match=r"no folder glue/RTE: give data_dir .* Hub data set nyu-mll/glue \(rte\)"):
        load_tasks("glue:rte")


def test_the_hub_gives_the_same_tasks(data_dir, tmp_path, monkeypatch):
    """A data set with the Hub's columns and class names, in place of nyu-mll/glue."""
    names = ["not_equivalent", "equivalent"]
    local = load_tasks("glue:mrpc,stsb", data_dir=data_dir)

    def load_dataset(path, *, name, split):
        config = name
        own = local[config].other_tests.get(split) or getattr(local[config], split.replace("validation", "test"))
        rows = {"sentence1": own["text"][:], "sentence2": own["text_pair"][:], "label": own["label"][:]}
        label = datasets.ClassLabel(names=names) if config == "mrpc" else datasets.Value("float32")
        text = datasets.Value("string")
        features = datasets.Features({"sentence1": text, "sentence2": text, "label": label})
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *args, **kwargs: None)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)
    hub = load_tasks("glue:mrpc,stsb")
    for name in ("mrpc", "stsb"):
        ours, theirs = hub[name].task, local[name].task
        assert (ours.labels, ours.positive, ours.scale) == (theirs.labels, theirs.positive, theirs.scale)
        assert hub[name].test["label"][:] == local[name].test["label"][:]
        assert hub[name].test["text"][:] == local[name].test["text"][:]
    assert hub["stsb"].submission[0].read().columns.keys() == {"sentence1", "sentence2"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7\ta\tb\tentailment\tx", "5 fields, expected 4 (index, sentence1, sentence2, label)"),
        ("7\ta\tentailment", "3 fields, expected 4 (index, sentence1, sentence2, label)"),
        ("7\ta\tb\tmaybe", "label 'maybe' is not among the task's labels (known: entailment, not_entailment)"),
    ],
)
def test_a_line_with_the_wrong_fields(tmp_path, line, message):
    path = write_glue(tmp_path, "RTE") / "glue" / "RTE" / "train.tsv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError) as error:
        load_tasks("glue:rte", data_dir=tmp_path)
    assert f"{path}, line 42: {message}" in str(error.value)


def test_a_score_outside_0_to_5(tmp_path):
    path = write_glue(tmp_path, "STS-B") / "glue" / "STS-B" / "dev.tsv"
    path.write_text(path.read_text().replace("2.5\n", "5.001\n", 1))
    with pytest.raises(InputError, match=r"dev\.tsv, line 3: score '5\.001', expected a number from 0 to 5"):
        load_tasks("glue:stsb", data_dir=tmp_path)


def words_of(text):
    """The letters and digits of each word, lower-cased."""
    return [word for each in text.lower().split() if (word := "".join(filter(str.isalnum, each)))]


def contains(sentence, phrase):
    return any(sentence[i : i + len(phrase)] == phrase for i in range(len(sentence) - len(phrase) + 1))


def test_sentences_of_phrases_by_looking_at_every_pair():
    texts = ["A slow , good film", "good film .", "good", "the plot is slow", "plot is", "is", "slow", "?", "old"]
    texts += ["a slow good film"]
    words = [*map(words_of, texts)]
    found = sentence_of_phrase(texts)
    longest = [own for own in words if not any(contains(other, own) and other != own for other in words)]
    for own, sentence in zip(words, found, strict=True):
        of = {"".join(other) for other in longest if own and contains(other, own)}
        assert sentence == (None if len(of) > 1 else next(iter(of), ""))
    assert found[2] == "aslowgoodfilm"
    assert found[6] is None  # in two sentences


# the published files


needs_glue = pytest.mark.skipif(not (Path(DATA) / "glue").is_dir(), reason="GRAPHMTL_DATA has no glue")


@pytest.fixture(scope="module")
def published():
    return load_tasks("glue:cola,sst2,mrpc,stsb,rte,wnli", data_dir=DATA, keep_overlap=True)


@needs_glue
def test_sizes_as_published(published):
    sizes = {name: (len(data.train) + len(data.valid), len(data.test)) for name, data in published.items()}
    assert sizes == {
        "cola": (8551, 1043),
        "sst2": (67349, 872),
        "mrpc": (3668, 408),
        "stsb": (5749, 1500),
        "rte": (2490, 277),
        "wnli": (635, 71),
    }
    assert {name: len(data.valid) for name, data in published.items()} == {
        "cola": 855,
        "sst2": 5000,
        "mrpc": 367,
        "stsb": 575,
        "rte": 249,
        "wnli": 64,
    }


@needs_glue
def test_no_validation_text_is_a_phrase_of_a_training_sentence(published):
    sst2 = published["sst2"]
    train = "\n".join(f" {' '.join(words_of(text))} " for text in sst2.train["text"])
    for text in sst2.valid["text"][:1500]:
        words = " ".join(words_of(text))
        assert not words or f" {words} " not in train


def test_folders_of_the_tests_are_those_that_are_read():
    assert [spec.folder for spec in _TASKS.values()] == list(LAYOUTS)


@needs_glue
def test_a_short_run_on_published_pairs(tmp_path):
    """Training texts are cut to a few steps by the batch size; what counts is that files, metrics and tests fit."""
    tasks = "glue:mrpc,stsb,rte"
    options = {"max_length": 12, "batch_size": 512, "epochs": 1, "hidden": 4, "embedding_size": 4}
    run = tiny.run(arch="shared", tasks=tasks, data_dir=DATA, output=tmp_path / "run", **options).run
    metrics = {name: list(task["test"]) for name, task in run.metrics["tasks"].items()}
    assert metrics == {"mrpc": ["f1", "accuracy"], "stsb": ["pearson", "spearman"], "rte": ["accuracy"]}
    assert all(0 <= task["test"][task["metric"]] <= 1 or name == "stsb" for name, task in run.metrics["tasks"].items())
    assert [task["n_test"] for task in run.metrics["tasks"].values()] == [408, 1500, 277]
