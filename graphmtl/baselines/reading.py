"""All baselines of a task set, learned or found where they are kept."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tqdm import tqdm

from graphmtl.baselines.baseline import Baseline, baseline_class, held_out
from graphmtl.baselines.examples import Examples, Said
from graphmtl.baselines.kept import digest_of, read_said, write_said
from graphmtl.baselines.words import Words
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.task import TaskSet
from graphmtl.errors import note
from graphmtl.registry import BASELINES, name_of
from graphmtl.training.evaluation import Predictions
from graphmtl.verbosity import detail, is_quiet

__all__ = ["read_baselines"]


def read_baselines(
    tasks: TaskSet, *, folder: Path, seed: int, names: Iterable[str] | None = None, progress: bool = False
) -> dict[str, dict[str, dict[str, Predictions]]]:
    """What the baselines predict for a task set.

    A task that a baseline cannot do is not among its predictions, and that is said.

    Args:
        tasks: the tasks and their data.
        folder: where what was predicted is kept, and found again by who has the same data.
        seed: of whatever a baseline draws.
        names: of the baselines, by default all of the registry; one from outside is ``module:Class``.
        progress: whether to show a bar where it takes long.

    Returns:
        ``{name: {split: {task: predictions}}}``, of the splits ``valid``, ``test`` and other test splits. They are of
        the form of a model's: of the examples that have a label, in the split's order.

    Raises:
        InputError: there is no such baseline.
    """
    classes = {name: baseline_class(name) for name in (BASELINES if names is None else names)}
    reader = _Reader(tasks, folder, seed, progress=progress)
    return {name: reader.read(name, kind()) for name, kind in classes.items()}


class _Reader:
    """Reads baselines of one task set; what several of them ask for is made once."""

    def __init__(self, tasks: TaskSet, folder: Path, seed: int, *, progress: bool):
        self._tasks, self._folder, self._seed, self._progress = tasks, folder, seed, progress
        self._fingerprint = fingerprint(tasks)["tasks"]
        self._words = Words()
        self._examples: dict[str, dict[str, Examples]] = {}  # by task and split

    def read(self, name: str, baseline: Baseline) -> dict[str, dict[str, Predictions]]:
        """The predictions of a baseline by split and task."""
        refusals = {task: baseline.refusal(own) for task, own in self._tasks.tasks.items()}
        for task, why in refusals.items():
            if why is not None:
                note(f"baseline {name}: task {task!r} has none: {why}")
        can = {task: own for task, own in self._tasks.tasks.items() if refusals[task] is None}
        found: dict[str, dict[str, Predictions]] = {}
        groups = baseline.groups(can)
        hidden = is_quiet() or not self._progress
        for group in tqdm(groups, desc=f"baseline {name}", unit="model", delay=2, disable=hidden, leave=False):
            alone = baseline.alone if len(group) == 1 else None
            for split, own in self._group(group, baseline if alone is None else alone()).items():
                predictions = {task: self._examples[task][split].predictions(said) for task, said in own.items()}
                found.setdefault(split, {}).update(predictions)
        return {split: {task: own[task] for task in can if task in own} for split, own in found.items()}

    def _group(self, group: tuple[str, ...], baseline: Baseline) -> Mapping[str, Mapping[str, Said]]:
        kind = name_of(type(baseline))
        digest = digest_of(kind, self._seed, [self._known(task) for task in group])
        path = self._folder / f"{kind.rpartition(':')[2]}-{digest[:24]}.npz"
        said = read_said(path, digest, held_out({task: self._splits(task, training=False) for task in group}))
        if said is None:
            detail(f"{kind.rpartition(':')[2]} learns {', '.join(group)}")
            examples = {task: self._splits(task, training=True) for task in group}
            said = baseline.fit(examples, self._words, seed=self._seed)
            write_said(path, digest, said)
        return said

    def _splits(self, task: str, *, training: bool) -> dict[str, Examples]:
        """The examples of each split, of ``train`` only where they are asked for."""
        own = self._examples.setdefault(task, {})
        for split in self._tasks[task].splits:
            if split not in own and (training or split != "train"):
                own[split] = Examples(self._tasks[task], split)
        return own

    def _known(self, task: str) -> dict:
        """What the answers for a task depend on; not in which rows of a file its examples stand."""
        splits = {split: {**own, "rows": None} for split, own in self._fingerprint[task].items()}
        return {"task": self._tasks[task].task.to_dict(), "splits": splits}
