import numpy as np
import pytest
from datasets import Dataset

from graphmtl.data import kept as module
from graphmtl.data.kept import are_large, digest_of, kept

MADE = {"a": np.arange(6), "b": np.array([[1.5]])}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHMTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "texts"


def make(calls):
    def counted():
        calls.append(1)
        return MADE

    return counted


def equal(found):
    return found.keys() == MADE.keys() and all(np.array_equal(found[name], MADE[name]) for name in MADE)


def test_what_is_kept_is_made_once_and_goes_by_all_that_it_was_made_of(cache):
    calls = []
    assert all(equal(kept("x", {"k": 1}, make(calls))) for _ in range(3))
    assert len(calls) == 1
    kept("x", {"k": 2}, make(calls))
    kept("y", {"k": 1}, make(calls))
    assert len(calls) == 3
    assert len([*cache.iterdir()]) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "about"])
def test_what_is_damaged_is_made_anew(cache, damage, recwarn, capsys):
    calls = []
    kept("x", {}, make(calls))
    (folder,) = cache.iterdir()
    path = folder / "a.npy"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "about":
        (folder / "about.json").write_text("{")
    else:
        path.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    assert equal(kept("x", {}, make(calls)))
    assert len(calls) == 2
    assert equal(kept("x", {}, make(calls)))
    assert len(calls) == 2


def test_what_does_not_fit_or_cannot_be_written_is_not_kept(cache, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "_SPARE", 1 << 62)
    assert equal(kept("x", {}, make(calls)))
    assert [*cache.iterdir()] == []
    cache.rmdir()
    cache.write_text("a file where the folder should be")
    assert equal(kept("x", {}, make(calls)))
    assert len(calls) == 2


def test_what_was_not_used_for_the_longest_time_goes_first(cache, monkeypatch):
    size = None
    for i in range(3):
        kept("x", {"i": i}, make([]))
        size = size or sum(file.stat().st_size for own in cache.iterdir() for file in own.iterdir())
    calls = []
    kept("x", {"i": 0}, make(calls))  # which is then the one used last
    monkeypatch.setattr(module, "_MOST", 3 * size)
    kept("x", {"i": 3}, make(calls))
    assert len([*cache.iterdir()]) == 3
    kept("x", {"i": 0}, make(calls))
    assert len(calls) == 1


def test_a_digest_is_that_of_the_texts_alone():
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 0]})
    same = [rows, rows.remove_columns("label"), rows.select([2, 0, 1]).select([1, 2, 0])]
    others = [rows.select([0, 1]), rows.rename_column("text", "text_pair"), rows.select([1, 0, 2])]
    assert len({digest_of(own) for own in same}) == 1
    assert len({digest_of(own) for own in [rows, *others]}) == 4


def test_few_texts_are_not_large():
    rows = Dataset.from_dict({"text": ["a" * (1 << 20)] * 20})
    assert not are_large([rows])
    assert are_large([rows, rows])
    assert not are_large([])
