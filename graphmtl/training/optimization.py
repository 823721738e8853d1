"""What is updated, how fast, and the moving average of the weights."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import get_ema_multi_avg_fn

from graphmtl.config import TrainingOptions
from graphmtl.errors import unknown_name
from graphmtl.layers.layer import undecayed_parameters

__all__ = ["WeightAverage", "adamw", "learning_rate_schedule"]

_AFTER_WARMUP: dict[str, Callable[[float], float]] = {  # from the share of the steps that are done, warm-up left out
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


def adamw(
    model: nn.Module,
    options: TrainingOptions,
    *,
    also: Sequence[Sequence[nn.Parameter]] = (),
    apart: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> torch.optim.AdamW:
    """AdamW with weight decay for matrices alone, and learning rates of their own for embeddings and transformers.

    Vectors, of which layers may have one for each direction or task (:class:`~graphmtl.layers.layer.Layer`), and
    embeddings (``model.embedding_parameters()``) are not decayed; parameters that need no gradient are left out. An
    encoder may say learning rates of its own (``model.learning_rates``).

    Args:
        model: what is trained.
        options: learning rate and weight decay.
        also: groups of parameters that are trained beside it, with ``--lr`` and without decay.
        apart: by any name the parameters that are to be groups of their own, for a schedule of their own; the
            optimiser's groups of these parameters have it as ``"apart"``.
    """
    embeddings = {id(parameter) for parameter in model.embedding_parameters()}
    rates = {id(parameter): rate for parameter, rate in model.learning_rates(options.lr)}
    undecayed = embeddings.union(map(id, undecayed_parameters(model)))
    homes = {parameter: name for name, own in apart.items() for parameter in own}
    groups: dict[tuple[float, float, str | None], list[nn.Parameter]] = {}
    groups[options.lr, options.weight_decay, None] = []  # the first: --lr
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        vector = parameter.ndim <= 1 or id(parameter) in undecayed
        rate, decay = rates.get(id(parameter), options.lr), 0.0 if vector else options.weight_decay
        groups.setdefault((rate, decay, homes.get(name)), []).append(parameter)
    trained: list[dict[str, Any]] = [
        {"params": own, "lr": rate, "weight_decay": decay, "apart": home}
        for (rate, decay, home), own in groups.items()
        if own
    ]
    trained += [{"params": [*own], "lr": options.lr, "weight_decay": 0.0, "apart": None} for own in also]
    return torch.optim.AdamW(trained, fused=True)


def learning_rate_schedule(
    optimizer: torch.optim.Optimizer, options: TrainingOptions, *, steps: int | Sequence[int]
) -> LRScheduler:
    """Rises from 0 over the first ``warmup`` of all steps, then stays, or falls to 0 as a line or half a cosine.

    These are ``constant_with_warmup``, ``linear`` and ``cosine`` of ``transformers.get_scheduler``, which has one
    number of steps for all groups, where tasks that are trained apart have one each; and a run on word embeddings need
    not load transformers.

    Args:
        optimizer: whose learning rates they are.
        options: the form of the schedule.
        steps: all steps, or those of each of the optimiser's groups.

    Raises:
        InputError: no schedule has that name.
    """
    if options.schedule not in _AFTER_WARMUP:
        raise unknown_name("schedule", options.schedule, _AFTER_WARMUP)

    def share(steps: int, step: int) -> float:
        warmup = round(options.warmup * steps)
        if step < warmup:
            return step / warmup
        return _AFTER_WARMUP[options.schedule](min((step - warmup) / max(steps - warmup, 1), 1))

    of_groups = [steps] * len(optimizer.param_groups) if isinstance(steps, int) else steps
    return LambdaLR(optimizer, [partial(share, own) for own in of_groups])


class WeightAverage:
    r"""A second copy of a model whose parameters are the moving average of the first one's.

    The n-th update is :math:`\bar\theta \leftarrow d_n \bar\theta + (1 - d_n) \theta` with
    :math:`d_n = \min(d, n / (n + 9))`: the untrained weights of the start are soon forgotten, and a short run is
    averaged too (the ``num_updates`` rule of TensorFlow's ExponentialMovingAverage). torch's ``AveragedModel`` has no
    such rule, and waits for the device at every step to ask whether it is the first.

    Args:
        model: the model; parameters that are tied in it are tied in the copy.
        decay: d, from 0 to 1.
        groups: names of parameters that have updates of their own, by the group's name; None: all have the same.
    """

    def __init__(self, *, model: nn.Module, decay: float, groups: Mapping[str, Collection[str]] | None = None) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        self.decay = decay
        names = [name for name, _ in model.named_parameters()]
        groups = {"all": names} if groups is None else groups
        self._places = {group: [i for i, name in enumerate(names) if name in own] for group, own in groups.items()}
        self.updates = dict.fromkeys(self._places, 0)

    def update(self, model: nn.Module, groups: Iterable[str] = ("all",)) -> None:
        """Take one step of these groups towards the model's parameters; those that are not trained stay as they are."""
        pairs = [*zip(self.model.parameters(), model.parameters(), strict=True)]
        for group in groups:
            self.updates[group] += 1
            decay = min(self.decay, self.updates[group] / (self.updates[group] + 9))
            own = [(a, p.detach()) for a, p in (pairs[i] for i in self._places[group]) if p.requires_grad]
            if own:
                get_ema_multi_avg_fn(decay)(*zip(*own, strict=True), None)

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` of an average of the same model needs."""
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.updates = dict(state["updates"])
        self.model.load_state_dict(state["model"])
