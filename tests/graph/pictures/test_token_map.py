import numpy as np
import pytest

from graphmtl.errors import InputError
from graphmtl.graph.pictures.token_map import LONGEST, draw_token_maps
from tests.graph.examples import names
from tests.graph.pictures.test_figure import cut_off, drawn_texts, overlapping

WORDS = ["the", "battery", "dies", "before", "an", "uncommonly", "long", "documentary", "ends"]


def answers(count: int, spread: float = 3.0) -> list[dict]:
    """What a graph of so many tasks says of one text; the shares of each token are so many times apart."""
    tasks, rng = names(count), np.random.default_rng(0)
    found = []
    for task in tasks:
        weights = np.exp(np.log(spread) * rng.uniform(-1, 1, (len(WORDS), count)))
        weights /= weights.sum(1, keepdims=True)
        edges = [[{"source": s, "weight": w} for s, w in zip(tasks, own, strict=True)] for own in weights.tolist()]
        answer = {"label": "positive", "probabilities": {"positive": 0.75, "negative": 0.25}}
        found.append({"task": task, "tokens": WORDS, **answer, "edges": edges})
    return found


@pytest.mark.parametrize("count", [2, 3, 16])
@pytest.mark.parametrize("spread", [3.0, 1.01])
def test_no_text_overlaps_another_or_is_cut_off_on_a_page(count, spread):
    figure = draw_token_maps(answers(count, spread), heading="complete: one text, seed 0")
    texts = drawn_texts(figure)
    assert [text.text for text in texts].count("battery") == (count if count > 2 and spread == 3.0 else 0)
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []
    assert figure.get_size_inches()[0] <= 16


@pytest.mark.parametrize("count", [3, 8])
def test_what_a_whole_text_reads_is_one_strip_of_tasks(count):
    """As cmtr has them: the nodes are read once for the whole text, the task itself apart."""
    given = [{**answer, "edges": answer["edges"][:1]} for answer in answers(count)]
    figure = draw_token_maps(given, heading="cmtr: one text, seed 0")
    texts = drawn_texts(figure)
    assert {text.text for text in texts} >= set(names(count))
    assert overlapping(texts) == []
    assert cut_off(texts, figure) == []
    own = given[0]["edges"][0][0]["weight"]
    assert f"books: positive (0.75); which tasks the text read; itself {own:.2f}" in " ".join(t.text for t in texts)


def test_colours_are_the_ratio_to_the_equal_share_in_every_map():
    given = answers(4)
    image = draw_token_maps(given, heading="").axes[0].images[0]
    others = np.array([[e["weight"] for e in own if e["source"] != "books"] for own in given[0]["edges"]])
    expected = np.log2(others / others.mean(1, keepdims=True)).clip(-1, 1)
    np.testing.assert_allclose(image.get_array(), expected)
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize(("apart", "alike"), [(1.02, True), (1.5, False)])
def test_rows_that_show_the_same_are_one_strip(apart, alike):
    """Which words were read, as a star has them."""
    rows = np.ones((len(WORDS), len(WORDS)))
    rows[0, 3] = apart
    rows[:, 5] = 4
    rows /= rows.sum(1, keepdims=True)
    answer = {
        "task": "books",
        "tokens": WORDS,
        "edges": [[{"source": "virtual", "weight": 1, "reads": own}] for own in rows.tolist()],
    }
    figure = draw_token_maps([answer], heading="")
    words = [text.text for text in drawn_texts(figure)]
    assert all(words.count(word) == (1 if alike else 2) for word in WORDS)
    if alike:
        boxes = {
            text.get_text(): box.get_facecolor()
            for text, box in zip(figure.axes[0].texts, figure.axes[0].patches, strict=True)
        }
        assert boxes["uncommonly"][2] > boxes["uncommonly"][0] + 0.2  # blue: more than the equal share
        assert boxes["the"][0] > boxes["the"][2]


@pytest.mark.parametrize("edges", [[], [{"source": "books", "weight": 1.0}]])
def test_of_a_task_that_reads_from_no_other_there_is_nothing_to_draw(edges):
    answer = {"task": "books", "tokens": WORDS, "edges": [edges] * len(WORDS)}
    with pytest.raises(InputError, match="--text: task 'books' reads from no other node, so there is nothing to draw"):
        draw_token_maps([*answers(2), answer], heading="")


@pytest.mark.parametrize("tokens", [0, LONGEST + 1])
def test_only_some_lengths_can_be_drawn(tokens):
    with pytest.raises(InputError, match=f"--text has {tokens} tokens; a text of 1 to {LONGEST} can be drawn"):
        draw_token_maps([{"task": "books", "tokens": ["a"] * tokens, "edges": [[]] * tokens}], heading="")
