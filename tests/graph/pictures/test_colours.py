import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from graphmtl.graph.pictures.colours import COLOURS, PALETTES, css


def test_files_have_the_light_palette():
    assert [to_hex(COLOURS(place)) for place in (0.0, 1.0)] == [PALETTES["light"][name] for name in ("minus", "plus")]
    assert COLOURS(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)


@pytest.mark.parametrize("ground", PALETTES)
def test_the_page_has_the_same_colours(ground):
    assert css(ground) == " ".join(f"--{name}: {colour};" for name, colour in PALETTES[ground].items())


@pytest.mark.parametrize("ground", PALETTES)
def test_the_ends_are_as_far_from_the_paper_and_differ_in_blue_against_orange(ground):
    minus, zero, plus = (np.array(to_rgb(PALETTES[ground][name])) for name in ("minus", "zero", "plus"))
    light = [colour @ [0.299, 0.587, 0.114] for colour in (minus, zero, plus)]
    assert min(abs(light[1] - light[0]), abs(light[1] - light[2])) > 0.55
    assert plus[2] > plus[0]  # blue, which the colour-blind tell from orange
    assert minus[0] > minus[2]
