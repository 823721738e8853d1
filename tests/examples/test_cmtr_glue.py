import os
import re
from pathlib import Path

import pytest

from examples import cmtr_glue
from graphmtl.training.run import Run
from tests.glue import write_glue
from tests.transformer_folders import LAYERS

DATA = os.environ.get("GRAPHMTL_DATA", "")


@pytest.mark.filterwarnings("ignore:--max-length:graphmtl.errors.DataWarning")
def test_scores_and_gates_are_printed_with_the_options_of_the_preset(transformer, tmp_path, capsys):
    folder = write_glue(tmp_path, "CoLA", "RTE", "WNLI", train=80)
    changes = [
        "--tasks",
        "glue:cola,rte,wnli",
        "--max-train",
        "40",
        "--freeze-layers",
        str(LAYERS - 1),
        "--epochs",
        "2",
    ]
    where = ["--data-dir", str(folder), "--encoder", transformer(), "--output", str(tmp_path / "run"), "--no-progress"]
    cmtr_glue.main([*where, *changes])
    printed = capsys.readouterr().out
    assert "mean of first metrics" in printed
    assert "cola: 40 of 72 training texts are taken (--max-train)" in printed
    rows = printed[printed.index("gates (%)") :].splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["cola", "rte", "wnli"]
    for row in rows:
        assert abs(sum(map(float, re.findall(r"\d+\.\d", row))) - 100) < 0.2
    options = Run.open(tmp_path / "run").options
    assert (options.arch, options.pooling, options.freeze_layers) == ("cmtr", "mean", LAYERS - 1)


@pytest.mark.skipif(not (Path(DATA) / "minilm").is_dir(), reason="GRAPHMTL_DATA has no minilm")
def test_over_a_published_encoder(tmp_path, capsys):
    """As published, dropout and all; what its frozen layers say is found by the next run."""
    changes = ["--tasks", "glue:wnli", "--max-train", "20", "--epochs", "1", "--no-progress", "--no-baselines"]
    where = ["--data-dir", DATA, "--encoder", f"{DATA}/minilm", "--frozen-states", str(tmp_path / "states")]
    for arch, told in (("cmtr", "computed in"), ("shared", "MB found in")):
        cmtr_glue.main([*where, *changes, "--arch", arch, "--output", str(tmp_path / arch)])
        assert told in capsys.readouterr().out
