from graphmtl.training.progress import Progress


def test_a_line_of_history():
    progress = Progress(epoch=2, step=9, tokens=600, seconds=5.0, train_seconds=4.0)
    assert progress.record(losses={"a": 0.5}, metrics={"a": {"accuracy": 1.0}}, lr=0.25) == {
        "step": 9,
        "epoch": 2,
        "losses": {"a": 0.5},
        "metrics": {"a": {"accuracy": 1.0}},
        "seconds": 5.0,
        "tokens_per_second": 150.0,
        "lr": 0.25,
    }


def test_a_state_goes_on_where_it_was():
    first, second = Progress(epoch=2, step=9, tokens=600, history=[{"epoch": 1}]), Progress()
    assert "history" not in first.state_dict()
    second.load_state_dict(first.state_dict() | {"selection": "what others have kept"}, history=[{"epoch": 1}])
    assert second == first
    assert Progress().history is not Progress().history
