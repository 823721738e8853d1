import json

import pytest
from accelerate import Accelerator

from graphmtl.config import TrainingOptions
from graphmtl.errors import InputError
from graphmtl.graph.edge import Edge
from graphmtl.training import log as log_module
from graphmtl.training.log import GraphLog, TrainingLog


def line(epoch: int) -> dict:
    metrics = {"a": {"accuracy": 0.5, "loss": 0.7}}
    record = {"step": 10 * epoch, "epoch": epoch, "losses": {"a": 0.25}, "metrics": metrics, "seconds": 1.0}
    return record | {"tokens_per_second": 100.0, "lr": 0.001}


def read(folder) -> list[dict]:
    return [json.loads(text) for text in (folder / "history.jsonl").read_text().splitlines()]


def training_log(folder, history=(), **options) -> TrainingLog:
    return TrainingLog(
        folder=folder, accelerator=Accelerator(cpu=True), history=[*history], options=TrainingOptions(**options)
    )


def test_a_line_for_each_record_at_once(tmp_path):
    (tmp_path / "run").mkdir()
    log = training_log(tmp_path / "run")
    assert read(tmp_path / "run") == []
    for epoch in (1, 2):
        log.add(line(epoch))
        assert read(tmp_path / "run") == log.history == [line(e) for e in range(1, epoch + 1)]


def test_lines_that_are_not_in_the_history_go(tmp_path):
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line(epoch)) + "\n" for epoch in (1, 2, 3)))
    training_log(tmp_path, [line(1), line(2)]).add(line(4))
    assert [record["epoch"] for record in read(tmp_path)] == [1, 2, 4]


def test_no_folder_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = training_log(None, track="tensorboard")
    log.add(line(1))
    assert log.history == [line(1)]
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_every_number(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = training_log(tmp_path, track="tensorboard")
    log.add(line(1))
    log.add(line(2))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {
        "train/loss/a",
        "valid/accuracy/a",
        "valid/loss/a",
        "lr",
        "tokens_per_second",
    }
    assert [(event.step, event.value) for event in events.Scalars("train/loss/a")] == [(10, 0.25), (20, 0.25)]


@pytest.mark.parametrize("history", [[], [line(1)]])
def test_trackers_are_told_whether_a_log_goes_on(history, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(log_module, "start_trackers", lambda *_, resumed: told.append(resumed))
    training_log(tmp_path, history)
    assert told == [bool(history)]


def test_a_resumed_log_goes_on_in_tensorboards_folder(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for history, new in (([], 1), ([line(1)], 2)):
        log = training_log(tmp_path, history, track="tensorboard")
        log.add(line(new))
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("lr")] == [10, 20]


EDGES = [Edge(source="a", target="b", weight=0.5, std=0.25, count=3)]


def graph_log(folder, epochs=0):
    return GraphLog(folder=folder, accelerator=Accelerator(cpu=True), epochs=epochs)


def epochs_in(folder) -> list[int]:
    return [json.loads(text)["epoch"] for text in (folder / "graph_history.jsonl").read_text().splitlines()]


def test_a_line_for_each_graph_at_once(tmp_path):
    log = graph_log(tmp_path)
    for epoch in (1, 2):
        log.add(epoch=epoch, step=10 * epoch, edges=EDGES)
        assert epochs_in(tmp_path) == list(range(1, epoch + 1))
    first = json.loads((tmp_path / "graph_history.jsonl").read_text().splitlines()[0])
    edge = {"source": "a", "target": "b", "weight": 0.5, "std": 0.25, "count": 3}
    assert first == {"epoch": 1, "step": 10, "edges": [edge]}


def test_graphs_of_an_interrupted_epoch_go(tmp_path):
    for epoch in (1, 2, 3):
        graph_log(tmp_path, epoch - 1).add(epoch=epoch, step=epoch, edges=EDGES)
    with (tmp_path / "graph_history.jsonl").open("a") as file:
        file.write('{"epoch": 4, "st')
    graph_log(tmp_path, 2).add(epoch=3, step=9, edges=EDGES)
    assert epochs_in(tmp_path) == [1, 2, 3]
    graph_log(tmp_path)
    assert epochs_in(tmp_path) == []


def test_without_edges_or_folder_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph_log(tmp_path).add(epoch=1, step=1, edges=[])
    graph_log(None).add(epoch=1, step=1, edges=EDGES)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_graphs_that_is_no_text_is_named(tmp_path):
    (tmp_path / "graph_history.jsonl").write_bytes(b'{"epoch": \xff}\n')
    with pytest.raises(InputError, match=r"graph_history\.jsonl: byte 11 is not UTF-8"):
        graph_log(tmp_path, 1)
