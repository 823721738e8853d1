"""The text of files, packed ones among them: bytes, characters and lines, and what is wrong with them."""

import gzip
import lzma
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphmtl.data.encodings import likely_encoding
from graphmtl.errors import InputError, shown
from graphmtl.files import check_regular
from graphmtl.verbosity import detail

__all__ = ["check_encodable", "lines_of", "read_bytes", "read_lines", "read_text"]

_RATIO, _LEAST = 100, 1 << 26  # how far a packed file may grow, and how many bytes in any case
_HALF = re.compile("[\ud800-\udfff]")  # a lone surrogate: half of a character, as JSON's \ud83d without its \ude00
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "a zip archive (or xlsx)", b"BZh": "bzip2"}


def check_encodable(values: Sequence[Any], where: str) -> None:
    """Whether values can be written into a file; JSON can name half of a character, which cannot.

    Raises:
        InputError: one cannot.
    """
    for value in values:
        if isinstance(value, str) and not value.isascii() and _HALF.search(value):
            raise InputError(f"{where}: {shown(value)} holds half of a character (a lone surrogate); text is expected")
        if isinstance(value, list):
            check_encodable(value, where)


def read_lines(path: Path, *, encoding: str = "utf-8", fallback: str | None = None, ends: bool = False) -> list[str]:
    """The lines of a file, cut at newlines only and without a carriage return at their end.

    Args:
        path: the file.
        encoding: its encoding.
        fallback: the encoding of those lines that are not UTF-8.
        ends: keep empty lines at the end of the file, which are left out otherwise.

    Raises:
        InputError: the file is missing, unreadable or empty, or it cannot be decoded.
    """
    if fallback is None:
        return lines_of(read_text(path, encoding), ends)
    return lines_of("\n".join(_decode(line, fallback) for line in read_bytes(path).split(b"\n")), ends)


def lines_of(text: str, ends: bool = False) -> list[str]:
    """The lines of a text, as `read_lines` gives them."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    while lines and not lines[-1] and not ends:
        lines.pop()
    return lines


def _decode(line: bytes, fallback: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(fallback)


def read_text(path: Path, encoding: str) -> str:
    """The characters of a file.

    Raises:
        InputError: as `read_bytes`; or the file is packed but not named so, or it cannot be decoded.
    """
    content = read_bytes(path)
    if content.startswith(tuple(_PACKED)):
        what = next(name for start, name in _PACKED.items() if content.startswith(start))
        raise InputError(f"{path}: holds {what}, expected text; a packed file's name ends in .gz or .xz")
    try:
        text = content.decode(encoding).removeprefix("\ufeff")  # as utf-16-le leaves it
    except LookupError:
        raise InputError(f"{path}: unknown encoding {encoding!r}") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        likely = likely_encoding(content)
        hint = "the key `encoding` in the YAML file (predict: --encoding) names another"
        hint = hint if likely is None else f"try `encoding: {likely}`"
        raise InputError(f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; {hint}") from None
    return text if "\n" in text else text.replace("\r", "\n")  # as old programs end lines


def read_bytes(path: Path, *, most: int = -1) -> bytes:
    """The content of a file, of ``.gz`` and ``.xz`` unpacked, without the byte order mark of UTF-8.

    Args:
        path: the file.
        most: how many bytes to read at most; -1: all.

    Raises:
        InputError: the file is missing or no file, unreadable, damaged or empty, or unpacks to far more than texts do.
    """
    check_regular(path)
    unpack = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix.lower(), open)
    room = max(_LEAST, _RATIO * path.stat().st_size) if unpack is not open else -1
    try:
        with unpack(path, "rb") as file:
            content = file.read(room + 1 if room >= 0 and most < 0 else most)
            if 0 <= room < len(content):
                raise InputError(
                    f"{path}: unpacks to more than {room:,} bytes, {_RATIO} times its size; unpack it first"
                )
            content = content.removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:  # a damaged .gz raises three of them
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    detail(f"read {path} ({path.stat().st_size:,} bytes)")
    return content
