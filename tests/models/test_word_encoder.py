import numpy as np
import pytest
import torch

from graphmtl.data.batching import Batch
from graphmtl.data.spelling import Alphabet, WordForms
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import PAD, UNK, Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.word_encoder import CHARACTERS, WordEncoder
from tests.parts import model_options

VOCABULARY = Vocabulary.build(["a b c d"])


def encoder(**options):
    torch.manual_seed(0)
    options = {"embedding_size": 5, "embedding_dropout": 0.0} | options
    return WordEncoder(vocabulary=VOCABULARY, options=model_options(**options))


def vectors_of(words, tokens):
    lengths = (tokens != PAD).sum(1)
    return words(Batch(("a",), tokens, lengths, None, torch.ones(len(tokens)))).states


def row(encoder, word):
    return encoder.embedding.weight[VOCABULARY.encode(word)[0]]


def test_tokens_become_the_vectors_of_their_words():
    words = encoder()
    tokens = torch.tensor([[3, 4, PAD], [UNK, PAD, PAD]])
    vectors = vectors_of(words, tokens)
    assert vectors.shape == (2, 3, words.output_size) == (2, 3, 5)
    assert torch.equal(vectors[0, :2], words.embedding.weight[3:5])
    assert torch.equal(vectors[1, 0], words.embedding.weight[UNK])
    assert not vectors[0, 2].any()
    assert not vectors[1, 1:].any()
    assert words.embedding.weight.size(0) == len(VOCABULARY)


def test_padding_is_never_trained():
    words = encoder()
    vectors_of(words, torch.tensor([[3, PAD]])).sum().backward()
    assert not words.embedding.weight.grad[PAD].any()
    assert words.embedding.weight.grad[3].any()


@pytest.mark.parametrize("frozen", [True, False])
def test_embeddings_are_trained_unless_frozen(frozen):
    assert encoder(freeze_embeddings=frozen).embedding.weight.requires_grad is not frozen


def test_word_dropout_puts_the_unknown_word_in_place_of_tokens_but_not_of_padding():
    torch.manual_seed(0)
    words = encoder(word_dropout=0.3)
    tokens = torch.full((200, 60), 3)
    tokens[:, 50:] = PAD
    vectors = vectors_of(words.train(), tokens)
    dropped = (vectors == words.embedding.weight[UNK]).all(-1)  # (batch, tokens)
    kept = (vectors == words.embedding.weight[3]).all(-1)
    assert (dropped ^ kept)[:, :50].all()
    assert dropped[:, :50].float().mean() == pytest.approx(0.3, abs=0.02)  # 10,000 draws
    assert not vectors[:, 50:].any()
    assert (vectors_of(words.eval(), tokens)[:, :50] == words.embedding.weight[3]).all()


def test_embedding_dropout_is_locked_and_only_in_training():
    words = encoder(embedding_dropout=0.5, embedding_size=50)
    tokens = torch.full((1, 7), 3)
    dropped = vectors_of(words.train(), tokens)
    assert torch.equal(dropped, dropped[:, :1].expand(-1, 7, -1))
    assert 0 < (dropped[0, 0] == 0).sum() < 50
    assert torch.equal(vectors_of(words.eval(), tokens)[0, 0], words.embedding.weight[3])


def test_vectors_are_put_in_place_and_the_unknown_word_gets_their_mean():
    words = encoder(embedding_size=2)
    before = words.embedding.weight.detach().clone()
    vectors = Vectors(["c", "nowhere", "a"], np.array([[1, 2], [3, 4], [5, 9]], dtype=np.float32))
    words.load_vectors(vectors, VOCABULARY)
    assert row(words, "a").tolist() == [5, 9]
    assert row(words, "c").tolist() == [1, 2]
    assert words.embedding.weight[UNK].tolist() == [3, 5]
    for word in "bd":
        assert torch.equal(row(words, word), before[VOCABULARY.encode(word)[0]])
    assert not words.embedding.weight[PAD].any()


def test_vectors_of_no_word_of_the_vocabulary():
    words = encoder(embedding_size=2)
    before = words.embedding.weight.detach().clone()
    words.load_vectors(Vectors(["x"], np.array([[7, 8]], dtype=np.float32)), VOCABULARY)
    assert torch.equal(words.embedding.weight[UNK + 1 :], before[UNK + 1 :])
    assert words.embedding.weight[UNK].tolist() == [7, 8]


def test_padding_stays_0_when_the_file_has_a_vector_for_it():
    words = encoder(embedding_size=2)
    words.load_vectors(Vectors(["<pad>", "a"], np.array([[1, 2], [3, 4]], dtype=np.float32)), VOCABULARY)
    assert not words.embedding.weight[PAD].any()


def test_frozen_random_vectors_are_of_unit_scale_and_trained_ones_small():
    """Random vectors that stay must be told apart; those that are trained start small."""
    big = Vocabulary([*VOCABULARY.words, *(f"w{i}" for i in range(2000))])
    for frozen, std in ((True, 1.0), (False, 0.1)):
        options = model_options(embedding_size=20, freeze_embeddings=frozen)
        weight = WordEncoder(vocabulary=big, options=options).embedding.weight
        assert weight[UNK:].std().item() == pytest.approx(std, rel=0.05)


def test_only_what_is_trained_has_a_learning_rate_and_a_time_of_its_own():
    words = encoder(embedding_lr=0.1, freeze_embeddings_epochs=2)
    assert words.learning_rates(0.5) == [(words.embedding.weight, 0.05)]
    assert words.frozen_until() == [(2, [words.embedding.weight])]
    assert encoder(freeze_embeddings=True).learning_rates(0.5) == []


def test_new_words_start_as_the_unknown_one():
    words = encoder()
    before = words.embedding.weight.detach().clone()
    words.start_new_words(known=5)
    assert torch.equal(words.embedding.weight[:5], before[:5])
    assert all(torch.equal(row, before[UNK]) for row in words.embedding.weight[5:])


# How words are written

ALPHABET = Alphabet(list("abcdA"), ["xx", "Xx"])
FORMS = WordForms(ALPHABET, lambda word: UNK)


def spelled(words, texts):
    """The token vectors of texts, each a list of words; shorter ones are padded."""
    rows = [FORMS.encode(text) for text in texts]
    forms = np.array([own + [PAD] * (max(map(len, rows)) - len(own)) for own in rows])
    lengths = torch.tensor([len(own) for own in rows])
    tokens = torch.from_numpy(FORMS.indices(forms))  # (texts, words)
    batch = Batch(("a",), tokens, lengths, None, torch.ones(len(rows)), spelling=FORMS.spelling(forms))
    return words(batch).states


def reader(chars, **options):
    torch.manual_seed(0)
    options = {"embedding_size": 5, "embedding_dropout": 0.0, "char_size": 6, "chars": chars} | options
    vocabulary = Vocabulary.build(["a b c d"])
    vocabulary.alphabet = ALPHABET
    words = WordEncoder(vocabulary=vocabulary, options=model_options(**options)).eval()
    for parameter in words.parameters():  # also of padding, which is not to be read whatever it holds
        torch.nn.init.normal_(parameter)
    return words


@pytest.mark.parametrize("chars", CHARACTERS)
def test_a_token_has_its_words_vector_and_how_it_is_written(chars):
    words = reader(chars)
    ((ab, Ab, again),) = spelled(words, [["ab", "Ab", "ab"]])
    assert len(ab) == words.output_size == 5 + 6 + 10  # embedding, characters, shape
    assert torch.equal(ab, again)
    assert torch.equal(ab[:5], Ab[:5])  # no word is known
    assert not torch.equal(ab[5:11], Ab[5:11])
    assert not torch.equal(ab[11:], Ab[11:])


@pytest.mark.parametrize("chars", CHARACTERS)
def test_longer_words_and_other_texts_change_nothing(chars):
    words = reader(chars)
    alone = spelled(words, [["ab"]])[0, 0]
    together = spelled(words, [["abcdabcdabcd", "d"], ["ab"]])
    torch.testing.assert_close(together[1, 0], alone)


@pytest.mark.parametrize("chars", CHARACTERS)
def test_the_order_of_the_characters_counts(chars):
    ab, ba = spelled(reader(chars), [["ab", "ba"]])[0]
    assert not torch.allclose(ab[5:11], ba[5:11])


def test_the_lstm_reads_in_both_directions_with_half_the_size_each():
    assert reader("lstm", char_size=7).output_size == 5 + 6 + 10
    assert reader("cnn", char_size=7).output_size == 5 + 7 + 10


@pytest.mark.parametrize("chars", CHARACTERS)
def test_characters_need_an_alphabet(chars):
    with pytest.raises(InputError, match=f"^--chars {chars}: the vocabulary has no alphabet"):
        encoder(chars=chars)
