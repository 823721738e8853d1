"""accelerate's Accelerator for a training and for reading: device, precision, processes."""

import os
import warnings
from functools import cache
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

from graphmtl.config import TrainingOptions
from graphmtl.errors import InputError, note
from graphmtl.training.device import chosen_device, reading_device
from graphmtl.training.processes import process_state
from graphmtl.training.trackers import tracker_names

__all__ = ["make_accelerator", "plain_accelerator", "prepared"]

_BF16 = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16")  # instructions for bf16, of x86 and of ARM


def make_accelerator(options: TrainingOptions) -> Accelerator:
    """For a training; what ``--track`` names starts with it, but must be there now.

    A precision that this machine can only imitate, slowly, is said.

    Raises:
        InputError: the device or a tracker is not there, the device has no such precision, or accelerate's own
            configuration cuts the model over the processes.
    """
    _check_whole()
    cpu = chosen_device(options.device).type == "cpu"
    if cpu and options.precision == "fp16":
        raise InputError("precision 'fp16' needs an accelerator, and there is none; 'no' and 'bf16' run on the CPU")
    if cpu and options.precision == "bf16" and not _has_bf16():
        _say_that_bf16_is_slow()
    tracker_names(options.track)
    _forget_earlier(options.device)
    return Accelerator(
        cpu=cpu,
        mixed_precision=options.precision,
        dataloader_config=DataLoaderConfiguration(split_batches=True),  # a step's batch is cut over the processes
        kwargs_handlers=[  # unused: those of other tasks; buffers are the same in all processes
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        ],
    )


def prepared(accelerator: Accelerator, *parts: Any) -> Any:
    """Parts of a training as they are used in its processes, without torch's word that accelerate's options are old."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return accelerator.prepare(*parts)


@cache
def _say_that_bf16_is_slow() -> None:
    """Once, though a run may train a control and a refit too."""
    note("--precision bf16 is several times slower than 'no' here: this processor has no instructions for it")


def _has_bf16() -> bool:
    """Whether products in bf16 are computed by the processor itself."""
    return any(torch.cpu.get_capabilities().get(name, False) for name in _BF16)


def _check_whole() -> None:
    """Each process scores its model and keeps its weights between two updates, and so must have all of them."""
    for name in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            raise InputError(
                f"accelerate's configuration asks for {name}, but every process holds the whole model; accepted: "
                "MULTI_GPU, MULTI_CPU, NO; a large encoder takes less memory with --lora, --freeze-layers or "
                "--gradient-checkpointing"
            )


def plain_accelerator(device: str) -> Accelerator:
    """For reading with a trained model, whatever precision this process has trained another one with.

    Args:
        device: the trained model's; where it is not there, what is, which is said.
    """
    device = reading_device(device)
    _forget_earlier(device)
    return Accelerator(cpu=chosen_device(device).type == "cpu")


def _forget_earlier(device: str) -> None:
    """One process may train several models, each with its own precision and device: accelerate keeps both globally."""
    AcceleratorState._reset_state(reset_partial_state=True)
    process_state(device)
