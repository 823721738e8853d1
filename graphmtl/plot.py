"""``python -m graphmtl.plot RUN``: draw a finished run's task graph, over training, or what a text's tokens read."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.config import listed
from graphmtl.data.raw_texts import Text, text_of_line
from graphmtl.errors import InputError
from graphmtl.files import check_writable
from graphmtl.graph.pictures.figure import save_figure
from graphmtl.graph.pictures.history import draw_history, save_animation
from graphmtl.graph.pictures.token_map import draw_token_maps, reads_others
from graphmtl.training.run import Run
from graphmtl.training.run_picture import has_edges, run_picture

__all__ = ["main"]


def _draw_text(run: Run, text: str, task: str | None, pretokenized: bool) -> Figure:
    """What each token of a text read, a map for every task that is named, or that reads from another."""
    model = run.model
    of_tokens = [name for name, own in model.tasks.items() if own.of_kind.reads_tokens]
    of_one = [name for name, own in model.tasks.items() if not (own.is_pair or own.choices)]
    names = listed(task) if task else of_tokens or of_one or [*model.tasks]
    of_several = [own for name, own in model.tasks.items() if name in names and (own.is_pair or own.choices)]
    several = "\t" in text and len(of_several) > 0
    read: Text = text_of_line(text, of_several[0], "--text") if several else text
    read = text.split() if pretokenized else read
    answers = model.predict([read], names, edges="tokens")
    answers = answers if task else [answer for answer in answers if reads_others(answer)] or answers
    return draw_token_maps(answers, heading=f"{model.options.arch}: one text, seed {run.options.seed}")


def main(argv: Sequence[str]) -> None:
    """Parse, draw, print the picture's path.

    Raises:
        InputError: RUN is no finished run, there is no such task, the text cannot be drawn, or the picture
            cannot be written where it should.
    """
    arguments = ARGUMENTS["plot"](argv)
    for flag in ("task", "pretokenized"):
        if arguments.text is None and getattr(arguments, flag):
            raise InputError(f"--{flag}: says how the text of --text is drawn; found no --text")
    run = Run.open(arguments.run)
    default = "history.png" if arguments.history else "task_graph.png" if arguments.text is None else "text.png"
    output = arguments.output or run.folder / default
    if output.exists() and not arguments.overwrite:
        raise InputError(f"{output} exists; give --overwrite to replace it, or another file with --output")
    check_writable(output)
    if arguments.history and not has_edges(run):
        raise InputError(f"{run.folder}: --arch {run.options.arch} learned no edges, so there is nothing to draw")
    if arguments.history and output.suffix.lower() == ".gif":
        save_animation(run.graph_history, output)
        print(f"wrote {output}")
        return
    if arguments.history:
        kept = run.metrics["best_epoch"]
        control = None if run.control is None else run.control.task_graph
        figure = draw_history(run.graph_history, kept=kept if isinstance(kept, int) else None, control=control)
    elif arguments.text is None:
        figure = run_picture(run)
    else:
        figure = _draw_text(run, arguments.text, arguments.task, arguments.pretokenized)
    save_figure(figure, output)
    print(f"wrote {output}")


if __name__ == "__main__":
    run_verb(main)
