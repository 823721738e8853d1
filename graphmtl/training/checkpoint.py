"""The folder that resuming needs: written as a whole or not at all, and only the last one is kept."""

import shutil
from pathlib import Path

import torch
from accelerate import Accelerator

__all__ = ["load_checkpoint", "save_checkpoint"]

_STATE = "trainer.pt"


def save_checkpoint(*, folder: Path, epoch: int, accelerator: Accelerator, state: dict) -> None:
    """Write ``folder/epoch-N``: model, optimiser, schedule and random states by accelerate, and the trainer's state.

    It is written under another name first, so that an interruption leaves the checkpoint before it; that one is
    removed at the end. Every process must call this; all but the first write no more than their random states.

    Args:
        folder: ``checkpoints/`` of the run.
        epoch: the number of epochs done.
        accelerator: has prepared the model, the optimiser and the schedule.
        state: tensors, numbers, strings, and lists, tuples and dicts of them.
    """
    target = folder / f"epoch-{epoch}"
    unfinished = folder / f"epoch-{epoch}.unfinished"
    if accelerator.is_main_process:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(unfinished), safe_serialization=False)  # safetensors would warn of tied parameters
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        torch.save(state, unfinished / _STATE)
        unfinished.rename(target)
        for other in folder.iterdir():
            if other != target:
                shutil.rmtree(other)
    accelerator.wait_for_everyone()


def load_checkpoint(*, folder: Path, accelerator: Accelerator) -> dict | None:
    """Put back what :func:`save_checkpoint` wrote last, and return the trainer's state; None where there is nothing."""
    done = {int(path.name.removeprefix("epoch-")): path for path in folder.glob("epoch-*") if path.suffix == ""}
    if not done:
        return None
    path = done[max(done)]
    accelerator.load_state(str(path))
    return torch.load(path / _STATE, map_location="cpu", weights_only=True)
