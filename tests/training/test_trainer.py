import gc
import json
import math
import os
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from graphmtl.data.batching import EncodedSplit
from graphmtl.errors import InputError
from graphmtl.interruption import Interrupted
from graphmtl.registry import ARCHITECTURES
from graphmtl.training import trainer as trainer_module
from tests.parts import label_arrays
from tests.training import two_processes
from tests.training.toy import ToyModel, toy_data, toy_trainer

ARCHS = [{"arch": arch} for arch in ARCHITECTURES]


@pytest.fixture
def data():
    return toy_data(a=50, b=21)


def weights_of(trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def assert_close_scores(left: dict, right: dict) -> None:
    for name in left:
        assert left[name] == pytest.approx(right[name], abs=1e-6)


def without_clock(history: list[dict]) -> list[dict]:
    return [{key: line[key] for key in line if key not in ("seconds", "tokens_per_second")} for line in history]


def read_history(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def stop_after(epoch: int):
    def callback(record: dict) -> None:
        if record["epoch"] == epoch:
            raise InterruptedError

    return callback


def test_it_learns(data):
    trainer = toy_trainer(data, epochs=12)
    result = trainer.train()
    assert result.history[-1]["losses"]["a"] < 0.5 * result.history[0]["losses"]["a"]
    assert trainer.evaluate("train")["a"]["accuracy"] > 0.9


def test_same_seed_same_result(data):
    runs = [toy_trainer(data, dropout=0.3, ema=0.9, seed=seed) for seed in (3, 3, 4)]
    results = [run.train() for run in runs]
    assert without_clock(results[0].history) == without_clock(results[1].history)
    assert without_clock(results[0].history) != without_clock(results[2].history)
    assert_same_weights(weights_of(runs[0]), weights_of(runs[1]))
    assert runs[0].evaluate("test") == runs[1].evaluate("test")


def test_a_random_number_before_the_run_changes_nothing(data):
    first = toy_trainer(data, dropout=0.3)
    first.train()
    second = toy_trainer(data, dropout=0.3)
    torch.rand(5)
    second.train()
    assert_same_weights(weights_of(first), weights_of(second))


BALANCED = [
    {"balancing": name, "accumulate": 3, "mix": True}
    for name in ("uncertainty", "imtl-l", "dwa", "random", "famo", "pcgrad", "nash-mtl", "graddrop")
]


APART = {"own": True, "epochs": 0, "min_updates": 25, "patience": 3}  # tasks that end at times of their own


@pytest.mark.parametrize("options", [{"own": True}, APART, {"sampling": "annealed"}, {"ema": 0.0}, *ARCHS, *BALANCED])
def test_resuming_is_exact(data, tmp_path, options):
    options = {"dropout": 0.3, "ema": 0.9, "weight_decay": 0.1, "frozen": 1} | options
    whole = toy_trainer(data, folder=tmp_path / "whole", **options)
    expected = whole.train()
    with pytest.raises(InterruptedError):
        toy_trainer(data, folder=tmp_path / "parts", callbacks=[stop_after(2)], **options).train()
    resumed = toy_trainer(data, folder=tmp_path / "parts", **options)
    for parameter in resumed.model.parameters():  # what the model was before does not matter
        torch.nn.init.zeros_(parameter)
    result = resumed.train(resume=True)
    assert_same_weights(weights_of(whole), weights_of(resumed))
    assert without_clock(result.history) == without_clock(expected.history)
    assert without_clock(read_history(tmp_path / "parts")) == without_clock(expected.history)
    assert (result.best_epoch, result.steps, result.epochs) == (expected.best_epoch, expected.steps, expected.epochs)
    assert result.seconds > result.history[1]["seconds"]  # time before the interruption counts
    files = [tmp_path / name / "gradient_conflict.json" for name in ("whole", "parts")]
    assert files[0].exists() == files[1].exists() == (options.get("balancing") in ("pcgrad", "nash-mtl", "graddrop"))
    assert len({path.read_text() for path in files if path.exists()}) <= 1


def signalled(trainer, *, updates: int, signum: int = signal.SIGINT) -> None:
    """Trains, and gets a signal in the middle of an update."""
    update = trainer._update

    def update_and_signal(*arguments):
        if trainer.progress.step == updates:
            os.kill(os.getpid(), signum)
        update(*arguments)

    trainer._update = update_and_signal
    trainer.train(resume=True)


MIXED = {"accumulate": 3, "mix": True, "conflict_every": 2}


@pytest.mark.parametrize(
    "options", [{"own": True}, APART, {"ema": 0.0}, MIXED, *({"arch": a} for a in ("cmtr", "star")), *BALANCED]
)
def test_a_signal_ends_after_the_update_and_nothing_is_lost(data, tmp_path, options, default_handlers):
    options = {"dropout": 0.3, "ema": 0.9, "weight_decay": 0.1, "frozen": 1} | options
    whole = toy_trainer(data, folder=tmp_path / "whole", **options)
    expected = whole.train()
    per_epoch, before = expected.steps // expected.epochs, signal.getsignal(signal.SIGTERM)
    for updates, signum in ((1, signal.SIGINT), (per_epoch + per_epoch // 2, signal.SIGTERM), (2 * per_epoch - 1, 2)):
        with pytest.raises(Interrupted, match=r"ended (in|after) epoch \d.*--resume") as interrupted:
            signalled(toy_trainer(data, folder=tmp_path / "parts", **options), updates=updates, signum=signum)
        assert interrupted.value.signum == signum
    assert signal.getsignal(signal.SIGTERM) == before
    resumed = toy_trainer(data, folder=tmp_path / "parts", **options)
    result = resumed.train(resume=True)
    assert_same_weights(weights_of(whole), weights_of(resumed))
    assert without_clock(result.history) == without_clock(expected.history)
    assert without_clock(read_history(tmp_path / "parts")) == without_clock(expected.history)


def test_a_signal_in_the_last_update_ends_too(data, tmp_path, default_handlers):
    """What it has said it would do it does; there is nothing left to train then."""
    whole = toy_trainer(data, folder=tmp_path / "whole")
    expected = whole.train()
    with pytest.raises(Interrupted, match=f"ended (in|after) epoch {expected.epochs}"):
        signalled(toy_trainer(data, folder=tmp_path / "parts"), updates=expected.steps - 1)
    resumed = toy_trainer(data, folder=tmp_path / "parts")
    assert without_clock(resumed.train(resume=True).history) == without_clock(expected.history)
    assert_same_weights(weights_of(whole), weights_of(resumed))


def test_a_line_of_history_that_is_damaged_is_named(data, tmp_path):
    with pytest.raises(InterruptedError):
        toy_trainer(data, folder=tmp_path, callbacks=[stop_after(2)]).train()
    path = tmp_path / "history.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\n{lines[1][:-5]}\n")
    with pytest.raises(InputError, match=r"history\.jsonl, line 2: not JSON"):
        toy_trainer(data, folder=tmp_path).train(resume=True)
    path.write_text(f"{lines[0]}\n")
    with pytest.raises(InputError, match=r"history\.jsonl: a line for each of the 2 epochs"):
        toy_trainer(data, folder=tmp_path).train(resume=True)


def test_the_best_weights_survive_a_resume(tmp_path):
    """The best epoch is one before the interruption; the weights at the checkpoint are others."""
    data = toy_data("ab", a=50, b=21)
    with pytest.raises(InterruptedError):
        toy_trainer(data, folder=tmp_path, callbacks=[stop_after(3)]).train()
    trainer = toy_trainer(data, folder=tmp_path)
    result = trainer.train(resume=True)
    assert result.best_epoch == 1
    assert_close_scores(trainer.evaluate("valid"), result.history[0]["metrics"])


def test_resuming_a_finished_run_trains_nothing(data, tmp_path):
    first = toy_trainer(data, folder=tmp_path)
    expected = first.train()
    second = toy_trainer(data, folder=tmp_path)
    result = second.train(resume=True)
    assert result == expected
    assert_same_weights(weights_of(first), weights_of(second))


def test_resuming_without_a_checkpoint_starts(data, tmp_path):
    assert toy_trainer(data, folder=tmp_path).train(resume=True).epochs == 4


def test_a_new_run_does_not_resume(data, tmp_path):
    toy_trainer(data, folder=tmp_path).train()
    assert len(toy_trainer(data, folder=tmp_path, epochs=1).train().history) == 1
    assert len(read_history(tmp_path)) == 1


def first_best(history: list[dict], *names: str) -> int:
    """The epoch with the highest sum of accuracies; of equal ones that with the lowest sum of losses."""
    sums = [
        {key: sum(line["metrics"][name][key] for name in names) for key in ("accuracy", "loss")} for line in history
    ]
    scores = [(round(line["accuracy"], 6), -line["loss"]) for line in sums]
    return 1 + scores.index(max(scores))


@pytest.mark.parametrize("options", [{}, {"ema": 0.7}, {"select_by": "b"}, {"select_by": "a"}])
def test_the_weights_of_the_best_epoch_stay(options):
    trainer = toy_trainer(toy_data("b", a=50, b=100), epochs=8, **options)
    result = trainer.train()
    names = [options["select_by"]] if "select_by" in options else ["a", "b"]
    assert result.best_epoch == first_best(result.history, *names)
    assert_close_scores(trainer.evaluate("valid"), result.history[result.best_epoch - 1]["metrics"])


def test_select_by_decides_which_epoch_is_best():
    epochs = [toy_trainer(toy_data("b", a=80, b=80), select_by=task).train().best_epoch for task in ("a", "b")]
    assert epochs[0] > epochs[1]


def test_separate_models_keep_their_own_best_epoch():
    trainer = toy_trainer(toy_data("b", a=80, b=80), own=True)
    result = trainer.train()
    assert result.best_epoch["a"] > result.best_epoch["b"]
    for name, epoch in result.best_epoch.items():
        assert epoch == first_best(result.history, name)
        assert_close_scores({name: trainer.evaluate("valid")[name]}, {name: result.history[epoch - 1]["metrics"][name]})


def test_separate_models_do_not_feel_the_other_tasks():
    """No momentum, decay or clipping reaches a task that is absent from a step, and its batches are its own."""
    options = {"own": True, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.1, "clip": 0.1, "patience": 1}
    alone, together = toy_data(a=50), toy_data(c=70, a=50, b=21)
    first, second = (toy_trainer(data, epochs=8, **options) for data in (alone, together))
    first.train()
    second.train()
    left, right = weights_of(first), weights_of(second)
    assert_same_weights(left, {name: right[name] for name in left})


def test_patience_ends_training(data):
    result = toy_trainer(data, lr=0.0, epochs=9, patience=2).train()
    assert (result.best_epoch, result.epochs) == (1, 3)
    assert toy_trainer(data, lr=0.0, epochs=9, patience=0).train().epochs == 9


def test_frozen_embeddings_wait(data):
    def embedding(**options) -> torch.Tensor:
        trainer = toy_trainer(data, epochs=2, schedule="constant", **options)
        trainer.train(keep_epochs=2)
        return trainer.model.embeddings["shared"].weight.detach()

    before = toy_trainer(data).model.embeddings["shared"].weight.detach()
    assert torch.equal(embedding(frozen=2), before)
    assert not torch.equal(embedding(frozen=1), before)


def test_averaged_weights_are_what_is_evaluated_and_kept(data):
    plain, averaged = toy_trainer(data, epochs=1), toy_trainer(data, epochs=1, ema=0.9)
    first, second = plain.train(), averaged.train()
    assert first.history[0]["losses"] == second.history[0]["losses"]  # averaging does not touch training
    assert first.history[0]["metrics"]["a"]["loss"] != second.history[0]["metrics"]["a"]["loss"]
    assert_close_scores(averaged.evaluate("valid"), second.history[0]["metrics"])


@pytest.mark.parametrize("own", [False, True])
def test_given_epochs_give_the_weights_that_selection_found(own):
    data = toy_data("b", a=80, b=80)
    first, second = (toy_trainer(data, own=own, dropout=0.3, select_by="b") for _ in range(2))
    result = first.train()
    repeated = second.train(keep_epochs=result.best_epoch)
    assert repeated.best_epoch == result.best_epoch
    assert_same_weights(weights_of(first), weights_of(second))
    assert all(line["metrics"] == {} for line in repeated.history)
    assert repeated.epochs == (max(result.best_epoch.values()) if own else result.best_epoch)


class Breaking(ToyModel):
    """Its losses of task b are not finite from the given training batch of b on."""

    batches_until_then = 7

    def forward(self, batch, edges=False, label_smoothing=0.0):
        output = super().forward(batch, edges, label_smoothing)
        if self.training and batch.tasks == ("b",):
            self.batches_until_then -= 1
            if self.batches_until_then < 0:
                output["b"].losses = output["b"].losses * float("nan")
        return output


def test_a_loss_that_is_not_finite_names_task_and_step(data):
    trainer = toy_trainer(data)
    trainer.model.__class__ = Breaking
    sampler = toy_trainer(data)
    sampler.train(keep_epochs=1)
    tasks = [task for epoch in range(1, 5) for task, _ in sampler._batches.sampler.epoch(epoch)]
    step = 1 + [index for index, task in enumerate(tasks) if task == "b"][7]
    with pytest.raises(InputError, match=rf"task 'b', step {step}: the training loss is nan"):
        trainer.train()


class Spoilt(ToyModel):
    """Answers nan for task ``b`` once it is evaluated, as after a last step that went wrong."""

    def forward(self, batch, edges=False, label_smoothing=0.0):
        output = super().forward(batch, edges, label_smoothing)
        if not self.training and batch.tasks == ("b",):
            output["b"].losses = output["b"].losses * float("nan")
        return output


def test_a_validation_loss_that_is_not_finite_names_task_and_step(data, tmp_path):
    trainer = toy_trainer(data, folder=tmp_path)
    trainer.model.__class__ = Spoilt
    with pytest.raises(InputError, match=r"task 'b', step 10: the validation loss is nan, .* try a lower --lr"):
        trainer.train()
    assert not read_history(tmp_path)


def test_a_star_that_diverges_in_its_last_step(data):
    trainer = toy_trainer(data, arch="star", lr=1e30, epochs=1, warmup=0.0, batch_size=100)
    with pytest.raises(InputError, match="try a lower --lr"):
        trainer.train()


def test_history_has_a_line_for_each_evaluation(data, tmp_path):
    lines = []
    result = toy_trainer(data, folder=tmp_path, callbacks=[lines.append]).train()
    assert read_history(tmp_path) == result.history == lines
    steps = 7 + 3
    assert [(line["epoch"], line["step"]) for line in lines] == [(epoch, epoch * steps) for epoch in range(1, 5)]
    for line in lines:
        assert set(line["losses"]) == set(line["metrics"]) == {"a", "b"}
        assert set(line["metrics"]["a"]) == {"accuracy", "matthews", "loss"}
        assert line["tokens_per_second"] > 0
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    assert 0 < lines[-1]["lr"] < 0.1 * lines[0]["lr"]  # of the epoch's last update; after it there is none


def test_without_a_folder_nothing_is_written(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_trainer(data, track="tensorboard").train(resume=True)
    assert list(tmp_path.iterdir()) == []


def test_run_folder(data, tmp_path):
    toy_trainer(data, folder=tmp_path, track="tensorboard").train()
    files = ["checkpoints", "graph_history.jsonl", "history.jsonl", "tensorboard"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert any((tmp_path / "tensorboard").iterdir())


def test_progress_bar_shows_loss_metric_and_speed(data, capsys, monkeypatch):
    monkeypatch.setattr(trainer_module, "_CHECK_EVERY", 5)
    toy_trainer(data, progress=True).train()
    shown = capsys.readouterr().err
    assert "40/40" in shown
    for name in ("loss=", "valid=", "tokens/s"):
        assert name in shown
    toy_trainer(data).train()
    assert capsys.readouterr().err == ""


def test_mixed_precision_trains_and_leaves_a_plain_model(data):
    trainer = toy_trainer(data, precision="bf16", epochs=8)
    result = trainer.train()
    assert result.history[-1]["losses"]["a"] < result.history[0]["losses"]["a"]
    assert result.history[0]["losses"] != toy_trainer(data, epochs=8).train().history[0]["losses"]
    batch = data["a"].test.batch([0, 1])
    assert trainer.model(batch)["a"].logits.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select_by": "c"}, r"unknown select_by 'c'.*\(known: mean, a, b\)"),
        ({"precision": "fp16"}, "precision 'fp16' needs an accelerator"),
        ({"sampling": "linear"}, r"--sampling: Expected a Literal\[.*Got value: linear"),
        ({"schedule": "stairs"}, r"--schedule: Expected a Literal\[.*Got value: stairs"),
    ],
)
def test_bad_options(data, options, message):
    with pytest.raises(InputError, match=message):
        toy_trainer(data, **options).train()


def test_a_task_without_validation_examples(data):
    data["b"].valid = EncodedSplit(tasks=["b"], texts=[], labels={"b": label_arrays([])})
    with pytest.raises(InputError, match="task 'b' has no validation example"):
        toy_trainer(data).train()
    assert toy_trainer(data).train(keep_epochs=2).best_epoch == 2


def test_a_loss_of_no_examples_is_not_checked(data):
    data["b"].valid = EncodedSplit(tasks=["b"], texts=[], labels={"b": label_arrays([])})
    trainer = toy_trainer(data)
    trainer.train(keep_epochs=1)
    losses = trainer.evaluate("valid")
    assert math.isnan(losses["b"]["loss"])
    trainer.validation.check_losses(losses, step=1)


def test_two_processes_give_the_result_of_one(tmp_path):
    """In double precision, in which what rounding does to a sum over two processes stays below 1e-6 for all."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "tests.training.two_processes", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FutureWarning" not in done.stderr
    one = two_processes.train(tmp_path / "one")
    ranks = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert one["processes"] == 1
    for two in ranks:
        assert two["processes"] == 2
        torch.testing.assert_close(two["weights"], one["weights"], rtol=0, atol=1e-6)
        for arch in ARCHITECTURES:
            torch.testing.assert_close(two["architectures"][arch], one["architectures"][arch], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["mixed"], one["mixed"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["learned"], one["learned"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["taught"], one["taught"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["tagging"], one["tagging"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["tagging_losses"], one["tagging_losses"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["history"], one["history"], rtol=0, atol=1e-6)
        torch.testing.assert_close(two["metrics"], one["metrics"], rtol=0, atol=1e-6)
        assert two["shared"] == two["metrics"]  # read by both processes together, or by each alone
        assert two["edges"] == one["edges"] == {"a": (1.0, 21), "b": (1.0, 21)}
        assert_same_weights(two["resumed"], two["weights"])
    assert_same_weights(ranks[0]["weights"], ranks[1]["weights"])
    assert len(read_history(tmp_path / "run")) == 4
    assert [(tmp_path / f"group-{rank}.txt").read_text() for rank in (0, 1)] == ["False", "False"]


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9}, {"clip": 0.01}, {"accumulate": 2}, {"accumulate": 3, "sampling": "sqrt"}]
)
def test_models_beside_one_another_are_trained_as_each_alone(options):
    def weights(**tasks):
        trainer = toy_trainer(toy_data(**tasks), own=True, schedule="constant", warmup=0.0, patience=0, **options)
        trainer.train()
        return {name: weight for name, weight in weights_of(trainer).items() if ".a." in name}

    beside = weights(a=40, b=44, c=60)
    if "sampling" in options:  # so that there are other batches of it
        assert all(weight.isfinite().all() for weight in beside.values())
    else:
        assert_same_weights(weights(a=40), beside)


ONE_IS_TOLD_TO_END = """
import os, signal, sys, time
from pathlib import Path
from graphmtl.interruption import Interrupted
from graphmtl.training.trainer import Trainer
from tests.training.toy import toy_data, toy_trainer

rank, folder, update = os.environ["RANK"], Path(sys.argv[1]), Trainer._update


def killed(trainer, *arguments):
    update(trainer, *arguments)
    time.sleep(0.1)
    if trainer.progress.step == 3 and rank == "1":
        os.kill(os.getpid(), signal.SIGTERM)


Trainer._update = killed
trainer = toy_trainer(toy_data(a=480), folder=folder, epochs=1)
try:
    trainer.train()
except Interrupted:
    (folder / rank).write_text(str(trainer.progress.step))
"""


def test_gradients_of_models_beside_one_another_are_clipped_each(data):
    trainer = toy_trainer(data, own=True, clip=0.5)
    trainer._prepare(1, [])
    for name, parameter in trainer.model.named_parameters():
        parameter.grad = torch.full_like(parameter, 7.0 if ".a." in name else 0.7)
    trainer._of_terms = [torch.zeros(4, requires_grad=True)]  # of --terms
    trainer._of_terms[0].grad = torch.full((4,), 7.0)
    trainer._clip(["a", "b"])
    torch.testing.assert_close(trainer._of_terms[0].grad.norm(), torch.tensor(0.5))
    for task in "ab":
        own = [parameter.grad for name, parameter in trainer.model.named_parameters() if f".{task}." in name]
        torch.testing.assert_close(torch.cat([each.flatten() for each in own]).norm(), torch.tensor(0.5))


def test_several_processes_end_when_one_is_told_to(tmp_path):
    (tmp_path / "train.py").write_text(ONE_IS_TOLD_TO_END)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*command, str(tmp_path / "train.py"), str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ended = [int((tmp_path / rank).read_text()) for rank in "01"]
    assert ended[0] == ended[1] < 40  # of 60 updates, a tenth of a second each


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_model_is_freed_with_its_trainer(data, precision):
    """At once, not when Python looks for cycles: on a GPU it would keep memory that nobody frees in time."""
    toy_trainer(data, epochs=1).train()  # of the first one torch keeps a frame
    trainer = toy_trainer(data, precision=precision, epochs=1)
    gc.collect()
    gc.disable()
    try:
        trainer.train()
        model = weakref.ref(trainer.model)
        del trainer
        assert model() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_the_graphs_of_a_resumed_run_are_those_of_the_whole(data, tmp_path, arch):
    toy_trainer(data, folder=tmp_path / "whole", arch=arch).train()
    with suppress(InterruptedError):
        toy_trainer(data, folder=tmp_path / "parts", arch=arch, callbacks=[stop_after(2)]).train()
    toy_trainer(data, folder=tmp_path / "parts", arch=arch).train(resume=True)
    whole, parts = (
        [json.loads(line) for line in (tmp_path / name / "graph_history.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    )
    assert whole == parts
    assert [line["epoch"] for line in whole] == [1, 2, 3, 4]
    assert [line["step"] for line in whole] == [line["step"] for line in read_history(tmp_path / "whole")]
    for edge in whole[-1]["edges"]:
        assert edge["count"] == len(data[edge["target"]].valid)


def test_of_tasks_apart_each_has_its_own_end_and_is_trained_as_if_alone(tmp_path):
    """The small task has more epochs; once the large one has had all of its, no batch of it is read."""
    data, options = toy_data(a=600, b=40), {"epochs": 0, "batch_size": 0, "min_updates": 60, "patience": 0}
    trainer = toy_trainer(data, own=True, folder=tmp_path, **options)
    result = trainer.train()
    last = {name: own.epochs for name, own in trainer.budgets.items()}
    assert last == {"a": 8, "b": 12}
    assert result.epochs == 12
    trained = [set(line["losses"]) for line in result.history]
    assert trained == [{"a", "b"}] * 8 + [{"b"}] * 4
    updates = sum(own.batches for own in trainer.budgets.values())
    assert [line["step"] for line in result.history] == [updates * epoch for epoch in range(1, 13)]
    rates = [line["lr"] for line in result.history]  # of the optimiser's first group, which is a's
    assert all(rates[:8])
    assert not any(rates[8:])
