"""Numbers keep their value and lose the digits that tell nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.digits import shortest


@given(st.lists(st.floats(width=32), min_size=1))
def test_a_number_of_32_bits_is_still_that_number_and_none_with_fewer_digits_is(values):
    narrow = np.array(values, dtype=np.float32)
    found = shortest(narrow)
    np.testing.assert_array_equal(np.float32(found), narrow)
    for number in found:
        digits = len(repr(number).split("e")[0].lstrip("-").replace(".", "").strip("0"))
        assert not np.isfinite(number) or digits <= 9
        shorter = float(f"{number:.{max(digits - 2, 0)}e}")
        assert digits < 2 or shorter == number or np.float32(shorter) != np.float32(number)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.1, 1 / 3]), [0.1, 1 / 3]),  # of 64 bits as they are
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([True, False]), [True, False]),
        (torch.tensor([[0.3], [0.7]], requires_grad=True), [[0.3], [0.7]]),
        (torch.tensor([0.3, 2.0], dtype=torch.bfloat16), [0.30078125, 2.0]),
        (torch.tensor([0.3], dtype=torch.float16), [0.30004883]),
        (torch.tensor([3, 4]), [3, 4]),
        (np.float32(3.8), 3.8),
        (np.float32([np.nan, np.inf]), [pytest.approx(np.nan, nan_ok=True), np.inf]),
        (np.zeros((0, 3), np.float32), []),
    ],
)
def test_lists_of_numbers(values, expected):
    assert shortest(values) == expected
