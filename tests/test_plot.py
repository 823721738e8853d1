import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from graphmtl.cli import run_verb
from graphmtl.errors import InputError
from graphmtl.graph.pictures.figure import draw_task_graph, save_figure
from graphmtl.graph.pictures.history import draw_history
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.options import make_options
from graphmtl.plot import main
from graphmtl.training.run import Run
from tests.graph.examples import affinity, complete, edge, growing, star, write_control, write_history


@pytest.fixture
def run(tmp_path) -> Path:
    """What plot needs of a finished run of star."""
    run = Run(tmp_path / "run")
    run.create(make_options(arch="star"))
    run.write_json("metrics.json", {"arch": "star", "tasks": {}, "mean": {}, "best_epoch": 3})
    star(3).save(run.folder / "task_graph.json")
    affinity(3).save(run.folder / "task_affinity.json")
    return run.folder


def picture(path: Path, *graphs) -> bytes:
    save_figure(draw_task_graph(graphs[0], beside={"affinity": graphs[1]} if len(graphs) > 1 else None), path)
    return path.read_bytes()


def test_draws_graph_and_affinity_into_the_run(run, tmp_path, capsys):
    main([str(run)])
    assert (run / "task_graph.png").read_bytes() == picture(tmp_path / "expected.png", star(3), affinity(3))
    assert capsys.readouterr().out == f"wrote {run / 'task_graph.png'}\n"


def test_draws_a_graph_without_affinity(run, tmp_path):
    complete(4).save(run / "task_graph.json")
    (run / "task_affinity.json").unlink()
    main([str(run)])
    assert (run / "task_graph.png").read_bytes() == picture(tmp_path / "expected.png", complete(4))


def test_draws_svg_elsewhere(run, tmp_path, capsys):
    before = sorted(run.iterdir())
    main([str(run), "--output", str(tmp_path / "elsewhere.svg")])
    assert (tmp_path / "elsewhere.svg").read_bytes() == picture(tmp_path / "expected.svg", star(3), affinity(3))
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("options", [[], ["--output", "{}/task_graph.png"]])
def test_nothing_is_overwritten_unless_asked(run, options):
    arguments = [str(run), *(option.format(run) for option in options)]
    picture = run / "task_graph.png"
    picture.write_text("precious")
    with pytest.raises(InputError, match=r"task_graph\.png exists; give --overwrite"):
        main(arguments)
    assert picture.read_text() == "precious"
    main([*arguments, "--overwrite"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_missing_run(tmp_path):
    with pytest.raises(InputError, match="nothing: no such run folder"):
        main([str(tmp_path / "nothing")])


def test_unfinished_run(run):
    (run / "metrics.json").unlink()
    with pytest.raises(InputError, match="has not finished"):
        main([str(run)])


def test_run_of_another_format(run):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("format: 2", "format: 99"))
    with pytest.raises(InputError, match=r"config\.yaml: format 99"):
        main([str(run)])


@pytest.mark.parametrize("name", ["task_graph.json", "task_affinity.json"])
def test_malformed_graph(run, name):
    (run / name).write_text('{"nodes": 3}')
    with pytest.raises(InputError, match=f"{name}: not a task graph"):
        main([str(run)])


def test_a_picture_and_its_history_are_held_against_the_control(run, tmp_path):
    write_history(run, growing(star(3), 4))
    for flags in ([], ["--history"]):
        main([str(run), *flags, "--output", str(tmp_path / "before.png"), "--overwrite"])
        write_control(run)
        main([str(run), *flags, "--output", str(tmp_path / "after.png"), "--overwrite"])
        assert (tmp_path / "before.png").read_bytes() != (tmp_path / "after.png").read_bytes()
        shutil.rmtree(run / "controls")


def test_a_run_without_edges_has_nothing_to_draw(finished):
    with pytest.raises(InputError, match="--arch single learned no edges, so there is nothing to draw"):
        main([str(finished("single").run.folder)])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_history_is_drawn(run, ending, tmp_path):
    history = [(epoch, replace(graph, split="valid")) for epoch, graph in growing(star(3), 4)]
    write_history(run, history)
    main([str(run), "--history", "--output", str(tmp_path / f"strip.{ending}")])
    save_figure(draw_history(history, kept=3), tmp_path / f"expected.{ending}")
    assert (tmp_path / f"strip.{ending}").read_bytes() == (tmp_path / f"expected.{ending}").read_bytes()


def test_history_is_an_animation(run, tmp_path, capsys):
    write_history(run, growing(star(3), 4))
    main([str(run), "--history", "--output", str(tmp_path / "grows.gif")])
    assert (tmp_path / "grows.gif").read_bytes().startswith(b"GIF89a")
    assert capsys.readouterr().out == f"wrote {tmp_path / 'grows.gif'}\n"


@pytest.mark.parametrize("output", ["strip.png", "grows.gif"])
def test_a_task_that_reads_itself_alone_has_no_history(run, output, tmp_path):
    """As that of a run of cmtr with one task."""
    graph = TaskGraph(arch="cmtr", tasks=("a",), split="test", seed=0, edges=(edge("a", "a", 1.0),))
    graph.save(run / "task_graph.json")
    write_history(run, [(1, graph), (2, graph)])
    with pytest.raises(InputError, match="learned no edges, so there is nothing to draw"):
        main([str(run), "--history", "--output", str(tmp_path / output)])


def test_history_needs_its_file(run):
    with pytest.raises(InputError, match=r"graph_history\.jsonl: no such file; `graphmtl run` writes it"):
        main([str(run), "--history"])


def test_one_picture_at_a_time(run):
    with pytest.raises(InputError, match="not allowed with"):
        main([str(run), "--history", "--text", "a text"])


@pytest.mark.parametrize("flags", [["--task", "a"], ["--pretokenized"], ["--pretokenized", "--history"]])
def test_what_is_said_of_a_text_needs_one(run, flags):
    with pytest.raises(InputError, match=rf"^{flags[0]}: .* found no --text$"):
        main([str(run), *flags])


@pytest.mark.parametrize(("text", "tasks"), [("good film", []), ("good film\tit is bad", ["--task", "pairs"])])
def test_a_pair_is_two_texts_with_a_tab_between(finished, text, tasks, tmp_path):
    main([str(finished("star").run.folder), "--text", text, *tasks, "--output", str(tmp_path / "text.png")])
    assert (tmp_path / "text.png").is_file()


def test_a_text_that_the_task_does_not_read(finished, tmp_path):
    flags = ["--text", "good film", "--task", "pairs", "--output", str(tmp_path / "x.png")]
    with pytest.raises(InputError, match="task 'pairs' reads a pair"):
        main([str(finished("star").run.folder), *flags])


def test_a_tab_in_one_text_is_a_space_and_a_task_is_drawn_once(finished, tmp_path):
    for name, text, task in (("a", "good film\tit is bad", "child1"), ("b", "good film it is bad", "child1, child1")):
        flags = ["--text", text, "--task", task, "--output", str(tmp_path / f"{name}.png")]
        main([str(finished("star").run.folder), *flags])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("output", ["graph.gif", "nowhere/graph.png"])
def test_impossible_output(run, output, tmp_path):
    with pytest.raises(InputError, match=output):
        main([str(run), "--output", str(tmp_path / output)])


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--colour", "red"], ["nothing"]])
def test_mistake_is_one_line_and_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run_verb(main, arguments)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
