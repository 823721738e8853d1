import pytest

from graphmtl.arguments import ARGUMENTS
from graphmtl.errors import InputError


def test_what_a_task_joins_with_is_told_from_options_of_training():
    arguments = ARGUMENTS["transfer"](["RUN", "--lr", "0.1", "--task", "tone", "--no-progress", "--steps", "7"])
    assert (arguments.run, arguments.task, arguments.steps) == ("RUN", "tone", 7)
    assert arguments.rest == ["--lr", "0.1", "--no-progress"]
    assert (arguments.freeze, arguments.start, arguments.examples, arguments.draw) == ("none", "mean", "all", 0)


@pytest.mark.parametrize("argv", [["--leave-one-out", "--arch", "star"], ["--arch", "star", "--leave-one-out"]])
def test_the_other_form_of_transfer_needs_neither_run_nor_task(argv):
    arguments = ARGUMENTS["transfer"](argv)
    assert arguments.rest == ["--arch", "star"]
    assert (arguments.targets, arguments.draws, arguments.target_lr) == (None, 5, None)


def test_nothing_is_abbreviated_where_options_may_follow():
    """Else an option of training would be taken for a flag of the verb that begins like it."""
    assert ARGUMENTS["transfer"](["RUN", "--task", "a", "--ex", "3"]).rest == ["--ex", "3"]


@pytest.mark.parametrize(
    "argv",
    [["RUN", "texts.txt", "--task", "a"], ["RUN", "--task", "a", "texts.txt"], ["--task", "a", "RUN", "texts.txt"]],
)
def test_a_file_to_predict_may_stand_anywhere(argv):
    arguments = ARGUMENTS["predict"](argv)
    assert (arguments.run, arguments.file, arguments.task) == ("RUN", "texts.txt", "a")


@pytest.mark.parametrize(
    ("verb", "argv", "message"),
    [
        ("evaluate", ["RUN", "--split", "tset"], "argument --split: invalid choice: 'tset'"),
        ("predict", ["RUN"], "the following arguments are required: --task"),
        ("predict", ["RUN", "--task", "a", "--batch-size", "many"], "argument --batch-size: invalid int value: 'many'"),
        ("plot", ["RUN", "--history", "--text", "a"], "argument --text: not allowed with argument --history"),
        ("export", ["RUN", "--int9"], "unrecognized arguments: --int9"),
        ("report", [], "the following arguments are required: RUN"),
        ("transfer", ["RUN"], "the following arguments are required: --task"),
    ],
)
def test_a_mistake_is_the_users(verb, argv, message):
    with pytest.raises(InputError) as error:
        ARGUMENTS[verb](argv)
    assert message in str(error.value)
