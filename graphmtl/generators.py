"""The global random generators, of which training uses its own states."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["generators_kept"]


@contextmanager
def generators_kept() -> Iterator[None]:
    """Python's, numpy's and torch's global generators are at the end what they were at the start.

    A context manager, or a decorator. Where torch had not yet begun to use a GPU, the GPU's generators get the seed of
    the CPU's, which is what ``torch.manual_seed`` had promised them.
    """
    python, arrays, cpu, seed = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.initial_seed()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(cpu)
        if gpus is not None:
            torch.cuda.set_rng_state_all(gpus)
        elif torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
