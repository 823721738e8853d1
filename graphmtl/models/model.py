"""MultiTaskModel: encoder, architecture, one head per task."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graphmtl.architectures import ARCHITECTURES, resolve_topology
from graphmtl.config import ModelOptions
from graphmtl.data.batching import Batch, EncodedSplit, truncate
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vectors, Vocabulary
from graphmtl.errors import InputError, unknown_name
from graphmtl.graph.interaction import EdgeWeights
from graphmtl.models.encoders import ENCODERS, LockedDropout
from graphmtl.models.heads import ClassificationHead, pool, pooled_size

__all__ = ["ModelOutput", "MultiTaskModel"]

_CONFIG, _WEIGHTS, _VOCABULARY = "config.json", "model.safetensors", "vocabulary.txt"


@dataclass
class ModelOutput:
    """logits (batch, classes), and the edge weights if they were asked for and the architecture has any."""

    logits: Tensor
    edges: EdgeWeights | None = None


class MultiTaskModel(nn.Module, ModelHubMixin):
    """One encoder, one architecture and a head per task.

    Args:
        tasks: the tasks, with their label names; their order is that of the nodes.
        vocabulary: the words.
        options: sizes and kinds of the parts.

    Raises:
        InputError: the architecture or encoder does not exist, or the topology does not fit the tasks.
    """

    def __init__(self, *, tasks: Sequence[Task], vocabulary: Vocabulary, options: ModelOptions):
        super().__init__()
        options = resolve_topology(options, [task.name for task in tasks])
        if options.encoder not in ENCODERS:
            raise unknown_name("encoder", options.encoder, ENCODERS)
        self.tasks = {task.name: task for task in tasks}
        self.vocabulary, self.options = vocabulary, options
        self._position = {name: i for i, name in enumerate(self.tasks)}
        architecture = ARCHITECTURES[options.arch]
        copies = len(self.tasks) if architecture.own_encoder_per_task else 1
        encoders = [ENCODERS[options.encoder](vocabulary=vocabulary, options=options) for _ in range(copies)]
        self.encoders = nn.ModuleList(encoders)
        self.architecture = architecture(tasks=[*self.tasks], input_size=encoders[0].output_size, options=options)
        self.dropout = LockedDropout(options.locked_dropout)
        size = pooled_size(self.architecture.output_size, options.pooling)
        self.heads = nn.ModuleList(
            ClassificationHead(input_size=size, classes=len(task.labels), dropout=options.output_dropout)
            for task in self.tasks.values()
        )
        if options.same_start:
            self._start_alike()
        self.common_heads = nn.ModuleList()  # one for all tasks that have the same labels
        self._common_head: dict[int, int] = {}  # its place there, by the task's position
        if options.common_head and not architecture.own_encoder_per_task:
            self._add_common_heads()

    def _start_alike(self) -> None:
        """Gives the parts that every task has one of the same first weights; heads only where the labels are the same.

        What the tasks share then begins to learn one thing, not one for every task's random projection of it. Node
        biases are left out: they start at 0, and each task has as many as it has sources.
        """
        alike: list[Any] = [self.encoders, getattr(self.architecture, "lstms", ())]
        alike += [[self.heads[k] for k in tasks] for tasks in self._same_labels()]
        for first, *others in filter(len, alike):
            weights = {name: value for name, value in first.state_dict().items() if name != "node_bias"}
            for module in others:
                module.load_state_dict(weights, strict=False)

    def _add_common_heads(self) -> None:
        """Moves the weights of heads with the same labels into one that is added to all of them, which begin at 0."""
        for tasks in self._same_labels():
            if len(tasks) > 1:
                self._common_head |= dict.fromkeys(tasks, len(self.common_heads))
                self.common_heads.append(deepcopy(self.heads[tasks[0]].linear))  # type: ignore[arg-type]
                for k in tasks:
                    self.heads[k].reset_to_zero()

    def _same_labels(self) -> list[list[int]]:
        """The positions of the tasks, those with the same labels together."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for name, k in self._position.items():
            groups.setdefault(self.tasks[name].labels, []).append(k)
        return list(groups.values())

    def load_vectors(self, vectors: Vectors) -> None:
        """Starts the word embeddings from pre-trained vectors."""
        for encoder in self.encoders:
            encoder.load_vectors(vectors, self.vocabulary)

    def encode(self, batch: Batch) -> Tensor:
        """The token vectors of a batch: (batch, tokens, dim)."""
        own: bool = self.architecture.own_encoder_per_task
        encoder: nn.Module = self.encoders[self._position[batch.task] if own else 0]
        return encoder(batch.tokens)

    def classify(self, states: Tensor, batch: Batch) -> Tensor:
        """Token states (batch, tokens, dim) to the logits of the batch's task (batch, classes)."""
        pooled = pool(self.dropout(states), batch.lengths, self.options.pooling)
        k = self._position[batch.task]
        return self.heads[k](pooled, self.common_head(k))

    def common_head(self, k: int) -> Any:
        """The linear layer that task k has in common with the other tasks that have its labels, or None."""
        return self.common_heads[self._common_head[k]] if k in self._common_head else None

    def forward(self, batch: Batch, edges: bool = False) -> ModelOutput:
        """The logits of a batch's task, and its edge weights if ``edges``."""
        x = self.encode(batch)  # (batch, tokens, dim)
        states, weights = self.architecture(x, batch.lengths, self._position[batch.task], edges)
        return ModelOutput(self.classify(states, batch), weights)

    @torch.no_grad()
    def predict(
        self,
        texts: Sequence[str | tuple[str, str]],
        task: str | Sequence[str],
        *,
        edges: bool = False,
        batch_size: int = 64,
    ) -> list[dict]:
        """Labels raw texts.

        Args:
            texts: texts, or pairs of texts for a task that takes pairs.
            task: the name of the task that labels them, or of several.
            edges: also give the edge weights of each text, the mean over its tokens.
            batch_size: texts read at once; texts of like length are read together.

        Returns:
            One entry per text and task, in this order: ``{"task", "label", "probabilities": {LABEL: p}}`` and, with
            ``edges``, ``"edges": [{"source", "target", "weight"}]``. A blank text has the label None.

        Raises:
            InputError: the model has no such task.
        """
        names = [task] if isinstance(task, str) else list(task)
        for name in names:
            if name not in self.tasks:
                raise unknown_name("task", name, self.tasks)
        self.eval()
        device = next(self.parameters()).device
        pairs = [text if isinstance(text, tuple) else (text,) for text in texts]
        rows = [row for row, pair in enumerate(pairs) if any(text.strip() for text in pair)]
        ids = [
            truncate(self.vocabulary.encode(*pairs[row]), self.options.max_length, self.options.truncate)
            for row in rows
        ]
        order = sorted(range(len(rows)), key=lambda i: len(ids[i]))
        answers = [{name: {"task": name, "label": None} for name in names} for _ in texts]
        for name in names:
            split = EncodedSplit(task=name, texts=ids)
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                output = self(split.batch(chosen).to(device), edges=edges)
                for i, answer in zip(chosen, self._answers(name, output, edges), strict=True):
                    answers[rows[i]][name] = answer
        return [answer[name] for answer in answers for name in names]

    def _answers(self, name: str, output: ModelOutput, edges: bool) -> list[dict]:
        labels = self.tasks[name].labels
        best = output.logits.argmax(-1).tolist()  # (batch,)
        probabilities = output.logits.float().softmax(-1).tolist()  # (batch, classes)
        answers: list[dict] = [
            {"task": name, "label": labels[label], "probabilities": dict(zip(labels, row, strict=True))}
            for label, row in zip(best, probabilities, strict=True)
        ]
        if not edges:
            return answers
        read = output.edges  # None for an architecture without a graph
        weights = [[]] * len(answers) if read is None else read.per_instance().tolist()  # (batch, sources)
        sources = () if read is None else read.sources
        for answer, row in zip(answers, weights, strict=True):
            edge_weights = zip(sources, row, strict=True)
            answer["edges"] = [{"source": source, "target": name, "weight": weight} for source, weight in edge_weights]
        return answers

    def selection_groups(self) -> dict[str, list[str]]:
        """Names of the parameters selected together on validation: all of them, or for ``single`` each task's."""
        names = [name for name, _ in self.named_parameters()]
        if not self.architecture.own_encoder_per_task:
            return {"mean": names}
        return {
            task: [n for n in names if f".{i}." in n.removeprefix("architecture")] for task, i in self._position.items()
        }

    def embedding_parameters(self) -> list[Any]:
        """The word embeddings that are trained."""
        return [encoder.embedding.weight for encoder in self.encoders if encoder.embedding.weight.requires_grad]

    def generate_model_card(self, *args, **kwargs) -> ModelCard:
        """What the model is, for the Hub."""
        tasks = "\n".join(f"- {task.name} ({task.kind}): {', '.join(task.labels)}" for task in self.tasks.values())
        return ModelCard(
            f"---\nlibrary_name: graphmtl\ntags: [multi-task-learning, {self.options.arch}]\n---\n\n"
            f"# A graphmtl model: {self.options.arch}, {len(self.tasks)} tasks\n\n{tasks}\n\n"
            "```python\nfrom graphmtl import MultiTaskModel\n\nmodel = MultiTaskModel.from_pretrained(FOLDER)\n"
            f'model.predict(["some text"], task="{next(iter(self.tasks))}")\n```\n'
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        config = {
            "format": 1,
            "tasks": [task.to_dict() for task in self.tasks.values()],
            "options": asdict(self.options),
        }
        (save_directory / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        self.vocabulary.save(save_directory / _VOCABULARY)
        save_file(self.state_dict(), save_directory / _WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs) -> "MultiTaskModel":
        """A saved model, from a local folder or by its name on the Hugging Face Hub.

        Raises:
            InputError: the folder lacks a file, or one is damaged.
        """
        folder = Path(pretrained_model_name_or_path)
        if folder.is_dir():
            _check_files(folder)
        try:
            return super().from_pretrained(folder if folder.is_dir() else pretrained_model_name_or_path, **kwargs)
        except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
            if isinstance(error, InputError):
                raise
            what = f"{type(error).__name__}: {error}"
            raise InputError(f"{folder}: no model that can be loaded from {_CONFIG} and {_WEIGHTS} ({what})") from error

    @classmethod
    def _from_pretrained(cls, *, model_id, revision, cache_dir, force_download, local_files_only, token, **_config):
        folder = Path(model_id)
        if not folder.is_dir():
            where = {"revision": revision, "cache_dir": cache_dir, "token": token, "force_download": force_download}
            folder = Path(snapshot_download(model_id, local_files_only=local_files_only, **where))
            _check_files(folder)
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        known = {field.name for field in fields(ModelOptions)}
        options = ModelOptions(**{key: value for key, value in config["options"].items() if key in known})
        tasks = [Task.from_dict(task) for task in config["tasks"]]
        model = cls(tasks=tasks, vocabulary=Vocabulary.load(folder / _VOCABULARY), options=options)
        model.load_state_dict(load_file(folder / _WEIGHTS), strict=True)
        return model.eval()


def _check_files(folder: Path) -> None:
    for name in (_CONFIG, _WEIGHTS, _VOCABULARY):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; a folder that MultiTaskModel.save_pretrained wrote is expected")
