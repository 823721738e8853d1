import math
import re
import warnings

import numpy as np
import pytest
import torch

from graphmtl.data.batching import Batch
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.loading import load_tasks
from graphmtl.data.overlap import row_keys
from graphmtl.data.scored import load_scored
from graphmtl.data.task import Task
from graphmtl.errors import DataWarning, InputError
from graphmtl.kinds.multiple_choice import MultipleChoiceHead
from tests.choosing import examples
from tests.parts import predictions_of

TASK = Task(name="cause", kind="multiple-choice", text=("premise",), choices=("endings",))
SIZES = [2, 4, 3, 2]
LABELS = torch.tensor([1, 3, NO_LABEL, 0])


def batch(groups) -> Batch:
    texts = sum(groups)
    tokens, lengths, weights = torch.zeros(texts, 1), torch.ones(texts), torch.ones(len(groups))
    return Batch(("cause",), tokens, lengths, None, weights, groups=torch.tensor(groups))


def head() -> MultipleChoiceHead:
    torch.manual_seed(0)
    return MultipleChoiceHead(input_size=5, dropout=0.0).double()


def scores(size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_over_the_choices_of_each_example(smoothing):
    given = scores(sum(SIZES)).requires_grad_()
    logits = batch(SIZES).by_example(given, -torch.inf)
    found = head().losses(logits, LABELS, torch.ones(4), label_smoothing=smoothing)
    for own, label, loss in zip(given.split(SIZES), LABELS.tolist(), found, strict=True):
        expected = 0.0
        if label != NO_LABEL:
            logs = [math.log(math.exp(x) / sum(map(math.exp, own.tolist()))) for x in own.tolist()]
            target = [smoothing / len(own) + (1 - smoothing) * (i == label) for i in range(len(own))]
            expected = -sum(t * x for t, x in zip(target, logs, strict=True))
        assert loss.item() == pytest.approx(expected, abs=1e-12)
    found.sum().backward()
    assert given.grad.isfinite().all()
    assert not given.grad[6:9].any()  # of the example without a label
    assert torch.autograd.gradcheck(
        lambda x: head().losses(
            batch(SIZES).by_example(x, -torch.inf), LABELS, torch.ones(4), label_smoothing=smoothing
        ),
        given.detach().requires_grad_(),
    )


def test_other_examples_and_padding_change_nothing():
    given, model = scores(sum(SIZES)), head()
    together = batch(SIZES).by_example(given, -torch.inf)
    for own, whole in zip(given.split(SIZES), model.probabilities(together), strict=True):
        alone = model.probabilities(batch([len(own)]).by_example(own, -torch.inf))[0]
        torch.testing.assert_close(whole[: len(own)], alone)
        assert not whole[len(own) :].any()
    assert model.answers(together, torch.ones(4)).tolist() == [int(own.argmax()) for own in given.split(SIZES)]
    expected = [float(own.sort().values[-1] - own.sort().values[-2]) for own in given.split(SIZES)]
    assert model.margins(together, torch.ones(4)).tolist() == pytest.approx(expected)
    assert model.margins(given, torch.ones(12)) is given  # of texts by themselves


def test_a_head_gives_a_score_of_each_text():
    pooled, model, common = torch.randn(7, 5, dtype=torch.float64), head(), torch.nn.Linear(5, 1).double()
    torch.testing.assert_close(model(pooled), pooled @ model.linear.weight[0] + model.linear.bias)
    torch.testing.assert_close(model(pooled, common), model(pooled) + common(pooled)[:, 0])


def test_metrics_of_choices():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    found = predictions_of(np.array([0, 1]), np.array([0, 2]), probabilities=probabilities)
    task = Task(name="a", kind="multiple-choice", choices=("b",), metrics=("accuracy", "ece"))
    assert task.of_kind.scores(found) == {"accuracy": 0.5, "ece": pytest.approx((0.1 + 0.5) / 2)}
    assert task.of_kind.by_class(found) == {}
    with pytest.raises(
        InputError, match=r"unknown metric of task 'a' 'f1'.* \(known: accuracy, ece, module:function\)"
    ):
        Task(name="a", kind="multiple-choice", choices=("b",), metrics=("f1",))


def test_answers_in_words():
    kind = TASK.of_kind
    answer = kind.answer((1, ["sun", "rain"]), [0.25, 0.75, 0.0], [])
    assert answer == {"choice": 1, "label": "rain", "probabilities": [0.25, 0.75]}
    assert kind.cells(answer) == {"choice": 1, "label": "rain", "probability": 0.75}
    assert kind.cells(kind.blank("")) == {"choice": None, "label": None, "probability": None}
    assert kind.short(answer) == ("choice 1", 0.75)
    assert [kind.short_label(label) for label in (1, NO_LABEL)] == ["choice 1", None]


def rows(labels, own=("p", "q", "r"), **more) -> list[dict]:
    return [{"premise": f"text {i}", "endings": [*own], "label": label, **more} for i, label in enumerate(labels)]


def loaded(data, **keys):
    given = {
        "train": data,
        "test": 1,
        "valid": 1,
        "kind": "multiple-choice",
        "text": "premise",
        "choices": "endings",
        **keys,
    }
    return load_tasks({"cause": given})["cause"]


def places(data, **keys) -> list[int]:
    """The labels of all rows in the order of the source."""
    found = loaded(data, **keys)
    by_row = {row["row"]: row["label"] for split in found.splits.values() for row in split}
    return [by_row[i] for i in sorted(by_row)]


@pytest.mark.parametrize(
    ("labels", "keys", "first"),
    [
        ([0, 2, 1, 0, 2, 1], {}, "0"),
        (["0", "2", "1", "0", "2", "1"], {}, "0"),
        ([1, 3, 2, 1, 3, 2], {"first": 1}, "1"),
        (["A", "C", "b", "A", "C", "B"], {}, "A"),
        (["p", "r", " q ", "p", "r", "q"], {"first": "text"}, "text"),
    ],
)
def test_labels_are_places_letters_or_texts(labels, keys, first):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert places(rows(labels), **keys) == [0, 2, 1, 0, 2, 1]
        assert loaded(rows(labels), **keys).task.first == first


def test_labels_that_are_texts_of_choices_or_names_of_their_columns():
    long = ("it rained", "the sun shone", "it snowed")
    assert places(rows([long[i] for i in (0, 2, 1, 1, 0, 2)], long)) == [0, 2, 1, 1, 0, 2]
    apart = [{"premise": f"text {i}", "c1": "p", "c2": "q", "label": ["c1", "c2"][i % 2]} for i in range(6)]
    assert places(apart, choices=["c1", "c2"]) == [0, 1, 0, 1, 0, 1]


def test_labels_that_are_keys_of_choices():
    own = {"text": ["p", "q", "r"], "label": ["1", "2", "3"]}
    data = [{"premise": f"text {i}", "endings": own, "label": str(i % 3 + 1)} for i in range(6)]
    assert places(data) == [0, 1, 2, 0, 1, 2]
    data[4]["label"] = "D"
    with pytest.raises(
        InputError, match="task 'cause', train, row 5: label 'D' of 3 choices, expected one of their keys, 1, 2, 3"
    ):
        places(data)


def test_a_label_that_is_missing_is_none():
    held_out = rows([0])
    found = loaded(rows([0, None, -1, 2, "", "?", 1]), missing="?", test=held_out, valid=held_out).train["label"]
    assert [*found] == [0, NO_LABEL, NO_LABEL, 2, NO_LABEL, NO_LABEL, 1]


def test_what_labels_are_taken_for_is_said_where_they_could_be_something_else():
    with pytest.warns(DataWarning, match="labels such as '1' are taken for the places .* though none is 0; `first: 1`"):
        assert places(rows([1, 2, 1, 2, 1, 2])) == [1, 2, 1, 2, 1, 2]
    own = ("1", "2", "0")
    with pytest.warns(DataWarning, match="labels such as '0' are taken for the places .* `first: text` takes them for"):
        assert places(rows([0, 1, 0, 2, 1, 0], own)) == [0, 1, 0, 2, 1, 0]
    assert places(rows([0, 1, 0, 2, 1, 0], own), first="text") == [2, 0, 2, 1, 0, 2]


@pytest.mark.parametrize(
    ("labels", "keys", "message"),
    [
        ([0, 3], {}, "label '3' of 3 choices, expected a place from 0 to 2; `first: 1` counts from 1"),
        ([0, 4], {}, "label '4' of 3 choices, expected a place from 0 to 2"),
        ([0, 1], {"first": 1}, "label '0' of 3 choices, expected a place from 1 to 3, as `first: 1` says"),
        (["A", "E"], {}, "label 'E' of 3 choices, expected a letter from A to C"),
        ([0, "x"], {"first": 0}, "label 'x' of 3 choices, expected a place from 0 to 2"),
        (["p", "so"], {}, "label 'so' of 3 choices, expected the text of one of them"),
        (["p"], {"first": 2}, "unknown first of task 'cause' '2'"),
        (["p"], {"labels": ["a", "b"]}, "`labels` is for tasks of text-classification"),
        (["p"], {"choices": "ending"}, "unknown column 'ending'; did you mean 'endings'?"),
        ([1.5, 2], {}, "row 1: label 1.5"),
    ],
)
def test_users_mistakes_are_named(labels, keys, message):
    with pytest.raises(InputError, match=re.escape(message)):
        loaded(rows(labels * 5), **keys)


def test_a_text_that_several_choices_have_is_no_label():
    with pytest.raises(InputError, match="label 'yes' is that of 2 of 3 choices"):
        loaded(rows(["yes"] * 6, ("yes", "no", "yes")))


def test_a_task_of_choices_says_where_they_stand(tmp_path):
    with pytest.raises(InputError, match="task 'a' of kind multiple-choice has no `choices`"):
        Task(name="a", kind="multiple-choice")
    with pytest.raises(InputError, match="task 'a' of kind multiple-choice reads texts, not lists of tokens"):
        Task(name="a", kind="multiple-choice", choices=("b",), tokens=True)
    with pytest.raises(InputError, match="has `choices`, which is for tasks of multiple-choice"):
        Task(name="a", choices=("b",))
    (tmp_path / "x.csv").write_text("text,own,label\na,\"['p', 'q']\",0\nb,\"['p', 'q']\",7\n")
    (tmp_path / "x.yaml").write_text(
        "tasks:\n  a: {kind: multiple-choice, choices: own, train: x.csv, test: x.csv, valid: x.csv}\n"
    )
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'x.csv'}, line 3: label '7' of 2 choices, expected")):
        load_tasks(tmp_path / "x.yaml")
    (tmp_path / "y.yaml").write_text(
        "tasks:\n  a: {first: B, kind: multiple-choice, choices: own, train: x.csv, test: 1}\n"
    )
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'y.yaml'}, line 2: unknown first of task 'a' 'B'")):
        load_tasks(tmp_path / "y.yaml")


def test_a_task_is_written_and_read_again():
    task = Task(name="a", kind="multiple-choice", text=("p", "q"), choices=("b", "c"), first="1")
    assert Task.from_dict(task.to_dict()) == task
    assert not task.is_pair
    assert task.reads == ("p", "q", ("b", "c"))
    assert task.unlike(Task(name="a", kind="multiple-choice", choices=("d",))) is None
    assert "choices" not in Task(name="a").to_dict()


def test_equal_contexts_with_equal_choices_are_equal_texts_whatever_the_order():
    data = [{"premise": "Rain", "endings": own, "label": 0} for own in (["a", "b"], ["b", "A"], ["a", "c"])]
    data += [{"premise": f"text {i}", "endings": ["a", "b"], "label": 0} for i in range(10)]
    found = loaded(data)
    keys = {row["row"]: key for split in found.splits.values() for row, key in zip(split, row_keys(split), strict=True)}
    assert keys[1] == keys[2] != keys[3]
    where = {row["row"]: name for name, split in found.splits.items() for row in split}
    assert where[1] == where[2]  # one side of a cut


def test_shuffled_labels_are_places_of_choices():
    data = load_tasks(
        {"cause": {"train": examples(80), "kind": "multiple-choice", "text": "premise", "choices": "endings"}},
        shuffle_labels=True,
    )["cause"].train
    assert all(row["label"] < len(row["choices"]) for row in data)
    true = {(row["premise"], *row["endings"]): row["label"] for row in examples(80)}
    assert any(row["label"] != true[row["text"], *row["choices"]] for row in data)


def test_other_data_are_read_as_in_training(tmp_path):
    task = Task(name="cause", kind="multiple-choice", text=("premise",), choices=("a", "b"), first="1")
    (tmp_path / "x.csv").write_text("premise,a,b,label\nwet,rain,sun,1\ndry,rain,sun,2\n")
    found = load_scored(tmp_path / "x.csv", {"cause": task})["cause"]
    assert [*found.test["label"]] == [0, 1]
    assert [*found.test["choices"]] == [["rain", "sun"]] * 2
