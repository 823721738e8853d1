"""What is updated, how fast, and the moving average of the weights."""

from copy import deepcopy

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import get_scheduler

from graphmtl.config import TrainingOptions
from graphmtl.errors import unknown_name

__all__ = ["WeightAverage", "adamw", "learning_rate_schedule"]

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


def adamw(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW with weight decay for matrices alone, and a learning rate of their own for the embeddings.

    Biases, scalars and embeddings (``model.embedding_parameters()``) are not decayed; parameters that need no gradient
    are left out.
    """
    embeddings = {id(parameter) for parameter in model.embedding_parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    embedding = [parameter for parameter in trained if id(parameter) in embeddings]
    matrices = [parameter for parameter in trained if id(parameter) not in embeddings and parameter.ndim > 1]
    others = [parameter for parameter in trained if id(parameter) not in embeddings and parameter.ndim <= 1]
    groups = [
        {"params": matrices, "lr": options.lr, "weight_decay": options.weight_decay},
        {"params": others, "lr": options.lr, "weight_decay": 0.0},
        {"params": embedding, "lr": options.lr * options.embedding_lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)


def learning_rate_schedule(optimizer: torch.optim.Optimizer, options: TrainingOptions, *, steps: int) -> LRScheduler:
    """Rises from 0 over the first ``warmup`` of all steps, then stays, or falls to 0 as a line or half a cosine.

    Raises:
        InputError: no schedule has that name.
    """
    if options.schedule not in _SCHEDULES:
        raise unknown_name("schedule", options.schedule, _SCHEDULES)
    return get_scheduler(_SCHEDULES[options.schedule], optimizer, round(options.warmup * steps), steps)


class WeightAverage:
    r"""A second copy of a model whose parameters are the moving average of the first one's.

    The n-th update is :math:`\bar\theta \leftarrow d_n \bar\theta + (1 - d_n) \theta` with
    :math:`d_n = \min(d, n / (n + 9))`: the untrained weights of the start are soon forgotten, and a short run is
    averaged too (the ``num_updates`` rule of TensorFlow's ExponentialMovingAverage). torch's ``AveragedModel`` has no
    such rule, and waits for the device at every step to ask whether it is the first.

    Args:
        model: the model; parameters that are tied in it are tied in the copy.
        decay: d, from 0 to 1.
    """

    def __init__(self, *, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.updates = 0

    def update(self, model: nn.Module) -> None:
        """Take one step towards the model's parameters."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        get_ema_multi_avg_fn(decay)(list(self.model.parameters()), [p.detach() for p in model.parameters()], None)

    def state_dict(self) -> dict:
        """What :meth:`load_state_dict` of an average of the same model needs."""
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
