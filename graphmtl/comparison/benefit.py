"""Does a run's picture say which task helps which? Gains that are measured, and who predicts them.

The gains of j for k, each from the same number of updates of k (:mod:`graphmtl.training.benefit_runs`):

- ``together``: training k with j alone, against training k alone.
- ``left_out``: training all tasks, against training all but j.

They are of the test split, the pictures of the validation split. The pictures are those of the trainings of all tasks,
one for each seed. What needs no graph is held beside them: the source's size, how alike the texts are, what the
gradients say during the training of all tasks, and how alike the trained tasks answer.

Then the graph is cut to the strongest sources of each task, by one picture or another, at random, or by the gains
themselves. An architecture with a topology is trained with those edges alone; with any other each task is trained with
its sources.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from graphmtl.analysis.benefit import (
    Ceiling,
    Choice,
    Prediction,
    chosen_by_other_seeds,
    noise_ceiling,
    predict,
    top_sources,
)
from graphmtl.analysis.faithfulness import true_edges
from graphmtl.analysis.holm import holm
from graphmtl.baselines.text_similarity import text_similarity
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError
from graphmtl.graph.edge import Edge
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.training.benefit_runs import BenefitRuns, Cell, Outcome
from graphmtl.training.run import Run

__all__ = ["NEEDS_NO_GRAPH", "Benefit", "Gains", "conclusion", "measure_benefit"]

NEEDS_NO_GRAPH = {
    "size": "size of the source",
    "tfidf": "TF-IDF cosine",
    "gradients": "gradient cosine",
    "look_ahead": "look-ahead (TAG)",
    "logits": "correlation of logits",
}
"""What is held beside the pictures, and what it is called."""

TOP = 2
"""Sources of each task that are left where the graph is cut."""

_BEYOND_CHANCE = 0.05
_NEAR = 0.8  # of the ceiling is about as much as noise allows
_WHAT = {"together": "which partner helps", "left_out": "which task is missed"}


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Gains of one way to measure them, and who predicts them.

    Attributes:
        values: (seeds, targets, sources), the fall of the negative log-likelihood per test text.
        ceiling: how far they can be predicted.
        guide: how good a partner the gains of other seeds choose.
        pictures: how far each picture of the model predicts them.
        without_graph: how far each of :data:`NEEDS_NO_GRAPH` does.
        truth: how far the true edges do, where they are known.
        conclusion: what all that comes to, in a sentence.
    """

    values: np.ndarray
    ceiling: Ceiling
    guide: Choice
    pictures: dict[str, Prediction]
    without_graph: dict[str, Prediction]
    truth: Prediction | None
    conclusion: str

    def to_json(self) -> dict:
        """As it stands in ``explanation.json``."""
        return {
            "conclusion": self.conclusion,
            "ceiling": asdict(self.ceiling),
            "guide": _choice(self.guide),
            "pictures": {name: _prediction(own) for name, own in self.pictures.items()},
            "without_graph": {name: _prediction(own) for name, own in self.without_graph.items()},
            "truth": None if self.truth is None else _prediction(self.truth),
            "gains": [[[None if np.isnan(x) else x for x in row] for row in own] for own in self.values.tolist()],
        }


@dataclass(frozen=True, kw_only=True)
class Benefit:
    """What was measured of a run's tasks.

    Attributes:
        arch: the architecture.
        tasks: their names, the order of rows and columns.
        seeds: those of the trainings.
        gains: ``together`` and ``left_out``.
        groups: of each way to cut the graph the mean over tasks of the test loss and of the first metric, with each
            seed; empty where there are too few tasks.
        texts: how many test texts each target has.
    """

    arch: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    gains: dict[str, Gains]
    groups: dict[str, dict[str, list[float]]]
    texts: tuple[int, ...]

    def graph(self) -> TaskGraph:
        """The gains of training together as a picture, the mean over seeds; ``std`` and ``count`` are of seeds."""
        values = self.gains["together"].values  # (seeds, targets, sources)
        edges = [
            Edge(
                source=self.tasks[j],
                target=self.tasks[k],
                weight=float(values[:, k, j].mean()),
                std=float(values[:, k, j].std(ddof=1)),
                count=len(self.seeds),
            )
            for k, j in permutations(range(len(self.tasks)), 2)
        ]
        return TaskGraph(arch=self.arch, tasks=self.tasks, split="test", seed=self.seeds[0], edges=tuple(edges))

    def to_json(self) -> dict:
        """As it stands in ``explanation.json``."""
        gains = {name: own.to_json() for name, own in self.gains.items()}
        return {"tasks": [*self.tasks], "seeds": [*self.seeds], **gains, "top": TOP, "groups": self.groups}


def _choice(choice: Choice | None) -> dict | None:
    return None if choice is None else {**asdict(choice), "regret": choice.regret, "share": choice.share}


def _prediction(prediction: Prediction) -> dict:
    return {**asdict(prediction), "choice": _choice(prediction.choice)}


def measure_benefit(
    run: Run, folder: Path, *, seeds: Sequence[int], jobs: int = 1, per_task: int = 500, probe: int = 100
) -> Benefit:
    """Trains what is missing, and says who predicts the gains.

    Args:
        run: a finished run, whose options all trainings have.
        folder: of the trainings.
        seeds: of the trainings, two or more.
        jobs: processes at once.
        per_task, probe: see :class:`~graphmtl.training.benefit_runs.BenefitRuns`.

    Raises:
        InputError: there are fewer than three tasks, or the folder holds other trainings.
    """
    names = tuple(run.metrics["tasks"])
    if len(names) < 3:
        raise InputError(f"{run.folder}: --benefit needs 3 tasks or more, of which one helps more than another")
    runs = BenefitRuns(run, folder, per_task=per_task, probe=probe)
    found = _Trained(runs, seeds, jobs)
    same = np.eye(len(names), dtype=bool)
    pictures = {
        name: np.stack([np.where(same, np.nan, own.pictures[name]) for own in found.whole])
        for name in found.whole[0].pictures
    }
    others = {"size": _sizes(runs.tasks), "tfidf": text_similarity(runs.tasks)[None]}
    others |= {name: pictures.pop(name) for name in NEEDS_NO_GRAPH if name in pictures}
    truth = None if runs.tasks.truth is None else true_edges(runs.tasks.truth, names)[None]
    gains = {name: _gains(name, own, pictures, others, truth) for name, own in found.gains().items()}
    return Benefit(
        arch=run.options.arch,
        tasks=names,
        seeds=tuple(seeds),
        gains=gains,
        groups=found.groups(pictures, others["tfidf"][0], gains["together"].values) if len(names) > TOP + 1 else {},
        texts=tuple(len(found.whole[0].losses[name]) for name in names),
    )


def _sizes(tasks: TaskSet) -> np.ndarray:
    """The training texts of each source, the same for all targets: (1, targets, sources)."""
    sizes = [float(len(own.train)) for own in tasks.values()]
    return np.tile(sizes, (1, len(sizes), 1))


def _gains(
    name: str,
    of_texts: Sequence[np.ndarray],
    pictures: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
) -> Gains:
    """What is said of gains: of each target (seeds, sources, texts)."""
    values = np.stack([own.mean(-1) for own in of_texts], 1)  # (seeds, targets, sources)
    means = values.mean(0)
    ceiling = noise_ceiling(of_texts)
    ours = {picture: predict(own, means) for picture, own in pictures.items()}
    theirs = {other: predict(own, means) for other, own in others.items()}
    return Gains(
        values=values,
        ceiling=ceiling,
        guide=chosen_by_other_seeds(values),
        pictures=ours,
        without_graph=theirs,
        truth=None if truth is None else predict(truth, means),
        conclusion=conclusion(_WHAT[name], ceiling, ours, theirs),
    )


def conclusion(
    what: str, ceiling: Ceiling, pictures: Mapping[str, Prediction], others: Mapping[str, Prediction]
) -> str:
    """What can be concluded, in a sentence; probabilities are corrected for the number of pictures (Holm).

    Args:
        what: is to be predicted, in words.
        ceiling: how far it can be.
        pictures: those of the model.
        others: what needs no graph, by the keys of :data:`NEEDS_NO_GRAPH`.
    """
    if ceiling.p_value is None:
        return f"so few tasks cannot tell whether a picture predicts {what}, or chance does"
    good, other = _predicting(pictures), _predicting(others)
    if good:
        name, found = good
        how = "about as well as the noise allows" if found >= _NEAR * ceiling.correlation else "in part"
        said = f"{_called(name)} predicts {what} {how} ({_of(found, ceiling)})"
        if other and other[1] >= found:
            return f"{said}; {_called(other[0])}, which needs no graph, does so too ({other[1]:.2f})"
        return said
    if ceiling.p_value >= _BEYOND_CHANCE:
        said = f"the gains agree no more between seeds than by chance, so no picture could show {what} here"
        return f"{said}; {_called(other[0])} does in part ({other[1]:.2f})" if other else said
    known = {name: own.within for name, own in pictures.items() if own.within is not None}
    best = max(known, key=lambda name: known[name], default=None)
    said = f"no picture predicts {what} here"
    said += "" if best is None else f" (the best, {_called(best)}, {_of(known[best], ceiling)})"
    if other:
        return f"{said}: use {_called(other[0])} ({other[1]:.2f})"
    return f"{said}, nor does what needs no graph"


def _of(within: float, ceiling: Ceiling) -> str:
    """A correlation beside the most that can be expected."""
    most = ceiling.correlation
    return f"{within:.2f} of {most:.2f}" if within <= most else f"{within:.2f}, the ceiling estimated as {most:.2f}"


def _predicting(found: Mapping[str, Prediction]) -> tuple[str, float] | None:
    """The picture that correlates most with the gains, of those that do so by more than chance."""
    known = [(name, own.within, own.p_value) for name, own in found.items()]
    tested = [(name, r, p) for name, r, p in known if r is not None and p is not None]
    corrected = holm([p for *_, p in tested])
    good = [(name, r) for (name, r, _), p in zip(tested, corrected, strict=True) if p < _BEYOND_CHANCE]
    return max(good, key=lambda each: each[1], default=None)


def _called(name: str) -> str:
    return NEEDS_NO_GRAPH.get(name, name.replace("_", ", "))


class _Trained:
    """The trainings, done where they are missing.

    Args:
        runs: of the folder.
        seeds: of the trainings.
        jobs: processes at once.

    Attributes:
        whole: the trainings of all tasks, one for each seed.
    """

    def __init__(self, runs: BenefitRuns, seeds: Sequence[int], jobs: int) -> None:
        self.runs, self.seeds, self.jobs = runs, [*seeds], jobs
        self.names = tuple(runs.tasks)
        groups = [*((name,) for name in self.names), *combinations(self.names, 2)]
        cells: list[Cell] = []
        for seed in seeds:
            cells += [self._whole(seed), *(self._of(own, seed) for own in groups)]
            cells += [self._without(name, seed) for name in self.names]
        self.found = self._train(cells)
        self.whole = [self.found[self._whole(seed)] for seed in seeds]

    def _train(self, cells: Sequence[Cell]) -> dict[Cell, Outcome]:
        return self.runs.train(cells, jobs=self.jobs)

    def _whole(self, seed: int) -> Cell:
        return Cell(name="all", tasks=self.names, seed=seed, pictures=True)

    def _of(self, names: Sequence[str], seed: int) -> Cell:
        """Of some tasks."""
        own = tuple(name for name in self.names if name in names)
        return Cell(name="+".join(own), tasks=own, seed=seed)

    def _without(self, name: str, seed: int) -> Cell:
        own = tuple(other for other in self.names if other != name)
        return Cell(name=f"all-without-{name}", tasks=own, seed=seed)

    def gains(self) -> dict[str, list[np.ndarray]]:
        """Of each target the gains (seeds, sources, texts), nan of itself."""

        def together(target: str, source: str, seed: int) -> tuple[Cell, Cell]:
            return self._of([target], seed), self._of([source, target], seed)

        def left_out(_target: str, source: str, seed: int) -> tuple[Cell, Cell]:
            return self._without(source, seed), self._whole(seed)

        return {"together": self._falls(together), "left_out": self._falls(left_out)}

    def _falls(self, cells: Callable[[str, str, int], tuple[Cell, Cell]]) -> list[np.ndarray]:
        """How much lower each target's losses are in the second of two trainings: (seeds, sources, texts) each."""

        def fall(target: str, source: str, seed: int) -> np.ndarray:
            if source == target:
                return np.full_like(self.whole[0].losses[target], np.nan)
            before, after = (self.found[cell].losses[target] for cell in cells(target, source, seed))
            return before - after

        return [
            np.array([[fall(target, source, seed) for source in self.names] for seed in self.seeds])
            for target in self.names
        ]

    def groups(
        self, pictures: Mapping[str, np.ndarray], similar: np.ndarray, gains: np.ndarray
    ) -> dict[str, dict[str, list[float]]]:
        """What the graphs come to that are cut to the strongest sources; see :class:`Benefit`."""
        drawn = "affinity" if "affinity" in pictures else "attention"
        ways: dict[str, list[np.ndarray]] = {
            name: [*pictures[name]] for name in dict.fromkeys((drawn, "ablation")) if name in pictures
        }
        missing = np.where(np.eye(len(similar)), np.nan, 0.0)  # (targets, sources)
        ways["tfidf"] = [missing + similar] * len(self.seeds)
        ways["random"] = [missing + np.random.default_rng([seed, 0x6A]).random(missing.shape) for seed in self.seeds]
        ways["gains"] = [gains.mean(0)] * len(self.seeds)
        cells = {
            name: [self._cut(own, seed) for own, seed in zip(way, self.seeds, strict=True)]
            for name, way in ways.items()
        }
        cells["all"] = [{name: self._whole(seed) for name in self.names} for seed in self.seeds]
        cells["alone"] = [{name: self._of([name], seed) for name in self.names} for seed in self.seeds]
        self.found |= self._train([cell for way in cells.values() for own in way for cell in own.values()])
        return {name: self._means(way) for name, way in cells.items()}

    def _cut(self, picture: np.ndarray, seed: int) -> dict[str, Cell]:
        """The training from which each target is taken."""
        sources = {
            target: [self.names[j] for j in own]
            for target, own in zip(self.names, top_sources(picture, TOP), strict=True)
        }
        if not self.runs.has_topology:
            return {target: self._of([target, *own], seed) for target, own in sources.items()}
        edges = tuple((source, target) for target, own in sources.items() for source in own)
        name = f"edges-{sha256(str(edges).encode()).hexdigest()[:16]}"
        return dict.fromkeys(self.names, Cell(name=name, tasks=self.names, seed=seed, edges=edges))

    def _means(self, way: Sequence[Mapping[str, Cell]]) -> dict[str, list[float]]:
        found = [{name: self.found[cell] for name, cell in own.items()} for own in way]
        return {
            "loss": [float(np.mean([own.losses[name].mean() for name, own in each.items()])) for each in found],
            "score": [float(np.nanmean([own.scores[name] for name, own in each.items()])) for each in found],
        }
