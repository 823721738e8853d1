import pytest

from graphmtl.architectures import ARCHITECTURES, architecture_class
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models.resolution import resolve_chars, resolve_pooling
from tests.parts import model_options

TEXTS = Task(name="mood", labels=("calm", "angry"))
POS = Task(name="pos", kind="token-classification", labels=("N", "V"))
NER = Task(name="ner", kind="token-classification", labels=("O", "B-x", "I-x"), metrics=("span_f1",))


@pytest.mark.parametrize(
    ("given", "tasks", "found"),
    [
        ("auto", [TEXTS], "none"),
        ("auto", [TEXTS, POS], "cnn"),
        ("lstm", [TEXTS], "lstm"),
        ("none", [POS], "none"),
    ],
)
def test_characters_are_read_where_a_task_tags_tokens_unless_told_otherwise(given, tasks, found):
    assert resolve_chars(model_options(chars=given), tasks).chars == found


def test_an_encoder_of_pieces_has_no_characters_to_read():
    options = model_options(encoder="bert")
    assert resolve_chars(options, [POS]) is options


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pooling_is_cls_where_a_transformers_states_are_taken_as_they_are(arch):
    kind, options = architecture_class(arch), model_options(arch=arch)
    of_lstms = "mean" if arch == "cmtr" else "max-mean"
    assert resolve_pooling(options, True, [TEXTS]).pooling == (of_lstms if kind.reads_contextual else "cls")
    assert resolve_pooling(options, False, [TEXTS]).pooling == of_lstms


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pooling_of_texts_beside_tagging(arch):
    found = resolve_pooling(model_options(arch=arch), False, [TEXTS, POS]).pooling
    beside = "max" if architecture_class(arch).acts_after_pooling else "max-mean"
    assert found == ("mean" if arch == "cmtr" else beside)


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if architecture_class(arch).acts_after_pooling])
def test_texts_and_tokens_that_the_same_layers_read_have_one_size(arch):
    """max-mean doubles the size of a text."""
    options = model_options(arch=arch, pooling="max-mean")
    with pytest.raises(
        InputError, match=f"--arch {arch} reads texts and the tokens of task 'pos' with the same layers"
    ):
        resolve_pooling(options, False, [TEXTS, POS])
    assert resolve_pooling(options, False, [TEXTS]) is options


def test_words_have_no_vector_of_their_own_for_a_text():
    options = model_options(arch="shared", pooling="cls")
    with pytest.raises(InputError, match=r"^--pooling cls: the encoder lstm has no vector of its own"):
        resolve_pooling(options, False, [TEXTS])
    assert resolve_pooling(options, True, [TEXTS]) is options
