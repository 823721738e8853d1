"""``python -m graphmtl.plot RUN``: draw a finished run's task graph again, as PNG or SVG."""

from collections.abc import Sequence
from pathlib import Path

from graphmtl.cli import Parser, run_verb
from graphmtl.errors import InputError
from graphmtl.graph.draw import draw_task_graph, save_figure
from graphmtl.training.run_folder import Run

__all__ = ["main"]


def main(argv: Sequence[str]) -> None:
    """Parse, draw, print the picture's path.

    Raises:
        InputError: RUN is no finished run, or the picture cannot be written where it should.
    """
    parser = Parser(prog="graphmtl plot", description="Draw a finished run's task graph again.")
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run")
    parser.add_argument("--output", metavar="FILE", type=Path, help="picture, .png or .svg (RUN/task_graph.png)")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture that is there")
    arguments = parser.parse_args(argv)
    run = Run.open(arguments.run)
    output = arguments.output or run.folder / "task_graph.png"
    if output.exists() and not arguments.overwrite:
        raise InputError(f"{output} exists; give --overwrite to replace it, or another file with --output")
    save_figure(draw_task_graph(run.task_graph, affinity=run.task_affinity), output)
    print(f"wrote {output}")


if __name__ == "__main__":
    run_verb(main)
