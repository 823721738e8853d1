import pytest
import torch
from torch.nn import functional as F

from graphmtl.data.task import Task
from graphmtl.kinds.crf import CRFHead
from graphmtl.kinds.tagging import LinearTagHead
from tests.layers.test_pooling import states

LABELS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def test_the_linear_head_takes_the_largest_logit():
    torch.manual_seed(0)
    head = LinearTagHead(input_size=3, labels=LABELS, spans=True, dropout=0.0).double()
    x, sizes = states([3, 1])
    labels = torch.tensor([[0, 4, 2], [1, -100, -100]])
    each = F.cross_entropy(head(x).mT, labels, reduction="none")  # (texts, tokens)
    torch.testing.assert_close(head.losses(head(x), labels, sizes), torch.stack([each[0].sum(), each[1, 0]]))
    assert head.counts(labels).tolist() == [3, 1]
    assert torch.equal(head.decode(head(x), sizes), head(x).argmax(-1))


POS = Task(name="pos", kind="token-classification", labels=("N", "V"))
NER = Task(name="ner", kind="token-classification", labels=("O", "B-x", "I-x"))
CLASSES = {"crf": CRFHead, "linear": LinearTagHead}


def head_of(task, option):
    return task.of_kind.head(input_size=3, dropout=0.0, tag_head=option)


@pytest.mark.parametrize(
    ("task", "option", "found"),
    [(POS, "auto", "linear"), (NER, "auto", "crf"), (POS, "crf", "crf"), (NER, "linear", "linear")],
)
def test_spans_have_a_crf_unless_told_otherwise(task, option, found):
    assert type(head_of(task, option)) is CLASSES[found]


def test_a_tasks_own_head_goes_before_the_option():
    task = Task(name="pos", kind="token-classification", labels=("N", "V"), head="crf")
    assert type(head_of(task, "linear")) is CRFHead
