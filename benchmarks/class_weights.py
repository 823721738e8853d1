"""What weights of classes are worth where one class has 5 % of the texts.

    python -m benchmarks.class_weights

SST-2 is looked for in ``--data-dir``, or GRAPHMTL_DATA. Of its training file 3,800 negative and 200 positive phrases
are drawn for training and as many others for test, by the seed, which is also that of the run; equal texts stand in one
of the two. Each draw is trained with ``class_weights: balanced`` and without, by ``--arch shared`` and default options
but for the epochs. What is in ``--output`` is not trained again. Printed is a table in Markdown.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import graphmtl
from graphmtl.cli import run_verb
from graphmtl.errors import InputError

_RARE, _OTHERS = 200, 3800
_ARMS: dict[str, dict[str, Any]] = {"none": {}, "balanced": {"class_weights": "balanced"}}
_METRICS = ("macro_f1", "precision:positive", "recall:positive", "f1:positive", "accuracy")


def read_phrases(path: Path) -> dict[str, list[str]]:
    """The different phrases of each label of an SST-2 file, in its order; those with both labels are left out."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; --data-dir (or GRAPHMTL_DATA) names the folder that has SST-2 in glue")
    found: dict[str, dict[str, None]] = {"0": {}, "1": {}}
    for line in path.read_text(encoding="utf-8").split("\n")[1:]:
        text, _, label = line.rpartition("\t")
        if text:
            found[label][text.strip()] = None
    return {
        name: [text for text in found[label] if text not in found[other]]
        for name, label, other in (("negative", "0", "1"), ("positive", "1", "0"))
    }


def draw(phrases: dict[str, list[str]], seed: int) -> dict[str, dict[str, list[str]]]:
    """Rows for training and for test, none in both."""
    rng = np.random.default_rng([seed, 5])
    rows: dict[str, dict[str, list[str]]] = {split: {"text": [], "label": []} for split in ("train", "test")}
    for label, size in (("negative", _OTHERS), ("positive", _RARE)):
        chosen = [phrases[label][i] for i in rng.choice(len(phrases[label]), 2 * size, replace=False)]
        for split, texts in (("train", chosen[:size]), ("test", chosen[size:])):
            rows[split]["text"] += texts
            rows[split]["label"] += [label] * size
    return rows


def measure(phrases: dict[str, list[str]], *, arm: str, seed: int, epochs: int, folder: Path) -> dict[str, float]:
    """The test scores of a run, which is trained if it is not there."""
    run = graphmtl.Run(folder / f"{arm}-{seed}")
    if not (run.folder / "metrics.json").is_file():
        task = {**draw(phrases, seed), "metrics": [*_METRICS], **_ARMS[arm]}
        options: dict[str, Any] = {"arch": "shared", "seed": seed, "epochs": epochs, "device": "cpu", "progress": False}
        run = graphmtl.train({"sst2": task}, output=str(run.folder), resume=run.folder.exists(), **options)
    return run.metrics["tasks"]["sst2"]["test"]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("GRAPHMTL_DATA", "data")))
    parser.add_argument("--output", type=Path, default=Path("runs/class-weights"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(argv)
    phrases = read_phrases(given.data_dir / "glue" / "SST-2" / "train.tsv")
    print(f"| class weights | seed | {' | '.join(_METRICS)} |")
    print(f"|---|---|{'---|' * len(_METRICS)}")
    means = []
    for arm in _ARMS:
        found = []
        for seed in range(given.seeds):
            found.append(measure(phrases, arm=arm, seed=seed, epochs=given.epochs, folder=given.output))
            print(_row(arm, str(seed), found[-1]), flush=True)
        means.append(_row(arm, "mean", {name: statistics.mean(own[name] for own in found) for name in _METRICS}))
    print("\n".join(means))


def _row(arm: str, seed: str, scores: dict[str, float]) -> str:
    return f"| {arm} | {seed} | {' | '.join(f'{100 * scores[name]:.1f}' for name in _METRICS)} |"


if __name__ == "__main__":
    run_verb(main)
