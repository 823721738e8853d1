import json
import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import yaml

from graphmtl.config import FORMAT, Options
from graphmtl.errors import InputError
from graphmtl.options import make_options, parse_options
from graphmtl.training.run import Run
from tests.options.every import another


@pytest.fixture
def folder(tmp_path) -> Path:
    """A run's folder with options that are not the defaults."""
    Run(tmp_path / "run").create(OPTIONS)
    return tmp_path / "run"


OPTIONS = make_options(arch="complete", seed=3, lr=1e-5, precision="no", output="run", node_bias=False)


def edit(folder, old, new):
    path = folder / "config.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_config_holds_the_format_and_every_option_unset_ones_too(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config == {"format": FORMAT, **asdict(OPTIONS)}
    assert config["format"] == 2
    assert config["data_dir"] is None
    assert set(config) == {"format"} | {field.name for field in fields(OPTIONS)}


def test_the_options_come_back(folder):
    assert Run(folder).options == OPTIONS
    assert parse_options(["--config", f"{folder}/config.yaml"]) == OPTIONS


def test_a_run_may_be_resumed_on_another_device_but_not_with_other_trackers(folder):
    run = Run(folder)
    run.check(replace(OPTIONS, resume=True, device="cuda:1"))  # a device's number means nothing on another machine
    with pytest.raises(InputError, match="track is None, not 'wandb'"):
        run.check(replace(OPTIONS, resume=True, track="wandb"))


def test_an_empty_folder_may_be_there(tmp_path):
    Run(tmp_path).create(OPTIONS)
    assert Run(tmp_path).options == OPTIONS


def test_parents_are_made(tmp_path):
    Run(tmp_path / "a" / "b").create(OPTIONS)
    assert (tmp_path / "a" / "b" / "config.yaml").is_file()


def test_what_is_there_stays_unless_overwrite_says_otherwise(folder):
    (folder / "metrics.json").write_text("precious")
    with pytest.raises(InputError, match=f"{folder} exists: --overwrite replaces it, --resume goes on with it"):
        Run(folder).create(OPTIONS)
    assert (folder / "metrics.json").read_text() == "precious"
    Run(folder).create(replace(OPTIONS, seed=4, overwrite=True))
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "replaced"}
    assert {path.name for path in (folder / "replaced").iterdir()} == {"config.yaml", "metrics.json"}
    assert (folder / "replaced" / "metrics.json").read_text() == "precious"
    assert Run(folder).options.seed == 4


def test_what_is_replaced_goes_when_its_successor_has_finished(folder):
    (folder / "metrics.json").write_text("old")
    run = Run(folder)
    run.create(replace(OPTIONS, overwrite=True))
    with pytest.raises(InputError, match=f"not finished.*; the one before it stands in {folder}/replaced"):
        Run.open(folder)
    run.finish({"new": 1})
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "metrics.json"}
    run.create(replace(OPTIONS, overwrite=True))
    assert json.loads((folder / "replaced" / "metrics.json").read_text()) == {"new": 1}


def test_an_unfinished_run_that_is_overwritten_leaves_the_finished_one_before_it(folder):
    (folder / "metrics.json").write_text("precious")
    Run(folder).create(replace(OPTIONS, overwrite=True))
    Run(folder).create(replace(OPTIONS, seed=4, overwrite=True))
    assert (folder / "replaced" / "metrics.json").read_text() == "precious"
    assert Run(folder).options.seed == 4


class Killed(BaseException):
    pass


def killed_at(monkeypatch, operation: int) -> None:
    """Lets file operations be done up to one, at which the process is gone."""
    done = 0

    def counted(do):
        def instead(*args, **kwargs):
            nonlocal done
            done += 1
            if done > operation:
                raise Killed
            return do(*args, **kwargs)

        return instead

    for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_at_every_file_operation_of_overwrite_leaves_a_folder_that_can_be_gone_on_with(tmp_path, finished):
    """And of a finished run all that it had, in one of two places, or parted between both."""
    for operation in range(1000):
        folder = tmp_path / str(operation)
        Run(folder).create(OPTIONS, {"format": 1})
        (folder / "model").mkdir()
        for name in ("model/weights", "history.jsonl", *(["metrics.json"] if finished else [])):
            (folder / name).write_text("precious")
        again = replace(OPTIONS, seed=4, overwrite=True)
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, operation)
            try:
                Run(folder).create(again, {"format": 1})
                survived = True
            except Killed:
                survived = False
        if finished:
            for name in ("model/weights", "history.jsonl", "metrics.json"):
                places = [each for each in (folder, folder / "replaced") if (each / name).is_file()]
                assert [(each / name).read_text() for each in places] == ["precious"], (operation, name)
        Run(folder).create(again, {"format": 1})
        assert Run(folder).options.seed == 4
        assert (folder / "data.json").is_file()
        assert (folder / "replaced" / "metrics.json").is_file() == finished
        assert not finished or Run(folder / "replaced").options == OPTIONS, operation
        assert not (folder / "model").exists()
        if survived:
            break
    assert operation > 5


def test_a_run_that_wrote_no_config_can_be_overwritten(folder):
    (folder / "config.yaml").write_text("")
    Run(folder).create(replace(OPTIONS, overwrite=True))
    assert Run(folder).options == OPTIONS
    (folder / "config.yaml").write_text("")
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="not a run's folder"):
        Run(folder).create(replace(OPTIONS, overwrite=True))


_HOLDS = """
import sys
from graphmtl.training.run import Run
with Run(sys.argv[1]).held():
    print("held", flush=True)
    input()
"""


def test_two_at_once(folder):
    """The lock ends with its process, however that ends."""
    command = [sys.executable, "-c", _HOLDS, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        message = rf"{folder}: another process \({other.pid}\) trains this run"
        with pytest.raises(InputError, match=message), Run(folder).held():
            pass
        other.kill()
    with Run(folder).held():
        assert (folder / ".lock").is_file()
    assert not (folder / ".lock").exists()


def test_overwriting_removes_what_a_run_writes_and_nothing_else(folder):
    (folder / "notes.txt").write_text("precious")
    for name in ("model", "checkpoints", "controls"):
        (folder / name).mkdir()
        (folder / name / "file").write_text("old")
    Run(folder).create(replace(OPTIONS, overwrite=True))
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "notes.txt"}


def test_everything_a_run_leaves_is_removed(copy_of):
    folder = copy_of("star")
    Run(folder).create(replace(OPTIONS, overwrite=True))
    assert {path.name for path in folder.iterdir()} <= {"config.yaml", "replaced", ".lock"}


def test_what_verbs_make_of_a_finished_run_goes_with_it(folder):
    made = {
        *("model.onnx", "model.vocabulary.txt", "model.tokenizer.json"),  # by export
        *("history.png", "text.png"),  # by plot
        "profile.json.gz",
    }
    for name in (*made, "metrics.json"):
        (folder / name).write_text("old")
    Run(folder).create(replace(OPTIONS, overwrite=True))
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "replaced"}
    assert {path.name for path in (folder / "replaced").iterdir()} == {"config.yaml", "metrics.json", *made}


def test_a_link_to_a_run_stays_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    Run(tmp_path / "link").create(replace(OPTIONS, seed=4, overwrite=True))
    assert (tmp_path / "link").is_symlink()
    assert Run(folder).options.seed == 4


def test_options_of_ones_own_are_no_run(tmp_path):
    (tmp_path / "config.yaml").write_text("epochs: 3\n")
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="not a run's folder"):
        Run(tmp_path).create(replace(OPTIONS, overwrite=True))
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "thesis.txt"}


@pytest.mark.parametrize("read", [".", "teachers/single"])
def test_a_folder_that_is_read_is_not_overwritten(folder, read):
    with pytest.raises(InputError, match="--overwrite would remove"):
        Run(folder).check_kept([None, folder / read])
    Run(folder).check_kept([None, folder.parent, folder.parent / "runner"])


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_what_is_no_run_stays_in_any_case(tmp_path, options):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "draft.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("letters", "file"):
        with pytest.raises(InputError, match=name):
            Run(tmp_path / name).create(replace(OPTIONS, **options))
    assert (tmp_path / "letters" / "draft.txt").read_text() == "precious"
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_that_cannot_be_made(folder):
    with pytest.raises(InputError, match="config"):
        Run(folder / "config.yaml" / "run").create(OPTIONS)


@pytest.mark.parametrize("change", [{}, {"output": "elsewhere"}, {"progress": False}, {"overwrite": True}])
def test_a_run_is_resumed_with_the_same_options(folder, change):
    before = (folder / "config.yaml").read_bytes()
    (folder / "history.jsonl").write_text("precious")
    Run(folder).create(replace(OPTIONS, resume=True, **change))
    assert (folder / "config.yaml").read_bytes() == before
    assert (folder / "history.jsonl").read_text() == "precious"


def test_the_data_is_written_down_when_the_folder_is_made(tmp_path):
    """An interrupted run has it, and what is there stays what it is."""
    data = {"format": 1, "name": "set", "tasks": {}}
    Run(tmp_path / "run").create(OPTIONS, data)
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == data
    Run(tmp_path / "run").create(replace(OPTIONS, resume=True), {**data, "name": "another name"})
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == data
    Run(tmp_path / "run").create(replace(OPTIONS, overwrite=True))
    assert not (tmp_path / "run" / "data.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed is 3, not 4"),
        ({"lr": 1e-4}, "lr is 1e-05, not 0.0001"),
        ({"arch": "star"}, "arch is 'complete', not 'star'"),
        ({"data_dir": "data"}, "data_dir is None, not 'data'"),
        ({"planted_rich": 99}, "planted_rich is 1500, not 99"),
    ],
)
def test_a_run_is_not_resumed_with_others(folder, change, message):
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(InputError, match=message) as error:
        Run(folder).create(replace(OPTIONS, resume=True, **change))
    assert str(error.value).startswith(f"{folder}/config.yaml: ")
    assert (folder / "config.yaml").read_bytes() == before


def test_every_option_but_where_the_run_lies_must_be_the_same(folder):
    free = set()
    for field in fields(Options):
        other = next(v for v in (another(field.name), field.default) if v != getattr(OPTIONS, field.name))
        try:
            Run(folder).create(replace(OPTIONS, **{"resume": True, field.name: other}))
        except InputError:
            continue
        free.add(field.name)
    assert free == {"resume", "overwrite", "output", "progress", "device", "baselines", "control", "write_submission"}


def test_a_run_that_is_not_there_is_made_by_resume(tmp_path):
    Run(tmp_path / "run").create(replace(OPTIONS, resume=True))
    assert Run(tmp_path / "run").options == OPTIONS


@pytest.mark.parametrize(("line", "found"), [("format: 3\n", "3"), ("format: '1'\n", "'1'"), ("", "None")])
def test_a_run_of_another_format(folder, line, found):
    edit(folder, "format: 2\n", line)
    Run(folder).write_json("metrics.json", {})
    message = rf"{folder}/config\.yaml: format {found}; this version of graphmtl reads format 1 to 2"
    with pytest.raises(InputError, match=message):
        Run.open(folder)
    with pytest.raises(InputError, match=message):
        Run(folder).create(replace(OPTIONS, resume=True))


def test_a_config_with_an_unknown_key(folder):
    edit(folder, "hidden:", "hiden:")
    with pytest.raises(InputError, match=r"config\.yaml, line \d+: unknown key 'hiden'; did you mean 'hidden'"):
        Run.open(folder)


def test_a_config_with_a_value_of_another_kind(folder):
    edit(folder, "batch_size: 0", "batch_size: many")
    with pytest.raises(InputError, match=r"batch_size|batch-size"):
        Run.open(folder)


@pytest.mark.parametrize("how", ["cut", "zeros", "missing"])
def test_a_run_whose_config_is_damaged_is_replaced(folder, how):
    """Where nothing else stands in the folder than what a run writes."""
    run, config = Run(folder), folder / "config.yaml"
    run.write_json("data.json", {})
    config.unlink() if how == "missing" else config.write_bytes(b"form" if how == "cut" else bytes(9))
    (folder / "history.jsonl").touch()
    with pytest.raises(InputError, match=r"config\.yaml"):
        run.create(replace(OPTIONS, resume=True))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run's folder"):
        Run(folder).create(replace(OPTIONS, overwrite=True))
    (folder / "notes.txt").unlink()
    Run(folder).create(replace(OPTIONS, overwrite=True))
    assert Run(folder).options == OPTIONS
    assert {path.name for path in folder.iterdir()} == {"config.yaml"}


@pytest.mark.parametrize("folder", [3, None, ["run"]])
def test_a_folder_is_a_path(folder):
    with pytest.raises(InputError, match=r"folder: found .*, expected the path of a run's folder"):
        Run(folder)


def test_json_is_plain_and_readable(folder):
    Run(folder).write_json("metrics.json", {"task": "ça", "mean": {"test": 0.5}})
    text = (folder / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"task": "ça", "mean": {"test": 0.5}}
    assert '"task": "ça",\n' in text
    with pytest.raises(ValueError, match="JSON compliant"):
        Run(folder).write_json("metrics.json", {"mean": float("nan")})
