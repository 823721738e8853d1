"""MultiTaskModel: encoder, architecture, one head per task."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graphmtl.architectures import architecture_class, resolve_topology
from graphmtl.architectures.architecture import HeadInput
from graphmtl.config import ModelOptions
from graphmtl.data.batching import Batch, EncodedSplit, encode_texts, read_by_word, word_forms
from graphmtl.data.long_texts import warn_of_long
from graphmtl.data.raw_texts import Text, texts_by_task
from graphmtl.data.spelling import Alphabet
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.data.task import Task
from graphmtl.data.tokenizer import Span
from graphmtl.data.vectors import Vectors
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError, shown, unknown_name
from graphmtl.files import read_json
from graphmtl.generators import generators_kept
from graphmtl.layers.interaction import Ablation, EdgeWeights
from graphmtl.layers.pooling import AttentionPooling, pool, pooled_size
from graphmtl.models.encoded import Encoded, LockedDropout
from graphmtl.models.encoders import ENCODERS, encoder_class, reads_words
from graphmtl.models.frozen_states import FrozenStates
from graphmtl.models.heads import HEADS, ClassificationHead, RegressionHead
from graphmtl.models.hub import in_cache_alone
from graphmtl.models.predictions import ModelOutput, blank_prediction, in_words
from graphmtl.models.model_options import chosen, model_options_class
from graphmtl.models.resolution import head_name, resolve_chars, resolve_pooling
from graphmtl.models.word_encoder import WordEncoderOptions

__all__ = ["MultiTaskModel", "Text"]

_CONFIG, _WEIGHTS, _VOCABULARY, _ALPHABET = "config.json", "model.safetensors", "vocabulary.txt", "characters.json"
_FORMAT = 1  # of config.json
_FAILURES = (  # of a folder that is damaged, or made to do damage
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError),
    *(OSError, SafetensorError),
)
_PIECES = "encoder"  # the folder of a transformer's tokenizer and config.json


class MultiTaskModel(nn.Module, ModelHubMixin):
    """One encoder, one architecture and a head per task.

    Args:
        tasks: the tasks, with their label names; their order is that of the nodes.
        vocabulary: the words, or the pieces of a transformer.
        options: sizes and kinds of the parts.

    Raises:
        InputError: the architecture or encoder does not exist, or the topology does not fit the tasks.
    """

    def __init__(self, *, tasks: Sequence[Task], vocabulary: Vocabulary | SubwordVocabulary, options: ModelOptions):
        super().__init__()
        options = resolve_topology(options, [task.name for task in tasks])
        options = resolve_chars(options, tasks)
        if reads_words(options.encoder) == isinstance(vocabulary, SubwordVocabulary):
            raise unknown_name("encoder", options.encoder, ENCODERS)
        self.tasks = {task.name: task for task in tasks}
        self._position = {name: i for i, name in enumerate(self.tasks)}
        architecture = architecture_class(options.arch)
        copies = len(self.tasks) if architecture.own_encoder_per_task else 1
        encoders = [encoder_class(options.encoder)(vocabulary=vocabulary, options=options) for _ in range(copies)]
        options = resolve_pooling(options, encoders[0], tasks)
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
        self.poolings = nn.ModuleList()
        if options.pooling == "attention":
            self.poolings.extend(AttentionPooling(size=self.architecture.output_size) for _ in self.tasks)
        if options.same_start:
            self._start_alike()
        self.frozen_states: FrozenStates | None = None  # while a task is trained that joined a frozen graph
        self.common_heads = nn.ModuleList()  # one for all tasks that have the same labels
        self._common_head: dict[int, int] = {}  # its place there, by the task's position
        if options.common_head and not architecture.own_encoder_per_task:
            self._add_common_heads()

    def _head(self, task: Task) -> nn.Module:
        size, dropout = self.architecture.output_size, self.options.output_dropout
        size = self.architecture.head_size(size if task.is_tagging else pooled_size(size, self.options.pooling))
        if task.is_tagging:
            head = HEADS[head_name(task, self.options)]
            return head(input_size=size, labels=task.labels, spans=task.is_spans, dropout=dropout)
        if task.is_regression:
            return RegressionHead(input_size=size, scale=task.scale, dropout=dropout)
        return ClassificationHead(input_size=size, classes=len(task.labels), dropout=dropout)

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
        """The positions of the tasks, those with the same kind of head and the same labels (or scale) together."""
        groups: dict[tuple, list[int]] = {}
        for k, (task, head) in enumerate(zip(self.tasks.values(), self.heads, strict=True)):
            alike = task.labels or task.scale or k  # scores without a scale have nothing in common
            groups.setdefault((type(head), alike), []).append(k)
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
        """A task's token states (batch, tokens, dim) to one vector a text (batch, dim); of tags they stay as they are.

        Args:
            states: what the architecture made of ``encoded``.
            encoded: what the encoder made of the texts.
            task: the task's name.
        """
        if self.tasks[task].is_tagging:
            return self.dropout(states)
        if self.options.pooling == "cls":
            return encoded.pooled  # type: ignore[return-value]
        return self._pool(self.dropout(states), encoded.lengths, self._position[task])

    def classify(self, h: Tensor, task: str) -> Tensor:
        """What a task's head sees, (batch, dim) or (batch, tokens, dim), to logits as in :class:`ModelOutput`."""
        position = self._position[task]
        return self.heads[position](h, self.common_head(position))

    def common_head(self, k: int) -> Any:
        """The linear layer that task k has in common with the other tasks that have its labels, or None."""
        return self.common_heads[self._common_head[k]] if k in self._common_head else None

    def _pool(self, states: Tensor, lengths: Tensor, position: int) -> Tensor:
        if self.options.pooling == "attention":
            return self.poolings[position](states, lengths)
        return pool(states, lengths, self.options.pooling, self.architecture.ways)

    def forward(self, batch: Batch, edges: bool = False) -> dict[str, ModelOutput]:
        """What every task of a batch says, with its edge weights if ``edges``.

        Whatever the tasks have in common is computed once.
        """
        own: bool = self.architecture.own_encoder_per_task
        outputs = {}
        for tasks in [[name] for name in batch.tasks] if own else [batch.tasks]:
            encoded = self.encode(batch, tasks[0])  # states (batch, tokens, dim)
            positions = [self._position[name] for name in tasks]
            known = {"nodes": self.frozen_states.nodes(batch)} if self.frozen_states is not None else {}
            read = self.architecture.read(encoded.states, encoded.lengths, positions, edges, **known)
            for name, position, (states, weights) in zip(tasks, positions, read, strict=True):
                h = self.represent(states, encoded, name)  # (batch, dim), of tags (batch, tokens, dim)
                seen = self.architecture.interact(h, encoded.lengths, position, edges)
                outputs[name] = self._output(name, seen, seen.edges or weights, batch)
        return outputs

    def ablate(self, batch: Batch, ablations: Iterable[Ablation]) -> Iterator[dict[str, ModelOutput]]:
        """What every task says without some of its edges, once for each ablation; the nodes are computed once."""
        encoded, positions = self.encode(batch), [self._position[name] for name in batch.tasks]
        architecture: Any = self.architecture  # one that has edges
        nodes = architecture.node_states(encoded.states, encoded.lengths, positions)
        for ablation in ablations:
            read = architecture.read(encoded.states, encoded.lengths, positions, nodes=nodes, ablation=ablation)
            outputs = {}
            for name, position, (states, _) in zip(batch.tasks, positions, read, strict=True):
                h = self.represent(states, encoded, name)  # (batch, dim), of tags (batch, tokens, dim)
                seen = architecture.interact(h, encoded.lengths, position, ablation=ablation)
                outputs[name] = self._output(name, seen, None, batch)
            yield outputs

    def _output(self, task: str, seen: HeadInput, edges: EdgeWeights | None, batch: Batch) -> ModelOutput:
        logits = self.classify(seen.h, task)
        output = ModelOutput(logits, edges, penalty=seen.penalty, nodes=seen.nodes, hidden=seen.h)
        head: Any = self.heads[self._position[task]]
        if batch.labels is not None:
            output.losses = head.losses(output.logits, batch.labels[task], batch.lengths)
        if self.tasks[task].is_regression:
            output.scores = head.scores(output.logits)
        if self.tasks[task].is_tagging and not self.training:
            output.tags = head.decode(output.logits, batch.lengths)
        return output

    @torch.no_grad()
    def predict(
        self,
        texts: Any,
        task: str | Sequence[str],
        *,
        edges: bool | Literal["tokens"] = False,
        batch_size: int = 64,
    ) -> list[dict]:
        """Labels raw texts.

        Args:
            texts: a text; a list or a column of texts, of lists of tokens, or for a task that reads pairs of tuples of
                two texts; or a DataFrame, a Dataset, a list of dicts or a dict of lists, of which each task reads its
                own columns (``model.tasks[NAME].text``). A missing text (None, nan) is a blank one.
            task: the name of the task that labels them, or of several.
            edges: also give the edge weights of each text: the mean over its tokens, or for tags one list per token;
                ``"tokens"`` gives a list per token, and the tokens, whatever the task, or one list where the tasks are
                read once for a whole text (cmtr). Where the tokens of the text
                were read (star), an edge of a token also says how much of each was read: ``"reads"``.
            batch_size: texts read at once; texts of like length are read together.

        Returns:
            One entry per text and task, in this order: ``{"task", "label", "probabilities": {LABEL: p}}``, of a
            regression ``{"task", "value"}``, or for tags ``{"task", "tokens", "labels"}``, and, with ``edges``,
            ``"edges": [{"source", "target", "weight"}]``. Where words of one text are spoken of, ``"offsets"`` are the
            places of the tokens in it: of each ``[first character, the one behind the last]``. A blank text has the
            label or value None, or no tokens.

        Raises:
            InputError: the model has no such task, or a text is none that the tasks read.
        """
        names = [task] if isinstance(task, str) else list(task)
        for name in names:
            if name not in self.tasks:
                raise unknown_name("task", str(name), self.tasks)
        read = texts_by_task(texts, [self.tasks[name] for name in names])
        answers = self.predict_each(read, edges=edges, batch_size=batch_size)
        return [answer[name] for answer in answers for name in names]

    def predict_each(
        self, texts: Mapping[str, list[Text]], *, edges: bool | Literal["tokens"] = False, batch_size: int = 64
    ) -> list[dict[str, dict]]:
        """Labels raw texts of which each task reads something of its own, such as one of two columns.

        Args:
            texts: what each task reads, row by row: lists of the same length. Tasks with the very same list read it
                once.
            edges: as in :meth:`predict`.
            batch_size: as in :meth:`predict`.

        Returns:
            Of every row the answer of each task.

        Raises:
            InputError: as :meth:`predict`.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size: found {shown(batch_size)}, expected a whole number from 1 on")
        same: dict[int, list[str]] = {}
        for name, own in texts.items():
            same.setdefault(id(own), []).append(name)
        self.eval()
        rows = len(next(iter(texts.values()), ()))
        answers: list[dict[str, dict]] = [{} for _ in range(rows)]
        for names in same.values():
            checked = _checked(texts[names[0]], [self.tasks[name] for name in names])
            for answer, found in zip(answers, self._answers(checked, names, edges, batch_size), strict=True):
                answer |= found
        return answers

    def _answers(
        self, texts: Sequence[Text], names: Sequence[str], edges: bool | Literal["tokens"], batch_size: int
    ) -> list[dict[str, dict]]:
        """Of every text the answers of several tasks."""
        answers = [{name: blank_prediction(self.tasks[name], text) for name in names} for text in texts]
        every_token = {name: self.tasks[name].is_tagging or edges == "tokens" for name in names}
        groups: dict[tuple[bool, bool], list[str]] = {}
        for name, every in every_token.items():
            by_word = read_by_word(self.tasks[name], self.vocabulary, every_token=every)
            groups.setdefault((by_word, every), []).append(name)
        for (by_word, every), alike in groups.items():
            for row, found in self._read(texts, alike, bool(edges), batch_size, whole=by_word, every_token=every):
                answers[row] |= found
        return answers

    def _read(
        self,
        texts: Sequence[Text],
        names: Sequence[str],
        edges: bool,
        batch_size: int,
        *,
        whole: bool,
        every_token: bool,
    ) -> Iterator[tuple[int, dict[str, dict]]]:
        """The row and the answers of every text that is not blank; ``whole`` cuts no token off.

        With ``every_token`` the answers speak of every token.
        """
        device = next(self.parameters()).device
        pairs = [text if isinstance(text, tuple) else (text,) for text in texts]
        rows = [row for row, pair in enumerate(pairs) if any(_is_something(text) for text in pair)]
        forms = word_forms(self.vocabulary)
        chosen = (pairs[row] for row in rows)
        ids = encode_texts(chosen, self.vocabulary, self.options, forms, whole=whole)
        split = EncodedSplit(tasks=names, texts=ids, forms=forms)
        lengths = np.zeros(len(texts), dtype=np.int64)  # (texts,)
        lengths[rows] = split.lengths
        warn_of_long(lengths, self.options, f"{', '.join(names)}, the texts to be predicted", training=False)
        order = split.lengths.argsort(kind="stable")  # (examples,)
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            batch = split.batch(some)
            outputs = self(batch.to(device), edges=edges)
            words, offsets = self._tokens([pairs[rows[i]] for i in some], batch) if every_token else ([], [])
            found = {name: in_words(self.tasks[name], outputs[name], words, offsets, edges) for name in names}
            for i, answers in zip(some, zip(*found.values(), strict=True), strict=True):
                yield rows[i], dict(zip(names, answers, strict=True))

    def _tokens(self, texts: Sequence[tuple], batch: Batch) -> tuple[list[list[str]], list[list[Span] | None]]:
        """The tokens of each text of a batch: its words, or the pieces that a transformer read of it.

        Also where they stand; None for pieces, lists of tokens and pairs of texts.
        """
        if isinstance(self.vocabulary, SubwordVocabulary) and batch.windows.words is None:
            ids = zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)
            return [self.vocabulary.tokens(own[:length]) for own, length in ids], [None] * len(texts)
        spans = self.vocabulary.spans(text[0] for text in texts if _is_raw(text))
        offsets = [next(spans) if _is_raw(text) else None for text in texts]
        words = [
            self.vocabulary.split(*text) if own is None else [text[0][start:end] for start, end in own]
            for text, own in zip(texts, offsets, strict=True)
        ]
        return words, offsets

    def selection_groups(self) -> dict[str, list[str]]:
        """Names of the parameters selected together on validation: all of them, or for ``single`` each task's."""
        names = [name for name, _ in self.named_parameters()]
        if not self.architecture.own_encoder_per_task:
            return {"mean": names}
        place = re.compile(r"\.(\d+)\.")  # the first number of a name: the task's place
        return {task: [n for n in names if int(place.search(n)[1]) == i] for task, i in self._position.items()}

    def embedding_parameters(self) -> list[Any]:
        """The word embeddings that are trained."""
        return [weight for encoder in self.encoders for weight in encoder.embedding_parameters()]

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        """Parameters with a learning rate of their own, where that of all others is ``lr``."""
        return [pair for encoder in self.encoders for pair in encoder.learning_rates(lr)]

    def frozen_until(self) -> list[tuple[int, list[nn.Parameter]]]:
        """Pairs of an epoch and parameters that are not trained up to its end."""
        return [pair for encoder in self.encoders for pair in encoder.frozen_until()]

    def penalty_weight(self, step: int, steps: int) -> float:
        """See :meth:`~graphmtl.architectures.Architecture.penalty_weight`."""
        return self.architecture.penalty_weight(step, steps)

    def generate_model_card(self, *args, **kwargs) -> ModelCard:
        """What the model is, for the Hub."""
        tasks = "\n".join(f"- {task.name} ({task.kind}): {task.answers}" for task in self.tasks.values())
        return ModelCard(
            f"---\nlibrary_name: graphmtl\ntags: [multi-task-learning, {self.options.arch}]\n---\n\n"
            f"# A graphmtl model: {self.options.arch}, {len(self.tasks)} tasks\n\n{tasks}\n\n"
            "```python\nfrom graphmtl import MultiTaskModel\n\nmodel = MultiTaskModel.from_pretrained(FOLDER)\n"
            f'model.predict(["some text"], task="{next(iter(self.tasks))}")\n```\n'
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        config = {
            "format": _FORMAT,
            "tasks": [task.to_dict() for task in self.tasks.values()],
            "options": asdict(self.options),
        }
        if self.vocabulary.alphabet is not None:
            self.vocabulary.alphabet.save(save_directory / _ALPHABET)
        (save_directory / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        self.vocabulary.save(
            save_directory / (_PIECES if isinstance(self.vocabulary, SubwordVocabulary) else _VOCABULARY)
        )
        save_file(self.state_dict(), save_directory / _WEIGHTS, metadata={"format": "pt"})

    @classmethod
    @generators_kept()
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs) -> "MultiTaskModel":
        """A saved model: a folder or a run's folder, or its name on the Hugging Face Hub.

        Raises:
            InputError: the folder lacks a file, or one is damaged; or neither it nor the name is there.
        """
        folder = Path(pretrained_model_name_or_path)
        if (folder / "config.yaml").is_file() and (folder / "model").is_dir():
            folder = folder / "model"
        if folder.is_dir():
            _check_files(folder)
        elif not kwargs.get("local_files_only"):
            kwargs["local_files_only"] = in_cache_alone(str(pretrained_model_name_or_path), **kwargs)
        try:
            return super().from_pretrained(folder if folder.is_dir() else pretrained_model_name_or_path, **kwargs)
        except _FAILURES as error:
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
        tasks, options = _read_config(folder / _CONFIG)
        build = partial(cls, tasks=tasks, vocabulary=_load_vocabulary(folder, options), options=options)
        with torch.device("meta"):  # no memory: what config.json asks for may be anything
            _check_shapes(build(), folder)
        model = build()
        model.load_state_dict(load_file(folder / _WEIGHTS), strict=True)
        return model.eval()


def _checked(texts: list[Text], tasks: Sequence[Task]) -> list[Text]:
    """The texts, all of which the tasks read; for tasks of tokens a tuple of words is a list of them."""
    of_pairs = any(task.is_pair for task in tasks)
    for i, text in enumerate(texts):
        if not isinstance(text, str) and not (isinstance(text, list | tuple) and all(isinstance(x, str) for x in text)):
            raise InputError(f"texts[{i}]: found {shown(text)}, expected a text, a list of tokens or a pair of texts")
        for task in tasks:
            if not _is_read(text, task, of_pairs):
                reads = "a pair of texts (a tuple)" if task.is_pair else "one text"
                raise InputError(f"texts[{i}]: task {task.name!r} reads {reads}, found {shown(text)}")
    if of_pairs or not any(task.tokens for task in tasks):
        return texts
    return [list(text) if isinstance(text, tuple) else text for text in texts]


def _is_read(text: Text, task: Task, of_pairs: bool) -> bool:
    """Whether the task reads the text; a tuple is a pair if any of the tasks reads pairs."""
    if task.is_pair:
        return (isinstance(text, tuple) and len(text) == 2) or not _is_something(text)
    return not isinstance(text, tuple) or (task.tokens and not of_pairs)


def _is_raw(text: tuple) -> bool:
    """Whether it is one text, not a list of tokens nor a pair of texts."""
    return len(text) == 1 and isinstance(text[0], str)


def _is_something(text: str | Sequence[str]) -> bool:
    return bool(text.strip()) if isinstance(text, str) else len(text) > 0


def _load_vocabulary(folder: Path, options: ModelOptions) -> Vocabulary | SubwordVocabulary:
    if not reads_words(options.encoder):
        from graphmtl.models.transformer import load_subwords

        return load_subwords(str(folder / _PIECES))
    vocabulary = Vocabulary.load(folder / _VOCABULARY)
    if isinstance(options, WordEncoderOptions) and options.chars not in ("auto", "none"):
        vocabulary.alphabet = Alphabet.load(folder / _ALPHABET)
    return vocabulary


def _read_config(path: Path) -> tuple[list[Task], ModelOptions]:
    """The tasks and options of a saved model.

    Raises:
        InputError: something is not what `MultiTaskModel.save_pretrained` writes there.
    """
    config = read_json(path)
    if config.get("format") != _FORMAT:
        raise InputError(f"{path}: format {shown(config.get('format'))}; this version of graphmtl reads {_FORMAT}")
    tasks, options = config.get("tasks"), config.get("options")
    if not isinstance(tasks, list) or not tasks or not isinstance(options, dict):
        raise InputError(f"{path}: expected `tasks`, a list of one or more, and `options`, an object")
    try:
        read = [Task.from_dict(task) for task in tasks]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len({task.name for task in read}) < len(read):
        raise InputError(f"{path}: two of the tasks have the same name")
    try:
        kind = model_options_class(str(chosen(options, "arch")), str(chosen(options, "encoder")))
        known = {field.name for field in fields(kind)}  # earlier versions wrote the options of every architecture
        return read, kind(**{key: value for key, value in options.items() if key in known})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_shapes(model: MultiTaskModel, folder: Path) -> None:
    """Whether the weights are those of such a model, before there is memory for one.

    Raises:
        InputError: a tensor is missing, of another shape, or none of the model's.
    """
    with safe_open(folder / _WEIGHTS, "pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  it is no dict
    wanted = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in (*wanted, *found):
        ours, theirs = wanted.get(name, "no such tensor"), found.get(name, "no such tensor")
        if ours != theirs:
            raise InputError(f"{folder}: tensor {name}: {theirs} in {_WEIGHTS}, {ours} in the model of {_CONFIG}")


def _check_files(folder: Path) -> None:
    vocabulary = _PIECES if (folder / _PIECES).is_dir() else _VOCABULARY
    for name in (_CONFIG, _WEIGHTS, vocabulary):
        if not (folder / name).exists():
            raise InputError(f"{folder}: no {name}; a folder that MultiTaskModel.save_pretrained wrote is expected")
    _read_config(folder / _CONFIG)
