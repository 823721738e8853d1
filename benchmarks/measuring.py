"""Time, memory and the machine's own limits, for benchmarks/speed.py."""

import multiprocessing
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import torch
from torch.nn import functional as F

from benchmarks.contenders import Contender, Mode, Setting, make_step

__all__ = ["MachineLimits", "Measurement", "machine_limits", "measure_alone", "median_ms", "processor"]

_MIB = 2**20
Key = TypeVar("Key", bound=Hashable)


def _milliseconds(step: Callable[[], object], device: str) -> float:
    """Wall-clock time of one call; on a GPU until its last kernel has ended."""
    _wait(device)
    started = time.perf_counter()
    step()
    _wait(device)
    return 1000 * (time.perf_counter() - started)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def median_ms(steps: Mapping[Key, Callable[[], object]], *, repeats: int, device: str) -> dict[Key, float]:
    """The median time of every step; all steps take turns, so that whatever slows the machine slows all of them.

    Every step is called once before, unmeasured.
    """
    for step in steps.values():
        step()
    rounds = [{key: _milliseconds(step, device) for key, step in steps.items()} for _ in range(repeats)]
    return {key: statistics.median(times[key] for times in rounds) for key in steps}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One step, run once.

    Attributes:
        ms: wall-clock time of what the step computes.
        peak_mib: peak memory over what model and input occupy.
    """

    ms: float
    peak_mib: float


def measure_alone(contender: Contender, mode: Mode, setting: Setting) -> Measurement:
    """One step with nothing beside it.

    On a GPU the memory is what PyTorch has allocated. On the CPU it is the growth of the peak resident set in a process
    of its own: forked from a server that has imported the libraries and computed nothing, since a process that has used
    OpenMP cannot be forked safely.
    """
    if setting.device == "cuda":
        return _measure_on_gpu(contender, mode, setting)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch_geometric", "graphmtl"])  # seconds, once and not for every step
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_measurement, args=(sender, contender, mode, setting))
    child.start()
    sender.close()  # the child's end alone stays open, so that its death ends the waiting
    measurement = receiver.recv()
    child.join()
    return measurement


def _first_steps(contender: Contender, mode: Mode, setting: Setting) -> None:
    """Two tokens: loads the code and starts the threads, which belongs to no step."""
    make_step(replace(contender, shape=replace(contender.shape, tokens=2)), mode, setting)()


def _measure_on_gpu(contender: Contender, mode: Mode, setting: Setting) -> Measurement:
    _first_steps(contender, mode, setting)
    step = make_step(contender, mode, setting)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    ms = _milliseconds(step, setting.device)
    return Measurement(ms=ms, peak_mib=(torch.cuda.max_memory_allocated() - before) / _MIB)


def _send_measurement(sender: Connection, contender: Contender, mode: Mode, setting: Setting) -> None:
    setting.apply()
    _first_steps(contender, mode, setting)
    step = make_step(contender, mode, setting)
    before = _peak_resident()
    ms = _milliseconds(step, setting.device)
    sender.send(Measurement(ms=ms, peak_mib=(_peak_resident() - before) / _MIB))


def _peak_resident() -> int:
    """The largest resident set of this process so far, in bytes; the system gives KiB on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@dataclass(frozen=True, kw_only=True)
class MachineLimits:
    """What the machine reaches at best.

    Attributes:
        products: GFLOP/s of a large matrix product in the setting's precision.
        bandwidth: GB/s of a large copy, bytes read and bytes written.
    """

    products: float
    bandwidth: float


def machine_limits(setting: Setting, *, size: int | None = None, repeats: int = 5) -> MachineLimits:
    """The best of several products of two square matrices, and of several copies of the same 64 ``size``^2 bytes.

    On a CPU it is the better one of torch.mm and of oneDNN, which is what torch.nn.LSTM uses there: the library behind
    torch.mm leaves half of the vector width of some CPUs idle.

    Args:
        setting: device, precision and threads.
        size: rows of the matrices; 2,048 on a CPU and 8,192 on a GPU unless given.
        repeats: calls of each, after one that is not measured.
    """
    size = size or (8192 if setting.device == "cuda" else 2048)
    dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    a, b, c = torch.randn(3, size, size, device=setting.device, dtype=dtype)
    source, target = torch.zeros(2, 16 * size * size, device=setting.device)
    with torch.no_grad():
        product = _best_ms(lambda: torch.mm(a, b, out=c), repeats, setting.device)
        if setting.device == "cpu" and torch.backends.mkldnn.is_available():
            a, b = a.to_mkldnn(), b.to_mkldnn()
            product = min(product, _best_ms(lambda: F.linear(a, b), repeats, setting.device))
        copy = _best_ms(lambda: target.copy_(source), repeats, setting.device)
    return MachineLimits(
        products=2 * size**3 / product / 1e6, bandwidth=2 * source.numel() * source.element_size() / copy / 1e6
    )


def _best_ms(step: Callable[[], object], repeats: int, device: str) -> float:
    step()
    return min(_milliseconds(step, device) for _ in range(repeats))


def processor(device: str) -> str:
    """The name of the processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
