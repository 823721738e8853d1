"""What recording the task graph costs an evaluation: the same pass over a split with and without, taking turns.

    python -m benchmarks.recording

Fresh weights and generated texts: neither changes what is computed.
"""

import argparse
import statistics
import time
from functools import partial

import torch
from accelerate import Accelerator

from benchmarks.contenders import scores_of
from graphmtl.cli import run_verb
from graphmtl.data.batching import encode_tasks
from graphmtl.graph.recorder import EdgeRecorder
from graphmtl.options import make_options
from graphmtl.training.building import build_model
from graphmtl.training.evaluation import predict_split
from graphmtl.training.run_data import load_run_tasks

_TASKS = {"planted_parents": 6, "planted_poor_parents": 2, "planted_children": 6, "planted_rich": 100}


def seconds(evaluate, record: bool) -> float:
    """One evaluation, from the first batch to the task graph's edges."""
    started = time.perf_counter()
    recorder = EdgeRecorder()
    evaluate(record=recorder.update if record else None)
    recorder.edges()
    return time.perf_counter() - started


def main(argv: list[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="complete,star,cmtr")
    parser.add_argument("--scores", default="additive,dot")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--texts", type=int, default=100, help="of each of the 16 tasks")
    parser.add_argument("--length", type=int, default=100, help="tokens of a text")
    arguments = parser.parse_args(argv)
    sizes = {"planted_test": arguments.texts, "planted_length": arguments.length}
    print(
        f"16 tasks x {arguments.texts} texts of {arguments.length} tokens, {torch.get_num_threads()} thread(s), median"
    )
    print("| arch | without, ms | with, ms | ratio of the same turn, median |\n|---|---|---|---|")
    for arch in arguments.archs.split(","):
        for score in [own for own in scores_of(arch) if own in (None, *arguments.scores.split(","))]:
            options = make_options(arch=arch, score=score or "additive", **_TASKS, **sizes)
            tasks = load_run_tasks(options)
            model = build_model(tasks, options, say=lambda *_: None)
            data = encode_tasks(tasks, model.vocabulary, model.options)
            known = {"model": model, "data": data, "split": "test", "batch_size": options.texts_at_once}
            evaluate = partial(predict_split, **known, accelerator=Accelerator(cpu=True))
            seconds(evaluate, record=True)
            turns = []
            for turn in range(arguments.repeats):  # whichever comes first, so that neither always follows the other
                order = (False, True) if turn % 2 else (True, False)
                found = {record: seconds(evaluate, record) for record in order}
                turns.append((found[False], found[True]))
            without, recorded = (1000 * statistics.median(own) for own in zip(*turns, strict=True))
            ratio = statistics.median(b / a for a, b in turns)
            name = ", ".join(filter(None, (arch, score)))
            print(f"| {name} | {without:.0f} | {recorded:.0f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    run_verb(main)
