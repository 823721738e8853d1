import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphmtl.data.few_examples import NO_SELECTION, draw_examples
from graphmtl.data.loading import load_tasks
from graphmtl.data.overlap import normalise
from graphmtl.errors import InputError
from tests.tagging import tagging_tasks

TASKS = tagging_tasks("plain", "pos", "ner", size=400, missing=0.3)


def texts(data):
    """The texts of the training and of the validation split."""
    column = "text" if "text" in data.train.column_names else "tokens"
    return [
        [normalise(x if isinstance(x, str) else " ".join(x)) for x in rows[column]] for rows in (data.train, data.valid)
    ]


def drawn(examples, draw, *names):
    return draw_examples({name: TASKS[name] for name in names}, examples, draw=draw)


@settings(max_examples=5)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
@example(53, 55, 0)
def test_draws_are_nested_and_count_validation(a, b, draw):
    few, many = sorted((a, b))
    for name in ("plain", "pos"):
        small, large = (texts(drawn(n, draw, name)[name]) for n in (few, many))
        assert [sum(map(len, own)) for own in (small, large)] == [few, many]
        assert {*small[0], *small[1]} <= {*large[0], *large[1]}
        keys = [key for own in large for key in own if key]  # a text without letters equals no other
        assert len(set(keys)) == len(keys)
        if few > NO_SELECTION:
            assert all(set(ours) <= set(theirs) for ours, theirs in zip(small, large, strict=True))


@pytest.mark.parametrize(("examples", "valid"), [(NO_SELECTION, 0), (51, 10), (60, 12)])
def test_a_fifth_is_for_validation_where_there_are_enough(examples, valid):
    train, held_out = map(len, texts(drawn(examples, 0, "plain")["plain"]))
    assert train + held_out == examples
    assert held_out - valid in ((0,) if examples % 5 == 0 else (0, 1))  # the next five is not whole


def test_labels_have_their_shares_in_every_number():
    rows = TASKS["plain"].train
    whole = {normalise(text) or str(i): label for i, (text, label) in enumerate(zip(*rows[:].values(), strict=True))}
    share = sum(whole.values()) / len(whole)
    for examples in (1, 2, 3, 7, 20, 50):
        labels = drawn(examples, 1, "plain")["plain"].train["label"]
        assert abs(sum(labels) - share * examples) <= 1


def test_draws_differ_and_tasks_of_a_corpus_get_the_same_sentences():
    layers = drawn(30, 0, "pos", "ner")
    assert texts(layers["pos"]) == texts(layers["ner"])
    assert texts(layers["pos"]) != texts(drawn(30, 1, "pos", "ner")["pos"])


def test_all_leaves_the_splits_and_too_many_are_an_error():
    assert drawn(None, 0, "plain")["plain"] is TASKS["plain"]
    for examples in (0, 1000):
        with pytest.raises(InputError, match=f"task plain: {examples} examples asked for, expected 1 to "):
            drawn(examples, 0, "plain")


def test_texts_without_a_score_are_not_drawn():
    scores = [None if i % 2 else i + 0.5 for i in range(60)]
    rows = {"text": [f"text {i}" for i in range(60)], "label": scores}
    data = load_tasks({"prices": {"data": rows, "kind": "regression"}})
    few = draw_examples(data, 12, draw=0)["prices"]
    assert len(few.train) == 12
    assert all(score == score for score in few.train["label"])


def test_a_text_is_drawn_where_one_without_a_label_equals_it():
    rows = {"text": ["a film", "A film", "a film", "a book"], "label": [None, 1.5, 2.5, 3.5]}
    data = load_tasks({"prices": {"data": rows, "kind": "regression", "valid": rows, "test": rows}})
    assert sorted(draw_examples(data, 2, draw=0)["prices"].train["label"]) == [1.5, 3.5]
