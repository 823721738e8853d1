import pytest
import torch

from graphmtl.models.encoder import Encoder, LockedDropout, VocabularyOptions


def test_locked_dropout_draws_one_mask_for_all_tokens_of_a_text():
    torch.manual_seed(0)
    dropped = LockedDropout(0.25).train()(torch.ones(400, 6, 50))
    assert torch.equal(dropped, dropped[:, :1].expand(-1, 6, -1))
    assert not torch.equal(dropped[0], dropped[1])
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.01)  # 20,000 draws


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_locked_dropout_does_nothing_at_0_or_when_predicting(p, training):
    x = torch.randn(3, 4, 5)
    assert torch.equal(LockedDropout(p).train(training)(x), x)


def test_locked_dropout_says_its_share():
    assert str(LockedDropout(0.25)) == "LockedDropout(p=0.25)"


def test_an_encoder_that_says_nothing_more_is_asked_for_nothing_more():
    """What is trained, and how, is as for every other part; new words and vectors are no concern of it."""

    class Least(Encoder):
        output_size = 3

    encoder = Least(vocabulary=None, options=VocabularyOptions(min_count=2))
    assert encoder.options.min_count == 2
    assert (encoder.contextual, encoder.reads_subwords, encoder.has_cls) == (False, False, False)
    assert not encoder.reads_ids_alone()  # so that nothing is taken for equal that may not be
    assert (encoder.embedding_parameters(), encoder.learning_rates(0.1), encoder.frozen_until()) == ([], [], [])
    with pytest.raises(NotImplementedError):
        encoder(None)
