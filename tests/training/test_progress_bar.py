import pytest

from graphmtl.training.progress_bar import ProgressBar


def test_values_of_other_names_stay(capsys):
    with ProgressBar(total=4, done=2) as bar:
        bar.show(loss="0.5", epoch="1")
        bar.show(loss="0.25")
        bar.step()
        bar.step()
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "loss=0.25, epoch=1" in shown


def test_what_is_done_stands_before_the_bar(capsys):
    with ProgressBar(total=1, what="the control") as bar:
        bar.step()
    assert "the control: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [True, False])
def test_without_a_bar_nothing_is_shown(quiet, capsys, monkeypatch):
    monkeypatch.setattr("graphmtl.training.progress_bar.is_quiet", lambda: quiet)
    with ProgressBar(total=4, wanted=quiet) as bar:
        bar.show(loss="1")
        bar.step()
    assert capsys.readouterr().err == ""
