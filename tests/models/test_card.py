"""The model card: its front matter is the Hub's, and it says what the model says of itself."""

import pytest
from huggingface_hub import ModelCard

from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models.card import check_scores, model_card
from tests.models.small import TASKS, build

SCORES = {
    "a": {"examples": 40, "test": {"accuracy": 0.875}, "interval": [0.75, 0.9625]},
    "b": {"examples": 30, "test": {"f1": 0.5, "accuracy": None}, "interval": None},
}


def card_of(tasks=TASKS, scores=None):
    model = build("star", tasks=tasks, chars="none")
    model.scores = scores or {}
    return model_card(model)


def section(card, title):
    return card.text.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def test_the_front_matter_is_read_by_the_hubs_library_with_every_score(tmp_path):
    card_of(scores=SCORES).save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.library_name == "graphmtl"
    assert data.tags == ["multi-task-learning", "star"]
    assert data.metrics == ["accuracy", "f1"]
    found = [(each.task_type, each.dataset_name, each.metric_type, each.metric_value) for each in data.eval_results]
    assert found == [
        ("text-classification", "a", "accuracy", 0.875),
        ("text-classification", "b", "f1", 0.5),  # and no accuracy, of which there is none
    ]
    assert {each.dataset_split for each in data.eval_results} == {"test"}
    assert data.license is None  # a model's is its owner's to say


def test_scores_have_their_intervals():
    table = section(card_of(scores=SCORES), "Scores")
    assert "| a | 40 | accuracy | 0.875 | 0.750 to 0.963 |" in table
    assert "| b | 30 | f1 | 0.500 |  |\n| b | 30 | accuracy |  |  |" in table
    assert "less is better" not in table
    errors = {"n": {"examples": 9, "test": {"rmse": 0.0000152}, "interval": None}}
    table = section(card_of([Task(name="n", kind="regression")], errors), "Scores")
    assert "Of rmse less is better." in table
    assert "| n | 9 | rmse | 1.52e-05 |  |" in table


def test_a_model_that_was_not_tested_says_so():
    card = card_of()
    assert section(card, "Scores") == "It was not tested as it is."
    assert card.data.eval_results is None


def test_the_data_are_what_the_user_said_of_them():
    said = {"source": "https://example.org/a|b", "licence": "cc-by-4.0", "language": ("en", "de")}
    card = card_of([Task(name="a", labels=("no", "yes"), **said), Task(name="b", labels=("1", "2"), language=("en",))])
    assert card.data.language == ["en", "de"]
    assert section(card, "Data").splitlines()[2:] == [
        "| a | https://example.org/a\\|b | cc-by-4.0 | en, de |",
        "| b |  |  | en |",
    ]
    assert section(card_of(), "Data").startswith("Where the data comes from was not said")


@pytest.mark.parametrize(
    ("task", "example"),
    [
        (Task(name="t", labels=("no", "yes")), '"some text"'),
        (Task(name="t", labels=("no", "yes"), text=("p", "q")), '("some text", "another")'),
        (Task(name="t", kind="multiple-choice", choices=("x", "y")), '("a context", ["one choice", "another"])'),
    ],
)
def test_the_example_is_one_that_the_model_answers(task, example):
    model = build("shared", tasks=[task])
    assert f"model.predict([{example}], task='t')" in model_card(model).text
    assert len(model.predict([eval(example)], task="t")) == 1


@pytest.mark.parametrize(
    ("kind", "of_hub"), [("ordinal", "text-classification"), ("token-classification", "token-classification")]
)
def test_kinds_are_what_the_hub_calls_them(kind, of_hub):
    task = Task(name="t", kind=kind, labels=("1", "2"))
    scores = {"t": {"examples": 1, "test": {"accuracy": 1.0}, "interval": None}}
    assert card_of([task], scores).data.eval_results[0].task_type == of_hub


def test_classes_without_end_do_not_fill_the_card():
    card = card_of([Task(name="many", labels=tuple(f"label{i}" for i in range(2000)))])
    (line,) = (line for line in card.text.splitlines() if line.startswith("- many"))
    assert line.endswith(" ...")
    assert len(line) < 400


@pytest.mark.parametrize(
    "scores",
    [
        [],
        {"other": SCORES["a"]},
        {"a": None},
        {"a": {"examples": 1}},
        {"a": SCORES["a"] | {"interval": [1]}},
        {"a": SCORES["a"] | {"test": {"accuracy": "1"}}},
    ],
)
def test_scores_that_are_none(scores):
    with pytest.raises(InputError, match=r"scores: found .*, expected examples, test and interval of each task"):
        check_scores(scores, ["a", "b"])


def test_scores_that_are_some():
    check_scores(SCORES, ["a", "b", "pairs"])
    check_scores({}, ["a"])
