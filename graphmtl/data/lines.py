"""The text of files, packed ones among them: bytes, characters and lines, and what is wrong with them."""

import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from graphmtl.data.encodings import likely_encoding
from graphmtl.errors import InputError, shown
from graphmtl.files import check_regular
from graphmtl.verbosity import detail

__all__ = [
    "check_encodable",
    "each_line",
    "each_line_of",
    "each_piece",
    "holds_quotes",
    "lines_of",
    "read_bytes",
    "read_lines",
    "read_text",
]

_UNPACK: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_BLOCK = 1 << 22  # bytes that are read at once of a file that may be larger than the memory
_FLOW = 1 << 18  # bytes that are read at once of what may come in slowly, such as standard input
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


def each_line(path: Path, encoding: str) -> Iterator[str]:
    """The lines of a file one after the other, which is never in memory as a whole, as `read_lines` gives them.

    Empty lines at the end may be left out or not.

    Raises:
        InputError: as `read_lines`, once what is wrong is met.
    """
    return map(_without_end, each_piece(path, encoding))


def each_line_of(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """The lines of an open file, as `each_line` gives them; it may be empty.

    Args:
        file: the file, or standard input.
        name: what an error calls it.
        encoding: its encoding.

    Raises:
        InputError: it cannot be read or decoded, once what is wrong is met.
    """
    return map(_without_end, _pieces(_read(file, name, _FLOW), name, encoding))


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def each_piece(path: Path, encoding: str) -> Iterator[str]:
    """The lines of a file one after the other, with what ends them: a newline, and a carriage return before it or none.

    Raises:
        InputError: as `read_text`, once what is wrong is met.
    """
    yield from _pieces(_blocks(path), path, encoding)
    _say_read(path)


def _pieces(blocks: Iterable[bytes], name: object, encoding: str) -> Iterator[str]:
    rest, old = "", None
    for text in _decoded(blocks, name, encoding):
        if old is None:  # as old programs end lines
            old = "\n" not in text and "\r" in text
        *lines, rest = (rest + (text.replace("\r", "\n") if old else text)).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


def _decoded(blocks: Iterable[bytes], name: object, encoding: str) -> Iterator[str]:
    """The characters of a file, some at once."""
    decoder, lines = None, 0
    for block in blocks:
        if decoder is None:
            _check_unpacked(name, block)
            decoder = _decoder(name, encoding)
            block = block.removeprefix(codecs.BOM_UTF8)
            text = _decode_block(name, encoding, decoder, block, lines).removeprefix("\ufeff")
        else:
            text = _decode_block(name, encoding, decoder, block, lines)
        lines += block.count(b"\n")
        yield text
    if decoder is not None:
        yield _decode_block(name, encoding, decoder, b"", lines)


def _decoder(name: object, encoding: str) -> codecs.IncrementalDecoder:
    try:
        b" ".decode(encoding, "ignore")  # which finds out that it makes text
        return codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise InputError(f"{name}: unknown encoding {encoding!r}") from None


def _decode_block(name: object, encoding: str, decoder: codecs.IncrementalDecoder, block: bytes, lines: int) -> str:
    """The characters of a block, which stands behind so many lines; the last one has no bytes."""
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        raise _undecodable(name, encoding, error, lines) from None


def _undecodable(name: object, encoding: str, error: UnicodeDecodeError, lines: int = 0) -> InputError:
    """The error for bytes that are not of an encoding, in what stands behind so many lines."""
    line = lines + error.object[: error.start].count(b"\n") + 1
    likely = likely_encoding(error.object)
    hint = "the key `encoding` in the YAML file (predict: --encoding) names another"
    hint = hint if likely is None else f"try `encoding: {likely}` (predict: --encoding {likely})"
    return InputError(f"{name}, line {line}: byte 0x{error.object[error.start]:02x} is not {encoding}; {hint}")


def _check_unpacked(name: object, content: bytes) -> None:
    if content.startswith(tuple(_PACKED)):
        what = next(packed for start, packed in _PACKED.items() if content.startswith(start))
        raise InputError(f"{name}: holds {what}, expected text; a packed file's name ends in .gz or .xz")


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
    _check_unpacked(path, content)
    try:
        text = content.decode(encoding).removeprefix("\ufeff")  # as utf-16-le leaves it
    except LookupError:
        raise InputError(f"{path}: unknown encoding {encoding!r}") from None
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, error) from None
    return text if "\n" in text else text.replace("\r", "\n")  # as old programs end lines


def read_bytes(path: Path, *, most: int = -1) -> bytes:
    """The content of a file, of ``.gz`` and ``.xz`` unpacked, without the byte order mark of UTF-8.

    Args:
        path: the file.
        most: how many bytes to read at most; -1: all.

    Raises:
        InputError: the file is missing or no file, unreadable, damaged or empty, or unpacks to far more than texts do.
    """
    packed = path.suffix.lower() in _UNPACK  # and may be far larger than its file
    content = next(_blocks(path, most)) if most >= 0 else b"".join(_blocks(path, _BLOCK if packed else -1))
    _say_read(path)
    return content.removeprefix(codecs.BOM_UTF8)


def holds_quotes(path: Path) -> bool:
    """Whether there may be a double quote in a file.

    Raises:
        InputError: as `read_bytes`.
    """
    return any(b'"' in block for block in _blocks(path))


def _blocks(path: Path, size: int | None = None) -> Iterator[bytes]:
    """The content of a file, of ``.gz`` and ``.xz`` unpacked, so many bytes at once.

    Raises:
        InputError: as `read_bytes`, once what is wrong is met.
    """
    check_regular(path)
    unpack: Any = _UNPACK.get(path.suffix.lower(), open)
    room = max(_LEAST, _RATIO * path.stat().st_size) if unpack is not open else None
    blank, count = True, 0
    try:
        with unpack(path, "rb") as file:
            for block in _read(file, path, _BLOCK if size is None else size):
                count += len(block)
                if room is not None and count > room:
                    raise InputError(
                        f"{path}: unpacks to more than {room:,} bytes, {_RATIO} times its size; unpack it first"
                    )
                blank = blank and not block.removeprefix(codecs.BOM_UTF8).strip()
                yield block
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if blank:
        raise InputError(f"{path}: the file is empty")


def _read(file: BinaryIO, name: object, size: int) -> Iterator[bytes]:
    """The content of an open file, so many bytes at once; a terminal is asked once whether there is more."""
    try:
        while block := file.read(size):
            yield block
            if len(block) < size:
                return
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:  # a damaged .gz raises three of them
        raise InputError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _say_read(path: Path) -> None:
    detail(f"read {path} ({path.stat().st_size:,} bytes)")
