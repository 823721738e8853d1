import numpy as np
import pytest

from graphmtl.architectures.star import Star
from graphmtl.registry import OBJECTIVES, find_class
from graphmtl.training.term import Term
from tests.training.toy import ToyModel, toy_data


def test_what_a_term_says_where_it_says_nothing():
    model = ToyModel([task.task for task in toy_data(a=1).values()])
    term = Term.of_run(model, Term.Options())
    assert (Term.suits(Star), term.weight(1, 4), term.labels_weight(1, 4)) == (True, 1, 1)
    assert term.targets("a", np.array([0])) == {}
    with pytest.raises(NotImplementedError):
        term({}, None, {})


def test_every_name_of_the_table_is_a_term():
    assert all(issubclass(find_class("term", name, OBJECTIVES, Term), Term) for name in OBJECTIVES)
