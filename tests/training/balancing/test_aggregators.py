"""TorchJD's aggregators as methods: what each is known to give for two gradients."""

import re
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphmtl.errors import InputError
from graphmtl.registry import BALANCINGS, find_class
from graphmtl.training.balancing import aggregators
from graphmtl.training.balancing.balancing import GradientBalancing

METHODS = [name for name, path in BALANCINGS.items() if "aggregators" in path]
CONFLICT = [[4.0, 0.0, 1.0], [-1.0, 1.0, 0.0]]
AGREE = [[4.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def made(name: str, tasks: int = 2, **options) -> GradientBalancing:
    kind = find_class("balancing", name, BALANCINGS, GradientBalancing)
    return kind(tasks=[f"t{k}" for k in range(tasks)], options=kind.Options(**options))


def combined(name: str, rows: list[list[float]] | Tensor, **options) -> Tensor:
    rows = torch.as_tensor(rows, dtype=torch.float64)
    torch.manual_seed(0)
    return made(name, len(rows), **options).combine(rows, [*range(len(rows))])


def close(found: Tensor, expected: Tensor, rtol: float = 1e-6) -> None:
    torch.testing.assert_close(found, expected.to(found), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "nash-mtl"])
def test_equal_gradients_are_added(name):
    options = {"cagrad_c": 0.0} if name == "cagrad" else {}
    close(combined(name, [[3.0, -4.0]] * 3, **options), torch.tensor([9.0, -12.0]), rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("nash-mtl", "graddrop", "pcgrad")])
def test_the_order_of_the_tasks_does_not_matter(name):
    rows = torch.tensor([[4.0, 0.0, 1.0], [-1.0, 1.0, 0.0], [0.5, -2.0, 1.0]], dtype=torch.float64)
    close(combined(name, rows[[2, 0, 1]]), combined(name, rows), rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "nash-mtl"])
@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_the_scale_of_all_gradients_is_that_of_the_direction(name, scale):
    rows = torch.tensor(CONFLICT, dtype=torch.float64)
    close(combined(name, scale * rows) / scale, combined(name, rows))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("nash-mtl", "graddrop", "pcgrad")])
def test_rows_of_unlike_lengths_give_in_single_precision_what_they_give_in_double(name, monkeypatch):
    monkeypatch.setattr(aggregators, "_AT_ONCE", 99)  # of 500
    rows = torch.randn(3, 500, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [3000.0], [1.0]])
    single = made(name, 3).combine(rows, [0, 1, 2])
    close(single, combined(name, rows.double()), rtol=1e-3)
    if name == "imtl-g":  # alike along every task's gradient
        along = single.double() @ torch.nn.functional.normalize(rows.double(), dim=1).T
        close(along / along[0], torch.ones(3), rtol=1e-3)


def test_pcgrad_projects_what_conflicts():
    g, h = torch.tensor(CONFLICT, dtype=torch.float64)
    close(combined("pcgrad", CONFLICT), g - (g @ h) / (h @ h) * h + h - (h @ g) / (g @ g) * g)
    close(combined("pcgrad", AGREE), torch.tensor(AGREE).sum(0))


def test_upgrad_of_two_tasks_is_pcgrad():
    close(combined("upgrad", CONFLICT), combined("pcgrad", CONFLICT), rtol=1e-3)  # TorchJD regularises by 1e-4
    close(combined("upgrad", AGREE), torch.tensor(AGREE).sum(0), rtol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-3, 3), min_size=4, max_size=4), min_size=2, max_size=4))
def test_upgrad_conflicts_with_no_task(rows):
    rows = torch.tensor(rows, dtype=torch.float64)
    if rows.norm() > 0.1:
        assert (rows @ combined("upgrad", rows) >= -0.02 * rows.norm() ** 2).all()


def test_mgda_is_the_shortest_point_between_the_gradients():
    g, h = torch.tensor(CONFLICT, dtype=torch.float64)
    share = ((h - g) @ h / (h - g).square().sum()).clamp(0, 1)  # of g
    close(combined("mgda", CONFLICT), 2 * (share * g + (1 - share) * h))
    longer = [[1.0, 0.0], [3.0, 1.0]]  # the first is the shortest: the second gets nothing
    close(combined("mgda", longer), torch.tensor([2.0, 0.0]))


@pytest.mark.parametrize("c", [0.0, 0.4, 0.9])
def test_cagrad_stays_near_the_mean_and_raises_the_worst_task(c):
    rows = torch.tensor(CONFLICT, dtype=torch.float64)
    mean, found = rows.mean(0), combined("cagrad", CONFLICT, cagrad_c=c) / 2
    assert (found - mean).norm().item() == pytest.approx(c * mean.norm().item(), abs=1e-4)
    ball = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    around = mean + c * mean.norm() * ball / ball.norm(dim=1, keepdim=True)  # (2000, 3)
    assert (rows @ found).min() >= (around @ rows.T).min(1).values.max() - 1e-3


def test_imtl_g_has_the_same_projection_on_all_tasks():
    rows = torch.tensor(CONFLICT, dtype=torch.float64)
    projections = (rows @ combined("imtl-g", CONFLICT)) / rows.norm(dim=1)  # (tasks,)
    assert projections[0].item() == pytest.approx(projections[1].item())
    assert projections[0] > 0


def test_aligned_mtl_is_the_sum_of_the_nearest_orthogonal_rows():
    left, sizes, right = torch.linalg.svd(torch.tensor(CONFLICT, dtype=torch.float64), full_matrices=False)
    close(combined("aligned-mtl", CONFLICT), (sizes.min() * left @ right).sum(0))


def test_nash_mtl_is_the_bargaining_solution():
    """alpha * (G G' alpha) is the same for all tasks, and the direction no longer than asked."""
    rows = torch.tensor(CONFLICT, dtype=torch.float64)
    found = combined("nash-mtl", CONFLICT, nash_norm=0.0)
    alpha = torch.linalg.lstsq(rows.T, found).solution  # (tasks,)
    gains = alpha * (rows @ rows.T @ alpha)  # (tasks,)
    assert (alpha > 0).all()
    assert gains[0].item() == pytest.approx(gains[1].item(), rel=0.02)
    short = combined("nash-mtl", CONFLICT, nash_norm=0.5)
    close(short, found * 0.5 / found.norm(), rtol=1e-4)


def test_nash_mtl_begins_at_the_last_solution_of_the_tasks():
    method = made("nash-mtl", 3)
    rows = torch.tensor(CONFLICT)
    method.combine(rows, [2, 0])
    assert method.alpha[1] == 1
    assert method.alpha[2] != 1
    other = made("nash-mtl", 3)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.combine(2 * rows, [2, 0]), method.combine(2 * rows, [2, 0]))


def test_graddrop_keeps_one_sign_at_each_parameter():
    rows = torch.tensor(CONFLICT, dtype=torch.float64).repeat(1, 4000)
    torch.manual_seed(0)
    found = made("graddrop").combine(rows, [0, 1]).view(4000, 3)
    assert set(found[:, 0].tolist()) == {4.0, -1.0}
    assert set(found[:, 1].tolist()) == {1.0}
    assert (found[:, 0] == 4).double().mean().item() == pytest.approx(0.5 * (1 + 3 / 5), abs=0.03)


@pytest.mark.parametrize("name", ["pcgrad", "nash-mtl"])
def test_without_torchjd_one_line_says_what_to_install(name, monkeypatch):
    for module in [each for each in sys.modules if each.split(".")[0] == "torchjd"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(InputError, match=re.escape("pip install graphmtl[balancing]")) as error:
        made(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "lacks"), [("cagrad", "cvxpy"), ("upgrad", "quadprog"), ("nash-mtl", "ecos")])
def test_without_its_solver_too(name, lacks, monkeypatch):
    module = sys.modules["torchjd._mixins"]
    monkeypatch.setattr(module, "find_spec", lambda wanted: None if wanted == lacks else True)
    with pytest.raises(InputError, match=rf"needs torchjd .*{lacks}.*pip install graphmtl\[balancing\]"):
        made(name)


def test_torchjd_is_not_loaded_with_the_file():
    assert "torchjd" not in vars(aggregators)
