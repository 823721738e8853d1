import math

import numpy as np
import pytest

from graphmtl.graph.edge import Edge, expect

GOOD = {"source": "a", "target": "b", "weight": 0.5, "std": 0.1, "count": 7}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": math.nan}, "weight is a finite number, not nan"),
        ({"weight": math.inf}, "weight is a finite number, not inf"),
        ({"weight": 10**400}, "weight is a finite number"),
        ({"weight": "0.5"}, "weight is a finite number, not '0.5'"),
        ({"std": -0.1}, "std is a number from 0 up, not -0.1"),
        ({"std": math.nan}, "std is a number from 0 up, not nan"),
        ({"count": 0}, "count is a whole number from 1 up, not 0"),
        ({"weight": True}, "weight is a finite number, not True"),
        ({"std": False}, "std is a number from 0 up, not False"),
        ({"count": True}, "count is a whole number from 1 up, not True"),
        ({"count": 2.0}, "count is a whole number from 1 up, not 2.0"),
    ],
)
def test_what_can_be_no_number_of_an_edge(values, message):
    with pytest.raises(ValueError, match=f"^edge 'a' -> 'b': {message}"):
        Edge(**GOOD | values)


def test_a_weight_may_be_negative_and_a_number_of_numpy():
    edge = Edge(**GOOD | {"weight": np.float32(-2.5), "std": 0, "count": np.int64(1)})
    assert (edge.weight, edge.std, edge.count) == (-2.5, 0, 1)
    assert [type(value) for value in (edge.weight, edge.std, edge.count)] == [float, float, int]


def test_a_value_of_another_kind_is_named_with_the_kinds_that_are_expected():
    expect("tasks", ("a",), (list, tuple))
    with pytest.raises(ValueError, match=r"^tasks: expected list or tuple, found 'abc'$"):
        expect("tasks", "abc", (list, tuple))
    with pytest.raises(ValueError, match=r"^seed: expected int, found '0{59}$"):  # no more of it
        expect("seed", "0" * 1000, int)
