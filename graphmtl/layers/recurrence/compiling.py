"""A C++ file as a library: compiled when it is first needed, and kept in a folder for all processes to come.

Nothing is locked, so nothing can wait for a process that has died. Whoever finds no library compiles it in a folder of
its own beside the others, and renames it into its place when it is whole; of two that do so at once one does it in
vain. A library's name says what it was made from and, by a checksum, that it is whole: loading one that was cut short
would end the process.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from graphmtl.verbosity import say

__all__ = ["load_library"]

_PATIENCE = 300  # seconds in which the compiler must have ended
_LIBRARY = ("-shared", "-fPIC", "-o")
_UNFINISHED = ".unfinished"  # what a process that was killed leaves behind
_RUBBISH = 3600  # seconds after which such a thing is nobody's


def load_library(
    name: str, *, sources: Sequence[Path], flags: Sequence[str], functions: Sequence[str], optional: Sequence[str] = ()
) -> ctypes.CDLL:
    """The library, compiled by ``CXX`` (c++) unless that was done before; it says so where it compiles.

    Args:
        name: the first part of its file's name.
        sources: the file to compile, and those that it includes.
        flags: of the compiler.
        functions: what must be in it.
        optional: more flags, which are left out where it has them not; it says so where it compiles.

    Raises:
        OSError: there is no compiler, or the folder cannot be written.
        RuntimeError: the compiler fails, takes too long, or what it makes cannot be loaded.
    """
    folder, compiler = _folder(), os.environ.get("CXX") or "c++"
    # the folder may be shared by machines of several kinds and by several versions of graphmtl
    machine = [sysconfig.get_platform(), *platform.libc_ver()]
    content, command = [source.read_bytes() for source in sources], shlex.split(compiler)
    _remove_rubbish(folder)
    for more in (optional, ()) if optional else ((),):
        asked = "\0".join([compiler, *flags, *more, *machine]).encode()
        stem = f"{name}_{_checksum(asked, *content)}"
        for path in sorted(folder.glob(f"{stem}_*.so")):
            library = _opened(path, functions)
            if library is not None:
                return library
        if not more or _takes([*command, *more]):
            break
    without = "" if more or not optional else f", without {shlex.join(optional)}, which {compiler} does not take"
    line = f"graphmtl: compiling {sources[0].name} into {folder}, once, some seconds{without}"
    say(line, file=sys.stderr, flush=True)
    path = _compile(folder, stem, [*command, *flags, *more, str(sources[0])])
    library = _opened(path, functions)
    if library is None:
        raise RuntimeError(f"{path}: compiled, and cannot be loaded")
    return library


def _takes(command: Sequence[str]) -> bool:
    """Whether a compiler with its flags makes a library of a file with nothing in it."""
    with TemporaryDirectory() as own:
        empty = Path(own, "empty.cpp")
        empty.touch()
        return _run([*command, *_LIBRARY, str(Path(own, "empty.so")), str(empty)], Path(own, "said.txt")) == 0


def _folder() -> Path:
    """That of torch's extensions where it is set, else one of our own in the user's cache."""
    given = os.environ.get("TORCH_EXTENSIONS_DIR")
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(given or Path(cache or Path.home() / ".cache") / "graphmtl").absolute()


def _checksum(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _opened(path: Path, functions: Sequence[str]) -> ctypes.CDLL | None:
    """The library, or None where the file is not whole, or is another machine's."""
    try:
        if path.stem.rpartition("_")[2] != _checksum(path.read_bytes()):
            return None
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    return library if all(hasattr(library, name) for name in functions) else None


def _compile(folder: Path, stem: str, command: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{stem}.", suffix=_UNFINISHED, dir=folder, ignore_cleanup_errors=True) as own:
        built, said = Path(own, "library.so"), Path(own, "said.txt")
        code = _run([*command, *_LIBRARY, str(built)], said)
        if code != 0:
            raise RuntimeError(f"{command[0]} failed with exit code {code}: {said.read_text(errors='replace')[-1000:]}")
        library = folder / f"{stem}_{_checksum(built.read_bytes())}.so"
        return built.replace(library)


def _run(command: Sequence[str], output: Path) -> int:
    """The exit code. What the command starts ends with it, and none of it outlives an interruption."""
    with (
        output.open("wb") as file,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0) as process,
    ):
        try:
            return process.wait(_PATIENCE)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise RuntimeError(f"{command[0]} has not ended after {_PATIENCE} seconds") from None
            raise


def _remove_rubbish(folder: Path) -> None:
    for path in folder.glob(f"*{_UNFINISHED}"):
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > _RUBBISH:
                shutil.rmtree(path)
