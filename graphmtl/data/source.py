"""Tasks and task sets as they are read, before anything is cut, labelled or cleaned."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphmtl.data.choices import Columns
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.submission_file import SubmissionFile
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

__all__ = ["Corpus", "Source", "SourceSet", "described"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """The rows that one or more tasks annotate: one cut for all of them.

    Args:
        name: its name; the seed of what is cut off goes by it.
        train: the training rows.
        valid: the validation rows, or how much to cut off the training rows: a share below 1 or a number.
        test: the test rows, or how much to cut off, likewise.
        texts: the columns that each of its tasks reads; equal texts stay on one side of a cut. The same whichever of
            the tasks a run has.
        stratify: the column of the labels by which a cut is stratified; None: by none.
        present: columns by whose having a label a cut is stratified too: each of the tasks has some on each side.
        missing: what stands in these columns in the place of a label that is not there.
        other_tests: further test splits by name, such as ``test_mismatched``.
        carried: columns of whole numbers that go with the texts into every split, as they are; no model sees them.
        together: what must stand on one side of a cut where that is more than equal texts: training texts to a key of
            each, as `cut` takes them.
    """

    name: str
    train: Table
    valid: Table | float
    test: Table | float
    texts: tuple[Columns, ...] = (("text",),)
    stratify: str | None = None
    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    other_tests: Mapping[str, Table] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    together: Callable[[Sequence[str]], list[str | None]] | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A task as it was read.

    Args:
        task: the task; ``label`` is the column of its labels, scores or tags, or ``# key`` for those in a comment.
            Where it has no ``labels``, they are those that the column declares, else those of the data, sorted.
        corpus: its rows. Tasks of one corpus that read the same columns are layers of the same texts.
        missing: what stands in the place of a label that is not there, beside nothing.
        scheme: the scheme of tags, ``none`` for tags that are no spans, and None to recognise it.
        class_weights: the weight of each label's examples in the loss, {name: weight}, or ``balanced``.
        default_metrics: the metrics are those of spans where the tags are spans, whatever the task says.
        names: names for labels, {label in the data: name}.
        submission: the files that a leaderboard takes.
        where: the place in a task file that describes it.
        unlabelled: reads texts like the task's that have no label, where there are some.
    """

    task: Task
    corpus: Corpus
    missing: tuple[str, ...] = ()
    scheme: str | None = None
    default_metrics: bool = True
    class_weights: Mapping[str, float] | str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    submission: tuple[SubmissionFile, ...] = ()
    where: str = ""
    unlabelled: Callable[[], Sequence[str]] = tuple


@contextmanager
def described(source: Source) -> Iterator[None]:
    """A task whose labels in the data do not fit its description: the error names the place in its task file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source.where}: {error}" if source.where else str(error)) from None


@dataclass(frozen=True, kw_only=True)
class SourceSet:
    """A task set before its tasks are read.

    Args:
        name: its short name.
        sources: what reads each task; only the tasks of a run are read.
        truth: the known task graph, of generated sets.
    """

    name: str
    sources: Mapping[str, Callable[[], Source]]
    truth: PlantedTruth | None = None
