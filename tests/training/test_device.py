from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.errors import DataWarning, InputError
from graphmtl.training.device import chosen_device, devices, reading_device


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one with so many devices of a kind; returns the current one's number, which changes."""

    def machine(kind: str | None, count: int = 0, current: int = 0, processes: int = 1) -> None:
        fake = SimpleNamespace(
            is_available=lambda: kind is not None,
            current_accelerator=lambda: torch.device(kind),
            device_count=lambda: count,
            current_device_index=lambda: current,
        )
        monkeypatch.setattr(torch, "accelerator", fake)
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        reading_device.cache_clear()

    yield machine
    reading_device.cache_clear()


@pytest.mark.parametrize(
    ("here", "names"),
    [
        ((None,), ["auto", "cpu"]),
        (("cuda", 2), ["auto", "cpu", "cuda", "cuda:0", "cuda:1"]),
        (("mps", 1), ["auto", "cpu", "mps", "mps:0"]),
    ],
)
def test_what_is_here_is_accepted_and_nothing_else(here, names, machine):
    machine(*here)
    assert devices() == names
    for name in names:
        assert chosen_device(name).type == (names[-1].split(":")[0] if name == "auto" else name.split(":")[0])
    for name in ("cuda:2", "mps:1", "gpu", "CUDA", "cuda:", "cpu:0", "cuda:01", "", "xpu"):
        with pytest.raises(InputError, match=f"--device: found '{name}'.* accepted here: {', '.join(names)}$"):
            chosen_device(name)


@given(st.text("cudampsx:01", max_size=8))
def test_no_text_is_taken_for_a_device(text):
    if text not in devices():
        with pytest.raises(InputError, match="--device: found"):
            chosen_device(text)


def test_a_number_is_that_device_and_none_the_current_one(machine):
    machine("cuda", 3)
    assert [chosen_device(name) for name in ("auto", "cuda", "cuda:0", "cuda:2")] == [
        torch.device("cuda"),
        torch.device("cuda"),
        torch.device("cuda", 0),
        torch.device("cuda", 2),
    ]
    machine("cuda", 3, current=1)
    assert [chosen_device(name) for name in ("auto", "cuda", "cuda:0")] == [
        torch.device("cuda", 1),
        torch.device("cuda", 1),
        torch.device("cuda", 0),
    ]


def test_several_processes_take_a_device_each(machine):
    machine("cuda", 2, current=1, processes=2)
    assert chosen_device("auto") == chosen_device("cuda") == torch.device("cuda")
    assert chosen_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="--device cuda:1: each of several processes takes a device of its own"):
        chosen_device("cuda:1")


def test_a_run_is_read_on_its_device_where_that_is_here(machine):
    machine("cuda", 2)
    assert [reading_device(name) for name in devices()] == devices()


@pytest.mark.parametrize("here", [(None,), ("mps", 1), ("cuda", 1), ("cuda", 2, 0, 2)])
def test_a_run_is_read_on_what_is_here_and_that_is_said_once(here, machine):
    machine(*here)
    with pytest.warns(DataWarning, match="--device cuda:1, with which the run was trained, cannot be had here"):
        assert reading_device("cuda:1") == "auto"
    assert reading_device("cuda:1") == "auto"  # a second warning were an error
