"""The same steps by several libraries."""

import torch

from benchmarks import vectors
from graphmtl.layers.recurrence import loops_cpp
from tests.layers.recurrence.test_autograd import needs_compiler


@needs_compiler
def test_every_library_takes_every_step(monkeypatch):
    library, threads = loops_cpp.load(), torch.get_num_threads()
    monkeypatch.setattr(loops_cpp, "load", loops_cpp.load)  # put back afterwards
    monkeypatch.setattr(vectors, "_STEPS", (("star", "train"), ("star", "inference")))
    try:
        found = vectors.medians({"one": library, "other": library}, repeats=1)
    finally:
        torch.set_num_threads(threads)
    assert set(found) == {(kind, "star", mode) for kind in ("one", "other") for mode in ("train", "inference")}
    assert min(found.values()) > 0
