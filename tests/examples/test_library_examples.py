"""The examples of the library: short, and what they print is so."""

import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from examples import own_loop, own_model

EXAMPLES = Path(own_loop.__file__).parent


@pytest.mark.parametrize("name", ["own_loop", "own_model", "lightning_module"])
def test_an_example_has_fewer_than_60_lines(name):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60


def test_own_model(capsys):
    own_model.main(steps=60)
    found = re.findall(
        r"^(\w+): ([\d.]+)% right, (\d+)% of it read from the shared LSTM$", capsys.readouterr().out, re.M
    )
    assert [task for task, *_ in found] == ["rich", "poor"]
    assert float(found[0][1]) > 65
    assert all(0 < int(spoke) < 100 for *_, spoke in found)


def test_the_texts_of_own_model_have_the_labels_it_says():
    torch.manual_seed(0)
    for tokens, label in zip(*own_model.texts(50), strict=True):
        words = tokens[tokens > 0].tolist()
        assert label.item() == (2 * sum(word < 10 for word in words) > len(words))


def test_own_loop(capsys, monkeypatch):
    monkeypatch.setitem(own_loop.OPTIONS, "hidden", 8)
    monkeypatch.setitem(own_loop.OPTIONS, "tasks", "planted:child1")
    own_loop.main(epochs=3)
    printed = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"^epoch \d: loss ([\d.]+)$", printed, re.M)]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3
    assert re.search(r"^child1: [\d.]+% of 500 test texts right$", printed, re.M)


def test_lightning_module_goes_without_lightning(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(SystemExit) as leaving:
        runpy.run_path(str(EXAMPLES / "lightning_module.py"))
    assert leaving.value.code in (0, None)
    assert capsys.readouterr().out == "Lightning is not installed (pip install lightning); nothing was trained\n"


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_lightning_module(capsys):
    pytest.importorskip("lightning", reason="Lightning is not installed (pip install lightning)")
    from examples import lightning_module

    lightning_module.main(epochs=1)
    assert re.search(r"^child1: validation loss \d\.\d+$", capsys.readouterr().out, re.M)
