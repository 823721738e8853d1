"""``python -m graphmtl.export RUN``: a finished run's model as an ONNX file, checked against torch in onnxruntime."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from graphmtl.cli import Parser, run_verb
from graphmtl.errors import InputError
from graphmtl.training.run_folder import Run

__all__ = ["main"]


def main(argv: Sequence[str]) -> None:
    """The verb ``export``.

    Raises:
        InputError: a library is missing, RUN is no finished run, there is no such task, the files exist or cannot be
            written, or the ONNX file does not compute what the model does.
    """
    parser = Parser(
        prog="graphmtl export",
        description="Write a finished run's model as an ONNX file, and its vocabulary beside it; any batch and length.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--output", metavar="FILE", type=Path, help="the ONNX file (RUN/model.onnx)")
    parser.add_argument("--task", default="all", help="a task's name, several with commas between, or all (default)")
    parser.add_argument("--overwrite", action="store_true", help="replace the files that are there")
    arguments = parser.parse_args(argv)
    try:  # here and not at the top: these libraries are optional
        from graphmtl.models.onnx_export import CHECKED_SIZES, checked_onnx
    except ModuleNotFoundError as error:
        raise InputError(f"export needs {error.name}: pip install graphmtl[onnx]") from None
    run = Run.open(arguments.run)
    output = arguments.output or run.folder / "model.onnx"
    vocabulary = output.with_suffix(".vocabulary.txt")
    for path in (output, vocabulary):
        if path.exists() and not arguments.overwrite:
            raise InputError(f"{path} exists; give --overwrite to replace it, or another file with --output")
    model = run.model
    names = [*model.tasks] if arguments.task == "all" else arguments.task.split(",")
    file, difference = checked_onnx(model, names)
    try:
        output.write_bytes(file)
        shutil.copyfile(run.folder / "model" / "vocabulary.txt", vocabulary)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from None
    sizes = ", ".join(f"{batch} x {length}" for batch, length in CHECKED_SIZES)
    print(f"largest difference from the model's logits: {difference:.1e} (texts x tokens: {sizes})")
    print(f"wrote {output} ({len(file) / 2**20:.1f} MiB) and {vocabulary}")


if __name__ == "__main__":
    run_verb(main)
