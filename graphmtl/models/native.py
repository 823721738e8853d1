"""recurrence.cpp, compiled the first time it is needed and called through ctypes.

torch's own extension builder compiles it (seconds) and keeps the result in its cache folder. Where there is no
compiler, or GRAPHMTL_NATIVE=0 is set, :func:`load` gives None and the loops of recurrence.py do the work.
"""

import ctypes
import logging
import os
import sys
import zlib
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["Graph", "Texts", "address", "call", "load"]

_SOURCE = Path(__file__).with_name("recurrence.cpp")
_FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
_VECTORS = {"AVX2": ["-mavx2", "-mfma"], "AVX512": ["-mavx512f", "-mavx512dq", "-mfma"]}  # by torch's name for the CPU
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


class Texts(ctypes.Structure):
    """``Texts`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("count", "threads", "parts")] + [("starts", ctypes.c_void_p)]


class Graph(ctypes.Structure):
    """``Graph`` of recurrence.cpp."""

    _fields_ = [(name, ctypes.c_int64) for name in ("score", "per_text", "S", "A", "H")] + [
        (name, ctypes.c_void_p) for name in ("keys", "nodes", "u", "bias")
    ]


@cache
def load() -> ctypes.CDLL | None:
    """The compiled library, or None."""
    if os.environ.get("GRAPHMTL_NATIVE") == "0":
        return None
    cpu = torch.backends.cpu.get_cpu_capability()
    # ninja's place where nobody activated the environment
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    try:
        from torch.utils import cpp_extension  # needs setuptools, which not every environment has

        path = cpp_extension.load(
            # the cache folder may be shared by machines of several kinds and by several versions of graphmtl
            name=f"graphmtl_recurrence_{cpu.lower()}_{zlib.crc32(_SOURCE.read_bytes()):08x}",
            sources=[str(_SOURCE)],
            extra_cflags=_FLAGS + _VECTORS.get(cpu, []),
            is_python_module=False,
        )
        return ctypes.CDLL(str(path))
    except (ImportError, RuntimeError, OSError) as error:
        logging.getLogger(__name__).warning("no compiled recurrences, so training is several times slower: %s", error)
        return None


def address(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor's data begin."""
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else tensor.data_ptr()


def call(name: str, *arguments: ctypes.Structure | int | Tensor | None, dtype: torch.dtype) -> None:
    """Calls a function of the library; ctypes lets other Python threads run meanwhile."""
    plain = [a if isinstance(a, ctypes.Structure) else _argument(a) for a in arguments]
    getattr(load(), f"{name}_{_SUFFIX[dtype]}")(*plain)


def _argument(value: int | Tensor | None) -> ctypes.c_int64 | ctypes.c_void_p:
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_void_p(address(value))
