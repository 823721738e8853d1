"""Parts of a model whose many small launches are recorded once and replayed, where a GPU would wait for Python."""

import logging
import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["Recordings"]

Function = Callable[[Tensor], tuple[Tensor, ...]]

_MOST = 64  # recordings
_BEFORE = 3  # calls of a kind before it is worth a recording


class Recordings:
    """What functions of a tensor and of a module's parameters compute on a GPU in training, as CUDA graphs.

    Where GRAPHMTL_RECORD=1 asks for it: what this gains has not been measured on a GPU yet.

    A recording is of one function, one shape and dtype, and one set of parameters where they stand in memory; the first
    calls of a kind, and all above a number of kinds, are computed without one, as is everything where a recording fails
    or its numbers are not those of the function. Backward computes forward again, so that a
    function may be called any number of times before its gradients are asked for. The function draws no random numbers
    and changes nothing but what it returns.

    It is no part of a module's state: a copy of the module begins without recordings.
    """

    def __init__(self) -> None:
        self._recordings: dict[Hashable, _Recording | None] = {}
        self._calls: dict[Hashable, int] = {}

    def __deepcopy__(self, _memo: Any) -> "Recordings":
        return Recordings()

    def __getstate__(self) -> dict:
        return Recordings().__dict__

    def run(
        self, name: Hashable, function: Function, x: Tensor, parameters: Sequence[nn.Parameter]
    ) -> tuple[Tensor, ...]:
        """What ``function`` makes of x, with all its gradients; outside training and without a GPU nothing is recorded.

        Args:
            name: tells functions of these recordings apart.
            function: x to some tensors.
            x: what it reads.
            parameters: all that it may read beside.
        """
        if not torch.is_grad_enabled() or not self._can_record(x):
            return function(x)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        places = tuple(parameter.data_ptr() for parameter in parameters)
        key = name, x.shape, x.dtype, x.requires_grad, _autocast_dtype(x), len(trained), places
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] <= _BEFORE:
            return function(x)
        if key not in self._recordings:
            if len(self._recordings) >= _MOST:
                return function(x)
            self._recordings[key] = _recorded(function, x, trained)
        recording = self._recordings[key]
        return function(x) if recording is None else _Replay.apply(recording, x, *trained)

    def _can_record(self, x: Tensor) -> bool:
        return x.is_cuda and os.environ.get("GRAPHMTL_RECORD") == "1"


def _autocast_dtype(x: Tensor) -> torch.dtype | None:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def _recorded(function: Function, x: Tensor, parameters: Sequence[nn.Parameter]) -> "_Recording | None":
    """A recording, or None where there is none to be had, which is said."""
    try:
        recording = _Recording(function, x, parameters)
        if recording.is_right():
            return recording
        failed = "its numbers are others"
    except RuntimeError as error:
        failed = str(error).partition("\n")[0]
    logging.getLogger(__name__).warning("no CUDA graph, so training is slower: %s", failed)
    return None


class _Recording:
    """A function's forward, and its forward and backward, over tensors that stay where they are."""

    def __init__(self, function: Function, x: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        self.x = x.detach().clone().requires_grad_(x.requires_grad)
        self._function, self._autocast = function, _autocast_dtype(x)
        self._leaves = [self.x, *parameters] if x.requires_grad else [*parameters]
        self.forward = _record(self._answer, x.device)
        self.outputs = self.forward.result
        self.into_outputs = [torch.zeros_like(output) for output in self.outputs]
        self.backward = _record(self._gradients, x.device)

    def _answer(self) -> tuple[Tensor, ...]:
        with torch.no_grad(), self._precision():
            return self._function(self.x)

    def _gradients(self) -> Tensor:
        """Those of all leaves, one behind the other; 0 where a leaf plays no part."""
        with torch.enable_grad(), self._precision():
            outputs = self._function(self.x)
        asked = [(one, into) for one, into in zip(outputs, self.into_outputs, strict=True) if one.requires_grad]
        grads = torch.autograd.grad(
            [one for one, _ in asked],
            self._leaves,
            [into for _, into in asked],
            allow_unused=True,
            materialize_grads=True,
        )
        return torch.cat([grad.flatten() for grad in grads])

    def _precision(self) -> torch.autocast:
        enabled = self._autocast is not None
        return torch.autocast(self.x.device.type, self._autocast, enabled=enabled, cache_enabled=False)

    def is_right(self) -> bool:
        """Whether the graphs give what the function gives: of what was recorded, and of something else.

        A number that was computed once, and is not computed again, would be right for the first alone.
        """
        return all(self._agrees(factor) for factor in (1, -0.5))

    def _agrees(self, factor: float) -> bool:
        self.x.detach().mul_(factor)
        for into in self.into_outputs:
            into.fill_(factor)
        expected = [*self._answer(), self._gradients()]
        self.forward.replay()
        self.backward.replay()
        found = [*self.outputs, self.backward.result]
        return all(torch.allclose(*both, rtol=1e-3, atol=1e-5) for both in zip(found, expected, strict=True))

    def gradients(self, x: Tensor, into_outputs: Sequence[Tensor | None]) -> list[Tensor]:
        """Those of all leaves, given those of the outputs."""
        self.x.detach().copy_(x)
        for own, given in zip(self.into_outputs, into_outputs, strict=True):
            own.zero_() if given is None else own.copy_(given)
        self.backward.replay()
        parts = self.backward.result.clone().split([leaf.numel() for leaf in self._leaves])
        return [part.view_as(leaf).to(leaf.dtype) for part, leaf in zip(parts, self._leaves, strict=True)]


class _Replay(torch.autograd.Function):
    """x and parameters to what the function of a recording makes of them."""

    @staticmethod
    def forward(ctx, recording: _Recording, x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.recording = recording
        ctx.save_for_backward(x)
        recording.x.detach().copy_(x)
        recording.forward.replay()
        return tuple(output.clone() for output in recording.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, *into_outputs: Tensor | None):
        (x,) = ctx.saved_tensors
        grads = ctx.recording.gradients(x, into_outputs)
        return None, *(grads if ctx.recording.x.requires_grad else [None, *grads])


class _Graph:
    """A call recorded as a CUDA graph, and what it returns, which every replay writes anew."""

    def __init__(self, call: Callable[[], Any]) -> None:
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            call()  # what is made at a first call is made before the recording
        here.wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self.result = call()

    def replay(self) -> None:
        self._graph.replay()


def _record(call: Callable[[], Any], device: torch.device) -> _Graph:
    with torch.cuda.device(device):
        return _Graph(call)
