import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from graphmtl.data.catalog import TASK_SETS
from graphmtl.data.loading import load_tasks
from graphmtl.data.planted import PlantedOptions
from graphmtl.data.vectors import coverage, read_vectors
from graphmtl.data.vocabulary import Vocabulary, tokenize
from graphmtl.errors import InputError

DATA = os.environ.get("GRAPHMTL_DATA", "")
needs_fdu_mtl = pytest.mark.skipif(not (Path(DATA) / "fdu-mtl").is_dir(), reason="GRAPHMTL_DATA has no fdu-mtl")
needs_vectors = pytest.mark.skipif(not (Path(DATA) / "vectors").is_dir(), reason="GRAPHMTL_DATA has no vectors")
SMALL = PlantedOptions(planted_rich=60, planted_poor=30, planted_test=20)


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("GRAPHMTL_DATA", raising=False)


def columns(split):
    return {name: split[name][:] for name in split.column_names}


def test_fdu_mtl(data_dir):
    tasks = load_tasks("fdu-mtl:MR,books", data_dir=data_dir)
    assert tasks.name == "fdu-mtl-MR-books"
    assert tasks["MR"].task.labels == ("negative", "positive")
    assert (len(tasks["MR"].train), len(tasks["MR"].valid), len(tasks["MR"].test)) == (100, 200, 10)
    assert sum(tasks["MR"].valid["label"]) == 100
    assert tasks["MR"].test["text"][3] == "MR test review number 3 ."
    assert tasks["MR"].test["label"][:4] == [0, 1, 0, 1]
    assert tasks.truth is None


def test_only_the_lines_of_mr_and_dvd_may_be_latin_1(data_dir):
    for name in ("MR", "books"):
        path = data_dir / "fdu-mtl" / f"{name}.task.test"
        path.write_bytes(path.read_bytes() + b"1\tcaf\xe9\n0\tth\xc3\xa9\n")
    assert load_tasks("fdu-mtl:MR", data_dir=data_dir)["MR"].test["text"][-2:] == ["café", "thé"]
    with pytest.raises(InputError, match=r"books\.task\.test, line 11: byte 0xe9 is not utf-8"):
        load_tasks("fdu-mtl:books", data_dir=data_dir)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2\tx", r"line 11: label '2' is not among the task's labels \(known: 0, 1\)"),
        ("no tab", "line 11: no TAB between label and text: 'no tab'"),
        ("\tx", "line 11: no label before the TAB"),
    ],
)
def test_faults_in_the_files(data_dir, line, message):
    path = data_dir / "fdu-mtl" / "books.task.test"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=message) as error:
        load_tasks("fdu-mtl:books", data_dir=data_dir)
    assert str(error.value).startswith(str(path))


def test_an_empty_text_is_counted_and_an_empty_file_is_a_fault(data_dir):
    path = data_dir / "fdu-mtl" / "books.task.test"
    path.write_text(path.read_text() + "1\t\n")
    assert load_tasks("fdu-mtl:books", data_dir=data_dir).overlap["books"].empty == 1
    path.write_text("")
    with pytest.raises(InputError, match=r"books\.task\.test: the file is empty"):
        load_tasks("fdu-mtl:books", data_dir=data_dir)


def test_the_shop_ships_with_the_package_and_no_text_stands_in_it_twice():
    tasks = load_tasks("shop")
    sizes = {"sentiment": (120, 30, 50), "topic": (112, 28, 60), "purpose": (45, 30, 75)}
    assert {name: (len(data.train), len(data.valid), len(data.test)) for name, data in tasks.items()} == sizes
    texts = [text for data in tasks.values() for split in data.splits.values() for text in split["text"]]
    assert len({text.casefold() for text in texts}) == len(texts) == 550
    assert all(text == text.strip() for text in texts)


def test_every_label_of_the_shop_is_as_frequent_as_the_others_in_each_split():
    for data in load_tasks("shop").values():
        for split in data.splits.values():
            assert {*Counter(split["label"]).values()} == {len(split) // len(data.task.labels)}


def test_a_new_task_set_is_one_function_and_one_line(monkeypatch):
    monkeypatch.setitem(TASK_SETS, "mine", TASK_SETS["planted"])
    assert list(load_tasks("mine:child1", planted=SMALL)) == ["child1"]


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


CONLL2003 = (
    "-DOCSTART- -X- O O\n\nU.N. NNP I-NP I-ORG\nofficial NN I-NP O\n\nBonn NNP I-NP I-LOC\nRome NNP B-NP B-LOC\n"
)


@pytest.mark.parametrize(
    "names", [("eng.train", "eng.testa", "eng.testb"), ("train.txt", "valid.txt", "test.txt")], ids=["published", "txt"]
)
def test_conll2003_by_both_names_becomes_iob2(tmp_path, names):
    fill(tmp_path / "conll2003", dict.fromkeys(names, CONLL2003))
    tasks = load_tasks("conll2003", data_dir=tmp_path)
    assert list(tasks) == ["pos", "chunk", "ner"]
    assert {data.corpus for data in tasks.values()} == {"pos+chunk+ner"}
    assert tasks["ner"].task.labels == ("O", "B-LOC", "B-ORG")
    assert tasks["ner"].train["label"][:] == [[2, 0], [1, 1]]
    assert tasks["chunk"].train["label"][:] == [[0, 1], [0, 0]]
    assert tasks["pos"].task.metrics == ("accuracy",)


def test_a_file_of_conll2003_that_is_not_there(tmp_path):
    fill(tmp_path / "conll2003", {"eng.train": CONLL2003, "test.txt": CONLL2003})
    with pytest.raises(InputError, match=r"conll2003: no file eng.testa or valid.txt"):
        load_tasks("conll2003", data_dir=tmp_path)


def conllu(*words):
    return "".join(f"{i}\t{word}\t_\t{word[0]}\t{word[-1]}\t_\t_\t_\t_\t_\n" for i, word in enumerate(words, 1)) + "\n"


def test_a_treebank_is_any_folder_of_conllu(tmp_path):
    train = "".join(conllu(f"ab{i}", f"ba{i}") for i in range(20))
    fill(tmp_path / "UD_Ido-X", {"io_x-ud-train.conllu": train, "io_x-ud-test.conllu": conllu("ab1", "b0")})
    for name in ("ud", "UD_Ido-X"):
        tasks = load_tasks(name, data_dir=tmp_path)
        assert list(tasks) == ["upos", "xpos"]
        assert tasks["upos"].task.labels == ("a", "b")
        assert (len(tasks["upos"].train), len(tasks["upos"].valid), len(tasks["upos"].test)) == (18, 2, 1)
    fill(tmp_path / "ud-ewt", {"train.txt": "a\tN\tNN\nb\tV\tVB\n", "dev.txt": "a\tN\tNN\n", "test.txt": "b\tV\tVB\n"})
    assert load_tasks("ud-ewt:xpos", data_dir=tmp_path)["xpos"].task.labels == ("NN", "VB")
    with pytest.raises(InputError, match="holds several treebanks; name one: UD_Ido-X, ud-ewt"):
        load_tasks("ud", data_dir=tmp_path)
    with pytest.raises(InputError, match="holds no folder 'ud-ewtt'"):
        load_tasks("ud-ewtt", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["tree bank", "a+b", "hindi.v2", "x:y"])
def test_a_treebank_lies_anywhere_and_may_have_no_xpos(tmp_path, name):
    train = "".join(conllu(f"ab{i}", f"ba{i}") for i in range(20))
    untagged = "\n".join(
        "\t".join([*fields[:4], "_", *fields[5:]]) if len(fields := line.split("\t")) == 10 else line
        for line in train.split("\n")
    )
    fill(tmp_path / name, {"x-ud-train.conllu": untagged, "x-ud-dev.conllu": untagged, "x-ud-test.conllu": untagged})
    tasks = load_tasks(f"{tmp_path / name}")
    assert list(tasks) == ["upos"]
    assert list(load_tasks(f"{tmp_path / name}:upos+planted:child1")) == ["upos", "child1"]
    with pytest.raises(InputError, match=r"unknown task of .* 'xpos'.*known: upos"):
        load_tasks(f"{tmp_path / name}:xpos")


def test_faults_of_a_treebank(tmp_path):
    fill(tmp_path / "ud", {"train.conllu": conllu("a", "b")})
    with pytest.raises(InputError, match=r"ud: no file \*test.conllu, and no \*test.txt"):
        load_tasks("ud", data_dir=tmp_path)
    fill(tmp_path / "ud", {"test.conllu": conllu("a"), "x-train.conllu": conllu("a")})
    with pytest.raises(InputError, match=r"2 files for train, expected one: train\.conllu, x-"):
        load_tasks("ud", data_dir=tmp_path)
    with pytest.raises(InputError, match="'ud' needs a data folder"):
        load_tasks("ud")


def test_intents_and_slots_of_two_sets_in_one_run(tmp_path):
    for name in ("atis", "snips"):
        for split in ("train", "dev", "test"):
            files = {
                "seq.in": f"{name} {split}\nx {name} {split}\n",
                "seq.out": "O B-a\nO B-a I-a\n",
                "label": "p\nq\n",
            }
            fill(tmp_path / name / split, files)
    tasks = load_tasks("atis+snips:slot,intent", data_dir=tmp_path)
    assert list(tasks) == ["atis.intent", "atis.slot", "snips.slot", "snips.intent"]
    assert [data.corpus for data in tasks.values()] == ["atis.intent+atis.slot"] * 2 + ["snips.slot+snips.intent"] * 2
    assert tasks["snips.intent"].train["label"][:] == [0, 1]
    assert tasks["snips.slot"].train["label"][:] == [[0, 1], [0, 1, 2]]
    parts = load_tasks("snips:slot+atis:intent+snips:intent", data_dir=tmp_path)
    assert [data.corpus for data in parts.values()] == ["slot+snips.intent", "atis.intent", "slot+snips.intent"]


def has(name):
    return pytest.mark.skipif(not (Path(DATA) / name).is_dir(), reason=f"GRAPHMTL_DATA has no {name}")


SICK = "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set\n"
SICK_ROWS = [
    ('1\tA "dog"\tA cat\tNEUTRAL\t2.5\tTRAIN', "train"),
    ("2\tNA\tnull\tENTAILMENT\t5\tTEST", "test"),
    ("3\tNo dog\tA dog\tCONTRADICTION\t1.0\tTRIAL", "valid"),
    ("4\tDogs\tA dog\tENTAILMENT\t4\tTRAIN", "train"),
    ("5\tNo dogs\tA dog\tCONTRADICTION\t3\tTRAIN", "train"),
]


def test_sick_has_two_layers_of_the_same_pairs(tmp_path):
    path = tmp_path / "sick" / "SICK.txt"
    fill(tmp_path / "sick", {"SICK.txt": SICK + "".join(f"{row}\n" for row, _ in SICK_ROWS)})
    relatedness, entailment = load_tasks("sick", data_dir=tmp_path).values()
    assert relatedness.corpus == entailment.corpus == "relatedness+entailment"
    for split in ("train", "valid", "test"):
        rows = [row.split("\t") for row, own in SICK_ROWS if own == split]
        ours, theirs = getattr(relatedness, split), getattr(entailment, split)
        assert ours["text"][:] == theirs["text"][:] == [row[1] for row in rows]
        assert ours["text_pair"][:] == theirs["text_pair"][:] == [row[2] for row in rows]
        assert ours["label"][:] == [float(row[4]) for row in rows]
        assert [entailment.task.labels[label].upper() for label in theirs["label"]] == [row[3] for row in rows]
    path.write_text(path.read_text().replace("\t2.5\t", "\t0.9\t"))
    with pytest.raises(InputError, match=r"SICK\.txt, line 2: score '0\.9', expected a number from 1 to 5"):
        load_tasks("sick", data_dir=tmp_path)


@has("sick")
def test_sick_as_published():
    for data in load_tasks("sick", data_dir=DATA).values():
        assert (len(data.train), len(data.valid), len(data.test)) == (4439, 495, 4906)


PUBLISHED = [
    ("conll2000", {"pos": 44, "chunk": 23}, (8436, 500, 2012)),
    ("wnut17", {"ner": 13}, (3394, 1009, 1287)),
    ("ud-ewt", {"upos": 17, "xpos": 50}, (12543, 2002, 2077)),
    ("gum", {"upos": 17, "xpos": 46, "entity": 21, "s_type": 11}, (10224, 1575, 1464)),
    ("atis", {"intent": 26, "slot": 127}, (4478, 500, 893)),
    ("snips", {"intent": 7, "slot": 72}, (13084, 700, 700)),
]


@pytest.mark.parametrize(
    ("name", "labels", "sizes"), [pytest.param(*each, marks=has(each[0]), id=each[0]) for each in PUBLISHED]
)
def test_published_tagging_sets_have_their_published_sizes(name, labels, sizes):
    tasks = load_tasks(name, data_dir=DATA)
    assert {task: len(data.task.labels) for task, data in tasks.items()} == labels
    first = next(iter(tasks.values()))
    for data in tasks.values():
        assert (len(data.train), len(data.valid), len(data.test)) == sizes
        assert data.test["tokens"][:50] == first.test["tokens"][:50]
        spans = data.task.name in ("chunk", "ner", "entity", "slot")
        assert bool(data.task.of_kind.spans) == spans
        assert data.task.metrics[0] == ("span_f1" if spans else "accuracy")
        if data.task.of_kind.labels_tokens:
            assert all(len(row["label"]) == len(row["tokens"]) for row in data.test.select(range(50)))


@pytest.fixture(scope="module")
def reviews():
    return load_tasks("fdu-mtl", data_dir=DATA)


@needs_fdu_mtl
def test_fdu_mtl_has_the_overlap_that_is_known(reviews):
    overlap = reviews.overlap
    assert len(overlap) == 16
    assert sum(each.test_in_own for each in overlap.values()) == 539
    known = {"magazines": 169, "video": 99, "camera_photo": 72, "software": 62}
    assert {name: overlap[name].test_in_own for name in known} == known
    assert sum(each.repeated for each in overlap.values()) == pytest.approx(1250, abs=10)
    assert (overlap["sports_outdoors"].empty, sum(each.empty for each in overlap.values())) == (1, 1)
    assert sum(len(data.train) + data.overlap.dropped for data in reviews.values()) == 22_180
    assert all((len(data.valid), len(data.test)) == (200, 400) for data in reviews.values())
    assert all(set(data.test["label"]) == {0, 1} for data in reviews.values())


@needs_fdu_mtl
def test_a_domain_alone_has_the_same_splits_as_among_all(reviews, tmp_path):
    (tmp_path / "fdu-mtl").mkdir()
    for split in ("train", "test"):
        shutil.copy(Path(DATA) / "fdu-mtl" / f"books.task.{split}", tmp_path / "fdu-mtl")
    alone = load_tasks("fdu-mtl:books", data_dir=tmp_path)["books"]
    assert columns(alone.valid) == columns(reviews["books"].valid)
    assert columns(alone.train) == columns(reviews["books"].train)


@needs_fdu_mtl
def test_nearly_all_words_of_fdu_mtl_stay_as_they_are(reviews):
    words = Counter(word for data in reviews.values() for text in data.train["text"] for word in text.split())
    changed = sum(count for word, count in words.items() if tokenize(word) != [word])
    assert changed / words.total() < 0.005


@needs_fdu_mtl
@needs_vectors
def test_the_vectors_cover_fdu_mtl(reviews):
    vectors = read_vectors(next((Path(DATA) / "vectors").glob("*.gz")))
    assert vectors.matrix.shape == (len(vectors.words), 100)
    vocabulary = Vocabulary.build(text for data in reviews.values() for text in data.train["text"])
    assert coverage(vocabulary.counts, vectors).tokens > 0.98
