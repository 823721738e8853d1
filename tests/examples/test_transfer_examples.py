"""The examples of transfer at the smallest size, on what they generate."""

import pytest

from examples import transfer_learning_curve, transfer_new_domain, transfer_pos_to_ner
from graphmtl.errors import InputError
from graphmtl.training.leave_one_out import read_cells
from graphmtl.training.run import Run

TINY = [
    "--hidden",
    "4",
    "--attention",
    "4",
    "--embedding-size",
    "6",
    "--epochs",
    "1",
    "--no-progress",
    "--device",
    "cpu",
]
PLANTED = ["--planted-rich", "20", "--planted-poor", "20", "--planted-test", "20"]


def test_new_domain(tmp_path, capsys):
    with pytest.raises(ValueError, match="100 examples asked for, expected 1 to"):
        transfer_new_domain.main([*TINY, *PLANTED, "--output", str(tmp_path / "graph")])
    enough = [*TINY, "--planted-rich", "20", "--planted-poor", "110", "--planted-test", "20"]
    transfer_new_domain.main([*enough, "--output", str(tmp_path / "second" / "graph")])
    run = Run.open(tmp_path / "second" / "joined")
    assert run.metrics["tasks"]["child1"]["n_train"] + run.metrics["tasks"]["child1"]["n_valid"] == 100
    assert all(own["identical"] for own in run.transfer["old"].values())
    assert len(run.transfer["incoming"]["child1"]) == 6
    assert (run.folder / "task_graph.png").is_file()


def test_learning_curve(tmp_path):
    small = ["--examples", "0,10", "--draws", "1", "--steps", "1", "--target-epochs", "1"]
    transfer_learning_curve.main([*TINY, *PLANTED, *small, "--output", str(tmp_path / "curve")])
    assert [cell.examples for cell in read_cells(tmp_path / "curve")] == [0, 10]


def test_pos_to_ner(tmp_path):
    small = ["--examples", "10", "--steps", "1", "--target-epochs", "1"]
    transfer_pos_to_ner.main([*TINY, *small, "--output", str(tmp_path / "ner")])
    (cell,) = read_cells(tmp_path / "ner")
    assert (cell.target, cell.metric, cell.n_train) == ("ner", "span_f1", 10)


@pytest.mark.parametrize("example", [transfer_learning_curve, transfer_new_domain, transfer_pos_to_ner])
@pytest.mark.parametrize("flags", [["--data-dir", "{}"], ["--data-dir={}"]])
def test_a_data_folder_is_taken_in_either_form(example, flags, tmp_path):
    flags = [each.format(tmp_path / "nowhere") for each in flags]
    with pytest.raises(InputError, match=r"data folder .*nowhere does not exist"):
        example.main([*TINY, *flags, "--output", str(tmp_path / "run")])
