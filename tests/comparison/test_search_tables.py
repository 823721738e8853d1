from graphmtl.comparison.search import Searched, Trial
from graphmtl.comparison.search_tables import search_markdown, search_table, trials_table
from graphmtl.comparison.space import Range
from graphmtl.comparison.variants import Variant


def searched(name, options, scores):
    trials = [
        Trial(
            number=number,
            options=own,
            score=score,
            tasks={} if score is None else {"a": score + 0.1, "b": None},
            seconds=12.4,
            why="the loss is nan" if score is None else None,
        )
        for number, (own, score) in enumerate(zip(options, scores, strict=True))
    ]
    space = {option: Range(0.1, 0.2) for option in options[0]}
    return Searched(variant=Variant(name=name, arch=name), space=space, trials=trials, folder=None)


STAR = searched("star", [{"lr": 0.1, "score": "dot"}, {"lr": 0.2, "score": "a|b"}], [0.5, 0.625])
SHARED = searched("shared", [{"lr": 0.1}, {"lr": 0.15}], [0.5, None])


def test_what_was_chosen_and_what_it_is_worth():
    heading, rows = search_table([STAR, SHARED])
    assert heading == ["", "trials", "failed", "chosen", "validation as given", "validation", "lr", "score"]
    assert rows == [
        ["star", "2", "0", "1", "50.00", "62.50", "0.2", "a|b"],
        ["shared", "2", "1", "0", "50.00", "50.00", "0.1", ""],
    ]


def test_every_trial_has_a_line_and_a_failed_one_its_reason():
    assert trials_table(SHARED) == (
        ["trial", "lr", "validation", "a", "b", "seconds", "state"],
        [
            ["0", "0.1", "50.00", "60.00", "", "12", "finished"],
            ["1", "0.15", "", "", "", "12", "failed: the loss is nan"],
        ],
    )


def test_lines_of_markdown_and_none_without_a_search():
    lines = search_markdown([STAR])
    assert "| star | 2 | 0 | 1 | 50.00 | 62.50 | 0.2 | a\\|b |" in lines
    assert search_markdown([]) == []
