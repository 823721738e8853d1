"""The files of a comparison: tables, pictures, and a page that holds them all."""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from graphmtl.comparison.bootstrap import Difference
from graphmtl.comparison.comparing import MAJORITY, Compared, Differences
from graphmtl.comparison.pictures import draw_forest, draw_gains
from graphmtl.comparison.search import Searched
from graphmtl.comparison.search_tables import SEARCH, search_markdown, search_table, trials_table
from graphmtl.comparison.tables import (
    as_json,
    difference_table,
    frame,
    latex,
    markdown,
    notes,
    score_table,
    summary_table,
    task_table,
)
from graphmtl.comparison.verdict import sentences
from graphmtl.files import write_whole
from graphmtl.graph.pictures.figure import STYLE, save_figure
from graphmtl.reporting.gains import Gain, gain_panel
from graphmtl.reporting.page import render_comparison

__all__ = ["gain_panels", "gains_of", "write_report"]

_LONGEST = 100  # characters of a row's name in a file's

PICTURES: dict[str, tuple[str, Callable[[Compared], Figure]]] = {
    "forest": (
        "Each task's difference in points with its 95 % interval; full marks are beyond chance, corrected for the "
        "number of tasks.",
        draw_forest,
    ),
    "gains": ("Every task's gain at once.", draw_gains),
}


def write_report(
    compared: Compared,
    folder: Path,
    *,
    made_by: list[str],
    searched: Sequence[Searched] = (),
    maps: Mapping[str, Figure] | None = None,
) -> list[Path]:
    """Writes the report, and gives its files; those of an earlier one are replaced.

    Args:
        compared: what is told.
        folder: where it goes.
        made_by: lines on how it was made, of Markdown: command and versions.
        searched: how the options were chosen, where they were.
        maps: the task graphs of the rows that have one.
    """
    tables = [*markdown(compared), *search_markdown(searched)]
    more = {"search": {each.variant.name: each.as_json() for each in searched}, "made_by": made_by}
    texts = {
        "comparison.md": "\n".join([*tables[:2], *(line for each in made_by for line in (each, "")), *tables[2:]]),
        "comparison.csv": frame(compared).to_csv(index=False).removesuffix("\n"),
        "comparison.tex": "\n".join(latex(compared)),
        "comparison.json": json.dumps(as_json(compared) | more, indent=2, ensure_ascii=False),
    }
    for name, text in texts.items():
        write_whole(folder / name, text + "\n")
    drawn = {name: draw(compared) for name, (_, draw) in PICTURES.items()} if compared.others else {}
    maps = maps or {}
    drawn |= {f"map-{name}": figure for name, figure in zip(_file_names(maps), maps.values(), strict=True)}
    for name, figure in drawn.items():
        for ending in (".png", ".svg"):
            save_figure(figure, folder / f"{name}{ending}")
    write_whole(folder / "report.html", _page(compared, maps, made_by, searched))
    pictures = [folder / f"{name}{ending}" for name in drawn for ending in (".png", ".svg")]
    return [*(folder / name for name in texts), *pictures, folder / "report.html"]


def _file_names(names: Iterable[str]) -> list[str]:
    """A file's name for each row, whose own may hold the path of an encoder, a name for each."""
    found: list[str] = []
    for name in names:
        short = re.sub(r"[^\w.+=-]+", "_", name)[:_LONGEST]
        found.append(short if short not in found else f"{short}-{len(found)}")
    return found


def _page(compared: Compared, maps: Mapping[str, Figure], made_by: list[str], searched: Sequence[Searched]) -> str:
    tables = [("Scores", "In points, mean and standard deviation over seeds.", summary_table(compared))]
    if compared.others:
        to = f"To {compared.against}, in points, paired."
        tables += [("Differences", to, difference_table(compared)), ("Each task", to, task_table(compared))]
    tables.append(("Test scores", "In points.", score_table(compared)))
    if searched:
        tables.append(("Search", SEARCH, search_table(searched)))
    folded = [(f"Trials of {each.variant.name}", "In points.", trials_table(each)) for each in searched]
    return render_comparison(
        sentences=[*sentences(compared)],
        panels=gain_panels(compared),
        pictures=[{"about": f"Who reads from whom: {name}.", "svg": _svg(figure)} for name, figure in maps.items()],
        tables=_told(tables),
        notes=[*notes(compared)],
        made_by=made_by,
        folded=_told(folded),
    )


def gain_panels(compared: Compared) -> list[dict[str, Any]]:
    """A picture for every row but the majority: each task's difference to the reference, and that of their mean."""
    found = [gains_of(own) for name, own in compared.to_reference.items() if name != MAJORITY]
    return [panel for panel in found if panel is not None]


def gains_of(found: Differences) -> dict[str, Any] | None:
    """The picture of one row against another, as :func:`~graphmtl.reporting.gains.gain_panel` has it."""
    gains = [_gain(name, own.found, own.verdict) for name, own in found.tasks.items()]
    mean = None if found.mean is None else _gain("mean", found.mean, "")
    return gain_panel(f"{found.ours} against {found.theirs}", PICTURES["forest"][0], gains, mean)


def _gain(name: str, own: Difference, verdict: str) -> Gain:
    return Gain(name=name, mean=own.mean, low=own.low, high=own.high, verdict=verdict)


def _told(tables: Sequence[tuple[str, str, tuple[list[str], list[list[str]]]]]) -> list[dict[str, Any]]:
    """Tables as the page takes them."""
    return [
        {"title": title, "about": about, "heading": heading, "rows": rows} for title, about, (heading, rows) in tables
    ]


def _svg(figure: Figure) -> str:
    """The picture as an element of a page."""
    file = io.StringIO()
    with matplotlib.style.context(STYLE):
        figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
