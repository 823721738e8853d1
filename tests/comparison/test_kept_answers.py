from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from graphmtl.comparison import kept_answers
from graphmtl.comparison.examples import in_order_of_texts
from graphmtl.comparison.kept_answers import KEPT, _read, _write, answers_of
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.training.finished import fitted_tasks, predict_run
from graphmtl.training.run import Run
from tests import tagging
from tests.comparison.small import KNOWN, classes, named, numbers, share_right, tags_of
from tests.parts import predictions_of

QA = Task(name="qa", kind="question-answering", text=("question", "context"))


def of_texts():
    labels, answers = np.empty(2, dtype=object), np.empty(2, dtype=object)
    labels[:] = [[{"text": "a film", "start": 3}], []]
    answers[:] = [[], [{"text": "film", "start": 1}]]
    return predictions_of(labels, answers)


KINDS = {
    "classes": (KNOWN, share_right(0.5, size=20, seen=3)),
    "numbers": (Task(name="score", kind="regression"), numbers(20)),
    "tags": (tagging.NER, tags_of(tagging.NER)),
    "texts": (QA, of_texts()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(kind, tmp_path):
    task, predictions = KINDS[kind]
    predictions = replace(predictions, texts=np.arange(len(predictions), dtype=np.uint64) << np.uint64(50))
    _write(tmp_path / KEPT, {task.name: (task, predictions)})
    again, found = _read(tmp_path / KEPT)[task.name]
    assert again == task
    for name in ("labels", "answers", "probabilities", "losses", "counts", "seen", "texts"):
        ours, theirs = getattr(found, name), getattr(predictions, name)
        if theirs is None:
            assert ours is None
            continue
        assert ours.dtype == theirs.dtype
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert again.of_kind.scores(found) == task.of_kind.scores(predictions)


def test_a_run_is_asked_once_and_answers_as_when_it_was_tested(copy_of, monkeypatch):
    run = Run(copy_of("star"))
    found = answers_of(run)
    expected = in_order_of_texts(predict_run(Run(run.folder), "test")[1], fitted_tasks(run))
    assert [*found] == [*expected]
    for name, own in expected.items():
        assert np.array_equal(found[name][1].answers, own.answers)
        scores = found[name][0].of_kind.scores(found[name][1])
        assert scores == pytest.approx(run.metrics["tasks"][name]["test"])
    monkeypatch.setattr(kept_answers, "fitted_tasks", None)  # to call it would be an error
    again = answers_of(Run(run.folder))
    assert all(np.array_equal(again[name][1].answers, own.answers) for name, own in expected.items())


def test_what_an_earlier_version_kept_without_texts_is_asked_anew(copy_of, monkeypatch):
    run = Run(copy_of("star"))
    found = answers_of(run)
    monkeypatch.setattr(kept_answers, "_FORMAT", 1)
    _write(run.folder / KEPT, {name: (task, replace(own, texts=None)) for name, (task, own) in found.items()})
    monkeypatch.undo()
    again = answers_of(Run(run.folder))
    assert all(np.array_equal(again[name][1].texts, own.texts) for name, (_, own) in found.items())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"\x80\x04N."])
def test_a_damaged_file_is_named(content, copy_of):
    folder = copy_of("star")
    (folder / KEPT).write_bytes(content)
    with pytest.raises(InputError, match=rf"{KEPT}: damaged .*; remove it"):
        answers_of(Run(folder))


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_named_or_changes_nothing(bit, tmp_path):
    task = named("a")
    _write(tmp_path / KEPT, {"a": (task, classes([True, False] * 20))})
    content = (tmp_path / KEPT).read_bytes()
    expected = str(_read(tmp_path / KEPT))
    for place in range(bit, len(content), 37):
        own = bytearray(content)
        own[place] ^= 1 << bit
        (tmp_path / KEPT).write_bytes(own)
        with suppress(InputError):
            assert str(_read(tmp_path / KEPT)) == expected


def test_nothing_in_the_file_is_executed(copy_of, tmp_path):
    folder = copy_of("star")
    unsafe = np.empty(1, dtype=object)
    np.savez(folder / KEPT, about=unsafe)
    with pytest.raises(InputError, match=r"damaged .*pickle"):
        answers_of(Run(folder))


def test_a_folder_that_cannot_be_written_is_said(finished, monkeypatch):
    run = finished("star").run

    def fails(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.warns(match="cannot be written .Read-only file system., so that the run will be asked again"):
        assert [*answers_of(Run(run.folder))] == [*run.metrics["tasks"]]
    assert not (run.folder / KEPT).exists()
