import pytest

from graphmtl.data.guessing import guess_tasks, is_data
from graphmtl.errors import InputError
from tests.data.example_files import csv, guess, rows


@pytest.mark.parametrize(
    ("train", "valid", "test", "name"),
    [
        ("a_train.csv", "a_dev.csv", "a_test.csv", "a"),
        ("a.train.csv", "a.valid.csv", "a.test.csv", "a"),
        ("train-a.csv", "val-a.csv", "test-a.csv", "a"),
        ("shop/train.csv", "shop/validation.csv", "shop/test.csv", "shop"),
        ("Shop.task.train", "Shop.task.dev", "Shop.task.test", "Shop.task"),
    ],
)
def test_files_that_are_named_as_splits_are_one_task(train, valid, test, name, tmp_path):
    splits = {"train": train, "valid": valid, "test": test}
    paths = {split: csv(tmp_path / file, "text", "label", sign=",") for split, file in splits.items()}
    if not train.endswith(".csv"):
        paths = {split: csv(path, of=[row[::-1] for row in rows()], sign="\t") for split, path in paths.items()}
    found = guess(*paths.values())
    assert {split: found.keys[split] for split in splits} == paths
    assert found.name == name
    assert found.rows == {"train": 40, "valid": 40, "test": 40}
    assert guess(paths["test"]) == guess(paths["train"]) == found  # each stands for all
    assert guess(paths["train"].parent) == found


def test_a_folder_without_training_file_is_none(tmp_path):
    csv(tmp_path / "other.csv", "text", "label")
    assert not is_data(str(tmp_path))
    with pytest.raises(InputError, match="a folder without a file for training"):
        guess_tasks([tmp_path])
