"""Training of the tasks that join a trained graph; `graphmtl.training.transfer_run` makes a run of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed

from graphmtl.config import Options
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.data.raw_texts import texts_of_split
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import TaskData
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, unknown_name
from graphmtl.generators import generators_kept
from graphmtl.models.encoder import VocabularyOptions
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.new_tasks import FREEZE, STARTS, add_tasks, frozen_parameters, held, keep_frozen_states, old_blocks
from graphmtl.options import changed
from graphmtl.training.budget import budget
from graphmtl.training.building import learn_from_labels
from graphmtl.training.run import Run
from graphmtl.training.run_data import all_splits, read_frozen_once
from graphmtl.training.trainer import Trainer
from graphmtl.training.training_result import TrainingResult
from graphmtl.training.wide import fit_wide_parts
from graphmtl.training.wide_shares import choose_shares

__all__ = [
    "JOINING_LR",
    "UNUSED",
    "JoinedTraining",
    "TransferOptions",
    "options_for",
    "training_of_graph",
    "with_steps",
]

JOINING_LR = 1 / 3  # of the learning rate that the graph was trained with
UNUSED: dict[str, Any] = {  # options that mean nothing to a task that joins, and what they are
    "refit_on_valid": False,
    "self_training": None,
    "teachers": None,
    "teacher_outputs": None,
    "write_submission": None,
    "adversarial_weight": 0.0,  # no text of another task is read, from which one could be told
}


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How new tasks join a trained graph.

    Args:
        examples: labelled examples of each new task, validation included; None: its own splits as they are.
        draw: which ones, see :func:`~graphmtl.data.few_examples.draw_examples`.
        freeze: what of the trained graph stays as it was, a key of :data:`~graphmtl.models.new_tasks.FREEZE`.
        unfreeze_after: epochs after which the frozen LSTMs and common heads are trained too, and after as many more
            the encoder; 0: never.
        start: what a new task's own weights begin as, see :func:`~graphmtl.models.new_tasks.add_tasks`.
        steps: at least so many steps are trained, in more epochs where the options' epochs are fewer.

    Raises:
        InputError: a value that is not accepted.
    """

    examples: int | None
    draw: int
    freeze: str
    unfreeze_after: int
    start: str
    steps: int

    def __post_init__(self):
        if self.freeze not in FREEZE:
            raise unknown_name("--freeze", self.freeze, FREEZE)
        if self.start not in STARTS:
            raise unknown_name("--start", self.start, STARTS)
        for name in ("draw", "unfreeze_after", "steps"):
            if getattr(self, name) < 0:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag}: found {getattr(self, name)}, expected 0 or more")
        if self.unfreeze_after and not FREEZE[self.freeze]:
            raise InputError(f"--unfreeze-after {self.unfreeze_after}: with --freeze {self.freeze} nothing is frozen")


def options_for(run: Run) -> Options:
    """The options of a run as those of a transfer from it.

    What the number of its texts chose (``--epochs 0``, ``--batch-size 0``) says nothing of the new tasks: they have
    eight epochs in batches of 32, and the steps of a transfer at least. No early stop, the epoch is chosen on the new
    tasks, and a third of the learning rate: at the whole one a trained graph forgets (with 100 reviews of music joining
    a star of the other 15 domains, three draws: 82.8 against 81.3, and 82.8 without any; a tenth and a thirtieth were
    as good as a third).
    """
    given = run.options
    of_graph = training_of_graph(run)
    training: dict[str, Any] = {"epochs": of_graph["epochs"] or 8, "batch_size": given.texts_at_once}
    training |= {"select_by": "mean", "patience": 0, "lr": of_graph["lr"] * JOINING_LR, **UNUSED}
    return changed(run.options, **training, control="auto", output=None, resume=False, overwrite=False)


def training_of_graph(run: Run) -> dict[str, Any]:
    """With which ``lr`` and for how many ``epochs`` a run's graph was trained, before any tasks joined it."""
    if not (run.folder / "transfer.json").is_file():
        return {"lr": run.options.lr, "epochs": run.options.epochs}
    return run.transfer.get("graph", {"lr": run.options.lr / JOINING_LR, "epochs": run.options.epochs})


class JoinedTraining:
    """The training of new tasks in a model that has them and the old ones.

    Args:
        old: the trained model.
        data: the new tasks.
        transfer: how they join.
        options: of the training.
        folder: for what resuming needs; None writes nothing.
    """

    @generators_kept()
    def __init__(
        self,
        *,
        old: MultiTaskModel,
        data: Mapping[str, TaskData],
        transfer: TransferOptions,
        options: Options,
        folder: Path | None = None,
    ):
        set_seed(options.seed)
        tasks, words = [each.task for each in data.values()], _words(data, old.vocabulary, options)
        how = {field.name: getattr(options, field.name) for field in fields(options) if field.metadata["trains"]}
        self.model = add_tasks(old, tasks, words=words, start=transfer.start, trained_with=how)
        learn_from_labels(self.model, data)
        self.data = encode_tasks(data, self.model.vocabulary, self.model.options)
        self.linear = fit_wide_parts(self.model, self.data, seed=options.seed, measured=folder is not None)
        self.options = with_steps(options, self.data, transfer.steps)
        self._blocks = old_blocks(self.model, old, transfer.freeze)
        self._waits = transfer.unfreeze_after
        frozen = frozen_parameters(self.model, old, transfer.freeze)
        until = [(self._waits * i, own) for i, own in enumerate(_in_order_of_unfreezing(frozen), 1)]
        if not self._waits:
            for parameter in chain.from_iterable(frozen.values()):
                parameter.requires_grad_(False)
            if transfer.freeze == "all-but-new":
                keep_frozen_states(self.model, [*self.data])
        self.trainer = Trainer(
            model=self.model, data=self.data, options=self.options, folder=folder, frozen_until=until
        )

    @property
    def keep_epochs(self) -> int | None:
        """The last epoch where a task has no validation examples to select one by, else None."""
        chosen = all(task.labelled("valid") for task in self.data.values())
        return None if chosen else self.options.epochs

    def train(self, *, resume: bool = False) -> TrainingResult:
        """Trains the new tasks."""
        read_frozen_once(self.model, all_splits(self.data), tell=False, progress=self.options.progress)
        with held(self._blocks, lambda: not self._waits or self.trainer.epoch <= self._waits):
            result = self.trainer.train(resume=resume, keep_epochs=self.keep_epochs)
        choose_shares(self.model, partial(self.trainer.predict_split, "valid"), self.data)
        self.model.frozen_states = None
        return result


def _words(data: Mapping[str, TaskData], known: Vocabulary | SubwordVocabulary, options: Options) -> list[str]:
    """The words of the training texts that the vocabulary does not have; a transformer has pieces for all words."""
    if isinstance(known, SubwordVocabulary) or not isinstance(options, VocabularyOptions):
        return []
    columns = (texts_of_split(each.train) for each in data.values())
    texts = chain.from_iterable(chain.from_iterable(columns))
    vocabulary = Vocabulary.build(texts, min_count=options.min_count, tokenizer=known.tokenizer)
    return [word for word in vocabulary.words if word not in known]


def _in_order_of_unfreezing(frozen: Mapping[str, Sequence[torch.nn.Parameter]]) -> list[list[torch.nn.Parameter]]:
    """What stands nearest to the heads first, the encoder last; a part that is not frozen does not count."""
    graph = [parameter for part, own in frozen.items() if part != "encoder" for parameter in own]
    return [own for own in (graph, [*frozen.get("encoder", ())]) if own]


def with_steps(options: Options, data: Mapping[str, EncodedTask], steps: int) -> Options:
    """The options with as many epochs as so many steps take, or as there were if those are more."""
    own = budget({task.corpus: len(task.train) for task in data.values()}.values(), options)
    updates = -(-own.batches // options.accumulate)  # of an epoch
    return replace(options, epochs=max(own.epochs, -(-steps // max(updates, 1))))
