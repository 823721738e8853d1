import random
import signal
import time

import pytest

from benchmarks.fuzz import Found, Fuzz, _too_long, changed


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    before = signal.signal(signal.SIGPROF, _too_long)
    yield Fuzz(tmp_path_factory.mktemp("fuzz"), seed=5)
    signal.signal(signal.SIGPROF, before)


def test_every_kind_of_file_is_read_or_refused(fuzz):
    found = {name: fuzz.file(name, 15) for name in fuzz.targets}
    assert [line for each in found.values() for line in (*each.tracebacks, *each.slow)] == []
    assert all(each.read + each.refused == 15 for each in found.values())
    assert sum(each.read for each in found.values()) > 5  # not all is refused


def busy(seconds):
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def test_what_is_wrong_is_counted(fuzz, monkeypatch):
    found = Found()
    fuzz._read(lambda path: 1 / 0, fuzz.folder / "x", b"zero", found)
    monkeypatch.setattr("benchmarks.fuzz._SECONDS", 0.05)
    fuzz._read(lambda path: busy(2), fuzz.folder / "x", b"slow", found)
    assert found.tracebacks == ["x: ZeroDivisionError: division by zero: b'zero'"]
    assert found.slow == ["x: b'slow'"]


def test_changes_are_drawn_by_the_seed():
    draws = [changed(b"a good film", random.Random(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
