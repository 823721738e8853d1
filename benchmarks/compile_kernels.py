"""Whether the kernels in Triton compile for GPUs that are not here, and what ptxas says of them.

    python benchmarks/compile_kernels.py

For each kernel and compute capability: registers of a thread, bytes that do not fit and go to memory and back (spills),
shared memory, and how long compiling takes. It ends with 1 if a kernel spills or does not compile. No GPU is needed;
ptxas comes with Triton.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.pop("TRITON_INTERPRET", None)  # which is asked for when Triton is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as compile_for

from graphmtl.cli import Parser, run_verb
from graphmtl.layers.packing import Graph
from graphmtl.layers.recurrence import kernels, loops_triton, plan

_CAPABILITIES = {"8.0": 108, "9.0": 132}  # and how many multiprocessors such a GPU has
_WHOLE = ("B", "N", "K", "S", "TEXTS", "begin", "end")


class Compiled(NamedTuple):
    """What became of a kernel."""

    name: str
    capability: str
    registers: int
    spills: int
    shared: int
    seconds: float


def cases(H: int, A: int, texts: int, multiprocessors: int) -> Iterator[tuple[str, Any, dict]]:
    """Name, kernel and choices of what complete (16 tasks) and star are read with."""
    plan._multiprocessors = lambda _: multiprocessors  # type: ignore[assignment]
    here, dtype, all_stages = torch.device("cpu"), torch.float32, {"STAGES": kernels.ALL.value}
    for K in (1, 15):
        own = plan.plain_plan(texts, K, H, here)
        for kernel, columns in ((kernels.plain_forward, 4), (kernels.plain_backward, 1)):
            choices = {"H": H, **all_stages, **own.choices(dtype, columns)}
            yield f"{kernel.__name__}, K = {K}", kernel, choices
    for arch, score in (("star", "additive"), ("star", "dot"), ("star", "static"), ("complete", "additive")):
        graph = _graph(H, A, per_text=arch == "star", score=score)
        own = plan.message_plan(texts, 1, graph, here)
        for kernel, columns in ((kernels.message_forward, 4), (kernels.message_backward, 2)):
            choices = plan.message_choices(graph, own) | all_stages | own.choices(dtype, columns)
            yield f"{kernel.__name__}, {arch} {score}", kernel, choices
    AP = plan.padded(A)
    sizes = {"H": H, "A": A, "AP": AP, "num_warps": 4}
    yield "keys_of_texts", kernels.keys_of_texts, sizes | {"ROWS": loops_triton.KEYS // AP}
    yield "keys_of_tokens", kernels.keys_of_tokens, sizes | {"ROWS": 16, "TOKENS": loops_triton.TOKENS}


def _graph(H: int, A: int, *, per_text: bool, score: str) -> Graph:
    nodes: Tensor = torch.empty(1, 1, H) if per_text else torch.empty(1, 1, 15, H)
    keys = {"additive": torch.empty(*nodes.shape[:-1], A), "dot": nodes, "static": None}[score]
    u = torch.empty(1, A) if score == "additive" else None
    return Graph(nodes, keys, u, None if per_text else torch.empty(15))


def compile_kernel(name: str, kernel: Any, choices: dict, capability: str) -> Compiled:
    """Compiles a kernel for float32."""
    choices = dict(choices)
    warps = choices.pop("num_warps")
    types = {argument: "i32" if argument in _WHOLE else "*fp32" for argument in kernel.arg_names}
    types |= {argument: kind for argument, kind in (("begins", "*i64"), ("counters", "*i32")) if argument in types}
    signature = types | dict.fromkeys(choices, "constexpr")
    whole = [(i,) for i, argument in enumerate(kernel.arg_names) if signature[argument].startswith("*")]
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs=choices,
        attrs={place: [["tt.divisibility", 16]] for place in whole},  # as torch's memory is
    )
    started = time.perf_counter()
    target = GPUTarget("cuda", int(capability.replace(".", "")), 32)
    code = compile_for(source, target=target, options={"num_warps": warps})
    registers, spills = _assembled(code.asm["ptx"], capability)
    return Compiled(name, capability, registers, spills, code.metadata.shared, time.perf_counter() - started)


def _assembled(ptx: str, capability: str) -> tuple[int, int]:
    """Registers and bytes of spills."""
    ptxas = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"
    number = capability.replace(".", "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.ptx")
        path.write_text(ptx)
        architecture = f"--gpu-name=sm_{number}{'a' if number == '90' else ''}"
        command = [str(ptxas), "-v", architecture, str(path), "-o", f"{path}.cubin"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said), re.search(r"Used (\d+) reg", said)
    assert found[0] is not None
    assert found[1] is not None
    return int(found[1][1]), int(found[0][1]) + int(found[0][2])


def main(argv: Sequence[str]) -> None:
    """Compiles all, and prints a line for each."""
    parser = Parser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=100, help="hidden units (100)")
    parser.add_argument("--attention", type=int, default=64, help="dimensions of keys and queries (64)")
    parser.add_argument("--batch", type=int, default=64, help="texts (64)")
    parser.add_argument("--capability", choices=list(_CAPABILITIES), help="of this one alone")
    arguments = parser.parse_args(argv)
    print(f"{'kernel':36} for  registers  spills  shared  seconds")
    spills = 0
    asked = [arguments.capability] if arguments.capability else _CAPABILITIES
    for capability in asked:
        multiprocessors = _CAPABILITIES[capability]
        for name, kernel, choices in cases(arguments.hidden, arguments.attention, arguments.batch, multiprocessors):
            one = compile_kernel(name, kernel, choices, capability)
            spills += one.spills
            print(
                f"{name:36} {capability} {one.registers:10} {one.spills:7} {one.shared:7} {one.seconds:8.1f}",
                flush=True,
            )
    if spills:
        sys.exit("some kernels spill")


if __name__ == "__main__":
    run_verb(main)
