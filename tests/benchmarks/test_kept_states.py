import pytest
import torch

from benchmarks.kept_states import KeptTransformer, keep_states
from graphmtl.data.batching import EncodedTask, encode_tasks
from graphmtl.models.transformer import TransformerEncoder, load_subwords
from tests.parts import model_options
from tests.tagging import tagging_tasks
from tests.transformer_folders import LAYERS


@pytest.fixture
def encoders(transformer, monkeypatch):
    """The same transformer twice: its states computed each time, and kept."""
    folder = transformer("bert")
    monkeypatch.setattr(KeptTransformer, "kept", {})
    vocabulary, options = load_subwords(folder), model_options(encoder=folder, freeze_layers=LAYERS)
    plain, kept = (kind(vocabulary=vocabulary, options=options) for kind in (TransformerEncoder, KeptTransformer))
    kept.load_state_dict(plain.state_dict())
    return plain.eval(), kept.train(), encode_tasks(tagging_tasks("plain", size=9), vocabulary, options)


def batch_of(data: dict[str, EncodedTask], rows: list[int]):
    return data["plain"].train.batch(rows)


def test_states_are_those_of_the_transformer_in_any_batch(encoders):
    plain, kept, data = encoders
    for rows in ([0, 1, 2], [2, 5], [0]):
        batch = batch_of(data, rows)
        expected = plain(batch).states
        inside = torch.arange(expected.size(1)) < batch.lengths[:, None]  # (batch, pieces)
        torch.testing.assert_close(kept(batch).states, expected * inside[..., None], rtol=1e-3, atol=1e-3)
    assert len(kept.kept) == 4
    assert not any(parameter.requires_grad for parameter in kept.parameters())


def test_states_of_a_file_are_not_computed_again(encoders, tmp_path, monkeypatch):
    _, kept, data = encoders
    keep_states(kept, data, tmp_path / "states" / "states.pt")
    batch = batch_of(data, [0, 3])
    expected = kept(batch).states
    monkeypatch.setattr(KeptTransformer, "kept", {})
    monkeypatch.setattr(TransformerEncoder, "forward", None)
    keep_states(kept, data, tmp_path / "states" / "states.pt")
    assert torch.equal(kept(batch).states, expected)
