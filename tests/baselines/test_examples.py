"""Labelled examples, and what was said of them as predictions."""

import numpy as np

from graphmtl.baselines.examples import Examples, Said
from tests.baselines.of_kinds import of_kind


def test_rows_without_a_label_are_left_out():
    for kind, data in of_kind("text-classification", "regression", "token-classification", "multi-label").items():
        examples, whole = Examples(data, "valid"), data.valid
        assert len(examples) == len(whole) - 1
        assert examples.rows["row"] == [row for i, row in enumerate(whole["row"]) if i != 3], kind


def test_answers_of_tokens_are_cut_to_their_texts():
    examples = Examples(of_kind("token-classification")["token-classification"], "test")
    answers = np.arange(len(examples.values))
    found = examples.predictions(Said(answers, None, np.zeros(len(examples))))
    assert np.concatenate(found.answers).tolist() == answers.tolist()
    assert [*map(len, found.answers)] == [*map(len, examples.rows["tokens"])] == examples.lengths.tolist()
    assert found.seen.tolist() == examples.rows["seen"]


def test_places_of_words_are_answers_in_their_context():
    examples = Examples(of_kind("question-answering")["question-answering"], "test")
    found = examples.predictions(Said(examples.values, None, np.zeros(len(examples))))
    assert [own[0] for own in found.answers] == [own[0] for own in found.labels]
    none = examples.predictions(Said(np.zeros_like(examples.values), None, np.zeros(len(examples))))
    assert {*map(len, none.answers)} == {0}


def test_moments_are_those_of_the_labels():
    examples = Examples(of_kind("regression")["regression"], "train")
    assert examples.moments() == (examples.values.mean(dtype=np.float64), examples.values.std(dtype=np.float64))
