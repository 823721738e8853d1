"""``python -m graphmtl.export RUN``: a finished run's model as an ONNX file, checked against torch in onnxruntime.

With ``--encoder DIR`` its transformer alone, as the transformers library reads it.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from torch import nn

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import run_verb
from graphmtl.config import listed
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, unknown_name
from graphmtl.files import writing, written_whole
from graphmtl.training.finished import predict, read_run
from graphmtl.training.results import mean_of_first_metrics, split_scores
from graphmtl.training.run import Run
from graphmtl.verbosity import say

__all__ = ["main"]

_ACCEPTED = 0.001  # of the mean validation score that 8 bits may cost: 0.1 point


def _mean_scores(run: Run, names: Sequence[str], models: Sequence[nn.Module]) -> list[float | None]:
    """Each model's mean validation score over some of the run's tasks."""
    data = read_run(run, names)
    found = [split_scores(data, predict(run, data, "valid", model)) for model in models]
    about = {name: {"metric": each.task.metrics[0], "in_mean": each.task.in_mean} for name, each in data.items()}
    return [
        mean_of_first_metrics({name: {**about[name], "valid": own[name]} for name in data}, "valid") for own in found
    ]


def _check_scores(before: float | None, after: float | None) -> str:
    """What 8 bits cost, in words.

    Raises:
        InputError: more than 0.1 point of the mean validation score.
    """
    if before is None or after is None:
        return "no validation example has a label"
    said = f"mean validation score: {100 * after:.2f} with weights of 8 bits, {100 * before:.2f} without"
    if before - after > _ACCEPTED:
        raise InputError(f"--int8: no file is written; {said}; {100 * _ACCEPTED:.1f} point less is accepted")
    return said


def main(argv: Sequence[str]) -> None:
    """The verb ``export``.

    Raises:
        InputError: a library is missing, RUN is no finished run, there is no such task, the files exist or cannot be
            written, the ONNX file does not compute what the model does, or there is no transformer.
    """
    arguments = ARGUMENTS["export"](argv)
    if arguments.encoder is None:
        _export_onnx(arguments)
    else:
        _export_encoder(arguments)


def _export_encoder(arguments: Namespace) -> None:
    """The transformer with its tokenizer, in a folder of its own."""
    folder: Path = arguments.encoder
    given = [flag for flag in ("output", "int8") if getattr(arguments, flag)]
    if given:
        raise InputError(f"--encoder {folder}: --{given[0]} is for ONNX files; leave one of them out")
    if folder.exists() and not (folder.is_dir() and (arguments.overwrite or not any(folder.iterdir()))):
        what = "has files; give --overwrite to replace them, or" if folder.is_dir() else "is no folder; give"
        raise InputError(f"--encoder {folder}: it {what} another folder")
    model: Any = Run.open(arguments.run).model
    encoder = _encoder_of(model, arguments.task)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        model.vocabulary.save(folder)
        encoder.save_plain(folder)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from None
    print(f"wrote {folder}, which AutoModel.from_pretrained and graphmtl run --encoder read")


def _encoder_of(model: Any, task: str) -> Any:
    """The encoder of a task, or of all of them.

    Raises:
        InputError: there is no such task, it is one of several and none is chosen, or it is no transformer.
    """
    names = [*model.tasks]
    if task not in (*names, "all"):
        raise unknown_name("task", task, [*names, "all"])
    own = model.architecture.own_encoder_per_task
    if own and task == "all" and len(names) > 1:
        raise InputError(f"--encoder: --arch {model.options.arch} has one for each task; --task {'|'.join(names)}")
    encoder = model.encoders[names.index(task) if own and task != "all" else 0]
    if not encoder.reads_subwords:
        raise InputError(f"--encoder: the run has --encoder {model.options.encoder}; a transformer is expected")
    return encoder


def _export_onnx(arguments: Namespace) -> None:
    try:  # here and not at the top: these libraries are optional
        from graphmtl.onnx.onnx_export import CHECKED_SIZES, checked_onnx
        from graphmtl.onnx.onnx_int8 import OnnxModel, to_int8
    except ModuleNotFoundError as error:
        raise InputError(f"export needs {error.name}: pip install graphmtl[onnx]") from None
    run = Run.open(arguments.run)
    output = arguments.output or run.folder / "model.onnx"
    vocabulary, tokenizer = output.with_suffix(".vocabulary.txt"), output.with_suffix(".tokenizer.json")
    for path in (output, vocabulary, tokenizer):
        if path.exists() and not arguments.overwrite:
            raise InputError(f"{path} exists; give --overwrite to replace it, or another file with --output")
    model = run.model
    names = [*model.tasks] if arguments.task == "all" else listed(arguments.task)
    file, difference = checked_onnx(model, names)
    sizes = ", ".join(f"{batch} x {length}" for batch, length in CHECKED_SIZES)
    say(f"largest difference from the model's logits: {difference:.1e} (texts x tokens: {sizes})")
    if arguments.int8:
        file = to_int8(file)
        heads: Any = dict(zip(model.tasks, model.heads, strict=True))
        say(_check_scores(*_mean_scores(run, names, [model, OnnxModel(file, heads)])))
    with written_whole(output) as part:
        part.write_bytes(file)
    with writing(vocabulary):
        cast(Vocabulary, model.vocabulary).save(vocabulary, tokenizer)  # a transformer was refused
    print(f"wrote {output} ({len(file) / 2**20:.1f} MiB), {vocabulary} and {tokenizer}")


if __name__ == "__main__":
    run_verb(main)
