import re

from examples import cmtr_glue
from tests.tiny import OPTIONS, TASKS, flags


def test_scores_and_gates_are_printed(tiny_tasks, tmp_path, capsys):
    cmtr_glue.main(flags(**OPTIONS, tasks=tiny_tasks, output=tmp_path / "run"))
    printed = capsys.readouterr().out
    assert "mean of first metrics" in printed
    rows = printed[printed.index("gates (%)") :].splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(TASKS)
    for row in rows:
        assert abs(sum(map(float, re.findall(r"\d+\.\d", row))) - 100) < 0.2
