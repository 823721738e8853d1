"""What a model says of a batch, of all tasks together, and the same in words."""

import copy
from dataclasses import replace

import pytest
import torch
from accelerate.utils import convert_outputs_to_fp32

from graphmtl.data.batching import EncodedSplit
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.layers.interaction import EdgeWeights
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.predictions import ModelOutput, blank_prediction, in_words, text_edges, token_edges
from tests.parts import label_arrays, model_options

TASKS = [
    Task(name="class", labels=("a", "b", "c")),
    Task(name="score", kind="regression"),
    Task(name="ner", kind="token-classification", tokens=True, text=("tokens",), labels=("O", "B-X", "I-X")),
]
LABELS = {"class": [2, -100], "score": [1.5, 0.5], "ner": [[0, 1, 2], [-100, 0]]}


@pytest.fixture(params=["complete", "star", "cmtr", "single"])
def model(request):
    torch.manual_seed(0)
    options = model_options(arch=request.param, hidden=4, attention=3, embedding_size=5, chars="none")
    return MultiTaskModel(tasks=TASKS, vocabulary=Vocabulary.build(["x", "y"]), options=options)


def batch(labels=LABELS):
    arrays = None if labels is None else {name: label_arrays(own) for name, own in labels.items()}
    return EncodedSplit(tasks=[*LABELS], texts=[[3, 4, 1], [4, 4]], labels=arrays).batch([1, 0])


def test_outputs_are_a_mapping_from_tasks(model):
    outputs = model.eval()(batch())
    assert [*outputs] == [*LABELS]
    assert {task: logits.shape for task, logits in outputs.logits.items()} == {
        "class": (2, 3),
        "score": (2,),
        "ner": (2, 3, 3),
    }
    assert all(outputs.logits[task] is outputs[task].logits for task in LABELS)


def test_edges_are_there_on_request_where_the_architecture_has_some(model):
    assert model(batch()).edges == {}
    outputs = model(batch(), edges=True)
    graph = model.options.arch != "single"
    assert [*outputs.edges] == ([*LABELS] if graph else [])
    assert all(edges.target == task for task, edges in outputs.edges.items())


def test_losses_are_those_that_training_minimises(model):
    model.eval()
    given = batch()
    outputs = model(given)
    exact = {task: output.losses.sum() / output.counts.sum() for task, output in outputs.items()}
    assert {task: loss.item() for task, loss in outputs.losses.items()} == {task: x.item() for task, x in exact.items()}
    torch.testing.assert_close(outputs.loss, sum(exact.values()))
    twin = copy.deepcopy(model)
    outputs.loss.backward()
    other = twin(given)
    sum(output.losses.sum() / output.counts.sum() for output in other.values()).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-6)


def test_without_labels_there_is_no_loss(model):
    outputs = model(batch(None))
    with pytest.raises(InputError, match="batch: found no labels of task 'class'"):
        _ = outputs.loss


def test_outputs_stay_what_they_are_where_accelerate_makes_them_again(model):
    outputs = convert_outputs_to_fp32(lambda: model(batch()))()
    assert outputs.loss.isfinite()


# In words

CLASS, SCORE, NER = TASKS


def said(task, logits):
    """What a head of the task's kind says."""
    head = task.of_kind.head(input_size=2, dropout=0.0, tag_head="auto")
    return ModelOutput(logits, answers=head.answers(logits, None), probabilities=head.probabilities(logits))


def test_a_label_is_the_likeliest_one_and_probabilities_are_by_name():
    output = said(CLASS, torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 0.0]]).bfloat16())
    first, second = in_words(CLASS, output, [], [None, None], edges=False)
    assert (first["task"], first["label"], second["label"]) == ("class", "b", "a")
    assert list(first["probabilities"]) == ["a", "b", "c"]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-6)  # not in the precision of the logits


def test_a_score_is_a_value_in_the_labels_units():
    output = ModelOutput(torch.zeros(2), answers=torch.tensor([1.5, 4.0]))
    assert in_words(SCORE, output, [], [None, None], edges=False) == [
        {"task": "score", "value": 1.5},
        {"task": "score", "value": 4.0},
    ]


def test_tags_stand_beside_their_tokens_and_where_these_stand_in_the_text():
    output = ModelOutput(torch.zeros(2, 2, 3), answers=torch.tensor([[0, 1], [2, 0]]))
    words, offsets = [["in", "Rome"], ["Bob"]], [[(0, 2), (3, 7)], None]
    assert in_words(NER, output, words, offsets, edges=False) == [
        {"task": "ner", "tokens": ["in", "Rome"], "labels": ["O", "B-X"], "offsets": [[0, 2], [3, 7]]},
        {"task": "ner", "tokens": ["Bob"], "labels": ["I-X"]},  # no label at padding
    ]


def test_the_answer_to_nothing():
    assert blank_prediction(CLASS, "") == {"task": "class", "label": None}
    assert blank_prediction(SCORE, "") == {"task": "score", "value": None}
    assert blank_prediction(NER, " ") == {"task": "ner", "tokens": [], "labels": [], "offsets": []}
    assert blank_prediction(NER, []) == {"task": "ner", "tokens": [], "labels": []}  # there is no text to stand in


def read_edges(positions=None):
    """What a task reads from two sources in two texts, of two tokens and of one."""
    weights = torch.tensor([[[0.25, 0.75], [0.5, 0.5]], [[1.0, 0.0], [0.0, 0.0]]])  # (texts, tokens, sources)
    return EdgeWeights(
        target="class", sources=("x", "y"), weights=weights, lengths=torch.tensor([2, 1]), positions=positions
    )


def test_edges_of_a_text_are_the_mean_over_its_tokens():
    first, second = text_edges(read_edges(), 2)
    assert first == [
        {"source": "x", "target": "class", "weight": 0.375},
        {"source": "y", "target": "class", "weight": 0.625},
    ]
    assert [edge["weight"] for edge in second] == [1, 0]
    assert text_edges(None, 2) == [[], []]


def test_edges_of_a_token_are_its_own_and_padding_has_none():
    found = token_edges(read_edges(), [["in", "Rome"], ["Bob"]])
    assert [[[edge["weight"] for edge in token] for token in text] for text in found] == [
        [[0.25, 0.75], [0.5, 0.5]],
        [[1, 0]],
    ]
    assert token_edges(None, [["in", "Rome"], []]) == [[[], []], []]


def test_where_tokens_are_the_nodes_it_is_told_from_which_a_token_read():
    reads = torch.tensor([[[0.5, 0.5], [0.125, 0.875]], [[1.0, 0.0], [0.0, 0.0]]])  # (texts, tokens, tokens)
    read = EdgeWeights(
        target="class",
        sources=("virtual",),
        weights=torch.ones(2, 2, 1),
        lengths=torch.tensor([2, 1]),
        positions=lambda: reads,
    )
    words = [["in", "Rome"], ["Bob"]]
    found, most = token_edges(read, words), token_edges(read, words, 1)
    assert [[token[0]["reads"] for token in text] for text in found] == [[[0.5, 0.5], [0.125, 0.875]], [[1.0]]]
    assert [token[0]["reads"] for token in most[0]][1] == [[1, 0.875]]
    assert [token[0]["reads"] for token in most[1]] == [[[0, 1.0]]]
    (first, second), _ = token_edges(read, words, 5)  # as many as there are, the largest first
    assert (sorted(first[0]["reads"]), second[0]["reads"]) == ([[0, 0.5], [1, 0.5]], [[1, 0.875], [0, 0.125]])


def test_edges_stand_with_the_answer_of_tags_at_every_token():
    tags = ModelOutput(torch.zeros(2, 2, 3), answers=torch.tensor([[0, 1], [2, 0]]), edges=read_edges())
    words = [["in", "Rome"], ["Bob"]]
    answers = in_words(NER, tags, words, [None, None], edges=True)
    assert [answer["edges"] for answer in answers] == token_edges(read_edges(), words)
    output = said(CLASS, torch.zeros(2, 3))
    output.edges = read_edges()
    whole = in_words(CLASS, output, [], [None, None], edges=True)
    assert [answer["edges"] for answer in whole] == text_edges(read_edges(), 2)
    assert "tokens" not in whole[0]
    spoken = in_words(CLASS, output, words, [None, None], edges=True)  # where each token is spoken of
    assert [answer["tokens"] for answer in spoken] == words
    assert len(spoken[0]["edges"]) == 2


def test_a_task_counts_in_the_loss_as_it_weighs():
    options = model_options(arch="shared", hidden=4, attention=3, embedding_size=5, chars="none")
    tasks = [replace(CLASS, weight=3.0), SCORE, replace(NER, weight=0.5)]
    outputs = MultiTaskModel(tasks=tasks, vocabulary=Vocabulary.build(["x", "y"]), options=options)(batch())
    losses = outputs.losses
    torch.testing.assert_close(outputs.loss, 3 * losses["class"] + losses["score"] + losses["ner"] / 2)


@pytest.mark.parametrize("task", ["class", "score", "ner"])
def test_weights_that_are_no_numbers_are_named(model, task):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(InputError, match=f"task '{task}': the model answers nan or inf"):
        model.predict(["x y"], task=task)
