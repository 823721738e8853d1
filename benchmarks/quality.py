"""README's tables of quality, made from the comparisons whose numbers stand in ``benchmarks/results/*.json``.

    python -m benchmarks.quality                            # writes the tables into README.md
    python -m benchmarks.quality --take runs/X planted      # first keeps a comparison's numbers and its report's tables

``--take FOLDER NAME`` copies what ``graphmtl compare`` has written to ``benchmarks/results/NAME.json`` and ``NAME.md``,
adds the commit that it was made with, and draws ``NAME-gains.png``, in which few rows can be told apart. A table of
README stands between ``<!-- quality: NAME -->`` and ``<!-- quality: end -->``. ``--check`` writes nothing, and ends
with 1 where README says something else.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from graphmtl.cli import run_verb
from graphmtl.comparison.bootstrap import Difference
from graphmtl.comparison.comparing import Differences, TaskDifference
from graphmtl.comparison.pictures import draw_gains
from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import save_figure

_HERE = Path(__file__).parent
_README = _HERE.parent / "README.md"
_DRAWN = ("star", "cmtr", "complete", "shared", "tfidf-augmented")
_BLOCK = re.compile(r"(<!-- quality: (?!end)(\S+) -->\n).*?(<!-- quality: end -->)", re.DOTALL)


def take(folder: Path, name: str, results: Path = _HERE / "results") -> None:
    """Keeps a comparison's numbers and tables.

    Raises:
        InputError: the folder holds no finished comparison.
    """
    found = folder / "comparison.json"
    if not found.is_file():
        raise InputError(f"{found}: no such file; graphmtl compare --output {folder} writes it")
    kept = json.loads(found.read_text(encoding="utf-8")) | {"commit": _commit()}
    (results / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    tables = (folder / "comparison.md").read_text(encoding="utf-8").rstrip("\n")
    (results / f"{name}.md").write_text(f"{tables}\n\nCommit {kept['commit']}.\n", encoding="utf-8")
    draw(name, results)


def draw(name: str, results: Path = _HERE / "results") -> None:
    """Draws every task's gain with the rows of ``_DRAWN``, as ``NAME-gains.png``."""
    found = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    shown: Any = SimpleNamespace(
        to_reference={row: _differences(found["differences"][row]) for row in _DRAWN if row in found["differences"]},
        seeds=found["seeds"],
        against=found["against"],
    )
    save_figure(draw_gains(shown), results / f"{name}-gains.png")


def _differences(found: dict) -> Differences:
    """A row's differences in the form that they were measured in."""
    tasks = {
        task: TaskDifference(found=Difference(**own["found"]), corrected=own["corrected"], share=own["share"])
        for task, own in found["tasks"].items()
    }
    return Differences(
        ours=found["ours"], theirs=found["theirs"], tasks=tasks, mean=None, mean_dedup=None, mean_share=None
    )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=_HERE, capture_output=True, text=True, check=True).stdout.strip()


def table(name: str, results: Path = _HERE / "results") -> str:
    """A comparison as README shows it: a row for everything compared, best first, and where it is from.

    Raises:
        InputError: there is no such comparison.
    """
    path = results / f"{name}.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; --take FOLDER {name} keeps a comparison's numbers there")
    found = json.loads(path.read_text(encoding="utf-8"))
    tasks = len(found["metrics"])
    lines = [
        f"| | test | to `{found['against']}` | better / worse / within chance | parameters | minutes |",
        "|---|---|---|---|---|---|",
        *(_row(row, found) for row in _ordered(found)),
    ]
    seeds = ", ".join(map(str, found["seeds"]))
    from_where = f"{tasks} tasks, seeds {seeds}; [command, versions, each task](benchmarks/results/{name}.md)."
    return "\n".join([*lines, "", from_where]) + "\n"


def _ordered(found: dict) -> list[str]:
    """The rows, the highest mean first; without a mean of scores that of the normalised ones counts."""

    def height(row: str) -> float:
        own = found["rows"][row]
        values = own["test"] or own["share"] or []
        return sum(values) / len(values) if values else float("-inf")

    return sorted(found["rows"], key=height, reverse=True)


def _row(row: str, found: dict) -> str:
    own, difference = found["rows"][row], found["differences"].get(row)
    cells = [f"`{row}`", _mean(own["test"] or own["share"])]
    if difference is None:
        cells += ["", ""]
    else:
        verdicts = [each["verdict"] for each in difference["tasks"].values()]
        cells.append(_interval(difference["mean"] or difference["mean_share"]))
        cells.append(" / ".join(str(verdicts.count(each)) for each in ("better", "worse", "within chance")))
    cells.append("" if own["parameters"] is None else f"{own['parameters']:,}")
    cells.append("" if own["minutes"] is None else f"{own['minutes']:.1f}")
    return f"| {' | '.join(cells)} |"


def _mean(values: Sequence[float] | None) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else ""


def _interval(found: dict | None) -> str:
    return "" if found is None else f"{found['mean']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"


def renewed(text: str, results: Path = _HERE / "results") -> str:
    """README's text with its tables made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}{table(block[2], results)}{block[3]}", text)


def main(argv: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="quality.py", description=__doc__.split("\n")[0])
    parser.add_argument("--take", nargs=2, metavar=("FOLDER", "NAME"), help="keep a comparison's numbers first")
    parser.add_argument("--check", action="store_true", help="write nothing, and end with 1 where README differs")
    given = parser.parse_args(argv)
    if given.take:
        take(Path(given.take[0]), given.take[1])
    text = _README.read_text(encoding="utf-8")
    new = renewed(text)
    if given.check:
        sys.exit("README.md differs from benchmarks/results; python -m benchmarks.quality" if new != text else 0)
    _README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
