import warnings

import pytest
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState

from graphmtl.config import TrainingOptions
from graphmtl.errors import DataWarning, InputError
from graphmtl.training import accelerator
from graphmtl.training.accelerator import make_accelerator, plain_accelerator
from graphmtl.training.device import reading_device


def test_reading_has_a_precision_of_its_own():
    """A run with --precision bf16 in the same process once made evaluate round."""
    AcceleratorState._reset_state(reset_partial_state=True)
    assert Accelerator(cpu=True, mixed_precision="bf16").mixed_precision == "bf16"
    assert plain_accelerator("cpu").mixed_precision == "no"


def test_reading_and_training_of_one_process():
    for own in (plain_accelerator("cpu"), make_accelerator(TrainingOptions(device="cpu"))):
        assert own.num_processes == 1
        assert own.device == torch.device("cpu")


@pytest.mark.parametrize("make", [plain_accelerator, lambda device: make_accelerator(TrainingOptions(device=device))])
def test_the_device_of_an_earlier_training_is_forgotten(make):
    PartialState(cpu=True).device = torch.device("meta")
    assert make("cpu").device == torch.device("cpu")


def test_each_training_has_a_precision_of_its_own():
    for precision in ("bf16", "no"):
        assert make_accelerator(TrainingOptions(device="cpu", precision=precision)).mixed_precision == precision


@pytest.mark.filterwarnings("default:--precision bf16")
@pytest.mark.parametrize(("computed", "precision", "said"), [(False, "bf16", 1), (True, "bf16", 0), (False, "no", 0)])
def test_a_precision_that_a_processor_only_imitates_is_said(computed, precision, said, monkeypatch):
    monkeypatch.setattr("graphmtl.training.accelerator._has_bf16", lambda: computed)
    accelerator._say_that_bf16_is_slow.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        for _ in range(2):  # as of a run with a control
            make_accelerator(TrainingOptions(device="cpu", precision=precision))
    assert [str(one.message)[:40] for one in caught] == ["--precision bf16 is several times slower"] * said


def test_what_a_processor_computes_itself_is_asked_of_torch(monkeypatch):
    for known, expected in [({}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": False, "bf16": True}, True)]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known)
        assert accelerator._has_bf16() is expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:9"}, "--device: found 'cuda:9', which is not here; accepted here: auto, cpu"),
        ({"device": "cpu", "precision": "fp16"}, "precision 'fp16' needs an accelerator"),
        ({"device": "cpu", "track": "tensorbord"}, "unknown --track 'tensorbord'; did you mean 'tensorboard'?"),
    ],
)
def test_what_this_machine_does_not_have(options, message):
    with pytest.raises(InputError) as error:
        make_accelerator(TrainingOptions(**options))
    assert str(error.value).startswith(message)


def test_a_run_of_a_device_that_is_not_here_is_read_all_the_same():
    reading_device.cache_clear()
    with pytest.warns(DataWarning, match="--device cuda:9, with which the run was trained"):
        assert plain_accelerator("cuda:9").device == plain_accelerator("auto").device


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_a_model_that_is_cut_over_processes_is_refused(name, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(InputError, match=rf"asks for {name}, .* accepted: MULTI_GPU, MULTI_CPU, NO; .*--lora"):
        make_accelerator(TrainingOptions(device="cpu"))
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "false")
    assert make_accelerator(TrainingOptions(device="cpu")).num_processes == 1
