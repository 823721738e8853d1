"""The data of a run, loaded as its options say, what is said of them, and what a frozen part makes of them."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from accelerate import PartialState

from graphmtl.config import Options, part
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import load_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.refit import train_with_valid, with_answers
from graphmtl.data.task import TaskSet
from graphmtl.data.transferred import Draw, learned_rows
from graphmtl.errors import note
from graphmtl.models.lower_states import keep_lower_states
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run

__all__ = [
    "all_splits",
    "draws_of",
    "learned_by",
    "left_out",
    "load_fitted_tasks",
    "load_run_tasks",
    "load_tasks_again",
    "many_unknown",
    "note_learned",
    "planted_options",
    "read_frozen_once",
    "refitted",
    "remarks",
    "say_cut_texts",
    "say_truncated",
    "say_unknown",
]

_MANY_UNKNOWN = 0.25  # of the tokens of a split; FDU-MTL has 0.01 to 0.03, CoNLL-2000 0.06, WNUT-17 0.13


def planted_options(options: Options) -> PlantedOptions:
    """Those of the generated task set; of a run on other tasks the defaults."""
    return part(options, PlantedOptions) if isinstance(options, PlantedOptions) else PlantedOptions()


def load_run_tasks(options: Options, given: Mapping[str, Any] | None = None) -> TaskSet:
    """The task set of a run; ``given`` is the data at hand, where the run is trained on such."""
    return load_tasks(
        options.tasks if given is None else given,
        data_dir=options.data_dir,
        seed=options.seed,
        only=options.only,
        max_train=options.max_train,
        shuffle_labels=options.shuffle_labels,
        keep_overlap=options.keep_overlap,
        planted=planted_options(options),
    )


def load_tasks_again(run: Run, *, chooses: bool = False) -> TaskSet:
    """The task set of a run whose folder is there; ``chooses`` as of `learned_by`.

    Raises:
        InputError: the data cannot be loaded, or is no longer the run's.
    """
    tasks = load_run_tasks(run.options)
    run.check_data(fingerprint(tasks))
    return learned_by(run, tasks, chooses=chooses)


def learned_by(run: Run, tasks: TaskSet, *, chooses: bool = False) -> TaskSet:
    """The run's tasks, and where some joined another's graph the rows that were learned alone.

    Args:
        run: the run.
        tasks: its tasks with all rows.
        chooses: what reads them chooses by validation examples, so that a task whose few examples were all trained on
            has the validation split of its file.
    """
    if not (draws := draws_of(run)):
        return tasks
    found = learned_rows(tasks, draws=draws, left_out=run.transfer.get("left_out", {}))  # earlier versions have none
    if not chooses:
        return found
    data = [own if len(own.valid) else replace(own, valid=tasks[name].valid) for name, own in found.items()]
    return TaskSet(name=found.name, data=data, truth=found.truth, loaded_with=found.loaded_with)


def draws_of(run: Run) -> list[Draw]:
    """Which tasks joined the graph of a run, one transfer after the other, and how many of their examples."""
    if not (run.folder / "transfer.json").is_file():
        return []
    how = run.transfer
    return [*how.get("before", []), Draw(new=how["new"], examples=how["examples"], draw=how["draw"])]


def load_fitted_tasks(run: Run) -> TaskSet:
    """:func:`load_tasks_again`, with the training split that the run's last model was trained on."""
    tasks, answers = load_tasks_again(run), run.answers
    tasks = tasks if answers is None else with_answers(tasks, answers)
    return train_with_valid(tasks, names) if (names := refitted(run, tasks)) else tasks


def refitted(run: Run, tasks: Iterable[str]) -> list[str]:
    """The tasks whose validation split the run has learned too, with ``--refit-on-valid``, or the run it began with."""
    if run.options.refit_on_valid:
        return [*tasks]
    return run.transfer.get("refitted", []) if (run.folder / "transfer.json").is_file() else []


def note_learned(run: Run, split: str, tasks: Iterable[str]) -> None:
    """Says so where the split that is read was learned, though it is the validation split."""
    if split == "valid" and (learned := refitted(run, tasks)):
        note(f"the validation split was learned too (--refit-on-valid), of {', '.join(learned)}")


def all_splits(data: Mapping[str, EncodedTask]) -> Iterator[EncodedSplit]:
    """Every split of every task."""
    return (split for task in data.values() for split in task.splits.values())


def read_frozen_once(
    model: MultiTaskModel, splits: Iterable[EncodedSplit], *, tell: bool = True, progress: bool = True
) -> None:
    """Lets the frozen layers of a transformer read texts once; of several processes the first does so.

    See :func:`~graphmtl.models.lower_states.keep_lower_states`.
    """
    state = PartialState()
    main: bool = state.is_main_process
    with state.main_process_first():
        keep_lower_states(model, splits, tell=tell and main, progress=progress and main)


def say_truncated(data: Mapping[str, EncodedTask], say: Callable[[str], Any]) -> None:
    """How many texts of each task are read in part only."""
    say_cut_texts({name: [*task.splits.values()] for name, task in data.items()}, say)


def say_cut_texts(splits: Mapping[str, Sequence[EncodedSplit]], say: Callable[[str], Any]) -> None:
    """:func:`say_truncated`, of some splits by the task's name, or the corpus's."""
    found, units = {}, set()
    for name, own in splits.items():
        cut, texts = sum(split.truncated for split in own), sum(len(split.text_lengths) for split in own)
        if cut:
            found[name] = f"{name} {cut:,} of {texts:,} ({cut / texts:.1%})"
            units |= {"words" if split.subwords is None else "pieces" for split in own}
    if found:
        say(f"texts cut to the {' or '.join(sorted(units))} that are read (--max-length): {', '.join(found.values())}")


def say_unknown(data: Mapping[str, EncodedTask], say) -> None:
    """The share of unknown tokens in each task's validation and test split, and a warning where it is high."""
    found = _unknown(data)
    if not found:
        return
    listed = ", ".join(f"{name} {100 * valid:.1f} / {100 * test:.1f}" for name, (valid, test) in found.items())
    listed = f"unknown tokens of validation / test in %: {listed}"
    say(textwrap.fill(listed, width=80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    for line in many_unknown(data):
        say(f"warning: {line}")


def _unknown(data: Mapping[str, EncodedTask]) -> dict[str, tuple[float, float]]:
    """The share of unknown tokens in the validation and the test split of each task that is read by words."""
    shares = {name: (task.valid.unknown, task.test.unknown) for name, task in data.items()}
    return {name: (own[0] or 0.0, own[1] or 0.0) for name, own in shares.items() if own != (None, None)}


def many_unknown(data: Mapping[str, EncodedTask]) -> Iterator[str]:
    """A line where there are tasks of which more than a quarter of the tokens are unknown."""
    many = [name for name, own in _unknown(data).items() if max(own) > _MANY_UNKNOWN]
    if many:
        yield (
            f"more than {_MANY_UNKNOWN:.0%} of the tokens are unknown in {', '.join(many)}, and nothing was "
            "learned of them; what helps: more training texts, --embeddings FILE, --chars cnn, or, where texts are no "
            "lists of tokens, --tokenizer characters"
        )


def remarks(tasks: TaskSet, data: Mapping[str, EncodedTask]) -> dict[str, Any]:
    """What a reader of the scores should know of the data, the content of ``remarks.json``.

    Returns:
        ``overlap``, the counts of :class:`~graphmtl.data.overlap.Overlap` of every corpus, and ``lines``: rows and
        tokens without a label, training texts that are left out, texts that are cut, and tasks with many tokens that
        are unknown.
    """
    lines = [*left_out(tasks)]
    say_truncated(data, lines.append)
    overlap = {corpus: asdict(counts) for corpus, counts in tasks.overlap.items()}
    return {"overlap": overlap, "lines": [*lines, *many_unknown(data)]}


def left_out(tasks: TaskSet) -> Iterator[str]:
    """A line for each task with rows or tokens that have no label, and for each corpus that has lost many texts."""
    for name, data in tasks.items():
        if counts := data.unlabelled:
            each = ", ".join(f"{split} {count}" for split, count in counts.items())
            yield f"{name}: {sum(counts.values())} rows without a label are not learned ({each})"
        if some := {split: count for split, (count, _) in data.untagged.items() if count}:
            each, total = ", ".join(f"{k} {n:,}" for k, n in some.items()), sum(n for _, n in data.untagged.values())
            yield f"{name}: {sum(some.values()):,} of {total:,} tokens have no tag and are not learned ({each})"
    for corpus, rows in {data.corpus: len(data.train) for data in tasks.values()}.items():
        dropped, beyond = tasks.overlap[corpus].dropped, tasks.overlap[corpus].beyond
        if beyond:
            yield f"{corpus}: {rows + dropped:,} of {rows + dropped + beyond:,} training texts are taken (--max-train)"
        if dropped > rows:
            yield (
                f"{corpus}: {dropped} of {rows + dropped} training texts are left out, more than half, since they "
                "stand in the validation or test split of another task (--keep-overlap keeps them)"
            )
