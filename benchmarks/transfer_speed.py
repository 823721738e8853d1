r"""A training step of one task that joins a trained graph with everything frozen, beside a step of the whole graph.

    python -m benchmarks.transfer_speed --archs star,complete --results benchmarks/results/transfer-speed.md

The graph has 16 tasks and random weights, which take as long as trained ones. Both kinds of steps take turns on the
same batches, so that whatever slows the machine slows both: forward, backward, clipping and AdamW, and the moving
average of the weights where ``--ema`` asks for one. The whole graph trains its word embeddings, as ``graphmtl run``
does.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import median_ms, processor
from graphmtl.data.batching import Batch, EncodedSplit
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.model_options import make_model_options
from graphmtl.models.new_tasks import add_tasks, frozen_parameters, keep_frozen_states
from graphmtl.options import make_options
from graphmtl.training.optimization import WeightAverage, adamw

TASKS, TEXTS, TOKENS = 16, 32, 100
NEW = Task(name="new", labels=("no", "yes"))


def build(arch: str, words: int, score: str) -> MultiTaskModel:
    """A graph of 16 tasks."""
    torch.manual_seed(0)
    names = [f"w{i}" for i in range(words)]
    tasks = [Task(name=f"task{k}", labels=("no", "yes")) for k in range(TASKS)]
    options = make_model_options(arch=arch, score=score)
    return MultiTaskModel(tasks=tasks, vocabulary=Vocabulary(["<pad>", "<unk>", "<sep>", *names]), options=options)


def batch_of(task: str, words: int) -> Batch:
    """Texts of equal length."""
    rng = np.random.default_rng(0)
    texts = rng.integers(3, words, (TEXTS, TOKENS)).tolist()
    labels = TextLabels(rng.integers(0, 2, TEXTS), known=np.ones(TEXTS, dtype=bool))
    split = EncodedSplit(tasks=[task], texts=texts, labels={task: labels})
    return split.batch(range(TEXTS))


def step_of(model: MultiTaskModel, batch: Batch, ema: float) -> Callable[[], None]:
    """A training step as the Trainer makes it."""
    options = make_options(ema=ema)
    optimizer = adamw(model, options)
    average = WeightAverage(model=model, decay=ema) if ema else None
    model.train()

    def step() -> None:
        model(batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if average is not None:
            average.update(model)

    return step


def measure(arch: str, *, words: int, score: str, ema: float, repeats: int) -> dict[str, float]:
    """Milliseconds of a step of the whole graph, and of the new task alone."""
    whole = build(arch, words, score)
    joined = add_tasks(whole, [NEW])
    for frozen in frozen_parameters(joined, whole, "all-but-new").values():
        for parameter in frozen:
            parameter.requires_grad_(False)
    keep_frozen_states(joined, [NEW.name])
    steps = {
        "whole graph": step_of(whole, batch_of("task0", words), ema),
        "new task": step_of(joined, batch_of("new", words), ema),
    }
    return median_ms(steps, repeats=repeats, device="cpu")


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="shared,star,complete")
    parser.add_argument("--words", type=int, default=70_000, help="of the vocabulary; FDU-MTL with vectors has 73,000")
    parser.add_argument("--score", default="dot")
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    lines = [
        f"Command: `{shlex.join(['python', '-m', 'benchmarks.transfer_speed', *sys.argv[1:]])}`",
        "",
        f"{TASKS} tasks, {TEXTS} texts of {TOKENS} tokens, {arguments.words:,} words, hidden 64, {arguments.score} "
        f"score, ema {arguments.ema}; {processor('cpu')}, {torch.get_num_threads()} thread(s), torch "
        f"{torch.__version__}.",
        "",
        "| arch | step of the whole graph, ms | of one task that joins it, frozen, ms | times faster |",
        "|---|---|---|---|",
    ]
    about = {"words": arguments.words, "score": arguments.score, "ema": arguments.ema, "repeats": arguments.repeats}
    for arch in arguments.archs.split(","):
        ms = measure(arch, **about)
        whole, new = ms["whole graph"], ms["new task"]
        lines.append(f"| {arch} | {whole:.1f} | {new:.1f} | {whole / new:.1f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.results is not None:
        arguments.results.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
