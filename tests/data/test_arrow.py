"""Parquet files, and data sets of the Hugging Face Hub."""

import logging
import os
import shutil
from pathlib import Path

import datasets
import pytest

from graphmtl.data.arrow import read_hub, read_parquet
from graphmtl.data.values import labels
from graphmtl.errors import InputError

BOTH = ("text", "label")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def test_parquet(tmp_path):
    texts, found = ['say "hi"', "NA", "null", "", "a, b"], ["1", "2", "NA", "1", "2"]
    datasets.Dataset.from_dict({"text": texts, "label": found}).to_parquet(tmp_path / "a.parquet")
    table = read_parquet(tmp_path / "a.parquet", BOTH)
    assert (table["text"], table["label"], table.names) == (texts, found, {})


def test_declared_class_names_are_used(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    rows.to_parquet(tmp_path / "a.parquet")
    table = read_parquet(tmp_path / "a.parquet", BOTH)
    assert (labels(table, "label"), table.names) == (["yes", "no"], {"label": ("no", "yes")})


def test_lists_of_tokens_and_of_classes(tmp_path):
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "tags": datasets.List(datasets.ClassLabel(names=["O", "B-x"])),
        }
    )
    rows = datasets.Dataset.from_dict({"tokens": [["a", "b"], ["c"]], "tags": [[0, 1], [0]]}, features=features)
    rows.to_parquet(tmp_path / "a.parquet")
    table = read_parquet(tmp_path / "a.parquet", ("tokens", "tags"))
    assert (table["tokens"], table["tags"]) == ([["a", "b"], ["c"]], [[0, 1], [0]])
    assert table.names == {"tags": ("O", "B-x")}
    assert table.where(1) == f"{tmp_path / 'a.parquet'}, row 2"


def test_a_replaced_file_is_read_again_whatever_its_time(tmp_path):
    (tmp_path / "set").mkdir()
    for path in (tmp_path / "a.parquet", tmp_path / "set" / "train.parquet"):
        for text in ("one", "two"):
            datasets.Dataset.from_dict({"text": [text], "label": [1]}).to_parquet(path)
            os.utime(path, (1, 1))
            read = read_hub(str(path.parent), BOTH, config=None, split="train") if path.parent != tmp_path else None
            table = read or read_parquet(path, BOTH)
            assert table["text"] == [text]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"], "lable": [0]}, "unknown column 'label'; did you mean 'lable'"),
        ({"text": [], "label": []}, "no examples in it"),
    ],
)
def test_faults_in_parquet_name_the_row(tmp_path, columns, message):
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        read_parquet(tmp_path / "a.parquet", BOTH)


def test_a_hidden_label_is_no_label(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    datasets.Dataset.from_dict({"text": ["a"], "label": [-1]}, features=features).to_parquet(tmp_path / "a.parquet")
    assert labels(read_parquet(tmp_path / "a.parquet", BOTH), "label") == [None]


def test_a_local_folder_laid_out_like_a_hub_data_set(tmp_path):
    for split, texts in {"train": ["a", "b"], "test": ["c"]}.items():
        datasets.Dataset.from_dict({"s": texts, "label": [1] * len(texts)}).to_parquet(tmp_path / f"{split}.parquet")
    table = read_hub(str(tmp_path), ("s", "label"), config=None, split="test")
    assert (table["s"], table["label"]) == (["c"], [1])
    assert table.where(0) == f"Hub data set {tmp_path}, split test, row 1"
    with pytest.raises(InputError, match=r"split validation: cannot be loaded .*validation"):
        read_hub(str(tmp_path), ("s", "label"), config=None, split="validation")


@pytest.fixture
def unreachable(monkeypatch):
    """The Hub does not answer; how often it was asked."""
    asked = []

    def no_network(_api, name, **_options):
        asked.append(name)
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", no_network)
    return asked


def test_a_hub_out_of_reach(unreachable, capfd):
    with pytest.raises(InputError) as error:
        read_hub("o/n", BOTH, config="cola", split="train")
    assert str(error.value) == (
        "Hub data set o/n (cola), split train: cannot be loaded (OSError: no route to host), and the cache "
        f"{datasets.config.HF_DATASETS_CACHE} does not have it"
    )
    assert unreachable == ["o/n"]
    assert capfd.readouterr().err == ""  # nothing of huggingface_hub's retries


def test_what_can_be_no_name_on_the_hub():
    with pytest.raises(InputError, match=r"^Hub data set o n/x, split train: cannot be loaded \(HFValidationError"):
        read_hub("o n/x", BOTH, config=None, split="train")


def test_a_cached_hub_data_set_is_read_without_the_hub(unreachable, tmp_path):
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).to_parquet(tmp_path / "train.parquet")
    builder = datasets.load_dataset_builder(str(tmp_path), cache_dir=str(tmp_path / "built"))
    builder.download_and_prepare()
    before = datasets.config.HF_HUB_OFFLINE
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "our___set" / "default" / "0.0.0" / "abc"
    shutil.copytree(builder.cache_dir, folder)
    (arrow,) = folder.glob("*.arrow")
    arrow.rename(folder / "set-train.arrow")
    assert read_hub("our/set", BOTH, config=None, split="train")["text"] == ["a"]
    with pytest.raises(InputError, match=r'cannot be loaded \(ValueError: Unknown split "test"'):
        read_hub("our/set", BOTH, config=None, split="test")
    assert datasets.config.HF_HUB_OFFLINE is before


def test_a_hub_data_set_without_examples(unreachable, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: datasets.Dataset.from_dict({"text": []}))
    with pytest.raises(InputError, match=r"^Hub data set o/n, split train: no examples in it"):
        read_hub("o/n", BOTH, config=None, split="train")


def test_a_damaged_parquet_file_is_said_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("datasets"), "propagate", True)  # to caplog
    datasets.logging.set_verbosity_warning()  # as it is where nothing is set
    path = tmp_path / "a.parquet"
    path.write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        read_parquet(path, BOTH)
    with pytest.raises(InputError, match="split train: cannot be loaded"):
        read_hub(str(tmp_path), BOTH, config=None, split="train")
    assert caplog.records == []
    assert datasets.logging.get_verbosity() == datasets.logging.WARNING


def test_nothing_but_the_training_has_a_progress_bar(tmp_path, capfd):
    rows = datasets.Dataset.from_dict({"text": ["a"], "label": [1]})
    rows.to_parquet(tmp_path / "a.parquet")
    read_parquet(tmp_path / "a.parquet", BOTH)
    rows.map(lambda row: row).cast(datasets.Features(text=datasets.Value("string"), label=datasets.Value("int32")))
    assert capfd.readouterr().err == ""


def test_csv_files_of_a_folder_are_read_as_they_are_written(tmp_path):
    (tmp_path / "train.csv").write_text("text,label,other\nNA,01,x\nnull,1,y\n1.50,,z\n")
    table = read_hub(str(tmp_path), BOTH, config=None, split="train")
    assert (table["text"], table["label"]) == (["NA", "null", "1.50"], ["01", "1", ""])
    assert labels(table, "label") == ["01", "1", None]
    with pytest.raises(InputError, match=r"split train: unknown column 'txt'; did you mean 'text'"):
        read_hub(str(tmp_path), ("txt",), config=None, split="train")


def test_what_csv_files_are_declared_to_hold_is_kept(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,1\nb,0\n")
    names = "class_label: {names: {'0': 'no', '1': 'yes'}}"
    features = f"[{{name: text, dtype: string}}, {{name: label, dtype: {{{names}}}}}]"
    (tmp_path / "README.md").write_text(f"---\ndataset_info:\n  features: {features}\n---\n")
    assert labels(read_hub(str(tmp_path), BOTH, config=None, split="train"), "label") == ["yes", "no"]
