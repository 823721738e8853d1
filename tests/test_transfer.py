"""The verb ``transfer``: what it takes and what it prints; what becomes of the model is tested with training."""

import pytest

from graphmtl.cli import main
from graphmtl.training.run import Run
from tests.tiny import OPTIONS, flags

QUICK = ["--steps", "0", "--epochs", "1", "--no-progress"]


def test_it_prints_new_scores_what_old_tasks_have_lost_and_what_the_new_one_reads(finished, tmp_path, capsys):
    source = finished("complete").run
    (tmp_path / "new.csv").write_text("text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(39)))
    with (tmp_path / "new.csv").open("a") as file:
        file.write(f"{'longer ' * 201},a\nno label,\n,b\n")
    (tmp_path / "new.yaml").write_text("tasks: {tone: {train: new.csv, test: 0.25, valid: 0.25}}")
    capsys.readouterr()
    main(["transfer", str(source.folder), "--task", str(tmp_path / "new.yaml"), *QUICK, "--output", f"{tmp_path}/new"])
    printed = capsys.readouterr().out
    assert "texts cut to the words that are read (--max-length): tone 1 of 41 (2.4%)\n" in printed
    assert "tone: 1 rows without a label are not learned" in printed
    assert "Texts that occur more than once" in printed
    assert ["tone", "0", "0", "0", "0", "1"] in [line.split() for line in printed.splitlines()]  # one has no text
    lines = [line.split() for line in printed[printed.index("new in the graph of") :].splitlines()]
    run = Run.open(tmp_path / "new")
    own = run.metrics["tasks"]["tone"]
    scores = [f"{100 * own[split]['accuracy']:.1f}" for split in ("test", "valid")]
    assert ["tone", *scores] in lines
    assert not any(line[:1] == ["parent1"] for line in lines[: lines.index(["tone", *scores])])
    for name, old in run.transfer["old"].items():
        before, after = (f"{100 * old[when]['test'][old['metric']]:.1f}" for when in ("before", "after"))
        assert [name, old["metric"], before, after, "yes" if old["identical"] else "no"] in lines
    for edge in run.transfer["incoming"]["tone"]:
        assert ["tone", edge["source"], f"{edge['weight']:.3f}"] in [line[:3] for line in lines]
    assert lines[-1][:2] == ["run:", str(run.folder)]


@pytest.mark.parametrize("examples", ["1.5", "-1", "many", ""])
def test_a_number_of_examples_that_is_none(examples, finished, tmp_path, error_of):
    source = finished("complete").run.folder
    arguments = ["--task", "new", f"--examples={examples}", "--output", tmp_path / "new"]
    error = error_of("transfer", source, *arguments)
    assert f"--examples: found {examples!r}, expected a whole number, or all" in error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draws", "0"], "--draws: found 0, expected 1 or more"),
        (["--target-lr", "-1"], "--target-lr: found -1.0, expected 0 or more"),
        (["--target-lr", "nan"], "--target-lr: found nan, expected 0 or more"),
        (["--target-batch-size", "-1"], "--batch-size: found -1, expected 0 or more"),
        (["--target-epochs", "-1"], "--epochs: found -1, expected 0 or more"),
        (["--epocs", "3"], "unknown option '--epocs'; did you mean '--epochs'?"),
    ],
)
def test_mistakes_in_an_experiment_are_told_before_it_begins(arguments, message, tmp_path, error_of):
    output = ["--output", tmp_path / "new"]
    assert message in error_of("transfer", "--leave-one-out", *flags(**OPTIONS), *arguments, *output)
    assert not (tmp_path / "new").exists()


def test_an_experiment_needs_a_folder(error_of):
    assert "--leave-one-out needs --output" in error_of("transfer", "--leave-one-out", *flags(**OPTIONS))
