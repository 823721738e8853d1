import pytest

from graphmtl.data.source import Corpus, Source, described
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

TABLE = Table(source="a.tsv", columns={"text": ["x"], "label": ["y"]})


@pytest.mark.parametrize(
    ("where", "said"),
    [("my.yaml, line 3", "my.yaml, line 3: a.tsv, line 1: a label"), ("", "a.tsv, line 1: a label")],
)
def test_a_fault_of_the_labels_names_the_place_that_describes_them(where, said):
    corpus = Corpus(name="a", train=TABLE, valid=0.1, test=0.1)
    source = Source(task=Task(name="a"), corpus=corpus, where=where)
    with pytest.raises(InputError) as error, described(source):
        raise InputError("a.tsv, line 1: a label")
    assert str(error.value) == said
