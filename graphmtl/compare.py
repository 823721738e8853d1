"""``python -m graphmtl.compare``: does training together beat training alone, for which task, and by more than chance?

The module can be called, as :func:`graphmtl.comparison.comparison.compare`: ``graphmtl.compare("planted", ...)``.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.comparison.comparison import Comparison, compare, compare_runs, compare_variants
from graphmtl.comparison.variants import is_setting, variants
from graphmtl.errors import InputError

__all__ = ["main"]


def main(argv: Sequence[str]) -> None:
    """The verb ``compare``; it leaves with exit code 1 where a run has failed."""
    arguments = ARGUMENTS["compare"](argv)
    found = _compared(arguments, ["graphmtl", "compare", *argv])
    print("\n".join(found.printed()))
    print(f"report: {found.folder / 'report.html'}   tables: {found.folder / 'comparison.md'}")
    if found.failed:
        print(f"graphmtl: not in the tables: {'; '.join(map(str, found.failed))}", file=sys.stderr)
        sys.exit(1)


def _compared(arguments: Namespace, command: Sequence[str]) -> Comparison:
    common = {"folder": arguments.output, "against": arguments.against, "baselines": arguments.baselines}
    names = [*arguments.archs.split(","), *(name for name, _ in arguments.variant)]
    settings = [word for word in arguments.words if is_setting(word, names)]
    runs = [word for word in arguments.words if word not in settings]
    if runs:
        flags = {"--variant": arguments.variant, "--same-size": arguments.same_size, "--search": arguments.search}
        flags["--seeds"] = arguments.seeds is not None
        given = [*arguments.rest, *arguments.set, *settings, *(flag for flag, value in flags.items() if value)]
        nowhere = next((each for each in runs if not Path(each).is_dir()), None)
        if nowhere is not None:
            raise InputError(
                f"{nowhere}: no such run folder; an option of an architecture is NAME.OPTION=VALUE, with a NAME of "
                "--archs"
            )
        if given:
            raise InputError(f"{given[0]}: finished runs are compared as they are, without options of training")
        return compare_runs(runs, **common, command=command)
    return compare_variants(
        variants(arguments.archs.split(","), [*arguments.set, *settings], arguments.variant),
        seeds=arguments.seeds or [0],
        flags=arguments.rest,
        same_size=arguments.same_size,
        trials=arguments.search,
        space=arguments.space,
        budget=arguments.budget,
        jobs=arguments.jobs,
        **common,
        command=command,
    )


class _Callable(ModuleType):
    """A module that is called as the function that it is the verb of."""

    def __call__(self, *arguments: Any, **values: Any) -> Comparison:
        return compare(*arguments, **values)


sys.modules[__name__].__class__ = _Callable


if __name__ == "__main__":
    run_verb(main)
