"""Star graph: spokes, and what else a head may see."""

import torch

from graphmtl.layers.interaction import Ablation
from graphmtl.layers.message_lstm import LSTM
from tests.architectures.reference import REFERENCES
from tests.architectures.small import LENGTHS, assert_equal, both_loops, build, texts


def test_spokes_are_shares():
    x, lengths = texts()
    _, edges = build("star")(x, 2, lengths, return_edge_weights=True)
    assert edges.sources == ("virtual",)
    assert ((edges.per_instance() > 0) & (edges.per_instance() < 1)).all()


@both_loops
def test_a_head_may_see_the_virtual_nodes_states_behind_the_tasks():
    plain, wide = build("star"), build("star", hub_to_head=True)
    x, lengths = texts()
    states = wide(x, "b", lengths)
    assert states.size(-1) == wide.output_size
    assert_equal(states, torch.cat([plain(x, "b", lengths), wide.hub(x, lengths)], -1))


@both_loops
def test_without_its_spoke_a_task_of_the_star_is_a_plain_lstm():
    architecture = build("star")
    x, lengths = texts()
    states, edges = architecture.read(
        x, lengths, [1], edges=True, ablation=Ablation(edges=frozenset({("virtual", "b")}))
    )[0]
    assert_equal(states, LSTM.forward(architecture.lstms[1], x, lengths))
    for b, length in enumerate(LENGTHS):
        assert_equal(states[b, :length], REFERENCES["star"](architecture, x[b, :length], 1, silent={0})[0])
    assert not edges.per_instance().any()
