"""Which test examples are the same, by their texts: whatever the order of a file, and whichever tasks label them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import networkx as nx
import numpy as np

from graphmtl.data.fingerprint import text_ids
from graphmtl.data.task import TaskSet
from graphmtl.training.evaluation import Predictions

__all__ = ["Pool", "in_order_of_texts", "pools"]

_SHARED, _OF_LARGER = 0.5, 0.05  # of the texts of the smaller of two tasks, and of the larger: then drawn together


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Texts of which test examples of a task are drawn.

    Attributes:
        key: what the draws are of: the same draws for the same key.
        size: how many texts there are, and are drawn with replacement.
        places: (examples,), which of them the task's examples are; None: all, in order.
    """

    key: str
    size: int
    places: np.ndarray | None = None

    def only(self, kept: np.ndarray) -> "Pool":
        """The same of some of the examples, ``kept`` (examples,) bool."""
        return replace(self, places=(np.arange(self.size) if self.places is None else self.places)[kept])


def in_order_of_texts(predictions: Mapping[str, Predictions], tasks: TaskSet) -> dict[str, Predictions]:
    """Predictions for the test splits of tasks, with what their texts are known by, and in the order of that.

    So a file may have its examples in any order. Those with the same text are in the order of their labels.
    """
    texts = text_ids(tasks, "test")
    found = {}
    for name, own in predictions.items():
        labels = [str(label.tolist() if isinstance(label, np.ndarray) else label) for label in own.labels]
        keys = [*zip(texts[name].tolist(), labels, strict=True)]
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)  # (examples,)
        found[name] = replace(own, texts=texts[name]).chosen(order)
    return found


def pools(texts: Mapping[str, Sequence[np.ndarray]], *, same: Mapping[str, bool]) -> dict[str, list[Pool]]:
    """Of which texts the examples of each task are drawn, with each seed.

    Tasks that label the same texts, as the layers of a corpus do, are drawn together: what is unlike in another draw of
    the texts is so for all of them, and the mean over tasks varies more than if each had texts of its own.

    Args:
        texts: of each task by which its texts are known, with each seed, (examples,).
        same: whether they, and their labels, are the same for all seeds, and so are their draws.
    """
    found: dict[str, list[Pool]] = {}
    for group in _groups({name: own[0] for name, own in texts.items()}):
        key, alike = "+".join(group), all(same[name] for name in group)
        for seed in range(len(texts[group[0]])):
            known: dict[tuple[int, int], int] = {}
            places = {name: _places(texts[name][seed], known) for name in group} if len(group) > 1 else {}
            size = len(known) if places else len(texts[group[0]][seed])
            for name in group:
                own = Pool(key=key if alike else f"{key} {seed}", size=size, places=places.get(name))
                found.setdefault(name, []).append(own)
    return found


def _groups(texts: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The tasks that have most of their texts in common."""
    unique = {name: np.unique(own) for name, own in texts.items()}
    graph = nx.Graph()
    graph.add_nodes_from(texts)
    graph.add_edges_from(pair for pair in combinations(texts, 2) if _overlap(*(unique[name] for name in pair)))
    return [sorted(group) for group in nx.connected_components(graph)]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    smaller, larger = sorted([len(a), len(b)])
    if smaller <= _OF_LARGER * larger:
        return False
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared >= max(_SHARED * smaller, _OF_LARGER * larger)


def _places(texts: np.ndarray, known: dict[tuple[int, int], int]) -> np.ndarray:
    """The place of each text, (examples,); of equal ones each has a place of its own."""
    times: dict[int, int] = {}
    places = np.empty(len(texts), dtype=np.int64)
    for i, text in enumerate(texts.tolist()):
        times[text] = times.get(text, 0) + 1
        places[i] = known.setdefault((text, times[text]), len(known))
    return places
