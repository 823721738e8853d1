r"""What share the wide part of a task has of its answers (:mod:`graphmtl.models.wide`), once the graph is trained.

Share s and the graph's temperature T are those that have the smallest mean over the tasks of their mean losses on the
validation split, for all tasks. A few hundred examples tell more than that too poorly: a task takes its own best ones
only where its examples say by two standard errors that these are better. Separate models (``single``) take their own.
"""

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import torch

from graphmtl.kinds.head import Head
from graphmtl.layers.modes import evaluating
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.wide import Wide
from graphmtl.training.evaluation import Predictions

__all__ = ["ERRORS", "SHARES", "TEMPERATURES", "choose_shares"]

SHARES = (0.5, 0.25, 0.75, 0.0, 1.0)  #: of a task's answers; of equally good ones the first
TEMPERATURES = (1.0, 1.5, 2.0, 3.0)  #: of the graph
ERRORS = 2.0  #: standard errors by which a task's own share and temperature are better, where it takes them
_POOLS = tuple(product(SHARES, TEMPERATURES))
_Predict = Callable[[], Mapping[str, Predictions]]


@torch.no_grad()
def choose_shares(
    model: MultiTaskModel,
    predict: _Predict,
    names: Iterable[str],
    *,
    say: Callable[..., Any] = lambda _: None,
) -> None:
    """Gives each wide part its share of its task's answers, and the graph beside it its temperature.

    Args:
        model: trained.
        predict: what it says of the validation split.
        names: the tasks whose parts choose; without an example a task does as the others.
        say: is told what was chosen.
    """
    parts: dict[str, Wide] = {name: model.wide_part(name) for name in names}
    parts = {name: own for name, own in parts.items() if own is not None and own.strength}
    if not parts:
        return
    graph, wide = (_alone(parts, share, predict) for share in (0.0, 1.0))
    heads: dict[str, Any] = dict(zip(model.tasks, model.heads, strict=True))
    with evaluating(model):  # losses without the weights of classes
        losses = {name: _losses(own, heads[name], graph[name], wide[name]) for name, own in parts.items()}
    of_all = None if model.architecture.own_encoder_per_task else _best_of_all([*losses.values()])
    for name, own in parts.items():
        _set(own, *_POOLS[_best(losses[name], of_all)])
    for name, predictions in predict().items():
        if name in parts:
            model.choose(name, predictions)  # such as a threshold, which depends on it
    listed = ", ".join(f"{name} {_told(own)}" for name, own in parts.items())
    said = f"wide: its share of the answers (and the temperature of the graph): {listed}"
    say(textwrap.fill(said, 80, subsequent_indent="  ", break_long_words=False))


def _alone(parts: Mapping[str, Wide], share: float, predict: _Predict) -> Mapping[str, Predictions]:
    """What the graph says of the validation split without the wide parts (0), or these without the graph (1)."""
    for own in parts.values():
        _set(own, share, 1.0)
    return predict()


def _set(part: Wide, share: float, temperature: float) -> None:
    part.share.fill_(share)
    part.temperature.fill_(temperature)


def _told(part: Wide) -> str:
    share, temperature = part.share.item(), part.temperature.item()
    return f"{share:g}" if temperature == 1 else f"{share:g} ({temperature:g})"


def _losses(part: Wide, head: Head, graph: Predictions, wide: Predictions) -> np.ndarray:
    """The loss of every validation example with every share and temperature, (pools, examples)."""
    losses = np.zeros((len(_POOLS), len(graph)))
    if not len(graph):
        return losses
    z_graph, z_wide = (part.logits_of(torch.as_tensor(said.probabilities)) for said in (graph, wide))
    labels, lengths = torch.as_tensor(graph.labels), torch.ones(len(graph))
    for own, pool in zip(losses, _POOLS, strict=True):
        _set(part, *pool)
        own[:] = head.losses(part.pool(z_graph, z_wide), labels, lengths)
    return losses


def _best_of_all(losses: list[np.ndarray]) -> int:
    """The place of the share and temperature with the smallest mean loss of the tasks; without examples the first."""
    means = [own.mean(1) for own in losses if own.size]
    return int(np.mean(means, axis=0).argmin()) if means else 0


def _best(losses: np.ndarray, of_all: int | None) -> int:
    """The place of a task's own best share and temperature, or ``of_all`` where these are not surely worse.

    Args:
        losses: (pools, examples).
        of_all: the place of those of all tasks; None: it is a model by itself.
    """
    own = int(losses.sum(1).argmin())
    if of_all is None:
        return own
    gains = losses[of_all] - losses[own]  # (examples,)
    sure = len(gains) > 1 and gains.mean() > ERRORS * gains.std(ddof=1) / math.sqrt(len(gains))
    return own if sure else of_all
