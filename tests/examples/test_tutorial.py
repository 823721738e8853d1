"""The tutorial: it runs, also again in the same folder, and the outputs stored in it are those of such a run."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from graphmtl.manual.pages import TOPICS

ROOT = Path(__file__).parents[2]
PATH = ROOT / "examples" / "tutorial.ipynb"
LARGEST = 150_000  # characters of a picture
QUICKER = ('"hidden": 32', '"hidden": 4, "min_updates": 1')


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(PATH, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def shown(cell):
    """The kinds of what a cell shows: what is printed, a table, a picture."""
    return {kind for output in cell.outputs for kind in output.get("data", ["printed"])}


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """What runs a notebook in one folder; a cell that fails is an error."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "place").mkdir()

    def execute(notebook):
        resources = {"metadata": {"path": tmp_path / "place"}}
        return NotebookClient(copy.deepcopy(notebook), kernel_name="python3", resources=resources).execute()

    return execute


def test_it_runs_twice_in_the_same_folder_and_shows_what_is_stored(stored, execute):
    """With fewer hidden units and updates, which change numbers alone. The second time begins where the first ends, in
    the same process: another one would take as long to load as the cells take."""
    twice = copy.deepcopy(stored)
    (cell,) = (cell for cell in code(twice) if QUICKER[0] in cell.source)
    cell.source = cell.source.replace(*QUICKER)
    twice.cells += copy.deepcopy(twice.cells)
    found = code(execute(twice))
    assert [*map(shown, found)] == [*map(shown, code(stored))] * 2
    half = len(found) // 2
    assert printed(found[0]) == printed(found[half]) == printed(code(stored)[0])  # the data, which no machine changes


def test_what_is_stored_stands_in_order_and_is_small(stored):
    cells = code(stored)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not re.search(r"/tmp|/home|/root|site-packages", "".join(map(str, cells)))
    pictures = [
        output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
    assert all(len(picture) < LARGEST for picture in pictures)


def test_its_links_lead_to_pages_of_the_manual(stored):
    text = "".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 8
    assert all((PATH.parent / link).is_file() for link in links)
    assert {*re.findall(r"`graphmtl help ([a-z]+)`", text)} <= {*TOPICS}
