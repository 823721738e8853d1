import inspect
import json
from types import SimpleNamespace

import pytest
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from graphmtl.config import TrainingOptions
from graphmtl.errors import DataWarning, InputError
from graphmtl.training import trackers
from graphmtl.training.trackers import finish_trackers, start_trackers, tracker_names, trackers_finished

FOUND_AGAIN = ("wandb", "trackio", "mlflow", "comet_ml")


@pytest.fixture
def started(monkeypatch):
    """Every tracker of accelerate, as one that keeps what it is given; those that were started."""
    started = []

    def fake(name: str, real: type[GeneralTracker]) -> type[GeneralTracker]:
        class Fake(GeneralTracker):
            requires_logging_directory = real.requires_logging_directory

            def __init__(self, **arguments):
                inspect.signature(real).bind(**arguments)
                super().__init__(_blank=True)
                self.name, self.arguments, self.config, self.logged, self.called = name, arguments, None, [], None

            @property
            def tracker(self):
                """A record as each package has it: found by what was asked for, or by a number of its own."""
                given = self.arguments
                own = SimpleNamespace(run_id=given.get("run_id") or f"number-{len(started)}")
                key = given.get("experiment_key")
                record = SimpleNamespace(id=given.get("id"), name=given.get("name"), info=own, get_key=lambda: key)
                record.set_name = lambda called: setattr(self, "called", called)
                return record

            def start(self):
                started.append(self)

            def store_init_configuration(self, values):
                self.config = values

            def log(self, values, step=None, **_):
                self.logged.append((step, values))

            def finish(self):
                self.finished = True

        return Fake

    for name, real in [*LOGGER_TYPE_TO_CLASS.items()]:
        monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, name, fake(name, real))
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: [*LOGGER_TYPE_TO_CLASS])
    for name in ("WANDB_PROJECT", "COMET_PROJECT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return started


def start(folder, track, *, resumed=False, **options) -> Accelerator:
    accelerator = Accelerator(cpu=True)
    folder.mkdir(parents=True, exist_ok=True)
    start_trackers(accelerator, TrainingOptions(track=track, **options), folder, resumed=resumed)
    return accelerator


def test_names_are_accelerates(started):
    assert tracker_names(None) == []
    assert tracker_names("wandb") == ["wandb"]
    assert tracker_names("comet,mlflow,comet_ml") == ["comet_ml", "mlflow"]
    for name in LOGGER_TYPE_TO_CLASS:
        assert tracker_names(name) == [name]


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ("wandbb", "unknown --track 'wandbb'; did you mean 'wandb'?"),
        ("tensorboard,", "unknown --track ''"),
        ("tensorboard, wandb", "unknown --track ' wandb'; did you mean 'wandb'?"),
        ("tensorboard,comet", "--track tensorboard,comet: comet_ml is not installed; `pip install comet_ml`"),
    ],
)
def test_a_tracker_that_cannot_be_had(track, message, monkeypatch):
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: ["tensorboard"])
    with pytest.raises(InputError) as error:
        tracker_names(track)
    assert str(error.value).startswith(message)


def test_every_tracker_is_told_the_project_the_run_and_its_options(started, tmp_path):
    start(tmp_path / "my-run", ",".join(FOUND_AGAIN), lr=0.25)
    wandb, trackio, mlflow, comet = started
    for tracker in started:
        assert tracker.config["lr"] == 0.25
        assert tracker.config["track"] == ",".join(FOUND_AGAIN)
        assert tracker.arguments["experiment_name" if tracker is mlflow else "run_name"] == "graphmtl"
    assert [wandb.arguments["name"], trackio.arguments["name"], mlflow.arguments["run_name"], comet.called] == [
        "my-run"
    ] * 4
    assert wandb.arguments["dir"] == str(tmp_path / "my-run")


def test_tensorboard_writes_where_it_did_and_nothing_else(started, tmp_path):
    start(tmp_path, "tensorboard")
    (tensorboard,) = started
    assert tensorboard.arguments == {"run_name": "tensorboard", "logging_dir": str(tmp_path)}
    assert tensorboard.config is None
    assert [*tmp_path.iterdir()] == []


def test_the_project_of_the_environment(started, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    monkeypatch.setenv("COMET_PROJECT_NAME", "theirs")
    start(tmp_path, "wandb,comet")
    assert [tracker.arguments["run_name"] for tracker in started] == ["ours", "theirs"]


@pytest.mark.parametrize("name", FOUND_AGAIN)
def test_a_resumed_run_goes_on_in_its_record(name, started, tmp_path):
    start(tmp_path, name)
    record = json.loads((tmp_path / "trackers.json").read_text())
    start(tmp_path, name, resumed=True)  # and says nothing, for the tests take a warning as an error
    assert json.loads((tmp_path / "trackers.json").read_text()) == record
    first, second = started
    assert {
        "wandb": lambda: second.arguments["id"] == first.arguments["id"] == record[name],
        "trackio": lambda: (first.arguments["resume"], second.arguments["resume"]) == ("never", "allow"),
        "mlflow": lambda: (first.arguments["run_id"], second.arguments["run_id"]) == (None, record[name]),
        "comet_ml": lambda: second.arguments["experiment_key"] == first.arguments["experiment_key"] == record[name],
    }[name]()
    assert (second.config is None) == (name == "mlflow")  # whose parameters may not change


def test_two_runs_have_two_records(started, tmp_path):
    for folder in ("a", "b"):
        start(tmp_path / folder, "wandb,comet")
    assert len({tracker.arguments.get("id", tracker.arguments.get("experiment_key")) for tracker in started}) == 4


def test_a_new_record_of_a_resumed_run_is_said(started, tmp_path):
    for track in ("aim", "wandb"):
        with pytest.warns(DataWarning, match=f"--track {track}: {track} has no record of this run"):
            start(tmp_path, track, resumed=True)


def test_a_run_within_a_run_is_called_by_both(started, tmp_path):
    for name, called in {
        "run": "run",
        "run/refit": "run/refit",
        "run/teachers/single": "run/teachers/single",
        "run/controls/shuffled": "run/controls/shuffled",
    }.items():
        start(tmp_path / name, "wandb")
        assert started[-1].arguments["name"] == called


def test_what_a_tracker_refuses_is_one_line(started, tmp_path, monkeypatch):
    def refuse(self):
        raise RuntimeError("api_key not configured\nrun `wandb login`")

    monkeypatch.setattr(LOGGER_TYPE_TO_CLASS["wandb"], "start", refuse)
    with pytest.raises(InputError) as error:
        start(tmp_path, "wandb")
    reason = "RuntimeError: api_key not configured run `wandb login`"
    assert str(error.value) == f"--track wandb: wandb does not start ({reason})"


def test_the_first_process_alone_has_trackers(started, tmp_path):
    other = SimpleNamespace(is_main_process=False, trackers=[])
    start_trackers(other, TrainingOptions(track="wandb"), tmp_path, resumed=False)
    assert other.trackers == started == []


def test_trackers_are_finished_once_also_where_a_training_fails(started, tmp_path):
    accelerator = start(tmp_path, "wandb,mlflow")
    with pytest.raises(InterruptedError), trackers_finished(accelerator):
        raise InterruptedError
    assert [tracker.finished for tracker in started] == [True, True]
    for tracker in started:
        tracker.finished = "once"
    finish_trackers(accelerator)
    assert [tracker.finished for tracker in started] == ["once", "once"]


def test_every_evaluation_reaches_every_tracker(started, tmp_path):
    accelerator = start(tmp_path, "tensorboard,wandb,aim")
    accelerator.log({"lr": 0.5}, step=3)
    assert [tracker.logged for tracker in started] == [[(3, {"lr": 0.5})]] * 3


def test_damaged_records_are_named(started, tmp_path):
    (tmp_path / "trackers.json").write_text('{"wandb": []}')
    with pytest.raises(InputError, match=r"trackers\.json: not what graphmtl writes there \(wandb: found \[\]"):
        start(tmp_path, "wandb")
    assert started == []
