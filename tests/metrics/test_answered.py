import pytest

from graphmtl.metrics.answered import Answered, Metric
from tests.metrics.answers import classes, tags


def test_labels_and_answers_are_as_many_and_of_a_known_form():
    with pytest.raises(ValueError, match="2 labels and 1 answers, expected one for each example"):
        classes([0, 1], [0], 2)
    with pytest.raises(ValueError, match="form: found 'words', expected one of classes, label-sets, choices, numbers"):
        Answered(form="words", labels=[], answers=[])


def test_a_label_is_found_by_its_name():
    found = classes([0, 1], [0, 1], 3)
    assert [found.index_of(name) for name in found.names] == [0, 1, 2]
    with pytest.raises(ValueError, match="label: found 'label9', expected one of label0, label1, label2"):
        found.index_of("label9")


def test_sentences_without_a_labelled_token_are_nothing_to_measure():
    assert tags(["", ""], ["", ""], ("A",)).is_empty
    assert not tags(["", "A"], ["", "A"], ("A",)).is_empty
    assert classes([], [], 2).is_empty
    assert not classes([0], [0], 2).is_empty


@pytest.mark.parametrize(
    ("of_spans", "fitting"), [(None, (True, False, None)), (True, (True, None)), (False, (False, None))]
)
def test_a_metric_of_tags_may_be_of_spans_only_or_never(of_spans, fitting):
    metric = Metric(function=lambda answered: 0.0, forms=("tags", "classes"), of_spans=of_spans)
    assert tuple(spans for spans in (True, False, None) if metric.fits("tags", spans=spans)) == fitting
    assert metric.fits("classes", spans=False)
    assert not metric.fits("numbers", spans=of_spans)
