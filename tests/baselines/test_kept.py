"""What was said is kept, found again, and what is damaged or foreign is not taken for it."""

import numpy as np
import pytest

from graphmtl.baselines import read_baselines
from graphmtl.baselines.majority import Majority
from graphmtl.errors import DataWarning
from tests.baselines.of_kinds import of_kind

KINDS = ("text-classification", "token-classification", "regression")


def read(tasks, folder, seed=0):
    return read_baselines(tasks, folder=folder, seed=seed, names=["majority"])["majority"]


def equal(ours, theirs):
    for split, own in theirs.items():
        for task, each in own.items():
            for name, values in vars(each).items():
                found = getattr(ours[split][task], name)
                assert (found is None) == (values is None)
                assert values is None or all(map(np.array_equal, found, values))
    return True


@pytest.fixture
def learned(monkeypatch):
    """The groups of tasks that were learned."""
    groups, fit = [], Majority.fit
    monkeypatch.setattr(
        Majority, "fit", lambda self, group, *a, **k: (groups.append([*group]), fit(self, group, *a, **k))[1]
    )
    return groups


def test_what_is_kept_is_what_was_said_and_nothing_is_learned_again(tmp_path, learned):
    tasks = of_kind(*KINDS)
    first = read(tasks, tmp_path / "new" / "folder")
    assert learned == [[kind] for kind in KINDS]
    assert equal(read(tasks, tmp_path / "new" / "folder"), first)
    assert len(learned) == len(KINDS)


def test_a_task_is_found_again_beside_others_but_not_with_other_data_or_another_seed(tmp_path, learned):
    read(of_kind(KINDS[0]), tmp_path)
    read(of_kind(*KINDS[:2]), tmp_path)
    assert learned == [[KINDS[0]], [KINDS[1]]]
    read(of_kind(KINDS[0], seed=1), tmp_path)
    read(of_kind(KINDS[0]), tmp_path, seed=1)
    assert learned[2:] == [[KINDS[0]]] * 2


def test_a_damaged_or_a_foreign_file_is_named_and_made_anew(tmp_path, learned):
    tasks = of_kind(KINDS[0])
    first = read(tasks, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    read(of_kind(KINDS[1]), tmp_path / "other")
    (other,) = (tmp_path / "other").iterdir()
    place = whole.index(b"losses.npy") + 60  # in the middle of what is compressed
    for content in (
        whole[:-40],
        b"",
        b"PK",
        whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :],
        whole.replace(b"probabilities.npy", b"probabilitiet.npy"),
        other.read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.warns(DataWarning, match=f"{path}: damaged, or not what stood there .*made anew"):
            assert equal(read(tasks, tmp_path), first)
        assert equal(read(tasks, tmp_path), first)


def test_arrays_of_objects_are_not_read(tmp_path, learned):
    tasks = of_kind(KINDS[0])
    first = read(tasks, tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path) as arrays:
        own = {name: values.astype(object) if name.endswith("answers") else values for name, values in arrays.items()}
    np.savez(path, **own)
    with pytest.warns(DataWarning, match="allow_pickle"):
        assert equal(read(tasks, tmp_path), first)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(DataWarning, match="cannot be written .*; the baseline is made again next time"):
        found = read(of_kind(KINDS[0]), tmp_path / "file")
    assert equal(found, read(of_kind(KINDS[0]), tmp_path / "folder"))
