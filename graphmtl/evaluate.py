"""``python -m graphmtl.evaluate RUN``: score a finished run on a split, and write RUN/evaluation.json.

The file is this verb's own and says which split it is of; another evaluation replaces it.
"""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.config import listed
from graphmtl.data.batching import EncodedTask
from graphmtl.data.loading import open_sources
from graphmtl.data.overlap import row_keys
from graphmtl.data.scored import load_scored
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError, note
from graphmtl.files import check_output, write_whole
from graphmtl.printed_tables import (
    classes_table,
    confusion_tables,
    other_test_splits,
    print_table,
    same_as_test,
    scores_table,
    types_table,
)
from graphmtl.training.evaluation import Predictions
from graphmtl.training.finished import encoded_for, fitted_tasks, predict
from graphmtl.training.prediction_file import PREDICTION_FORMATS, write_predictions
from graphmtl.training.results import mean_of_first_metrics, other_tests, split_scores
from graphmtl.training.run import Run
from graphmtl.training.run_data import many_unknown, note_learned, planted_options, say_truncated
from graphmtl.verbosity import is_quiet, say

__all__ = ["evaluate", "evaluate_on", "main"]


def evaluate(run: Run, split: str, predictions_to: Path | None = None) -> dict[str, dict]:
    """Every task's scores on a split, in the form of ``metrics.json``'s "tasks"; ``test`` also without seen texts.

    Tasks of classes also have "classes", the scores of each on the whole split, and "confusion", what is answered for
    which; tasks of spans "types", the scores of each type of span.

    Args:
        run: a finished run.
        split: ``train``, ``valid`` or ``test``, with which the other test splits come.
        predictions_to: where the answers are written, as :func:`write_predictions` does; None: nowhere.
    """
    tasks = fitted_tasks(run)
    note_learned(run, split, tasks)
    data = encoded_for(run, tasks)
    whole = predict(run, data, split)
    others = {other: predict(run, data, other) for other in other_tests(data)} if split == "test" else {}
    if predictions_to is not None:
        write_predictions(predictions_to, tasks, {split: whole, **others})
    predictions = {split: whole}
    if split == "test":
        predictions["test_dedup"] = {name: each.unseen() for name, each in whole.items()}
        predictions |= others
    return _results(data, predictions)


def evaluate_on(
    run: Run,
    given: Path | str | Mapping[str, Any],
    *,
    names: Sequence[str] | None = None,
    data_dir: Path | str | None = None,
    predictions_to: Path | None = None,
) -> dict[str, dict]:
    """The scores of a run's model on other data, in the form of :func:`evaluate` for the split ``test``.

    All of the data is scored, nothing is cut off or left out, and nothing is compared with the run's data. A row
    without a label is not scored; ``n_unlabelled`` says how many there are.

    Args:
        run: a finished run.
        given: see :func:`~graphmtl.data.scored.load_scored`.
        names: the tasks that are scored; None: all that the data has.
        data_dir: the folder of the catalog's data sets; None: that of the run.
        predictions_to: as in :func:`evaluate`.

    Raises:
        InputError: whatever is wrong with the data, or does not fit the model.
    """
    options = run.options
    own: dict[str, Any] = {"seed": options.seed, "planted": planted_options(options)}
    trained_on = partial(open_sources, options.tasks, data_dir=options.data_dir, **own)
    where = {"data_dir": data_dir or options.data_dir, **own}
    tasks = load_scored(given, run.model.tasks, names=names, trained_on=trained_on, **where)
    data = encoded_for(run, tasks)
    say_truncated(data, note)
    for line in [*_not_whole(tasks), *many_unknown(data)]:
        note(line)
    predictions = {"test": predict(run, data, "test")}
    if predictions_to is not None:
        write_predictions(predictions_to, tasks, predictions)
    results = _results(data, predictions)
    for name, each in tasks.items():
        results[name] |= {"n_unlabelled": each.unlabelled["test"]} if each.unlabelled else {}
    return results


def _not_whole(tasks: TaskSet) -> Iterator[str]:
    """A line for each task with examples that have no text, or tokens that have no tag."""
    for name, own in tasks.items():
        untagged, tokens = own.untagged.get("test", (0, 0))
        if untagged:
            yield f"{name}: without a tag, and not scored: {untagged:,} of {tokens:,} tokens"
        count = row_keys(own.test).count("")
        if count:
            yield f"{name}: without a text, and scored with the rest: {count:,} of {len(own.test):,} examples"


def _results(
    data: Mapping[str, EncodedTask],
    predictions: Mapping[str, Mapping[str, Predictions]],
) -> dict[str, dict]:
    """Scores and sizes by task; the first split is the one of which "types", "classes" and "confusion" are."""
    scores = {part: split_scores(data, each) for part, each in predictions.items()}
    results = {
        name: {
            "kind": task.task.kind,
            "metric": task.task.metrics[0],
            **({} if task.task.in_mean else {"in_mean": False}),
            **{part: own[name] for part, own in scores.items() if name in own},
            **{f"n_{part}": len(each[name]) for part, each in predictions.items() if name in each},
        }
        for name, task in data.items()
    }
    for name, own in next(iter(predictions.values())).items():
        results[name] |= data[name].task.of_kind.by_class(own)
    return results


def main(argv: Sequence[str]) -> None:
    """The verb ``evaluate``."""
    arguments = ARGUMENTS["evaluate"](argv)
    run, predictions = Run.open(arguments.run), arguments.predictions
    if predictions is not None:
        check_output(predictions, option="--predictions", endings=PREDICTION_FORMATS, overwrite=arguments.overwrite)
    if arguments.tasks is not None:
        _score_other_data(run, arguments)
        return
    for name in ("task", "data_dir", "output"):
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name.replace('_', '-')}: goes with --tasks FILE, which is not given")
    arguments.split = arguments.split or "test"
    run.check_writable()
    tasks = evaluate(run, arguments.split, arguments.predictions)
    splits = [part for part in (arguments.split, "test_dedup") if all(part in task for task in tasks.values())]
    means = {part: mean_of_first_metrics(tasks, part) for part in splits}
    shown = [part for part in splits if part != "test_dedup" or not same_as_test(tasks)]
    columns = [*shown, *other_test_splits(tasks)]
    run.write_json("evaluation.json", {"split": arguments.split, "tasks": tasks, "mean": means})
    print_table(scores_table(f"{run.folder}, {arguments.split}", tasks, {part: part for part in columns}, means))
    _print_classes(tasks)
    if is_quiet():
        print(_in_a_line(means))
    if arguments.predictions is not None:
        print(f"wrote {arguments.predictions}")


def _print_classes(tasks: Mapping[str, dict]) -> None:
    """What classes and types of spans are taken for."""
    for table in (types_table(tasks), classes_table(tasks), *confusion_tables(tasks)):
        if table is not None:
            print_table(table)


def _in_a_line(means: Mapping[str, float | None]) -> str:
    """What stands for the table where it is not printed."""
    return ", ".join(f"mean {split} {'-' if mean is None else f'{mean:.4f}'}" for split, mean in means.items())


def _score_other_data(run: Run, arguments: Namespace) -> None:
    """``--tasks``: the run's folder stays as it is."""
    output: Path | None = arguments.output
    if arguments.split is not None:
        raise InputError("--split: is one of the run's own data, and --tasks FILE has other data")
    if output is not None:
        check_output(output, option="--output", overwrite=arguments.overwrite)
        if arguments.predictions is not None and output.resolve() == arguments.predictions.resolve():
            raise InputError(f"--output {output}: is the file of --predictions too; give another")
    tasks = evaluate_on(
        run,
        arguments.tasks,
        names=None if arguments.task is None else listed(arguments.task),
        data_dir=arguments.data_dir,
        predictions_to=arguments.predictions,
    )
    means = {"test": mean_of_first_metrics(tasks, "test")}
    print_table(scores_table(f"{run.folder}, {arguments.tasks}", tasks, {"test": "score"}, means))
    for name, own in tasks.items():
        if "n_unlabelled" in own:
            say(f"{name}: {own['n_unlabelled']} rows without a label are not scored")
    _print_classes(tasks)
    if is_quiet():
        print(_in_a_line(means))
    if output is not None:
        text = json.dumps({"data": arguments.tasks, "tasks": tasks, "mean": means}, indent=2, ensure_ascii=False)
        write_whole(output, text + "\n")
    for path in (output, arguments.predictions):
        if path is not None:
            print(f"wrote {path}")


if __name__ == "__main__":
    run_verb(main)
