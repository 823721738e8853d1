r"""Low-rank adapters in a transformer's layers (Hu et al., LoRA, ICLR 2022, section 4.1), through peft.

.. math:: y = W x + \frac{\alpha}{R} B A x

W (out, in) stays as it was; A (R, in) and B (out, R) are trained. B starts at 0, so that the transformer begins as it
was. Adapters stand in those linear layers of attention where peft puts them for a kind of transformer (query and value,
as in the paper), or in all linear layers where it knows none.

The library is loaded when adapters are asked for, which takes a second.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from graphmtl.errors import InputError

__all__ = ["adapted", "add_adapters", "merged"]

_PART, _WRAPPED = ".lora_", ".base_layer."  # in the names of what peft adds, and of what it adds it to


def add_adapters(model: Any, *, rank: int, alpha: int) -> None:
    """Adapters in the layers of a transformer that are trained; nothing but the adapters is trained from now on.

    Args:
        model: one of the transformers library.
        rank: R.
        alpha: what they add is multiplied by ``alpha / R``.

    Raises:
        InputError: peft is not installed, or no linear layer is trained.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as USUAL
    except ImportError as error:
        raise InputError(f"--lora {rank}: needs peft ({error}); `pip install graphmtl[lora]`") from None
    linear = [name for name, module in model.named_modules() if _is_trained(module)]
    if not linear:
        raise InputError(
            f"--lora {rank}: no linear layer of {model.config.model_type} is trained that could be adapted; freeze "
            "fewer layers (--freeze-layers)"
        )
    usual = [name for name in linear if name.rpartition(".")[2] in USUAL.get(model.config.model_type, ())]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=usual or linear), model)


def _is_trained(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and module.weight.requires_grad


def adapted(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a transformer without adapters by their names in one that may have some, which are its own."""
    state = model.state_dict()
    return {name: own if _PART in name else weights[name.replace(_WRAPPED, ".")] for name, own in state.items()}


def merged(model: Any) -> Any:
    r"""A copy of a transformer without adapters, with :math:`W + \frac{\alpha}{R} B A` in the place of W."""
    plain = deepcopy(model)
    wrapped = {name: module for name, module in plain.named_modules() if hasattr(module, "base_layer")}
    for name, module in wrapped.items():
        module.merge()
        plain.set_submodule(name, module.base_layer)
    if wrapped:
        del plain.peft_config
    return plain
