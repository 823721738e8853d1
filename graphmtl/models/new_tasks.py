r"""A new task joins a trained model: what it starts from, and what of the trained graph may change.

The new tasks stand behind the old ones, so that what was trained is the beginning of everything that grows: module
lists that have one module per task, rows of word embeddings, parameters with a row per task. All of it is copied, and
the old tasks answer as before: an old task does not read a new one.

The parts of a grown model, and what ``--freeze`` leaves as it was:

=============  ============================================================  ===========  ======  =======  ====
part           what it is                                                    all-but-new  shared  encoder  none
=============  ============================================================  ===========  ======  =======  ====
``encoder``    word embeddings (all rows), characters                        frozen       frozen  frozen
``shared``     what all tasks use: ``shared``'s LSTM, ``star``'s virtual     frozen       frozen
               node, common heads and layers below them
``task``       what belongs to the old tasks: LSTMs, heads                   frozen
``new``        the new tasks' own LSTMs and heads
=============  ============================================================  ===========  ======  =======  ====

Only the new tasks' texts are read in training. An old task's own part is then trained where a new task reads from it:
in ``complete`` and ``cross-stitch``. In ``shared`` and ``star`` it gets no gradient, and ``shared`` is the same as
``all-but-new``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from graphmtl.architectures.architecture import TopologyOptions
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.graph.topology import Topology
from graphmtl.layers.layer import names_of_own_starts
from graphmtl.models.frozen_states import FrozenStates
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.model_options import changed_model_options

__all__ = ["FREEZE", "STARTS", "add_tasks", "frozen_parameters", "held", "keep_frozen_states", "old_blocks", "parts"]

FREEZE = {
    "all-but-new": ("encoder", "shared", "task"),
    "shared": ("encoder", "shared"),
    "encoder": ("encoder",),
    "none": (),
}
"""The parts that each ``--freeze`` leaves as they were."""
STARTS = ("mean", "fresh")


def add_tasks(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    *,
    words: Iterable[str] = (),
    start: str = "mean",
    trained_with: Mapping[str, Any] | None = None,
) -> MultiTaskModel:
    """A model of the old tasks and new ones, in which the old ones give the same answers.

    Where tasks read from tasks, a new one reads from all others, and no old one from it.

    Args:
        model: the trained model; it stays as it is.
        tasks: the new tasks.
        words: words to be known besides the model's; they begin as the unknown word, for which they stood before.
        start: ``mean``: a new task's own weights are the mean of those of the old tasks that are alike, which are those
            with the same labels, or else of the same kind, or else all; a head's only with the same labels.
            ``fresh``: they are random, but what all tasks with the same labels have in common is shared.
        trained_with: options that say how a part is trained, where they are not the model's.

    Raises:
        InputError: the tasks of the model share nothing, they would read from a new one, or it has a task of that name.
    """
    if model.architecture.own_encoder_per_task:
        raise InputError(f"--arch {model.options.arch} has nothing to transfer: its tasks are separate models")
    if model.architecture.reads_new_tasks:
        raise InputError(f"--arch {model.options.arch} takes no new task: its old tasks would read from it, and change")
    for task in tasks:
        if task.name in model.tasks:
            raise InputError(f"task {task.name!r} is in the graph already (its tasks: {', '.join(model.tasks)})")
    options = model.options
    if isinstance(options, TopologyOptions):
        options = changed_model_options(options, topology=_topology(model, [task.name for task in tasks]))
    options = changed_model_options(options, **(trained_with or {}))
    vocabulary = model.vocabulary
    if isinstance(vocabulary, Vocabulary):
        vocabulary = vocabulary.extended(words)
    grown = MultiTaskModel(tasks=[*model.tasks.values(), *tasks], vocabulary=vocabulary, options=options)
    _check_declared(model, grown)
    with torch.no_grad():
        _copy(model, grown)
        if start == "mean":
            _start_from_mean(model, grown)
    return grown.train(model.training)


def _check_declared(model: MultiTaskModel, grown: MultiTaskModel) -> None:
    """Whether all that a new task brings is what the architecture says belongs to a task.

    Raises:
        InputError: a parameter has grown that it does not name.
    """
    before = dict(model.named_parameters())
    declared = {id(p) for modules in grown.task_modules() for module in modules for p in module.parameters()}
    common = (*grown.common_heads.parameters(), *grown.common_layers.parameters())
    declared |= {id(each) for each in (*grown.architecture.task_rows(), *common)}
    for name, parameter in grown.named_parameters():
        same = name in before and before[name].shape == parameter.shape
        if not (same or id(parameter) in declared or name.startswith("encoders.")):
            raise InputError(
                f"--arch {model.options.arch} takes no new task: {name} grows with the tasks, and neither "
                "task_modules() nor task_rows() of the architecture names it"
            )


def _topology(model: MultiTaskModel, new: Sequence[str]) -> str | None:
    """The old edges, and those from every other task to each new one."""
    old = model.architecture.topology
    if old is None:
        return None
    names = (*old.tasks, *new)
    edges = [(source, target) for target in new for source in names if source != target]
    return str(Topology(tasks=names, edges=(*old.edges, *edges)))


def _copy(model: MultiTaskModel, grown: MultiTaskModel) -> None:
    """Every old weight to its place; of heads what may be common, and then elsewhere, where its tasks look for it."""
    state = grown.state_dict()
    for name, weight in model.state_dict().items():
        if not name.startswith(("common_heads.", "common_layers.", "head_layers.")):
            _leading(state[name], weight.shape).copy_(weight)
    for encoder in grown.encoders:
        encoder.start_new_words(len(model.vocabulary))
    for k in range(len(model.tasks)):
        grown.layers_below(k).load_state_dict(model.layers_below(k).state_dict())
        old, common = model.common_head(k), grown.common_head(k)
        if old is not None:
            common.load_state_dict(old.state_dict())
        elif common is not None:  # the task had its labels to itself
            for parameter in common.parameters():
                parameter.zero_()


def _leading(weight: Tensor, shape: Sequence[int]) -> Tensor:
    """The first block of that shape."""
    return weight[tuple(slice(size) for size in shape)]


def _alike(model: MultiTaskModel, task: Task) -> list[int]:
    """The positions of the old tasks with the same labels, or else of the same kind, or else of all."""
    tasks = list(enumerate(model.tasks.values()))
    same_kind = [k for k, own in tasks if own.kind == task.kind]
    same_labels = [k for k in same_kind if tasks[k][1].labels == task.labels]
    return same_labels or same_kind or [k for k, _ in tasks]


def _start_from_mean(model: MultiTaskModel, grown: MultiTaskModel) -> None:
    """A new task's own weights become the mean of those of the tasks that are like it."""
    tasks = [*grown.tasks.values()]
    alike = {k: _alike(model, tasks[k]) for k in range(len(model.tasks), len(tasks))}
    for old, new in zip(model.task_modules(), grown.task_modules(), strict=True):
        for k, like in alike.items():
            same = [tasks[j].labels == tasks[k].labels and type(old[j]) is type(new[k]) for j in like]
            if new is not grown.heads or all(same):
                _take_mean(new[k], [old[j] for j in like])
    for before, after in zip(model.architecture.task_rows(), grown.architecture.task_rows(), strict=True):
        for k, like in alike.items():
            _leading(after[k], before.shape[1:]).copy_(before[like].mean(0))


def _take_mean(module: nn.Module, others: Sequence[nn.Module]) -> None:
    """The mean of others' weights, but for what starts at values of its own in each task."""
    own, states = names_of_own_starts(module), [other.state_dict() for other in others]
    for name, weight in module.state_dict().items():
        weights = [state[name] for state in states if name in state]
        if name not in own and weights and all(each.shape == weight.shape for each in weights):
            weight.copy_(torch.stack(weights).mean(0))


def parts(model: MultiTaskModel, old: MultiTaskModel) -> dict[str, str]:
    """The part of a grown model that each parameter belongs to: ``encoder``, ``shared``, ``task`` or ``new``."""
    first = len(old.tasks)
    found = {id(parameter): "encoder" for parameter in model.encoders.parameters()}
    found |= {id(row): "task" for row in model.architecture.task_rows()}
    for k, module in ((k, module) for modules in model.task_modules() for k, module in enumerate(modules)):
        found |= dict.fromkeys(map(id, module.parameters()), "task" if k < first else "new")
    used_by_old = {id(each) for k in range(first) for each in (model.common_head(k), model.layers_below(k))}
    for common in (*model.common_heads, *model.common_layers):
        found |= dict.fromkeys(map(id, common.parameters()), "shared" if id(common) in used_by_old else "new")
    return {name: found.get(id(parameter), "shared") for name, parameter in model.named_parameters()}


def frozen_parameters(model: MultiTaskModel, old: MultiTaskModel, freeze: str) -> dict[str, list[nn.Parameter]]:
    """The parameters of each part that ``freeze`` leaves as it was; those that grew are in :func:`old_blocks`."""
    chosen: dict[str, list[nn.Parameter]] = {part: [] for part in FREEZE[freeze]}
    blocks = {id(parameter) for parameter, _ in old_blocks(model, old, freeze)}
    for name, part in parts(model, old).items():
        parameter = model.get_parameter(name)
        if part in chosen and id(parameter) not in blocks:
            chosen[part].append(parameter)
    return chosen


def keep_frozen_states(model: MultiTaskModel, tasks: Sequence[str]) -> None:
    """Lets a model compute once what the nodes that a new task reads make of a text, where they are all frozen.

    That is so for a single new task. Texts are known by their words: where how these are written is read too, or a
    transformer reads pieces, nothing is kept.
    """
    by_words: bool = model.encoders[0].reads_ids_alone()
    if model.architecture.reads_nodes and by_words and len(tasks) == 1:
        model.frozen_states = FrozenStates(model, [*model.tasks].index(tasks[0]))


def old_blocks(model: MultiTaskModel, old: MultiTaskModel, freeze: str) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters with rows of old and of new tasks, each with the block of old ones that ``freeze`` leaves."""
    grew = [name for name, part in parts(model, old).items() if part == "task" and part in FREEZE[freeze]]
    pairs = [(model.get_parameter(name), old.get_parameter(name).detach()) for name in grew]
    return [(parameter, block) for parameter, block in pairs if parameter.shape != block.shape]


@contextmanager
def held(blocks: Sequence[tuple[nn.Parameter, Tensor]], now: Callable[[], bool]) -> Iterator[None]:
    """After every step of an optimiser, if ``now()``, the blocks are put back; only what stands beside them changes."""

    @torch.no_grad()
    def put_back(*_) -> None:
        for parameter, block in blocks if now() else ():
            _leading(parameter, block.shape).copy_(block)

    handle = register_optimizer_step_post_hook(put_back)
    try:
        yield
    finally:
        handle.remove()
