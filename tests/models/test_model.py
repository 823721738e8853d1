import numpy as np
import pytest
import torch

from graphmtl.data.task import Task
from graphmtl.data.vectors import Vectors
from graphmtl.errors import InputError
from graphmtl.models.encoder import Encoded
from graphmtl.models.model import MultiTaskModel
from tests.models.small import TASKS, VOCABULARY, batch, build, every_architecture
from tests.parts import model_options

ONCE = ("cmtr", "adapter-fusion")  # nodes are read after pooling, once for a text
WITH_SELF = dict.fromkeys((*ONCE, "cross-stitch"), ("a", "b", "pairs"))


@every_architecture
@pytest.mark.parametrize("pooling", ["max", "max-mean"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_task_has_logits_of_its_own_labels(arch, pooling, bidirectional):
    model = build(arch, pooling=pooling, bidirectional=bidirectional)
    for task in TASKS:
        output = model(batch(task.name))[task.name]
        assert output.logits.shape == (3, len(task.labels))
        assert output.edges is None


@every_architecture
def test_edges_only_when_asked_for_and_they_change_no_logits(arch):
    model = build(arch)
    output = model(batch("b"), edges=True)["b"]
    assert torch.equal(output.logits, model(batch("b"))["b"].logits)
    sources = {"complete": ("a", "pairs"), "star": ("virtual",), **WITH_SELF}.get(arch)
    assert (output.edges is None) == (sources is None)
    if sources is not None:
        assert (output.edges.target, output.edges.sources) == ("b", sources)
        assert output.edges.weights.shape == (3, 1 if arch in ONCE else 4, len(sources))


@every_architecture
def test_forward_is_encoder_architecture_and_head_of_the_task(arch):
    model = build(arch)
    encoded = model.encode(batch("b"))
    assert encoded.states.shape == (3, 4, 5)
    assert encoded.pooled is None
    states, _ = model.architecture.read(encoded.states, encoded.lengths, [1])[0]
    seen = model.architecture.interact(model.represent(states, encoded, "b"), encoded.lengths, 1)
    assert torch.equal(model.classify(seen.h, "b"), model(batch("b"))["b"].logits)
    before = {task.name: model(batch(task.name))[task.name].logits for task in TASKS}
    model.heads[1].linear.bias.data += 1
    torch.testing.assert_close(model(batch("b"))["b"].logits, before["b"] + 1)
    assert torch.equal(model(batch("a"))["a"].logits, before["a"])


def test_locked_dropout_lies_on_the_states_in_training():
    model = build("shared", locked_dropout=0.5, output_dropout=0.0, embedding_dropout=0.0, pooling="mean")
    encoded = Encoded(torch.ones(1, 4, 8), torch.tensor([4]))
    pooled = {tuple(model.train().represent(encoded.states, encoded, "a")[0].tolist()) for _ in range(10)}
    assert len(pooled) > 1
    assert len({tuple(model.eval().represent(encoded.states, encoded, "a")[0].tolist()) for _ in range(10)}) == 1


@every_architecture
def test_encoders_are_shared_by_all_but_single(arch):
    model = build(arch)
    assert len(model.encoders) == (3 if arch == "single" else 1)
    before = {task.name: model(batch(task.name))[task.name].logits for task in TASKS}
    model.encoders[0].embedding.weight.data += 1
    changed = {
        task.name for task in TASKS if not torch.equal(model(batch(task.name))[task.name].logits, before[task.name])
    }
    assert changed == ({"a"} if arch == "single" else {"a", "b", "pairs"})


@every_architecture
def test_selection_groups_are_all_parameters_once_and_for_single_each_tasks(arch):
    many = [Task(name=f"t{i}", labels=("x", "y")) for i in range(12)]  # t1 must not get the parameters of t11
    model = build(arch, tasks=many)
    groups = model.selection_groups()
    assert sorted(name for names in groups.values() for name in names) == sorted(dict(model.named_parameters()))
    if arch != "single":
        assert list(groups) == ["mean"]
        return
    assert list(groups) == [task.name for task in many]
    for name in ("t0", "t1", "t11"):
        model.zero_grad()
        model(batch(name))[name].logits.square().sum().backward()
        assert {n for n, p in model.named_parameters() if p.grad is not None} == set(groups[name])


@every_architecture
def test_embedding_parameters_are_those_that_are_trained(arch):
    model = build(arch)
    assert [id(p) for p in model.embedding_parameters()] == [id(e.embedding.weight) for e in model.encoders]
    assert build(arch, freeze_embeddings=True).embedding_parameters() == []


@every_architecture
def test_vectors_go_into_every_encoder(arch):
    model = build(arch, embedding_size=2)
    model.load_vectors(Vectors(["film"], np.array([[3, 4]], dtype=np.float32)))
    index = VOCABULARY.encode("film")[0]
    assert [encoder.embedding.weight[index].tolist() for encoder in model.encoders] == [[3, 4]] * len(model.encoders)


def untouched(arch, **options):
    """A model with the weights that it starts with; the second and fourth task have labels of their own."""
    torch.manual_seed(0)
    labels = {"a": ("x", "y"), "b": ("y", "x"), "c": ("x", "y"), "d": ("x", "y", "z")}
    tasks = [Task(name=name, labels=each) for name, each in labels.items()]
    options = model_options(arch=arch, hidden=4, attention=3, embedding_size=5, **options)
    return MultiTaskModel(tasks=tasks, vocabulary=VOCABULARY, options=options)


def alike(one, other):
    values = [dict(module.named_parameters()) for module in (one, other)]
    assert not {id(value) for value in values[0].values()} & {id(value) for value in values[1].values()}
    return all(torch.equal(values[0][name], values[1][name]) for name in values[0] if "bias" not in name)


@every_architecture
def test_parts_of_tasks_start_alike_and_heads_where_the_labels_are_the_same(arch):
    model = untouched(arch, common_head=False)
    for parts in (model.encoders, getattr(model.architecture, "lstms", [])):
        assert all(alike(parts[0], part) for part in parts[1:])
    assert alike(model.heads[0], model.heads[2])
    assert not alike(model.heads[0], model.heads[1])


def test_tasks_with_different_numbers_of_sources_start_alike():
    first, *others = untouched("complete", topology="[[b, a], [c, a], [a, b]]").architecture.lstms
    assert all(alike(first, other) for other in others)
    assert [None if lstm.node_bias is None else len(lstm.node_bias) for lstm in (first, *others)] == [2, 1, None, None]


@every_architecture
def test_parts_of_tasks_start_apart_when_told_so(arch):
    model = untouched(arch, same_start=False, common_head=False)
    for parts in (model.encoders, getattr(model.architecture, "lstms", []), [model.heads[0], model.heads[2]]):
        assert not any(alike(parts[0], part) for part in parts[1:])


def test_heads_with_the_same_labels_begin_at_a_common_one():
    model = untouched("shared")
    assert len(model.common_heads) == 1
    assert [model.common_head(k) is None for k in range(4)] == [False, True, False, True]
    assert [bool(head.linear.weight.any()) for head in model.heads] == [False, True, False, True]


def test_a_step_of_one_task_moves_another_by_the_common_head_alone():
    model = untouched("shared").eval()
    pooled = torch.randn(1, model.heads[0].linear.in_features)

    def logits():
        return [head(pooled, model.common_head(k)).detach() for k, head in enumerate(model.heads)]

    before = logits()
    model(batch("a"))["a"].logits[:, 0].sum().backward()
    torch.optim.SGD([*model.heads.parameters(), *model.common_heads.parameters()], lr=1.0).step()
    a, b, c, d = (new - old for new, old in zip(logits(), before, strict=True))
    assert a.any()
    assert not b.any()
    assert not d.any()
    torch.testing.assert_close(a, 2 * c)


@every_architecture
def test_without_a_common_head_and_in_single_there_is_none(arch):
    assert not untouched(arch, common_head=False).common_heads
    assert bool(untouched(arch).common_heads) == (arch != "single")


def layers_by_hand(model, k, h):
    """What --head-layers make of h for task k, without dropout: gelu(W h + b), layer by layer."""
    linears = [module for module in model.layers_below(k) if isinstance(module, torch.nn.Linear)]
    for linear in linears:
        z = linear.weight @ h + linear.bias
        h = z * 0.5 * (1 + torch.erf(z / 2**0.5))
    return len(linears), h


@every_architecture
@pytest.mark.parametrize("common_head", [True, False])
def test_hidden_layers_stand_between_what_a_head_reads_and_its_answer(arch, common_head):
    model = untouched(arch, head_layers=2, head_width=3, common_head=common_head).double().eval()
    for k, task in enumerate("abcd"):
        output = model(batch(task))[task]
        for text in range(3):
            count, h = layers_by_hand(model, k, output.hidden[text])
            parts = [model.heads[k].linear, *([] if model.common_head(k) is None else [model.common_head(k)])]
            expected = sum(part.weight @ h + part.bias for part in parts)
            assert (count, len(h)) == (2, 3)
            torch.testing.assert_close(output.logits[text], expected, rtol=0, atol=1e-12)


@every_architecture
def test_hidden_layers_are_common_where_the_head_is(arch):
    model = untouched(arch, head_layers=1)
    a, b, c, d = (model.layers_below(k) for k in range(4))
    assert (a is c) == (arch != "single")
    assert len({id(each) for each in (a, b, d)}) == 3
    apart = untouched(arch, head_layers=1, common_head=False)
    assert alike(apart.head_layers[0], apart.head_layers[2])
    assert not alike(apart.head_layers[0], apart.head_layers[1])
    texts = torch.randn(2, a[1].in_features)
    model.train()
    assert not torch.equal(model.classify(texts, "b"), model.classify(texts, "b"))  # dropout


@every_architecture
def test_without_hidden_layers_there_is_no_trace_of_them(arch):
    names = untouched(arch).state_dict().keys()
    assert not any(name.startswith(("head_layers", "common_layers")) for name in names)
    assert names == untouched(arch, head_layers=0, head_width=7).state_dict().keys()


@every_architecture
def test_a_model_with_hidden_layers_comes_back_as_it_was_saved(arch, tmp_path):
    model = build(arch, head_layers=1, head_width=3)
    model.save_pretrained(tmp_path)
    again = MultiTaskModel.from_pretrained(tmp_path)
    assert torch.equal(again(batch("b"))["b"].logits, model(batch("b"))["b"].logits)


def test_the_head_of_the_star_may_see_the_hub():
    plain, wide = (build("star", hub_to_head=hub, pooling="mean") for hub in (False, True))
    assert (plain.heads[0].linear.in_features, wide.heads[0].linear.in_features) == (8, 16)
    x = wide.encode(batch("a")).states
    states, _ = wide.architecture.read(x, batch("a").lengths, [0])[0]
    torch.testing.assert_close(states[..., 8:], wide.architecture.hub(x, batch("a").lengths))
    logits = wide(batch("a"))["a"].logits
    wide.architecture.lstms[0].load_state_dict(wide.architecture.lstms[1].state_dict())
    assert torch.equal(wide.architecture.read(x, batch("a").lengths, [0])[0][0][..., 8:], states[..., 8:])
    assert not torch.equal(wide(batch("a"))["a"].logits, logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "stra"}, "unknown arch 'stra'; did you mean 'star'?"),
        ({"encoder": "lstn"}, "unknown encoder 'lstn'; did you mean 'lstm'?"),
        ({"arch": "complete", "topology": "star:pears"}, "unknown task 'pears'; did you mean 'pairs'?"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(InputError) as error:
        MultiTaskModel(tasks=TASKS, vocabulary=VOCABULARY, options=model_options(**options))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({task.name: task for task in TASKS}, "tasks: found 'a', expected a list of Task"),
        ([*TASKS, TASKS[0]], "tasks: 'a' stands there twice"),
    ],
)
def test_tasks_are_a_list_and_each_has_a_name_of_its_own(tasks, message):
    with pytest.raises(InputError) as error:
        MultiTaskModel(tasks=tasks, vocabulary=VOCABULARY, options=model_options())
    assert message in str(error.value)
