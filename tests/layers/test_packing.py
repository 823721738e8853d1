import torch

from graphmtl.layers.packing import Packing


def test_packing_and_back():
    x, lengths = torch.arange(1.0, 25.0).view(2, 4, 3), torch.tensor([4, 2])
    packing = Packing(lengths, 4)
    ways = packing.pack(x, 2)  # (D, N, I)
    assert ways[0, :, 0].tolist() == [*x[0, :, 0], *x[1, :2, 0]]
    assert ways[1, :, 0].tolist() == [*x[0, :, 0].flip(0), *x[1, :2, 0].flip(0)]
    expected = x.clone()
    expected[1, 2:] = 0
    torch.testing.assert_close(packing.unpack(ways), torch.cat([expected, expected], -1))
    torch.testing.assert_close(packing.unpack_mean(ways), expected)


def test_the_state_before_the_first_token_of_a_text_is_zero():
    packing = Packing(torch.tensor([2, 1]), 2)
    assert packing.before(torch.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist() == [0, 1, 0]


def test_at_every_token_only_the_texts_that_have_one_are_left():
    order, steps = Packing(torch.tensor([1, 3, 2]), 5).steps()
    assert order.tolist() == [1, 2, 0]
    assert [rows.tolist() for rows in steps] == [[1, 4, 0], [2, 5], [3]]
