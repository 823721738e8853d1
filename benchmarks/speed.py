"""How fast the architectures are, beside what they are to be measured against, in one run of one process.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --sweep all --training --results benchmarks/results/speed.md

A row is one step over a batch: ``train`` (forward and backward) or ``inference``. Its limit is torch.nn.LSTM, called
as often as plain LSTMs must read the text whatever the tasks then tell each other: K times for complete, twice for star
(the virtual node and the task), once for shared and single. ``of limit`` is the row's time over that of its limit, and
``loop over it`` the time of the plain loop (the reference of the tests: one text, one task, one token at a time) over
the row's. All rows of a table take turns, so that only the ratios within a table are claims. ``MiB`` is the peak memory
of the step over its parameters and input. ``of products`` is the speed of the row's matrix products, counted by
formula, as a share of what one large matrix product reaches on the machine. Memory, and the plain loop, are taken in
processes of their own, one at a time.

Use it on a machine that does nothing else. --threads counts, whatever OMP_NUM_THREADS says.
"""

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ and the plain loop in tests/

from benchmarks.contenders import (
    MODES,
    Contender,
    Mode,
    Setting,
    Shape,
    has_loop,
    make_step,
    product_operations,
    scores_of,
)
from benchmarks.measuring import MachineLimits, Measurement, machine_limits, measure_alone, median_ms, processor
from benchmarks.overhead import overhead_lines
from benchmarks.training_steps import PARTS, training_speed
from graphmtl.cli import Parser, run_verb
from graphmtl.data.task import TaskSet
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.results import versions
from graphmtl.training.run_data import load_run_tasks

SWEEPS = {
    "tasks": (2, 4, 8, 16, 32, 64, 128),
    "tokens": (32, 64, 128, 256, 512, 1024),
    "batch": (1, 2, 4, 8, 16, 32, 64),
}
_SIZES = ("tasks", "batch", "tokens", "input", "hidden", "attention")  # each an option
_ON_GPU = {"batch": 64, "tokens": 256}  # the reference size there, where small steps only measure launches
_TOP_EDGES = 8
_TRAINING_STEPS = 50
_DTYPES = {"float32": "float32", "tf32": "tf32", "bf16": "bfloat16"}

Step = tuple[Contender, Mode]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured step.

    Attributes:
        contender: what was timed.
        mode: train or inference.
        ms: its time for the whole batch.
        limit_ms: that of its limit, nn.LSTM.
        loop_ms: that of the plain loop over the same equations, None where it was not run.
        peak_mib: peak memory of the step over parameters and input.
        of_products: share of the machine's speed in large matrix products, None where the products are not counted.
    """

    contender: Contender
    mode: Mode
    ms: float
    limit_ms: float
    loop_ms: float | None
    peak_mib: float
    of_products: float | None

    def objects(self, setting: Setting) -> list[dict]:
        """What ``--json`` prints: an object against nn.LSTM and, where the loop was run, one against the loop."""
        ratios = {"lstm": self.ms / self.limit_ms}
        if self.loop_ms is not None:
            ratios["loop"] = self.loop_ms / self.ms
        return [
            {
                "name": self.contender.label,
                "score": self.contender.score,
                "mode": self.mode,
                "against": against,
                "ratio": ratio,
                "ms": self.ms,
                "peak_mib": self.peak_mib,
                "shape": {**asdict(self.contender.shape), "directions": 1},
                "device": setting.device,
                "dtype": _DTYPES[setting.precision],
            }
            for against, ratio in ratios.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table: its title, the steps that take turns in it, and how often each is timed."""

    title: str
    steps: tuple[Step, ...]
    repeats: int


def architectures(shape: Shape) -> list[Contender]:
    """Every architecture of the registry, with every score function it has."""
    return [Contender(name=name, score=score, shape=shape) for name in ARCHITECTURES for score in scores_of(name)]


def reference_section(shape: Shape, repeats: int) -> Section:
    """Everything at one size, forward and forward with backward."""
    ours = architectures(shape)
    loops = [contender.loop for contender in ours if has_loop(contender.name)]
    geometric = Contender(name="complete", kind="torch_geometric", score="additive", shape=shape)
    steps = [(contender, mode) for mode in MODES for contender in (*ours, geometric, *loops)]
    return Section(title="Architectures", steps=tuple(steps), repeats=repeats)


def quick_sections(shape: Shape, repeats: int, *, loops: bool = True) -> list[Section]:
    """Only the rows that have a bound to keep, and the plain loops, which take minutes on a GPU."""
    graphs = [
        Contender(name=name, score=score, shape=shape) for name in ("complete", "star") for score in scores_of(name)
    ]
    steps: list[Step] = [(contender, "train") for contender in graphs]
    if loops:
        steps += [(contender.loop, "train") for contender in graphs if contender.score == "additive"]
    steps += [(contender, "inference") for contender in graphs if contender.name == "complete" or not loops]
    long = replace(shape, tokens=8 * shape.tokens)
    star = Contender(name="star", score="additive", shape=long)  # the score that needs more memory
    return [
        Section(title="Graph LSTMs", steps=tuple(steps), repeats=repeats),
        Section(title="Long texts", steps=((star, "train"),), repeats=1),
        edges_section(shape, (shape.tasks, 8 * shape.tasks), repeats),
    ]


def edges_section(shape: Shape, tasks: Sequence[int], repeats: int) -> Section:
    """``complete`` with few edges into every task; a step is one batch of one task, so all K tasks take K of them."""
    in_degree = _TOP_EDGES
    shapes = [replace(shape, tasks=k, in_degree=in_degree) for k in tasks]
    title = f"complete, {_TOP_EDGES} edges into a task"
    steps = tuple((Contender(name="complete", score="additive", shape=each), "train") for each in shapes)
    return Section(title=f"{title}: time of one task's batch", steps=steps, repeats=repeats)


def sweep_sections(axis: str, shape: Shape, repeats: int) -> list[Section]:
    """Every architecture at every value of one size; ``tasks`` also with few edges."""
    sections = []
    for value in SWEEPS[axis]:
        steps = [(contender, mode) for mode in MODES for contender in architectures(replace(shape, **{axis: value}))]
        sections.append(Section(title=f"{axis} = {value}", steps=tuple(steps), repeats=repeats))
    if axis == "tasks":
        more = [k for k in SWEEPS["tasks"] if k > _TOP_EDGES]
        sections.append(edges_section(shape, more, repeats))
    return sections


def measure(section: Section, setting: Setting, limits: MachineLimits) -> list[Row]:
    """Times a section's steps and their limits: each once alone, for its memory, and then all of them in turns."""
    steps = dict.fromkeys(section.steps)
    steps |= dict.fromkeys((contender.limit, mode) for contender, mode in section.steps)
    alone = {step: measure_alone(*step, setting) for step in steps}
    ms = {step: measured.ms / step[0].share for step, measured in alone.items()}
    if section.repeats > 1:
        turns = {step: make_step(*step, setting) for step in steps if step[0].kind != "loop"}
        ms |= median_ms(turns, repeats=section.repeats, device=setting.device)
    return [_row(step, ms, alone, limits) for step in steps]


def _row(step: Step, ms: dict[Step, float], alone: dict[Step, Measurement], limits: MachineLimits) -> Row:
    contender, mode = step
    operations = product_operations(contender, mode)
    return Row(
        contender=contender,
        mode=mode,
        ms=ms[step],
        limit_ms=ms[contender.limit, mode],
        loop_ms=None if contender.kind != "architecture" else ms.get((contender.loop, mode)),
        peak_mib=alone[step].peak_mib,
        of_products=None if operations is None else operations / ms[step] / 1e6 / limits.products,
    )


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table whose columns are aligned; the first three to the left."""
    widths = [max(3, *map(len, column)) for column in zip(headings, *rows, strict=True)]
    rule = ["-" * width if i < 3 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    cells = [
        [
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (headings, rule, *rows)
    ]
    return ["| " + " | ".join(row) + " |" for row in cells]


def section_lines(section: Section, rows: Sequence[Row]) -> list[str]:
    """A section as Markdown."""
    headings = ["what", "score", "mode", "K", "batch", "tokens", "ms", "of limit", "loop over it", "MiB", "of products"]
    cells = [_cells(row) for row in rows]
    repeats = (
        "Measured once, each in a process of its own." if section.repeats == 1 else f"Medians of {section.repeats}."
    )
    loops = [row.contender for row in rows if row.contender.kind == "loop"]
    note = f" The plain loop: 1 of {loops[0].shape.batch} texts, once, its time scaled to the batch." if loops else ""
    return [f"## {section.title}", "", repeats + note, "", *markdown_table(headings, cells), ""]


def _cells(row: Row) -> list[str]:
    shape = row.contender.shape
    return [
        row.contender.label,
        row.contender.score or "-",
        row.mode,
        str(shape.tasks),
        str(shape.batch),
        str(shape.tokens),
        f"{row.ms:,.1f}",
        f"{row.ms / row.limit_ms:.2f}",
        "-" if row.loop_ms is None else f"{row.loop_ms / row.ms:.0f}",
        f"{row.peak_mib:,.0f}",
        "-" if row.of_products is None else f"{row.of_products:.1%}",
    ]


def training_lines(tasks: TaskSet, setting: Setting) -> list[str]:
    """Speed of real training steps of shared and star, as Markdown."""
    rows = []
    for arch, score in (("shared", None), ("star", "additive"), ("star", "dot")):
        options = make_options(
            arch=arch,
            score=score or "additive",
            device="cpu" if setting.device == "cpu" else "auto",
            precision="bf16" if setting.precision == "bf16" else "no",
        )
        speed = training_speed(tasks, options, steps=_TRAINING_STEPS)
        shares = ["-"] * len(PARTS) if speed.shares is None else [f"{speed.shares[part]:.0%}" for part in PARTS]
        rows.append(
            [arch, score or "-", tasks.name, f"{speed.tokens_per_second:,.0f}", f"{speed.epoch_seconds:,.0f}", *shares]
        )
    headings = ["arch", "score", "task set", "tokens per second", "an epoch, seconds", *PARTS]
    note = (
        f"The Trainer with its default options, about {_TRAINING_STEPS} steps on a random part of every task; texts "
        "encoded before, evaluation left out. The columns on the right are shares of a step's time: the architecture, "
        "the encoder (each forward and backward), AdamW, and batches, heads, loss and clipping. The epoch is that of "
        "the whole task set at this speed."
    )
    return ["## Training steps", "", note, "", *markdown_table(headings, rows), ""]


def machine_lines(command: str, shape: Shape, setting: Setting, limits: MachineLimits) -> list[str]:
    """The command, the machine, what it can do, and the size of the steps."""
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    omp = os.environ.get("OMP_NUM_THREADS", "not set")
    cores = f"{os.cpu_count()} CPU cores, {setting.threads} thread(s) (OMP_NUM_THREADS {omp})"
    return [
        f"Command: `{command}`",
        "",
        f"{processor(setting.device)}; {cores}; {platform.system()} {platform.machine()}; {installed}.",
        "",
        f"Limits measured in this run: {limits.products:,.0f} GFLOP/s in a large matrix product, "
        f"{limits.bandwidth:,.1f} GB/s in a large copy (bytes read and written). Precision {setting.precision}.",
        "",
        f"Input {shape.input}, hidden {shape.hidden}, attention {shape.attention}; one direction, texts of one length.",
        "",
    ]


def _at_least_1(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {value!r}")
    return int(value)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the rows that have a bound to keep: a minute")
    parser.add_argument("--json", action="store_true", help="an object per line on stdout; all else goes to stderr")
    parser.add_argument("--sweep", choices=[*SWEEPS, "all"], help="also over these sizes, the others as given")
    parser.add_argument(
        "--training",
        nargs="?",
        const="planted",
        metavar="TASKS",
        help="also real training steps, on planted by default",
    )
    parser.add_argument(
        "--overhead", action="store_true", help="only what cmtr costs on transformers of two sizes, beside shared"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=list(_DTYPES), default="float32")
    parser.add_argument("--threads", type=_at_least_1, default=Setting.threads, help="CPU threads")
    parser.add_argument("--repeats", type=_at_least_1, help="times that a step is timed (5; --quick 7)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="Markdown file to write")
    for name in _SIZES:
        note = f"{getattr(Shape, name)}" + (f"; {_ON_GPU[name]} on a GPU" if name in _ON_GPU else "")
        parser.add_argument(f"--{name}", type=_at_least_1, help=f"({note})")
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device: there is no cuda device that torch can use here; cpu is accepted")
    if arguments.device == "cpu" and arguments.precision == "tf32":
        raise InputError("--precision: tf32 is for --device cuda; float32 and bf16 are accepted on the CPU")
    return arguments


def _sections(arguments: argparse.Namespace, shape: Shape) -> list[Section]:
    repeats = arguments.repeats or (7 if arguments.quick else 5)
    sections = [reference_section(shape, repeats)]
    if arguments.quick:
        sections = quick_sections(shape, repeats, loops=arguments.device == "cpu")
    axes = SWEEPS if arguments.sweep == "all" else [arguments.sweep] if arguments.sweep else []
    return [*sections, *(section for axis in axes for section in sweep_sections(axis, shape, repeats))]


def main(argv: Sequence[str]) -> None:
    """Measures, prints as it goes on, and writes the file."""
    arguments = _parse(argv)
    setting = Setting(device=arguments.device, precision=arguments.precision, threads=arguments.threads)
    setting.apply()
    given = {name: getattr(arguments, name) for name in _SIZES if getattr(arguments, name) is not None}
    shape = Shape(**{**(_ON_GPU if arguments.device == "cuda" else {}), **given})
    out = sys.stderr if arguments.json else sys.stdout
    written: list[str] = []

    def say(lines: list[str]) -> None:
        print("\n".join(lines), file=out, flush=True)
        written.extend(lines)

    tasks = load_run_tasks(make_options(tasks=arguments.training)) if arguments.training else None
    limits = machine_limits(setting)
    say(machine_lines(shlex.join(["python", "benchmarks/speed.py", *argv]), shape, setting, limits))
    if arguments.overhead:
        say(overhead_lines(setting, arguments.repeats or 5))
    for section in [] if arguments.overhead else _sections(arguments, shape):
        rows = measure(section, setting, limits)
        say(section_lines(section, rows))
        if arguments.json:
            print("\n".join(json.dumps(line) for row in rows for line in row.objects(setting)), flush=True)
    if tasks is not None:
        say(training_lines(tasks, setting))
    if arguments.results:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text("\n".join(written), encoding="utf-8")


if __name__ == "__main__":
    run_verb(main)
