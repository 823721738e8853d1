"""The plain recurrence against torch.nn.LSTM."""

import torch

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
