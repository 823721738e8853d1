"""The data is part of a run: every verb that reads it again says in one line that it is other data."""

import json
import shutil

import pytest

from graphmtl.cli import main
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import load_tasks
from graphmtl.evaluate import evaluate
from graphmtl.training.run import Run
from tests import tiny

TASKS = """
tasks:
  a: {train: a.csv, test: 0.2, valid: 0.2}
  b: {train: b.csv, test: b_test.csv, valid: 0.2}
"""
NEW = "tasks: {new: {train: b_test.csv, test: a.csv, valid: 0.2}}\n"
SIZES = {name: tiny.OPTIONS[name] for name in ("hidden", "attention", "embedding_size", "device", "progress")}
FLAGS = tiny.flags(**SIZES, arch="complete", epochs=1, tasks="t.yaml")


def write(path, word, size):
    lines = [f"{word}{i % 7} film {i * 37 % 97} {('awful', 'great')[i % 2]},{i % 2}" for i in range(size)]
    path.write_text("\n".join(["text,label", *lines, ""]))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A finished run beside its data, with relative paths."""
    folder = tmp_path_factory.mktemp("template")
    for name, size in {"a": 60, "b": 40, "b_test": 20}.items():
        write(folder / f"{name}.csv", name, size)
    (folder / "t.yaml").write_text(TASKS)
    (folder / "new.yaml").write_text(NEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["run", *FLAGS, "--output", "run"])
    return folder


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    """A copy of the run and its data, which is the working directory."""
    folder = shutil.copytree(template, tmp_path / "place")
    monkeypatch.chdir(folder)
    return folder


def rearrange(path, how):
    """Other lines under the same line of names."""
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *how(lines), ""]))


def unfinished(folder):
    (folder / "run" / "metrics.json").unlink()


OTHER_SIDES = "task 'a' has the same 60 texts in all, but others of them in"
VERBS = {
    "evaluate": ["evaluate", "run"],
    "explain": ["explain", "run", "--no-controls"],
    "transfer": ["transfer", "run", "--task", "new.yaml", "--steps", "0"],
    "prune": ["run", "--prune", "run"],
    "topology": ["run", *FLAGS, "--topology", "run", "--output", "other"],
    "teachers": ["run", *FLAGS, "--arch", "cmtr", "--teachers", "run", "--output", "other"],
    "adapters": ["run", *FLAGS, "--arch", "adapter-fusion", "--adapters", "run", "--output", "other"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_rows_that_change_sides_are_found(verb, place, error_of):
    """The cut goes by places in the file: with its lines sorted, training examples would be scored as test examples."""
    rearrange(place / "a.csv", sorted)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    error = error_of(*VERBS[verb])
    assert error.startswith(
        f"graphmtl: error: run/data.json: the data of --tasks t.yaml has changed since: {OTHER_SIDES}"
    )
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_the_report_says_why_it_has_no_texts(place):
    rearrange(place / "a.csv", sorted)
    main(["report", "run", "--output", "page.html"])
    page = (place / "page.html").read_text()
    assert "the data of --tasks t.yaml has changed since" in page


def test_a_control_of_other_data_is_not_taken(place, error_of):
    """It is there already, in a folder of its own, and was trained before the run."""
    main(["explain", "run", "--output", "explained", "--examples", "5"])
    path = place / "explained" / "controls" / "shuffled" / "data.json"
    content = json.loads(path.read_text())
    for splits in content["tasks"].values():
        for split in splits.values():
            split["text_sum"] = "0" * 64
    path.write_text(json.dumps(content))
    error = error_of("explain", "run", "--output", "explained", "--examples", "5", "--overwrite")
    assert "explained/controls/shuffled/data.json" in error
    assert "remove the folder, and the control is trained again" in error


@pytest.mark.parametrize(
    ("file", "how", "message"),
    [
        (
            "b_test.csv",
            lambda rows: [row.replace("great", "grand") for row in rows],
            "task 'b' has other texts in test",
        ),
        ("b_test.csv", lambda rows: rows[:-1], "task 'b' has other texts in test (20 then, 19 now)"),
        ("a.csv", lambda rows: [*rows, "a new one,1"], "task 'a' has other texts in"),
        ("b_test.csv", lambda rows: [rows[0][:-1] + "1", *rows[1:]], "the same texts, but other labels in test"),
    ],
)
def test_what_changed_is_said(file, how, message, place, error_of):
    rearrange(place / file, how)
    assert message in error_of("evaluate", "run")
    unfinished(place)
    assert message in error_of("run", *FLAGS, "--output", "run", "--resume")


def test_a_test_file_in_another_order_is_scored_but_no_run_goes_on_with_it(place, error_of):
    before = evaluate(Run.open("run"), "test")
    rearrange(place / "b_test.csv", reversed)
    after = evaluate(Run.open("run"), "test")
    assert {name: own["test"] for name, own in after.items()} == {
        name: pytest.approx(own["test"]) for name, own in before.items()
    }
    unfinished(place)
    message = error_of("run", *FLAGS, "--output", "run", "--resume")
    assert "task 'b' has the same examples, but in another order in test; a run goes on with the data" in message


def test_names_of_files_count_for_nothing(place):
    (place / "t.yaml").write_text(TASKS.replace("b_test.csv", "again.csv"))
    (place / "b_test.csv").rename(place / "again.csv")
    main(["evaluate", "run"])


def test_a_run_that_goes_on_or_is_pruned_or_joined_on_its_own_data(place):
    unfinished(place)
    main(["run", *FLAGS, "--output", "run", "--resume"])
    main(["run", "--prune", "run", "--keep-top", "1"])
    main(["transfer", "run", "--task", "new.yaml", "--steps", "0", "--output", "joined"])
    main(["evaluate", "joined"])
    assert set(Run.open("joined").model.tasks) == {"a", "b", "new"}


def test_edges_may_come_from_a_run_on_other_data(place):
    """Its data was loaded otherwise, with another seed, so that nothing has changed."""
    rearrange(place / "a.csv", sorted)
    main(["run", *FLAGS, "--topology", "run", "--seed", "1", "--output", "other"])


def test_what_a_transfer_began_with_is_compared_too(place, error_of):
    command = ["transfer", "run", "--task", "new.yaml", "--steps", "0", "--output", "joined"]
    main(command)
    (place / "joined" / "metrics.json").unlink()
    (place / "new.yaml").write_text(NEW.replace("test: a.csv", "test: b.csv"))
    assert "joined/data.json: the data of --tasks t.yaml+new.yaml has changed since: task 'new'" in error_of(
        *command, "--resume"
    )


def test_the_folder_says_what_the_run_began_with(place):
    assert json.loads((place / "run" / "data.json").read_text()) == fingerprint(load_tasks("t.yaml"))


def test_what_is_written_down_is_the_data_before_examples_move(place):
    """With ``--refit-on-valid`` the training split grows; read again, it is what it was."""
    main(["run", *FLAGS, "--refit-on-valid", "--output", "refitted"])
    assert json.loads((place / "refitted" / "data.json").read_text()) == fingerprint(load_tasks("t.yaml"))
    main(["evaluate", "refitted"])
    rearrange(place / "a.csv", sorted)
    main(["run", *FLAGS, "--refit-on-valid", "--output", "refitted", "--overwrite"])
    assert json.loads((place / "refitted" / "data.json").read_text()) == fingerprint(load_tasks("t.yaml"))


def test_runs_of_earlier_versions_go_on(place):
    """They have no ``data.json``."""
    (place / "run" / "data.json").unlink()
    rearrange(place / "a.csv", sorted)
    main(["evaluate", "run"])
    assert not (place / "run" / "data.json").exists()
