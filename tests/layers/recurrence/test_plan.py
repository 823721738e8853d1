"""How the kernels' work is shared out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("triton", reason="Triton is not installed")

from graphmtl.layers.packing import Graph
from graphmtl.layers.recurrence import plan
from graphmtl.layers.recurrence.plan import make_plan, message_choices, message_plan, plain_plan


@given(
    texts=st.integers(1, 600),
    recurrences=st.integers(1, 300),
    units=st.integers(1, 700),
    programs=st.integers(1, 16),
    multiprocessors=st.integers(1, 200),
)
def test_all_is_shared_out_and_those_who_wait_run_at_once(texts, recurrences, units, programs, multiprocessors):
    own = make_plan(texts, recurrences, units, programs, multiprocessors)
    assert own.groups * own.texts >= texts > (own.groups - 1) * own.texts  # every text, and no group without any
    assert own.programs * own.units >= units
    assert own.units & (own.units - 1) == own.tile & (own.tile - 1) == 0
    if own.programs > 1:
        assert own.groups * own.programs * recurrences <= multiprocessors


def test_the_sizes_that_were_measured(monkeypatch):
    monkeypatch.setattr(plan, "_multiprocessors", lambda _: 132)
    device = torch.device("cpu")
    one, many = plain_plan(64, 1, 100, device), plain_plan(64, 15, 100, device)
    assert (one.programs, one.texts, one.units) == (13, 7, 8)
    assert (many.programs, many.texts, many.units) == (1, 8, 128)
    graph = Graph(torch.empty(1, 1, 100), torch.empty(1, 1, 64), torch.empty(1, 64), None)
    star = message_plan(64, 1, graph, device)
    assert (star.programs, star.texts, star.units) == (16, 8, 8)
    assert message_choices(graph, star)["PARTS"] == 2  # of a text's nodes, so that all programs read some


def test_products_are_sums_where_there_are_few_units_and_where_there_are_64_bits(monkeypatch):
    monkeypatch.setattr(plan, "_multiprocessors", lambda _: 132)
    few, many = (plain_plan(64, K, 100, torch.device("cpu")) for K in (1, 15))
    assert few.choices(torch.float32, 4)["HOW"] == "sums"
    assert many.choices(torch.float32, 4)["HOW"] == "ieee"
    assert many.choices(torch.float64, 4)["HOW"] == "sums"


@pytest.mark.parametrize(("texts", "how"), [(2, "sums"), (4, "sums"), (8, "ieee")])
def test_products_of_few_texts_are_sums(texts, how):  # on an H200 those of 2 were wrong
    own = plan.Plan(groups=1, programs=4, texts=texts, units=32, tile=texts)
    assert own.choices(torch.float32, 4)["HOW"] == how


def test_a_tile_has_a_node_however_wide_it_is(monkeypatch):
    monkeypatch.setattr(plan, "_TILE", 64)
    graph = Graph(torch.empty(1, 1, 40), torch.empty(1, 1, 8), torch.empty(1, 8), None)
    assert message_choices(graph, message_plan(2, 1, graph, torch.device("cpu")))["ROWS"] == 1
