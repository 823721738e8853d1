"""GraphML files, read within bounds."""

import gzip
import zlib
from io import BytesIO
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

import networkx as nx

from graphmtl.errors import InputError, shown
from graphmtl.files import check_regular

__all__ = ["read_graphml"]

_MOST_BYTES = 32 << 20  # the edges of 400 tasks, all of them, are 22 MB
_DEEPEST = 32  # elements in one another; a graph's are 4


def read_graphml(path: Path | str) -> nx.Graph:
    """The graph in a GraphML file, also one that is packed (``.gz``).

    Entities are not expanded, and nothing is loaded from elsewhere.

    Raises:
        InputError: there is no such file, it cannot be read, is too large, or holds something else.
    """
    content = _content(path)
    try:
        _check(content, path)
        return nx.read_graphml(BytesIO(content))
    except InputError:
        raise
    except (expat.ExpatError, ParseError) as error:
        raise InputError(f"{path}: not GraphML (no XML: {error})") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, nx.NetworkXException) as error:
        raise InputError(f"{path}: not GraphML ({type(error).__name__}: {error})") from None


def _content(path: Path | str) -> bytes:
    check_regular(path)
    try:
        with gzip.open(path) if Path(path).suffix == ".gz" else open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: more than {_MOST_BYTES:,} bytes of GraphML, which is the most that is read")
    return content


def _check(content: bytes, path: Path | str) -> None:
    """Whether the XML is harmless: no entities of its own, and not deep."""
    parser, depth = expat.ParserCreate(), 0

    def refuse(why: str) -> NoReturn:
        raise InputError(f"{path}, line {parser.CurrentLineNumber}: {why}; expected: plain GraphML")

    def start(name: str, attributes: dict) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            refuse(f"elements in more than {_DEEPEST} others")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = lambda name, *_: refuse(f"an entity of its own, {shown(name)}")
    parser.Parse(content, True)
