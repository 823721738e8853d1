"""Files of every kind that graphmtl reads, changed at random: each is read, or refused in one line, in bounded time.

    python -m benchmarks.fuzz --inputs 100000 --results benchmarks/results/fuzz.md

A changed file that ends in anything but an answer or an ``InputError`` is a traceback, one that takes longer than a few
seconds of the CPU is slow; both are printed with the input.
"""

import argparse
import gzip
import json
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphmtl.cli import run_verb
from graphmtl.comparison.space import known_options, read_space
from graphmtl.data.loading import load_tasks
from graphmtl.data.vectors import read_vectors
from graphmtl.errors import InputError
from graphmtl.files import read_json_lines
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.graph.topology import read_topology
from graphmtl.models.saving import load_model
from graphmtl.options import make_options
from graphmtl.options.yaml_file import read_options
from graphmtl.training.run import Run
from graphmtl.training.state_file import load_state, save_state

_SECONDS = 5  # of the CPU, so that what else runs on the machine does not count
_ROWS = [(f"a good film {i} {'!' * (i % 7)}", ("good", "bad")[i % 2], i / 10) for i in range(40)]
_TABLE = "text,label,score\n" + "".join(f'"{text}",{label},{score}\n' for text, label, score in _ROWS)
_LINES = "".join(json.dumps({"text": t, "label": one, "tokens": t.split()}) + "\n" for t, one, _ in _ROWS)
_TAGS = "".join(f"a\tO\nfilm\tB-{'XY'[i % 2]}\n{i}\tI-{'XY'[i % 2]}\n\n" for i in range(30))
_TASKS = """tasks:
  one: {train: table.csv, text: text, label: label, test: 0.2, metrics: [accuracy, f1], class_weights: {good: 2}}
  two:
    train: table.csv
    text: [text, label]
    label: score
    kind: regression
    scale: [0, 4]
    test: 8
  three: {train: lines.jsonl, text: text, label: label, valid: 0.25, test: 0.25, missing: ["-", n/a], weight: 0.5}
"""
_GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="w" for="edge" attr.name="weight" attr.type="double"/>
<graph edgedefault="directed"><node id="a"/><node id="b"/><node id="c"/>
<edge source="a" target="b"><data key="w">0.5</data></edge><edge source="b" target="c"/></graph></graphml>
"""
_CONFIG = "format: 2\narch: star\nlr: 0.003\nepochs: 3\nscore: dot\nhidden: 16\ntasks: planted\nembeddings: null\n"
_SPACE = "hidden: [32, 64]\nlr: {low: 0.001, high: 0.01, log: true}\nscore: [dot, additive]\n"
_VECTORS = "4 3\n" + "".join(f"{word} 0.5 -1 {i}e-2\n" for i, word in enumerate(("a", "good", "film", "!")))
_STRANGE = [
    *(
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\n",
        b"\r",
        b"\t",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"- ",
    ),
    *(b"-1", b"0", b"1e999", b"nan", b"null", b"true", b"9" * 400, b"!!python/name:os.system", b"&a", b"*a", b"<<: "),
    *(
        "\u2028".encode(),
        "\ud83d".encode("utf-8", "surrogatepass"),
        "é".encode("latin-1"),
        b"..",
        b"/dev/zero",
        b"a" * 5000,
    ),
]


@dataclass
class Found:
    """What came of one kind of file.

    Attributes:
        read: files that were read.
        refused: those that were refused in a line.
        tracebacks, slow: what was found, with its input.
    """

    read: int = 0
    refused: int = 0
    tracebacks: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)


class _TooLong(BaseException):
    pass


def changed(content: bytes, draw: random.Random) -> bytes:
    """The content with one to four changes: spans removed, doubled, replaced, or strange bytes put in."""
    own = content
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(own) + 1)
        end = min(len(own), start + draw.choice((0, 1, 2, 5, 20, 200)))
        span = own[start:end]
        instead = draw.choice((b"", span * 2, span[::-1], draw.choice(_STRANGE), bytes([draw.randrange(256)])))
        own = own[:start] + instead + own[end:]
    return own


class Fuzz:
    """Changed files in a folder that holds whole ones.

    Args:
        folder: the folder.
        seed: of what is drawn.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        whole = {
            "table.csv": _TABLE.encode(),
            "lines.jsonl": _LINES.encode(),
            "rows.json": f"[{','.join(_LINES.splitlines())}]".encode(),
            "packed.csv.gz": gzip.compress(_TABLE.encode(), mtime=0),
            "tags.conll": _TAGS.encode(),
            "tasks.yaml": _TASKS.encode(),
            "config.yaml": _CONFIG.encode(),
            "space.yaml": _SPACE.encode(),
            "graph.graphml": _GRAPHML.encode(),
            "vectors.txt": _VECTORS.encode(),
            "history.jsonl": b'{"epoch": 1, "losses": {"a": 0.5}}\n{"epoch": 2, "losses": {"a": 0.25}}\n',
        }
        for name, content in whole.items():
            (folder / name).write_bytes(content)
        save_state(folder / "state.safetensors", {"epoch": 3, "weights": [1.5, (2, None)], "names": {"a": "b"}})
        self._save_run()
        known = known_options([make_options()])
        self.targets: dict[str, Callable[[Path], object]] = {
            **dict.fromkeys(("table.csv", "lines.jsonl", "rows.json", "packed.csv.gz"), load_tasks),
            "tags.conll": self._tags,
            "tasks.yaml": load_tasks,
            "config.yaml": read_options,
            "space.yaml": lambda path: read_space(path, known),
            "graph.graphml": lambda path: read_topology(str(path), ["a", "b", "c"]),
            "vectors.txt": read_vectors,
            "history.jsonl": read_json_lines,
            "state.safetensors": load_state,
            "run/task_graph.json": TaskGraph.load,
            "run/metrics.json": lambda path: Run(path.parent).metrics,
            "run/config.yaml": lambda path: Run.open(path.parent),
            "run/model/config.json": lambda path: load_model(path.parent, self._build),
        }

    def _save_run(self) -> None:
        """A finished run, whose files are changed too."""
        from graphmtl.training.experiment import train

        sizes = {"planted_rich": 40, "planted_poor": 20, "planted_test": 20, "planted_children": 1, "hidden": 2}
        train(
            "planted", arch="complete", epochs=1, embedding_size=2, output=self.folder / "run", progress=False, **sizes
        )

    @staticmethod
    def _build(**parts: object) -> object:
        from graphmtl.models.model import MultiTaskModel

        return MultiTaskModel(**parts)  # type: ignore[arg-type]

    def _tags(self, path: Path) -> object:
        task = f"tasks: {{t: {{train: {path.name}, test: 0.2, columns: [word, tag], tokens: word, label: tag}}}}"
        (self.folder / "of_tags.yaml").write_text(task)
        return load_tasks(self.folder / "of_tags.yaml")

    def file(self, name: str, inputs: int) -> Found:
        """Changes a file so many times and reads it."""
        path, read, found = self.folder / name, self.targets[name], Found()
        whole = path.read_bytes()
        self._read(read, path, whole, found)  # as it is it must be right
        if not found.read:
            raise RuntimeError(f"{name} is refused before it is changed")
        for _ in range(inputs):
            content = changed(whole, self.random)
            path.write_bytes(content)
            self._read(read, path, content, found)
        path.write_bytes(whole)
        found.read -= 1
        return found

    def _read(self, read: Callable[[Path], object], path: Path, content: bytes, found: Found) -> None:
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
            found.read += 1
        except InputError as error:
            found.refused += 1
            if not str(error).strip():
                found.tracebacks.append(f"{path.name}: an empty message: {content!r}")
        except _TooLong:
            found.slow.append(f"{path.name}: {content!r}")
        except Exception as error:
            found.tracebacks.append(f"{path.name}: {type(error).__name__}: {error}: {content!r}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(*_: object) -> None:
    raise _TooLong


def main(argv: Sequence[str]) -> None:
    """Reads changed files of every kind, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=3200, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="Markdown file; without it the table is only printed")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGPROF, _too_long)
    rows, bad, began = [], [], time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), seed=arguments.seed)
        for name in fuzz.targets:
            found = fuzz.file(name, -(-arguments.inputs // len(fuzz.targets)))
            bad += [*found.tracebacks, *found.slow]
            rows.append(f"| {name} | {found.read} | {found.refused} | {len(found.tracebacks)} | {len(found.slow)} |")
            print(rows[-1], flush=True)
    lines = [
        f"Command: `python -m benchmarks.fuzz {' '.join(argv)}`; {time.process_time() - began:,.0f} seconds of CPU.",
        "",
        f"| changed file | read | refused in a line | tracebacks | longer than {_SECONDS} s of CPU |",
        "|---|---|---|---|---|",
        *rows,
    ]
    print("\n".join([*lines, "", *(each[:600] for each in bad)]))
    if arguments.results:
        arguments.results.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    run_verb(main)
