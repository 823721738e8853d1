import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.loading import load_tasks
from graphmtl.data.source import Corpus, Source
from graphmtl.data.splits import build
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError
from graphmtl.kinds.multi_label import MultiLabelHead, best_threshold
from graphmtl.metrics.answered import Answered
from graphmtl.metrics.named import compute, metrics_of
from graphmtl.models.predictions import ModelOutput
from tests.parts import predictions_of

MOOD = Task(name="mood", kind="multi-label", labels=("anger", "fear", "joy"))
SETS = [["joy"], [], ["fear", "joy"], None, ["anger"]]
ROWS = [[0, 0, 1], [0, 0, 0], [0, 1, 1], None, [1, 0, 0]]


def load(train, *, test=(["joy"],), valid=(["joy"],), names=(), named=None, **fields):
    """The task whose splits have these labels; ``names`` the column declares, ``named`` are the task's for labels."""
    declared = {"label": names} if names else {}
    tables = {
        split: Table(
            source=f"{split}.jsonl",
            columns={"text": [f"{split} {i}" for i in range(len(labels))], "label": [*labels]},
            names=declared,
        )
        for split, labels in (("train", train), ("valid", valid), ("test", test))
    }
    own = {key: fields.pop(key) for key in ("labels", "separator") if key in fields}
    task = Task(name="mood", kind="multi-label", **own)
    source = Source(task=task, corpus=Corpus(name="mood", **tables), names=named or {}, **fields)
    (data,) = build({"mood": source}, seed=0, keep_overlap=False)
    return data


def rows(data, split="train"):
    return [*data.splits[split]["label"]]


# Labels


@pytest.mark.parametrize(
    ("labels", "fields"),
    [
        (SETS, {}),
        ([["joy "], [], ("joy", "fear"), None, ["anger"]], {}),
        (["joy", "[]", "fear ,joy,", "", '["anger"]'], {"separator": ","}),
        (["joy", "[]", "joy || fear", float("nan"), "anger"], {"separator": "||"}),
        (["['joy']", "[]", "['fear', 'joy']", "none", '["anger"]'], {"missing": ("none",)}),
        ([["joy"], [], ["fear", "joy"], ["-"], ["anger"]], {"missing": ("-",)}),
        (ROWS, {"labels": ("anger", "fear", "joy")}),
        ([[False, False, True], [0, 0, 0], [0.0, 1.0, 1.0], None, [1, 0, 0]], {"labels": ("anger", "fear", "joy")}),
        (["0,0,1", "0,0,0", "0,1,1", None, "1,0,0"], {"labels": ("anger", "fear", "joy"), "separator": ","}),
        ([[2], [], [1, 2], None, [0]], {"names": ("anger", "fear", "joy")}),
        (
            [[7], [], ["3", 7], None, [0]],
            {"labels": ("0", "3", "7"), "named": {"0": "anger", "3": "fear", "7": "joy"}},
        ),
    ],
)
def test_every_way_of_writing_labels_is_the_same_task(labels, fields):
    data = load(labels, test=labels[:1], valid=labels[:1], **fields)
    assert data.task.labels == ("anger", "fear", "joy")
    assert rows(data) == ROWS
    assert rows(data, "test") == rows(data, "valid") == [[0, 0, 1]]
    assert data.unlabelled == {"train": 1}
    assert data.task.metrics == ("micro_f1", "macro_f1")


@pytest.mark.parametrize(
    ("labels", "fields", "message"),
    [
        (["joy", "fear"], {}, r"^train.jsonl, line 1: labels 'joy', expected a list of labels; the key `separator`"),
        ([["joy"], 3], {}, r"^train.jsonl, line 2: labels 3, expected a list of labels; the key `separator` says"),
        ([["joy"], 3], {"separator": ","}, r"^train.jsonl, line 2: labels 3, expected a list of labels$"),
        ([["joy"], ["fear", None]], {}, r"^train.jsonl, line 2: no label stands between others in"),
        ([["joy"], [0.5]], {}, r"^train.jsonl, line 2: label 0.5, expected a text or a whole number"),
        (
            [["joy"], "['fear' 'joy']"],
            {},
            r"^train.jsonl, line 2: column 'label' holds .*, expected a list as JSON has",
        ),
        (
            [["joy"], ["fear"]],
            {"labels": ("joy", "anger")},
            r"line 2: label 'fear' is not among the task's labels .known: j",
        ),
        ([["joy"], ["joy"]], {}, r"^train.jsonl .train.: every label is .'joy',., two are needed in 'label'"),
        ([None, None], {"labels": ("joy", "x")}, r"^train.jsonl .train.: no row has a label in 'label'"),
        (
            [[0, 1], [1, 0], [0, 0]],
            {"labels": ("a", "b", "c"), "test": [[0, 1]], "valid": [[0, 1]]},
            "line 1: 2 entries",
        ),
        (
            [[0, 1], [1, 1, 0]],
            {"test": [[0, 1]], "valid": [[0, 1]]},
            r"line 2: a row of 0 and 1, of which the key `lab",
        ),
        (
            [["joy"], []],
            {"test": [["grief"]]},
            r"^test.jsonl, line 1: label 'grief' training never saw; list all labels",
        ),
        (
            [["joy"], []],
            {"class_weights": {"joi": 2.0}},
            "unknown label in class_weights of task 'mood' 'joi'; did you",
        ),
    ],
)
def test_what_is_no_list_of_labels(labels, fields, message):
    with pytest.raises(InputError, match=message) as error:
        load(labels, **fields)
    assert "\n" not in str(error.value)


def test_what_looks_odd_is_said():
    with pytest.warns(
        DataWarning, match=r"train.jsonl, line 2: a label stands twice in 'label' and counts once; rows: 1"
    ):
        data = load([["joy"], ["fear", "joy", "fear"]])
    assert rows(data) == [[0, 1], [1, 1]]
    with pytest.warns(DataWarning, match="the labels 'Joy' and 'joy' differ in case alone"):
        load([["joy"], ["Joy", "fear"]])
    with pytest.warns(DataWarning, match="the label '-', which stands 2 times, is taken for none"):
        data = load([["joy"], ["fear", "-"], ["-"]])
    assert rows(data) == [[0, 1], [1, 0], None]


def test_fields_of_other_kinds():
    with pytest.raises(InputError, match="has `scale`, which is for tasks of regression"):
        Task(name="mood", kind="multi-label", scale=(0, 1))
    with pytest.raises(InputError, match="has `separator`, which is for tasks of multi-label"):
        Task(name="mood", separator=",")
    with pytest.raises(InputError, match="metric of task 'mood' 'pearson'"):
        Task(name="mood", kind="multi-label", metrics=("pearson",))
    written = Task(name="mood", kind="multi-label", separator=";")
    assert Task.from_dict(written.to_dict()) == written
    assert written.unlike(Task(name="mood", kind="multi-label", label="moods")) is None


def test_a_draw_and_weights_that_are_balanced():
    kind, labels = MOOD.of_kind, [[0, 0, 1]] * 3 + [[0, 1, 1]] + [None]
    assert kind.class_weights("balanced", labels) == (1.0, 3.0, pytest.approx(0.01))  # 4 of 4: the least
    assert kind.class_weights("balanced", [[0, 0, 1], *[[0, 0, 0]] * 500])[2] == 100
    assert kind.class_weights({"fear": 5.0}, labels) == (1, 5, 1)
    assert kind.strata(labels) is None
    assert kind.different(labels) == {("joy",), ("fear", "joy")}


def test_arrays_mark_what_is_not_known():
    arrays = MOOD.of_kind.arrays(ROWS, np.ones(5))
    assert isinstance(arrays, TextLabels)
    assert arrays.counts.tolist() == [1, 1, 1, 0, 1]
    assert arrays.rows().tolist() == [*ROWS[:3], [-100] * 3, ROWS[4]]


# The head


def head(classes=3, **kind):
    return MultiLabelHead(input_size=4, classes=classes, dropout=0.0).to(**kind)


def logits_and_labels(seed=0, size=6, classes=3):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(2, (size, classes), generator=generator, dtype=torch.int8)
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, (1.0, 5.0, 0.25)])
def test_the_loss_is_the_mean_cross_entropy_of_the_labels(smoothing, weights):
    logits, labels = logits_and_labels()
    made = head(dtype=torch.float64)
    if weights is not None:
        made.weigh(torch.tensor(weights, dtype=torch.float64))
    found = made.losses(logits, labels, torch.ones(6), label_smoothing=smoothing)
    for i, loss in enumerate(found.tolist()):
        expected = 0.0
        for c in range(3):
            p = 1 / (1 + math.exp(-logits[i, c].item()))
            y = (1 - smoothing) * labels[i, c].item() + smoothing / 2
            expected -= (weights or (1, 1, 1))[c] * y * math.log(p) + (1 - y) * math.log(1 - p)
        assert loss == pytest.approx(expected / 3, rel=1e-12)
    assert torch.autograd.gradcheck(lambda z: made.losses(z, labels, None, label_smoothing=smoothing), (logits,))
    plain = head(dtype=torch.float64).losses(logits, labels, None)
    torch.testing.assert_close(made.eval().losses(logits, labels, None), plain)


def test_a_text_of_which_nothing_is_known_counts_for_nothing():
    logits, labels = logits_and_labels()
    labels[2] = -100
    made = head(dtype=torch.float64)
    losses = made.losses(logits, labels, torch.ones(6))
    assert made.counts(labels).tolist() == [True, True, False, True, True, True]
    assert losses[2] == 0
    output = ModelOutput(logits, losses=losses, counts=made.counts(labels), weights=torch.ones(6))
    keep = made.counts(labels)
    torch.testing.assert_close(output.loss(), made.losses(logits[keep], labels[keep], None).mean())
    output.loss().backward()
    assert torch.all(logits.grad[2] == 0)
    assert made.right(made.answers(logits, None), labels)[2] == 0


def test_half_precision_logits_are_read_in_single():
    logits, labels = logits_and_labels()
    half = logits.detach().bfloat16()
    assert head().losses(half, labels, None).dtype == torch.float32
    torch.testing.assert_close(head().losses(half, labels, None), head().losses(half.float(), labels, None))


def test_answers_rights_and_margins_go_by_the_threshold():
    made, logits = head(), torch.tensor([[2.0, 0.0, -1.0], [0.5, -0.5, -3.0]])
    labels = torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.int8)
    assert made.answers(logits, None).tolist() == [[1, 1, 0], [1, 0, 0]]
    assert made.right(made.answers(logits, None), labels).tolist() == pytest.approx([1, 1 / 3])
    torch.testing.assert_close(made.margins(logits, None), logits.abs().mean(-1))
    made.threshold.fill_(torch.tensor(-0.9).sigmoid())
    assert made.answers(logits, None).tolist() == [[1, 1, 0], [1, 1, 0]]
    torch.testing.assert_close(made.margins(logits, None), (logits + 0.9).abs().mean(-1))
    made.threshold.fill_(0.0)
    assert made.margins(logits, None).isfinite().all()
    assert "threshold" in made.state_dict()


def test_a_common_head_is_added():
    made, common = head(), torch.nn.Linear(4, 3)
    made.reset_to_zero()
    pooled = torch.randn(5, 4)
    torch.testing.assert_close(made(pooled, common), common(pooled))


# The threshold


def micro_f1(threshold, probabilities, labels):
    answers = probabilities >= np.float32(threshold)
    return sklearn_metrics.f1_score(labels.ravel(), answers.ravel(), zero_division=0)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=1, max_size=12), st.integers(0, 2))
def test_no_threshold_is_better(pairs, shift):
    probabilities = np.array([[p / 10 + shift * 1e-9] for p, _ in pairs], dtype=np.float32)
    labels = np.array([[y] for _, y in pairs])
    chosen = best_threshold(probabilities, labels)
    assert chosen == np.float32(chosen)
    every = np.unique(probabilities)
    others = [0.0, 0.5, 1.1, *every, *((a + b) / 2 for a, b in pairwise(every.astype(np.float64)))]
    scores = {other: micro_f1(other, probabilities, labels) for other in others}
    best = max(scores.values())
    assert micro_f1(chosen, probabilities, labels) == pytest.approx(best)
    if scores[0.5] == best:
        assert chosen == 0.5


def test_neighbouring_numbers_are_told_apart():
    low = np.float32(0.3)
    probabilities = np.array([[low, np.nextafter(low, np.float32(1))]])
    chosen = np.float32(best_threshold(probabilities, np.array([[0, 1]])))
    assert (probabilities >= chosen).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("probabilities", "labels", "expected"),
    [
        ([[0.2, 0.1]], [[0, 0]], 0.5),
        ([[math.nan, 0.9]], [[1, 0]], 0.5),
        ([[0.2, 0.3]], [[1, 1]], 0.0),
        ([[0.2, 0.4], [0.1, 0.3]], [[0, 1], [0, 1]], 0.25),
        ([[0.9, 0.8]], [[1, 0]], 0.85),
    ],
)
def test_thresholds_of_known_cases(probabilities, labels, expected):
    found = best_threshold(np.array(probabilities, dtype=np.float32), np.array(labels))
    assert found == pytest.approx(expected)


def test_what_is_chosen_is_answered():
    made = head(2)
    labels = np.array([[0, 1], [0, 1], [1, 0]])
    probabilities = np.array([[0.2, 0.4], [0.1, 0.3], [0.35, 0.0]], dtype=np.float32)
    before = predictions_of(labels, np.zeros_like(labels), probabilities=probabilities)
    after = made.choose(before)
    assert after.answers.tolist() == labels.tolist()
    assert made.threshold.item() == pytest.approx(0.25)
    logits = torch.from_numpy(probabilities).logit()
    assert made.answers(logits, None).tolist() == labels.tolist()
    assert before.answers.sum() == 0


# Metrics


def test_metrics_are_those_of_scikit_learn():
    labels = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=np.int8)
    answers = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
    probabilities = np.linspace(0.05, 0.95, 12).reshape(4, 3).astype(np.float32)
    names = [name for name in metrics_of("label-sets", spans=None) if ":" not in name]
    task = Task(name="mood", kind="multi-label", labels=MOOD.labels, metrics=("micro_f1", *{*names} - {"micro_f1"}))
    found = task.of_kind.scores(predictions_of(labels, answers, probabilities=probabilities))
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, answers))
    for average in ("micro", "macro", "weighted"):
        expected = sklearn_metrics.f1_score(labels, answers, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels, probabilities))
    by_class = task.of_kind.by_class(predictions_of(labels, answers, probabilities=probabilities))
    assert [by_class["classes"][name]["support"] for name in MOOD.labels] == [1, 1, 2]
    assert "confusion" not in by_class
    answered = Answered(form="label-sets", labels=labels == 1, answers=answers == 1, names=MOOD.labels)
    assert compute(("f1:joy",), answered) == {"f1:joy": pytest.approx(1)}


def test_an_answer_in_words():
    kind = MOOD.of_kind
    answer = kind.answer([1, 0, 1], [0.9, 0.25, 0.5], [])
    assert answer == {"labels": ["anger", "joy"], "probabilities": {"anger": 0.9, "fear": 0.25, "joy": 0.5}}
    assert kind.cells(answer) == {"labels": ["anger", "joy"], "probabilities": [0.9, 0.5]}
    assert (kind.short(answer), kind.short_label([0, 0, 0]), kind.short_label(None)) == (
        ("anger, joy", None),
        "(none)",
        None,
    )
    assert kind.cells(kind.blank("")) == {"labels": None, "probabilities": None}
    assert kind.cells(kind.answer([0, 0, 0], [0.1] * 3, [])) == {"labels": [], "probabilities": []}


def test_tasks_in_memory():
    texts = [f"text {i}" for i in range(40)]
    frame = {"text": texts, "topics": [["a", "b"], [], ["b"], None] * 10}
    data = load_tasks({"topics": {"train": frame, "kind": "multi-label", "label": "topics"}})["topics"]
    assert data.task.labels == ("a", "b")
    assert sum(map(len, data.splits.values())) == 40
    assert {None if row is None else tuple(row) for row in data.train["label"]} == {None, (1, 1), (0, 0), (0, 1)}
