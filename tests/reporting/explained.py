"""What ``graphmtl explain`` leaves in a run's folder."""

import contextlib
import io
import json

from graphmtl.cli import main
from graphmtl.training.run import Run


def explain(run: Run) -> dict:
    """Explains a run on a few texts, and reads ``explanation.json``."""
    with contextlib.redirect_stdout(io.StringIO()):
        main(["explain", str(run.folder), "--examples", "10"])
    return json.loads((run.folder / "explanation.json").read_text())
