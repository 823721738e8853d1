from graphmtl import load_tasks
from graphmtl.data.loading import open_sources
from graphmtl.data.overlap import normalise
from graphmtl.data.unlabelled import unlabelled_texts
from tests.tagging import tagging_tasks

TEXTS = [f"this is the review number {n} of {n * 7} books" for n in range(300)]


def write(folder, name, unlabelled, encoding="utf-8"):
    data = folder / "fdu-mtl"
    data.mkdir(exist_ok=True)
    for split, rows in (("train", TEXTS[:260]), ("test", TEXTS[260:])):
        lines = [f"{place % 2}\t{name} {text}\n" for place, text in enumerate(rows)]
        (data / f"{name}.task.{split}").write_text("".join(lines))
    (data / f"{name}.task.unlabel").write_bytes("".join(f"{text}\n" for text in unlabelled).encode(encoding))


def found(folder, tasks):
    loaded = load_tasks(tasks, data_dir=folder)
    return loaded, unlabelled_texts(loaded, open_sources(tasks, data_dir=folder))


def test_those_of_validation_and_test_splits_of_any_task_are_left_out_and_counted(tmp_path):
    write(tmp_path, "dvd", ["one more text"])
    tasks = load_tasks("fdu-mtl:dvd", data_dir=tmp_path)
    held_out = [tasks["dvd"].valid["text"][3], tasks["dvd"].test["text"][0]]
    respelled = [held_out[0].upper(), f"  {held_out[1]} "]
    write(tmp_path, "books", ["a text", *respelled, "A  text", "", "another"])
    loaded, texts = found(tmp_path, "fdu-mtl:books,dvd")
    assert texts.texts[:3] == [("a text",), ("another",), ("one more text",)]
    assert (texts.unlabelled, texts.held_out, texts.repeated) == (3, 2, 1)
    training = [*loaded["books"].train["text"], *loaded["dvd"].train["text"]]
    assert [text for (text,) in texts.texts[3:]] == training
    assert len(training) == 2 * 60
    assert (
        "123 texts, 3 without a label and 120 of the training splits; left out: 2 of a validation or test split"
        in str(texts)
    )
    scored = {text for data in loaded.values() for split in (data.valid, data.test) for text in split["text"]}
    assert not scored & {text for (text,) in texts.texts}


def test_lines_that_are_no_utf_8_are_latin_1(tmp_path):
    write(tmp_path, "MR", ["ein schöner film"], encoding="latin-1")
    _, texts = found(tmp_path, "fdu-mtl:MR")
    assert texts.texts[0] == ("ein schöner film",)


class Unlabelled:
    """What reads a task without unlabelled texts."""

    @staticmethod
    def unlabelled():
        return ()


def test_lists_of_tokens_are_texts_and_tasks_of_the_same_texts_have_them_once():
    tasks = tagging_tasks(size=17)
    assert tasks["pos"].corpus == tasks["ner"].corpus
    texts = unlabelled_texts(tasks, dict.fromkeys(tasks, Unlabelled))
    rows = [*tasks["pos"].train["tokens"], *tasks["plain"].train["text"]]
    assert texts.unlabelled == 0
    assert {normalise(own if isinstance(own, str) else " ".join(own)) for (own,) in texts.texts} <= {
        normalise(own if isinstance(own, str) else " ".join(own)) for own in rows
    }
    assert any(isinstance(own, list) for (own,) in texts.texts)
    assert len(texts.texts) + texts.repeated + texts.held_out == sum(
        len(rows) for rows in {data.corpus: data.train for data in tasks.values()}.values()
    )
