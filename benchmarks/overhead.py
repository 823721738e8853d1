"""What an architecture adds to a training step on a transformer, for benchmarks/speed.py --overhead."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import BertConfig, BertModel

from benchmarks.contenders import Setting
from benchmarks.measuring import median_ms
from graphmtl.architectures import architecture_class

__all__ = ["TASKS", "overhead_lines"]

TASKS, _BATCH, _TOKENS = 8, 16, 128
_ARCHS = ("shared", "cmtr")


def _training_step(arch: str, encoder: nn.Module, tokens: torch.Tensor, setting: Setting) -> Callable[[], None]:
    """Forward, backward and AdamW of an architecture with a head for two labels, on the vector of the first piece."""
    torch.manual_seed(0)
    names = [f"task{k}" for k in range(TASKS)]
    size = encoder.config.hidden_size
    architecture = architecture_class(arch)(tasks=names, input_size=size)
    head = nn.Linear(architecture.head_size(size), 2)
    trained = nn.ModuleList([encoder, architecture, head]).to(setting.device).train()
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-5, fused=True)
    lengths = torch.full((len(tokens),), tokens.size(1))
    labels = torch.arange(len(tokens), device=setting.device) % 2  # (batch,)

    def step() -> None:
        with setting.autocast():
            states = encoder(input_ids=tokens).last_hidden_state  # (batch, tokens, size)
            states, _ = architecture.read(states, lengths, [0])[0]
            seen = architecture.interact(states[:, 0], lengths, 0)  # h (batch, head_size)
            loss = nn.functional.cross_entropy(head(seen.h).float(), labels)
        if seen.penalty is not None:
            loss = loss + seen.penalty.mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def overhead_lines(setting: Setting, repeats: int, config: BertConfig | None = None) -> list[str]:
    """A training step of ``cmtr`` over that of ``shared``, in turns on one encoder, as Markdown.

    Args:
        setting: device, precision and threads.
        repeats: how often each step is timed.
        config: of the encoder with random weights; BERT-base by default.
    """
    torch.manual_seed(0)
    config = config or BertConfig()
    encoder = BertModel(config, add_pooling_layer=False).to(setting.device)
    tokens = torch.randint(config.vocab_size, (_BATCH, _TOKENS), device=setting.device)
    steps = {arch: _training_step(arch, encoder, tokens, setting) for arch in _ARCHS}
    ms = median_ms(steps, repeats=repeats, device=setting.device)
    return [*_about(config, repeats), *_rows(ms), ""]


def _about(config: BertConfig, repeats: int) -> list[str]:
    shape = f"{config.num_hidden_layers} layers of {config.hidden_size}"
    note = (
        f"A training step (forward, backward, AdamW) with {TASKS} tasks on one encoder of {shape} with random weights, "
        f"{_BATCH} texts of {_TOKENS} tokens. The steps take turns; medians of {repeats}."
    )
    return ["## On a transformer", "", note, ""]


def _rows(ms: dict[str, float]) -> list[str]:
    lines = ["| arch   |        ms | of shared |", "| ------ | --------: | --------: |"]
    return lines + [f"| {arch:6} | {ms[arch]:9,.1f} | {ms[arch] / ms['shared']:9.3f} |" for arch in ms]
