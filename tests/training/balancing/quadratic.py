"""Two tasks with a known answer: L_k = |x - c_k|^2 / 2, whose gradients are x - c_k."""

from collections.abc import Mapping

import torch
from torch import Tensor

from graphmtl.training.balancing.balancing import Balancing

CENTRES = {"a": (3.0, 0.0), "b": (0.0, -1.0)}
TASKS = [*CENTRES]
HALVES = {"a": 0.5, "b": 0.5}  # each task has half of an update's batches
WHOLE = {"a": 1.0, "b": 1.0}


def losses(x: Tensor, centres: Mapping[str, tuple[float, ...]] = CENTRES) -> dict[str, Tensor]:
    return {name: (x - x.new_tensor(centre)).square().sum() / 2 for name, centre in centres.items()}


def gradients(x: Tensor) -> Tensor:
    """(tasks, 2)."""
    return torch.stack([x.detach() - x.new_tensor(centre) for centre in CENTRES.values()])


def point() -> Tensor:
    return torch.tensor([0.5, 0.25], dtype=torch.float64, requires_grad=True)


def weights_of(method: Balancing, shares: Mapping[str, float] = HALVES) -> list[float]:
    """m_k of a method at the point, read off its gradient: two gradients that are independent have one combination."""
    x = point()
    method(losses(x), shares, WHOLE).backward()
    combination = torch.linalg.solve(gradients(x).T, x.grad)  # (tasks,)
    return [weight / shares[name] for weight, name in zip(combination.tolist(), TASKS, strict=True)]
