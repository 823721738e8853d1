"""Tasks that join the graph of a finished run: what is trained of it, and how."""

from types import SimpleNamespace

import pytest
import torch

from graphmtl.architectures import architecture_class
from graphmtl.options import changed, make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.joining import options_for, with_steps
from graphmtl.training.run import Run
from tests.training.toy import toy_data

CLASSES = {name: architecture_class(name) for name in ARCHITECTURES}
GROWING = [name for name, kind in CLASSES.items() if not (kind.own_encoder_per_task or kind.reads_new_tasks)]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.model.state_dict()


@pytest.mark.parametrize("arch", GROWING)
def test_with_all_but_new_no_old_bit_changes(arch, finished, transfer, tone):
    source = finished(arch).run
    training = ["--ema", 0.9, "--weight-decay", 0.5]
    run = transfer(source.folder, tone, "--freeze", "all-but-new", *training)
    old, new = weights(source), weights(run)
    for name, value in old.items():
        assert torch.equal(new[name][tuple(map(slice, value.shape))], value), name
    assert all(own["identical"] and own["before"] == own["after"] for own in run.transfer["old"].values())
    for name, own in source.metrics["tasks"].items():
        assert run.transfer["old"][name]["after"]["test"] == run.metrics["tasks"][name]["test"] == own["test"]


@pytest.mark.parametrize(
    ("arch", "freeze", "changed"),
    [
        ("complete", "none", {"encoders.0"}),  # its loss does not train the LSTMs of the tasks that it reads
        ("star", "encoder", {"architecture.hub"}),
    ],
)
def test_what_is_not_frozen_is_trained(arch, freeze, changed, finished, transfer, tone):
    run = transfer(finished(arch).run.folder, tone, "--freeze", freeze)
    old, new = weights(finished(arch).run), weights(run)
    found = {name for name, value in old.items() if not torch.equal(new[name][tuple(map(slice, value.shape))], value)}
    assert {".".join(name.split(".")[:2]) for name in found} == changed
    assert not all(own["identical"] for own in run.transfer["old"].values())  # a task may have none of the new words


def test_how_it_is_trained_is_said_anew(finished, transfer, tone):
    """The rate of the embeddings is that of the command, not that of the saved model."""
    source = finished("shared").run
    before = weights(source)["encoders.0.embedding.weight"]
    for rate, stays in ((0, True), (1, False)):
        run = transfer(source.folder, tone, "--embedding-lr", rate, output=f"rate{rate}")
        after = weights(run)["encoders.0.embedding.weight"][: len(before)]
        assert torch.equal(after, before) == stays


def test_unfreezing_goes_from_the_heads_to_the_encoder(finished, transfer, tone):
    source = finished("star").run
    changed = []
    for epochs in (1, 2, 3):
        run = transfer(
            source.folder, tone, "--freeze", "all-but-new", "--unfreeze-after", 1, "--epochs", epochs, "--examples", 20,
            output=str(epochs),
        )  # fmt: skip
        old, new = weights(source), weights(run)
        names = ("architecture.hub.W", "encoders.0.embedding.weight")
        changed.append([not torch.equal(new[name][: len(old[name])], old[name]) for name in names])
    assert changed == [[False, False], [True, False], [True, True]]


@pytest.mark.parametrize(("accumulate", "updates"), [(1, 10), (2, 5), (9, 2)])
def test_steps_are_updates_of_the_weights(accumulate, updates):
    """50 and 21 texts in batches of 8 are 10 batches."""
    options = make_options(batch_size=8, epochs=2, accumulate=accumulate)
    epochs = [with_steps(options, toy_data(a=50, b=21), steps).epochs for steps in (0, 3 * updates, 3 * updates + 1)]
    assert epochs == [2, 3, 4]


@pytest.mark.parametrize(("given", "expected"), [((0, 0), (8, 32)), ((3, 16), (3, 16))])
def test_what_the_texts_of_the_graph_chose_says_nothing_of_new_tasks(given, expected, tmp_path):
    source = SimpleNamespace(options=make_options(epochs=given[0], batch_size=given[1]), folder=tmp_path)
    options = options_for(source)
    assert (options.epochs, options.batch_size) == expected


def test_the_control_of_the_source_is_not_asked_for(copy_of):
    run = Run.open(copy_of("star"))
    run.__dict__["options"] = changed(run.options, control="always")
    assert options_for(run).control == "auto"
