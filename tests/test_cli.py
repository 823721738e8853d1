import contextlib
import ctypes
import errno
import importlib
import importlib.metadata
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import VERBS, Parser, main, run_verb
from graphmtl.errors import InputError, note
from graphmtl.manual.pages import TOPICS, page, question
from graphmtl.verbosity import detail, say

ROOT = Path(__file__).parents[1]


def fails_with(error: BaseException):
    def verb(argv):
        raise error

    return verb


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENAMETOOLONG], ids=["full disk", "long name"])
def test_what_the_machine_refuses_is_one_line(number, capsys):
    with pytest.raises(SystemExit) as left:
        run_verb(fails_with(OSError(number, "says no", "some/file")), [])
    assert left.value.code == 2
    assert capsys.readouterr().err == "graphmtl: error: some/file: says no\n"


def test_other_errors_of_the_system_are_no_mistake_of_the_user():
    with pytest.raises(OSError, match="bug"):
        run_verb(fails_with(OSError(errno.EBADF, "bug")), [])


def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb(fails_with(InputError("a.tsv, line 3:\n  no label\there\n")), [])
    assert leaving.value.code == 2
    assert capsys.readouterr() == ("", "graphmtl: error: a.tsv, line 3: no label here\n")


def test_the_version_is_told(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"graphmtl {importlib.metadata.version('graphmtl')}\n"


def test_an_interruption_is_exit_code_130(capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb(fails_with(KeyboardInterrupt()), [])
    assert leaving.value.code == 130
    assert capsys.readouterr() == ("", "graphmtl: interrupted\n")


def test_a_reader_that_has_gone_is_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run_verb(fails_with(BrokenPipeError()), [])


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("a"), FileNotFoundError("a")])
def test_a_fault_of_the_program_is_not_hidden(error):
    with pytest.raises(type(error)):
        run_verb(fails_with(error), [])


def test_the_arguments_are_those_of_the_process_unless_given(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["graphmtl", "a", "b"])
    run_verb(seen.append)
    run_verb(seen.append, ["c"])
    assert seen == [["a", "b"], ["c"]]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_without_a_verb_the_verbs_and_the_topics_are_listed(arguments, capsys):
    main(arguments)
    printed, error = capsys.readouterr()
    assert error == ""
    for name, what in {**VERBS, **{topic: question(topic) for topic in TOPICS}}.items():
        assert f"  {name:<14} {what}\n" in printed


def test_main_takes_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["graphmtl", "pedict"])
    with pytest.raises(SystemExit):
        main()
    assert "unknown verb 'pedict'" in capsys.readouterr().err


def test_unknown_verb(error_of):
    assert "unknown verb 'pedict'; did you mean 'predict'?" in error_of("pedict", "--task", "all")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_gets_what_stands_after_it(verb, monkeypatch):
    seen = []
    monkeypatch.setattr(importlib.import_module(f"graphmtl.{verb}"), "main", seen.append)
    arguments = ["RUN", *(["--task", "value"] if verb in ("predict", "transfer") else []), "--output", "value"]
    main([verb, *(["--predictions", "value"] if verb == "evaluate" else []), *arguments])
    assert seen == [[*(["--predictions", "value"] if verb == "evaluate" else []), *arguments]]


# the options of run and compare are in no one parser
@pytest.mark.parametrize("verb", [verb for verb in ARGUMENTS if verb not in ("run", "compare")])
def test_a_mistake_in_the_arguments_is_told_before_the_verb_is_loaded(verb, error_of, monkeypatch):
    monkeypatch.setitem(sys.modules, f"graphmtl.{verb}", None)  # to import it would be an error
    assert "required" in error_of(verb, "--nothing-of-the-kind")


@pytest.mark.parametrize("arguments", [["help"], ["help", "plot"]])
def test_help_is_a_verb(arguments, capsys):
    with pytest.raises(SystemExit) if arguments[1:] else contextlib.nullcontext():
        main(arguments)
    asked = capsys.readouterr().out
    with pytest.raises(SystemExit) if arguments[1:] else contextlib.nullcontext():
        main([*arguments[1:], "--help"])
    assert asked == capsys.readouterr().out != ""


@pytest.mark.parametrize("given", ["plto", "trainign"])
def test_help_on_what_does_not_exist_names_the_nearest_verb_or_topic(given, error_of):
    nearest = {"plto": "plot", "trainign": "training"}[given]
    assert f"unknown verb or topic '{given}'; did you mean '{nearest}'?" in error_of("help", given)


def test_help_on_a_topic_is_its_page(capsys):
    main(["help", "training"])
    assert capsys.readouterr() == (page("training"), "")


def test_help_on_a_name_that_is_both_is_the_page_and_the_arguments(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["help", "transfer"])
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(page("transfer") + "usage: graphmtl transfer")


_HEAVY = (
    *("torch", "datasets", "transformers", "matplotlib", "accelerate", "pandas", "pyarrow", "numpy", "scipy"),
    *("networkx", "jinja2", "rich"),
)
_LOADED = f"""
import sys
from graphmtl.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in {_HEAVY} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["pedict"], ["evaluate", "--help"]])
def test_help_and_mistakes_need_no_time(arguments):
    """Processor time, which a busy machine leaves as it is; torch alone would need a second."""
    before = os.times()
    command = [sys.executable, "-c", "from graphmtl.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "graphmtl" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5


def loaded(*arguments: str) -> list[str]:
    """Which of the libraries that take long to load a command has loaded."""
    command = [sys.executable, "-c", _LOADED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["help"], ["pedict"], *([verb, "--help"] for verb in ARGUMENTS)]
)
def test_help_and_mistakes_load_no_large_library(arguments):
    expected = {"pyarrow", "numpy"} if arguments == ["predict", "--help"] else set()  # whose formats are its choices
    assert set(loaded(*arguments)) <= expected


def test_an_interruption_while_libraries_load_is_one_line(tmp_path, default_handlers):
    """A library that catches it, or makes another error of it, has no say."""
    (tmp_path / "torch.py").write_text(
        "import time\ntry:\n    print('loading', flush=True)\n    time.sleep(60)\nfinally:\n    raise ImportError"
    )
    command = [sys.executable, "-c", "from graphmtl.cli import main; main(['plot', 'RUN'])"]
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == "graphmtl: interrupted\n"


def spoken(argv):
    """A verb that says one thing of each kind."""
    note("a note")
    say("how it goes")
    detail("a detail")
    print("result", *argv)


@pytest.mark.parametrize(
    ("flags", "out", "err"),
    [
        ([], "how it goes\nresult a\n", "graphmtl: a note\n"),
        (["-q"], "result a\n", ""),
        (["--quiet"], "result a\n", ""),
        (["-v"], "how it goes\nresult a\n", "graphmtl: a note\ngraphmtl: a detail\n"),
        (["--verbose"], "how it goes\nresult a\n", "graphmtl: a note\ngraphmtl: a detail\n"),
    ],
)
def test_how_much_is_said(flags, out, err, capsys):
    run_verb(spoken, [*flags, "a"])
    printed = capsys.readouterr()
    assert printed.out == out
    assert printed.err.startswith(err)
    last = r"graphmtl: \d+\.\d seconds, .*MiB.*\n" if "a detail" in err else ""
    assert re.fullmatch(last, printed.err.removeprefix(err))
    run_verb(spoken, [])
    assert capsys.readouterr() == ("how it goes\nresult\n", "graphmtl: a note\n")  # it is of one call alone


def test_the_same_note_is_said_once_in_a_command_and_again_in_the_next(capsys):
    def verb(argv):
        for message in ("a note", "another", "a note"):
            note(message)

    for _ in range(2):
        run_verb(verb, [])
        assert capsys.readouterr().err == "graphmtl: a note\ngraphmtl: another\n"


def test_what_stands_after_two_hyphens_is_text(capsys):
    run_verb(spoken, ["--", "-q"])
    assert capsys.readouterr().out == "how it goes\nresult -- -q\n"


def test_a_verb_is_needed(error_of):
    assert "no verb; known: init, run," in error_of("-q")


def test_what_is_verbose_names_files_and_times(tmp_path, capsys):
    rows = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(9))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    main(["init", "-v", str(tmp_path / "a.csv"), "--output", str(tmp_path / "t.yaml")])
    error = capsys.readouterr().err
    assert f"graphmtl: read {tmp_path / 'a.csv'} ({11 + len(rows)} bytes)\n" in error
    assert "seconds to load graphmtl's libraries" in error


def test_quiet_and_verbose_exclude_each_other(error_of):
    assert "-q and --verbose" in error_of("plot", "RUN", "-q", "--verbose")


def test_the_parsers_faults_are_the_users():
    parser = Parser(prog="graphmtl verb")
    parser.add_argument("run")
    with pytest.raises(InputError, match="required: run"):
        parser.parse_args([])


def test_as_a_process(tmp_path):
    options = tmp_path / "options.yaml"
    options.write_text("epochs: 3\nhiden: 8\n")
    command = [sys.executable, "-m", "graphmtl.run", "--config", options, "--output", tmp_path / "run"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"graphmtl: error: {options}, line 2: unknown key 'hiden'")
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


_BLOCK = """
import ctypes
from graphmtl.cli import run_verb

class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f uordblks kept k".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Memory, ctypes.c_void_p, [ctypes.c_void_p]
run_verb(lambda _: None, [])
before = libc.mallinfo2()
block = libc.malloc(2**24)
during = libc.mallinfo2()
libc.free(block)
print(during.hblks - before.hblks, libc.mallinfo2().kept >= 2**24)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library, or an old one")
@pytest.mark.parametrize(("given", "expected"), [({}, "0 True"), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, "1 False")])
def test_freed_memory_is_kept_for_the_next_batch_unless_the_user_has_set_it(given, expected):
    """A block of 16 MiB is no mapping of its own, and is not given back to the system."""
    environment = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", _BLOCK]
    done = subprocess.run(command, env=environment | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
