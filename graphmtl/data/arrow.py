"""What the datasets library and Arrow read: parquet files, and data sets of the Hugging Face Hub or in memory."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet
from datasets.packaged_modules.csv.csv import CsvConfig
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from graphmtl.data.column import as_column
from graphmtl.data.table import Table
from graphmtl.errors import InputError, unknown_name

__all__ = ["read_dataset", "read_hub", "read_parquet"]

datasets.disable_progress_bars()  # of casts and files, which come and go; --progress is the training's

_PATIENCE = 10  # seconds in which the Hub must answer


def read_parquet(path: Path, wanted: Sequence[str]) -> Table:
    """Reads the wanted columns of a parquet file, as it is now: nothing of it is kept in a cache.

    Raises:
        InputError: the file is damaged, empty, or lacks a column.
    """
    try:
        schema = pyarrow.parquet.read_schema(path)
        found = [name for name in wanted if name in schema.names]
        rows = datasets.Dataset(pyarrow.parquet.read_table(path, columns=found or None))
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise InputError(f"{path}: cannot be read as parquet ({_one_line(error)})") from None
    return read_dataset(rows, wanted, source=str(path), columns=schema.names)


def read_hub(name: str, wanted: Sequence[str], *, config: str | None, split: str) -> Table:
    """Reads one split of a data set of the Hugging Face Hub, or of a local folder that is laid out like one.

    A local folder is read as it is now, whatever was read before and whatever times its files have.

    Raises:
        InputError: the data set, its configuration, its split or a column does not exist, or the Hub is out of reach.
    """
    source = f"Hub data set {name}{f' ({config})' if config else ''}, split {split}"
    if Path(name).is_dir():
        with tempfile.TemporaryDirectory() as cache, _without_log():
            try:
                builder = datasets.load_dataset_builder(name, name=config, cache_dir=cache)
                kept = {"name": config, "split": split, "cache_dir": cache, "keep_in_memory": True}
                rows = datasets.load_dataset(name, **kept, **_as_written(builder, wanted))
            except Exception as error:  # data set errors have no common class
                raise InputError(f"{source}: cannot be loaded ({_one_line(error)})") from None
            return read_dataset(rows, wanted, source=source)
    problem = _hub_problem(name)
    try:
        with _without_log(), _offline(problem is not None):
            rows = datasets.load_dataset(name, name=config, split=split)
    except Exception as error:  # network, Hub and data set errors have no common class
        if problem is not None and isinstance(error, ConnectionError):
            place = f", and the cache {datasets.config.HF_DATASETS_CACHE} does not have it"
            raise InputError(f"{source}: cannot be loaded ({_one_line(problem)}){place}") from None
        raise InputError(f"{source}: cannot be loaded ({_one_line(error)})") from None
    return read_dataset(rows, wanted, source=source)


def _as_written(builder: datasets.DatasetBuilder, wanted: Sequence[str]) -> dict[str, Any]:
    """What keeps the wanted columns of csv files as they are written, unless the data set declares what they hold.

    The library reads them by pandas, for which the texts NA, None and null are missing, and 01 is 1.
    """
    if isinstance(builder.config, CsvConfig) and builder.config.features is None and builder.info.features is None:
        return {"converters": dict.fromkeys(wanted, str), "keep_default_na": False}
    return {}


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


def read_dataset(
    rows: datasets.Dataset, wanted: Sequence[str], *, source: str, columns: Sequence[str] | None = None
) -> Table:
    """The wanted columns of a data set.

    Args:
        rows: the data set.
        wanted: the columns.
        source: what an error calls it.
        columns: the names of all columns that there are, where ``rows`` has not all of them.

    Raises:
        InputError: there are no rows, a column does not exist, or rows are transformed whenever they are read.
    """
    if rows.format["type"] == "custom":
        raise InputError(f"{source}: it has a transform, which is not applied; accepted: what its `map` gives")
    if not len(rows) and columns is None:
        raise InputError(f"{source}: no examples in it")
    known = rows.column_names if columns is None else columns
    for column in wanted:
        if column not in known:
            raise InputError(f"{source}: {unknown_name('column', column, known)}")
    if not len(rows):
        raise InputError(f"{source}: no examples in it")
    kinds = {name: _classes(rows.features[name]) for name in wanted}
    some = rows.select_columns(list(dict.fromkeys(wanted))).with_format("arrow")[:]
    return Table(
        source=source,
        columns={name: as_column(some[name]) for name in wanted},
        row="row",
        names={name: names for name, names in kinds.items() if names is not None},
    )


def _classes(feature) -> tuple[str, ...] | None:
    """The names of the classes of a column of labels or of tags, where it declares them."""
    feature = getattr(feature, "feature", feature[0] if isinstance(feature, list) else feature)
    names = getattr(feature, "names", None)
    return None if names is None else tuple(names)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
