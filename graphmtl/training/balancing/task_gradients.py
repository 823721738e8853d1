"""The gradients of the tasks of an update, one by one."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["TaskGradients"]


class TaskGradients:
    """The gradient of each task's loss in an update; what batches add to it is summed.

    A parameter is shared where more than one task of the update reaches it, whatever the architecture calls it: of
    tasks that read one another's encoders, those are shared too.

    Args:
        parameters: those that are trained.
        scale: what the losses are multiplied by (mixed precision with float16); the gradients are divided by it.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, scale: float = 1.0) -> None:
        self.parameters = list(parameters)
        self.scale = scale
        self._found: dict[str, dict[int, Tensor]] = {}  # by task and place

    @property
    def tasks(self) -> list[str]:
        return list(self._found)

    def add(self, task: str, loss: Tensor) -> None:
        """A loss, (), of a task; its graph stays."""
        own = self._found.setdefault(task, {})
        gradients = torch.autograd.grad(self.scale * loss, self.parameters, retain_graph=True, allow_unused=True)
        for place, gradient in enumerate(gradients):
            if gradient is not None:
                gradient = gradient / self.scale if self.scale != 1 else gradient
                own[place] = own[place] + gradient if place in own else gradient

    def shared(self) -> list[int]:
        """The places of the parameters that more than one task reaches."""
        reached = Counter(place for own in self._found.values() for place in own)
        return sorted(place for place, tasks in reached.items() if tasks > 1)

    def rows(self) -> Tensor:
        """The gradient of every task, (tasks, elements of the shared parameters); 0 where it does not reach."""
        places = self.shared()
        if not places:
            return torch.zeros(len(self.tasks), 0)
        zeros = {place: torch.zeros_like(self.parameters[place]) for place in places}
        rows = [[own.get(place, zeros[place]).flatten() for place in places] for own in self._found.values()]
        return torch.stack([torch.cat(row) for row in rows])

    def write(self, direction: Tensor) -> None:
        """Add them to the parameters' ``grad``, times the scale.

        Args:
            direction: (elements of the shared parameters,), what they get; each other one gets that of its task.
        """
        shared = self.shared()
        sizes = [self.parameters[place].numel() for place in shared]
        for place, own in zip(shared, direction.split(sizes), strict=True):
            self._write(place, own.view_as(self.parameters[place]))
        for own in self._found.values():
            for place in own.keys() - set(shared):
                self._write(place, own[place])

    def _write(self, place: int, gradient: Tensor) -> None:
        parameter = self.parameters[place]
        gradient = gradient * self.scale if self.scale != 1 else gradient
        parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad + gradient
