import pytest

from graphmtl.analysis.faithfulness import explain_model
from tests.analysis.small import ABOUT, NAMES, TRUTH, build, task_data


@pytest.fixture(scope="session")
def data():
    return {name: task_data(name, 2 + i % 2, 9 + i) for i, name in enumerate(NAMES)}


@pytest.fixture(scope="session", params=["complete", "cmtr", "adapter-fusion"])
def explained(data, request):
    model = build(data, request.param)
    return model, explain_model(model, data, **ABOUT, truth=TRUTH)
