import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.graph.pictures.token_map import LONGEST, draw_token_maps
from tests.graph.examples import names
from tests.graph.pictures.test_figure import cut_off, drawn_texts, overlapping

WORDS = ["the", "battery", "dies", "before", "an", "uncommonly", "long", "documentary", "ends"]


def answers(count: int, spread: float = 0.1) -> list[dict]:
    """What a graph of so many tasks says of one text, with weights around 0.5."""
    tasks, rng = names(count), np.random.default_rng(0)
    found = []
    for task in tasks:
        weights = 0.5 + spread * rng.uniform(-1, 1, (len(WORDS), count))
        edges = [[{"source": s, "weight": w} for s, w in zip(tasks, own, strict=True)] for own in weights.tolist()]
        found.append({"task": task, "tokens": WORDS, "label": "positive", "edges": edges})
    return found


@pytest.mark.parametrize("count", [1, 3, 16])
def test_no_text_overlaps_another_or_is_cut_off_on_a_page(count):
    figure = draw_token_maps(answers(count), heading="complete: one text, seed 0")
    texts = drawn_texts(figure)
    assert [text.text for text in texts].count("battery") == count
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []
    assert figure.get_size_inches()[0] <= 16


@pytest.mark.parametrize("count", [2, 8])
def test_maps_of_one_row_have_room_for_their_numbers(count):
    """As cmtr has them: the nodes are read once for the whole text."""
    given = [{**answer, "edges": answer["edges"][:1]} for answer in answers(count)]
    figure = draw_token_maps(given, heading="cmtr: one text, seed 0")
    texts = drawn_texts(figure)
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []


@pytest.mark.parametrize("spread", [0.1, 0.001])
def test_weights_that_are_close_have_colours_that_are_not(spread):
    given = answers(2, spread)
    image = draw_token_maps(given, heading="").axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), [[e["weight"] for e in own] for own in given[0]["edges"]])
    shades = image.norm(image.get_array())
    assert shades.min() == 0
    assert shades.max() == 1


@pytest.mark.parametrize("tokens", [0, LONGEST + 1])
def test_only_some_lengths_can_be_drawn(tokens):
    with pytest.raises(InputError, match=f"--text has {tokens} tokens; a text of 1 to {LONGEST} can be drawn"):
        draw_token_maps([{"task": "books", "tokens": ["a"] * tokens, "edges": [[]] * tokens}], heading="")
