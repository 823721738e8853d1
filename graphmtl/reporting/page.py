"""The report's page: one HTML file that loads nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from graphmtl.graph.pictures.colours import css
from graphmtl.metrics.named import is_share
from graphmtl.printed_tables import score_text

__all__ = ["is_report", "render", "render_comparison"]

_SCRIPTS = ("hints.js", "tabs.js", "graph.js", "chart.js", "examples.js")
_MARK = '<meta name="generator" content="graphmtl report">'
_HEAD = 1000  # bytes in which the mark stands, before anything of the user's


def _read(name: str) -> str:
    return (files("graphmtl.reporting") / name).read_text(encoding="utf-8")


def _style() -> str:
    """The page's style, whose palette is that of the pictures that are files."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css('dark')} }} }}"
    return f":root {{ {css('light')} }}\n{dark}\n{_read('page.css')}"


def is_report(path: Path) -> bool:
    """Whether a file is a page that `render` made."""
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_HEAD)


def render(runs: list[dict], comparison: dict | None) -> str:
    """The page.

    Whatever comes from data or names is escaped by the template engine, in JSON too (``<`` is written ``\\u003c``). A
    content security policy lets the page run graphmtl's own script only, by its hash, and load nothing.

    Args:
        runs: what :func:`~graphmtl.reporting.contents.run_contents` says of each run.
        comparison: what :func:`~graphmtl.reporting.contents.comparison` says of several runs; with the ``sentences``,
            ``panels`` and ``notes`` of those that can be compared, and else with what is in the way, ``apart``.
    """
    environment = _environment()
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters["score"], environment.filters["points"] = score_text, _points
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f}"
    script = "\n".join(map(_read, _SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = {
        "graphs": [graph for run in runs for graph in run["graphs"]],
        "charts": [chart for run in runs for chart in _charts(run)],
        "examples": [
            {name: text[name] for name in ("weights", "itself", "alike")}
            for run in runs
            for texts in (run["examples"] or {}).values()
            for text in texts
        ],
    }
    return environment.get_template("page.html").render(
        runs=runs,
        comparison=comparison,
        data=data,
        mark=_MARK,
        style=_style(),
        script=script,
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


def render_comparison(
    *,
    sentences: Sequence[str],
    panels: Sequence[Mapping[str, Any]],
    pictures: Sequence[Mapping[str, str]],
    tables: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    made_by: Sequence[str],
    folded: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page of a comparison, which runs no script and loads nothing.

    Args:
        sentences: what it says, the most important first.
        panels: pictures of gains, as :func:`~graphmtl.reporting.gains.gain_panel` has them.
        pictures: further ones, each with what it is ``about``, and itself as an ``svg`` element.
        tables: each with a ``title``, what it is ``about``, its ``heading`` and ``rows``, as texts.
        notes: how the tables are to be read.
        made_by: how they were made.
        folded: further tables, which a reader opens.
    """
    return (
        _environment()
        .get_template("comparison.html")
        .render(
            sentences=sentences,
            panels=[*panels],
            pictures=[*pictures],
            tables=[{**table, "folded": False} for table in tables] + [{**table, "folded": True} for table in folded],
            notes=[*notes],
            made_by=[*made_by],
            mark=_MARK,
            style=_style(),
        )
    )


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_read))
    environment.filters["sentence"] = lambda words: (
        f"{words[:1].upper()}{words[1:].rstrip('.')}{'...' if words.endswith('...') else '.'}"
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    return environment


def _points(difference: float | None, metric: str) -> str:
    """A difference of scores, of shares in points."""
    if difference is None:
        return ""
    return f"{100 * difference:+.1f}" if is_share(metric) else f"{difference:+.4g}"


def _charts(run: dict) -> list[dict]:
    """The charts of a run, in the order of the page."""
    removal = run["explanation"]["removal"] if run["explanation"] else []
    return [*(run["curves"] or []), *(run["task_curves"] or []), *removal]
