"""Tasks and task sets as they are read, before anything is cut, labelled or cleaned."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphmtl.data.column_files import Sentences
from graphmtl.data.examples import Examples
from graphmtl.data.task import PlantedTruth, SubmissionFile, Task
from graphmtl.errors import InputError

__all__ = ["Corpus", "Layer", "Source", "SourceSet", "described"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A task as it was read.

    Args:
        task: the task. Where it has no ``labels``, they are those that the file declares, else those of the training
            split, sorted (as numbers if all are whole numbers).
        train: the training examples.
        valid: the validation examples, or how many to cut off the training examples: a share below 1 or a number.
        test: the test examples, or how many to cut off, likewise.
        names: names for labels, {label in the data: name}.
        other_tests: further test splits of the same task by name, such as ``test_mismatched``.
        together: what must stand on one side of a cut: training texts to a key of each, as `cut` takes them; by default
            equal texts.
        corpus: sources with the same corpus are annotation layers of it: row i of each split is the same text in all.
        submission: the files that a leaderboard takes.
        where: the place in a task file that describes it.
    """

    task: Task
    train: Examples
    valid: Examples | float
    test: Examples | float
    names: Mapping[str, str] = field(default_factory=dict)
    other_tests: Mapping[str, Examples] = field(default_factory=dict)
    together: Callable[[Sequence[str]], list[str | None]] | None = None
    corpus: str | None = None
    submission: tuple[SubmissionFile, ...] = ()
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The sentences of a column corpus, which one or more tasks annotate.

    Args:
        name: its name; the seed of what is cut off goes by it.
        train: the training sentences.
        valid: the validation sentences, or how many to cut off the training sentences.
        test: the test sentences, or how many to cut off.
    """

    name: str
    train: Sentences
    valid: Sentences | float
    test: Sentences | float

    @property
    def key(self) -> tuple:
        """What tells it from other corpora of a run, also from those with its name."""
        return self.name, *(s if isinstance(s, int | float) else s.source for s in (self.train, self.valid, self.test))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An annotation layer of a column corpus: a task as it was read.

    Args:
        task: the task; ``label`` is the column of the tags, or ``# key`` for the label of a sentence. Where it has no
            ``labels``, they are those of all splits: published test splits have tags that training has not, and a tag
            that cannot be predicted must still count as an error.
        corpus: the sentences.
        scheme: the scheme of the tags, ``none`` for tags that are no spans, and None to recognise it.
        default_metrics: the metrics are those of spans where the tags are spans, whatever the task says.
        names: names for labels, {label in the data: name}.
        where: the place in a task file that describes it.
    """

    task: Task
    corpus: Corpus
    scheme: str | None = None
    default_metrics: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


@contextmanager
def described(source: Source | Layer) -> Iterator[None]:
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
    sources: Mapping[str, Callable[[], Source | Layer]]
    truth: PlantedTruth | None = None
