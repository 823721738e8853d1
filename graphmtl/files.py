"""Files that others wrote: whether there is a file at all, its content within bounds, and JSON. And files of our own,
which are written as a whole or not at all, by one process at a time.
"""

import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from graphmtl.errors import InputError, shown

__all__ = [
    "PART",
    "alone",
    "check_output",
    "check_regular",
    "check_writable",
    "is_there",
    "parse_json",
    "read_bounded",
    "read_json",
    "read_json_lines",
    "remove",
    "user_cache",
    "write_whole",
    "writing",
    "written_whole",
]

PART = ".part"  # ends the name of what is not written to its end
_MOST = 64 << 20  # bytes of JSON, which takes about ten times as much memory once it is read
_KINDS: dict[Callable[[int], bool], str] = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def user_cache(name: str) -> Path:
    """A folder for what can be made again: in ``GRAPHMTL_CACHE``, or else in ``graphmtl`` of the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphmtl"
    return Path(os.environ.get("GRAPHMTL_CACHE") or cache) / name


def is_there(path: Path | str) -> bool:
    """Whether there is a file or folder of this name, which may be one that none can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a name, or with a character that none may have
        return False


def check_regular(path: Path | str) -> None:
    """Whether there is a file that can be read to its end; a pipe may never give anything, a device never end.

    Raises:
        InputError: there is nothing, or a folder, a pipe, a socket or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero byte
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    found = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), None)
    if found is not None:
        raise InputError(f"{path}: {found}, where a file is expected")


def check_output(path: Path, *, option: str, endings: Sequence[str] = (), overwrite: bool) -> None:
    """Whether a file can be written.

    Args:
        path: the file.
        option: what names it on the command line.
        endings: those that its name may have; none: any.
        overwrite: a file that is there may be replaced.

    Raises:
        InputError: its name ends otherwise, its folder is not there or cannot be written into, or it is there and may
            not be replaced.
    """
    if endings and path.suffix.lower() not in endings:
        raise InputError(f"{option} {path}: expected a name that ends in {', '.join(endings)}")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}")
    if path.exists() and not (overwrite and path.is_file()):
        raise InputError(f"{path} exists; give --overwrite to replace it, or another file with {option}")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Whether a file can be written into its folder, which a long work is to end with.

    Raises:
        InputError: it cannot.
    """
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written into its folder (no permission, or a read-only disk)")


def read_bounded(path: Path | str, *, most: int) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        most: how many bytes it may hold.

    Raises:
        InputError: as `check_regular`; or the file cannot be read, or holds more.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > most:
        raise InputError(f"{path}: more than {most:,} bytes, which is the most that is read of such a file")
    return content


def read_json(path: Path | str, kind: type = dict, *, most: int = _MOST) -> Any:
    """What a JSON file holds.

    Args:
        path: the file.
        kind: what it must be, `dict` or `list`.
        most: how many bytes the file may hold.

    Raises:
        InputError: as `read_bounded`; or it is not UTF-8, no JSON, nested too deep, or of another kind.
    """
    found = parse_json(_text(path, most), path)
    if not isinstance(found, kind):
        what = "an object ({...})" if kind is dict else "a list ([...])"
        raise InputError(f"{path}: {what} is expected in the file, found {shown(found)}")
    return found


def read_json_lines(path: Path | str, *, most: int | None = None) -> list[dict]:
    """The objects in a file of JSON lines.

    Args:
        path: the file.
        most: how many lines are read; None: all.

    Raises:
        InputError: as `read_json`, with the line.
    """
    text = _text(path, _MOST)
    lines = text.removesuffix("\n").split("\n")[:most] if text else []  # a name may hold U+2028, so no splitlines
    found = [parse_json(line, path, number) for number, line in enumerate(lines, 1)]
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict):
            raise InputError(f"{path}, line {number}: an object ({{...}}) is expected, found {shown(each)}")
    return found


def _text(path: Path | str, most: int) -> str:
    content = read_bounded(path, most=most)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8") from None


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write the file or folder that is to stand in ``path``.

    It gets that name once all is there, in the place of an earlier one, and is removed otherwise.

    Raises:
        InputError: it cannot be written: the disk is full, the folder gone or not ours, ...
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with writing(path):
            yield part
            if part.is_dir() and path.is_dir():
                path.rename(path.with_name(f".{path.name}.{os.getpid()}.old{PART}"))
            os.replace(part, path)
    finally:
        for each in (part, path.with_name(f".{path.name}.{os.getpid()}.old{PART}")):
            remove(each)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What keeps a file from being written is one line.

    Raises:
        InputError: the disk is full, the folder gone or not ours, ...
    """
    try:
        yield
    except SafetensorError as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def write_whole(path: Path, text: str) -> None:
    """Writes a file as a whole or not at all; one that is there is replaced.

    Raises:
        InputError: it cannot be written.
    """
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def alone(path: Path, *, otherwise: Callable[[], None]) -> Iterator[IO | None]:
    """While this process, or one that it starts and gives the file, is the only one that holds a lock.

    The lock is the system's, so that nothing of it is left where the processes that hold it are gone; the file, which
    holds the number of the last process, stays, unless its holder removes it. Where files cannot be locked nothing is
    held.

    Args:
        path: the file.
        otherwise: is called where another process holds it. If it returns, the other's end is waited for.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield None
        return
    held = False
    while not held:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                otherwise()
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # of a file system that has no locks, as some over a network: then there is none
                pass
            held = os.fstat(file.fileno()).st_nlink > 0  # else its holder has removed it, and others lock another one
            if held:
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
                yield file


def parse_json(text: str, name: object, line: int = 1) -> Any:
    """What a JSON text holds.

    Args:
        text: the text.
        name: what an error calls it.
        line: the number of its first line there.

    Raises:
        InputError: it is no JSON, is nested too deep, has a number of more than 4,300 digits, or an object has a key
            twice.
    """
    try:
        return _JSON.decode(text)
    except json.JSONDecodeError as error:
        found = shown(text.split("\n")[error.lineno - 1])
        raise InputError(f"{name}, line {line + error.lineno - 1}: not JSON ({error.msg}): {found}") from None
    except RecursionError:
        raise InputError(f"{name}, line {line}: not JSON that can be read (lists or objects nested too deep)") from None
    except _RepeatedKeyError as error:
        place = name if "\n" in text.strip() else f"{name}, line {line}"
        raise InputError(f"{place}: {error}") from None
    except ValueError as error:
        raise InputError(f"{name}, line {line}: not JSON that can be read ({error})") from None


class _RepeatedKeyError(ValueError):
    """A key stands twice in an object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key, times = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _RepeatedKeyError(f"the key {shown(key)} stands {times} times in an object: {shown(found)}")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_object)
