import json

import datasets
import numpy as np
import pandas as pd
import pytest

from graphmtl.data.loading import load_tasks
from graphmtl.data.task import Task
from graphmtl.data.task_file import read_task_file
from graphmtl.errors import InputError

TSV = "review\tstars\tnote\ngood\t5\tx\nbad\t1\ty\nfine\t5\tz\n"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "books.tsv").write_text(TSV)
    (tmp_path / "dvd.csv").write_text("pos,a film\nneg,another\n")
    return tmp_path


def read(folder, content, task=None):
    path = folder / "my-tasks.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source_set = read_task_file(path)
    return source_set if task is None else source_set.sources[task]()


BOOKS = """
name: shops
metrics: [f1, accuracy]
text: review
tasks:
  books:
    train: books.tsv
    test: books.tsv
    label: stars
  dvd:
    train: dvd.csv
    test: 0.25
    valid: 12
    columns: [label, text]
    text: text
    metrics: matthews
    labels: {neg: negative, pos: positive}
"""


def test_a_task_file(folder):
    shops = read(folder, BOOKS)
    assert shops.name == "shops"
    assert list(shops.sources) == ["books", "dvd"]
    books, dvd = (read() for read in shops.sources.values())
    assert books.corpus.train["review"] == books.corpus.test["review"] == ["good", "bad", "fine"]
    assert books.corpus.train["stars"] == ["5", "1", "5"]
    assert (books.corpus.valid, books.task.metrics, books.task.labels) == (0.1, ("f1", "accuracy"), ())
    assert (dvd.corpus.test, dvd.corpus.valid, dvd.task.metrics) == (0.25, 12, ("matthews",))
    assert (dvd.corpus.train["text"], dvd.corpus.train["label"]) == (["a film", "another"], ["pos", "neg"])
    assert (books.corpus.stratify, dvd.corpus.stratify) == ("stars", "label")
    assert (dvd.task.labels, dvd.names) == (("neg", "pos"), {"neg": "negative", "pos": "positive"})


def test_a_regression_and_a_positive_label(folder):
    (folder / "prices.jsonl").write_text('{"text": "x", "label": 1.5}\n{"text": "y", "label": 2}\n')
    prices = read(folder, "tasks: {a: {kind: regression, scale: [0, 2.5], train: prices.jsonl, test: 1}}", "a")
    assert prices.corpus.train["label"] == [1.5, 2]
    assert (prices.task.scale, prices.task.metrics, prices.task.labels) == ((0.0, 2.5), ("pearson", "spearman"), ())
    positive = BOOKS.replace("    metrics: matthews\n", "    positive: positive\n")
    assert read(folder, positive, "dvd").task.positive == "pos"  # as it is written in the data
    assert read(folder, positive.replace("positive: positive", "positive: pos"), "dvd").task.positive == "pos"


def test_the_name_is_the_files_by_default_and_files_are_read_only_when_needed(folder):
    source_set = read(folder, "tasks: {a: {train: no.tsv, test: no.tsv}, b: {train: books.tsv, test: 1, text: review}}")
    assert source_set.name == "my-tasks"
    with pytest.raises(InputError, match=r"no\.tsv: no such file"):
        source_set.sources["a"]()
    with pytest.raises(InputError, match=r"books\.tsv: unknown column 'label'"):
        source_set.sources["b"]()


CONLL = "# genre = news\nAnn\tN\tI-P\nruns\tV\tO\n\nno\tX\tO\n\n# genre = fiction\nBob\tN\t_\n"
LAYERS = """
train: a.conll
valid: 1
test: a.conll
columns: [word, pos, ner]
tokens: word
head: crf
tasks:
  pos: {label: pos, head: linear}
  ner: {label: ner, metrics: [span_f1, accuracy], scheme: iob2}
  genre: {label: "# genre", labels: {news: News, fiction: Fiction}}
"""


@pytest.fixture
def conll(folder):
    (folder / "a.conll").write_text(CONLL)
    return folder


def test_the_layers_of_a_column_file(conll):
    pos, ner, genre = (source() for source in read(conll, LAYERS).sources.values())
    assert pos.corpus is ner.corpus is genre.corpus
    assert pos.corpus.name == "my-tasks/pos"
    assert (pos.corpus.valid, pos.corpus.test["word"]) == (1, [["Ann", "runs"], ["no"], ["Bob"]])
    assert [each.task.kind for each in (pos, ner, genre)] == ["token-classification"] * 2 + ["text-classification"]
    assert all(each.task.tokens and each.task.text == ("word",) for each in (pos, ner, genre))
    assert [each.task.head for each in (pos, ner, genre)] == ["linear", "crf", None]
    assert (ner.task.metrics, ner.default_metrics, ner.scheme) == (("span_f1", "accuracy"), False, "iob2")
    assert (pos.default_metrics, pos.scheme) == (True, None)
    assert (genre.task.labels, genre.names) == (("news", "fiction"), {"news": "News", "fiction": "Fiction"})


def test_only_the_same_files_and_columns_are_one_corpus(conll):
    other = LAYERS + "  more: {label: ner, test: 1}\n  tags: {label: x, columns: [word, pos, x]}\n"
    made = {name: source() for name, source in read(conll, other).sources.items()}
    assert made["pos"].corpus is made["ner"].corpus
    assert [made[name].corpus.name for name in ("more", "tags")] == ["my-tasks/more", "my-tasks/tags"]


def test_tasks_over_one_file_of_any_format_are_one_corpus(folder):
    content = "{train: books.tsv, test: 1, tasks: {a: {text: review, label: stars}, b: {text: note, label: stars}}}"
    a, b = (source() for source in read(folder, content).sources.values())
    assert a.corpus is b.corpus
    assert (a.corpus.name, a.corpus.stratify, a.corpus.texts) == ("a", "stars", (("review",), ("note",)))
    assert list(a.corpus.train.columns) == ["review", "stars", "note"]


def test_texts_and_tokens_in_one_file(conll):
    content = "tasks: {books: {train: books.tsv, test: 1, text: review, label: stars}, ner: {train: a.conll, test: 1,"
    made = read(conll, f"{content} columns: [word, pos, ner], tokens: word, label: ner}}}}")
    assert made.sources["books"]().corpus.train["review"] == ["good", "bad", "fine"]
    assert made.sources["ner"]().corpus.train["ner"][0] == ["I-P", "O"]


def test_given_tasks():
    frame = pd.DataFrame({"review": [f"text {i}" for i in range(20)], "stars": [1.0, None] + [5.0, 1.0] * 9})
    texts = [f"other {i}" for i in range(20)]
    rows = datasets.Dataset.from_dict({"text": texts, "label": [0, 1] * 10})
    tasks = {
        "stars": {"train": frame, "test": 0.2, "text": "review", "label": "stars", "labels": {1: "bad", 5: "good"}},
        "plain": rows,
        "splits": datasets.DatasetDict(train=rows, validation=rows, test=rows),
        "lists": {"text": texts, "label": ["x", "y"] * 10},
        "dicts": [{"text": f"t {i}", "label": i % 2 == 0} for i in range(20)],
        "named": {"data": {"train": rows, "dev": rows, "extra": rows}, "test": "extra"},
    }
    made = load_tasks(tasks, keep_overlap=True)
    assert made.name.startswith("memory-")
    assert made["stars"].task.labels == ("bad", "good")
    assert sum(made["stars"].unlabelled.values()) == 1
    assert [len(made["splits"].train), len(made["splits"].valid), len(made["splits"].test)] == [20, 20, 20]
    assert (len(made["named"].valid), len(made["named"].test)) == (20, 20)
    assert made["dicts"].task.labels == ("False", "True")
    assert made.loaded_with["tasks"] == "(in memory)"


def test_tasks_over_one_frame_share_its_cut():
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(40)], "a": [*"xy" * 20], "b": [*"xxyy" * 10]})
    made = load_tasks({name: {"train": frame, "test": 0.25, "label": name} for name in "ab"})
    assert made["a"].test["text"][:] == made["b"].test["text"][:]
    assert made["a"].corpus == "a+b"
    assert len(made["a"].train) == 27


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "tasks: an empty mapping, expected"),
        (
            {"a": {"text": ["x", "y"] * 9, "label": [0, 1] * 9}},
            "cannot cut a test .* off 18 examples of 2 different texts",
        ),
        (3, "tasks: found a int, expected a name, a file, or"),
        (["a"], "tasks: found a list, expected a name"),
        ({"a": 3}, "task 'a', key 'train': found a int, expected a pandas DataFrame"),
        ({"a": {"train": [1, 2]}}, "task 'a', key 'train': found a list, expected a pandas DataFrame"),
        (
            {"a": {"train": pd.DataFrame({"txt": ["x"], "label": [1]})}},
            "task 'a', train: unknown column 'text'; did you",
        ),
        (
            {"a": {"text": ["x"], "label": [1, 2]}},
            "task 'a', train: the columns have unlike lengths .text: 1, label: 2",
        ),
        ({"a": {"train": pd.DataFrame({"text": [], "label": []})}}, "task 'a', train: no examples in it"),
        (
            {"a": {"train": pd.DataFrame({"text": [1.5], "label": [1]})}},
            "row 1: column 'text' holds 1.5, expected a text",
        ),
        ({"a": {"train": pd.DataFrame({"text": ["x"]}), "lable": "x"}}, "task 'a', key 'lable': unknown key 'lable'"),
        ({"a": {"train": pd.DataFrame({"text": ["x"]}), "metrics": "accurcy"}}, "task 'a': unknown metric"),
        ({1: pd.DataFrame({"text": ["x"]})}, "tasks: the name of a task is 1, expected a text"),
        ({"a": datasets.DatasetDict(test=datasets.Dataset.from_dict({"text": ["x"]}))}, "task 'a': no `train`"),
    ],
)
def test_faults_of_given_tasks(tasks, message):
    with pytest.raises(InputError, match=message) as error:
        load_tasks(tasks)
    assert "\n" not in str(error.value)


TOKENS = "tasks:\n  a:\n    train: a.conll\n    test: a.conll\n    label: pos\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "    kind: regression\n    scale: 5\n",
            r"line 7: `scale` is \'5\', expected the lowest and the highest score, such as \[0, 5\]",
        ),
        (
            "    kind: regression\n    scale: [5, 0]\n",
            "line 7: `scale` holds several values, expected the lowest and the highest",
        ),
        (
            "    kind: regression\n    scale: [0, x]\n",
            "line 7: `scale` holds several values, expected the lowest and the highest",
        ),
        ("    scale: [0, 5]\n", "line 6: `scale` is for tasks of regression; task 'a' is of another kind"),
        ("    kind: regression\n    labels: [x, y]\n", "line 7: `labels` is for tasks of text-classification, "),
        ("    positive: x\n", "line 2: task 'a' has a positive label 'x', but none of the metrics"),
        ("    kind: token-classification\n", "line 2: task 'a' has no `tokens`; give the name of the column"),
        ("    tokens: word\n    scheme: iob3\n", "line 7: unknown scheme 'iob3'; did you mean 'iob"),
        ("    tokens: word\n    head: crv\n", "line 2: unknown head of task 'a' 'crv'; did you mean 'crf'"),
        ("    tokens: word\n    text: word\n", "line 7: `text` is no key of a task that tags tokens"),
        ("    scheme: iob1\n", "line 6: `scheme` is for tasks of token-classification; task 'a'"),
        (
            "    head: crf\n",
            "line 6: `head` is for tasks of token-classification; task 'a' is of another kind",
        ),
        ("    tokens: word\n    metrics: auc\n", "line 2: unknown metric of task 'a' 'auc'"),
        ("    tokens: [a, b]\n", "line 6: `tokens` holds several values, expected a text"),
    ],
)
def test_faults_of_tasks_of_tokens(conll, more, message):
    with pytest.raises(InputError, match=message) as error:
        read(conll, TOKENS + more)
    assert str(error.value).startswith(str(conll / "my-tasks.yaml"))
    assert "\n" not in str(error.value)


def test_columns_without_names(conll):
    with pytest.raises(InputError, match=r"a\.conll: a column file needs `columns`"):
        read(conll, TOKENS + "    tokens: word\n", "a")


def test_what_a_labelled_sentence_has_no_choice_of(conll):
    content = LAYERS.replace('{label: "# genre"', '{scheme: iob1, label: "# genre"')
    with pytest.raises(InputError, match="line 11: `scheme` is for tasks of token-classification; task 'genre'"):
        read(conll, content)


TASK = "tasks:\n  a:\n    train: books.tsv\n    test: books.tsv\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("- a\n", "line 1: the file must hold `key: value` lines"),
        ("# nothing\n", "the file must hold `key: value` lines"),
        ("name: x\n", "no key `tasks`"),
        ("tasks:\n", "line 1: `tasks` must hold"),
        ("tasks: {}\n", "line 1: `tasks` must hold"),
        ("tasks:\n  a: books.tsv\n", "line 2: task 'a' must hold"),
        ("task:\n  a: b\n", "line 1: unknown key 'task'; did you mean 'tasks'"),
        (TASK + "    trian: x\n", "line 5: unknown key 'trian'; did you mean 'train'"),
        (TASK + "    train: x\n", "line 5: key 'train' stands twice in task 'a'"),
        (TASK + "  a:\n    train: x\n", "line 5: key 'a' stands twice in `tasks`"),
        (TASK + "name: [\n", "line 6: not YAML"),
        (TASK + "\tname: x\n", "line 5: not YAML"),
        (TASK + "name: *b\n", "line 5: not YAML"),
        (TASK + "? [a, b]\n: c\n", "line 5: the keys of the file must be plain names"),
        (TASK.encode() + b"name: \xff\n", "line 5: byte 0xff is not UTF-8"),
        (b"name: \x00\n", "not YAML"),
        (TASK + "    metrics: [accurcy]\n", "line 2: unknown metric of task 'a' 'accurcy'; did you mean 'accuracy'"),
        (TASK + "    metrics: []\n", "line 5: `metrics` holds several values, expected a text"),
        (TASK + "    metrics: {a: b}\n", "line 5: `metrics` holds several values, expected a text"),
        (
            TASK + "    kind: text-classifcation\n",
            "line 2: unknown kind of task 'a' .*did you mean 'text-classification'",
        ),
        (TASK + "    text: [a, b, c]\n", "line 2: task 'a' has 3 text columns"),
        (TASK + "    label: !!int x\n", "line 5: 'x' is not what its tag says; expected: plain values"),
        (TASK + "    label: !!timestamp x\n", "line 5: not YAML .the tag 'tag:yaml.org,2002:timestamp'"),
        (TASK + "    label: yes\n", "line 5: `label` is 'yes', expected a text .in quotes"),
        (TASK + "    encoding: ''\n", "line 5: `encoding` is '', expected a text"),
        (TASK + "    labels: [no, yes]\n", "line 5: `labels` holds .* with yes, no, on, off, true and false in quotes"),
        (TASK + "    labels: x\n", "line 5: `labels` is 'x', expected a list of labels"),
        (TASK + "    labels: [x]\n", "line 5: `labels` .* two or more different labels"),
        (TASK + "    labels: [x, x, y]\n", "line 5: `labels` .* two or more different labels"),
        (TASK + "    valid: 1.5\n", r"line 5: `valid` is '1.5', expected a file .*, or how much of `train` to cut off"),
        (TASK + "    valid: .inf\n", "line 5: `valid` is '.inf', expected"),
        (TASK + "    valid: 0\n", "line 5: `valid` is '0', expected"),
        (TASK + "    valid: [1]\n", "line 5: `valid` holds several values, expected"),
        (TASK + "    valid: {a: 1}\n", "line 5: `valid` holds several values, expected"),
        (TASK + "    delimiter: ab\n", "line 5: `delimiter` is 'ab', expected a single character, or TAB"),
        (TASK + "    quoting: all\n", "line 5: unknown quoting 'all'.*known: csv, none"),
        (TASK + "    format: xml\n", "line 5: unknown format 'xml'.*LABEL text.*word/TAG"),
        (TASK + "    missing: {a: b}\n", "line 5: `missing` holds several values, expected a text"),
        (TASK + "    valid: true\n", "line 5: `valid` is 'true', expected"),
        (
            "tasks:\n  a:\n    train: 0.5\n    test: x\n",
            "line 3: `train` is '0.5', expected a file .or a list, a pattern, or",
        ),
        ("tasks:\n  a:\n    train: books.tsv\n", "line 2: task 'a' has no `test`; give a file, or how much of `train`"),
        ("tasks:\n  a:\n    test: books.tsv\n", "line 2: task 'a' has no `train`; give a file$"),
        ("tasks:\n  a b:\n    train: x\n    test: x\n", "line 2: task name 'a b'"),
    ],
)
def test_faults_name_the_file_and_the_line(folder, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(folder, content)
    assert str(error.value).startswith(str(folder / "my-tasks.yaml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("more.txt", "a film\nno, film\n"),
        ("more.csv", 'id,review,stars\n1,a film,good\n2,"no, film",\n'),
        ("more.tsv", "review\na film\nno, film\n"),
        ("more.txt", "review\tstars\na film\tgood\nno, film\tbad\n"),
        ("more.jsonl", '{"review": "a film", "stars": 1}\n{"review": "no, film"}\n'),
    ],
)
def test_texts_without_labels_stand_one_a_line_or_in_the_column_of_the_text(name, content, folder):
    (folder / name).write_text(content)
    source = read(folder, TASK + f"    text: review\n    label: stars\n    unlabelled: {name}\n").sources["a"]()
    assert [*source.unlabelled()] == ["a film", "no, film"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("more.csv", "id,body\n1,a\n", "more.csv: unknown column 'review'"),
        ("more.conll", "a\tO\n", "more.conll: unlabelled texts are read one a line, or .*found a .conll file"),
    ],
)
def test_files_of_texts_without_labels_that_cannot_be_read(name, content, message, folder):
    (folder / name).write_text(content)
    source = read(folder, TASK + f"    text: review\n    label: stars\n    unlabelled: {name}\n").sources["a"]()
    with pytest.raises(InputError, match=message):
        source.unlabelled()


def test_a_missing_file_of_texts_without_labels_is_named_where_it_is_read_and_nobody_else_looks_for_it(folder):
    source = read(folder, TASK + "    text: review\n    label: stars\n    unlabelled: no.txt\n").sources["a"]()
    assert len(source.corpus.train["review"]) == 3
    with pytest.raises(InputError, match=r"my-tasks\.yaml, line 7: `unlabelled` is .*no\.txt: no such file"):
        source.unlabelled()


def test_a_missing_task_file(tmp_path):
    with pytest.raises(InputError, match=r"no\.yaml: no such file"):
        read_task_file(tmp_path / "no.yaml")


def data_of(**keys):
    rows = {"text": [f"text {i}" for i in range(40)], "label": ["bad", *["good"] * 9] * 4}
    return load_tasks({"a": {"data": rows, "valid": 0.2, "test": 0.2, **keys}})["a"]


def test_weights_of_a_task_and_its_classes_and_how_much_is_read():
    task = data_of(weight=0.5, class_weights={"bad": 5}, max_length=7).task
    assert (task.weight, task.class_weights, task.max_length) == (0.5, (5, 1), 7)
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert data_of().task.to_dict().keys().isdisjoint({"weight", "class_weights", "max_length"})
    named = data_of(labels={"bad": "poor", "good": "fine"}, class_weights={"bad": 3, "fine": 2}).task
    assert (named.labels, named.class_weights) == (("poor", "fine"), (3, 2))


def test_balanced_weights_are_those_of_the_training_split():
    data = data_of(class_weights="balanced")
    counts = np.bincount(data.train["label"])
    assert (np.array(data.task.class_weights) * counts).tolist() == pytest.approx([counts.sum() / 2] * 2)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weight": 0}, "`weight` is 0, expected a number above 0"),
        ({"weight": "x"}, "`weight` is 'x', expected a number above 0"),
        ({"max_length": 2.5}, "`max_length` is 2.5, expected a whole number from 1 on"),
        ({"class_weights": "equal"}, "`class_weights` is 'equal', expected balanced, or `label: weight` lines"),
        ({"class_weights": {"bad": -1}}, "`class_weights` holds several values, expected balanced, or"),
        ({"class_weights": {"bat": 2}}, "unknown label in class_weights of task 'a' 'bat'; did you mean 'bad'"),
        ({"class_weights": "balanced", "kind": "regression"}, "`class_weights` is for tasks of text-classification, "),
    ],
)
def test_faults_of_weights(keys, message):
    with pytest.raises(InputError, match=message):
        data_of(**keys)


def test_a_key_above_the_tasks_is_for_those_whose_kind_has_it(tmp_path):
    (tmp_path / "a.csv").write_text("text,mood,price\n" + "".join(f"text {i},{'ab'[i % 2]},{i}.5\n" for i in range(9)))
    above = "scale: [0, 20]\nclass_weights: balanced\nhead: crf\ntrain: a.csv\ntest: 0.2\n"
    tasks = "tasks:\n  moods: {label: mood}\n  prices: {label: price, kind: regression}\n"
    moods, prices = (read(tmp_path, above + tasks, name) for name in ("moods", "prices"))
    assert (moods.task.scale, moods.class_weights, moods.task.head) == (None, "balanced", None)
    assert (prices.task.scale, prices.class_weights, prices.task.head) == ((0, 20), None, None)


def test_a_metric_of_ones_own_is_looked_for_when_the_data_are_read():
    with pytest.raises(InputError, match="metric of task 'a' 'no_such_module:cost': there is no module"):
        data_of(metrics=["accuracy", "no_such_module:cost"])


def test_what_is_said_of_the_data_is_kept_and_changes_no_task(folder):
    said = "licence: cc-by-4.0\nlanguage: [en, de]\n" + BOOKS.replace("stars\n", "stars\n    source: a shop\n", 1)
    books, dvd = (source().task for source in read(folder, said).sources.values())
    assert (books.source, books.licence, books.language) == ("a shop", "cc-by-4.0", ("en", "de"))
    assert (dvd.source, dvd.licence, dvd.language) == (None, "cc-by-4.0", ("en", "de"))
    assert Task.from_dict(json.loads(json.dumps(books.to_dict()))) == books
    plain = read(folder, BOOKS, "books").task
    assert plain != books
    assert plain.unlike(books) is None
    assert not {"source", "licence", "language"} & plain.to_dict().keys()


def test_a_language_that_yaml_reads_as_no(folder):
    with pytest.raises(InputError, match=r"line 1: `language`.*in quotes"):
        read(folder, "language: no\n" + BOOKS, "books")


def test_tags_that_are_no_spans_may_have_metrics_of_classes(tmp_path):
    (tmp_path / "t.conll").write_text("".join(f"{a}\tO\n{b}\tB-X\nc\tI-X\n\n" for a, b in ("de", "fg", "hi", "jk")))
    keys = "train: t.conll, test: 0.25, valid: 0.25, columns: [word, tag], tokens: word, label: tag, scheme: none"
    (tmp_path / "t.yaml").write_text(f"tasks: {{t: {{{keys}, metrics: [macro_f1], labels: [O, B-X, I-X]}}}}")
    (source,) = read_task_file(tmp_path / "t.yaml").sources.values()
    assert not source().task.of_kind.is_spans
