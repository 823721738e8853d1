from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from graphmtl.analysis.benefit import Ceiling, Prediction
from graphmtl.comparison import benefit
from graphmtl.comparison.benefit import conclusion, measure_benefit
from graphmtl.errors import InputError
from graphmtl.training.benefit_runs import Cell, Outcome

CEILING = Ceiling(split_half=0.3, reliability=0.3, correlation=0.5, by_target=(0.3,) * 6, p_value=0.001)
NAMES = tuple("abcdef")


def found(within, p_value):
    return Prediction(within=within, p_value=p_value, sign=None, choice=None, rows=6)


def said(pictures, others=None, ceiling=CEILING):
    return conclusion("which partner helps", ceiling, pictures, others or {"tfidf": found(0.1, 0.4)})


def test_a_picture_that_predicts():
    assert said({"attention": found(0.41, 0.001), "ablation": found(0.1, 0.3)}) == (
        "attention predicts which partner helps about as well as the noise allows (0.41 of 0.50)"
    )
    assert said({"ablation_zeroed": found(0.25, 0.001)}) == (
        "ablation, zeroed predicts which partner helps in part (0.25 of 0.50)"
    )
    beside = said({"attention": found(0.25, 0.001)}, {"tfidf": found(0.45, 0.001), "size": found(0.3, 0.001)})
    assert beside.endswith("(0.25 of 0.50); TF-IDF cosine, which needs no graph, does so too (0.45)")


def test_a_correlation_above_the_estimated_ceiling_is_not_called_a_part_of_it():
    assert said({"attention": found(0.63, 0.001)}).endswith("allows (0.63, the ceiling estimated as 0.50)")


def test_pictures_that_do_not():
    nothing = {"attention": found(0.2, 0.04), "ablation": found(0.1, 0.3)}  # 0.04 is no 0.05 of two pictures
    start = "no picture predicts which partner helps here (the best, attention, 0.20 of 0.50)"
    assert said(nothing) == f"{start}, nor does what needs no graph"
    assert said(nothing, {"tfidf": found(0.4, 0.001)}) == f"{start}: use TF-IDF cosine (0.40)"
    assert said({"attention": found(None, None)}).startswith("no picture predicts which partner helps here, nor")


def test_gains_that_nothing_could_predict():
    unclear, good = replace(CEILING, p_value=0.05), {"attention": found(0.9, 0.001)}
    assert "agree no more between seeds than by chance" in said({"attention": found(0.2, 0.1)}, ceiling=unclear)
    assert said(good, ceiling=unclear).startswith("attention predicts")  # what predicts them shows that they are there
    assert said(good, ceiling=replace(CEILING, p_value=None)).startswith("so few tasks cannot tell")


class Simulated:
    """Trainings in which the loss of a task is 1 less what its sources are worth to it, and the picture is given.

    Args:
        worth: (targets, sources).
        picture: of the model, likewise.
        has_topology: whether edges can be left out.
    """

    def __init__(self, worth, picture, *, has_topology=True):
        self.worth, self.picture, self.has_topology, self.trained = worth, picture, has_topology, []
        data = {name: SimpleNamespace(train=range(10 + i)) for i, name in enumerate(NAMES)}
        self.tasks = type("Tasks", (dict,), {"truth": None})(data)

    def train(self, cells, *, jobs):
        self.trained += [cell for cell in cells if cell not in self.trained]
        return {cell: self.outcome(cell) for cell in cells}

    def outcome(self, cell: Cell) -> Outcome:
        rng = np.random.default_rng(cell.seed)
        losses = {}
        for name in cell.tasks:
            k = NAMES.index(name)
            sources = [j for j, source in enumerate(NAMES) if source in cell.tasks and source != name]
            if cell.edges is not None:
                sources = [j for j in sources if (NAMES[j], name) in cell.edges]
            losses[name] = 1 - self.worth[k, sources].sum() + 1e-3 * rng.normal(size=20)
        scores = {name: float(1 - own.mean()) for name, own in losses.items()}
        pictures = {"attention": self.picture, "gradients": self.picture.T} if cell.pictures else {}
        return Outcome(losses=losses, scores=scores, updates={}, pictures=pictures)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    def measured(**about):
        runs = Simulated(**about)
        monkeypatch.setattr(benefit, "BenefitRuns", lambda *_args, **_kwargs: runs)
        monkeypatch.setattr(benefit, "text_similarity", lambda _tasks: np.eye(len(NAMES)))
        run = SimpleNamespace(
            metrics={"tasks": dict.fromkeys(NAMES)}, options=SimpleNamespace(arch="complete"), folder=tmp_path
        )
        return measure_benefit(run, tmp_path, seeds=[0, 1, 2]), runs

    return measured


@pytest.fixture
def worth():
    return np.random.default_rng(0).normal(scale=0.1, size=(len(NAMES), len(NAMES)))


@pytest.mark.parametrize("name", ["together", "left_out"])
def test_gains_are_what_a_source_is_worth(name, measured, worth):
    found, _ = measured(worth=worth, picture=worth)
    values = found.gains[name].values
    others = ~np.eye(len(NAMES), dtype=bool)
    assert values.shape == (3, *worth.shape)
    assert values[:, others] == pytest.approx(np.stack([worth[others]] * 3), abs=2e-3)
    assert np.isnan(values[:, ~others]).all()
    own = found.gains[name]
    assert own.pictures["attention"].within == pytest.approx(1, abs=0.03)
    assert abs(own.without_graph["gradients"].within) < 0.5
    assert own.guide.share == pytest.approx(1, abs=0.05)
    assert own.conclusion.startswith("attention predicts which")
    assert "about as well as the noise allows" in own.conclusion


def test_the_benefit_as_a_picture(measured, worth):
    found, _ = measured(worth=worth, picture=worth)
    (edge,) = (each for each in found.graph().edges if (each.source, each.target) == ("b", "a"))
    assert (edge.weight, edge.count) == (pytest.approx(worth[0, 1], abs=2e-3), 3)
    values = found.gains["together"].values[:, 0, 1]
    assert edge.std == pytest.approx(values.std(ddof=1))


@pytest.mark.parametrize("has_topology", [True, False])
def test_graphs_are_cut_to_the_strongest_sources(has_topology, measured, worth):
    found, runs = measured(worth=worth, picture=worth, has_topology=has_topology)
    best = np.sort(np.where(np.eye(len(NAMES)), -np.inf, worth), axis=1)[:, -2:].sum(1).mean()
    assert found.groups["attention"]["loss"] == pytest.approx([1 - best] * 3, abs=2e-3)
    assert found.groups["gains"]["score"] == pytest.approx([best] * 3, abs=2e-3)
    whole = np.where(np.eye(len(NAMES)), 0, worth).sum(1).mean()
    assert found.groups["all"]["loss"] == pytest.approx([1 - whole] * 3, abs=2e-3)
    assert found.groups["alone"]["loss"] == pytest.approx([1.0] * 3, abs=2e-3)
    assert np.mean(found.groups["random"]["loss"]) > 1 - best
    assert any(cell.edges is not None for cell in runs.trained) == has_topology
    assert any(len(cell.tasks) == 3 for cell in runs.trained) != has_topology


def test_too_few_tasks(tmp_path):
    run = SimpleNamespace(metrics={"tasks": dict.fromkeys("ab")}, folder=tmp_path)
    with pytest.raises(InputError, match="--benefit needs 3 tasks or more"):
        measure_benefit(run, tmp_path, seeds=[0, 1])
