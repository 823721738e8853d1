"""Numbers for users' eyes and files: as few digits as tell a number from its neighbours."""

from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["shortest"]


def shortest(values: np.ndarray | np.generic | Tensor) -> Any:
    """The numbers of an array as Python's own: nested lists, or one number.

    A number of 32 bits or fewer becomes the float with the fewest digits that is that number in 32 bits.

    >>> np.float32(0.3).item(), shortest(np.float32([0.3, 1 / 3]))
    (0.30000001192092896, [0.3, 0.33333334])
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() and values.itemsize < 4 else values).numpy()
    narrow = values.dtype.kind == "f" and values.dtype.itemsize < 8
    return (values.astype(np.float32).astype(str).astype(np.float64) if narrow else values).tolist()
