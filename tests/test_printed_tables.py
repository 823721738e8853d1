import io
from dataclasses import fields

import pytest
from rich.console import Console

from graphmtl.data.overlap import Overlap
from graphmtl.printed_tables import (
    classes_table,
    confusion_tables,
    forgetting_table,
    incoming_table,
    other_test_splits,
    overlap_table,
    print_table,
    same_as_test,
    score_text,
    scores_table,
    seeds_table,
    types_table,
)
from graphmtl.verbosity import QUIET, VERBOSE, verbosity

NONE = dict.fromkeys((field.name for field in fields(Overlap)), 0)
ODD = "[red]ner[/]"  # a name is no markup
TASKS = {
    "mood": {"n_train": 40, "n_test": 9, "metric": "f1", "test": {"f1": 0.0, "accuracy": 1 / 3}},
    ODD: {"n_train": 7, "metric": "accuracy", "test": {"accuracy": None}, "test_odd": {"accuracy": 0.5}},
}


def lines_of(table, width: int = 200) -> list[list[str]]:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_scores_are_percent_with_a_row_for_each_metric_and_a_dash_where_there_is_none():
    splits = {"test": "test", "test_odd": "another"}
    assert lines_of(scores_table("a [run]", TASKS, splits, {"test": 0.5})) == [
        ["a", "[run]:", "%"],
        ["task", "metric", "test", "another"],
        ["mood", "f1", "0.0", "-"],
        ["accuracy", "33.3", "-"],
        [ODD, "accuracy", "-", "50.0"],
        ["mean", "of", "first", "metrics", "50.0", "-"],
    ]


def test_sizes_are_there_where_all_is_asked_for():
    with verbosity(VERBOSE):
        table = lines_of(scores_table("run", TASKS, {"test": "test"}, {}))
    assert table[1] == ["task", "metric", "n_train", "n_test", "test"]
    assert table[2:5] == [["mood", "f1", "40", "9", "0.0"], ["accuracy", "33.3"], [ODD, "accuracy", "7", "-"]]


@pytest.mark.parametrize("metric", ["f1:good", "precision:B-A", "recall:two words"])
def test_scores_of_one_label_are_percent(metric):
    assert score_text(0.5714, metric) == "57.1"


def test_the_row_of_means_names_the_tasks_that_are_not_in_it():
    tasks = {name: {"metric": "f1", "test": {"f1": 0.5}, "in_mean": name == "rte"} for name in ("rte", "wnli")}
    assert lines_of(scores_table("run", tasks, {"test": "test"}, {"test": 0.5}))[-1] == [
        "mean",
        "without",
        "wnli",
        "50.0",
    ]
    seeds = [{"mean": {"test": 0.5}, "tasks": tasks}]
    assert lines_of(seeds_table("run", seeds, {"test": "test"}))[-1] == ["mean", "without", "wnli", "50.0"]
    alone = {"wnli": tasks["wnli"]}
    assert lines_of(scores_table("run", alone, {"test": "test"}, {"test": 0.5}))[-1] == ["mean", "50.0"]


def test_one_metric_for_all_tasks_stands_in_the_title():
    tasks = {name: {"metric": "f1", "test": {"f1": score}} for name, score in {"mood": 0.5, "pos": 0.7}.items()}
    assert lines_of(scores_table("run", tasks, {"test": "test"}, {"test": 0.6})) == [
        ["run:", "f1,", "%"],
        ["task", "test"],
        ["mood", "50.0"],
        ["pos", "70.0"],
        ["mean", "60.0"],
    ]


@pytest.mark.parametrize("metric", ["rmse", "mae", "my_metrics:error"])
def test_scores_that_are_no_shares_stay_as_they_are(metric):
    tasks = {"price": {"metric": metric, "test": {metric: 12.3456}}, "mood": {"metric": "f1", "test": {"f1": 0.5}}}
    rows = lines_of(scores_table("run", tasks, {"test": "test"}, {"test": 6.4228}))
    assert ["price", metric, "12.35"] in rows
    assert ["mood", "f1", "50.0"] in rows
    assert rows[-1][-1] == "6.423"


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"test_dedup": {"f1": 0.4}}, False), ({"n_test_dedup": 8}, False)],
)
def test_unseen_texts_say_nothing_of_their_own_where_all_are_unseen(change, same):
    task = {"test": {"f1": 0.5}, "n_test": 9, "test_dedup": {"f1": 0.5}, "n_test_dedup": 9}
    assert same_as_test({"a": task, "b": task | change}) == same


def test_seeds_have_a_mean_and_a_standard_deviation_and_one_has_no_deviation():
    runs = [
        {"mean": {"test": mean}, "tasks": {"mood": {"test": {"f1": f1, "accuracy": 0.5}}, ODD: {"test": {"f1": odd}}}}
        for mean, f1, odd in ((0.5, 0.4, None), (0.7, 0.6, 0.1))
    ]
    assert lines_of(seeds_table("a [run]", runs, {"test": "test"})) == [
        ["a", "[run]:", "%"],
        ["task", "metric", "test"],
        ["mood", "f1", "50.0", "±", "14.1"],
        ["accuracy", "50.0", "±", "0.0"],
        [ODD, "f1", "-"],
        ["mean", "of", "first", "metrics", "60.0", "±", "14.1"],
    ]
    assert lines_of(seeds_table("", runs[:1], {"test": "test"}))[-1][-1] == "50.0"


def test_further_test_splits_are_those_of_any_task_once():
    tasks = {"a": {"test": {}, "test_dedup": {}, "test_x": {}}, "b": {"test_y": {}, "test_x": {}}}
    assert other_test_splits(tasks) == ["test_x", "test_y"]


def test_types_of_spans_have_scores_and_whole_numbers():
    own = {"PER": {"precision": 0.5, "recall": None, "support": 7}}
    assert lines_of(types_table({"pos": {}, ODD: {"types": own}})) == [
        ["Types", "of", "spans,", "%"],
        ["task", "type", "precision", "recall", "support"],
        [ODD, "PER", "50.0", "-", "7"],
    ]
    assert types_table({"pos": {}}) is None


def test_classes_have_a_row_each():
    own = {"joy": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 7}}
    assert lines_of(classes_table({"mood": {"classes": own}, "price": {"classes": {}}, "pos": {}})) == [
        ["Classes,", "%"],
        ["task", "label", "precision", "recall", "f1", "support"],
        ["mood", "joy", "50.0", "25.0", "33.3", "7"],
    ]
    assert classes_table({"pos": {"types": own}}) is None


def test_confusion_has_right_labels_down_and_answers_across():
    matrix = {"labels": ["joy", ODD], "counts": [[5, 1], [0, 2]]}
    (table,) = confusion_tables({"price": {"confusion": None}, ODD: {"confusion": matrix}, "pos": {}})
    assert lines_of(table) == [
        ["Answers", "of", ODD],
        ["right", "label", "joy", ODD, "all"],
        ["joy", "5", "1", "6"],
        [ODD, "0", "2", "2"],
    ]


@pytest.mark.parametrize(("count", "shown"), [(4, 4), (10, 10), (11, 10), (30, 10)])
def test_of_many_labels_the_most_confused_are_shown_and_it_is_said(count, shown):
    confused = {2, 3, count - 1}
    counts = [[100 if i == j else int({i, j} <= confused) + (j == 0) for j in range(count)] for i in range(count)]
    labels = [f"a-long-label-{i}" for i in range(count)]
    (table,) = confusion_tables({"intent": {"confusion": {"labels": labels, "counts": counts}}})
    title, heading, *rows = lines_of(table, width=80)
    places = sorted(confused | {*range(shown - 1)})
    assert heading == ["right", "label", *(str(i + 1) for i in range(shown)), "all"]
    for number, (row, place) in enumerate(zip(rows, places, strict=True), start=1):
        own = counts[place]
        assert row == [str(number), labels[place], *(str(own[other]) for other in places), str(sum(own))]
    said = f"; the {shown} of {count} labels with the most errors"
    assert " ".join(title) == f"Answers of intent{said if shown < count else ''}"


def test_texts_that_occur_more_than_once_are_counted_and_summed():
    overlap = {"mood": Overlap(**NONE | {"dropped": 1}), ODD: Overlap(**NONE | {"test_in_own": 2, "dropped": 3})}
    heading, *_, mood, odd, total = lines_of(overlap_table(overlap))
    assert heading[0] == "Texts"
    assert (mood, odd, total) == (["mood", *"00010"], [ODD, *"20030"], ["sum", *"20040"])
    assert overlap_table({"mood": Overlap(**NONE)}) is None


@pytest.mark.parametrize(("identical", "word"), [(True, "yes"), (False, "no")])
def test_what_old_tasks_have_lost_stands_side_by_side(identical, word):
    own = {"metric": "f1", "before": {"test": {"f1": 0.75}}, "after": {"test": {"f1": 0.5}}, "identical": identical}
    assert lines_of(forgetting_table({ODD: own}))[-1] == [ODD, "f1", "75.0", "50.0", word]


def test_what_a_new_task_reads_has_a_row_for_each_edge():
    edges = [{"source": source, "weight": 0.5, "std": 0.125, "count": 9} for source in ("mood", ODD)]
    found = lines_of(incoming_table({"new": edges, "other": []}))
    assert found[2:] == [["new", source, "0.500", "0.125", "9"] for source in ("mood", ODD)]
    assert incoming_table({"new": [], "other": []}) is None


def names_and_scores(columns: int, name: str = "mood"):
    scores = {f"a_test_split_{i}": f"a_test_split_{i}" for i in range(columns)}
    tasks = {f"{name}{i}": {split: {"f1": i / 10} for split in scores} for i in range(2)}
    return tasks, scores_table("all", tasks, scores, {})


@pytest.mark.parametrize("name", ["mood", "a-task-with-a-long-name", "no_end_" * 20])
def test_in_a_file_no_line_is_wider_than_80_columns_and_nothing_is_left_out(name, capfd):
    tasks, table = names_and_scores(12, name)
    print_table(table)
    title, *lines = capfd.readouterr().out.splitlines()
    assert title == "all: f1, %"
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("a_test_split_") == 12
    assert "".join(lines).replace(" ", "").count("10.0") == 12
    whole = "".join(line.split()[0] for line in lines if line)  # what is beyond a line goes on in the next one
    assert all(task in whole for task in tasks)
    with verbosity(QUIET):
        print_table(table)
    assert capfd.readouterr().out == ""


def test_a_table_that_fits_is_in_one_piece(capfd):
    print_table(names_and_scores(3)[1])
    assert len(capfd.readouterr().out.splitlines()) == 5
