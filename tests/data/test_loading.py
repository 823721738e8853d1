"""What ``--tasks`` means."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from graphmtl.data.few_examples import draw_examples
from graphmtl.data.fingerprint import fingerprint
from graphmtl.data.loading import join_tasks, load_tasks
from graphmtl.data.planted import PlantedOptions, generate
from graphmtl.data.planted_truth import DECIDED_BY, PlantedTruth
from graphmtl.data.refit import train_with_valid
from graphmtl.errors import DataWarning, InputError

SMALL = PlantedOptions(planted_rich=60, planted_poor=30, planted_test=20)


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)


@pytest.fixture
def task_file(tmp_path):
    (tmp_path / "books.tsv").write_text("text\tlabel\n" + "".join(f"review {i}\t{i % 3}\n" for i in range(30)))
    (tmp_path / "my tasks.yaml").write_text(
        "tasks: {books: {train: books.tsv, test: 0.2}, films: {train: books.tsv, test: 5}}"
    )
    return str(tmp_path / "my tasks.yaml")


def columns(split):
    return {name: split[name][:] for name in split.column_names}


def test_planted_is_the_default_and_needs_no_folder():
    tasks = load_tasks(planted=SMALL)
    assert tasks.name == "planted"
    assert len(tasks) == 10
    assert len(tasks.truth.edges) == 8
    assert tasks["child1"].task.labels == ("negative", "positive")
    assert (len(tasks["child1"].train), len(tasks["child1"].valid), len(tasks["child1"].test)) == (30, 50, 20)
    assert not any(any(data.test["seen"]) for data in tasks.values())


def test_the_same_seed_gives_the_same_data_and_another_gives_other_data():
    first, again, other = (load_tasks(planted=SMALL, seed=seed) for seed in (100, 100, 101))
    assert columns(first["child1"].train) == columns(again["child1"].train)
    assert columns(first["child1"].train) != columns(other["child1"].train)
    assert first.truth == again.truth


def test_some_tasks_in_the_order_asked_for_with_the_truth_among_them():
    whole = load_tasks(planted=SMALL)
    parent, child = whole.truth.edges[0]
    some = load_tasks(f"planted:{child},{parent},loner1", planted=SMALL)
    assert list(some) == [child, parent, "loner1"]
    assert some.name == f"planted-{child}-{parent}-loner1"
    assert some.truth == PlantedTruth(edges=((parent, child),))
    assert columns(some[child].train) == columns(whole[child].train)


@pytest.mark.parametrize("shuffle_labels", [False, True])
def test_who_decides_a_text_stays_with_it(shuffle_labels):
    options = replace(SMALL, planted_poor=60, planted_switching=True)
    corpus = generate(options, seed=0).sources["child1"].corpus
    tables = (corpus.train, corpus.valid, corpus.test)
    known = {text: who for t in tables for text, who in zip(t["text"], t[DECIDED_BY], strict=True)}
    tasks = load_tasks(planted=options, shuffle_labels=shuffle_labels)
    assert tasks.truth.deciders["child1"] == tuple(a for a, b in tasks.truth.edges if b == "child1")
    few, refitted = draw_examples(tasks, 55, draw=0), train_with_valid(tasks)
    assert (len(few["child1"].train), len(refitted["child1"].train)) == (44, 110)
    for data in (tasks, few, refitted):
        for rows in data["child1"].splits.values():
            assert rows[DECIDED_BY][:] == [known[text] for text in rows["text"]]
        assert all(DECIDED_BY not in rows.column_names for rows in data["parent1"].splits.values())


def test_a_fingerprint_does_not_look_at_who_decides():
    tasks = load_tasks("planted:child1", planted=replace(SMALL, planted_switching=True))
    before = fingerprint(tasks)
    tasks["child1"].test = tasks["child1"].test.remove_columns(DECIDED_BY)
    assert fingerprint(tasks) == before


def test_the_data_folder_from_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("GRAPHMTL_DATA", str(data_dir))
    assert list(load_tasks("fdu-mtl:books")) == ["books"]


def test_a_task_file(task_file):
    tasks = load_tasks(Path(task_file))
    assert tasks.name == "my-tasks"
    assert list(tasks) == ["books", "films"]
    assert tasks["books"].task.labels == ("0", "1", "2")
    assert list(load_tasks(f"{task_file}:films")) == ["films"]


def test_labels_in_another_order_are_said(tmp_path):
    for name in "abc":
        rows = "".join(f"{name} {i}\t{('good', 'bad')[i % 2]}\n" for i in range(20))
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    files = {name: f"{name}: {{train: {name}.tsv, test: 0.2" for name in "abc"}
    own = f"tasks: {{{files['a']}}}, {files['b']}, labels: [good, bad]}}, {files['c']}}}}}"
    (tmp_path / "tasks.yaml").write_text(own)
    said = r"^task 'b' has the labels of 'a' in another order \(good, bad\), so that they share no head"
    with pytest.warns(DataWarning, match=said) as found:
        load_tasks(tmp_path / "tasks.yaml")
    assert len(found) == 1


def test_joined_sets_and_names_that_clash(task_file, data_dir):
    tasks = load_tasks(f"{task_file}+fdu-mtl:books,MR+planted:loner1", data_dir=data_dir, planted=SMALL)
    assert list(tasks) == ["my-tasks.books", "films", "fdu-mtl.books", "MR", "loner1"]
    assert [data.task.name for data in tasks.values()] == list(tasks)
    assert tasks.truth == PlantedTruth(edges=())


def test_a_task_file_may_stand_last_and_its_name_may_hold_a_plus(task_file):
    assert list(load_tasks(f"planted:loner1+{task_file}", planted=SMALL)) == ["loner1", "books", "films"]
    renamed = shutil.copy(task_file, task_file.replace("my tasks", "a+b"))
    assert list(load_tasks(renamed)) == ["books", "films"]


def test_a_list_of_tasks_may_be_longer_than_the_name_of_a_file(task_file):
    options = PlantedOptions(planted_children=60, planted_rich=20, planted_poor=20, planted_test=5)
    names = [f"child{i}" for i in range(1, 61)]
    tasks = load_tasks(f"planted:{','.join(names)}+{task_file}:films", planted=options)
    assert list(tasks) == [*names, "films"]
    with pytest.raises(InputError, match=r"unknown task set 'x+"):
        load_tasks("x" * 5000)


def test_equal_texts_of_joined_sets_are_cleaned(data_dir):
    path = data_dir / "fdu-mtl" / "MR.task.test"
    path.write_text(path.read_text() + "1\tBOOKS train  Review number 7 .\n")
    kept = load_tasks("fdu-mtl:books,MR", data_dir=data_dir, keep_overlap=True)
    dropped = load_tasks("fdu-mtl:books,MR", data_dir=data_dir)
    assert (kept.overlap["books"].dropped, dropped.overlap["books"].dropped) == (0, 1)
    assert dropped.overlap["MR"].test_in_others == 1
    assert (kept["MR"].test["seen"][-1], dropped["MR"].test["seen"][-1]) == (True, False)


def test_a_long_name_is_cut_short_and_stays_unique(data_dir):
    options = PlantedOptions(planted_rich=20, planted_poor=20, planted_test=5)
    names = [
        load_tasks(f"planted:parent1,parent2,parent3,child1,child2,{last}", planted=options).name
        for last in ("child3", "child4")
    ]
    assert all(len(name) <= 40 and name.startswith("planted-parent1-parent2") for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("plantd", r"unknown task set 'plantd'; did you mean 'planted'\? .*, or a .yaml file"),
        ("planted+fdu_mtl", "unknown task set 'fdu_mtl'; did you mean 'fdu-mtl'"),
        ("planted+", "unknown task set ''"),
        ("fdu-mtl:books,dvds", "unknown task of fdu-mtl 'dvds'; did you mean 'dvd'"),
        ("fdu-mtl:", "unknown task of fdu-mtl ''"),
        ("fdu-mtl:books,books", "task 'fdu-mtl.books' is asked for more than once"),
        ("planted+planted:child1", "task 'planted.child1' is asked for more than once"),
        ("no.yaml", "no.yaml: no such file"),
        ("fdu-mtl:dvd", r"dvd\.task\.train: no such file"),
    ],
)
def test_faults_in_what_is_asked_for(tasks, message, data_dir):
    with pytest.raises(InputError, match=message) as error:
        load_tasks(tasks, data_dir=data_dir, planted=SMALL)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": "0"}, "seed: found '0', expected a whole number from 0 on"),
        ({"seed": -1}, "seed: found -1, expected a whole number from 0 on"),
        ({"max_train": None}, "max_train: found None, expected a whole number from 0 on"),
        ({"only": ["parent1"]}, "only: found .*, expected names of tasks with commas between"),
        ({"planted": {}}, "planted: found {}, expected PlantedOptions"),
        ({"data_dir": 3}, "data_dir: found 3, expected a folder"),
    ],
)
def test_arguments_of_another_kind(given, message):
    with pytest.raises(InputError, match=message):
        load_tasks("planted", **given)


def test_two_sets_of_the_same_name_are_told_apart_by_another(task_file, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "books.tsv", tmp_path / name)
        shutil.copy(task_file, tmp_path / name / "good.yaml")
    one, two = (tmp_path / name / "good.yaml" for name in ("one", "two"))
    with pytest.raises(InputError, match=r"^task 'good.books' .*: several task sets are called 'good'; .* key `name`"):
        load_tasks(f"{one}:books+{two}:books")
    with pytest.raises(InputError, match=r"^task 'good.books' is asked for more than once$"):
        load_tasks(f"{one}:books+{one}:books,films")
    two.write_text(f"name: better\n{two.read_text()}")
    assert list(load_tasks(f"{one}:books+{two}:books")) == ["good.books", "better.books"]


def test_a_positive_label_that_is_none_is_said_with_its_line(task_file, tmp_path):
    path = Path(task_file)
    path.write_text("metrics: f1\ntasks:\n  books:\n    train: books.tsv\n    test: 0.2\n    positive: posi\n")
    with pytest.raises(InputError) as error:
        load_tasks(task_file)
    assert str(error.value).startswith(f"{path}, line 6: unknown positive label of task 'books' 'posi'")
    assert "(known: 0, 1, 2)" in str(error.value)


def test_missing_data_folders(tmp_path):
    with pytest.raises(InputError, match=r"'fdu-mtl' needs a data folder: give data_dir \(--data-dir\) or set GRAPH"):
        load_tasks("fdu-mtl")
    with pytest.raises(InputError, match=r"data folder .*nowhere does not exist"):
        load_tasks("fdu-mtl", data_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no folder 'fdu-mtl'"):
        load_tasks("fdu-mtl", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("new", "joined", "names"),
    [
        ("child1", "planted:parent1+planted:child1", ["child1"]),
        ("child1+planted:child2", "planted:parent1+planted:child1+planted:child2", ["child1", "child2"]),
        ("fdu-mtl:books", "planted:parent1+fdu-mtl:books", ["books"]),
    ],
)
def test_new_tasks_beside_those_of_a_run(new, joined, names, data_dir):
    about = {"data_dir": data_dir, "planted": SMALL}
    assert join_tasks("planted:parent1", new, **about) == (joined, names)
    assert list(load_tasks(joined, **about)) == ["parent1", *names]


def test_a_task_of_the_runs_sets_goes_before_a_set_of_its_name(tmp_path):
    (tmp_path / "two.csv").write_text("text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(20)))
    keys = "{train: two.csv, test: 0.2, valid: 0.2}"
    file = tmp_path / "two.yaml"
    file.write_text(f"tasks: {{films: {keys}, shop: {keys}}}")
    assert join_tasks(f"{file}:films", "shop") == (f"{file}:films+{file}:shop", ["shop"])
    assert join_tasks("planted:parent1", "shop", planted=SMALL)[0] == "planted:parent1+shop"


def test_tasks_that_only_leaves_out_may_join():
    joined = join_tasks("planted:child1+planted:parent1,parent2", "child1", only="parent2", planted=SMALL)
    assert joined == ("planted:parent2+planted:child1", ["child1"])


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("parent1", "task 'parent1' is in the graph already"),
        ("planted", "task 'parent1' is in the graph already"),
        ("chidl1", "unknown task 'chidl1'; did you mean 'child1'"),
        ("child1+child1", "task 'planted.child1' is asked for more than once"),
    ],
)
def test_new_tasks_that_cannot_be(new, message):
    with pytest.raises(InputError, match=message):
        join_tasks("planted:parent1", new, planted=SMALL)
