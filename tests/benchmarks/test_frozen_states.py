import pytest

from benchmarks import frozen_states


@pytest.mark.parametrize(("texts", "layers"), [(0, "31"), (5, "1")])
def test_every_way_is_timed_and_the_losses_are_the_same(texts, layers, transformer, tiny_tasks, capsys):
    tasks = tiny_tasks.removesuffix("+planted")
    frozen_states.main(
        ["--encoder", transformer(), "--tasks", tasks, "--frozen", ",".join(layers), "--texts", str(texts)]
    )
    first, *lines = capsys.readouterr().out.splitlines()
    assert ("'train': 5, 'valid': 5, 'test': 5" in first) == (texts == 5)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    ways = ["computed", "written, float32", "found, float32", "written, float16", "found, float16"]
    assert [row[:2] for row in rows] == [[frozen, way] for frozen in layers for way in ways]
    for frozen in layers:
        losses = [float(row[-1]) for row in rows if row[0] == frozen]
        assert losses == pytest.approx([losses[0]] * 5, abs=0.01)
    assert all((float(row[5]) > 0) == row[1].startswith("written") for row in rows)
