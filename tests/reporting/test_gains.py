import pytest

from graphmtl.reporting.gains import Gain, gain_panel

GAINS = [
    Gain(name="a", mean=1.0, low=-2.0, high=4.0, verdict="within chance"),
    Gain(name="b", mean=8.0, low=6.0, high=10.0, verdict="better"),
    Gain(name="c", mean=-3.0, low=-5.0, high=-1.0, verdict="worse"),
]


def test_the_largest_gain_is_above_and_the_mean_below():
    found = gain_panel("title", "about", GAINS, Gain(name="mean", mean=2.0))
    assert [row["name"] for row in found["rows"]] == ["b", "a", "c", "mean"]
    assert [row["is_mean"] for row in found["rows"]] == [False, False, False, True]
    assert [(row["mean"], row["interval"]) for row in found["rows"]][1:] == [
        *(("+1.0", "[-2.0, +4.0]"), ("-3.0", "[-5.0, -1.0]"), ("+2.0", ""))
    ]


@pytest.mark.parametrize("shift", [0.0, 20.0, -20.0])
def test_all_marks_and_zero_lie_on_one_axis(shift):
    gains = [Gain(name=g.name, mean=g.mean + shift, low=g.low + shift, high=g.high + shift) for g in GAINS]
    found = gain_panel("title", "about", gains)
    places = [found["zero"], *(row[key] for row in found["rows"] for key in ("at", "start"))]
    assert 0 < min(places) < max(places) < 100
    by_name = {row["name"]: row for row in found["rows"]}
    point = (by_name["b"]["at"] - by_name["a"]["at"]) / 7  # in percent of the axis
    for gain in gains:
        row = by_name[gain.name]
        assert row["at"] - found["zero"] == pytest.approx(gain.mean * point, abs=0.1)
        assert row["width"] == pytest.approx((gain.high - gain.low) * point, abs=0.1)
        assert row["start"] - found["zero"] == pytest.approx(gain.low * point, abs=0.1)


def test_without_an_interval_there_is_a_mark_alone():
    (row,) = gain_panel("title", "about", [Gain(name="a", mean=2.0)])["rows"]
    assert (row["width"], row["start"]) == (0, row["at"])


def test_no_gains_have_no_picture_and_none_at_all_are_in_the_middle():
    assert gain_panel("title", "about", []) is None
    found = gain_panel("title", "about", [Gain(name="a", mean=0.0)])
    assert found["zero"] == found["rows"][0]["at"] == 50
