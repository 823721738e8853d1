"""Encoders of the Hugging Face transformers library: their tokenizers, and their pieces to token vectors.

The library is loaded when one is asked for, which takes seconds.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from graphmtl.config import WIDEST, OptionGroup, option
from graphmtl.data.batching import Batch
from graphmtl.data.subwords import SubwordVocabulary
from graphmtl.errors import InputError, shown
from graphmtl.layers.pooling import token_mask
from graphmtl.models.encoder import Encoded, Encoder
from graphmtl.models.hub import in_cache_alone
from graphmtl.models.lora import adapted, add_adapters, merged
from graphmtl.registry import ENCODERS

__all__ = ["TransformerEncoder", "TransformerOptions", "load_subwords"]

_FAILURES = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, ArithmeticError),
    *(SafetensorError, StrictDataclassError, UnpicklingError, EOFError),
)
_ALIKE = 1e-5  # of the length of a text's states: what filling up may change in them
_MOST = {  # of config.json: beyond it a file that is to fill the memory, or the day
    **dict.fromkeys(("num_hidden_layers", "num_attention_heads"), 1 << 10),
    **dict.fromkeys(("hidden_size", "intermediate_size", "embedding_size"), 1 << 17),
    **dict.fromkeys(("vocab_size", "max_position_embeddings"), 1 << 24),
}
_OF_NO_WEIGHT = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}  # of config.json


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's progress bars and its reports of weights that are not needed."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def load_subwords(name: str) -> SubwordVocabulary:
    """The tokenizer and the configuration of an encoder, from a folder or by its name on the Hugging Face Hub.

    Code that an encoder brings along is never run.

    Raises:
        InputError: there is no such encoder (the message says where it was looked for), it is none that can be used, or
            its tokenizer has no fast version.
    """
    from transformers import AutoConfig, AutoTokenizer

    local = _find(name)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, local_files_only=local)
    except _FAILURES as error:
        raise InputError(f"encoder {name!r}: no config.json of a transformer ({_one_line(error)})") from None
    for size, most in _MOST.items():
        found = getattr(config, size, None)
        is_given = not isinstance(getattr(type(config), size, None), property)  # as XLNet says that it has no limit
        if is_given and found is not None and (not isinstance(found, int) or not 1 <= found <= most):
            raise InputError(f"encoder {name!r}: {size} in config.json: found {shown(found)}, expected 1 to {most:,}")
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"encoder {name!r}: {config.model_type} is an encoder and a decoder; encoders such as BERT are expected"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=local)
    except _FAILURES as error:
        raise InputError(f"encoder {name!r}: no tokenizer that can be loaded ({_one_line(error)})") from None
    if not tokenizer.is_fast:
        raise InputError(
            f"encoder {name!r}: its tokenizer {type(tokenizer).__name__} has no fast version (tokenizer.json), which "
            "says which piece belongs to which word"
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # what transformers makes where a folder holds none
        raise InputError(f"encoder {name!r}: its tokenizer has no pieces; are tokenizer.json or vocab.txt missing?")
    with torch.device("meta"):  # no memory, no weights
        model = _new_model(config, name)
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise InputError(f"encoder {name!r}: its tokenizer has {len(tokenizer)} pieces, its embeddings only {rows}")
    return SubwordVocabulary(tokenizer=tokenizer, config=config, limit=_limit(tokenizer, model))


def _find(name: str) -> bool:
    """Whether an encoder is to be read from this machine alone; else it is on the Hub, which is within reach.

    It is a folder with a ``config.json``, or in the cache of a Hub that does not answer.
    """
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise InputError(f"encoder {name!r}: the folder has no config.json")
        return True
    try:
        return in_cache_alone(name)
    except InputError as error:
        near = get_close_matches(name, ENCODERS, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        known = f"(known: {', '.join([*ENCODERS, 'a folder'])}, a name on the Hub)"
        raise InputError(f"unknown encoder {name!r};{hint} {error} {known}") from None


def _limit(tokenizer: Any, model: Any) -> int:
    """How many pieces the model can read at once."""
    limits = [tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1  # of RoBERTa and its kin
            limits.append(module.num_embeddings - first)
    return min(limit for limit in limits if limit is not None and limit > 0)


def _new_model(config: Any, name: str) -> Any:
    """A model with random weights, in single precision, without the layer that BERT has for the next sentence.

    Raises:
        InputError: it is none that reads pieces and gives states of one size.
    """
    from transformers import AutoModel

    try:
        model = AutoModel.from_config(deepcopy(config), dtype=torch.float32, trust_remote_code=False)
        readable = {"input_ids", "attention_mask"} <= inspect.signature(model.forward).parameters.keys()
    except _FAILURES as error:
        raise InputError(
            f"encoder {name!r}: no transformer can be built from config.json ({_one_line(error)})"
        ) from None
    if not readable or not isinstance(getattr(config, "hidden_size", None), int):
        raise InputError(
            f"encoder {name!r}: {config.model_type} does not read text to hidden states; encoders such as BERT do"
        )
    return _without_pooler(model)


def _check_reading(model: Any, name: str) -> None:
    """Whether the model reads a text, whatever else is in the batch.

    Raises:
        InputError: it does not.
    """
    kind = model.config.model_type
    try:
        alike = _is_read_alike(model)
    except Exception as error:  # of the model's own code: anything
        raise InputError(
            f"encoder {name!r}: {kind} cannot read a text ({_one_line(error)}); encoders such as BERT do"
        ) from None
    if not alike:
        raise InputError(
            f"encoder {name!r}: what {kind} makes of a text depends on how far its batch is filled up; encoders such "
            "as BERT leave that out"
        )


@torch.no_grad()
def _is_read_alike(model: Any) -> bool:
    """Whether a short text has the same states where it is filled up."""
    model = deepcopy(model).eval()  # reading changes some, such as BigBird, for good
    ids = torch.arange(1, 6).unsqueeze(0) % model.config.vocab_size  # (1, 5)
    mask = torch.ones_like(ids)
    alone = model(input_ids=ids, attention_mask=mask).last_hidden_state  # (1, 5, dim)
    more = [F.pad(values, (0, 3)) for values in (ids, mask)]
    filled = model(input_ids=more[0], attention_mask=more[1]).last_hidden_state[:, :5]  # (1, 5, dim)
    return bool((alone - filled).norm() <= _ALIKE * alone.norm())


def _checkpoint_activations(model: Any) -> None:
    """By the name that transformers has for it from 5 on, or the one of 4."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})  # the default of 5: inputs of a frozen layer have no gradient


def _without_pooler(model: Any) -> Any:
    if getattr(model, "pooler", None) is not None:
        model.pooler = nn.Identity()  # some, such as SqueezeBERT, call it in any case
    return model


@dataclass(frozen=True, kw_only=True)
class TransformerOptions(OptionGroup):
    """Of an encoder of the transformers library."""

    freeze_layers: int = option(
        0, "the embeddings and so many of the lower layers of the transformer are not trained; 0: all are", low=0
    )
    frozen_states: str | None = option(
        None,
        "folder where the states below the first trained layer are kept, computed once for all epochs and runs; none: "
        "every epoch computes them; in ~/.cache/graphmtl by default",
        needs="freeze_layers",
        shown="DIR",
        trains=True,
    )
    frozen_states_dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "how a kept state is written: in 32 bits, or in 16", needs="freeze_layers", trains=True
    )
    encoder_lr: float = option(5e-5, "peak learning rate of the transformer's last layer", low=0, trains=True)
    layer_decay: float = option(
        1.0,
        "learning rate of a transformer's layer as a share of that of the layer above it",
        low=0,
        high=1,
        trains=True,
    )
    gradient_checkpointing: bool = option(False, "less memory, for a third more time in training")
    lora: int = option(
        0,
        "train adapters of this rank in the transformer's layers that are not frozen, and nothing else of it; they "
        "want a higher --encoder-lr, such as 5e-4; 0: none",
        low=0,
        high=WIDEST,
        shown="R",
    )
    lora_alpha: int = option(0, "what adapters add is multiplied by N / R; 0: by 2", low=0, needs="lora")


class TransformerEncoder(Encoder):
    """The last hidden states of a transformer; the first piece of a text ([CLS]) stands for the whole text.

    A text that is read in several windows (see :mod:`graphmtl.data.subwords`) has the mean of their first
    pieces. Where words are asked for, a word's state is that of its first piece; 0 for a word without one.

    What is frozen has no dropout in training either, so that it says the same of a text in every epoch; a batch that
    holds its states (:mod:`graphmtl.models.lower_states`) is read by the layers above alone.

    Args:
        vocabulary: its tokenizer and configuration.
        options: which layers are frozen or adapted, and whether activations are computed again instead of being kept.

    Raises:
        InputError: more layers are to be frozen than there are, no layer is left to adapt, or activations must be kept.
    """

    Options = TransformerOptions
    contextual = True
    reads_subwords = True

    def __init__(self, *, vocabulary: SubwordVocabulary, options: TransformerOptions):
        super().__init__(vocabulary=vocabulary, options=options)
        self.model = _new_model(vocabulary.config, vocabulary.config.name_or_path)
        if self.model.device.type != "meta":  # of a saved model, whose weights are read into it
            _check_reading(self.model, vocabulary.config.name_or_path)
        self.output_size: int = vocabulary.config.hidden_size
        self.has_cls = vocabulary.starts_with_cls
        self._padding = vocabulary.tokenizer.pad_token_id or 0
        self._returned = 0  # how many things a layer returns in a tuple; 0: its states alone
        if options.freeze_layers:
            self._freeze(options.freeze_layers)
        if options.lora:
            add_adapters(self.model, rank=options.lora, alpha=options.lora_alpha or 2 * options.lora)
        if options.gradient_checkpointing:
            if not self.model.supports_gradient_checkpointing:
                raise InputError(f"--gradient-checkpointing: {self.model.config.model_type} does not support it")
            _checkpoint_activations(self.model)
        self.train(self.training)  # what is frozen is in evaluation mode from the start

    def load_pretrained(self, name: str) -> None:
        """Starts from the weights in a folder, or of a name on the Hub.

        Raises:
            InputError: there are none, or not all of them.
        """
        from transformers import AutoModel

        local = _find(name)
        try:
            with _quietly():
                model, found = AutoModel.from_pretrained(
                    name,
                    dtype=torch.float32,
                    trust_remote_code=False,
                    local_files_only=local,
                    output_loading_info=True,
                )
        except _FAILURES as error:
            raise InputError(f"encoder {name!r}: no weights that can be loaded ({_one_line(error)})") from None
        missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
        if missing:
            raise InputError(f"encoder {name!r}: its weights lack {len(missing)} tensors, such as {missing[0]}")
        self.model.load_state_dict(adapted(self.model, _without_pooler(model).state_dict()))

    def save_plain(self, folder: Path) -> None:
        """Writes what ``AutoModel.from_pretrained`` and ``--encoder`` read, with the adapters in the weights."""
        with _quietly():
            merged(self.model).save_pretrained(folder)

    def layers(self) -> list[list[nn.Parameter]]:
        """The embeddings' parameters, then those of each layer from below; what follows the layers is in the last one.

        One list with everything where there is no layer for each of ``num_hidden_layers`` (ALBERT's share weights).
        """
        stack, modules = self._stack()
        if stack is None:
            return [list(self.model.parameters())]
        layers: list[list[nn.Parameter]] = [[] for _ in range(len(modules) + 1)]
        depth = 0
        for name, parameter in self.model.named_parameters():
            if name.startswith(f"{stack}."):
                depth = int(name.removeprefix(f"{stack}.").split(".")[0]) + 1
            layers[depth if depth == 0 or name.startswith(f"{stack}.") else -1].append(parameter)
        return layers

    def _stack(self) -> tuple[str | None, list[nn.Module]]:
        """The name and the modules of the layers; None where there is not one for each of ``num_hidden_layers``."""
        count = self.model.config.num_hidden_layers
        stacks = ((name, m) for name, m in self.model.named_modules() if isinstance(m, nn.ModuleList))
        return next(((name, [*modules]) for name, modules in stacks if len(modules) == count), (None, []))

    def learning_rates(self, lr: float) -> list[tuple[nn.Parameter, float]]:
        """The last layer has ``encoder_lr``, and each below it the share ``layer_decay`` of the one above it.

        The embeddings are the lowest layer (Howard and Ruder, ACL 2018, section 3.2; Clark et al., ICLR 2020,
        appendix B).
        """
        rate, decay = self.options.encoder_lr, self.options.layer_decay
        layers = enumerate(reversed(self.layers()))
        return [(parameter, rate * decay**depth) for depth, layer in layers for parameter in layer]

    def _freeze(self, count: int) -> None:
        layers = self.layers()
        if count >= len(layers):
            raise InputError(
                f"--freeze-layers {count}: the encoder has {len(layers) - 1} layers that can be told apart"
            )
        for parameter in (parameter for layer in layers[: count + 1] for parameter in layer):
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "TransformerEncoder":
        """What is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def _frozen_modules(self) -> list[nn.Module]:
        """The model itself where all its layers are frozen, else the frozen ones and those outside the stack."""
        frozen, (name, layers) = self.options.freeze_layers, self._stack()
        if not frozen or frozen == len(layers):
            return [self.model] if frozen else []
        holders = {module for n, module in self.model.named_modules() if not n or f"{name}.".startswith(f"{n}.")}
        beside = [child for holder in holders for child in holder.children() if child not in {*holders, *layers}]
        return layers[:frozen] + [m for m in beside if not any(p.requires_grad for p in m.parameters())]

    def frozen_digest(self) -> str:
        """SHA-256 of what the states below the first trained layer depend on: frozen weights, and configuration."""
        (stack, _), layers, frozen = self._stack(), self.layers(), self.options.freeze_layers
        lower = {id(parameter) for layer in layers[: frozen + 1] for parameter in layer}
        config = {name: value for name, value in self.model.config.to_dict().items() if name not in _OF_NO_WEIGHT}
        digest = hashlib.sha256(json.dumps([frozen, config], sort_keys=True, default=str).encode())
        for name, parameter in self.model.named_parameters():
            beside = not name.startswith(f"{stack}.") and not parameter.requires_grad  # DeBERTa's position embeddings
            if id(parameter) in lower or beside:
                digest.update(parameter.detach().contiguous().cpu().numpy().data)
        return digest.hexdigest()

    def lower_states(self, batch: Batch) -> Tensor:
        """The states below the first trained layer, (windows, pieces, dim); where all are frozen the last ones."""
        _, layers = self._stack()
        frozen = self.options.freeze_layers

        def note_form(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._returned = len(output) if isinstance(output, tuple) else 0

        noting = layers[0].register_forward_hook(note_form)
        try:
            if frozen == len(layers):
                return self.model(**self._inputs(batch)).last_hidden_state
            with _stopped_at(layers[frozen]) as reached:
                self.model(**self._inputs(batch))
            return reached[0]
        finally:
            noting.remove()

    def _inputs(self, batch: Batch) -> dict[str, Tensor]:
        windows: Any = batch.windows
        mask = token_mask(windows.lengths, batch.tokens)  # (windows, pieces)
        inputs = {"input_ids": batch.tokens.masked_fill(~mask, self._padding), "attention_mask": mask.long()}
        if windows.types is not None:
            inputs["token_type_ids"] = windows.types
        return inputs

    def _last_states(self, batch: Batch) -> Tensor:
        """Pieces to their last states, (windows, pieces, dim); those that the batch holds are not computed again."""
        lower: Any = batch.windows.states
        if lower is None:
            return self.model(**self._inputs(batch)).last_hidden_state
        frozen, (_, layers) = self.options.freeze_layers, self._stack()
        lower = lower.to(next(self.model.parameters()).dtype)
        if frozen == len(layers):
            return lower
        with _from_layer(layers, frozen, lower, self._returned):
            return self.model(**self._inputs(batch)).last_hidden_state

    def forward(self, batch: Batch) -> Encoded:
        """Pieces (windows, pieces) to states (batch, pieces or words, output_size)."""
        windows: Any = batch.windows
        states = self._last_states(batch)  # (windows, pieces, dim)
        pooled = _mean_of_windows(states[:, 0], windows.texts, len(batch.lengths)) if self.has_cls else None
        if windows.words is None:
            return Encoded(states, batch.lengths, pooled)
        words = nn.functional.embedding(windows.words.clamp_min(0), states.flatten(0, 1))  # (batch, words, dim)
        return Encoded(words * (windows.words >= 0).unsqueeze(-1), batch.lengths, pooled)


class _ReachedError(Exception):
    """A layer that is not to run has been reached."""


@contextmanager
def _stopped_at(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Ends the model's forward pass before a layer; the states that it was given stand in the list afterwards."""
    reached: list[Tensor] = []

    def stop(_module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        reached.append(inputs[0] if inputs else named["hidden_states"])
        raise _ReachedError

    stopping = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        yield reached
    except _ReachedError:
        pass
    finally:
        stopping.remove()


@contextmanager
def _from_layer(layers: list[nn.Module], first: int, states: Tensor, returned: int) -> Iterator[None]:
    """The layers below ``first`` are passed by, and it is given ``states``.

    They are not taken out of the model, in which a layer's place may decide what it is given.

    Args:
        layers: all of the model.
        first: the place of the first one that runs.
        states: (windows, pieces, dim).
        returned: how many things a layer returns in a tuple; 0: its states alone.
    """

    def pass_by(hidden_states: Tensor, *_others: Any, **_named: Any) -> Any:
        return (hidden_states, *[None] * (returned - 1)) if returned else hidden_states

    def give(_module: nn.Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return ((states, *inputs[1:]), named) if inputs else ((), {**named, "hidden_states": states})

    giving = layers[first].register_forward_pre_hook(give, with_kwargs=True)
    for layer in layers[:first]:
        layer.forward = pass_by
    try:
        yield
    finally:
        giving.remove()
        for layer in layers[:first]:
            del layer.forward


def _mean_of_windows(vectors: Tensor, texts: Tensor, batch: int) -> Tensor:
    """Vectors (windows, dim) of windows of ``texts`` (windows,) to their mean for each text, (batch, dim)."""
    if len(vectors) == batch:
        return vectors
    share = 1 / texts.bincount(minlength=batch)[texts]  # (windows,)
    return vectors.new_zeros(batch, vectors.size(1)).index_add(0, texts, vectors * share.to(vectors)[:, None])
