from dataclasses import replace

import pytest
import torch

from graphmtl.architectures import architecture_class
from graphmtl.architectures.shared import Shared
from graphmtl.data.spelling import Alphabet
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import UNK, Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.new_tasks import FREEZE, add_tasks, frozen_parameters, held, old_blocks, parts
from graphmtl.registry import ARCHITECTURES
from tests.parts import model_options
from tests.tagging import MOOD, NER, PLAIN, POS

SMALL = {"hidden": 4, "attention": 4, "embedding_size": 6, "char_size": 4}
CLASSES = {name: architecture_class(name) for name in ARCHITECTURES}
GROWING = [name for name, kind in CLASSES.items() if not (kind.own_encoder_per_task or kind.reads_new_tasks)]
TEXTS = ["Ada left Rome", "Böll sees unheard of things in Málaga", "!"]
LONGER = replace(PLAIN, name="longer")
SCALE = Task(name="scale", labels=("low", "middle", "high"))


def make(*tasks, seed=0, **options) -> MultiTaskModel:
    """A model whose weights are all random, as if trained."""
    vocabulary = Vocabulary.build(TEXTS[:1])
    vocabulary.alphabet = Alphabet.build("".join(TEXTS))
    torch.manual_seed(seed)
    model = MultiTaskModel(tasks=tasks, vocabulary=vocabulary, options=model_options(**SMALL | options)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("arch", GROWING)
@pytest.mark.parametrize("pooling", ["max", "attention"])
@pytest.mark.parametrize("common_head", [True, False])
@pytest.mark.parametrize("head_layers", [0, 1])
def test_old_tasks_answer_as_before(arch, pooling, common_head, head_layers):
    options = {"pooling": pooling, "common_head": common_head, "head_layers": head_layers, "head_width": 5}
    old = make(PLAIN, POS, replace(SCALE, name="other"), MOOD, arch=arch, **options)
    grown = add_tasks(old, [LONGER, SCALE, NER], words=["unheard", "sees"])
    assert len(grown.vocabulary) == len(old.vocabulary) + 2
    assert list(grown.tasks) == [*old.tasks, "longer", "scale", "ner"]
    assert grown.predict(TEXTS, list(old.tasks), edges=True) == old.predict(TEXTS, list(old.tasks), edges=True)
    assert all(answer["task"] in grown.tasks for answer in grown.predict(TEXTS, ["longer", "scale", "ner"]))


@pytest.mark.parametrize("arch", ["shared", "complete", "star"])
def test_a_new_task_starts_as_the_mean_of_those_with_its_labels(arch):
    old = make(PLAIN, replace(PLAIN, name="second"), SCALE, arch=arch)
    grown = add_tasks(old, [LONGER])
    for new, *alike in zip(*(list(grown.heads[k].parameters()) for k in (3, 0, 1)), strict=True):
        assert torch.equal(new, torch.stack(alike).mean(0))
    assert grown.common_head(3) is grown.common_head(0)
    if arch != "shared":
        own = {name: value for name, value in grown.architecture.lstms[3].named_parameters() if name != "node_bias"}
        for name, new in own.items():
            before = [old.architecture.lstms[k].get_parameter(name) for k in (0, 1)]
            assert torch.allclose(new, torch.stack(before).mean(0))
            fresh = add_tasks(old, [LONGER], start="fresh").architecture.lstms[3].get_parameter(name)
            assert not torch.equal(new, fresh)


@pytest.mark.parametrize("arch", ["ple", "adapter-fusion"])
def test_a_graph_whose_tasks_all_read_each_other_takes_no_new_one(arch):
    with pytest.raises(InputError, match=f"--arch {arch} takes no new task: its old tasks would read from it"):
        add_tasks(make(PLAIN, arch=arch), [LONGER])


def test_new_words_start_as_the_unknown_one():
    grown = add_tasks(make(PLAIN, SCALE), [LONGER], words=["things"])
    weight = grown.encoders[0].embedding.weight
    assert torch.equal(weight[grown.vocabulary.index("things")], weight[UNK])


def test_a_new_task_of_complete_reads_all_others_and_none_reads_it():
    old = make(PLAIN, POS, SCALE, arch="complete", topology="[[pos, plain], [scale, pos]]")
    sources = add_tasks(old, [LONGER, MOOD]).architecture.topology.sources
    assert {name: sources[name] for name in old.tasks} == dict(old.architecture.topology.sources)
    assert sources["longer"] == ("plain", "pos", "scale", "mood")
    assert sources["mood"] == ("plain", "pos", "scale", "longer")


def test_what_cannot_be():
    with pytest.raises(InputError, match="--arch single has nothing to transfer"):
        add_tasks(make(PLAIN, arch="single"), [LONGER])
    with pytest.raises(InputError, match="task 'plain' is in the graph already"):
        add_tasks(make(PLAIN, SCALE), [replace(SCALE, name="plain")])


def test_a_new_task_of_cross_stitch_starts_as_those_with_its_labels_and_none_reads_it():
    old = make(PLAIN, SCALE, arch="cross-stitch", topology="[[scale, plain]]")
    grown = add_tasks(old, [LONGER])
    (before,), (after,) = old.architecture.units, grown.architecture.units
    assert torch.equal(after(0, [0, 1, 2]), torch.cat([before(0, [0, 1]), torch.zeros(1)]))
    assert torch.equal(after(1, [1]), before(1, [1]))
    own, of_scale = before.own[0], before.others[0, 1]
    assert torch.equal(after(2, [1, 2]), torch.stack([of_scale, own]))
    answers = {task: grown.predict(TEXTS, task) for task in ("plain", "longer")}
    assert [a["label"] for a in answers["plain"]] == [a["label"] for a in answers["longer"]]


def test_hidden_layers_of_a_common_head_are_shared_and_others_belong_to_their_task():
    old = make(PLAIN, replace(PLAIN, name="second"), SCALE, arch="shared", head_layers=1, head_width=5)
    grown = add_tasks(old, [LONGER, NER])
    found = parts(grown, old)
    assert {name: own for name, own in found.items() if "layers" in name} == {
        **{f"common_layers.0.1.{kind}": "shared" for kind in ("weight", "bias")},
        **{f"head_layers.2.1.{kind}": "task" for kind in ("weight", "bias")},
        **{f"head_layers.4.1.{kind}": "new" for kind in ("weight", "bias")},
    }
    assert grown.layers_below(3) is grown.layers_below(0)
    alone = add_tasks(make(PLAIN, SCALE, arch="shared", head_layers=1), [LONGER])  # becomes common, as it was
    assert alone.layers_below(2) is alone.layers_below(0)


HEADS = {f"heads.{k}" for k in range(3)}
LSTMS = {f"architecture.lstms.{k}" for k in range(3)}


@pytest.mark.parametrize(
    ("arch", "shared", "task"),
    [
        ("shared", {"architecture.lstm", "common_heads.0"}, HEADS),
        ("star", {"architecture.hub", "common_heads.0"}, HEADS | LSTMS),
        ("complete", {"common_heads.0"}, HEADS | LSTMS),
    ],
)
def test_every_parameter_has_a_part(arch, shared, task):
    old = make(PLAIN, SCALE, POS, arch=arch)
    grown = add_tasks(old, [LONGER], words=["things"])
    found = parts(grown, old)
    assert set(found) == {name for name, _ in grown.named_parameters()}

    def modules(part):
        return {".".join(name.split(".")[: 2 + ("lstms" in name)]) for name, own in found.items() if own == part}

    assert modules("shared") == shared
    assert modules("task") == task
    assert modules("encoder") == {"encoders.0"}
    assert modules("new") == {"heads.3", *(() if arch == "shared" else ("architecture.lstms.3",))}
    for freeze, frozen in FREEZE.items():
        own = {id(p) for each in frozen_parameters(grown, old, freeze).values() for p in each}
        assert own == {id(grown.get_parameter(name)) for name, part in found.items() if part in frozen}


class Stacked(Shared):
    """An architecture whose tasks are the rows of one parameter."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = torch.nn.Parameter(torch.randn(len(self.tasks), self.output_size))

    def task_rows(self):
        return [self.scale]

    def read(self, x, lengths, tasks, edges=False, nodes=None, ablation=None):
        states = self.lstm(x, lengths)  # (B, T, D * H)
        return [(states * self.scale[task], None) for task in tasks]


class Undeclared(Stacked):
    """It does not say that its parameter has a row for each task."""

    def task_rows(self):
        return []


def test_what_grows_without_a_word_is_named(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "undeclared", f"{__name__}:Undeclared")
    with pytest.raises(InputError, match=r"undeclared takes no new task: architecture\.scale grows with the task"):
        add_tasks(make(PLAIN, SCALE, arch="undeclared"), [LONGER])


def test_rows_of_a_stacked_parameter_grow_and_stay(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "stacked", f"{__name__}:Stacked")
    old = make(PLAIN, replace(PLAIN, name="second"), SCALE, arch="stacked")
    grown = add_tasks(old, [LONGER])
    scale, rows = grown.architecture.scale, old.architecture.scale.detach()
    assert torch.equal(scale[:3], rows)
    assert torch.equal(scale[3], rows[:2].mean(0))
    assert parts(grown, old)["architecture.scale"] == "task"
    assert frozen_parameters(grown, old, "all-but-new")["task"] != []
    assert all(p is not scale for p in frozen_parameters(grown, old, "all-but-new")["task"])
    blocks = old_blocks(grown, old, "all-but-new")
    optimizer = torch.optim.AdamW([scale], weight_decay=0.5)
    with held(blocks, lambda: True):
        scale.sum().backward()
        optimizer.step()
    assert torch.equal(scale[:3], rows)
    assert not torch.equal(scale[3], rows[:2].mean(0))
    optimizer.step()
    assert not torch.equal(scale[:3], rows)
