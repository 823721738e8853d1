"""The plain recurrence against torch.nn.LSTM, and padded texts against packed ones."""

import pytest
import torch

from graphmtl.layers.interaction import SCORES, Scoring
from graphmtl.layers.message_lstm import LSTM, MessageLSTM, run_side_by_side
from graphmtl.layers.packing import Packing


def torch_twin(lstm: LSTM) -> torch.nn.LSTM:
    """torch's LSTM with the same weights."""
    twin = torch.nn.LSTM(lstm.input_size, lstm.hidden, batch_first=True, bidirectional=lstm.directions == 2).double()
    for d, suffix in enumerate(["", "_reverse"][: lstm.directions]):
        for name, value in (("weight_ih", lstm.W[d].mT), ("weight_hh", lstm.U[d].mT), ("bias_ih", lstm.b[d])):
            getattr(twin, f"{name}_l0{suffix}").data = value.detach().clone(memory_format=torch.contiguous_format)
        getattr(twin, f"bias_hh_l0{suffix}").data.zero_()
    return twin


def packed(twin, x, lengths):
    sequence = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return torch.nn.utils.rnn.pad_packed_sequence(twin(sequence)[0], batch_first=True)[0]


def test_equals_torchs_lstm():
    torch.manual_seed(0)
    for directions in (1, 2):
        lstm = LSTM(input_size=4, hidden=3, directions=directions).double()
        x, lengths = torch.randn(5, 7, 4, dtype=torch.float64), torch.tensor([7, 1, 4, 7, 2])
        twin = torch_twin(lstm)
        torch.testing.assert_close(lstm(x, lengths), packed(twin, x, lengths), rtol=0, atol=1e-9)
        lstm(x, lengths).square().sum().backward()
        packed(twin, x, lengths).square().sum().backward()
        torch.testing.assert_close(lstm.U.grad[0], twin.weight_hh_l0.grad.mT, rtol=0, atol=1e-9)


def test_side_by_side_is_one_after_the_other():
    torch.manual_seed(0)
    lstms = [LSTM(input_size=4, hidden=3).double() for _ in range(3)]
    packing = Packing(torch.tensor([6, 2, 4]), 6)
    x = torch.randn(2, 12, 4, dtype=torch.float64)
    together = run_side_by_side(lstms, x, packing)  # (D, N, K, H)
    for k, lstm in enumerate(lstms):
        alone = run_side_by_side([lstm], x, packing)[:, :, 0]
        torch.testing.assert_close(together[:, :, k], alone, rtol=0, atol=1e-12)


def test_without_gradients_nothing_is_kept_and_nothing_changes():
    torch.manual_seed(0)
    lstm, x = LSTM(input_size=4, hidden=3), torch.randn(5, 7, 4)
    lengths = torch.tensor([7, 1, 4, 7, 2])
    with torch.no_grad():
        inference = lstm(x, lengths)
    torch.testing.assert_close(inference, lstm(x, lengths), rtol=0, atol=0)


def test_under_autocast_the_recurrence_stays_in_float32():
    torch.manual_seed(0)
    lstm, x = LSTM(input_size=4, hidden=3), torch.randn(5, 7, 4)
    lengths = torch.tensor([7, 1, 4, 7, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = lstm(x, lengths)
    assert states.dtype == torch.float32
    states.sum().backward()
    assert lstm.U.grad.isfinite().all()
    torch.testing.assert_close(states, lstm(x, lengths), rtol=0, atol=0.02)


def test_a_message_can_start_as_what_the_node_says():
    sizes = {"input_size": 4, "hidden": 3, "attention": 5, "score": "dot"}
    torch.manual_seed(0)
    plain = MessageLSTM(**sizes)
    torch.manual_seed(0)
    identity = MessageLSTM(**sizes, message_start="identity")
    for (name, ours), theirs in zip(identity.named_parameters(), plain.parameters(), strict=True):
        if name == "W_r":
            torch.testing.assert_close(ours.data, torch.eye(3).expand(2, 3, 3))
        else:
            torch.testing.assert_close(ours, theirs)


def texts(tokens=7):
    """The same five texts, however far they are padded."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(5, 7, 4, generator=random, dtype=torch.float64)
    return torch.nn.functional.pad(x, (0, 0, 0, tokens - 7), value=torch.nan), torch.tensor([7, 1, 4, 7, 2])


def reader(score="additive", sources=0, directions=2):
    torch.manual_seed(0)
    sizes = {"input_size": 4, "hidden": 3, "attention": 5, "directions": directions}
    return MessageLSTM(**sizes, score=score, sources=sources).double()


def nodes_of(x, lengths, directions=2, count=None):
    """States of LSTMs: those of one at all tokens, or of several at each."""
    torch.manual_seed(2)
    lstms = [LSTM(input_size=4, hidden=3, directions=directions).double() for _ in range(count or 1)]
    states = torch.stack([lstm(x, lengths) for lstm in lstms], 2).detach()
    return states if count else states.squeeze(2)


FORMS = pytest.mark.parametrize("count", [None, 1, 3], ids=["tokens", "one", "three"])


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("score", ["additive", "dot", "static"])
@FORMS
def test_padded_nodes_are_read_as_packed_ones(count, score, directions):
    x, lengths = texts()
    lstm, nodes, packing = reader(score, count or 0, directions), nodes_of(x, lengths, directions, count), None
    states, weights = lstm(x, nodes, lengths, return_edge_weights=True)
    for b, length in enumerate(lengths.tolist()):  # each text alone, packed by hand
        packing = Packing(lengths[b : b + 1], length)
        ways = [slice(None), torch.arange(length - 1, -1, -1)][:directions]
        packed_x = torch.stack([x[b, :length][way] for way in ways])
        packed_nodes = torch.stack([nodes[b, :length, ..., 3 * d : 3 * d + 3][way] for d, way in enumerate(ways)])
        h, read, *_ = lstm.read(packed_x, packed_nodes, packing)
        exact = torch.cat([own[way] for own, way in zip(h, ways, strict=True)], -1)
        torch.testing.assert_close(states[b, :length], exact, rtol=0, atol=1e-12)
        mean = torch.stack(
            [own[way][:, way] if count is None else own[way] for own, way in zip(read, ways, strict=True)]
        )
        torch.testing.assert_close(weights[b, :length, ..., : mean.size(-1)], mean.mean(0), rtol=0, atol=1e-12)
        assert not states[b, length:].any()
        assert not weights[b, length:].any()


@FORMS
def test_what_stands_in_the_padding_and_how_much_of_it_there_is_play_no_part(count):
    lstm, lengths = reader(sources=count or 0), texts()[1]
    shapes = []
    for tokens in (7, 11):
        x, _ = texts(tokens)
        nodes = nodes_of(x, lengths, count=count)
        nodes[torch.arange(tokens) >= lengths[:, None]] = torch.nan
        shapes.append([x, nodes])
    short, long = (lstm(*given, lengths, return_edge_weights=True) for given in shapes)
    assert long[1].shape == (5, 11, count or 11)
    for ours, theirs in zip(short, long, strict=True):
        padded = torch.zeros_like(theirs)
        padded[tuple(slice(size) for size in ours.shape)] = ours
        torch.testing.assert_close(padded, theirs, rtol=0, atol=1e-12)


def test_a_mask_says_what_lengths_say_and_neither_means_no_padding():
    x, lengths = texts()
    lstm, nodes, mask = reader(), nodes_of(x, lengths), torch.arange(7) < lengths[:, None]
    plain = LSTM(input_size=4, hidden=3).double()
    assert torch.equal(plain(x, lengths), plain(x, mask=mask))
    assert torch.equal(lstm(x, nodes, lengths), lstm(x, nodes, mask=mask))
    whole = torch.full((5,), 7)
    assert torch.equal(plain(x), plain(x, whole))
    assert torch.equal(lstm(x, nodes), lstm(x, nodes, whole))
    assert not torch.equal(lstm(x, nodes), lstm(x, nodes, lengths))


@FORMS
def test_weights_sum_to_one_over_the_nodes_and_are_given_on_request_alone(count):
    x, lengths = texts()
    lstm, nodes = reader(sources=count or 0), nodes_of(x, lengths, count=count)
    states, weights = lstm(x, nodes, lengths, return_edge_weights=True)
    inside = (torch.arange(7) < lengths[:, None]).double()
    torch.testing.assert_close(weights.sum(-1), inside)
    assert weights.shape == (5, 7, count or 7)
    assert torch.equal(lstm(x, nodes, lengths), states)


@FORMS
def test_gradients_reach_texts_nodes_and_every_parameter(count):
    x, lengths = texts()
    lstm, nodes = reader(sources=count or 0), nodes_of(x, lengths, count=count)
    x.requires_grad_()
    nodes.requires_grad_()
    (lstm(x, nodes, lengths) ** 2).sum().backward()
    inside = torch.arange(7) < lengths[:, None]
    for given in (x, nodes):
        assert (given.grad.flatten(2).abs().sum(2) > 0).equal(inside)  # (B, T)
    # one node has all the weight, whatever its score
    idle = {"node_bias", "W_n", "W_q", "u"} if count == 1 else set()
    assert {name for name, own in lstm.named_parameters() if not own.grad.abs().sum() > 1e-15} == idle


def test_what_a_reader_is_made_of_and_how_it_is_shown():
    assert list(reader(sources=2).state_dict()) == [*"WUb", "W_m", "V_m", "W_r", "node_bias", "W_n", "W_q", "u"]
    assert list(reader("dot").state_dict()) == [*"WUb", "W_m", "V_m", "W_r", "W_n", "W_q"]
    assert list(LSTM(input_size=4, hidden=3).state_dict()) == [*"WUb"]
    assert str(reader(sources=2)) == "MessageLSTM(4, 3, attention=5, score=additive, sources=2, directions=2)"
    assert str(LSTM(input_size=4, hidden=3, directions=1)) == "LSTM(4, 3, directions=1)"


@pytest.mark.parametrize("score", ["additive", "dot", "static"])
def test_reset_parameters_draws_as_the_constructor_does(score):
    lstm = reader(score, sources=2)
    before = {name: value.clone() for name, value in lstm.state_dict().items()}
    for parameter in lstm.parameters():
        torch.nn.init.constant_(parameter, 7)
    torch.manual_seed(0)
    lstm.float().reset_parameters()
    for name, value in lstm.state_dict().items():
        assert torch.equal(value, before[name].float())


# A score of one's own: one function and a line in SCORES


def plain_tanh(query, keys, u):
    """The additive score as anybody would write it."""
    return (torch.tanh(keys + query.unsqueeze(-2)) * u[:, None, None]).sum(-1)  # (D, batch, sources)


def cosine(query, keys, u):
    assert u is None
    return torch.cosine_similarity(keys, query.unsqueeze(-2), -1)  # (D, batch, sources)


def reader_and_texts(score, nodes_per_token):
    torch.manual_seed(0)
    lstm = MessageLSTM(input_size=4, hidden=3, attention=5, score=score, sources=2 if nodes_per_token else 0).double()
    packing = Packing(torch.tensor([4, 1, 2]), 4)
    x = torch.randn(2, 7, 4, dtype=torch.float64, requires_grad=True)
    nodes = torch.randn(2, 7, *((2,) if nodes_per_token else ()), 3, dtype=torch.float64, requires_grad=True)
    return lstm, x, nodes, packing


@pytest.mark.parametrize("nodes_per_token", [True, False])
def test_a_known_score_written_anew_gives_the_same_states_and_gradients(nodes_per_token, monkeypatch):
    monkeypatch.setitem(SCORES, "anew", Scoring(plain_tanh, vector=True))
    found = []
    for score in ("additive", "anew"):
        lstm, x, nodes, packing = reader_and_texts(score, nodes_per_token)
        states, weights, *_ = lstm.read(x, nodes, packing)
        grads = torch.autograd.grad(states.square().sum(), [x, nodes, *lstm.parameters()])
        found.append([states, weights, *grads])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("nodes_per_token", [True, False])
def test_any_score_has_a_gradient(nodes_per_token, monkeypatch):
    monkeypatch.setitem(SCORES, "cosine", Scoring(cosine))
    lstm, x, nodes, packing = reader_and_texts("cosine", nodes_per_token)
    names, values = zip(*lstm.named_parameters(), strict=True)
    assert "u" not in names

    def states(x, nodes, *values):
        return torch.func.functional_call(_Reading(lstm, packing), dict(zip(inner, values, strict=True)), (x, nodes))

    inner = [f"lstm.{name}" for name in names]
    assert torch.autograd.gradcheck(states, (x, nodes, *values), atol=1e-6, fast_mode=True)


class _Reading(torch.nn.Module):
    def __init__(self, lstm, packing):
        super().__init__()
        self.lstm, self.packing = lstm, packing

    def forward(self, x, nodes):
        return self.lstm.read(x, nodes, self.packing)[0]
