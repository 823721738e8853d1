import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker for each core is enough; torch reads it when it is imported

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from threading import Lock

import pytest
import torch
from hypothesis import HealthCheck, settings

if not torch.cuda.is_available():  # Triton asks when it is first imported
    os.environ["TRITON_INTERPRET"] = "1"

from graphmtl.cli import main
from tests import tiny

# a time says nothing on a machine that does other work
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="module", autouse=True)
def what_is_there_is_left_alone() -> None:
    """What earlier tests leave in cycles is freed, and modules and thousands of tests are not looked through again
    whenever Python collects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory) -> Iterator[None]:
    """What tests keep for later is gone with them, and none finds what another time has left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHMTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def default_handlers() -> Iterator[None]:
    """Of signals those of a terminal, which processes that are started inherit; a suite in the background ignores
    Ctrl-C."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture(scope="session")
def tiny_tasks(tmp_path_factory) -> str:
    """What ``--tasks`` takes for the task set of the tiny runs."""
    return tiny.write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_tasks) -> Callable[[str], tiny.Finished]:
    """The finished tiny run of an architecture, which is made when it is first asked for; nobody may change it."""
    lock = Lock()  # a process trains one run at a time, and threads of a comparison ask at once

    @cache
    def made(arch: str) -> tiny.Finished:
        return tiny.run(arch=arch, tasks=tiny_tasks, output=tmp_path_factory.mktemp("runs") / arch)

    def finished(arch: str) -> tiny.Finished:
        with lock:
            return made(arch)

    return finished


@pytest.fixture
def copy_of(finished, tmp_path) -> Callable[[str], Path]:
    """A copy of the finished tiny run of an architecture, for the test to change."""

    def copy_of(arch: str) -> Path:
        return shutil.copytree(finished(arch).run.folder, tmp_path / "run")

    return copy_of


@pytest.fixture
def error_of(capsys) -> Callable[..., str]:
    """What a command that fails says: one line on stderr, behind what options are for, and exit code 2."""

    def error_of(*arguments) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        assert leaving.value.code == 2
        error = re.sub(r"graphmtl: --.* ha(s|ve) no effect .*\n", "", capsys.readouterr().err)
        assert error.startswith("graphmtl: error: ")
        assert error.endswith("\n")
        assert error.count("\n") == 1
        return error

    return error_of


@pytest.fixture(scope="session")
def transformer(tmp_path_factory) -> Callable[..., str]:
    """The folder of a small random transformer of a kind, for ``--encoder``; nobody may change it."""
    from tests.transformer_folders import write_transformer  # transformers takes seconds to load

    @cache
    def transformer(kind: str = "bert", **changes) -> str:
        return write_transformer(tmp_path_factory.mktemp(kind), kind, **changes)

    return transformer
