import json
import shutil
from functools import partial
from types import SimpleNamespace

import pytest
import tokenizers
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
import torch

from graphmtl import Run, load_tasks, train
from graphmtl.architectures import ARCHITECTURES
from graphmtl.cli import main
from graphmtl.config import ModelOptions, Options, PlantedOptions, TrainingOptions
from graphmtl.data.batching import EncodedSplit, EncodedTask, encode_tasks
from graphmtl.data.refit import train_with_valid
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import UNK, Vocabulary
from graphmtl.errors import InputError
from graphmtl.evaluate import evaluate
from graphmtl.options import make_options
from graphmtl.training import experiment
from graphmtl.training.evaluation import Predictions
from graphmtl.training.experiment import build_model, load_run_tasks, mean_of_first_metrics, split_scores
from graphmtl.training.trainer import Trainer
from tests import tiny
from tests.tagging import tagging_tasks
from tests.tiny import flags, without_clock


@pytest.fixture(scope="module")
def tasks(tiny_tasks):
    return load_run_tasks(make_options(**tiny.OPTIONS, tasks=tiny_tasks))


def build(tasks, **options):
    said = []
    model = build_model(tasks, make_options(**tiny.OPTIONS | options), say=said.append)
    return model, " ".join(said)


# the model of a run


def test_the_vocabulary_is_that_of_the_training_texts(tasks):
    model, said = build(tasks)
    words = {
        word
        for data in tasks.values()
        for column in ("text", "text_pair")
        if column in data.train.column_names
        for text in data.train[column]
        for word in text.split()
    }
    assert set(model.vocabulary.words[3:]) == words
    assert f"{len(words) + 3} words in the vocabulary" in said


def test_texts_are_cut_as_asked_for(tasks, tmp_path):
    words, characters = (build(tasks, tokenizer=kind)[0].vocabulary for kind in ("spaces", "characters"))
    assert words.encode("good film") == [*map(words.index, ("good", "film"))]
    assert set(characters.words[3:]) == set("".join(words.words[3:]))
    words.save(tmp_path / "vocabulary.txt")
    again, said = build(tasks, tokenizer=str(tmp_path / "tokenizer.json"), lower_case=False)
    assert again.vocabulary.words == words.words
    assert "--no-lower-case has no effect with --tokenizer" in said


def test_a_tokenizer_of_pieces(tasks, tmp_path):
    file = bpe(tmp_path)
    vocabulary = build(tasks, tokenizer=file)[0].vocabulary
    vocabulary.save(tmp_path / "vocabulary.txt")
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    for each in (vocabulary, loaded):
        assert UNK not in each.encode("good film")
        assert UNK in each.encode("good ÿ")
        assert len(each.encode("good film")) == len(each.split("good film")) > 2
    with pytest.raises(InputError, match=r"its model makes pieces of words, and --chars cnn reads words"):
        build(tasks, tokenizer=file, chars="cnn")
    tagging = tagging_tasks("pos")
    with pytest.raises(InputError, match=r"pieces of words, but task 'pos' is given in words; accepted: words, "):
        build(tagging, tokenizer=file)


def bpe(folder):
    """The path of a tokenizer.json that cuts words into letters."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1, special_tokens=["[UNK]"], show_progress=False)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_!.,"
    tokenizer.train_from_iterator([letters], trainer)
    tokenizer.save(str(folder / "bpe.json"))
    return str(folder / "bpe.json")


def test_unknown_tokens_are_told_of_every_task(tmp_path, capsys):
    rows = [f"old{i} word,{'ab'[i % 2]}" for i in range(40)]
    for name, more in (("train", rows), ("same", rows[:8]), ("new", [f"new{i} other,a" for i in range(6)])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *more]) + "\n")
    (tmp_path / "tasks.yaml").write_text(
        "tasks:\n  known: {train: train.csv, valid: same.csv, test: same.csv}\n"
        "  strange: {train: train.csv, valid: same.csv, test: new.csv}\n"
    )
    for chars in ("none", "cnn"):
        sizes = {"hidden": 4, "embedding_size": 4, "epochs": 1, "progress": False, "chars": chars}
        train(str(tmp_path / "tasks.yaml"), arch="shared", keep_overlap=True, output=tmp_path / chars, **sizes)
        printed = capsys.readouterr().out
        assert "unknown tokens of validation / test in %: known 0.0 / 0.0, strange 0.0 / 100.0" in printed
        assert "warning: more than 25% of the tokens are unknown in strange, and nothing" in printed
        assert "--tokenizer characters" in printed


def test_rare_words_and_case(tasks):
    vocabulary = build(tasks, min_count=30, lower_case=False)[0].vocabulary
    frequent = {word for word, count in vocabulary.counts.items() if count >= 30}
    assert set(vocabulary.words[3:]) == frequent
    assert 0 < len(frequent) < len(vocabulary.counts)
    assert vocabulary.lower_case is False


def test_the_model_has_the_tasks_in_their_order_and_the_options(tasks):
    model, _ = build(tasks, arch="complete", score="dot")
    assert list(model.tasks.values()) == list(tasks.tasks.values())
    expected = {name: value for name, value in tiny.OPTIONS.items() if name in ModelOptions.__dataclass_fields__}
    auto = {"chars": "none", "pooling": "max-mean"}  # what it means here
    assert model.options == ModelOptions(**expected, **auto, arch="complete", score="dot")


@pytest.mark.parametrize("arch", list(ARCHITECTURES))
def test_the_seed_decides_the_first_weights(arch, tasks):
    first, again, other = (build(tasks, arch=arch, seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if ("weight" in name or "W" in name) and first[name].unique().numel() > 2]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)  # deviations from a common head are 0


@pytest.mark.parametrize("arch", ["single", "star"])
def test_pre_trained_vectors(arch, tasks, tmp_path):
    (tmp_path / "vectors.txt").write_text("good 1 2 3\nunheard-of 4 5 6\nbad 7 8 9\n")
    model, said = build(tasks, arch=arch, embeddings=f"{tmp_path}/vectors.txt")
    assert model.options.embedding_size == 3
    counts = model.vocabulary.counts
    share = (counts["good"] + counts["bad"]) / sum(counts.values())
    assert f"3 vectors of 3 dimensions cover {2 / len(counts):.1%}" in said
    assert f"{share:.1%} of all their words" in said
    for encoder in model.encoders:
        for word, vector in {"good": [1, 2, 3], "unheard-of": [4, 5, 6], "bad": [7, 8, 9]}.items():
            assert encoder.embedding.weight[model.vocabulary.encode(word)[0]].tolist() == vector
        assert encoder.embedding.weight[UNK].tolist() == [4, 5, 6]
    assert model.vocabulary.words[-1] == "unheard-of"  # a word of held-out texts has its vector


# scores


def predictions(logits, labels):
    logits = torch.tensor(logits, dtype=torch.float32).view(len(labels), 2)
    seen = torch.zeros(len(labels), dtype=torch.bool)
    return Predictions(logits=logits, labels=torch.tensor(labels, dtype=torch.int64), seen=seen)


def encoded(name):
    split = EncodedSplit(tasks=[name], texts=[])
    return EncodedTask(Task(name=name, labels=("x", "y")), split, split, split)


def test_scores_hold_no_loss_and_none_where_there_is_no_example():
    data = {"a": encoded("a"), "b": encoded("b")}
    found = {"a": predictions([[1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 0, 1]), "b": predictions([], [])}
    assert split_scores(data, found) == {"a": {"accuracy": 0.75}, "b": {"accuracy": None}}


def test_the_mean_is_over_first_metrics_that_exist():
    tasks = {
        "a": {"metric": "f1", "test": {"f1": 0.5, "accuracy": 0.9}},
        "b": {"metric": "accuracy", "test": {"accuracy": 0.7}},
        "c": {"metric": "accuracy", "test": {"accuracy": None}},
    }
    assert mean_of_first_metrics(tasks, "test") == pytest.approx(0.6)
    assert mean_of_first_metrics({"c": tasks["c"]}, "test") is None


# the Python API


def test_train_is_the_verb_run(finished, tasks, tmp_path):
    run = train(tasks, arch="shared", output=str(tmp_path / "run"), **tiny.OPTIONS)
    assert isinstance(run, Run)
    assert without_clock(run.metrics) == without_clock(finished("shared").run.metrics)
    assert run.folder == tmp_path / "run"
    assert run.model.predict(["good"], "child1") == finished("shared").run.model.predict(["good"], "child1")


def test_train_takes_the_name_of_a_task_set(tmp_path):
    run = train("planted:child1", arch="star", output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})
    assert list(run.metrics["tasks"]) == ["child1"]
    assert run.options.tasks == "planted:child1"
    assert run.task_affinity is None  # of one task with itself
    assert not (tmp_path / "run" / "task_affinity.json").exists()
    assert [(edge.source, edge.target) for edge in run.task_graph.edges] == [("virtual", "child1")]


def test_a_graph_of_one_task_has_no_edges(tmp_path):
    run = train("planted:child1", arch="complete", output=str(tmp_path / "run"), **tiny.OPTIONS | {"epochs": 1})
    assert run.task_graph.edges == ()


def test_train_raises_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match="unknown option 'epocs'"):
        train(epocs=3)
    with pytest.raises(InputError, match="--epochs: found 0"):
        train(epochs=0)
    with pytest.raises(InputError, match=r"--epochs: Expected a int\. Got value: two"):
        train("planted", epochs="two")
    with pytest.raises(InputError, match="unknown task set 'plantd'"):
        train("plantd", output=str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"nothing\.yaml: "):
        train(tmp_path / "nothing.yaml", output=tmp_path / "run")


def test_the_tasks_of_a_run_follow_its_options(tiny_tasks):
    options = make_options(**tiny.OPTIONS | {"tasks": "planted", "seed": 5, "planted_rich": 33})
    planted = {name: value for name, value in tiny.OPTIONS.items() if name.startswith("planted")}
    expected = load_tasks("planted", seed=5, planted=PlantedOptions(**planted | {"planted_rich": 33}))
    assert len(load_run_tasks(options)["parent1"].train) == 33
    assert load_run_tasks(options)["child1"].train["text"][:] == expected["child1"].train["text"][:]


def test_a_group_of_the_options():
    options = Options(epochs=7, hidden=3)
    assert experiment.part(options, TrainingOptions) == TrainingOptions(epochs=7)
    assert experiment.part(options, ModelOptions) == ModelOptions(hidden=3)


# trained again on training and validation split


@pytest.fixture(scope="module")
def refitted(tiny_tasks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refit") / "run"
    return tiny.run(arch="star", tasks=tiny_tasks, output=folder, refit_on_valid=True)


def test_a_refit_trains_on_the_validation_examples_too(refitted, finished):
    once, again = finished("star").run.metrics, refitted.run.metrics
    for name, task in again["tasks"].items():
        before = once["tasks"][name]
        assert task["n_train"] == before["n_train"] + before["n_valid"]
        assert task["valid"] == before["valid"]
    assert again["best_epoch"] == once["best_epoch"]
    assert again["tasks"]["parent1"]["test"] != once["tasks"]["parent1"]["test"]
    assert "of the model trained again" in refitted.printed


def test_a_refit_is_the_run_on_all_of_them_up_to_the_chosen_epoch(refitted):
    run = refitted.run
    tasks = train_with_valid(load_run_tasks(run.options))
    model = build_model(tasks, run.options, say=lambda *_: None)
    trainer = Trainer(model=model, data=encode_tasks(tasks, model.vocabulary, model.options), options=run.options)
    trainer.train(keep_epochs=run.metrics["best_epoch"])
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, run.model.state_dict()[name]), name


def test_evaluating_a_refit_gives_its_scores(refitted):
    again = evaluate(refitted.run, "test")
    for name, task in refitted.run.metrics["tasks"].items():
        for split in ("test", "test_dedup"):
            assert again[name][split] == pytest.approx(task[split])
        assert again[name]["n_test_dedup"] == task["n_test_dedup"]


def test_a_refit_that_was_interrupted_ends_as_if_it_had_not_been(interrupted, refitted):
    folder = interrupted("star", refit_on_valid=True)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    for name in ("model/model.safetensors", "task_graph.json"):
        assert (folder / name).read_bytes() == (refitted.run.folder / name).read_bytes()


@pytest.mark.parametrize("arch", ["single", "star"])
def test_a_refit_with_teachers_has_their_outputs_on_both_sets(arch, finished, tiny_tasks, tmp_path):
    teacher = finished(arch).run.folder
    run = tiny.run(
        arch="cmtr", tasks=tiny_tasks, output=tmp_path / "run", refit_on_valid=True, teachers=str(teacher)
    ).run
    sizes = [
        len((run.folder / "teachers/outputs" / part / "child1-on-child1.float32").read_bytes())
        for part in ("", "refit")
    ]
    task = run.metrics["tasks"]["child1"]
    assert sizes[1] * (task["n_train"] - task["n_valid"]) == sizes[0] * task["n_train"]


def test_a_refit_takes_no_shuffled_labels(tiny_tasks, tmp_path, error_of):
    error = error_of(
        "run", *flags(**tiny.OPTIONS, tasks=tiny_tasks, output=tmp_path / "run"), "--refit-on-valid", "--shuffle-labels"
    )
    assert "--refit-on-valid" in error
    assert not (tmp_path / "run").exists()


# resuming


@pytest.fixture
def interrupted(tiny_tasks, tmp_path, monkeypatch):
    """A run that was stopped like by ctrl-c, after its first epoch; returns its folder."""

    def stop(record):
        raise KeyboardInterrupt

    def interrupted(arch, **options):
        with monkeypatch.context() as patch:
            patch.setattr(experiment, "Trainer", partial(Trainer, callbacks=[stop]))
            with pytest.raises(SystemExit) as leaving:
                tiny.run(arch=arch, tasks=tiny_tasks, output=tmp_path / "run", **options)
        assert leaving.value.code == 130
        return tmp_path / "run"

    return interrupted


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("arch", ["single", "star", "cmtr"])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(arch, interrupted, finished, error_of):
    folder = interrupted(arch)
    assert len(history(folder)) == 1
    assert "has not finished" in error_of("evaluate", folder)
    whole = finished(arch).run
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(whole.metrics)
    for name in ("model/model.safetensors", "task_graph.json"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    losses = [line["losses"] for line in history(folder)]
    assert losses == [line["losses"] for line in history(whole.folder)]
    assert len(losses) == 2


@pytest.mark.parametrize("options", [{"gate_reg": "balance"}, {"teacher_annealing": True}])
def test_what_distils_or_balances_too(options, interrupted, finished, tiny_tasks, tmp_path):
    given = options | {"teachers": str(finished("single").run.folder)}
    folder = interrupted("cmtr", **given)
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    whole = tiny.run(arch="cmtr", tasks=tiny_tasks, output=tmp_path / "whole", **given).run
    assert (folder / "model/model.safetensors").read_bytes() == (whole.folder / "model/model.safetensors").read_bytes()


def test_it_does_go_on_where_it_stopped(interrupted, monkeypatch):
    folder = interrupted("shared")
    records = []
    monkeypatch.setattr(experiment, "Trainer", partial(Trainer, callbacks=[records.append]))
    main(["run", "--config", f"{folder}/config.yaml", "--resume"])
    assert [record["epoch"] for record in records] == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0, not 1"),
        ({"epochs": 3}, "epochs is 2, not 3"),
        ({"arch": "star"}, "arch is 'shared', not 'star'"),
    ],
)
def test_a_run_is_not_resumed_with_other_options(change, message, copy_of, error_of):
    folder = copy_of("shared")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    error = error_of("run", "--config", folder / "config.yaml", "--resume", *flags(output=folder, **change))
    assert f"{folder}/config.yaml: {message}" in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_resuming_a_finished_run_changes_no_number(copy_of, finished):
    folder = copy_of("complete")
    shutil.rmtree(folder / "model")
    (folder / "metrics.json").unlink()
    main(["run", "--config", f"{folder}/config.yaml", "--output", str(folder), "--resume"])
    assert without_clock(Run.open(folder).metrics) == without_clock(finished("complete").run.metrics)


def test_where_there_is_nothing_to_resume_a_run_says_so_and_begins(tmp_path):
    options = {"arch": "shared", "tasks": "planted:child1", "output": tmp_path / "run", "resume": True, "epochs": 1}
    line = f"{tmp_path / 'run'}: no such folder, so there is nothing to resume; the run starts afresh\n"
    assert line in tiny.run(**options).printed
    assert line not in tiny.run(**options).printed


def test_an_interrupted_run_can_be_started_over(interrupted, finished):
    folder = interrupted("shared")
    main(["run", "--config", f"{folder}/config.yaml", "--overwrite"])
    assert without_clock(Run.open(folder).metrics) == without_clock(finished("shared").run.metrics)


def test_a_task_set_brings_the_options_it_was_loaded_with(tmp_path):
    planted = PlantedOptions(planted_rich=60, planted_poor=30, planted_test=40)
    tasks = load_tasks("planted:child1,parent1", seed=3, planted=planted)
    run = train(tasks, arch="shared", epochs=1, hidden=8, progress=False, output=str(tmp_path / "run"))
    assert (run.options.tasks, run.options.seed, run.options.planted_rich) == ("planted:child1,parent1", 3, 60)
    assert load_run_tasks(run.options)["child1"].train["text"] == tasks["child1"].train["text"]
    with pytest.raises(InputError, match="seed is 4, but the tasks were loaded with 3"):
        train(tasks, seed=4, output=str(tmp_path / "other"))


# what a run reads is not what it replaces


def test_a_run_that_is_read_is_not_replaced(copy_of, tiny_tasks, error_of):
    source = copy_of("single")
    given = tiny.OPTIONS | {"arch": "cmtr", "tasks": tiny_tasks, "teachers": f"{source}", "output": source}
    assert "--overwrite would remove" in error_of("run", *flags(**given), "--overwrite")
    assert (source / "metrics.json").is_file()


@pytest.mark.parametrize("teachers", ["", "run,"])
def test_teachers_without_a_name(teachers, tiny_tasks, tmp_path, error_of):
    given = tiny.OPTIONS | {"arch": "cmtr", "tasks": tiny_tasks, "output": tmp_path / "run", "teachers": teachers}
    assert "--teachers" in error_of("run", *flags(**given))


@pytest.mark.parametrize(("arch", "checked"), [("single", ["child1"]), ("shared", [*tiny.TASKS])])
def test_a_teacher_has_seen_the_texts_of_all_tasks_that_it_shares_with(
    arch, checked, finished, tiny_tasks, monkeypatch
):
    teacher = finished(arch).run
    seen = []
    monkeypatch.setattr(experiment, "check_unseen", lambda run, names, theirs, ours: seen.append([*names]))
    model = SimpleNamespace(architecture=SimpleNamespace(node_size=4), tasks={"child1": teacher.model.tasks["child1"]})
    options = Options(arch="cmtr", teachers=str(teacher.folder))
    assert [*experiment._given_teachers(options, tiny_tasks, model)] == ["child1"]
    assert seen == [checked]
