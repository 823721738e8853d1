"""``python -m graphmtl.report RUN [RUN ...]``: one HTML file with all that there is to see of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.errors import InputError
from graphmtl.files import check_regular, write_whole
from graphmtl.reporting.contents import comparison, run_contents
from graphmtl.reporting.page import is_report, render
from graphmtl.training.run_folder import Run, open_runs

__all__ = ["main"]


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' own names, or the whole paths where two are called alike."""
    short = [run.folder.resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run.folder) for run in runs]


def _check_output(output: Path, overwrite: bool) -> None:
    """Whether the page may be written: a report is replaced, another file only with ``--overwrite``.

    Raises:
        InputError: it may not.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output: found {output}, expected a name that ends in .html")
    if not output.parent.is_dir():
        raise InputError(f"--output: there is no folder {output.parent}")
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
    contents = [
        run_contents(run, name=name, examples=arguments.examples, seed=arguments.seed)
        for run, name in zip(runs, names, strict=True)
    ]
    page = render(contents, comparison(runs, names) if len(runs) > 1 else None)
    write_whole(output, page)
    print(f"wrote {output}")


if __name__ == "__main__":
    run_verb(main)
