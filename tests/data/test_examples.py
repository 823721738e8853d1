from graphmtl.data.examples import Examples


def test_examples_taken_keep_their_places():
    examples = Examples(source="f", text=["a", "b", "c"], text_pair=["p", "q", "r"], label=["1", "2", "3"], row="row")
    taken = examples.take([2, 0]).take([0])
    assert (taken.text, taken.text_pair, taken.label, taken.where(0)) == (["c"], ["r"], ["3"], "f, row 3")
