import json
import re

import pandas
import pytest

from graphmtl.comparison import bootstrap
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.report import gain_panels, write_report
from graphmtl.graph.pictures.figure import draw_task_graph
from tests.comparison.small import rows_of
from tests.graph.examples import star

RIGHT = {"single": {"a": 0.6, "b": 0.8}, "star": {"a": 0.95, "b": 0.5}}


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 500)
    compared = Compared(rows_of(RIGHT), seeds=[0, 1])
    return compared, tmp_path, write_report(compared, tmp_path, made_by=["Command: `graphmtl compare <b>`"])


def test_all_files_are_there_and_nothing_else(written):
    _, folder, files = written
    assert {path.name for path in folder.iterdir()} == {path.name for path in files}
    assert {path.name for path in files} == {
        *("comparison.md", "comparison.csv", "comparison.tex", "comparison.json", "report.html"),
        *("forest.png", "forest.svg", "gains.png", "gains.svg"),
    }


def test_files_say_the_same(written):
    compared, folder, _ = written
    verdict = json.loads((folder / "comparison.json").read_text())["verdict"][0]
    lines = (folder / "comparison.md").read_text().splitlines()
    assert lines[0] == f"{verdict}."
    assert lines[2] == "Command: `graphmtl compare <b>`"
    table = pandas.read_csv(folder / "comparison.csv")
    star = table[(table.row == "star") & (table.task == "a")].difference.item()
    assert star == pytest.approx(compared.to_reference["star"].tasks["a"].found.mean)


def test_the_page_loads_nothing_and_escapes_what_it_shows(written):
    _, folder, _ = written
    page = (folder / "report.html").read_text()
    assert "graphmtl compare &lt;b&gt;" in page
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert page.count('class="gains"') == 1
    assert "Star is better than training alone for 1 of 2 tasks" in page


def test_panels_have_the_intervals_and_verdicts_of_every_task_and_the_mean(written):
    compared, _, _ = written
    (panel,) = gain_panels(compared)
    found = compared.to_reference["star"]
    rows = {row["name"]: row for row in panel["rows"]}
    assert list(rows) == ["a", "b", "mean"]  # the largest gain first
    for name, own in found.tasks.items():
        assert rows[name]["verdict"] == own.verdict
        assert rows[name]["interval"] == f"[{own.found.low:+.1f}, {own.found.high:+.1f}]"
    assert rows["mean"]["mean"] == f"{found.mean.mean:+.1f}"


def test_the_maps_of_rows_stand_beside_their_gains(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    maps = {"star": draw_task_graph(star(3))}
    files = write_report(Compared(rows_of(RIGHT), seeds=[0, 1]), tmp_path, made_by=[], maps=maps)
    assert {"map-star.png", "map-star.svg"} <= {path.name for path in files}
    page = (tmp_path / "report.html").read_text()
    assert "Who reads from whom: star." in page
    assert page.count("<svg") == 1


def test_one_row_alone_has_tables_and_no_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    files = write_report(Compared(rows_of({"star": {"a": 0.5}}), seeds=[0, 1]), tmp_path, made_by=[])
    assert not [path for path in files if path.suffix == ".png"]
    assert 'class="gains"' not in (tmp_path / "report.html").read_text()


def test_maps_of_rows_whose_names_hold_paths_have_files(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 250)
    names = ["star encoder=some/bert", "star encoder=some\\bert", "star " + 300 * "x"]
    rows = rows_of({"single": {"a": 0.6}, **{name: {"a": 0.9} for name in names}}, seeds=1)
    maps = {name: draw_task_graph(star(3)) for name in names}
    files = write_report(Compared(rows, seeds=[0]), tmp_path, made_by=[], maps=maps)
    found = [path.name for path in files if path.name.startswith("map-") and path.suffix == ".png"]
    assert found[:2] == ["map-star_encoder=some_bert.png", "map-star_encoder=some_bert-1.png"]
    assert len(found) == 3
    assert all(path.is_file() for path in files)
