"""Several files that are one table: a file for each column, or a file or folder for each label."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphmtl.data.delimited import Reading, is_header, say_header
from graphmtl.data.lines import read_lines, read_text
from graphmtl.data.readers import check_column
from graphmtl.data.table import Table, joined
from graphmtl.errors import InputError

__all__ = ["read_one_class_a_file", "read_parallel"]


def read_parallel(paths: Mapping[str, Path], wanted: Sequence[str], reading: Reading = Reading()) -> Table:
    """Reads columns that stand in files of their own, a row a line: the file of each column by its name.

    A first line that is in each file the name of its column is no row.

    Raises:
        InputError: as `read_lines`, an unknown column, or files of unlike length.
    """
    for column in wanted:
        check_column(", ".join(map(str, paths.values())), column, [*paths])
    lines = {name: read_lines(path, encoding=reading.encoding, ends=True) for name, path in paths.items()}
    most = max(map(len, lines.values()))
    for name, own in lines.items():
        if len(own) < most:
            other = next(str(paths[each]) for each, its in lines.items() if len(its) == most)
            raise InputError(f"{paths[name]}, line {len(own) + 1}: the file has ended, but {other} has {most} lines")
    first = int(is_header([own[0] for own in lines.values()], [*lines]))
    if first:
        say_header(next(iter(paths.values())), 1, [own[0] for own in lines.values()], [*lines])
    columns = {name: [line.strip() for line in lines[name][first:]] for name in wanted}
    source = str(paths[wanted[0]])
    files = {name: str(path) for name, path in paths.items()}
    return Table(source=source, columns=columns, lines=[*range(first + 1, most + 1)], files=files)


def read_one_class_a_file(
    paths: Mapping[str, Path], wanted: Sequence[str], label: str, reading: Reading = Reading()
) -> Table:
    """Reads texts that stand in a file for each label, a text a line, or in a folder, a text a file.

    Args:
        paths: the file or folder of each label.
        wanted: the column of the text, and that of the label.
        label: which of them is that of the label.
        reading: how the files are read.

    Raises:
        InputError: as `read_lines`, more than one column of texts, or a folder without files.
    """
    text = [column for column in wanted if column != label]
    if len(text) > 1:
        raise InputError(
            f"{next(iter(paths.values()))}: texts in a file for each label are one column, not {len(text)}"
        )
    tables = []
    for name, path in paths.items():
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
            found = [read_text(each, reading.encoding).strip() for each in files]
            lines, row = None, "file"
        else:
            numbered = [(i, line.strip()) for i, line in enumerate(read_lines(path, encoding=reading.encoding), 1)]
            lines, found = [i for i, line in numbered if line], [line for _, line in numbered if line]
            row = "line"
        if not found:
            raise InputError(f"{path}: no texts in it")
        columns = {column: [name] * len(found) if column == label else found for column in wanted}
        tables.append(Table(source=str(path), columns=columns, lines=lines, row=row))
    return joined(tables)
