"""The colours of every picture of edges, in PNG and SVG as on the report's page.

A cell's colour says where it lies between three: ``minus`` (half of the equal share and less), ``zero`` (the equal
share, or what a control reaches) and ``plus`` (double and more). Orange and blue are told apart by the colour-blind.
``zero`` is the paper: white, on a dark screen dark.
"""

from matplotlib.colors import LinearSegmentedColormap

__all__ = ["COLOURS", "FRAME", "OWN", "PALETTES", "css"]

PALETTES = {
    "light": {"minus": "#a04a00", "zero": "#ffffff", "plus": "#08458a"},
    "dark": {"minus": "#ffb27a", "zero": "#16181c", "plus": "#8cc4ff"},
}
"""By the ground: pictures that are files are drawn on a light one."""

COLOURS = LinearSegmentedColormap.from_list("graphmtl", [*PALETTES["light"].values()])
FRAME = "#111111"  # of a true edge
OWN = "#ececec"  # what a task reads from itself, and pairs without an edge


def css(ground: str) -> str:
    """The palette as CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in PALETTES[ground].items())
