from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmtl.data.source import Corpus, Source
from graphmtl.data.splits import build
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError
from graphmtl.kinds.tagging import LinearTagHead


def sentences(*rows, source="a.conll", s_type=None):
    """Sentences of (tokens, pos, ner), each a text with spaces."""
    tokens, pos, ner = ([row[i].split() for row in rows] for i in range(3))
    first = np.cumsum([1, *(len(each) + 1 for each in tokens)]).tolist()
    comments = [None if kind == "_" else kind for kind in s_type or ["_"] * len(rows)]
    return Table(
        source=source,
        columns={"word": tokens, "pos": pos, "ner": ner, "# s_type": comments},
        lines=[list(range(start, start + len(each))) for start, each in zip(first, tokens, strict=False)],
    )


TRAIN = sentences(
    ("Ann sings", "N V", "I-P O"), ("no", "X", "O"), ("Ann Bob", "N _", "I-P B-P"), s_type=["decl", "_", "q"]
)
VALID = sentences(("Bob sings", "N V", "I-P _"), ("why", "X", "O"), source="v.conll", s_type=["decl", "q"])
TEST = sentences(("Ann , no", "N , X", "I-P O I-L"), source="t.conll", s_type=["frag"])


def layer(label, corpus, **fields):
    kind = "text-classification" if label.startswith("#") else "token-classification"
    task = {key: fields.pop(key) for key in ("labels", "metrics", "positive") if key in fields}
    name = label.removeprefix("# ")
    task = Task(name=name, kind=kind, text=("word",), label=label, tokens=True, **task)
    return Source(task=task, corpus=corpus, **fields)


def corpus(train=TRAIN, valid=VALID, test=TEST, name="gum"):
    return Corpus(name=name, train=train, valid=valid, test=test, texts=(("word",),))


def load(*layers, seed=0, keep_overlap=False, **others):
    sources = {each.task.name: each for each in layers} | others
    return {data.task.name: data for data in build(sources, seed=seed, keep_overlap=keep_overlap)}


def test_layers_of_one_corpus_have_the_same_rows():
    whole = corpus()
    data = load(*(layer(label, whole) for label in ("pos", "ner", "# s_type")))
    assert {each.corpus for each in data.values()} == {"pos+ner+s_type"}
    for each in data.values():
        assert each.train["tokens"][:] == TRAIN["word"]
        assert each.train.column_names == ["tokens", "row", "label"]
        assert each.test.column_names == ["tokens", "row", "seen", "label"]
    assert data["ner"].task.labels == ("O", "B-L", "B-P")
    assert data["ner"].train["label"][:] == [[2, 0], [0], [2, 2]]
    assert data["ner"].task.metrics == ("span_f1", "span_precision", "span_recall")
    assert data["ner"].task.of_kind.is_spans
    assert data["pos"].task.labels == (",", "N", "V", "X")
    assert data["pos"].task.metrics == ("accuracy",)
    assert data["s_type"].task.labels == ("decl", "frag", "q")


def test_what_is_missing_is_masked():
    whole = corpus()
    data = load(*(layer(label, whole) for label in ("pos", "ner", "# s_type")))
    assert data["pos"].train["label"][2] == [1, -100]
    assert data["ner"].valid["label"][0] == [2, -100]
    assert data["s_type"].train["label"][:] == [0, -100, 2]


def test_a_layer_alone_is_its_own_corpus_and_two_corpora_stay_two():
    assert load(layer("pos", corpus()))["pos"].corpus == "pos"
    data = load(layer("pos", corpus()), layer("ner", corpus(name="other")))
    assert [each.corpus for each in data.values()] == ["pos", "ner"]
    whole = corpus()
    data = load(layer("pos", whole), layer("ner", whole, scheme="iob1"))
    assert [each.corpus for each in data.values()] == ["pos+ner"] * 2


def many(n, offset=0, source="a.conll"):
    return sentences(*((f"word{i + offset} x", "N V" if i % 2 else "V N", "B-P O") for i in range(n)), source=source)


@settings(max_examples=15)
@given(st.integers(0, 5), st.floats(0.1, 0.5) | st.integers(1, 15))
def test_a_cut_is_the_same_for_every_layer_whoever_else_is_there(seed, size):
    cut = corpus(train=many(40), valid=size, test=5)
    both = load(layer("pos", cut), layer("ner", cut), seed=seed)
    alone = load(layer("ner", cut), seed=seed)["ner"]
    for split in ("train", "valid", "test"):
        rows = [getattr(data, split)["tokens"][:] for data in (both["pos"], both["ner"], alone)]
        assert rows[0] == rows[1] == rows[2]
    texts = [tokens for split in (alone.train, alone.valid, alone.test) for tokens in split["tokens"]]
    assert sorted(texts) == sorted(many(40)["word"])


def test_a_corpus_is_cleaned_once_and_of_other_corpora_only():
    text = Table(source="x.tsv", columns={"text": ["Word7  X", "other"], "label": ["a", "b"]})
    reviews = Source(task=Task(name="reviews"), corpus=Corpus(name="reviews", train=text, valid=text, test=text))
    two = corpus(train=many(20), valid=many(3, 100), test=many(4, 18))
    data = load(layer("pos", two), layer("ner", two), reviews=reviews)
    for name in ("pos", "ner"):
        assert len(data[name].train) == 19
        assert ["word7", "x"] not in data[name].train["tokens"][:]
        assert data[name].test["seen"][:] == [True, True, False, False]
        assert (data[name].overlap.dropped, data[name].overlap.test_in_own) == (1, 2)
    assert data["reviews"].overlap.test_in_others == 1
    kept = load(layer("pos", two), layer("ner", two), reviews=reviews, keep_overlap=True)
    assert len(kept["ner"].train) == 20


def test_labels_and_names_of_a_layer():
    data = load(layer("# s_type", corpus(), labels=("q", "frag", "decl"), names={"q": "question"}))["s_type"]
    assert data.task.labels == ("question", "frag", "decl")
    assert data.train["label"][:] == [2, -100, 0]
    data = load(layer("ner", corpus(), metrics=("accuracy",), default_metrics=False))["ner"]
    assert data.task.metrics == ("accuracy",)
    assert data.task.of_kind.is_spans
    data = load(layer("ner", corpus(), scheme="none"))["ner"]
    assert data.task.labels == ("O", "I-L", "B-P", "I-P")
    assert data.task.metrics == ("accuracy",)
    assert not data.task.of_kind.is_spans
    assert Task.from_dict(data.task.to_dict()) == data.task
    head = data.task.of_kind.head(input_size=3, dropout=0.0, tag_head="auto")
    assert isinstance(head, LinearTagHead)
    assert load(layer("ner", corpus(), scheme="none", metrics=("macro_f1", "f1:I-L"), default_metrics=False))
    assert load(layer("pos", corpus(), scheme="none"))["pos"].task.scheme is None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            layer("ner", corpus(test=sentences(("a b", "N V", "O B_P"), source="t.conll"))),
            r"^t.conll, line 2: tag 'B_P' is outside the scheme iob",
        ),
        (layer("ner", corpus(), scheme="bioes", labels=("O", "B-P")), r"t.conll, line 3: label 'B-L' is not among"),
        (
            layer("ner", corpus(train=sentences(("a b c d", "N N V V", "B-P I-P S-P O"))), scheme="iob2"),
            r"^a.conll, line 3: tag 'S-P' is outside the scheme iob2",
        ),
        (layer("pos", corpus(), labels=("N", "V", ",")), r"^a.conll, line 4: label 'X' is not among"),
        (layer("pos", corpus(), labels=("N", "V", "X")), r"^t.conll, line 2: label ',' is not among"),
        (layer("# s_typ", corpus()), r"a.conll: unknown key of a comment 's_typ'; did you mean 's_type'"),
        (layer("nre", corpus()), r"a.conll: unknown column 'nre'; did you mean 'ner'"),
        (
            layer("pos", corpus(train=sentences(("a b", "N N", "O O")))),
            r"a.conll .train.: every label is 'N', two are needed",
        ),
        (
            layer("pos", corpus(valid=sentences(("a", "_", "O"), source="v"))),
            r"^v .valid.: no row has a label in 'pos'",
        ),
        (layer("pos", corpus(valid=3)), r"a.conll: cannot cut a valid split of 3 off 3 examples"),
        (
            layer("pos", corpus(), metrics=("span_f1",), default_metrics=False),
            r"metric of task 'pos' 'span_f1': its tags",
        ),
    ],
)
def test_faults(made, message):
    with pytest.raises(InputError, match=message) as error:
        load(made)
    assert "\n" not in str(error.value)


def test_a_positive_label_has_its_name():
    fields = {"metrics": ("f1",), "default_metrics": False, "names": {"q": "question"}, "where": "my.yaml, line 3"}
    splits = {"valid": TRAIN, "test": TRAIN}
    (data,) = load(layer("# s_type", corpus(**splits), positive="q", **fields), keep_overlap=True).values()
    assert (data.task.labels, data.task.positive) == (("decl", "question"), "question")
    with pytest.raises(InputError, match=r"^my.yaml, line 3: unknown positive label of task 's_type' 'z'"):
        load(layer("# s_type", corpus(**splits), positive="z", **fields), keep_overlap=True)


def test_training_that_stands_in_anothers_test_split_altogether():
    with pytest.raises(InputError, match="every training example stands in a held-out split of another task"):
        load(layer("pos", corpus(name="one", test=TRAIN)), layer("ner", corpus(name="two")))


def retagged(old, change):
    ner = [[tag if tag in ("O", "_") else change(tag) for tag in tags] for tags in old.columns["ner"]]
    return replace(old, columns={**old.columns, "ner": ner})


LONGER = sentences(("Ann Lee sings", "N N V", "B-P I-P O"), ("Rome Bay", "N N", "B-L I-L"), ("no", "X", "O"))


@pytest.mark.parametrize("spell", [lambda tag: tag.replace("-", "_"), lambda tag: "-".join(tag.split("-")[::-1])])
def test_spans_in_another_spelling_are_the_same_task(spell):
    usual = load(layer("ner", corpus(train=LONGER)))["ner"]
    splits = {"train": LONGER, "valid": VALID, "test": TEST}
    spelled = {name: retagged(split, spell) for name, split in splits.items()}
    with pytest.warns(DataWarning, match="are read as spans, B-L; `scheme: none` takes them for classes"):
        other = load(layer("ner", corpus(**spelled)))["ner"]
    assert (other.task.labels, other.task.metrics) == (usual.task.labels, usual.task.metrics)
    assert other.train["label"][:] == usual.train["label"][:]


@pytest.mark.parametrize(
    ("scheme", "given", "found"),
    [
        ("iob1", ("O", "I-P", "I-L"), ("O", "B-P", "I-P", "B-L", "I-L")),
        (None, ("I-L", "B-L", "O", "I-P", "B-P"), ("I-L", "B-L", "O", "I-P", "B-P")),
        ("bioes", ("B-P", "I-P", "E-P", "S-P", "O", "S-L", "E-L"), ("B-P", "I-P", "O", "B-L", "I-L")),
        ("iob2", ("O", "B-P", "I-P", "B-L"), ("O", "B-P", "I-P", "B-L")),
    ],
)
def test_labels_that_are_named_in_the_scheme_of_the_data_become_iob2_with_it(scheme, given, found):
    def written(tag):
        return {"bioes": {"I-P": "S-P", "B-P": "S-P", "I-L": "S-L"}, "iob2": {"I-P": "B-P", "I-L": "B-L"}}.get(
            str(scheme), {}
        ).get(tag, tag)

    splits = {name: retagged(split, written) for name, split in {"train": TRAIN, "valid": VALID, "test": TEST}.items()}
    own = load(layer("ner", corpus(**splits), scheme=scheme, labels=given))["ner"].task
    assert (own.labels, own.metrics[0]) == (found, "span_f1")


def test_spans_in_another_spelling_stay_as_they_are_where_that_is_asked_for():
    spelled = {
        name: retagged(split, lambda tag: tag.replace("-", "_"))
        for name, split in {"train": LONGER, "valid": VALID, "test": TEST}.items()
    }
    for asked in ({"scheme": "none"}, {"labels": ("O", "B_P", "I_P", "B_L", "I_L")}):
        data = load(layer("ner", corpus(**spelled), **asked))["ner"]
        assert set(data.task.labels) == {"O", "B_P", "I_P", "B_L", "I_L"}


def test_tags_that_only_look_like_spans_are_named():
    spelled = {
        name: retagged(split, str.lower) for name, split in {"train": LONGER, "valid": VALID, "test": TEST}.items()
    }
    with pytest.warns(
        DataWarning, match=r"a.conll: tags of 'ner' such as b-l, b-p, i-l are taken for classes, not for"
    ):
        data = load(layer("ner", corpus(**spelled)))["ner"]
    assert data.task.metrics == ("accuracy",)
