"""What an architecture adds to a transformer, in training and in answers, for benchmarks/speed.py --overhead."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import BertConfig, BertModel

from benchmarks.contenders import Setting
from benchmarks.measuring import median_ms
from graphmtl.architectures import architecture_class

__all__ = ["BASE", "MINILM", "overhead_lines"]

_ARCHS = ("shared", "cmtr")
_KIB = 2**10


@dataclass(frozen=True)
class Load:
    """What is read: an encoder with random weights, and the size of a batch of one of K tasks."""

    config: BertConfig
    tasks: int
    texts: int
    tokens: int


BASE = Load(BertConfig(), tasks=8, texts=16, tokens=128)  # BERT-base
MINILM = Load(
    BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    tasks=5,
    texts=32,
    tokens=40,
)


class _Model:
    """An architecture with a head for two labels, on the mean of an encoder's states."""

    def __init__(self, arch: str, encoder: nn.Module, tokens: torch.Tensor, load: Load, setting: Setting):
        torch.manual_seed(0)
        names, size = [f"task{k}" for k in range(load.tasks)], encoder.config.hidden_size
        self.architecture = architecture_class(arch)(tasks=names, input_size=size)
        self.head = nn.Linear(self.architecture.head_size(size), 2)
        self.encoder, self.tokens, self.setting = encoder, tokens, setting
        self.trained = nn.ModuleList([encoder, self.architecture, self.head]).to(setting.device)
        self.optimizer = torch.optim.AdamW(self.trained.parameters(), lr=1e-5, fused=True)
        self.lengths = torch.full((len(tokens),), tokens.size(1))
        self.labels = torch.arange(len(tokens), device=setting.device) % 2  # (batch,)

    def loss(self) -> torch.Tensor:
        """That of all that the head answers from in training."""
        with self.setting.autocast():
            states = self.encoder(input_ids=self.tokens).last_hidden_state  # (batch, tokens, size)
            states, _ = self.architecture.read(states, self.lengths, [0])[0]
            seen = self.architecture.interact(states.mean(1), self.lengths, 0)  # h (batch, head_size)
            answers = [self.head(view).float() for view in (seen.h, *seen.views.values())]
        loss = torch.stack([nn.functional.cross_entropy(answer, self.labels) for answer in answers]).sum()
        return loss if seen.penalty is None else loss + seen.penalty.mean()

    def step(self) -> None:
        """Forward, backward and AdamW."""
        self.trained.train()
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def answer(self) -> None:
        """Forward alone."""
        self.trained.eval()
        self.loss()

    def kept_kib(self) -> float:
        """What a step keeps for the way back, its weights aside."""
        weights, kept = {parameter.data_ptr() for parameter in self.trained.parameters()}, {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        self.trained.train()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.loss()
        return sum(size for place, size in kept.items() if place not in weights) / _KIB


def overhead_lines(setting: Setting, repeats: int, loads: Sequence[Load] = (BASE, MINILM)) -> list[str]:
    """What ``cmtr`` costs beside ``shared``, in turns on one encoder, as Markdown.

    Args:
        setting: device, precision and threads.
        repeats: how often each step is timed.
        loads: encoders and batches.
    """
    return [line for load in loads for line in _lines(load, setting, repeats)]


def _lines(load: Load, setting: Setting, repeats: int) -> list[str]:
    torch.manual_seed(0)
    encoder = BertModel(load.config, add_pooling_layer=False).to(setting.device)
    tokens = torch.randint(load.config.vocab_size, (load.texts, load.tokens), device=setting.device)
    models = {arch: _Model(arch, encoder, tokens, load, setting) for arch in _ARCHS}
    ms = median_ms({arch: model.step for arch, model in models.items()}, repeats=repeats, device=setting.device)
    answers = median_ms({arch: model.answer for arch, model in models.items()}, repeats=repeats, device=setting.device)
    shape = f"{load.config.num_hidden_layers} layers of {load.config.hidden_size}"
    lines = [
        *("## On a transformer", ""),
        f"{load.tasks} tasks on one encoder of {shape}, random weights, {load.texts} texts of {load.tokens} tokens.",
        "A training step is forward, backward and AdamW. The steps take turns; medians of "
        f"{repeats}. Kept: for the way back. Weights: beside the encoder's.",
        "",
        "| arch   | step, ms | of shared | answer, ms | of shared | kept, KiB | weights |",
        "| ------ | -------: | --------: | ---------: | --------: | --------: | ------: |",
    ]
    for arch, model in models.items():
        times = [f"{found[arch]:,.1f} | {found[arch] / found['shared']:.3f}" for found in (ms, answers)]
        weights = sum(parameter.numel() for parameter in model.architecture.parameters())
        lines.append(f"| {arch} | {' | '.join(times)} | {model.kept_kib():,.0f} | {weights:,} |")
    return [*lines, ""]
