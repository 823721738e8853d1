import pytest

from graphmtl.options import make_options
from graphmtl.training.run import Run


@pytest.fixture
def run(tmp_path):
    """The folder of a run of a star with an option that is not the default."""
    Run(tmp_path / "run").create(make_options(arch="star", lr=0.5, epochs=3, output="elsewhere"))
    return tmp_path / "run"
