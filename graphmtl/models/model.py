"""MultiTaskModel: encoder, architecture, one head per task."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from torch import Tensor, nn

from graphmtl.architectures import architecture_class
from graphmtl.architectures.architecture import HeadInput, Read
from graphmtl.config import ModelOptions, part
from graphmtl.data.batching import Batch
from graphmtl.data.raw_texts import Text
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, check_kind, unknown_name
from graphmtl.generators import generators_kept
from graphmtl.kinds.head import Head
from graphmtl.kinds.tagging import tag_head_class
from graphmtl.layers.interaction import Ablation, EdgeWeights
from graphmtl.layers.layer import names_of_own_starts
from graphmtl.layers.pooling import AttentionPooling, pool, pooled_size
from graphmtl.models.card import model_card
from graphmtl.models.encoder import Encoded, LockedDropout
from graphmtl.models.encoders import encoder_class, reads_words
from graphmtl.models.frozen_states import FrozenStates
from graphmtl.models.hub import in_cache_alone, refusal_is_named
from graphmtl.models.model_options import model_options_class
from graphmtl.models.predictions import Halves, ModelOutput, ModelOutputs
from graphmtl.models.predictor import predict, predict_each
from graphmtl.models.resolution import resolve
from graphmtl.models.saving import check_files, damage_is_named, load_model, model_folder, save_model
from graphmtl.models.wide import Ngrams, Wide, has_wide_part, ngrams_of
from graphmtl.registry import ENCODERS

__all__ = ["MultiTaskModel"]


class MultiTaskModel(nn.Module, ModelHubMixin):
    """One encoder, one architecture and a head per task.

    Args:
        tasks: the tasks, with their label names; their order is that of the nodes.
        vocabulary: the words, or the pieces of a transformer.
        options: sizes and kinds of the parts.

    Attributes:
        scores: of each task how many ``examples`` of the test split a run has scored it on, ``test`` ({METRIC: value})
            and the 95 % ``interval`` of its first metric, or None; nothing where it was not tested, or is trained on.

    Raises:
        InputError: the architecture or encoder does not exist, the topology does not fit the tasks, or two of these
            have one name.
    """

    def __init__(self, *, tasks: Sequence[Task], vocabulary: Vocabulary | SubwordVocabulary, options: ModelOptions):
        super().__init__()
        self.tasks = _by_name(tasks)
        options = part(options, model_options_class(options.arch, options.encoder))
        if options.tag_head != "auto":
            tag_head_class(options.tag_head)  # whether there is one, also where no task tags
        if reads_words(options.encoder) == isinstance(vocabulary, SubwordVocabulary):
            raise unknown_name("encoder", options.encoder, ENCODERS)
        options = resolve(options, tasks, vocabulary if isinstance(vocabulary, SubwordVocabulary) else None)
        self._position = {name: i for i, name in enumerate(self.tasks)}
        architecture = architecture_class(options.arch)
        copies = len(self.tasks) if architecture.own_encoder_per_task else 1
        encoders = [encoder_class(options.encoder)(vocabulary=vocabulary, options=options) for _ in range(copies)]
        self.vocabulary, self.options = vocabulary, options
        self.encoders = nn.ModuleList(encoders)
        self.architecture = architecture(
            tasks=[*self.tasks],
            input_size=encoders[0].output_size,
            contextual=encoders[0].contextual,
            pooling=options.pooling,
            options=options,
        )
        self.dropout = LockedDropout(options.locked_dropout)
        self.heads = nn.ModuleList(self._head(task) for task in self.tasks.values())
        self.head_layers = nn.ModuleList()  # those of each task, none where they are common
        if options.head_layers:
            self.head_layers.extend(self._layers_below(task) for task in self.tasks.values())
        self.poolings = nn.ModuleList()
        if options.pooling == "attention":
            self.poolings.extend(AttentionPooling(size=self.architecture.output_size) for _ in self.tasks)
        self.wide = nn.ModuleDict()  # by task, of those that have one
        if options.wide:
            self._add_wide_parts()
        if options.same_start:
            self._start_alike()
        self.scores: dict[str, dict[str, Any]] = {}
        self.views: tuple[str, ...] = ()  # from which heads must answer too in this training, in order
        self.frozen_states: FrozenStates | None = None  # while a task is trained that joined a frozen graph
        self.common_heads = nn.ModuleList()  # one for all tasks that have the same labels
        self.common_layers = nn.ModuleList()  # of the heads, likewise
        self._common_head: dict[int, int] = {}  # its place there, by the task's position
        if options.common_head and not architecture.own_encoder_per_task:
            self._add_common_heads()

    def _head(self, task: Task) -> Head:
        options = self.options
        size = options.head_width if options.head_layers else self._read_size(task)
        head = task.of_kind.head(input_size=size, dropout=options.output_dropout, tag_head=options.tag_head)
        if task.class_weights is not None:
            head.weigh(torch.tensor(task.class_weights), task.name)
        return head

    def _read_size(self, task: Task) -> int:
        """Dimensions of what the architecture gives for a task's head."""
        size = self.architecture.output_size
        return self.architecture.head_size(
            size if task.of_kind.reads_tokens else pooled_size(size, self.options.pooling)
        )

    def _layers_below(self, task: Task) -> nn.Sequential:
        """Those of ``--head-layers`` for a task's head: (..., what the architecture gives) to (..., head_width)."""
        options, sizes = self.options, [self._read_size(task), *[self.options.head_width] * self.options.head_layers]
        layers = [(nn.Dropout(options.output_dropout), nn.Linear(*pair), nn.GELU()) for pair in pairwise(sizes)]
        return nn.Sequential(*(module for layer in layers for module in layer))

    def _add_wide_parts(self) -> None:
        heads: Any = self.heads
        for task, head in zip(self.tasks.values(), heads, strict=True):
            if has_wide_part(task, head):
                separate, labels = head.labels_apply == "any", len(task.labels)
                columns = 1 if labels == 2 and not separate else labels
                self.wide[str(self._position[task.name])] = Wide(columns=columns, separate=separate)

    def _start_alike(self) -> None:
        """Gives the parts that every task has one of the same first weights; heads only where the labels are the same.

        What the tasks share then begins to learn one thing, not one for every task's random projection of it. What
        starts at values of its own in each task (:class:`~graphmtl.layers.layer.Layer`) is left out.
        """
        alike: list[Any] = [self.encoders, *self.architecture.task_modules()]
        of_heads = [self.heads, self.head_layers] if len(self.head_layers) else [self.heads]
        alike += [[modules[k] for k in tasks] for modules in of_heads for tasks in self.same_labels()]
        for first, *others in filter(len, alike):
            own = names_of_own_starts(first)
            weights = {name: value for name, value in first.state_dict().items() if name not in own}
            for module in others:
                module.load_state_dict(weights, strict=False)

    def _add_common_heads(self) -> None:
        """Moves the weights of heads with the same labels into one that is added to all of them, which begin at 0.

        The layers of ``--head-layers`` become common to them, for the common part is to read the same of every task.
        """
        for tasks in self.same_labels():
            common = self.heads[tasks[0]].common_layer()
            if len(tasks) > 1 and common is not None:
                self._common_head |= dict.fromkeys(tasks, len(self.common_heads))
                self.common_heads.append(deepcopy(common))
                for k in tasks:
                    self.heads[k].reset_to_zero()
                if len(self.head_layers):
                    self.common_layers.append(self.head_layers[tasks[0]])
                    for k in tasks:
                        self.head_layers[k] = nn.Sequential()

    def same_labels(self) -> list[list[int]]:
        """The positions of the tasks, those with the same kind of head and the same labels together."""
        groups: dict[tuple, list[int]] = {}
        for k, (task, head) in enumerate(zip(self.tasks.values(), self.heads, strict=True)):
            alike = task.of_kind.head_of_several()
            groups.setdefault((type(head), k if alike is None else alike), []).append(k)
        return list(groups.values())

    def load_vectors(self, vectors: Vectors) -> None:
        """Starts the word embeddings from pre-trained vectors."""
        for encoder in self.encoders:
            encoder.load_vectors(vectors, self.vocabulary)

    def load_encoder(self) -> None:
        """Starts the transformer, or that of every task, from its pre-trained weights.

        Raises:
            InputError: there are none.
        """
        first, *others = self.encoders
        first.load_pretrained(self.options.encoder)
        for encoder in others:
            encoder.load_state_dict(first.state_dict())

    def encode(self, batch: Batch, task: str | None = None) -> Encoded:
        """What the encoder makes of a batch, or the encoder of a task that has its own."""
        own: bool = self.architecture.own_encoder_per_task
        encoder: nn.Module = self.encoders[self._position[task or batch.tasks[0]] if own else 0]
        return encoder(batch)

    def represent(self, states: Tensor, encoded: Encoded, task: str) -> Tensor:
        """A task's token states (batch, tokens, dim) to one vector a text (batch, dim), if its head does not read them.

        Args:
            states: what the architecture made of ``encoded``.
            encoded: what the encoder made of the texts.
            task: the task's name.
        """
        if self.tasks[task].of_kind.reads_tokens:
            return self.dropout(states)
        if self.options.pooling == "cls":
            return encoded.pooled  # type: ignore[return-value]
        return self._pool(self.dropout(states), encoded.lengths, self._position[task])

    def classify(self, h: Tensor, task: str) -> Tensor:
        """What a task's head sees, (batch, dim) or (batch, tokens, dim), to its logits.

        They are those of :class:`ModelOutput`, but where examples have several texts a score of each text.
        """
        position = self._position[task]
        return self.heads[position](self.layers_below(position)(h), self.common_head(position))

    def wide_part(self, task: str) -> Any:
        """The linear model of n-grams beside a task (:class:`~graphmtl.models.wide.Wide`), or None."""
        return getattr(self.wide, str(self._position[task]), None)

    def common_head(self, k: int) -> Any:
        """The linear layer that task k has in common with the other tasks that have its labels, or None."""
        return self.common_heads[self._common_head[k]] if k in self._common_head else None

    def layers_below(self, k: int) -> nn.Sequential:
        """What ``--head-layers`` puts below the head of task k, or nothing."""
        if not len(self.head_layers):
            return nn.Sequential()
        own = k not in self._common_head
        return self.head_layers[k] if own else self.common_layers[self._common_head[k]]  # type: ignore[return-value]

    def _pool(self, states: Tensor, lengths: Tensor, position: int) -> Tensor:
        if self.options.pooling == "attention":
            return self.poolings[position](states, lengths)
        return pool(states, lengths, self.options.pooling, self.architecture.ways)

    def forward(self, batch: Batch, edges: bool = False, label_smoothing: float = 0.0) -> ModelOutputs:
        """What every task of a batch says, with its edge weights if ``edges``.

        Whatever the tasks have in common is computed once. The outputs are a mapping from tasks, and of all together
        have ``.loss``, of each task ``.losses``, ``.logits`` and ``.edges``; :func:`graphmtl.loader` makes batches.
        """
        check_kind("batch", batch, Batch, "a Batch (graphmtl.loader)")
        own: bool = self.architecture.own_encoder_per_task
        outputs, ngrams = ModelOutputs(), self._ngrams(batch)
        for tasks in [[name] for name in batch.tasks] if own else [batch.tasks]:
            encoded = self.encode(batch, tasks[0])  # states (batch, tokens, dim)
            positions = [self._position[name] for name in tasks]
            nodes = None if self.frozen_states is None else self.frozen_states.nodes(batch)
            read = self._read(encoded, positions, edges, nodes)
            for name, position, ((states, weights), views) in zip(tasks, positions, read, strict=True):
                h = self.represent(states, encoded, name)  # (batch, dim), of tags (batch, tokens, dim)
                seen = self.architecture.interact(h, encoded.lengths, position, edges)
                seen.views |= {view: self.represent(own, encoded, name) for view, own in views.items()}
                outputs[name] = self._output(name, seen, seen.edges or weights, batch, ngrams, label_smoothing)
                if self.training and self.architecture.holds_apart:
                    shared, private = states.chunk(2, -1)  # (texts, tokens, dim / 2)
                    outputs[name].halves = Halves(shared, private, encoded.lengths)
        return outputs

    def _read(
        self, encoded: Encoded, tasks: Sequence[int], edges: bool, nodes: Tensor | None
    ) -> list[tuple[Read, dict[str, Tensor]]]:
        given = (encoded.states, encoded.lengths, tasks, edges, nodes)
        if self.training and self.views:
            return self.architecture.read_with_views(*given, self.views)
        return [(own, {}) for own in self.architecture.read(*given)]

    def ablate(self, batch: Batch, ablations: Iterable[Ablation]) -> Iterator[dict[str, ModelOutput]]:
        """What every task says without some of its edges, once for each ablation; the nodes are computed once."""
        encoded, positions = self.encode(batch), [self._position[name] for name in batch.tasks]
        architecture, ngrams = self.architecture, self._ngrams(batch)
        nodes = architecture.node_states(encoded.states, encoded.lengths, positions)
        for ablation in ablations:
            read = architecture.read(encoded.states, encoded.lengths, positions, nodes=nodes, ablation=ablation)
            outputs = {}
            for name, position, (states, _) in zip(batch.tasks, positions, read, strict=True):
                h = self.represent(states, encoded, name)  # (batch, dim), of tags (batch, tokens, dim)
                seen = architecture.interact(h, encoded.lengths, position, ablation=ablation)
                outputs[name] = self._output(name, seen, None, batch, ngrams)
            yield outputs

    def _ngrams(self, batch: Batch) -> Ngrams | None:
        """Those that the wide parts read; none in training, where the graph answers alone."""
        return ngrams_of(batch, self.vocabulary.special_ids) if len(self.wide) and not self.training else None

    def _output(
        self,
        task: str,
        seen: HeadInput,
        edges: EdgeWeights | None,
        batch: Batch,
        ngrams: Ngrams | None,
        label_smoothing: float = 0.0,
    ) -> ModelOutput:
        head, wide = self.heads[self._position[task]], self.wide_part(task)
        logits = head.within(self.classify(seen.h, task), batch)
        if ngrams is not None and wide is not None:
            logits = wide.pooled(logits, ngrams)
        penalty = None if seen.penalty is None else batch.mean_of_texts(seen.penalty)  # (batch,)
        output = ModelOutput(logits, edges, penalty=penalty, nodes=seen.nodes, hidden=seen.h)
        if not self.training:
            output.answers = head.answers(logits, batch.lengths)
            output.probabilities = head.probabilities(logits)
        if batch.labels is not None:
            labels, output.weights, output.task_weight = batch.labels[task], batch.weights, self.tasks[task].weight
            output.losses = head.losses(logits, labels, batch.lengths, label_smoothing=label_smoothing)
            for view, h in seen.views.items():
                said = head.within(self.classify(h, task), batch)
                output.views[view] = head.losses(said, labels, batch.lengths, label_smoothing=label_smoothing)
            output.counts = head.counts(labels)
            output.right = None if output.answers is None else head.right(output.answers, labels)
        return output

    @torch.no_grad()
    def predict(
        self,
        texts: Any,
        task: str | Sequence[str],
        *,
        edges: bool | Literal["tokens"] = False,
        batch_size: int = 64,
        reads: int | None = None,
    ) -> list[dict]:
        """Labels raw texts.

        Args:
            texts: a text; a list or a column of texts, of lists of tokens, for a task that reads pairs of tuples of two
                texts, or where there are choices of tuples of a context and a list of its choices; or a DataFrame, a
                Dataset, a list of dicts or a dict of lists, of which each task reads its own columns
                (``model.tasks[NAME].reads``). A missing text (None, nan) is a blank one.
            task: the name of the task that labels them, or of several.
            edges: also give the edge weights of each text: the mean over its tokens, or for tags one list per token;
                ``"tokens"`` gives a list per token, and the tokens, whatever the task, or one list where the tasks are
                read once for a whole text (cmtr). Where the tokens of the text
                were read (star), an edge of a token also says how much of each was read: ``"reads"``.
            batch_size: texts read at once, fewer where they are long; texts of like length are read together.
            reads: how many tokens ``"reads"`` has, those of which most was read: ``[[place, weight], ...]``, the
                largest first. None: the weights of all tokens, whose number is the square of the text's.

        Returns:
            One entry per text and task, in this order: ``{"task", "label", "probabilities": {LABEL: p}}``, of a
            regression ``{"task", "value"}``, for tags ``{"task", "tokens", "labels"}``, of a question ``{"task",
            "answer", "start", "end", "probability"}``: characters of the context, an empty answer where there is none,
            or of choices ``{"task", "choice", "label", "probabilities": [p, ...]}``: the place of the chosen one,
            counted from 0, its text, and the probability of each; and, with ``edges``, ``"edges": [{"source",
            "target", "weight"}]``, of choices what was read with the chosen one. Where words of one text are spoken
            of, ``"offsets"`` are the places of the tokens in it: of each ``[first character, the one behind the
            last]``. A blank text has the label, value or answer None, or no tokens.

        Raises:
            InputError: the model has no such task, or a text is none that the tasks read.
        """
        return predict(self, texts, task, edges=edges, batch_size=batch_size, reads=reads)

    def predict_each(
        self,
        texts: Mapping[str, list[Text]],
        *,
        edges: bool | Literal["tokens"] = False,
        batch_size: int = 64,
        reads: int | None = None,
    ) -> list[dict[str, dict]]:
        """Labels raw texts of which each task reads something of its own, such as one of two columns.

        Args:
            texts: what each task reads, row by row: lists of the same length. Tasks with the very same list read it
                once.
            edges: as in :meth:`predict`.
            batch_size, reads: as in :meth:`predict`.

        Returns:
            Of every row the answer of each task.

        Raises:
            InputError: as :meth:`predict`.
        """
        return predict_each(self, texts, edges=edges, batch_size=batch_size, reads=reads)

    def task_modules(self) -> list[nn.ModuleList]:
        """Every list that has a module for each task, but for the encoders."""
        lists = [self.heads, self.head_layers, self.poolings, *self.architecture.task_modules()]
        return [modules for modules in lists if len(modules)]

    def selection_groups(self) -> dict[str, list[str]]:
        """Names of what is selected together on validation: all parameters, or for ``single`` each task's.

        With them what the heads have chosen there.
        """
        if not self.architecture.own_encoder_per_task:
            chosen = [name for task in self.tasks for name in self.chosen(task)]
            return {"mean": [*(name for name, _ in self.named_parameters()), *chosen]}
        lists = [self.encoders, *self.task_modules()]
        own = [{id(p) for modules in lists for p in modules[k].parameters()} for k in range(len(self.tasks))]
        parameters = [*self.named_parameters()]
        return {
            task: [*(name for name, p in parameters if id(p) in own[k]), *self.chosen(task)]
            for task, k in self._position.items()
        }

    def chosen(self, task: str) -> list[str]:
        """Names of the buffers that a task's head, and its wide part, choose on the validation split."""
        k, wide = self._position[task], self.wide_part(task)
        of_wide = [] if wide is None else [f"wide.{k}.{name}" for name in ("strength", "form", "share", "temperature")]
        return [f"heads.{k}.{name}" for name in self.heads[k].chosen] + of_wide

    def choose(self, task: str, predictions: Any) -> Any:
        """See :meth:`Head.choose <graphmtl.kinds.head.Head.choose>`; without an example nothing is chosen."""
        return self.heads[self._position[task]].choose(predictions) if len(predictions) else predictions

    def embedding_parameters(self) -> list[Any]:
        """The word embeddings that are trained."""
        return [weight for encoder in self.encoders for weight in encoder.embedding_parameters()]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        """Parameters with a learning rate of their own, where that of all others is ``lr``."""
        parts = (*self.encoders, self.architecture)
        return [pair for part in parts for pair in part.learning_rates(lr)]

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        """Pairs of an epoch and parameters that are not trained up to its end."""
        return [pair for encoder in self.encoders for pair in encoder.frozen_until()]

    def penalty_weight(self, step: int, steps: int) -> float:
        """See :meth:`~graphmtl.architectures.Architecture.penalty_weight`."""
        return self.architecture.penalty_weight(step, steps)

    def train(self, mode: bool = True) -> "MultiTaskModel":
        """As of any module; what is trained on has no scores yet."""
        if mode:
            self.scores = {}
        return super().train(mode)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """What the model is, for the Hub."""
        return model_card(self)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(self, save_directory)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> str:
        """Puts what `save_pretrained` writes on the Hugging Face Hub, as one commit.

        Args:
            repo_id: ``USER/NAME``; a repository that is not there is made.
            kwargs: as of :meth:`huggingface_hub.ModelHubMixin.push_to_hub`: ``token`` (by default that of
                ``hf auth login``), ``private``, ``commit_message``, ``branch``, ...

        Returns:
            The address of the commit.

        Raises:
            InputError: the Hub does not answer, or refuses the name, the token or a file.
        """
        with refusal_is_named(repo_id, token=kwargs.get("token")):
            return super().push_to_hub(repo_id, **kwargs)

    @classmethod
    @generators_kept()
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> "MultiTaskModel":
        """A saved model: a folder or a run's folder, or its name on the Hugging Face Hub.

        Raises:
            InputError: the folder lacks a file, or one is damaged; or neither it nor the name is there.
        """
        folder = model_folder(pretrained_model_name_or_path)
        if not folder.is_dir() and not kwargs.get("local_files_only"):
            kwargs["local_files_only"] = in_cache_alone(str(pretrained_model_name_or_path), **kwargs)
        with damage_is_named(folder):
            return super().from_pretrained(folder if folder.is_dir() else pretrained_model_name_or_path, **kwargs)

    @classmethod
    def _from_pretrained(  # of what ModelHubMixin gives these alone are looked at
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_config: Any,
    ) -> "MultiTaskModel":
        folder = Path(model_id)
        if not folder.is_dir():
            where: dict[str, Any] = {
                "revision": revision,
                "cache_dir": cache_dir,
                "token": token,
                "force_download": force_download,
            }
            folder = Path(snapshot_download(model_id, local_files_only=local_files_only, **where))
            check_files(folder)
        return load_model(folder, cls)


def _by_name(tasks: Iterable[Task]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for task in tasks:
        check_kind("tasks", task, Task, "a list of Task")
        if task.name in found:
            raise InputError(f"tasks: {task.name!r} stands there twice, expected a name of its own for each")
        found[task.name] = task
    return found
