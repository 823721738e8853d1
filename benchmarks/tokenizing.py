"""What the tokenizer does to words of several languages, how long it takes, and what changed against an earlier one.

    python -m benchmarks.tokenizing --before FOLDER

FOLDER is a checkout of an earlier version, whose ``graphmtl/data/vocabulary.py`` has ``tokenize``; without it only this
version is measured. FDU-MTL and the other sets are looked for in ``--data-dir``, or GRAPHMTL_DATA.
"""

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import accumulate, pairwise
from pathlib import Path

import graphmtl
from graphmtl.cli import run_verb
from graphmtl.data.tokenizer import Tokenizer
from graphmtl.data.vectors import read_vectors

Tokenize = Callable[[Sequence[str]], Iterator[list[str]]]

_WORDS = Path(__file__).with_name("words.tsv")  # a language, and a sentence with spaces between its words
_UNSPACED = ("Thai", "Chinese", "Japanese")
_DIGESTS = """
import json, sys
from graphmtl.data.batching import encode_tasks
from graphmtl.options import make_options
try:
    from graphmtl.training.building import build_vocabulary
    from graphmtl.training.run_data import load_run_tasks
except ImportError:  # an earlier version
    from graphmtl.training.experiment import _vocabulary as build_vocabulary, load_run_tasks
options = make_options(tasks=sys.argv[1])
tasks = load_run_tasks(options)
data = encode_tasks(tasks, build_vocabulary(tasks, options, None, lambda *_: None), options)
print(json.dumps({f"{n} {s}": own.digest().hex() for n, task in data.items() for s, own in task.splits.items()}))
"""


def tokenizers(before: Path | None) -> dict[str, Tokenize]:
    """What cuts lower-cased texts, by version."""
    found: dict[str, Tokenize] = {}
    if before is not None:
        spec = importlib.util.spec_from_file_location("before", before / "graphmtl" / "data" / "vocabulary.py")
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        sys.modules["before"] = module
        spec.loader.exec_module(module)  # type: ignore[union-attr]

        def cut(texts: Sequence[str]) -> Iterator[list[str]]:
            module._split.cache_clear()
            return (module.tokenize(text.lower()) for text in texts)

        found["before"] = cut
    return found | {"now": lambda texts: Tokenizer("words").forms(texts)}


def sentences() -> dict[str, list[list[str]]]:
    """The sentences of each language as words."""
    found: dict[str, list[list[str]]] = {}
    for line in _WORDS.read_text(encoding="utf-8").splitlines():
        language, _, text = line.partition("\t")
        found.setdefault(language, []).append(text.split(" "))
    return found


def share_kept(tokenize: Tokenize, texts: Sequence[Sequence[str]], *, spaced: bool) -> float:
    """The share of words that are one token; of texts without spaces, that begin and end where a token does."""
    kept = 0
    for words, tokens in zip(texts, tokenize([(" " if spaced else "").join(words) for words in texts]), strict=True):
        ends = [0, *accumulate(map(len, tokens))]
        whole, borders = set(pairwise(ends)), set(ends)
        for start, end in pairwise([0, *accumulate(map(len, words))]):
            kept += (start, end) in whole if spaced else {start, end} <= borders
    return kept / sum(map(len, texts))


def seconds(tokenize: Tokenize, texts: Sequence[str]) -> float:
    """The time to cut all texts."""
    started = time.perf_counter()
    for _ in tokenize(texts):
        pass
    return time.perf_counter() - started


def line_without_spaces(size: int) -> str:
    """A minified JSON of that many characters."""
    pairs = ",".join(f'"k{i}":{i * 7919 % 1000}' for i in range(size // 8))
    return f"{{{pairs}"[:size]


def digests(folder: Path, tasks: str) -> dict[str, str]:
    """How the version in a folder encodes each split of each task."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", _DIGESTS, tasks]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def chinese_accuracy(tokenizer: str, *, spaced: bool) -> float:
    """Test accuracy of the sentiment of generated Chinese texts, with or without spaces between the characters."""
    rng = random.Random(0)
    good, bad = ["喜爱", "满意", "漂亮", "精彩", "舒服"], ["失望", "无聊", "肮脏", "糟糕", "难吃"]
    filler = ["这部", "电影", "酒店", "我们", "昨天", "朋友", "觉得", "真的", "一个", "地方", "时候", "因为"]
    with tempfile.TemporaryDirectory() as folder:
        rows = ["text,label"]
        for i in range(600):
            words = rng.sample(filler, 6) + rng.sample((good, bad)[i % 2], 2)
            rng.shuffle(words)
            rows.append(f"{(' ' if spaced else '').join(''.join(words))},{'pn'[i % 2]}")
        (Path(folder) / "films.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (Path(folder) / "tasks.yaml").write_text("tasks:\n  films: {train: films.csv, test: 0.2}\n", encoding="utf-8")
        sizes = {"hidden": 16, "embedding_size": 16, "batch_size": 16, "epochs": 6, "progress": False}
        with redirect_stdout(StringIO()):
            run = graphmtl.train(
                f"{folder}/tasks.yaml", arch="shared", tokenizer=tokenizer, output=f"{folder}/run", **sizes
            )
        return run.metrics["mean"]["test"]


def print_languages(versions: Mapping[str, Tokenize], data: Path) -> None:
    """Words that are kept whole."""
    print(f"| words | {' | '.join(versions)} |\n|---|{'---|' * len(versions)}")
    for language, texts in sentences().items():
        spaced = language not in _UNSPACED
        cells = [f"{100 * share_kept(own, texts, spaced=spaced):.1f}" for own in versions.values()]
        count = sum(map(len, texts))
        print(f"| {language}, {count} words, {'whole' if spaced else 'covered'} | {' | '.join(cells)} |")
    for path in sorted((data / "ud-ewt").glob("*train*"))[:1]:
        texts = [[line.split("\t")[0]] for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        cells = [f"{100 * share_kept(own, texts, spaced=True):.1f}" for own in versions.values()]
        print(f"| English (UD-EWT, each word alone), {len(texts)} words, whole | {' | '.join(cells)} |")


def print_times(versions: Mapping[str, Tokenize], texts: Sequence[str], repeats: int) -> None:
    """Medians; the versions take turns."""
    print(f"\n| seconds | {' | '.join(versions)} |\n|---|{'---|' * len(versions)}")
    settings = {f"{len(texts)} texts, {sum(map(len, texts)) / 1e6:.1f} MB": texts} if texts else {}
    settings |= {f"{size // 1000} kB without spaces": [line_without_spaces(size)] for size in (5000, 10_000, 20_000)}
    settings["1 MB without spaces"] = [line_without_spaces(1_000_000)]
    for name, own in settings.items():
        slow = name.startswith("1 MB")
        chosen = {key: cut for key, cut in versions.items() if key == "now" or not slow}
        times: dict[str, list[float]] = {key: [] for key in chosen}
        for _ in range(repeats):
            for key, cut in chosen.items():
                times[key].append(seconds(cut, own))
        cells = [f"{statistics.median(times[key]):.3f}" if key in times else "-" for key in versions]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_changes(versions: Mapping[str, Tokenize], texts: Sequence[str], vectors: Path | None) -> None:
    """How many tokens of FDU-MTL are the same, and have a vector."""
    known = set(read_vectors(vectors).words) if vectors is not None else set()
    same = total = 0
    counts: dict[str, Counter[str]] = {name: Counter() for name in versions}
    for each in zip(*(own(texts) for own in versions.values()), strict=True):
        for count, tokens in zip(counts.values(), each, strict=True):
            count.update(tokens)
        if len(each) == 2:
            same += sum((Counter(each[0]) & Counter(each[1])).values())
            total += len(each[1])
    if total:
        print(f"\nof {total} tokens {100 * same / total:.3f} % are the same")
    for name, count in counts.items():
        share = sum(n for word, n in count.items() if word in known) / count.total()
        print(f"{name}: {count.total()} tokens, {len(count)} different, {100 * share:.3f} % of all have a vector")


def main(argv: list[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("GRAPHMTL_DATA", "data")))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sets", default="planted,conll2000+wnut17", help="whose encoded texts are compared")
    arguments = parser.parse_args(argv)
    versions = tokenizers(arguments.before)
    print_languages(versions, arguments.data_dir)
    texts: list[str] = []
    if (arguments.data_dir / "fdu-mtl").is_dir():
        tasks = graphmtl.load_tasks("fdu-mtl", data_dir=arguments.data_dir)
        texts = [
            text for each in tasks.values() for rows in (each.train, each.valid, each.test) for text in rows["text"]
        ]
    print_times(versions, texts, arguments.repeats)
    if texts:
        print_changes(versions, texts, next((arguments.data_dir / "vectors").glob("*.gz"), None))
    for name in arguments.sets.split(",") if arguments.before is not None else ():
        before, now = (digests(folder, name) for folder in (arguments.before, _WORDS.parents[1]))
        changed = [split for split in now if before[split] != now[split]]
        print(f"{name}: {len(now) - len(changed)} of {len(now)} splits are encoded as before")
    for spaced in (False, True):
        shares = {kind: chinese_accuracy(kind, spaced=spaced) for kind in ("words", "characters", "spaces")}
        listed = ", ".join(f"--tokenizer {kind} {100 * share:.1f}" for kind, share in shares.items())
        print(f"Chinese, {'spaced' if spaced else 'raw'}: {listed}")


if __name__ == "__main__":
    run_verb(main)
