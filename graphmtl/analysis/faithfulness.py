r"""Can the picture be trusted? What a trained model reads, what comes through, and what it cannot do without.

Three pictures of the edges j -> k of one model, over the same texts of every target k:

- **attention**: the edge weights :math:`a_{t,j}` that the architecture gives (of ``star`` the spokes).
- **contribution**: :math:`\mathrm{mean}_t \; a_{t,j} |m_t \odot W_r h^{(j)}_t|`, what of j comes through k's gate; of
  ``star`` :math:`\mathrm{mean}_t |m_t \odot W_r r_t|`, of ``cmtr`` :math:`g_{k,j} |z_j|`.
- **ablation**: how much worse k becomes when j -> k is cut while the model reads: the paired change of the negative
  log-likelihood of the right labels, per text (of tags: per token, the mean over a text). ``ablation`` gives the cut
  edge's share of the weights to the other sources, ``ablation_zeroed`` lets it go silent. ``ablation_accuracy`` is the
  accuracy that is lost. ``alone`` cuts all other edges instead: what j -> k is worth over no edge at all.

Ablation measures the **reliance of this trained model** on an edge. It does not say whether k would be better or worse
off had it been trained without j; that is its benefit (:mod:`graphmtl.analysis.benefit`).

Of a star, whose edges all come from the virtual node, there are three pictures of two tasks too: ``transferability``
(:mod:`graphmtl.analysis.transferability`), ``affinity`` and ``logits`` (:mod:`graphmtl.analysis.affinity`).

A picture is compared with another within each target's row (:mod:`graphmtl.graph.comparison`).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import torch

from graphmtl.analysis.ablation import AblationPlan, measure
from graphmtl.analysis.affinity import logit_correlation, probe_batches, task_affinity
from graphmtl.analysis.holm import p_of
from graphmtl.analysis.switching import TextWeights
from graphmtl.analysis.transferability import MOST_TEXTS, transferability
from graphmtl.data.batching import Batch, EncodedSplit, EncodedTask, batches_by_length
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.graph.comparison import Comparison, auroc
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.layers.modes import evaluating
from graphmtl.models.model import MultiTaskModel

__all__ = ["Explanation", "draw_texts", "explain_model", "true_edges"]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The pictures of a model.

    Attributes:
        pictures: a task graph for each picture; of ablations ``std`` is that of the change over texts.
        removal: of 1, 2, 4, ... ``edges`` cut into each target at once, the change of the negative log-likelihood,
            the mean over targets: of the ``strongest`` by attention, the ``weakest``, and ``random`` ones (the mean of
            three draws). None where a target has but one edge, or none was cut.
        truth: the true graph, where it is known.
        text_auroc: of the pictures that each text has and of each task whose texts one parent each decides, how far
            they follow the text (:mod:`graphmtl.analysis.switching`).
    """

    pictures: dict[str, TaskGraph]
    removal: dict[str, list] | None
    truth: PlantedTruth | None = None
    text_auroc: dict[str, dict[str, float]] = field(default_factory=dict)

    def agreement(self) -> dict[tuple[str, str], Comparison]:
        """How far every two pictures agree that have edges between the same nodes."""
        pairs = combinations(self.pictures.items(), 2)
        return {(a, b): one.compare(other) for (a, one), (b, other) in pairs if one.nodes == other.nodes}

    def likeness(self, other: "Explanation") -> dict[str, Comparison]:
        """How far each picture agrees with that of another model."""
        return {
            name: own.compare(other.pictures[name]) for name, own in self.pictures.items() if name in other.pictures
        }

    def auroc(self) -> dict[str, dict[str, float]]:
        """Of each picture and target, how often a true source weighs more than a false one; siblings are neither."""
        if self.truth is None:
            return {}
        return {name: _auroc(graph, self.truth) for name, graph in self.pictures.items() if not graph.virtual}

    def to_json(self) -> dict:
        """As it stands in ``explanation.json``; pictures as node-link data, as ``task_graph.json`` has them."""
        agreement = self.agreement()
        p = p_of(agreement)
        return {
            "pictures": {name: graph.to_json() for name, graph in self.pictures.items()},
            "agreement": [{"pictures": k, **asdict(own), "p_corrected": p[k]} for k, own in agreement.items()],
            "removal": self.removal,
            "auroc": self.auroc(),
            "text_auroc": self.text_auroc,
        }


def draw_texts(
    data: Mapping[str, EncodedTask], split: str, *, per_task: int, batch_size: int, seed: int, device
) -> Iterator[Batch]:
    """Texts of every corpus, drawn at random, those that are the first ``per_task`` with a label of one of its tasks.

    Texts of like length are together.
    """
    for encoded, rows in _draw_rows(data, split, per_task=per_task, batch_size=batch_size, seed=seed):
        yield encoded.batch(rows).to(device)


def _draw_rows(
    data: Mapping[str, EncodedTask], split: str, *, per_task: int, batch_size: int, seed: int
) -> Iterator[tuple[EncodedSplit, np.ndarray]]:
    """The texts that `draw_texts` gives, as rows of their split."""
    own = {id(getattr(task, split)): task for task in data.values()}  # of a corpus new tasks may have a split of theirs
    for corpus, encoded in [(task.corpus, getattr(task, split)) for task in own.values()]:
        rng = np.random.default_rng([seed, zlib.crc32(corpus.encode())])  # the same texts whatever the other corpora
        order = rng.permutation(len(encoded))
        labelled = np.stack([encoded.counts[task][order] > 0 for task in encoded.tasks])  # (tasks, texts)
        chosen = order[(labelled & (labelled.cumsum(1) <= per_task)).any(0)]
        for rows in batches_by_length(encoded.lengths[chosen], batch_size):
            yield encoded, chosen[rows]


def explain_model(
    model: MultiTaskModel,
    data: Mapping[str, EncodedTask],
    *,
    split: str,
    seed: int,
    per_task: int = 500,
    batch_size: int = 32,
    probe: int = 100,
    truth: PlantedTruth | None = None,
    cut: bool = True,
    watched: Callable[[list, str], Iterable] = lambda batches, part: batches,
) -> Explanation:
    """All pictures of a model, and what they have in common.

    Args:
        model: its architecture has edges.
        data: the encoded splits of its tasks.
        split: whose texts are read.
        seed: of the texts that are drawn and of the random edges that are cut.
        per_task: texts with a label of each task, at most; where tasks are layers of one corpus, what is drawn for one
            counts for the others too.
        batch_size: texts read at once.
        probe: texts of each task, at most, on which a star's affinity is measured.
        truth: the true task graph, where it is known.
        cut: whether edges are cut, which takes most of the time; without it there are no ablations and no removal.
        watched: gives batches back one by one, so that it may tell how many of them are done; its second argument is
            what is done with them.
    """
    device = next(model.parameters()).device
    texts: dict[str, Any] = {"per_task": per_task, "batch_size": batch_size, "seed": seed}
    virtual = model.architecture.virtual_node is not None
    about: dict[str, Any] = {"arch": model.options.arch, "tasks": tuple(model.tasks), "split": split, "seed": seed}
    deciders = truth.deciders if truth is not None and not virtual else {}
    drawn = [*_draw_rows(data, split, **texts)]
    recorders, followed = _read(model, watched(drawn, "attention"), deciders)
    pictures = {name: recorder.graph(**about, virtual=virtual) for name, recorder in recorders.items()}
    removal = None
    if cut:
        plan = AblationPlan(pictures["attention"], seed)
        read = (encoded.batch(rows).to(device) for encoded, rows in watched(drawn, "ablation"))
        measured = measure(model, read, plan.ablations)
        removal = plan.removal(measured)
        for name, edges in plan.edges(measured).items():
            pictures[name] = TaskGraph(**about, virtual=virtual, edges=tuple(edges))
    if virtual and len(model.tasks) > 1:
        probes = {name: getattr(task, split) for name, task in data.items()}
        for name, picture in {"affinity": task_affinity, "logits": logit_correlation}.items():
            batches = watched([*probe_batches(probes, per_task=probe, seed=seed)], name)
            pictures[name] = picture(model, (batch.to(device) for batch in batches), split=split, seed=seed)
    if virtual and len(model.tasks) > 1 and split != "train":  # what training texts say is known of these already
        of_task = min(per_task, MOST_TEXTS)
        labelled = [*draw_texts(data, split, **texts | {"per_task": of_task}, device=device)]
        told = transferability(model, watched(labelled, "transferability"), data, split=split, seed=seed)
        pictures |= {"transferability": told} if told.edges else {}
    return Explanation(pictures=pictures, removal=removal, truth=truth, text_auroc=followed)


@torch.no_grad()
def _read(
    model: MultiTaskModel, drawn: Iterable[tuple[EncodedSplit, np.ndarray]], deciders: Mapping[str, Sequence[str]]
) -> tuple[dict[str, EdgeRecorder], dict[str, dict[str, float]]]:
    """Attention and, where the architecture says it, contribution, over the texts that have a label of the target.

    Returns:
        The recorder of each picture, and its AUROC per text for the tasks that have ``deciders``.
    """
    device = next(model.parameters()).device
    recorders = {"attention": EdgeRecorder()}
    followed: dict[str, TextWeights] = {}
    with evaluating(model):
        for encoded, rows in drawn:
            batch = encoded.batch(rows).to(device)
            for output in model(batch, edges=True).values():
                edges, keep = output.edges, batch.by_text(output.counts > 0)  # (texts,)
                for name, weights in _per_text(edges).items():
                    recorders.setdefault(name, EdgeRecorder()).add(edges.target, edges.sources, weights, keep)
                    if encoded.decided_by is not None:
                        decided_by = batch.by_text(torch.from_numpy(encoded.decided_by[rows]))[keep.cpu()]  # (kept,)
                        own = followed.setdefault(name, TextWeights(deciders))
                        own.add(edges.target, edges.sources, weights[keep], decided_by)
    seen = {name: recorder for name, recorder in recorders.items() if name == "attention" or recorder.edges()}
    areas = {name: own.auroc() for name, own in followed.items()}
    return seen, {name: own for name, own in areas.items() if own}


def _per_text(edges: EdgeWeights) -> dict[str, torch.Tensor]:
    """The pictures that every text has, (texts, sources) each."""
    if edges.contributions is None:
        return {"attention": edges.per_instance()}
    return {"attention": edges.per_instance(), "contribution": edges.mean_over_tokens(edges.contributions())}


def true_edges(truth: PlantedTruth, tasks: Sequence[str]) -> np.ndarray:
    """(targets, sources): 1 a true edge, 0 a false one, nan neither: siblings, and a task with itself."""
    matrix = np.zeros((len(tasks), len(tasks)))
    np.fill_diagonal(matrix, np.nan)
    place = {task: i for i, task in enumerate(tasks)}
    for source, target in truth.edges:
        matrix[place[target], place[source]] = 1
    for a, b in truth.siblings:
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = np.nan
    return matrix


def _auroc(graph: TaskGraph, truth: PlantedTruth) -> dict[str, float]:
    """Of every target that has true and false sources."""
    areas = auroc(graph.matrix(), true_edges(truth, graph.tasks))  # (targets,)
    return {task: float(area) for task, area in zip(graph.tasks, areas, strict=True) if not np.isnan(area)}
