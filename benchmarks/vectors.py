"""What the compiled loops gain from a CPU's vectors: the same steps by libraries that were compiled for less and more.

    python benchmarks/vectors.py
    python benchmarks/vectors.py --results benchmarks/results/vectors.md

All libraries take turns in one process with one thread, and what counts is the processor's time, not the clock's, so
that a busy machine changes little. The first column names what the compiler may use; ``native`` is all that this CPU
has. What graphmtl takes here is marked.
"""

import platform
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from ctypes import CDLL
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import Contender, Setting, Shape, make_step
from benchmarks.measuring import processor
from graphmtl.cli import Parser, run_verb
from graphmtl.layers.recurrence import compiling, flags, loops_cpp

_STEPS = (("complete", "train"), ("star", "train"), ("complete", "inference"))


def libraries() -> dict[str, CDLL]:
    """One for each kind of CPU that this one contains, compiled if need be."""
    ways = {"none": [], **flags.VECTORS, "native": ["-march=native"]}
    own = torch.backends.cpu.get_cpu_capability()
    less = list(flags.VECTORS)[: list(flags.VECTORS).index(own) + 1 if own in flags.VECTORS else 0]
    sources = [Path(loops_cpp.__file__).with_name(name) for name in flags.SOURCES]
    given = {"sources": sources, "functions": [], "optional": flags.THREADS}
    return {
        name: compiling.load_library("graphmtl_vectors", flags=[*flags.FLAGS, *ways[name]], **given)
        for name in ("none", *less, "native")
    }


def medians(compiled: dict[str, CDLL], repeats: int) -> dict[tuple[str, str, str], float]:
    """Milliseconds of the processor by library, architecture and mode."""
    shape, setting = Shape(tasks=16, batch=16, tokens=128), Setting(threads=1)
    setting.apply()
    steps = {
        (name, mode): make_step(Contender(name=name, score="additive", shape=shape), mode, setting)
        for name, mode in _STEPS
    }
    times: dict[tuple[str, str, str], list[float]] = {}
    for turn in range(repeats + 1):  # the first one is not measured
        for kind, library in compiled.items():
            loops_cpp.load = lambda library=library: library  # type: ignore[assignment]
            for step, run in steps.items():
                started = time.process_time()
                run()
                if turn:
                    times.setdefault((kind, *step), []).append(1000 * (time.process_time() - started))
    return {key: statistics.median(each) for key, each in times.items()}


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    parser = Parser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="times that a step is timed (15)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="Markdown file to write")
    arguments = parser.parse_args(argv)
    own = torch.backends.cpu.get_cpu_capability()
    taken = own if own in flags.VECTORS else "none"
    compiled = libraries()
    found = medians(compiled, arguments.repeats)
    heads = [f"{name}, {mode}" for name, mode in _STEPS]
    lines = [
        f"Command: `{shlex.join(['python', 'benchmarks/vectors.py', *argv])}`",
        "",
        f"{processor('cpu')}, {platform.machine()}; one thread; torch {torch.__version__}. K = 16, 16 texts of 128 "
        f"tokens, input and hidden 100, additive score; medians of {arguments.repeats}, milliseconds of the processor.",
        "",
        f"| vectors | {' | '.join(heads)} |",
        "|---|" + "--:|" * len(heads),
        *(
            f"| {kind}{' (taken)' if kind == taken else ''} | "
            + " | ".join(f"{found[kind, *step]:.1f}" for step in _STEPS)
            + " |"
            for kind in compiled
        ),
    ]
    text = "\n".join([*lines, ""])
    print(text)
    if arguments.results is not None:
        arguments.results.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
