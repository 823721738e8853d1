"""``python -m graphmtl.report RUN [RUN ...]``: one HTML file with all that there is to see of finished runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.comparison.comparing import Compared
from graphmtl.comparison.comparison import compared_runs
from graphmtl.comparison.grid import check_same_data
from graphmtl.comparison.report import gain_panels, gains_of
from graphmtl.comparison.rows import grouped
from graphmtl.comparison.tables import notes
from graphmtl.comparison.verdict import sentence, sentences
from graphmtl.errors import InputError
from graphmtl.files import check_regular, check_writable, write_whole
from graphmtl.reporting.contents import RunGains, comparison, run_contents
from graphmtl.reporting.page import is_report, render
from graphmtl.training.run import Run, open_runs

__all__ = ["main"]


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' own names, or the whole paths where two are called alike."""
    short = [run.folder.resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run.folder) for run in runs]


def _compared(groups: Mapping[str, Sequence[Run]]) -> tuple[Compared | None, str]:
    """The runs as ``graphmtl compare`` compares them, those of several seeds together; or what is in the way."""
    if len(groups) == 1:
        return None, "the runs differ in their seeds alone"
    try:
        check_same_data(groups)
        return compared_runs(groups, baselines=False), ""
    except InputError as error:
        return None, str(error)


def _gains(run: Run, groups: Mapping[str, Sequence[Run]], compared: Compared | None) -> RunGains | None:
    """What the run's row gains over that which all are compared with."""
    name = next(name for name, own in groups.items() if run in own)
    if compared is None or name not in compared.to_reference:
        return None
    found = compared.to_reference[name]
    panel = gains_of(found)
    return None if panel is None else RunGains(sentence=sentence(compared, found), panel=panel)


def _check_output(output: Path, overwrite: bool) -> None:
    """Whether the page may be written: a report is replaced, another file only with ``--overwrite``.

    Raises:
        InputError: it may not.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output: found {output}, expected a name that ends in .html")
    if not output.parent.is_dir():
        raise InputError(f"--output: there is no folder {output.parent}")
    check_writable(output)
    if not output.exists():
        return
    check_regular(output)
    if not overwrite and not is_report(output):
        raise InputError(
            f"{output} exists and is no report of graphmtl; --overwrite replaces it, --output names another file"
        )


def main(argv: Sequence[str]) -> None:
    """Parse, read, write the page, print its path.

    Raises:
        InputError: RUN is no finished run or its files are damaged, or the page cannot be written where it should.
    """
    arguments = ARGUMENTS["report"](argv)
    for flag in ("examples", "seed"):
        if getattr(arguments, flag) < 0:
            raise InputError(f"--{flag}: found {getattr(arguments, flag)}, expected 0 or more")
    runs = open_runs(arguments.runs)
    output = runs[0].folder / "report.html" if arguments.output is None else arguments.output
    _check_output(output, arguments.overwrite)
    names = _names(runs)
    groups = grouped(runs)
    compared, apart = _compared(groups) if len(runs) > 1 else (None, "")
    contents = [
        run_contents(
            run, name=name, examples=arguments.examples, seed=arguments.seed, gains=_gains(run, groups, compared)
        )
        for run, name in zip(runs, names, strict=True)
    ]
    told = None if len(runs) == 1 else comparison(runs, names) | {"apart": apart}
    if told is not None and compared is not None:
        told |= {"sentences": [*sentences(compared)], "panels": gain_panels(compared), "notes": [next(notes(compared))]}
    page = render(contents, told)
    write_whole(output, page)
    print(f"wrote {output}")


if __name__ == "__main__":
    run_verb(main)
