import json
from dataclasses import replace

import pandas as pd
import pytest

from graphmtl.data.kind import NO_LABEL
from graphmtl.data.loading import load_tasks, open_sources
from graphmtl.data.scored import load_scored
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError

MOOD = Task(name="mood", text=("body",), label="mood", labels=("good", "bad"))
TONE = Task(name="tone", text=("body",), label="tone", labels=("x", "y", "z"))
PRICE = Task(name="price", kind="regression", text=("body",), label="price", scale=(0, 5))
PAIRS = Task(name="pairs", text=("body", "id"), label="tone", labels=("x", "y", "z"))
TAGS = Task(
    name="tags", kind="token-classification", tokens=True, text=("words",), label="ner", labels=("O", "B-A", "I-A")
)
MODEL = {task.name: task for task in (MOOD, TONE, PRICE, PAIRS, TAGS)}
ROWS = [
    {"id": "1", "body": "fine", "mood": "good", "tone": "y", "price": 2.5},
    {"id": "2", "body": "fine", "mood": "bad", "tone": None, "price": None},
    {"id": "3", "body": "", "mood": "good", "tone": "z", "price": 5},
]


def write(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else pd.DataFrame(content).to_csv(index=False))
    return folder / name


def labels(tasks):
    return {name: data.test["label"][:] for name, data in tasks.items()}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_all_tasks_whose_columns_a_file_has(ending, tmp_path):
    """Labels are those of the model, whatever their order in the file; no row is left out, and none needs a label."""
    path = tmp_path / f"a.{ending}"
    path.write_text(
        "".join(json.dumps(row) + "\n" for row in ROWS) if ending == "jsonl" else pd.DataFrame(ROWS).to_csv()
    )
    tasks = load_scored(path, MODEL)
    assert tasks.tasks == {name: MODEL[name] for name in ("mood", "tone", "price", "pairs")}
    found = labels(tasks)
    assert (found["mood"], found["tone"], found["pairs"]) == ([0, 1, 0], [1, NO_LABEL, 2], [1, NO_LABEL, 2])
    assert found["price"][0] == 2.5
    assert tasks["price"].unlabelled == {"test": 1}
    assert [tasks[name].corpus for name in tasks] == ["mood+tone+price"] * 3 + ["pairs"]
    assert tasks["mood"].test["text"][:] == ["fine", "fine", ""]
    assert tasks["pairs"].test["text_pair"][:] == ["1", "2", "3"]
    assert [len(split) for split in (tasks["mood"].train, tasks["mood"].valid)] == [0, 0]


def test_tags_become_those_of_the_model(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"words": ["a", "b", "c"], "ner": ["I-A", "I-A", "O"]}\n{"words": ["a"], "ner": [null]}\n')
    assert labels(load_scored(path, MODEL)) == {"tags": [[1, 2, 0], [NO_LABEL]]}


def test_names_of_some_tasks(tmp_path):
    path = write(tmp_path, "a.csv", ROWS)
    assert list(load_scored(path, MODEL, names=["tone"])) == ["tone"]
    with pytest.raises(InputError, match=r"a\.csv: task 'tags' reads column 'words', which is not there"):
        load_scored(path, MODEL, names=["tone", "tags"])
    with pytest.raises(InputError, match="unknown task 'tonne'; did you mean 'tone'"):
        load_scored(path, MODEL, names=["tonne"])


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("test: b.csv", 2),
        ("{train: a.csv, test: b.csv}", 2),
        ("{train: gone.csv, test: b.csv, valid: gone.csv}", 2),
        ("train: a.csv", 3),
        ("{train: a.csv, test: 0.2}", 3),
    ],
)
def test_a_task_file_is_scored_on_test_or_else_on_all_of_train(split, rows, tmp_path):
    """Columns and codes are its own."""
    write(tmp_path, "a.csv", [{"text": row["body"], "m": "-" if row["mood"] == "bad" else "+"} for row in ROWS])
    write(tmp_path, "b.csv", [{"text": row["body"], "m": "-" if row["mood"] == "bad" else "+"} for row in ROWS[:2]])
    own = split.strip("{}").replace(", ", "\n    ")
    path = write(tmp_path, "t.yaml", f"tasks:\n  mood:\n    {own}\n    label: m\n    labels: {{'-': bad, '+': good}}\n")
    tasks = load_scored(path, MODEL)
    assert labels(tasks) == {"mood": [0, 1, 0][:rows]}
    assert tasks["mood"].test["text"][:] == ["fine", "fine", ""][:rows]


def test_tasks_that_the_model_has_not_are_named(tmp_path):
    write(tmp_path, "a.csv", ROWS)
    own = "{train: a.csv, text: body, label: mood}"
    path = write(tmp_path, "t.yaml", f"tasks:\n  mood: {own}\n  moood: {own}\n")
    with pytest.warns(DataWarning, match="t.yaml: not scored, since the model has no such tasks: moood"):
        assert list(load_scored(path, MODEL)) == ["mood"]
    assert list(load_scored(path, MODEL, names=["mood"])) == ["mood"]
    with pytest.raises(InputError, match=r"t.yaml: no task 'tone' in it \(its tasks: mood, moood\)"):
        load_scored(path, {"tone": TONE})


def test_codes_are_known_as_they_were_in_training(tmp_path):
    codes = [{"body": f"text {i}", "mood": str(i % 2)} for i in range(20)]
    write(tmp_path, "train.csv", [*codes, {"body": "one more", "mood": "x"}])
    task = "{train: train.csv, test: 0.2, text: body, label: mood, labels: {0: good, 1: bad}, missing: [x]}"
    trained = write(tmp_path, "t.yaml", f"tasks:\n  mood: {task}\n")
    path = write(tmp_path, "a.csv", [*codes[:2], {"body": "more", "mood": "x"}])

    def trained_on():
        return open_sources(trained)

    assert labels(load_scored(path, {"mood": MOOD}, trained_on=trained_on)) == {"mood": [0, 1, NO_LABEL]}
    assert load_tasks(trained)["mood"].task.labels == MOOD.labels
    trained.unlink()
    with pytest.raises(InputError, match=r"a\.csv, line 2: label '0' is not among the task's labels .known: good, bad"):
        load_scored(path, {"mood": MOOD}, trained_on=trained_on)


@pytest.mark.parametrize("kind", ["regression", "tags"])
def test_what_is_missing_in_training_is_so_where_labels_do_not_tell(kind, tmp_path):
    rows = [{"body": f"text {i}", "price": i % 5 - 1, "words": ["a", "b"], "ner": ["B-A", "?"]} for i in range(20)]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {
        "regression": "price: {kind: regression, text: body, label: price, scale: [0, 5], missing: -1",
        "tags": "tags: {tokens: words, label: ner, labels: [O, B-A, I-A], missing: ['?']",
    }[kind]
    trained = write(tmp_path, "t.yaml", f"tasks:\n  {own}, train: train.jsonl, test: 0.2}}\n")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))

    def trained_on():
        return open_sources(trained)

    task = {"regression": PRICE, "tags": TAGS}[kind]
    found = labels(load_scored(path, {task.name: replace(task, scale=None)}, trained_on=trained_on))[task.name]
    assert str(found) == {"regression": "[nan, 0.0]", "tags": str([[1, NO_LABEL]] * 2)}[kind]
    train.unlink()
    if kind == "regression":
        with pytest.warns(DataWarning, match="a.jsonl: what stands for no label in task 'price' is not known"):
            assert labels(load_scored(path, {"price": replace(PRICE, scale=None)}, trained_on=trained_on))


def test_what_is_no_label_in_training_is_none_here(tmp_path):
    path = write(tmp_path, "a.csv", [{"body": "a", "mood": mood} for mood in ("good", "-", "bad")])
    with pytest.warns(DataWarning, match="a.csv: the label '-', which stands 1 times, is taken for none"):
        assert labels(load_scored(path, {"mood": MOOD})) == {"mood": [0, NO_LABEL, 1]}


def test_data_at_hand(tmp_path):
    frame = pd.DataFrame(ROWS)
    tasks = load_scored({"mood": {"train": frame, "text": "body", "label": "mood"}}, MODEL)
    assert labels(tasks) == {"mood": [0, 1, 0]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("body,mood\na,good\nb,fine\n", "a.csv, line 3: label 'fine' is not among the task's labels .known: good, bad"),
        ("body,mood\na,\n", "a.csv: no row has a label in 'mood'"),
        ("body,price\na,9\n", "a.csv, line 2: score '9', expected a number from 0 to 5"),
        (
            "text,label\na,good\n",
            r"a.csv: task 'mood' reads column 'body', which is not there \(columns: text, label\)",
        ),
    ],
)
def test_faults_of_files(content, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        load_scored(write(tmp_path, "a.csv", content), MODEL)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "text: body, label: mood, kind: regression",
            "of regression of texts, in the model one of text-classification",
        ),
        (
            "text: [body, id], label: mood",
            "text-classification of pairs, in the model one of text-classification of tex",
        ),
    ],
)
def test_a_task_of_another_form(keys, message, tmp_path):
    write(tmp_path, "a.csv", ROWS)
    path = write(tmp_path, "t.yaml", f"tasks:\n  mood: {{test: a.csv, {keys}}}\n")
    with pytest.raises(InputError, match=message) as error:
        load_scored(path, MODEL)
    assert str(error.value).startswith(f"{path}, line 2: task 'mood' is one of ")


def test_a_task_file_without_any_file(tmp_path):
    path = write(tmp_path, "t.yaml", "tasks:\n  mood:\n    test: 0.2\n")
    with pytest.raises(InputError, match="line 2: task 'mood' has no `train`"):
        load_scored(path, MODEL)
