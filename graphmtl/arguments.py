"""The arguments of the verbs: read before a verb's libraries are loaded, so that help and mistakes come at once."""

import argparse
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from graphmtl.comparison.variants import is_setting
from graphmtl.errors import InputError
from graphmtl.options.help import asked_for_help, short_help
from graphmtl.verbosity import FLAGS

__all__ = ["ARGUMENTS", "Parser", "seeds_of"]

_DESCRIPTION = """\
A new task joins the graph of a finished run, and learns from a few labelled examples.

Options of training of `graphmtl run` may follow (--epochs, --lr, --batch-size, --output, --resume, ...); others are
those of the run. --freeze says what of the trained graph stays as it was:
  all-but-new  everything; the new task's own LSTM and head alone are trained, and the old tasks answer as before
  shared       what all tasks use: word embeddings, the LSTM of `shared`, the virtual node of `star`, common heads.
               In `complete` the old tasks' LSTMs, which the new one reads, are trained
  encoder      the word embeddings, and what reads characters
  none         nothing
"""
_LEAVE_ONE_OUT = """\
Every target in turn joins a graph of the other tasks, with more and more labelled examples, beside `shared` that it
joins likewise and `single` that starts from scratch on the same examples. Learning curves come out as a table, a
picture and the area between them. What is done already is not done again: the command can be stopped and started
again, and several processes with different --targets may share --output.

Options of `graphmtl run` may follow (--tasks, --arch, --embeddings, --output, ...): they are those of the source
graphs, and but for --target-epochs, --target-batch-size and --target-lr of all arms. The learning rate of `single` is
--lr.
"""
_COMPARE = """\
Does training together beat training alone, for which task, and by more than chance? Every architecture is trained with
every seed, which can be stopped and started again; or finished runs are compared. A table says of each task what
differs, a folder has it all as Markdown, CSV, LaTeX, JSON, pictures and an HTML page.

Options of `graphmtl run` may follow (--tasks, --config, --hidden, --epochs, ...): they are those of every run.
star.score=dot, or --set star.score=dot, is an option of one architecture. {seed} in a value is the run's seed.
"""


class Parser(argparse.ArgumentParser):
    """argparse, with its errors as :class:`InputError`; its help tells what `run_verb` takes beside its arguments."""

    def __init__(self, **settings: Any):
        super().__init__(epilog=f"With every verb: {FLAGS}.", **settings)

    def error(self, message: str) -> NoReturn:
        """A mistake in the arguments."""
        raise InputError(message)


def _transfer_parser(description: str) -> Parser:
    """The flags that both forms of the verb have."""
    parser = Parser(
        prog="graphmtl transfer",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--freeze", default="none", help="all-but-new, shared, encoder or none (none)")
    parser.add_argument(
        "--unfreeze-after",
        metavar="E",
        type=int,
        default=0,
        help="after E epochs the frozen LSTMs are trained too, and after 2 E the encoder; 0: never (0)",
    )
    parser.add_argument(
        "--start",
        default="mean",
        help="what a new task's weights begin as: mean, that of the old tasks which are alike, or fresh (mean)",
    )
    parser.add_argument("--steps", type=int, default=200, help="steps at least, whatever the epochs are (200)")
    return parser


def _transfer(argv: Sequence[str]) -> Namespace:
    """The arguments of the one form or the other; ``rest`` are options of `run`."""
    parser = _leave_one_out() if "--leave-one-out" in argv else _join()
    arguments, rest = parser.parse_known_args(argv)
    return Namespace(**vars(arguments), rest=rest)


def _join() -> Parser:
    """A task joins the graph of a run."""
    parser = _transfer_parser(_DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run; it stands first")
    parser.add_argument(
        "--task",
        metavar="TASK",
        required=True,
        help="the new task: a name of the run's task set, NAME:TASK of another, a YAML file, or several joined by +",
    )
    parser.add_argument("--examples", default="all", help="labelled examples, a fifth for validation above 50 (all)")
    parser.add_argument("--draw", type=int, default=0, help="which examples; those of a draw are nested (0)")
    parser.add_argument("--leave-one-out", action="store_true", help="another experiment: --leave-one-out --help")
    return parser


def _leave_one_out() -> Parser:
    """Every target joins a graph of the others."""
    parser = _transfer_parser(_LEAVE_ONE_OUT)
    parser.add_argument("--leave-one-out", action="store_true", help="this experiment")
    parser.add_argument("--targets", help="the tasks that are left out in turn, with commas between (every one)")
    parser.add_argument(
        "--examples", default="0,20,50,100,200,500,all", help="numbers of labelled examples (0,20,50,100,200,500,all)"
    )
    parser.add_argument("--draws", type=int, default=5, help="draws of examples (5)")
    parser.add_argument("--target-epochs", type=int, default=8, help="epochs of the target's training (8)")
    parser.add_argument("--target-batch-size", type=int, default=16, help="its batch size (16)")
    parser.add_argument("--target-lr", type=float, help="its learning rate where it joins a graph (a third of --lr)")
    return parser


def _evaluate(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl evaluate",
        description="Score a finished run on a split; writes RUN/evaluation.json, or replaces it.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--split", choices=["train", "valid", "test"], help="of the run's own data (test)")
    parser.add_argument(
        "--tasks",
        metavar="FILE",
        help="score other labelled data in its place, all of it: a task file (of each task `test`, or else all of "
        "`train`), a csv, tsv, jsonl, json or parquet file with the run's columns, or a name as `run --tasks` takes it",
    )
    parser.add_argument("--task", metavar="NAME", help="of --tasks: the task that is scored, or several (default: all)")
    parser.add_argument("--data-dir", metavar="DIR", help="of --tasks: folder with one folder per data set")
    parser.add_argument("--output", metavar="FILE", type=Path, help="of --tasks: also write the scores as JSON")
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        type=Path,
        help="also write each example with its label, the model's answer and probabilities; .jsonl or .csv",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE")
    return parser.parse_args(argv)


def _predict(argv: Sequence[str]) -> Namespace:
    from graphmtl.data.rows import ROW_FORMATS  # which loads Arrow, and no other verb needs it to know its arguments

    parser = Parser(
        prog="graphmtl predict",
        description="Label raw text, a text a line or the columns of a file; JSON lines come out, or with --output a "
        "file with the answers beside the input.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="csv, tsv, jsonl, json or parquet, also .gz or .xz: the columns that the run's tasks read; any other, and "
        "standard input, the default: text, a text a line (a pair: TAB between; where tasks of pairs and of "
        "single texts are asked, the latter read the whole line)",
    )
    parser.add_argument("--task", required=True, help="a task's name, several with commas between, or all")
    parser.add_argument(
        "--text", metavar="COLUMN[,COLUMN]", help="the column of the text, of a pair two (default: as in training)"
    )
    parser.add_argument(
        "--format", choices=["lines", *ROW_FORMATS], help="what FILE is, where its ending does not say so"
    )
    parser.add_argument("--delimiter", metavar="X", help="what stands between the fields of a csv or tsv file, or TAB")
    parser.add_argument("--encoding", metavar="NAME", default="utf-8", help="the encoding of FILE (utf-8)")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write each row of the input with the answers beside it: .jsonl (a list `answers`), or .csv, .tsv, "
        ".parquet (columns TASK.label, TASK.probability, TASK.value, TASK.labels, TASK.tokens)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --output")
    parser.add_argument(
        "--edges", action="store_true", help="also write the edge weights of each text, of tags of each token"
    )
    parser.add_argument(
        "--reads",
        metavar="N",
        type=int,
        help="of tags in a star: with --edges the N tokens of which each token read most, [place, weight], not all",
    )
    parser.add_argument(
        "--pretokenized", action="store_true", help="the words of a text are what spaces divide (not of pairs)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="texts read at once")
    return parser.parse_intermixed_args(argv)


def _plot(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl plot",
        description="Draw a finished run's task graph again, over training, or what the tokens of a text read.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="picture, .png or .svg, with --history also .gif (RUN/task_graph.png, RUN/history.png, RUN/text.png)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--history", action="store_true", help="draw the graph over training: a line for each edge, or animated (.gif)"
    )
    what.add_argument(
        "--text",
        help="draw what each token of this text (a pair: TAB between) read: from its tokens (star), from the tasks",
    )
    parser.add_argument(
        "--task", help="with --text: a task's name, or several with commas (all that tag, or read one text)"
    )
    parser.add_argument("--pretokenized", action="store_true", help="with --text: its words are what spaces divide")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture that is there")
    return parser.parse_args(argv)


def _report(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl report",
        description="Write one HTML file, which loads nothing from elsewhere: results, the task graph to point at and "
        "drag, training curves, example texts with what their words read, and how far the graph can be trusted.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folder of a finished run")
    parser.add_argument("--output", metavar="FILE", type=Path, help="(report.html in the folder of the first RUN)")
    parser.add_argument("--examples", type=int, default=2, help="test texts of each task that are shown (2)")
    parser.add_argument("--seed", type=int, default=0, help="draws the texts (0)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is no report")
    return parser.parse_args(argv)


def _explain(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl explain",
        description="Measure whether a finished run's task graph can be trusted: a verdict on each picture (-v: all "
        "tables); writes RUN/explanation.json. Where there is none, a control is trained: the run again on shuffled "
        "labels.",
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder of a finished run; of several: how alike they are"
    )
    parser.add_argument("--split", default="test", choices=["train", "valid", "test"])
    parser.add_argument("--examples", type=int, default=500, help="texts drawn for each task, at most (500)")
    parser.add_argument(
        "--affinity-probe",
        type=int,
        default=100,
        help="texts of each task, at most, on which a star's affinity is measured, each read by all tasks (100)",
    )
    parser.add_argument("--no-controls", action="store_true", help="without untrained model and shuffled labels")
    parser.add_argument(
        "--benefit",
        "--affinity",
        action="store_true",
        help="also whether the pictures predict which task helps which: trains every two tasks together, each alone, "
        "and all but each, with every seed; slow, and can be interrupted",
    )
    parser.add_argument("--seeds", metavar="N,N", help="of the trainings of --benefit (0,1,2)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings of --benefit at once (1)")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder to write in instead of RUN, of one run")
    parser.add_argument("--overwrite", action="store_true", help="replace explanation.json")
    arguments = parser.parse_args(argv)
    arguments.seeds = None if arguments.seeds is None else seeds_of(arguments.seeds)
    return arguments


def _export(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl export",
        description="Write a finished run's model as an ONNX file, with its tokenizer and vocabulary; any batch and "
        "any length. Or its transformer alone, as the transformers library reads it.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--output", metavar="FILE", type=Path, help="the ONNX file (RUN/model.onnx)")
    parser.add_argument("--task", default="all", help="a task's name, several with commas between, or all (default)")
    parser.add_argument(
        "--encoder",
        metavar="DIR",
        type=Path,
        help="write the trained transformer (--lora within its weights) and its tokenizer into this folder, and no "
        "ONNX file; with --arch single that of --task NAME",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="word embeddings, linear layers and linear models in 8 bits; the file is not written if that costs more "
        "than 0.1 point of the mean validation score",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the files that are there")
    return parser.parse_args(argv)


def _compare(argv: Sequence[str]) -> Namespace:
    """``words`` are those that stand alone, runs and options of an architecture; ``rest`` are options of `run`."""
    parser = Parser(
        prog="graphmtl compare",
        usage="graphmtl compare [NAME.OPTION=VALUE ...] [options]\n       graphmtl compare RUN RUN ... [options]",
        description=_COMPARE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--archs", default="single,shared,star", help="what is trained (single,shared,star)")
    parser.add_argument("--seeds", metavar="N,N", help="with which seeds each (0)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME.OPTION=VALUE", help="as without --set")
    parser.add_argument(
        "--variant",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "'ARCH OPTIONS'"),
        help="also an architecture with options of its own",
    )
    parser.add_argument("--against", metavar="NAME", help="what the others are compared with (single, or the first)")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false", help="without majority and TF-IDF")
    parser.add_argument(
        "--same-size",
        action="store_true",
        help="also shared-wide: shared with as many parameters as the largest architecture with a graph",
    )
    parser.add_argument(
        "--search",
        type=int,
        default=0,
        metavar="N",
        help="first N trials of each architecture with other options, the same number and the same space for all, on "
        "the validation split with the first seed; the best ones' options are those of all seeds",
    )
    parser.add_argument(
        "--space",
        metavar="FILE",
        help="what --search tries, YAML: OPTION: [A, B] or OPTION: {low: A, high: B, log: true} (learning rates, size, "
        "dropout, label smoothing, pooling)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="no further trials, for none of them, once those of all together were trained so long",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that train at once (1)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="(runs/compare-TASKS, of RUNs runs/comparison)")
    first = next((i for i, each in enumerate(argv) if each.startswith("-")), len(argv))
    arguments, rest = parser.parse_known_args([*argv[first:]])
    alone = [
        each for each in rest if is_setting(each, [*arguments.archs.split(","), *(n for n, _ in arguments.variant)])
    ]
    words = [*argv[:first], *alone]
    arguments.seeds = None if arguments.seeds is None else seeds_of(arguments.seeds)
    return Namespace(**vars(arguments), words=words, rest=[each for each in rest if each not in alone])


def seeds_of(text: str) -> list[int]:
    """Seeds with commas between."""
    if not all(each.isdecimal() for each in text.split(",")):
        raise InputError(f"--seeds: found {text!r}, expected whole numbers with commas between")
    return [int(each) for each in text.split(",")]


def _init(argv: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="graphmtl init",
        description="Write a task file for files of examples, a task for each: which columns are text and label, and "
        "what kind of task it is, are guessed; comments say how often each label occurs and what looks wrong.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="csv, tsv, txt, jsonl, json, parquet (also .gz, .xz), column files of tokens and tags, or a folder with "
        "train and test files; FILE_train and FILE_test are splits of one task",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path("tasks.yaml"), help="the task file (tasks.yaml)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the task file that is there")
    return parser.parse_args(argv)


def _run(argv: Sequence[str]) -> Namespace:
    """The help of ``run`` that needs no library; all else is read with the options."""
    if asked_for_help(argv) == "":
        print(short_help(), end="")
        raise SystemExit(0)
    return Namespace()


ARGUMENTS: dict[str, Callable[[Sequence[str]], Namespace]] = {
    "run": _run,
    "init": _init,
    "evaluate": _evaluate,
    "predict": _predict,
    "compare": _compare,
    "transfer": _transfer,
    "plot": _plot,
    "report": _report,
    "explain": _explain,
    "export": _export,
}
"""What reads the arguments of each verb; a mistake is an InputError. Those of ``run`` are its options."""
