"""A large file of texts: how long a run takes to its first update, what it then takes of memory, and where.

    python -m benchmarks.big_data make big.jsonl --megabytes 300
    python -m benchmarks.big_data first big.jsonl [--guess] [--profile]
    python -m benchmarks.big_data rows big.jsonl
    python -m benchmarks.big_data edges --tokens 4000 [--reads 10]

``make`` writes a file with the columns ``text`` and ``label``, words drawn by Zipf's law. ``first`` does what
``graphmtl run`` does to the first update and prints of each phase its seconds, those of the CPU, and the peak so far of
resident memory: all of it, and that without the pages of mapped files, which the kernel takes back whenever it needs
them; with ``--guess`` the file itself is the task, and no task file says its columns. ``rows`` prints the same of what
``graphmtl predict`` reads of the file, without a model that answers. ``edges`` prints it of a star that tags a text of
so many tokens and says how much each read of each, by itself and beside 63 short texts. An earlier version is measured
with ``PYTHONPATH`` at its checkout; ``GRAPHMTL_CACHE`` says where what was made is kept, so that a second start is
quick.
"""

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graphmtl.cli import run_verb

_WORDS, _EXPONENT = 50_000, 1.07  # different words, and how fast their frequency falls with their rank
_LENGTH, _SPREAD = 110, 0.6  # words of a text, lognormal: the median, and the deviation of its logarithm
_AT_ONCE = 5_000  # texts
_TASK = "name: big\ntasks:\n  big:\n    train: {path}\n    test: 0.1\n    text: text\n    label: label\n"


def make(path: Path, megabytes: float, seed: int = 0) -> None:
    """Writes a jsonl file of so many megabytes; three labels, each with some words that others have less often."""
    rng = np.random.default_rng(seed)
    letters = np.array([*"etaoinshrdlcumwfgypbvk"])
    words = ["".join(rng.choice(letters, size=size)) for size in rng.integers(2, 11, size=_WORDS)]
    words = [word + {0: ",", 1: ".", 2: "'s"}.get(i % 40, "") for i, word in enumerate(words)]
    frequency = 1 / np.arange(1, _WORDS + 1) ** _EXPONENT
    ends = np.cumsum(frequency / frequency.sum())  # (words,)
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1e6:
            lengths = rng.lognormal(np.log(_LENGTH), _SPREAD, size=_AT_ONCE).astype(int) + 1  # (texts,)
            labels = rng.integers(3, size=_AT_ONCE)  # (texts,)
            drawn = np.searchsorted(ends, rng.random(lengths.sum()))  # (words of all texts,)
            drawn += np.repeat(labels, lengths) * (drawn % 7 == 0)  # a word that is near in rank
            drawn = np.minimum(drawn, _WORDS - 1)
            for label, own in zip(labels, np.split(drawn, np.cumsum(lengths)[:-1]), strict=True):
                text = " ".join([words[i] for i in own]).capitalize() + "."
                written += file.write(json.dumps({"text": text, "label": f"label{label}"}) + "\n")
                if written >= megabytes * 1e6:
                    return


class Watch:
    """The peak of this process' memory, looked at ten times a second, and what each phase took."""

    def __init__(self) -> None:
        self.peaks = {"VmRSS": 0, "RssAnon": 0}
        self._look()
        threading.Thread(target=self._watch, daemon=True).start()

    def _look(self) -> None:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        for name, peak in self.peaks.items():
            self.peaks[name] = max(peak, int(fields[name].split()[0]))

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(0.1)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Prints what it took and what the peaks are after it."""
        began, worked = time.perf_counter(), time.process_time()
        yield
        self._look()
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        peaks = " / ".join(f"{peak / 2**20:5.2f}" for peak in self.peaks.values())
        print(f"{name:<24}{seconds:7.1f} s {worked:7.1f} s of CPU   {peaks} GiB", flush=True)


def rows(path: Path) -> None:
    """Reads all rows of a file as predict does, some thousands at once."""
    watch = Watch()
    with watch.phase("all"):
        with watch.phase("imports"):
            import graphmtl.predict  # noqa: F401
            from graphmtl.data.rows import read_rows
        with watch.phase("look through"):
            read = read_rows(path)
        with watch.phase("read"):
            characters = 0
            for start in range(0, len(read), _AT_ONCE):
                characters += sum(map(len, read.table(["text"], start, start + _AT_ONCE)["text"]))
    print(f"{len(read):,} texts, {characters:,} characters")


def edges(tokens: int, reads: int | None) -> None:
    """Tags a text of so many tokens with its edges, and puts the answer down as JSON, as predict does."""
    watch = Watch()
    with watch.phase("imports"):
        from graphmtl.data.task import Task
        from graphmtl.data.vocabulary import Vocabulary
        from graphmtl.models.model import MultiTaskModel
        from graphmtl.models.model_options import make_model_options

    task = Task(name="tags", kind="token-classification", labels=("O", "B-x"))
    options = make_model_options(arch="star", chars="none")
    model = MultiTaskModel(tasks=[task], vocabulary=Vocabulary.build(["word"]), options=options)
    how: dict[str, Any] = {} if reads is None else {"reads": reads}
    for others in (0, 63):
        texts = [["word"] * tokens, *[["word"] * 20] * others]
        with watch.phase(f"{tokens:,} tokens, {others} others"):
            answer = model.predict(texts, "tags", edges=True, **how)[0]
            written = len(json.dumps(answer))
        print(f"{written / 1e6:.1f} MB of JSON for the long text")


def first(path: Path, guess: bool) -> None:
    """All that a run does before its first update, and that."""
    watch = Watch()
    with watch.phase("all"):
        with watch.phase("imports"):
            from torch.optim.optimizer import register_optimizer_step_post_hook

            from graphmtl.data.batching import encode_tasks
            from graphmtl.data.fingerprint import fingerprint
            from graphmtl.options import make_options
            from graphmtl.training.building import build_model
            from graphmtl.training.run_data import load_run_tasks
            from graphmtl.training.trainer import Trainer

        folder = Path(tempfile.mkdtemp())
        task_file = folder / "big.yaml"
        task_file.write_text(_TASK.format(path=path.resolve()))
        options = make_options(tasks=str(path if guess else task_file), output=str(folder / "run"), device="cpu")
        with watch.phase("read, cut, clean"):
            tasks = load_run_tasks(options)
        with watch.phase("fingerprint"):
            found = fingerprint(tasks)
        with watch.phase("vocabulary and model"):
            model = build_model(tasks, options, say=print)
        with watch.phase("encoding"):
            data = encode_tasks(tasks, model.vocabulary, model.options)
        with watch.phase("first update"):
            trainer = Trainer(model=model, data=data, options=options, folder=folder, callbacks=())
            _first_update(trainer, register_optimizer_step_post_hook)
    (task,) = data
    digests = {split: own.digest().hex()[:16] for split, own in data[task].splits.items()}
    print(json.dumps({"data": found["tasks"][task]["train"]["texts"][:16], **digests}))


class _DoneError(Exception):
    """The first update is done."""


def _first_update(trainer: Any, when_updated: Callable[..., Any]) -> None:
    def stop(*_args: Any) -> None:
        raise _DoneError

    handle = when_updated(stop)
    try:
        trainer.train()
    except _DoneError:
        handle.remove()


def main(argv: Sequence[str]) -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make")
    making.add_argument("path", type=Path)
    making.add_argument("--megabytes", type=float, default=300)
    measuring = verbs.add_parser("first")
    measuring.add_argument("path", type=Path)
    measuring.add_argument("--guess", action="store_true")
    measuring.add_argument("--profile", action="store_true")
    verbs.add_parser("rows").add_argument("path", type=Path)
    telling = verbs.add_parser("edges")
    telling.add_argument("--tokens", type=int, default=4000)
    telling.add_argument("--reads", type=int)
    arguments = parser.parse_args(argv)
    if arguments.verb == "make":
        make(arguments.path, arguments.megabytes)
        return
    if arguments.verb == "edges":
        edges(arguments.tokens, arguments.reads)
        return
    if arguments.verb == "rows":
        rows(arguments.path)
        return
    if not arguments.profile:
        first(arguments.path, arguments.guess)
        return
    with cProfile.Profile() as profile:
        first(arguments.path, arguments.guess)
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    run_verb(main)
