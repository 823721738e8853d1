"""The head that answers questions, its loss, its decoding and its places in characters."""

import random
import string
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from graphmtl.data.batching import Batch, encode_tasks
from graphmtl.data.loading import load_tasks
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.kinds.span import LONGEST, SpanHead, SpanLabels
from graphmtl.models.transformer import load_subwords
from graphmtl.training.evaluation import score
from tests.parts import model_options, predictions_of
from tests.questions import COLUMNS

QA = Task(name="qa", kind="question-answering", text=("question", "context"), label="answers")
UNSEEN = -100


def batch_of(lengths, between):
    """Texts of these lengths whose separator stands at these places."""
    tokens = torch.full((len(lengths), max(lengths)), 5)
    tokens[range(len(lengths)), between] = 2
    return Batch(("qa",), tokens, torch.tensor(lengths), None, torch.ones(len(lengths)))


def head_and_logits(lengths=(7, 4, 9), between=(2, 1, 4)):
    torch.manual_seed(0)
    head = SpanHead(input_size=3, dropout=0.0).double()
    states = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    batch = batch_of(list(lengths), list(between))
    return head, head.within(head(states), batch), batch


def test_no_answer_stands_in_the_question_or_at_padding():
    _, logits, batch = head_and_logits()
    assert batch.between.tolist() == [2, 1, 4]
    for own, length, between in zip(logits, (7, 4, 9), (2, 1, 4), strict=True):
        assert own[between:length].isfinite().all()
        assert own[:between].isneginf().all()
        assert own[length:].isneginf().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_mean_of_both_cross_entropies_over_the_places_of_the_context(smoothing):
    head, logits, _ = head_and_logits()
    labels = torch.tensor([[3, 5], [1, 1], [UNSEEN, UNSEEN]])
    losses = head.losses(logits, labels, None, label_smoothing=smoothing)
    for i, (length, between) in enumerate([(7, 2), (4, 1)]):
        inside = logits[i, between:length]  # (places, 2)
        expected = [
            F.cross_entropy(inside[:, side], labels[i, side] - between, label_smoothing=smoothing).item()
            for side in (0, 1)
        ]
        assert losses[i].item() == pytest.approx(sum(expected) / 2, abs=1e-12)
    assert losses[2].item() == 0
    assert head.counts(labels).tolist() == [True, True, False]
    losses.sum().backward()
    assert head.linear.weight.grad.isfinite().all()
    assert head.linear.weight.grad.any()


def every_span(logits, length, between):
    """All spans of a text with their scores, by brute force: no answer, and those of the context."""
    first, last = logits[:, 0].tolist(), logits[:, 1].tolist()
    found = {(between, between): first[between] + last[between]}
    for start in range(between + 1, length):
        for end in range(start, min(start + LONGEST, length)):
            found[start, end] = first[start] + last[end]
    return found


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_answer_is_the_best_of_all_spans(seed):
    rng = random.Random(seed)
    lengths = [rng.randint(3, 50) for _ in range(4)]
    between = [rng.randint(0, length - 2) for length in lengths]
    torch.manual_seed(seed)
    batch, head = batch_of(lengths, between), SpanHead(input_size=2, dropout=0.0)
    logits = head.within(torch.randn(4, max(lengths), 2).double() * 3, batch)
    answers, margins = head.answers(logits, None), head.margins(logits, batch.lengths)
    probabilities = head.probabilities(logits)
    for i, (length, place) in enumerate(zip(lengths, between, strict=True)):
        spans = every_span(logits[i], length, place)
        best = max(spans, key=spans.get)
        assert tuple(answers[i].tolist()) == best
        rest = sorted(spans.values())
        assert margins[i].item() == pytest.approx(rest[-1] - rest[-2], abs=1e-9)
        shares = logits[i].softmax(0)  # (tokens, 2)
        assert probabilities[i].item() == pytest.approx((shares[best[0], 0] * shares[best[1], 1]).item(), abs=1e-9)


def test_an_answer_is_right_where_both_ends_are():
    head = SpanHead(input_size=2, dropout=0.0)
    answers, labels = (
        torch.tensor([[1, 2], [1, 2], [1, 2], [0, 0]]),
        torch.tensor([[1, 2], [1, 3], [UNSEEN] * 2, [0, 0]]),
    )
    assert head.right(answers, labels).tolist() == [1, 0, 0, 1]


def test_two_text_columns_are_needed():
    with pytest.raises(InputError, match="'qa' of kind question-answering has 1 text column, expected two"):
        Task(name="qa", kind="question-answering")
    with pytest.raises(InputError, match="accuracy"):
        Task(name="qa", kind="question-answering", text=("q", "c"), metrics=("accuracy",))


# ---------------------------------------------------------------------------------------------- places in characters

CONTEXT = "e\u0301t\u00e9  👩‍🚀🙂 in   Málaga, 1999!"
ANSWERS = ["e\u0301t\u00e9", "👩‍🚀", "🙂 in", "Málaga", "1999", "in   Málaga, 1999!", CONTEXT]


def rows_of(contexts, answers, question="where ?"):
    return [
        {"question": question, "context": context, "answers": own}
        for context, own in zip(contexts, answers, strict=True)
    ]


def given_at(text, context=CONTEXT):
    return {"text": [text], "answer_start": [context.index(text)]}


def encoded(rows, vocabulary, **options):
    """The training split of a task on these rows."""
    other = rows_of(["other words"], [{"text": ["words"], "answer_start": [6]}])
    tasks = load_tasks({"qa": {"train": rows, "valid": other, "test": other, **COLUMNS}})
    return encode_tasks(tasks, vocabulary, model_options(**options))["qa"].train


def vocabularies(transformer):
    return [(Vocabulary.build([CONTEXT, "where ?"]), {}), (load_subwords(transformer("bert")), {"encoder": "bert"})]


@pytest.mark.parametrize("which", [0, 1])
def test_an_answer_stands_at_its_characters(which, transformer):
    vocabulary, options = vocabularies(transformer)[which]
    rows = rows_of([CONTEXT] * len(ANSWERS), map(given_at, ANSWERS))
    labels = encoded(rows, vocabulary, **options).labels["qa"]
    expected = [[{"text": text, "answer_start": CONTEXT.index(text)}] for text in ANSWERS]
    assert labels.rows().tolist() == expected
    assert labels.as_rows(labels.values).tolist() == expected
    batch = encoded(rows, vocabulary, **options).batch(range(len(rows)))
    words = vocabulary.split("where ?", CONTEXT)
    assert batch.lengths.tolist() == [len(words)] * len(rows)
    assert [words[i] for i in batch.between.tolist()] == ["<sep>"] * len(rows)
    firsts = [words[first] for first, _ in batch.labels["qa"].tolist()]
    assert all(text.startswith(first) for text, first in zip(ANSWERS, firsts, strict=True))


def test_no_answer_is_the_token_between_and_of_no_label_nothing():
    rows = rows_of(["a b c", "a b c", "b"], [{"text": [], "answer_start": []}, None, given_at("b", "b")])
    split = encoded([*rows, *rows_of(["x"], [[]])], Vocabulary.build(["a b c where ?"]))
    assert split.labels["qa"].values.tolist() == [[2, 2], [3, 3], [2, 2]]  # the row without a label is not learned
    labels = split.labels["qa"]
    assert labels.as_rows(labels.values).tolist() == [[], [{"text": "b", "answer_start": 0}], []]
    assert labels.as_rows(np.array([[2, 2], [2, 2], [3, 3]])).tolist() == [[], [], [{"text": "x", "answer_start": 0}]]


def test_an_answer_inside_a_word_is_widened_which_is_said():
    context = "the bookshop's owner"
    rows = rows_of([context] * 2, [given_at("book", context), given_at("owner", context)])
    with pytest.warns(UserWarning, match="qa, train: 1 answers begin or end inside a word, and are widened"):
        labels = encoded(rows, Vocabulary.build([context])).labels["qa"]
    assert labels.as_rows(labels.values).tolist() == [
        [{"text": "bookshop", "answer_start": 4}],
        [{"text": "owner", "answer_start": 15}],
    ]
    assert labels.rows()[0] == [{"text": "book", "answer_start": 4}]


def test_a_long_answer_is_said():
    context = " ".join("abcdefghij" * 4)
    rows = rows_of([context, "a"], [given_at(context, context), given_at("a", "a")])
    with pytest.warns(UserWarning, match="qa, train: 1 answers have more than 30 words"):
        encoded(rows, Vocabulary.build([context]))


def test_spaces_around_an_answer_are_no_part_of_it():
    labels = SpanLabels(
        [[{"text": " b ", "answer_start": 1}]], ["a b c"], [[(0, 1), (2, 3), (4, 5)]], np.array([6]), where="x"
    )
    assert labels.values.tolist() == [[4, 4]]
    with pytest.raises(InputError, match=r"x, row 1: no word of the context stands in the answer ' '"):
        SpanLabels([[{"text": " ", "answer_start": 1}]], ["a b"], [[(0, 1), (2, 3)]], np.array([5]), where="x")


# ---------------------------------------------------------------------------------------------------------- answers


def answer_list(text):
    return [{"text": text, "answer_start": 0}] if text else []


def test_scores_are_those_of_squads_script():
    """Hand-made: articles, case and punctuation play no part; the best of several answers counts; none is an answer."""
    cases = [
        (["the Duke"], "Duke!", 1, 1),
        (["in 1999", "1999"], "1999", 1, 1),
        (["a good old film"], "good film", 0, 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        ([], "", 1, 1),
        ([], "something", 0, 0),
        (["something"], "", 0, 0),
    ]
    labels, answers = (np.empty(len(cases), dtype=object) for _ in range(2))
    for i, (gold, answer, _, _) in enumerate(cases):
        labels[i], answers[i] = [each for text in gold for each in answer_list(text)], answer_list(answer)
    found = score(QA, predictions_of(labels, answers))
    assert found["exact_match"] == pytest.approx(np.mean([exact for *_, exact, _ in cases]))
    assert found["token_f1"] == pytest.approx(np.mean([f1 for *_, f1 in cases]))
    assert QA.metrics == ("token_f1", "exact_match")


def test_answers_in_words():
    kind = QA.of_kind
    found = kind.answer([{"text": "été", "answer_start": 4}], [0.25], [])
    assert found == {"answer": "été", "start": 4, "end": 7, "probability": 0.25}
    none = kind.answer([], [0.5], [])
    assert none == {"answer": "", "start": None, "end": None, "probability": 0.5}
    assert (kind.short(found), kind.short(none)) == (("été", 0.25), ("no answer", 0.5))
    assert kind.cells(kind.blank("")) == dict.fromkeys(("answer", "start", "end", "probability"))
    assert kind.short_label([]) == "no answer"
    assert kind.short_label([{"text": "x", "answer_start": 0}, {"text": "y", "answer_start": 1}]) == "x"


def test_a_question_without_a_context_has_no_answer():
    found = QA.of_kind.located(torch.tensor([[2, 2], [1, 1]]), [("who", " "), ("who", "a b")], Vocabulary.build(["a"]))
    assert found == [[], []]


def test_shuffled_labels_are_words_of_the_context_that_has_them():
    rng = random.Random(0)
    contexts = [" ".join(rng.choices(string.ascii_lowercase, k=rng.randint(1, 9))) for _ in range(40)]
    labels = [[{"text": context[:3], "answer_start": 0}] for context in contexts]
    labels[0], labels[1] = [], None
    shuffled = labels[::-1]
    moved = QA.of_kind.relabelled(shuffled, labels, {"text_pair": contexts})
    assert [own if not own else len(own) for own in moved] == [own if not own else len(own) for own in shuffled]
    for context, own in zip(contexts, moved, strict=True):
        for each in own or []:
            assert context[each["answer_start"] :].startswith(each["text"])
            assert each["text"].strip() == each["text"] != ""
    assert QA.of_kind.strata([[], None, [SimpleNamespace()]]) == [False, False, True]
