"""Runs are killed, starved and damaged; what is gone on with must come out as if nothing had happened.

    python -m benchmarks.torture --rounds 20 --results benchmarks/results/reliability.md

- kills: SIGKILL at a random moment, several times a run, each time gone on with;
- file operations: the process is gone at one of the operations with which it changes files, each in turn;
- signals: SIGINT and SIGTERM at a random moment, which end with 130 and 143 and one line;
- faults: a file may not grow beyond a size (as on a full disk), or the folder is gone, which ends with one line;
- damage: a file of a run, a transfer or a pre-training is cut, emptied or has a flipped bit, and every verb that reads
  it answers or says so.

A difference is a run whose weights or scores are not those of the uninterrupted one; a dead end a folder that neither
``--resume`` nor ``--overwrite`` takes; a traceback what ends otherwise than with exit code 0, 2, 130 or 143.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphmtl.cli import run_verb

TINY = [
    *("--no-progress", "--no-baselines", "--hidden", "3", "--attention", "3", "--embedding-size", "4", "--epochs", "3"),
    *("--planted-parents", "2", "--planted-children", "1", "--planted-rich", "60", "--planted-poor", "30"),
    *("--planted-test", "20", "--batch-size", "10"),
]
KINDS = {
    "star": ["--arch", "star"],
    "complete": ["--arch", "complete", "--ema", "0.9"],
    "cmtr": ["--arch", "cmtr"],
    "single": ["--arch", "single"],
    "adversarial": ["--arch", "adversarial"],
    "shared, mixed updates": ["--arch", "shared", "--accumulate", "2", "--mix", "--conflict-every", "2"],
    "taught": ["--arch", "shared", "--teachers", "train"],
    "refit": ["--arch", "shared", "--refit-on-valid"],
}
_SOURCE = ["--arch", "complete", "--only", "parent1,parent2", "--control", "never"]
_OTHERS = {  # what else leaves a folder, and its own options
    "pretrain": [],
    "transfer": ["--task", "planted:child1", "--steps", "2", "--no-progress"],
}
_ENDS = (0, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM)
_CHANGES = ("rename", "replace", "unlink", "mkdir", "rmdir", "truncate")
_KILLED = 137
_SHOWN = 600  # characters of what a process said


@dataclass
class Count:
    """What was found in one part.

    Attributes:
        tries: kills, faults or damaged files.
        differences, dead_ends, tracebacks: those with something to tell, each a line.
    """

    tries: int = 0
    differences: list[str] = field(default_factory=list)
    dead_ends: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    def row(self, part: str, what: str) -> str:
        found = (self.differences, self.dead_ends, self.tracebacks)
        return f"| {part} | {self.tries} {what} | " + " | ".join(str(len(each)) for each in found) + " |"


@dataclass(frozen=True)
class Ended:
    """How a process has ended.

    Attributes:
        code: its exit code, minus the signal that killed it.
        said: what it wrote.
        seconds: how long it took.
    """

    code: int
    said: str
    seconds: float

    @property
    def is_traceback(self) -> bool:
        """It ended as no verb should."""
        return "Traceback" in self.said or (self.code not in _ENDS and self.code not in (-signal.SIGKILL, _KILLED))


def child(
    argv: Sequence[str], *, before: Callable[[], object] = lambda: None, after: Callable[[int], object] = id
) -> Ended:
    """A verb in a process of its own, a copy of this one, which has loaded all that it needs.

    Args:
        argv: the verb and its arguments.
        before: is done in the process before the verb.
        after: is called with the process's number while it runs.
    """
    import torch

    from graphmtl.cli import main

    began = time.perf_counter()
    read, write = os.pipe()  # no file, whose size may be limited
    number = os.fork()
    if number == 0:
        code = 1
        torch.set_num_threads(1)  # OpenMP's other threads are not in a copy of a process, which would wait for them
        try:
            with os.fdopen(write, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                os.dup2(write, 2)
                before()
                try:
                    main([*argv])
                    code = 0
                except SystemExit as error:
                    code = error.code if isinstance(error.code, int) else 1
                except BaseException:
                    traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    after(number)
    with os.fdopen(read, "rb") as file:
        said = file.read().decode(errors="replace")
    _, status = os.waitpid(number, 0)
    return Ended(os.waitstatus_to_exitcode(status), said, time.perf_counter() - began)


def result(folder: Path) -> dict:
    """The weights and the scores of a finished run, without its clock."""
    from safetensors.torch import load_file

    metrics = json.loads((folder / "metrics.json").read_text())
    for key in ("train_seconds", "tokens_per_second"):
        del metrics[key]
    weights = {name: value.tolist() for name, value in load_file(folder / "model" / "model.safetensors").items()}
    return {"metrics": metrics, "weights": weights}


class Torture:
    """The parts, over runs in a folder.

    Args:
        folder: of the runs; it is emptied.
        rounds: how often each part is done, over all kinds of runs in turn.
        seed: of what is drawn.
    """

    def __init__(self, folder: Path, *, rounds: int, seed: int) -> None:
        self.folder, self.rounds, self.random = folder, rounds, random.Random(seed)
        self.texts = folder / "texts.txt"
        self.texts.write_text("ba be\nbi bo\n")
        self.expected: dict[str, dict] = {}
        self.seconds: dict[str, float] = {}

    def kinds(self) -> list[str]:
        """A kind for each round; what an uninterrupted run of it gives is known then."""
        names = [[*KINDS][i % len(KINDS)] for i in range(self.rounds)]
        for name in dict.fromkeys(names):
            if name not in self.expected:
                path = self.folder / "whole"
                ended = self.run(name, path, "--overwrite")
                if ended.code:
                    raise RuntimeError(f"{name}: an uninterrupted run ended with {ended.code}: {ended.said[-500:]}")
                self.expected[name], self.seconds[name] = result(path), ended.seconds
        return names

    def run(self, kind: str, path: Path, how: str, **process: Callable) -> Ended:
        """A run of a kind; ``how`` is --resume or --overwrite."""
        return child(["run", *TINY, *KINDS[kind], "--output", str(path), how], **process)

    def finish(self, kind: str, path: Path, count: Count, what: str) -> None:
        """Goes on with a run to its end, or begins it anew, and looks at what comes out."""
        ended = self.run(kind, path, "--resume")
        if ended.code == 2:
            ended = self.run(kind, path, "--overwrite")
        if ended.is_traceback:
            count.tracebacks.append(f"{what}, gone on with: {ended.said[-_SHOWN:]}")
        elif ended.code:
            count.dead_ends.append(f"{what}: {ended.said[-_SHOWN:]}")
        elif result(path) != self.expected[kind]:
            count.differences.append(what)

    def kills(self) -> Count:
        """SIGKILL at random moments, up to three times a run."""
        count = Count()
        for kind in self.kinds():
            path = self._fresh()
            for _ in range(3):
                moment = self.random.uniform(0, self.seconds[kind])
                ended = self.run(kind, path, "--resume", after=lambda n, s=moment: _later(n, s, signal.SIGKILL))
                if ended.is_traceback:
                    count.tracebacks.append(f"{kind}, killed after {moment:.2f} s: {ended.said[-_SHOWN:]}")
                if ended.code == 0:
                    break
                count.tries += 1
            self.finish(kind, path, count, f"{kind}, killed")
        return count

    def operations(self) -> Count:
        """The process is gone at an operation with which it changes files, of a run that replaces another one."""
        count = Count()
        for kind in self.kinds():
            path = self.folder / "run"
            self._replaceable(kind, path)
            total = self._operations(kind, path)
            self._replaceable(kind, path)
            at = self.random.randrange(total)
            ended = self.run(kind, path, "--overwrite", before=lambda at=at: _gone_at(at))
            count.tries += 1
            what = f"{kind}, gone at operation {at} of {total}"
            if ended.code != _KILLED:
                count.tracebacks.append(f"{what}: ended with {ended.code}: {ended.said[-_SHOWN:]}")
            self.finish(kind, path, count, what)
        return count

    def _replaceable(self, kind: str, path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.folder / "whole", path)

    def _operations(self, kind: str, path: Path) -> int:
        """How many operations a run that replaces another one does."""
        counted = self.folder / "operations"
        self.run(kind, path, "--overwrite", before=lambda: _counted(counted))
        return counted.stat().st_size

    def signals(self) -> Count:
        """SIGINT or SIGTERM at random moments, once a run."""
        count = Count()
        for place, kind in enumerate(self.kinds()):
            path, signum = self._fresh(), (signal.SIGINT, signal.SIGTERM)[place % 2]
            moment = self.random.uniform(0, self.seconds[kind])
            ended = self.run(kind, path, "--resume", after=lambda n, s=moment, g=signum: _later(n, s, g))
            count.tries += 1
            what = f"{kind}, {signum.name} after {moment:.2f} s"
            if ended.code not in (0, 128 + signum) or "Traceback" in ended.said:
                count.tracebacks.append(f"{what}: ended with {ended.code}: {ended.said[-_SHOWN:]}")
            self.finish(kind, path, count, what)
        return count

    def faults(self) -> Count:
        """No file may grow beyond a size, as on a full disk; or the folder is gone while it is trained."""
        count = Count()
        for place, kind in enumerate(self.kinds()):
            path = self._fresh()
            count.tries += 1
            if place % 4 == 3:
                what, moment = f"{kind}, the folder removed", self.random.uniform(0.3, 0.9) * self.seconds[kind]
                ended = self.run(kind, path, "--resume", after=lambda _, s=moment, p=path: _removed(p, s))
            else:
                size = int(10 ** self.random.uniform(1, 5))
                what = f"{kind}, files of {size} bytes at most"
                ended = self.run(kind, path, "--resume", before=lambda size=size: _limited(size))
            if ended.is_traceback:
                count.tracebacks.append(f"{what}: ended with {ended.code}: {ended.said[-_SHOWN:]}")
            self.finish(kind, path, count, what)
        return count

    def damage(self) -> Count:
        """A file of a run, finished or half way, of a transfer or of a pre-training is cut, emptied or has a flipped
        bit, and verbs read it; in the end it must be possible to begin anew."""
        count = Count()
        for place, kind in enumerate(self.kinds()):
            path, is_own = self._fresh(), bool(place % 2)  # else a finished run of whichever kind
            if is_own:
                moment = self.random.uniform(0.5, 0.9) * self.seconds[kind]
                self.run(kind, path, "--resume", after=lambda n, s=moment: _later(n, s, signal.SIGKILL))
            else:
                self._replaceable(kind, path)
            made_by = ["run", *TINY, *KINDS[kind], "--output", str(path)]
            self._damaged(count, path, kind, [*self._readers(path), [*made_by, "--resume"]], goes_on=is_own)
            self._begun_anew(count, made_by, kind)
            verb = [*_OTHERS][place % len(_OTHERS)]
            path, made_by = self._other(verb)
            readers = [
                *(self._readers(path) if verb == "transfer" else [self._start_from(path)]),
                [*made_by, "--resume"],
            ]
            self._damaged(count, path, verb, readers)
            self._begun_anew(count, made_by, verb)
        return count

    def _damaged(
        self, count: Count, path: Path, name: str, readers: Sequence[Sequence[str]], *, goes_on: bool = False
    ) -> None:
        """Damages a file of a folder and lets verbs read it; ``goes_on``: a run that has another checkpoint must."""
        files = sorted(each for each in path.rglob("*") if each.is_file() and each.stat().st_size)
        if not files:
            return
        file, how = self.random.choice(files), self.random.choice([*_DAMAGES])
        file.write_bytes(_DAMAGES[how](file.read_bytes(), self.random))
        what = f"{name}, {file.relative_to(path)} {how}"
        for argv in readers:
            count.tries += 1
            ended = child(argv)
            if ended.is_traceback:
                count.tracebacks.append(f"{what}, {argv[0]}: {ended.said[-_SHOWN:]}")
            elif goes_on and argv[-1] == "--resume" and ended.code and _has_another(path, file):
                count.dead_ends.append(f"{what}, {argv[0]}: {ended.said[-_SHOWN:]}")

    def _begun_anew(self, count: Count, made_by: Sequence[str], name: str) -> None:
        """Whatever is damaged, --overwrite takes the folder."""
        count.tries += 1
        ended = child([*made_by, "--overwrite"])
        if ended.is_traceback:
            count.tracebacks.append(f"{name}, begun anew: {ended.said[-_SHOWN:]}")
        elif ended.code:
            count.dead_ends.append(f"{name}, begun anew: {ended.said[-_SHOWN:]}")

    def _other(self, verb: str) -> tuple[Path, list[str]]:
        """The folder of a transfer or of a pre-training, and the command that makes it."""
        path, source = self.folder / verb, self.folder / "source"
        if verb == "transfer" and not source.exists():
            child(["run", *TINY, *_SOURCE, "--output", str(source)])
        made_by = [verb, *([str(source)] if verb == "transfer" else TINY), *_OTHERS[verb], "--output", str(path)]
        if not path.exists():
            ended = child(made_by)
            if ended.code:
                raise RuntimeError(f"{verb}: ended with {ended.code}: {ended.said[-_SHOWN:]}")
        return path, made_by

    def _start_from(self, pretrained: Path) -> list[str]:
        run = str(self.folder / "started")
        return ["run", *TINY, "--arch", "star", "--pretrained", str(pretrained), "--output", run, "--overwrite"]

    def _readers(self, path: Path) -> list[list[str]]:
        run = str(path)
        return [
            ["evaluate", run],
            ["predict", run, "--task", "all", str(self.texts)],
            ["plot", run, "--output", str(self.folder / "plot.png"), "--overwrite"],
            ["report", run, "--output", str(self.folder / "report.html"), "--overwrite"],
        ]

    def _fresh(self) -> Path:
        path = self.folder / "run"
        shutil.rmtree(path, ignore_errors=True)
        return path


def _has_another(run: Path, file: Path) -> bool:
    """Whether a file is of a checkpoint of the run, and another checkpoint is there to go on from."""
    folder = run / "checkpoints"
    return file.is_relative_to(folder) and any(
        path != file.parent
        for path in folder.glob("epoch-*")
        if path.suffix == "" and (path / "checksums.json").is_file()
    )


def _later(number: int, seconds: float, signum: int) -> None:
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signum)


def _removed(path: Path, seconds: float) -> None:
    time.sleep(seconds)
    shutil.rmtree(path, ignore_errors=True)


def _limited(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _each_operation(do: Callable[[], object]) -> None:
    """Calls ``do`` before every operation with which Python changes the names of files."""

    def first(function: Callable) -> Callable:
        def instead(*args: object, **kwargs: object) -> object:
            do()
            return function(*args, **kwargs)

        return instead

    for name in _CHANGES:
        setattr(os, name, first(getattr(os, name)))


def _counted(path: Path) -> None:
    file = path.open("wb", buffering=0)
    _each_operation(lambda: file.write(b"."))


def _gone_at(operation: int) -> None:
    done = 0

    def end() -> None:
        nonlocal done
        done += 1
        if done > operation:
            os._exit(_KILLED)

    _each_operation(end)


def _flipped(content: bytes, draw: random.Random) -> bytes:
    own = bytearray(content)
    own[draw.randrange(len(own))] ^= 1 << draw.randrange(8)
    return bytes(own)


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": lambda content, draw: content[: draw.randrange(len(content))],
    "emptied": lambda content, draw: b"",
    "with a flipped bit": _flipped,
}
PARTS = {  # what is tried in each
    "kills": "kills",
    "operations": "file operations",
    "signals": "signals",
    "faults": "faults",
    "damage": "readings of damaged files",
}


def main(argv: Sequence[str]) -> None:
    """Does the parts, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas between")
    parser.add_argument("--rounds", type=int, default=14, help="of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    for verb in (
        "run",
        "evaluate",
        "predict",
        "plot",
        "report",
        "transfer",
        "pretrain",
    ):  # loaded once, for all copies of this process
        importlib.import_module(f"graphmtl.{verb}")
    rows, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), rounds=arguments.rounds, seed=arguments.seed)
        for part in arguments.parts.split(","):
            count = getattr(torture, part)()
            rows.append(count.row(part, PARTS[part]))
            found += [*count.differences, *count.dead_ends, *count.tracebacks]
            print(rows[-1], flush=True)
    lines = [
        f"Command: `python -m benchmarks.torture {' '.join(argv)}`, kinds of runs: {', '.join(KINDS)}.",
        "",
        "| part | tries | differences | dead ends | tracebacks |",
        "|---|---|---|---|---|",
        *rows,
    ]
    print("\n".join([*lines, "", *found]))
    if arguments.results:
        arguments.results.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if found:
        sys.exit(1)


if __name__ == "__main__":
    run_verb(main)
