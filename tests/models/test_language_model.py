"""The language model against torch, token by token; and that no direction has read what it is asked for."""

import math

import numpy as np
import pytest
import torch

from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedSplit, EncodedTask
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.layers.message_lstm import LSTM
from graphmtl.models.language_model import LanguageModel, asked_words
from graphmtl.models.word_encoder import WordEncoder
from graphmtl.training.trainer import Trainer
from tests.architectures.reference import plain_lstm
from tests.parts import model_options

WORDS = 20  # those of the vocabulary, of which the first three are no words


def make(words=WORDS, hidden=8, directions=2, embedding_size=6):
    torch.manual_seed(0)
    vocabulary = Vocabulary.build([" ".join(f"w{n:03}" for n in range(words - 3))])
    options = model_options(arch="shared", embedding_size=embedding_size, embedding_dropout=0.0)
    encoder = WordEncoder(vocabulary=vocabulary, options=options)
    lstm = LSTM(input_size=embedding_size, hidden=hidden, directions=directions)
    return LanguageModel(encoder=encoder, lstm=lstm, words=words, dropout=0.0)


def split_of(texts, directions=2):
    asked = asked_words(texts, directions)
    return EncodedSplit(tasks=[*asked], texts=texts, labels=asked)


TEXTS = [[3, 4, 5, 6, 3], [7], [8, 9], [4, 4, 19]]


@pytest.mark.parametrize("directions", [1, 2])
def test_it_is_the_sum_over_the_words_that_follow_and_over_those_before(directions):
    model = make(directions=directions).double().eval()
    found = model(split_of(TEXTS, directions).batch(range(4)))
    assert [*found] == ["forward", "backward"][:directions]
    for row, text in enumerate(TEXTS):
        x = model.encoder.embedding.weight[torch.tensor(text)]
        for d, name in enumerate(found):
            way, ids = (x, text) if d == 0 else (x.flip(0), text[::-1])
            states = plain_lstm(model.lstm, d, way)
            losses = [-model.softmax.log_prob(states[t][None])[0, ids[t + 1]] for t in range(len(ids) - 1)]
            expected = sum(losses) if losses else torch.zeros((), dtype=torch.float64)
            torch.testing.assert_close(found[name].losses[row], expected, rtol=0, atol=1e-9)
            assert found[name].counts[row] == len(text) - 1


def test_no_direction_has_read_what_it_is_asked_for():
    """Word t of forward says nothing of what comes after it, and of backward nothing of what is before."""
    model = make().double().eval()
    text = [3, 4, 5, 6, 7, 8]
    for d, name in enumerate(("forward", "backward")):
        for place in range(1, 5):
            batch = split_of([text]).batch([0])
            x = model.encoder(batch).states.detach().requires_grad_()
            model.encoder.forward = lambda _, x=x, batch=batch: type(
                "Encoded", (), {"states": x, "lengths": batch.lengths}
            )
            asked = torch.full_like(batch.labels[name], -100)
            asked[0, place] = batch.labels[name][0, place]  # one word alone
            batch.labels[name] = asked
            model(batch)[name].losses.sum().backward()
            read = x.grad[0].abs().sum(-1) > 0
            expected = [t <= place if d == 0 else t >= place for t in range(6)]
            assert read.tolist() == expected
            del model.encoder.forward


def trained(texts, epochs, **sizes):
    model = make(**sizes)
    train, held_out = split_of(texts[40:]), split_of(texts[:40])
    given = {
        name: EncodedTask(task=task, train=train, valid=held_out, test=held_out, corpus="texts")
        for name, task in model.tasks.items()
    }
    options = TrainingOptions(epochs=epochs, batch_size=8, lr=0.02, progress=False, device="cpu")
    Trainer(model=model, data=given, options=options).train(keep_epochs=epochs)
    return model.perplexity(held_out, 16)


def test_of_words_drawn_by_chance_it_knows_no_more_than_there_is_to_know():
    """Seventeen words, each as often: no model's perplexity of texts that it has not read is below 17."""
    random = np.random.default_rng(0)
    texts = [random.integers(3, WORDS, 10).tolist() for _ in range(240)]
    found = trained(texts, 6)
    assert all(16.9 < perplexity < 20 for perplexity in found.values())


def test_what_follows_from_the_word_before_is_learned_in_its_direction_alone():
    """After a word comes the next one, or one of any two: forward the next one is known, backward not."""
    random = np.random.default_rng(0)
    texts = []
    for _ in range(240):
        text = [int(random.integers(3, WORDS))]
        while len(text) < 10:
            text.append(3 + (text[-1] - 3) // 2)  # two words have the same one after them
        texts.append(text[:4])
    found = trained(texts, 12)
    assert found["forward"] < 1.2
    assert found["backward"] > 1.4


@pytest.mark.parametrize(("words", "hidden"), [(5, 2), (2500, 8), (10500, 16), (10500, 3)])
def test_words_of_every_number_have_a_probability(words, hidden):
    model = make(words=words, hidden=hidden).eval()
    total = model.softmax.log_prob(torch.randn(3, hidden)).logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros(3), rtol=0, atol=1e-4)
    rare = [[3, words - 1, words - 2]]
    assert all(math.isfinite(value) for value in model.perplexity(split_of(rare), 4).values())


def test_a_text_of_one_word_asks_nothing_and_has_a_gradient_of_zero():
    model = make()
    output = model(split_of([[4], [5]]).batch([0, 1]))
    assert output["forward"].counts.tolist() == [0, 0]
    sum(own.losses.sum() for own in output.values()).backward()
    assert not model.lstm.W.grad.any()
    assert all(math.isnan(value) for value in model.perplexity(split_of([[4]]), 4).values())
