from dataclasses import asdict

import pytest
import yaml

from graphmtl.errors import InputError
from graphmtl.options import make_options, parse_options, read_options
from graphmtl.options.groups import elsewhere


@pytest.mark.parametrize(
    ("argv", "track"),
    [
        ([], None),
        (["--tensorboard"], "tensorboard"),
        (["--no-tensorboard"], None),
        (["--track", "tensorboard"], "tensorboard"),
        (["--track", "wandb,comet"], "wandb,comet"),
    ],
)
def test_a_command_of_an_earlier_version(argv, track):
    assert parse_options(argv).track == track


@pytest.mark.parametrize("written", [1, 2])
@pytest.mark.parametrize(("value", "track"), [("true", "tensorboard"), ("false", None), ('"true"', "tensorboard")])
def test_a_run_of_an_earlier_version(written, value, track, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"format: {written}\narch: star\ntensorboard: {value}\n")
    for options in (
        read_options(path),
        read_options(path, written_by_a_run=True),
        parse_options(["--config", str(path)]),
    ):
        assert options == make_options(track=track)
        assert "tensorboard" not in asdict(options)


def test_a_run_of_complete_keeps_the_training_that_it_had(tmp_path):
    path = tmp_path / "config.yaml"
    now = asdict(make_options(arch="complete"))
    new = {"bias_rate": 1.0, "own_weight": 0.0, "others_weight": 0.0}
    then = {name: value for name, value in now.items() if name not in new} | {"detach_sources": False}
    path.write_text(yaml.safe_dump({"format": 2, **then}))
    for options in (read_options(path), read_options(path, written_by_a_run=True)):
        assert asdict(options) == now | {"detach_sources": False, **new}
    path.write_text(yaml.safe_dump({"format": 2, **now}))
    assert asdict(read_options(path, written_by_a_run=True)) == now
    path.write_text("arch: complete\ndetach_sources: false\n")  # of one's own
    assert asdict(read_options(path)) == now | {"detach_sources": False}


def test_python_of_an_earlier_version():
    assert make_options(tensorboard=True) == make_options(track="tensorboard")


@pytest.mark.parametrize("earlier", [True, False])
def test_a_flag_stands_above_a_file_whatever_each_is_called(earlier, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"tensorboard": True} if earlier else {"track": "wandb"}))
    argv = ["--track", "mlflow"] if earlier else ["--tensorboard"]
    assert parse_options(["--config", str(path), *argv]).track == ("mlflow" if earlier else "tensorboard")


def test_mistakes(tmp_path):
    both = "--tensorboard --track: the first is an earlier name of the other; give that alone"
    path = tmp_path / "base.yaml"
    for make in (
        lambda: make_options(tensorboard=True, track="wandb"),
        lambda: parse_options(["--tensorboard", "--track", "wandb"]),
    ):
        with pytest.raises(InputError) as error:
            make()
        assert str(error.value) == both
    for content, message in {
        "tensorboard: true\ntrack: wandb\n": f"{path}: {both}",
        "seed: 1\ntensorboard: maybe\n": f"{path}, line 2: --tensorboard: Expected a bool. Got value: maybe",
    }.items():
        path.write_text(content)
        with pytest.raises(InputError) as error:
            parse_options(["--config", str(path)])
        assert str(error.value) == message


def test_it_is_an_option_no_more():
    assert "tensorboard" not in {*asdict(make_options()), *elsewhere()}
