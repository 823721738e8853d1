import pytest

from graphmtl.data.guessing import guess_tasks, is_data
from tests.data.example_files import csv


def test_several_files_are_several_tasks(tmp_path):
    paths = [csv(tmp_path / name, "text", "label") for name in ("a.csv", "b c.csv", "x/d.csv")]
    assert [own.name for own in guess_tasks(paths)] == ["a", "b-c", "d"]
    alike = [csv(tmp_path / name, "text", "label") for name in ("x/e.csv", "y/e.csv")]
    assert [own.name for own in guess_tasks(alike)] == ["x.e", "y.e"]


@pytest.mark.parametrize("name", ["fdu-mtl:books,dvd", "planted", "tasks.yaml", "x" * 5000, "a\0b"])
def test_other_names_are_no_data(name):
    assert not is_data(name)
