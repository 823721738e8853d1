"""Parts that are written outside of the package: all that can be done with one of its own can be done with them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

import graphmtl
from graphmtl.cli import main
from graphmtl.models.model import MultiTaskModel
from graphmtl.training.run import Run
from tests.tiny import OPTIONS, flags, without_clock

_PARTS = """
from dataclasses import dataclass

import torch
from torch import nn

from graphmtl.architectures.architecture import HeadInput, TopologyOptions
from graphmtl.architectures.shared import Shared
from graphmtl.config import ArchitectureOptions, option
from graphmtl.layers.pooling import pooled_size
from graphmtl.layers.stacked import StackedLinear
from graphmtl.models.encoder import Encoded, Encoder, VocabularyOptions
from graphmtl.kinds.tagging import TagHead


@dataclass(frozen=True, kw_only=True)
class LendingOptions(TopologyOptions, ArchitectureOptions):
    sharpness: float = option(5.0, "of the weights", low=0)


class Lending(Shared):
    Options = LendingOptions
    has_edges = reads_tasks = acts_after_pooling = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        K, size = len(self.tasks), pooled_size(self.output_size, self.pooling)
        self.sources = [[self.tasks.index(j) for j in self.topology.sources[k]] for k in self.tasks]
        self.lent = StackedLinear(layers=K, input_size=size, output_size=size)
        self.scores = nn.Parameter(torch.zeros(K, K))

    def task_rows(self):
        return [*self.lent.parameters(), self.scores]

    def interact(self, h, lengths, task, edges=False, ablation=None):
        own, z = self.sources[task], self.lent(h.unsqueeze(-2)).tanh().flatten(0, -3)
        weights = (self.options.sharpness * self.scores[task, own]).softmax(-1).expand(len(z), -1)
        if ablation is not None:
            weights = ablation.apply(weights, self.tasks[task], [self.tasks[j] for j in own])
        read = (weights.unsqueeze(-2) @ z[:, own]).squeeze(-2)
        seen = HeadInput(h + (z[:, task] + read).view_as(h))
        seen.edges = self.edge_weights(weights, z[:, own], own, h, lengths, task) if edges else None
        return seen


@dataclass(frozen=True, kw_only=True)
class BucketOptions(VocabularyOptions):
    buckets: int = option(30, "rows of the embedding", low=1)


class Buckets(Encoder):
    Options = BucketOptions

    def __init__(self, *, vocabulary, options):
        super().__init__(vocabulary=vocabulary, options=options)
        self.output_size = 6
        self.embedding = nn.Embedding(options.buckets, 6)

    def forward(self, batch):
        return Encoded(self.embedding(batch.tokens % self.options.buckets), batch.lengths)


class TwoLayers(TagHead):
    def __init__(self, *, input_size, labels, spans, dropout):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_size, 5), nn.Tanh(), nn.Linear(5, len(labels)))

    def forward(self, h, common=None):
        return self.layers(h)
"""
_AGAIN = "import sys, json, graphmtl; m = graphmtl.MultiTaskModel.from_pretrained(sys.argv[1])\n" + (
    "print(json.dumps(m.predict(json.loads(sys.argv[2]), list(m.tasks), edges=True)))"
)
SMALL = OPTIONS | {"epochs": 2}
TEXTS = ["c0 c1 f3", "c2 f1"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The folder of a file that is no part of the package, where Python looks for modules."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "own_parts.py").write_text(_PARTS)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("own_parts", None)


@pytest.fixture(scope="module")
def finished(parts, tmp_path_factory):
    """A run of the command line with an architecture from outside, which nobody may change."""
    output = tmp_path_factory.mktemp("runs") / "lending"
    given = SMALL | {"arch": "own_parts:Lending", "tasks": "planted", "only": "parent1,child1", "planted_children": 2}
    given |= {"sharpness": 3.0, "output": output}
    del given["affinity_probe"], given["attention"]
    main(["run", *flags(**given)])
    return Run.open(output)


@pytest.fixture(scope="module")
def of_parts(parts, tmp_path_factory):
    """A run of the library with an encoder and a head from outside, given as classes."""
    import own_parts

    lines = [f"{word} {'N' if word < 'e' else 'V'}\n" for word in "abcdefgh"]
    (parts / "tags.conll").write_text("".join("".join(lines[i : i + 3]) + "\n" for i in (0, 1, 2, 3, 4, 5)) * 4)
    (parts / "tags.yaml").write_text(
        "tasks:\n  tags: {train: tags.conll, valid: 0.2, test: 0.2, columns: [word, tag], tokens: word, label: tag}\n"
    )
    given = {key: SMALL[key] for key in ("hidden", "epochs", "lr", "batch_size", "device", "progress")}
    output = tmp_path_factory.mktemp("runs") / "parts"
    chosen = {"arch": "shared", "encoder": own_parts.Buckets, "tag_head": own_parts.TwoLayers}
    return graphmtl.train(parts / "tags.yaml", output=output, **chosen, **given)


def again(model, texts, *places):
    """What a new process says that loads the model, with more places where Python looks for modules."""
    where = os.pathsep.join([*map(str, places), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-c", _AGAIN, str(model), json.dumps(texts)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": where}, capture_output=True, text=True, check=False)


def test_the_command_line_and_the_library_train_the_same(finished, tmp_path):
    import own_parts

    values = {name: getattr(finished.options, name) for name in SMALL if hasattr(finished.options, name)}
    values |= {"only": "parent1,child1", "planted_children": 2, "sharpness": 3.0, "output": tmp_path / "run"}
    run = graphmtl.train("planted", arch=own_parts.Lending, **values)
    assert run.options.arch == finished.options.arch == "own_parts:Lending"
    assert without_clock(run.metrics) == without_clock(finished.metrics)


def test_its_graph_is_recorded_and_drawn(finished):
    assert {(edge.source, edge.target) for edge in finished.task_graph.edges} == {
        ("parent1", "child1"),
        ("child1", "parent1"),
    }
    assert (finished.folder / "task_graph.png").stat().st_size > 1000


def test_a_new_process_finds_the_architecture_again(finished, parts):
    here = MultiTaskModel.from_pretrained(finished.folder).predict(TEXTS, ["parent1", "child1"], edges=True)
    found = again(finished.folder / "model", TEXTS, parts)
    assert [own["label"] for own in json.loads(found.stdout)] == [own["label"] for own in here]
    assert json.loads(found.stdout)[0]["probabilities"] == pytest.approx(here[0]["probabilities"], abs=1e-6)


def test_a_model_whose_module_is_missing_says_so(finished):
    found = again(finished.folder / "model", TEXTS)
    said = found.stderr.strip().splitlines()[-1]
    assert "arch 'own_parts:Lending': there is no module 'own_parts'; it must be installed, or its folder in" in said


def test_a_run_is_resumed(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    (folder / "metrics.json").unlink()
    main(["run", "--config", str(folder / "config.yaml"), "--output", str(folder), "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(finished.metrics)


def test_a_new_task_joins(finished, tmp_path):
    asked = ["--task", "child2", "--steps", "2", "--freeze", "all-but-new", "--epochs", "1", "--batch-size", "16"]
    main(["transfer", str(finished.folder), *asked, "--output", str(tmp_path / "joined")])
    run = Run.open(tmp_path / "joined")
    assert {edge.source for edge in run.task_graph.edges if edge.target == "child2"} == {"parent1", "child1"}
    assert all(own["identical"] for own in run.transfer["old"].values())
    old, new = finished.model.architecture, run.model.architecture
    assert new.scores[:2, :2].equal(old.scores)
    assert not new.lent.weight[2].equal(old.lent.weight.mean(0))


def test_what_it_relies_on_is_explained(finished, tmp_path):
    main(["explain", str(finished.folder), "--no-controls", "--examples", "20", "--output", str(tmp_path)])
    pictures = json.loads((tmp_path / "explanation.json").read_text())["pictures"]
    assert {"attention", "contribution", "ablation"} <= set(pictures)
    assert any(edge["weight"] != 0 for edge in pictures["ablation"]["edges"])


def test_an_encoder_and_a_head(of_parts, parts):
    assert of_parts.options.encoder == "own_parts:Buckets"
    assert of_parts.options.tag_head == "own_parts:TwoLayers"
    model = MultiTaskModel.from_pretrained(of_parts.folder)
    assert [type(model.heads[0]).__name__, type(model.encoders[0]).__name__] == ["TwoLayers", "Buckets"]
    texts = [["a", "h", "b"]]
    found = again(of_parts.folder / "model", texts, parts)
    assert json.loads(found.stdout)[0]["labels"] == model.predict(texts, "tags")[0]["labels"]


def test_a_task_file_may_name_a_head(parts, tmp_path):
    (parts / "own.yaml").write_text(
        "tasks:\n  tags:\n    {train: tags.conll, valid: 0.2, test: 0.2, columns: [word, tag], tokens: word,"
        ' label: tag, head: "own_parts:TwoLayers"}\n'
    )
    tasks = graphmtl.load_tasks(parts / "own.yaml")
    assert tasks["tags"].task.head == "own_parts:TwoLayers"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"arch": "no_such_module:Grid"},
            "arch 'no_such_module:Grid': there is no module 'no_such_module'; it must be",
        ),
        ({"arch": "own_parts:Lendin"}, "arch 'own_parts:Lendin': no 'Lendin' in 'own_parts'; did you mean 'Lending'?"),
        ({"arch": "own_parts:Buckets"}, "expected a class derived from Architecture"),
        ({"encoder": "own_parts:Lending"}, "expected a class derived from Encoder"),
        ({"tag_head": "own_parts:Buckets"}, "expected a class derived from TagHead"),
        ({"tag_head": "cfr"}, "did you mean 'crf'?"),
    ],
)
def test_a_name_that_is_no_part(given, message, parts, tmp_path, error_of):
    assert message in error_of("run", *flags(**SMALL | given), "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_class_that_no_other_process_finds(tmp_path):
    from graphmtl.architectures.shared import Shared

    class Here(Shared):
        pass

    with pytest.raises(graphmtl.InputError, match=r"Here is in a script or a function, where a saved model does not"):
        graphmtl.train("planted", arch=Here, output=tmp_path / "run")


def test_nothing_is_imported_that_nobody_named(parts):
    code = "import sys, graphmtl, graphmtl.options as o; o.make_options(arch='star'); print('own_parts' in sys.modules)"
    where = os.pathsep.join([str(parts), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": where}, capture_output=True)
    assert found.stdout.decode().strip() == "False"
