import pytest

from graphmtl.layers.recurrence import loops_cpp


@pytest.fixture(params=["compiled", "plain"])
def loops(request, monkeypatch):
    """Both forms of the loops over tokens: recurrence.cpp, and PyTorch."""
    if request.param == "plain":
        monkeypatch.setattr(loops_cpp, "load", lambda: None)
    elif loops_cpp.load() is None:
        pytest.skip("no C++ compiler")
