import pytest

from graphmtl.data.loading import load_tasks
from graphmtl.data.overlap import row_keys
from graphmtl.data.refit import train_with_valid

REVIEWS = """
tasks:
  books: {train: books.train.tsv, valid: books.valid.tsv, test: books.test.tsv}
  films: {train: films.train.tsv, valid: films.valid.tsv, test: films.test.tsv}
"""
TEXTS = {
    "books.train": ["one", "two"],
    "books.valid": ["three", "a film's test", "four"],
    "books.test": ["five", " THREE", "two", "films valid"],
    "films.train": ["six", "seven"],
    "films.valid": ["films valid", "eight"],
    "films.test": ["A  Film's test", "eight"],
}
LAYERS = """
tokens: word
tasks:
  pos: {train: a.conll, valid: b.conll, test: c.conll, columns: [word, pos, ner], label: pos}
  ner: {train: a.conll, valid: b.conll, test: c.conll, columns: [word, pos, ner], label: ner}
"""


@pytest.fixture
def reviews(tmp_path):
    for name, texts in TEXTS.items():
        lines = [f"{text}\t{label}\n" for text, label in zip(texts, ("bad", "good") * 2, strict=False)]
        (tmp_path / f"{name}.tsv").write_text("".join(["text\tlabel\n", *lines]))
    (tmp_path / "tasks.yaml").write_text(REVIEWS)
    return load_tasks(str(tmp_path / "tasks.yaml"))


@pytest.fixture
def layers(tmp_path):
    for name, words in {"a": "ab", "b": "cd", "c": "de"}.items():
        sentences = [f"{word}\t{tag}\t{entity}\n" for word, tag, entity in zip(words, "NV", ["O", "B-X"], strict=True)]
        (tmp_path / f"{name}.conll").write_text("\n".join(sentences))
    (tmp_path / "tasks.yaml").write_text(LAYERS)
    return load_tasks(str(tmp_path / "tasks.yaml"))


def test_validation_examples_come_after_the_training_examples(reviews):
    again = train_with_valid(reviews)
    assert again["books"].train["text"][:] == ["one", "two", "three", "four"]
    assert again["books"].train["label"][:] == [0, 1, 0, 0]
    assert again["books"].valid["text"][:] == reviews["books"].valid["text"][:]
    assert len(reviews["books"].train) == 2


def test_a_validation_text_of_anothers_test_split_is_left_out(reviews):
    again = train_with_valid(reviews)
    assert "a film's test" not in row_keys(again["books"].train)
    assert again["films"].train["text"][:] == ["six", "seven", "eight"]


def test_texts_of_the_enlarged_training_splits_are_seen(reviews):
    assert reviews["books"].test["seen"][:] == [False, False, True, False]
    again = train_with_valid(reviews)
    assert again["books"].test["seen"][:] == [False, True, True, False]
    assert again["films"].test["seen"][:] == [False, True]
    assert again["books"].valid["seen"][:] == [True, False, True]


def test_layers_of_one_corpus_keep_the_same_rows(layers):
    again = train_with_valid(layers)
    assert again["pos"].train["tokens"][:] == again["ner"].train["tokens"][:] == [["a"], ["b"], ["c"], ["d"]]
    assert again["pos"].train["label"][:] == [[0], [1], [0], [1]]
    assert again["ner"].test["seen"][:] == [True, False]


def test_what_else_the_set_says_stays(reviews):
    again = train_with_valid(reviews)
    assert again.tasks == reviews.tasks
    assert (again.name, again.loaded_with, again.overlap) == (reviews.name, reviews.loaded_with, reviews.overlap)


def test_of_some_tasks_the_others_were_not_there(reviews):
    """Those that joined a graph after it had learned the validation texts of the first ones."""
    again = train_with_valid(reviews, ["books"])
    assert again["books"].train["text"][:] == ["one", "two", "three", "a film's test", "four"]
    assert again["films"].train["text"][:] == ["six", "seven"]
    assert again["films"].test["seen"][:] == [True, False]
