"""Presets are the options of the commands that the tables of benchmarks/results were made with."""

import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest

from graphmtl.errors import InputError
from graphmtl.options import parse_options, read_options
from graphmtl.options.presets import preset_file, presets

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
GRAPH = ["--tasks", "planted", "--freeze-embeddings", "--planted-children", "6"]  # what benchmarks.planted_graph adds
COMMANDS = {  # the file of results, the command's own words, and more that it gives
    "fdu-mtl": ("fdu-mtl-large.md", "--archs shared,star --runs", []),
    "fdu-mtl-small": ("fdu-mtl-small.md", "--archs single,shared,complete,star", []),
    "fdu-mtl-taught": ("fdu-mtl-taught.md", "--archs cmtr", ["--arch", "cmtr"]),
    "tagging": ("tagging.md", "--archs single,shared,star", []),
    "snips": ("tagging.md", "--arch star --tasks snips", []),
    "glue": ("glue.md", "--arch cmtr --tasks glue", []),
    "planted-graph-complete": ("planted-graph.md", "--archs complete", [*GRAPH, "--arch", "complete"]),
    "planted-graph-star": ("planted-graph.md", "--archs star", [*GRAPH, "--arch", "star"]),
    "planted-graph-cmtr": ("planted-graph.md", "--archs cmtr", [*GRAPH, "--arch", "cmtr"]),
}
OF_ONE_MACHINE = ("embeddings", "encoder", "teachers", "output")  # folders and files


def flags(name: str) -> list[str]:
    """The options of a run in a command of the results."""
    file, words, more = COMMANDS[name]
    text = (RESULTS / file).read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if words in line)
    whole = shlex.split(re.sub("^Command: ", "", command.strip()).strip("`;").split("`")[0])
    return [*more, *(whole[whole.index("--") + 1 :] if "--" in whole else whole[whole.index("--arch") :])]


def test_every_preset_has_a_command():
    assert {*presets()} == {*COMMANDS}


@pytest.mark.filterwarnings("ignore:--:graphmtl.errors.DataWarning")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_preset_is_what_the_command_gives(name):
    ours, theirs = asdict(read_options(preset_file(name))), asdict(parse_options(flags(name)))
    for each in OF_ONE_MACHINE:
        ours.pop(each, None)
        theirs.pop(each, None)
    assert ours == theirs


def test_flags_go_before_a_preset():
    options = parse_options(["--config", "fdu-mtl", "--arch", "shared", "--seed", "3"])
    assert (options.arch, options.seed, options.min_count, options.tasks) == ("shared", 3, 5, "fdu-mtl")


def test_a_file_of_that_name_goes_before_a_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("fdu-mtl").write_text("epochs: 3\n")
    assert parse_options(["--config", "fdu-mtl"]).epochs == 3


def test_neither_a_file_nor_a_preset():
    with pytest.raises(
        InputError, match=r"--config fdu-mlt: no such file, and no preset of that name \(known: .*fdu-mtl"
    ):
        parse_options(["--config", "fdu-mlt"])
