"""What differs between the rows of a comparison, per task and over all, and by how much more than chance."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from graphmtl.analysis.holm import holm
from graphmtl.comparison.bootstrap import Difference, differences, drawn_scores, is_defined, mean_scores
from graphmtl.comparison.examples import Pool, pools
from graphmtl.comparison.rows import Row
from graphmtl.data.task import Task
from graphmtl.errors import InputError, unknown_name
from graphmtl.kinds.scored import ScoredKind
from graphmtl.metrics.named import METRICS, is_own
from graphmtl.metrics.probabilities import ece
from graphmtl.training.evaluation import Predictions
from graphmtl.training.example_sums import ExampleSums, sums_of
from graphmtl.training.results import mean_of_first_metrics

__all__ = ["MAJORITY", "Compared", "Differences", "Summary", "TaskDifference"]

MAJORITY = "majority"  # the row that answers the most frequent label, or the mean
_BEYOND_CHANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class TaskDifference:
    """A task's difference of two rows.

    Attributes:
        found: in points.
        corrected: its probability by chance, corrected for the number of tasks (Holm).
        share: the difference as a share of the distance from the majority's score to 1, percent; None: not known.
    """

    found: Difference
    corrected: float
    share: float | None

    @property
    def beyond_chance(self) -> bool:
        return self.corrected < _BEYOND_CHANCE

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``within chance``."""
        if not self.beyond_chance:
            return "within chance"
        return "better" if self.found.mean > 0 else "worse"


@dataclass(frozen=True, kw_only=True)
class Differences:
    """One row against another.

    Attributes:
        ours: the one's name.
        theirs: the other's.
        tasks: each task that both have.
        mean: of the mean score, in points; None: a task is missing, or the first metrics differ.
        mean_dedup: the same on test texts that no training split has.
        mean_share: of the mean normalised score, in percent; None: the majority's scores are not known.
    """

    ours: str
    theirs: str
    tasks: dict[str, TaskDifference]
    mean: Difference | None
    mean_dedup: Difference | None
    mean_share: Difference | None

    def which(self, verdict: str) -> list[str]:
        """The tasks of which the verdict is this."""
        return [name for name, own in self.tasks.items() if own.verdict == verdict]

    @property
    def worst(self) -> tuple[str, TaskDifference]:
        """The task with the lowest difference."""
        return min(self.tasks.items(), key=lambda item: item[1].found.mean)

    @property
    def overall(self) -> Difference | None:
        """Of the mean score, or where the first metrics differ of the mean normalised one."""
        return self.mean if self.mean is not None else self.mean_share


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is said of a row alone.

    Attributes:
        scores: of each task, with each seed, from 0 to 1.
        valid: the mean validation score with each seed, of the same tasks as ``test``.
        test: the mean test score with each seed; None: a task is missing, or the first metrics differ.
        dedup: the same on test texts that no training split has.
        share: the mean normalised score with each seed.
        calibration: the mean calibration error over those that have probabilities, with each seed.
        parameters: of the model.
        minutes: of training, with validation after every epoch, the mean over seeds.
        epochs: the best ones, of every seed, or the first and the last over tasks.
    """

    scores: dict[str, list[float]]
    valid: list[float] | None
    test: list[float] | None
    dedup: list[float] | None
    share: list[float] | None
    calibration: list[float] | None
    parameters: int | None
    minutes: float | None
    epochs: list[str] = field(default_factory=list)


class Compared:
    """Rows that were scored on the same test examples.

    Args:
        rows: what is compared.
        seeds: the seeds.
        against: the name of the row that the others are compared with; None: ``single``, or the first.

    Raises:
        InputError: there is no such row, or rows have other test examples.
    """

    def __init__(self, rows: Sequence[Row], *, seeds: Sequence[int], against: str | None = None):
        self.rows = {row.name: row for row in rows}
        if len(self.rows) < len(rows):
            names = [row.name for row in rows]
            raise InputError(f"two rows are called {max(names, key=names.count)}; --variant gives one another name")
        if against is not None and against not in self.rows:
            raise unknown_name("row of --against", against, self.rows)
        self.seeds = [*seeds]
        trained = [row.name for row in rows if not row.is_baseline]
        alone = next((row.name for row in rows if row.arch == "single"), trained[0])
        self.against = against or alone
        self.tasks = {name: task for row in rows for own in row.answers for name, (task, _) in own.items()}
        self._known: dict[tuple[str, str], Differences] = {}
        self._check_same_examples()

    @property
    def others(self) -> list[str]:
        """All rows but the one that they are compared with; what was trained stands first."""
        names = [name for name in self.rows if name != self.against]
        return sorted(names, key=lambda name: self.rows[name].is_baseline)

    @property
    def trained(self) -> list[str]:
        """The others without baselines."""
        return [name for name in self.others if not self.rows[name].is_baseline]

    @cached_property
    def metrics(self) -> dict[str, str]:
        """The first metric of every task."""
        return {name: task.metrics[0] for name, task in self.tasks.items()}

    @property
    def one_metric(self) -> bool:
        """All tasks are measured by the same, so that a mean over tasks says something."""
        return len({self.metrics[name] for name in self.in_mean}) == 1

    @cached_property
    def in_mean(self) -> list[str]:
        """The tasks that count in the mean over tasks."""
        known = {name: task for name, task in self.tasks.items() if name not in self._left_out}
        return [name for name, task in known.items() if task.in_mean] or [*known]

    @cached_property
    def undefined(self) -> dict[str, list[str]]:
        """The tasks whose first metric is undefined on the test split, or on most draws of its examples, for some rows.

        So is the area under the ROC curve where all labels are the same. A row has no score of the task then, and where
        it was trained the task is in no difference and in no mean.
        """
        found = {name: [row for row, x in own.items() if not is_defined(x)] for name, own in self._all_drawn.items()}
        return {name: rows for name, rows in found.items() if rows}

    @property
    def _left_out(self) -> list[str]:
        return [name for name, rows in self.undefined.items() if any(not self.rows[row].is_baseline for row in rows)]

    @property
    def cut_short(self) -> list[str]:
        """The rows of which a run, of ``single`` that of a task, was best in the last epoch that it was given."""
        return [name for name, row in self.rows.items() if any(own.get("cut_short") for own in row.metrics)]

    def sizes(self, task: str) -> tuple[int | None, int]:
        """Training and test examples of a task; the former are not known where nothing was trained on it."""
        trained = [row.metrics[0]["tasks"][task]["n_train"] for row in self.rows.values() if row.metrics]
        tested = next(own[task][1] for row in self.rows.values() for own in row.answers if task in own)
        return (trained[0] if trained else None), len(tested)

    def _predictions(self, row: Row, task: str) -> list[Predictions]:
        """With each seed; nothing where the row does not answer the task."""
        return [own[task][1] for own in row.answers] if all(task in own for own in row.answers) else []

    def _check_same_examples(self) -> None:
        for task in self.tasks:
            by_row = {row.name: own for row in self.rows.values() if (own := self._predictions(row, task))}
            (first, theirs), *others = by_row.items()
            for name, ours in others:
                if not all(_same(a, b) for a, b in zip(ours, theirs, strict=True)):
                    raise InputError(f"task {task}: {name} was tested on other examples than {first}")

    @cached_property
    def _asked(self) -> dict[str, list[Predictions]]:
        """Of every task the examples, with each seed, as one of the rows answers them."""
        return {
            name: next(own for row in self.rows.values() if (own := self._predictions(row, name)))
            for name in self.tasks
        }

    @cached_property
    def _same_for_seeds(self) -> dict[str, bool]:
        return {name: all(_same(each, own[0]) for each in own) for name, own in self._asked.items()}

    @cached_property
    def _seen(self) -> dict[str, list[np.ndarray]]:
        """Of every task, with each seed, whose text a training split of any row has, (examples,) bool.

        A row that was trained with the validation split too (``--refit-on-valid``) has seen more than others.
        """
        answered = {name: [self._predictions(row, name) for row in self.rows.values()] for name in self.tasks}
        return {
            name: [np.any([each.seen for each in of_seed], axis=0) for of_seed in zip(*filter(None, rows), strict=True)]
            for name, rows in answered.items()
        }

    @property
    def saw_more(self) -> list[str]:
        """The rows that have learned from more of the test texts than others."""
        found = set()
        for task in self.tasks:
            counts = {
                row.name: [each.seen.sum() for each in self._predictions(row, task)] for row in self.rows.values()
            }
            least = np.min([own for own in counts.values() if own], axis=0)  # (seeds,)
            found |= {name for name, own in counts.items() if own and (own > least).any()}
        return [name for name in self.rows if name in found]

    @cached_property
    def _sums(self) -> dict[str, dict[str, list[ExampleSums]]]:
        """Of every task and row that answers it what the score is made of, with each seed."""
        return {
            name: {
                row.name: [replace(sums_of(task, a), seen=b) for a, b in zip(own, self._seen[name], strict=True)]
                for row in self.rows.values()
                if (own := self._predictions(row, name))
            }
            for name, task in self.tasks.items()
        }

    @cached_property
    def _pools(self) -> dict[str, list[Pool]]:
        """What the test examples of every task are drawn from, with each seed."""
        texts = {name: [_known(name, each) for each in own] for name, own in self._asked.items()}
        return pools(texts, same=self._same_for_seeds)

    @cached_property
    def _all_drawn(self) -> dict[str, dict[str, np.ndarray]]:
        """Of every task and row the scores, whole and drawn, (1 + draws, seeds)."""
        return {name: drawn_scores(own, self._pools[name]) for name, own in self._sums.items()}

    @cached_property
    def _drawn(self) -> dict[str, dict[str, np.ndarray]]:
        """The same where there is a score."""
        return {
            name: {row: scores for row, scores in own.items() if row not in self.undefined.get(name, [])}
            for name, own in self._all_drawn.items()
            if name not in self._left_out
        }

    @cached_property
    def _drawn_dedup(self) -> dict[str, dict[str, np.ndarray]]:
        """The same on unseen texts, of the tasks that have some and that are in the mean."""
        unseen = {
            name: {row: [each.unseen() for each in self._sums[name][row]] for row in self._drawn[name]}
            for name in self.in_mean
        }
        unseen = {name: own for name, own in unseen.items() if all(map(len, next(iter(own.values()))))}
        if not any(each.any() for own in self._seen.values() for each in own):
            return {name: self._drawn[name] for name in unseen}
        drawn = {name: drawn_scores(own, self._unseen_of(name)) for name, own in unseen.items()}
        return {name: own for name, own in drawn.items() if all(map(is_defined, own.values()))}

    def _unseen_of(self, task: str) -> list[Pool]:
        """What the unseen ones are drawn from: the same draws as of all."""
        return [pool.only(~seen) for pool, seen in zip(self._pools[task], self._seen[task], strict=True)]

    @cached_property
    def floor(self) -> dict[str, np.ndarray]:
        """The majority's score of every task of which 1 is perfect, with each seed, (seeds,)."""
        return {
            name: own[MAJORITY][0]
            for name, own in self._drawn.items()
            if MAJORITY in own and not is_own(self.metrics[name]) and (own[MAJORITY][0] < 1).all()
        }

    def _means(self, drawn: Mapping[str, Mapping[str, np.ndarray]], *rows: str) -> list[np.ndarray] | None:
        """The mean score of each row, (1 + draws, seeds)."""
        counted = [own for name, own in drawn.items() if name in self.in_mean]
        if not counted or not self.one_metric or not all(row in own for own in counted for row in rows):
            return None
        return mean_scores([[own[row] for row in rows] for own in counted])

    def _mean_shares(self, *rows: str) -> list[np.ndarray] | None:
        """The mean normalised score of each row, (1 + draws, seeds), of rows that answer all tasks."""
        names = self.in_mean
        if not names or not all(name in self.floor and row in self._drawn[name] for name in names for row in rows):
            return None
        floor, drawn = self.floor, self._drawn
        return mean_scores([[(drawn[name][row] - floor[name]) / (1 - floor[name]) for row in rows] for name in names])

    def differences(self, ours: str, theirs: str) -> Differences:
        """One row against another."""
        if (ours, theirs) not in self._known:
            self._known[ours, theirs] = self._differences(ours, theirs)
        return self._known[ours, theirs]

    def _differences(self, ours: str, theirs: str) -> Differences:
        common = [name for name, own in self._drawn.items() if ours in own and theirs in own]
        pairs = {name: (self._drawn[name][ours], self._drawn[name][theirs]) for name in common}
        found = {name: own.times(100) for name, own in differences(pairs).items()}
        corrected = holm([each.p for each in found.values()])
        tasks = {
            name: TaskDifference(found=own, corrected=p, share=self._share(name, ours, theirs))
            for (name, own), p in zip(found.items(), corrected, strict=True)
        }
        means = [
            _of_means(self._means(self._drawn, ours, theirs)),
            _of_means(self._means(self._drawn_dedup, ours, theirs)),
            _of_means(self._mean_shares(ours, theirs)),
        ]
        return Differences(
            ours=ours, theirs=theirs, tasks=tasks, mean=means[0], mean_dedup=means[1], mean_share=means[2]
        )

    def _share(self, task: str, ours: str, theirs: str) -> float | None:
        if task not in self.floor:
            return None
        gain = self._drawn[task][ours][0] - self._drawn[task][theirs][0]  # (seeds,)
        return float(100 * np.mean(gain / (1 - self.floor[task])))

    @cached_property
    def to_reference(self) -> dict[str, Differences]:
        """Every other row against the one that all are compared with."""
        return {name: self.differences(name, self.against) for name in self.others}

    def summary(self, name: str) -> Summary:
        """What is said of a row alone."""
        row = self.rows[name]
        means = [self._means(self._drawn, name), self._means(self._drawn_dedup, name), self._mean_shares(name)]
        test, dedup, share = (None if each is None else each[0][0].tolist() for each in means)
        counted = [{name: own["tasks"][name] for name in self.in_mean} for own in row.metrics]
        means_of_valid = [mean_of_first_metrics(tasks, "valid") for tasks in counted]
        valid = [mean for mean in means_of_valid if mean is not None]
        return Summary(
            scores={task: own[name][0].tolist() for task, own in self._drawn.items() if name in own},
            valid=valid if valid and len(valid) == len(counted) and self.one_metric else None,
            test=test,
            dedup=dedup,
            share=share,
            calibration=self._calibration(row),
            parameters=row.metrics[0]["parameters"] if row.metrics else None,
            minutes=float(np.mean([own["train_seconds"] for own in row.metrics])) / 60 if row.metrics else None,
            epochs=[_epoch(own["best_epoch"]) for own in row.metrics],
        )

    def _calibration(self, row: Row) -> list[float] | None:
        found = [[_ece(*own[name]) for name in self.in_mean if name in own] for own in row.answers]
        known = [[value for value in own if value is not None] for own in found]
        return [float(np.mean(own)) for own in known] if all(known) else None


def _of_means(means: list[np.ndarray] | None) -> Difference | None:
    """The difference of two means over tasks, each (1 + draws, seeds), where most draws have both."""
    if means is None or not is_defined(means[0] - means[1]):
        return None
    return differences({"mean": (means[0], means[1])})["mean"].times(100)


def _epoch(best: int | Mapping[str, int]) -> str:
    return str(best) if isinstance(best, int) else f"{min(best.values())} to {max(best.values())}"


def _known(task: str, predictions: Predictions) -> np.ndarray:
    """By which the texts are known, (examples,); of no other task where that was not asked."""
    if predictions.texts is not None:
        return predictions.texts
    return np.arange(len(predictions), dtype=np.uint64) + np.uint64(zlib.crc32(task.encode()) << 32)


def _same(a: Predictions, b: Predictions) -> bool:
    """Whether the texts and the right answers are the same, which those to other examples are not."""
    if a.texts is not None and b.texts is not None and not np.array_equal(a.texts, b.texts):
        return False
    if len(a) != len(b) or a.labels.dtype != object:
        return np.array_equal(a.labels, b.labels)
    return all(np.array_equal(x, y) for x, y in zip(a.labels, b.labels, strict=True))


def _ece(task: Task, predictions: Predictions) -> float | None:
    """None where answers have no probabilities, or none for each that there might be."""
    if predictions.probabilities is None or not isinstance(task.of_kind, ScoredKind) or not len(predictions):
        return None
    answered = task.of_kind.answered(predictions)
    return ece(answered) if answered.form in METRICS["ece"].forms else None
