"""``python -m graphmtl.pretrain``: a language model of a task set's unlabelled texts, for runs to start from."""

from collections.abc import Sequence
from pathlib import Path

from graphmtl.cli import run_verb
from graphmtl.options import parse_options
from graphmtl.training.pretraining import pretrain
from graphmtl.training.processes import process_state
from graphmtl.training.run_data import load_run_tasks
from graphmtl.verbosity import say

__all__ = ["main"]

_HELP = """\
usage: graphmtl pretrain --tasks TASKS [options]

Trains word embeddings and an LSTM as a language model, each direction on its own, on the unlabelled texts of a task set
(fdu-mtl: DOMAIN.task.unlabel) and on those of its training splits. Texts that stand in a validation or test split are
left out. A run starts from them with

  graphmtl run --tasks TASKS --arch star --pretrained DIR

Options are those of `graphmtl run`, with the same meaning: --tasks, --data-dir, --only, --seed; --embeddings,
--embedding-size, --tokenizer, --min-count, --max-length, --hidden, --locked-dropout; --epochs, --batch-size, --lr;
--output (runs/pretrained-TASKS-SEED), --resume, --overwrite.
"""


def main(argv: Sequence[str]) -> None:
    """The verb ``pretrain``."""
    if "-h" in argv or "--help" in argv:
        print(_HELP, end="")
        return
    options = parse_options(argv)
    tasks = load_run_tasks(options)
    main_process = process_state(options.device).is_main_process
    folder = Path(options.output or f"runs/pretrained-{tasks.name}-{options.seed}")
    about = pretrain(tasks, options, folder, say if main_process else _silent)
    if main_process:
        each = ", ".join(f"{name} {value:.1f}" for name, value in about["perplexity"].items())
        say(f"perplexity of held-out texts: {each}")
        print(f"pre-trained: {folder}   graphmtl run --pretrained {folder}")


def _silent(*_: object, **__: object) -> None:
    """Of several processes all but the first one say nothing."""


if __name__ == "__main__":
    run_verb(main)
