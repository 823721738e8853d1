"""``python -m graphmtl.explain RUN``: can the task graph be trusted? Writes RUN/explanation.json."""

import json
import os
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np

from graphmtl.analysis.faithfulness import Explanation, explain_model
from graphmtl.analysis.holm import p_of
from graphmtl.analysis.verdicts import Verdict, verdicts
from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.comparison.benefit import NEEDS_NO_GRAPH, Benefit, measure_benefit
from graphmtl.comparison.grid import check_seeds
from graphmtl.data.batching import encode_tasks
from graphmtl.errors import InputError
from graphmtl.files import write_whole
from graphmtl.models.model import MultiTaskModel
from graphmtl.printed_tables import print_table
from graphmtl.reporting.benefit_tables import benefit_tables
from graphmtl.reporting.explanation_tables import explanation_tables, stability_table
from graphmtl.training.accelerator import plain_accelerator
from graphmtl.training.controls import shuffled, untrained
from graphmtl.training.finished import fitted_tasks
from graphmtl.training.progress_bar import ProgressBar
from graphmtl.training.run import Run, open_runs
from graphmtl.training.run_data import note_learned, read_frozen_once
from graphmtl.verbosity import is_verbose, say

__all__ = ["Report", "explain_run", "main", "stability"]

_FORMAT = 1
_SEEDS = [0, 1, 2]  # of the trainings of --benefit
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is said of a run.

    Attributes:
        split: whose texts were read.
        trained: its model's pictures.
        controls: those of the ``untrained`` model, which relies on nothing, so that no edge of it is cut, and of the
            one trained on ``shuffled`` labels.
        stability: how alike each picture is over several runs, where several were explained.
        benefit: whether the pictures predict which task helps which, where that was asked for.
    """

    split: str
    trained: Explanation
    controls: dict[str, Explanation]
    stability: dict[str, float | None] | None = None
    benefit: Benefit | None = None

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """What may be said of each picture."""
        return verdicts(self.trained, self.controls, self.stability)

    def to_json(self) -> dict:
        """The content of ``explanation.json``."""
        attention = self.trained.pictures["attention"]
        likeness = {(n, key): c for n, own in self.controls.items() for key, c in self.trained.likeness(own).items()}
        p = p_of(likeness)
        controls = {name: {**own.to_json(), "likeness": {}} for name, own in self.controls.items()}
        for (name, key), own in likeness.items():
            controls[name]["likeness"][key] = {**asdict(own), "p_corrected": p[name, key]}
        return {
            "format": _FORMAT,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "arch": attention.arch,
            "tasks": list(attention.tasks),
            "split": self.split,
            "seed": attention.seed,
            "texts": {edge.target: edge.count for edge in attention.edges},
            **self.trained.to_json(),
            "controls": controls,
            **({} if self.benefit is None else {"benefit": self.benefit.to_json()}),
        }


def explain_run(
    run: Run,
    *,
    folder: Path | None = None,
    split: str = "test",
    per_task: int = 500,
    probe: int = 100,
    controls: bool = True,
    benefit: Sequence[int] = (),
    jobs: int = 1,
) -> Report:
    """The pictures of a finished run's model, and of its controls, which are trained where they are missing.

    Args:
        run: a finished run whose architecture has edges.
        folder: where ``controls/`` and ``benefit/`` are; the run's by default.
        split: whose texts are read.
        per_task: texts of each task, at most.
        probe: texts of each task, at most, on which a star's affinity is measured, each of them read by all tasks.
        controls: whether there are controls.
        benefit: the seeds with which every two tasks are trained together, each alone, and all but each, for the
            picture ``benefit`` and what predicts it; none: it is not measured.
        jobs: how many of these trainings are done at once.

    Raises:
        InputError: the run has no edges, or its data are no longer there or no longer the same.
    """
    _check_edges(run)
    options, folder = run.options, folder or run.folder
    tasks, device = fitted_tasks(run), plain_accelerator(options.device).device
    note_learned(run, split, tasks)

    def explained(model: MultiTaskModel, what: str, *, cut: bool = True) -> Explanation:
        data = encode_tasks(tasks, model.vocabulary, model.options)
        read_frozen_once(model.to(device), (own.splits[split] for own in data.values()), tell=False)
        return explain_model(
            model,
            data,
            split=split,
            seed=options.seed,
            per_task=per_task,
            batch_size=options.texts_at_once,
            probe=probe,
            truth=tasks.truth,
            cut=cut,
            watched=partial(_watched, what=what),
        )

    trained = explained(run.model, "this model")
    held_against = {}
    if controls:
        held_against["untrained"] = explained(untrained(run, tasks), "untrained model", cut=False)
        control = folder / "controls" / "shuffled"
        if not (control / "metrics.json").is_file():
            say(f"training the control on shuffled labels, which is kept in {control}")
        held_against["shuffled"] = explained(shuffled(run, control).model, "shuffled labels")
    gains = None
    if benefit:
        texts = {"per_task": per_task, "probe": probe}
        gains = measure_benefit(run, folder / "benefit", seeds=benefit, jobs=jobs, **texts)
        trained = replace(trained, pictures={**trained.pictures, "benefit": gains.graph()})
    return Report(split=split, trained=trained, controls=held_against, benefit=gains)


def _watched(batches: Sequence[T], part: str, *, what: str) -> Iterator[T]:
    """The same, with a bar that tells how many are done."""
    with ProgressBar(total=len(batches), wanted=sys.stderr.isatty(), what=f"{what}, {part}") as bar:
        for batch in batches:
            yield batch
            bar.step()


def _check_edges(run: Run) -> None:
    if all(edge.source == edge.target for edge in run.task_graph.edges):
        raise InputError(f"{run.folder}: --arch {run.options.arch} learned no edges, so there is nothing to explain")


def stability(explanations: Sequence[Explanation]) -> dict[str, float | None]:
    """Of each picture how alike several runs are: Spearman within rows, the mean over pairs of runs."""
    pairs = [a.likeness(b) for a, b in combinations(explanations, 2)]
    names = [name for name in pairs[0] if all(name in pair for pair in pairs)]
    values = {name: np.array([pair[name].within for pair in pairs], dtype=float) for name in names}  # None is nan
    return {name: None if np.isnan(own).any() else float(own.mean()) for name, own in values.items()}


def main(argv: Sequence[str]) -> None:
    """The verb ``explain``.

    Raises:
        InputError: a RUN is no finished run, has no edges or is of other tasks, or the files exist.
    """
    arguments = ARGUMENTS["explain"](argv)
    for flag, found in {"--examples": arguments.examples, "--affinity-probe": arguments.affinity_probe}.items():
        if found < 1:
            raise InputError(f"{flag}: found {found}, expected 1 or more")
    seeds = _seeds_of_benefit(arguments)
    if arguments.output and len(arguments.runs) > 1:
        raise InputError(f"--output: one run is expected, found {len(arguments.runs)}")
    runs = open_runs(arguments.runs)
    for run in runs:
        _check_edges(run)
        if run.task_graph.nodes != runs[0].task_graph.nodes:
            raise InputError(f"{run.folder}: its task graph has other nodes than that of {runs[0].folder}")
    targets = [(arguments.output or run.folder) / "explanation.json" for run in runs]
    for target in targets:
        if target.exists() and not arguments.overwrite:
            raise InputError(f"{target} exists; give --overwrite to replace it")
        _make_folder(target)  # hours before it is written
    options = {"split": arguments.split, "per_task": arguments.examples, "probe": arguments.affinity_probe}
    options["controls"] = not arguments.no_controls
    reports = []
    for run, target in zip(runs, targets, strict=True):
        reports.append(explain_run(run, folder=arguments.output, benefit=seeds, jobs=arguments.jobs, **options))
        _write(target, reports[-1].to_json())  # what comes after it may be interrupted
    alike = stability([report.trained for report in reports]) if len(runs) > 1 else None
    for i, (run, target) in enumerate(zip(runs, targets, strict=True)):
        reports[i] = replace(reports[i], stability=alike)
        if alike is not None:
            _write(
                target, reports[i].to_json() | {"stability": {"runs": [*map(str, arguments.runs)], "pictures": alike}}
            )
        _print(f"{run.folder}, {arguments.split}", reports[i])
    if alike is not None:
        say(f"\n{len(runs)} runs{_other_options(runs)}: Spearman within rows, the mean over pairs of runs")
        print_table(stability_table(alike))
    for target in targets:
        print(f"wrote {target}")


def _seeds_of_benefit(arguments: Namespace) -> list[int]:
    """Those of the trainings that ``--benefit`` asks for; none without it."""
    if not arguments.benefit:
        for flag, given in {"--seeds": arguments.seeds is not None, "--jobs": arguments.jobs != 1}.items():
            if given:
                raise InputError(f"{flag}: expected with --benefit, whose trainings it is about")
        return []
    check_seeds(arguments.seeds, arguments.jobs)
    seeds: list[int] = _SEEDS if arguments.seeds is None else arguments.seeds
    if len(seeds) < 2:
        raise InputError(f"--seeds: found {seeds[0]}, expected two or more, 3 to 5: gains are held against their noise")
    return seeds


def _print(heading: str, report: Report) -> None:
    """The verdicts, then the tables: all of them where all is asked for."""
    say(f"\n{heading}")
    for verdict in report.verdicts:
        line = f"{verdict.picture.replace('_', ', ')}: {verdict.says}"
        say(textwrap.fill(line, width=80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    tables = explanation_tables(report.trained, report.controls)
    for title, table in (tables if is_verbose() else dict([*tables.items()][:1])).items():
        say(f"\n{title}")
        print_table(table)
    if report.benefit is not None:
        for title, table in benefit_tables(report.benefit.to_json(), NEEDS_NO_GRAPH).items():
            say(f"\n{title}")
            print_table(table)
    if not is_verbose():
        say("\n-v: also how far pictures agree, with each other and with the controls")


def _other_options(runs: Sequence[Run]) -> str:
    """What the runs differ in beside their seeds, to be said."""
    own = {"seed", "output", "resume", "overwrite", "progress"}
    options = [asdict(run.options) for run in runs]
    names = [name for name in options[0] if name not in own and any(o[name] != options[0][name] for o in options)]
    return f", which differ in more than the seed ({', '.join(names)})" if names else ""


def _make_folder(path: Path) -> None:
    """The folder of a file that is to be written."""
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"--output {path.parent}: a folder is expected, found a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: the folder cannot be made ({error.strerror})") from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written (no permission to write into the folder)")


def _write(path: Path, content: dict) -> None:
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    run_verb(main)
