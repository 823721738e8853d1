"""What the datasets library reads: parquet files, and data sets of the Hugging Face Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from graphmtl.data.examples import Columns, Examples, check_columns, plain_row
from graphmtl.errors import InputError

__all__ = ["read_hub", "read_parquet"]

datasets.disable_progress_bars()  # of casts and files, which come and go; --progress is the training's

_PATIENCE = 10  # seconds in which the Hub must answer


def read_parquet(path: Path, columns: Columns) -> Examples:
    """Reads a parquet file.

    Raises:
        InputError: the file is damaged, or lacks a column; a row has no label, or a value of a kind that is none.
    """
    try:
        with _without_log():
            rows = datasets.Dataset.from_parquet(str(path))
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise InputError(f"{path}: cannot be read as parquet ({_one_line(error)})") from None
    return _from_dataset(rows, columns, source=str(path))


def read_hub(name: str, columns: Columns, *, config: str | None, split: str) -> Examples:
    """Reads one split of a data set of the Hugging Face Hub, or of a local folder that is laid out like one.

    Raises:
        InputError: the data set, its configuration, its split or a column does not exist, or the Hub is out of reach.
    """
    source = f"Hub data set {name}{f' ({config})' if config else ''}, split {split}"
    problem = None if Path(name).is_dir() else _hub_problem(name)
    try:
        with _without_log(), _offline(problem is not None):
            rows = datasets.load_dataset(name, name=config, split=split)
    except Exception as error:  # network, Hub and data set errors have no common class
        if problem is not None and isinstance(error, ConnectionError):
            place = f", and the cache {datasets.config.HF_DATASETS_CACHE} does not have it"
            raise InputError(f"{source}: cannot be loaded ({_one_line(problem)}){place}") from None
        raise InputError(f"{source}: cannot be loaded ({_one_line(error)})") from None
    return _from_dataset(rows, columns, source=source)


def _hub_problem(name: str) -> Exception | None:
    """Why the Hub does not answer, if so; asked once, where a library that loads asks on for half a minute."""
    try:
        HfApi().dataset_info(name, timeout=_PATIENCE)
    except (RepositoryNotFoundError, ValueError):  # it answers, or is not asked: of the name more is said by loading
        return None
    except Exception as error:  # network and Hub errors have no common class
        return error
    return None


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Loads from the cache alone, if wanted."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _without_log() -> Iterator[None]:
    """Without what the library logs beside the error that it raises."""
    level = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)


def _from_dataset(rows: datasets.Dataset, columns: Columns, *, source: str) -> Examples:
    if not len(rows):
        raise InputError(f"{source}: no examples in it")
    check_columns(source, rows.column_names, columns)
    declared = getattr(rows.features[columns.label], "names", None) if columns.label else None
    fields = []
    for i, row in enumerate(rows.select_columns(list(columns.wanted)), 1):
        fields.append(plain_row(_named(row, columns.label, declared), columns, f"{source}, row {i}"))
    return columns.examples(fields, source=source, row="row", labels=tuple(declared or ()))


def _named(row: dict, label: str, declared: list[str] | None) -> dict:
    """The row with its class index replaced by the class's name; the Hub's -1 for a hidden label is no label."""
    if declared is None or row[label] is None:
        return row
    return {**row, label: declared[row[label]] if row[label] >= 0 else None}


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
