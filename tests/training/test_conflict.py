import json
import math
from pathlib import Path

import pytest
import torch

from graphmtl.errors import InputError
from graphmtl.training.conflict import GradientConflict


def measured() -> GradientConflict:
    """a and b at right angles, then at 45 degrees; b and c against one another."""
    conflict = GradientConflict(["a", "b", "c"])
    conflict.add(["b", "a"], torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    conflict.add(["a", "b"], torch.tensor([[5.0, 5.0], [0.0, 1.0]]))
    conflict.add(["c", "b"], torch.tensor([[-1.0, -1.0], [4.0, 4.0]]))
    return conflict


def test_the_mean_cosine_of_two_tasks_is_over_updates_with_both():
    matrix = measured().matrix()
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(math.sqrt(0.5) / 2)
    assert matrix[1, 2] == matrix[2, 1] == pytest.approx(-1)
    assert math.isnan(matrix[0, 2])
    assert matrix.diagonal() == pytest.approx([1, 1, 1])
    assert measured().updates == 3  # b was in all of them


def test_the_mean_is_over_pairs_of_different_tasks_in_every_update():
    assert measured().mean() == pytest.approx((0 + math.sqrt(0.5) - 1) / 3)
    assert GradientConflict(["a", "b"]).mean() is None


def test_the_mean_of_an_epoch_is_of_its_updates_alone():
    conflict = measured()
    assert conflict.end_epoch() == pytest.approx(conflict.mean())
    assert conflict.end_epoch() is None
    conflict.add(["a", "c"], torch.tensor([[1.0], [2.0]]))
    assert conflict.end_epoch() == pytest.approx(1)


def test_a_gradient_without_direction_is_not_counted():
    conflict = GradientConflict(["a", "b"])
    for row in ([0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]):
        conflict.add(["a", "b"], torch.tensor([row, [1.0, 1.0]]))
    assert conflict.mean() is None
    conflict.add(["a", "b"], torch.zeros(2, 0))
    assert math.isnan(conflict.matrix()[0, 1])


def test_the_lengths_of_gradients_do_not_matter():
    short, long = GradientConflict(["a", "b"]), GradientConflict(["a", "b"])
    rows = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    short.add(["a", "b"], rows)
    long.add(["a", "b"], torch.tensor([[7.0], [0.5]]) * rows)
    assert long.mean() == pytest.approx(short.mean())


def test_it_is_read_as_it_was_written():
    text = json.dumps(measured().as_json(), allow_nan=False)
    found = GradientConflict.of_json(json.loads(text), Path("file"))
    assert found.tasks == ["a", "b", "c"]
    assert found.matrix() == pytest.approx(measured().matrix(), nan_ok=True)
    assert (found.mean(), found.updates) == (pytest.approx(measured().mean()), 3)
    assert GradientConflict(["a", "b"]).as_json() is None


@pytest.mark.parametrize(
    "change",
    [{"cosine": "none"}, {"updates": [[1, 2]]}, {"tasks": ["a"]}, {"cosine": None}, {"updates": [["x"] * 3] * 3}],
)
def test_a_damaged_file_is_named(change):
    with pytest.raises(InputError, match=r"run/conflict\.json: found .*, expected tasks, cosine and updates"):
        GradientConflict.of_json(measured().as_json() | change, Path("run/conflict.json"))
    with pytest.raises(InputError, match="expected tasks, cosine and updates"):
        GradientConflict.of_json({}, Path("x"))


def test_a_state_goes_on_where_it_was():
    first, second = measured(), GradientConflict(["a", "b", "c"])
    first.end_epoch()
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.add(["a", "c"], torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert second.as_json() == first.as_json()
    assert second.end_epoch() == pytest.approx(math.sqrt(0.5))
