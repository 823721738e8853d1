"""From unlabelled texts and a finished run to one that has learned the answers to them."""

import random
import shutil
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import pytest

from graphmtl import Run
from graphmtl.cli import main
from graphmtl.data.refit import with_answers
from graphmtl.errors import DataWarning, InputError
from graphmtl.options import make_options
from graphmtl.training import leave_one_out
from graphmtl.training.benefit_runs import _kept_options
from graphmtl.training.joining import options_for
from graphmtl.training.run_data import load_run_tasks
from graphmtl.training.run_files import ANSWERS
from graphmtl.training.self_training import answers_for
from tests.tiny import flags, without_clock

SMALL = {"arch": "shared", "hidden": 6, "embedding_size": 6, "epochs": 12, "lr": 0.03, "batch_size": 16}
SMALL |= {"device": "cpu", "progress": False, "control": "never", "baselines": False}
FILLER = ("film", "book", "plot", "cast", "a", "the")


def texts(count, seed):
    """Texts that say which label they have, each once."""
    rng = random.Random(seed)
    return [" ".join([*rng.choices(FILLER, k=4), rng.choice(("good", "bad")), f"n{seed}x{i}"]) for i in range(count)]


def rows(given):
    return "".join(f"{text}\t{'yes' if 'good' in text.split() else 'no'}\n" for text in given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tasks a and b with unlabelled texts, a among which are test texts of b, one twice, and blanks; c has none."""
    folder = tmp_path_factory.mktemp("data")
    for place, name in enumerate("abc"):
        for split, count in {"train": 60, "test": 40}.items():
            (folder / f"{name}.{split}.tsv").write_text(
                "text\tlabel\n" + rows(texts(count, 10 * place + (split == "test")))
            )
    own = texts(50, 5)
    (folder / "a.txt").write_text("\n".join([*own, own[0].upper(), *texts(3, 11), "", *texts(2, 0)]) + "\n")
    (folder / "b.txt").write_text("\n".join(texts(30, 6)) + "\n")
    tasks = {name: f"{{train: {name}.train.tsv, test: {name}.test.tsv, valid: 0.25" for name in "abc"}
    tasks |= {name: f"{tasks[name]}, unlabelled: {name}.txt" for name in "ab"}
    (folder / "tasks.yaml").write_text("tasks:\n" + "".join(f"  {name}: {own}}}\n" for name, own in tasks.items()))
    return folder


@pytest.fixture(scope="module")
def teacher(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("teacher") / "run"
    main(["run", *flags(**SMALL, tasks=folder / "tasks.yaml", output=place)])
    return Run.open(place)


def options(folder, teacher, **more):
    return make_options(**SMALL | {"tasks": str(folder / "tasks.yaml"), "self_training": str(teacher.folder)} | more)


def self_trained(tasks, given, say, run=None):
    answers = answers_for(run or Run("nowhere"), tasks, given, say)
    return tasks if answers is None else with_answers(tasks, answers)


def added(tasks, enlarged, name):
    return list(enlarged[name].train)[len(tasks[name].train) :]


def test_what_the_run_is_sure_of_is_learned_as_it_answers(folder, teacher):
    given, said = options(folder, teacher, self_confidence=0.8), []
    tasks = load_run_tasks(given)
    enlarged = self_trained(tasks, given, said.append)
    for name, own in {"a": texts(50, 5), "b": texts(30, 6)}.items():
        answers = zip(own, teacher.model.predict(own, name), strict=True)
        sure = [(text, answer["label"]) for text, answer in answers if max(answer["probabilities"].values()) >= 0.8]
        found = [(row["text"], tasks[name].task.labels[row["label"]]) for row in added(tasks, enlarged, name)]
        assert found == sure
        assert 0 < len(found) < len(own) + 1
    assert enlarged["c"].train[:] == tasks["c"].train[:]
    assert enlarged["a"].test[:] == tasks["a"].test[:]
    counts = [len(added(tasks, enlarged, name)) for name in "ab"]
    assert f"learns {sum(counts)} of 80 unlabelled texts" in said[0]
    assert said[0].endswith(f" is sure of: a {counts[0]}, b {counts[1]}")


def test_nothing_is_learned_that_it_is_not_sure_of(folder, teacher):
    given = options(folder, teacher, self_confidence=1.0)
    tasks = load_run_tasks(given)
    assert len(self_trained(tasks, given, print)["b"].train) == len(tasks["b"].train)


def test_with_shuffled_labels_the_answers_are_shuffled_too(folder, teacher):
    """Or else a control would learn the right ones."""
    found = {}
    for shuffled in (False, True):
        given = options(folder, teacher, shuffle_labels=shuffled, self_confidence=0.5)
        tasks = load_run_tasks(given)
        found[shuffled] = added(tasks, self_trained(tasks, given, print), "a")
    ours, theirs = ([row["label"] for row in found[each]] for each in (False, True))
    assert [row["text"] for row in found[False]] == [row["text"] for row in found[True]]
    assert Counter(ours) == Counter(theirs)
    assert ours != theirs


def test_a_run_learns_them_and_goes_on_with_them(folder, teacher, tmp_path, capsys):
    given = SMALL | {"tasks": folder / "tasks.yaml", "self_training": teacher.folder, "output": tmp_path / "run"}
    main(["run", *flags(**given)])
    printed = capsys.readouterr().out
    assert "self-training: learns " in printed
    run, before = Run.open(tmp_path / "run"), teacher.metrics["tasks"]
    tasks = run.metrics["tasks"]
    assert tasks["a"]["n_train"] > before["a"]["n_train"]
    assert tasks["c"]["n_train"] == before["c"]["n_train"]
    assert tasks["a"]["n_test"] == before["a"]["n_test"]
    assert "n5x3" in run.model.vocabulary.words or len(run.model.vocabulary) > len(teacher.model.vocabulary)
    main(["evaluate", str(run.folder)])
    assert f"{100 * run.metrics['mean']['test']:.1f}" in capsys.readouterr().out


def test_a_confidence_without_a_run_is_said(folder, teacher):
    given = options(folder, teacher, self_training=None, self_confidence=0.5)
    tasks = load_run_tasks(given)
    with pytest.warns(DataWarning, match="--self-confidence has no effect without --self-training"):
        assert self_trained(tasks, given, print) is tasks


def test_the_run_that_answers_is_not_overwritten(folder, teacher, error_of):
    given = SMALL | {"tasks": folder / "tasks.yaml", "self_training": teacher.folder, "output": teacher.folder}
    assert "--overwrite" in error_of("run", *flags(**given, overwrite=True))


def test_a_run_that_has_seen_what_is_scored_here_is_refused(folder, teacher):
    given = options(folder, teacher, seed=1)  # other texts are cut off for validation
    with pytest.raises(InputError, match=r"--self-training .*: task 'a' was trained on \d+ texts that stand in a"):
        self_trained(load_run_tasks(given), given, print)


def test_a_run_of_other_tasks_is_refused(folder, teacher, finished):
    given = options(folder, teacher, self_training=str(finished("shared").run.folder))
    with pytest.raises(InputError, match="--self-training: no run has task 'a'"):
        self_trained(load_run_tasks(given), given, print)


def test_without_unlabelled_texts_there_is_nothing_to_learn(folder, teacher, tiny_tasks):
    given = options(folder, teacher, tasks=tiny_tasks)
    with pytest.raises(InputError, match=r"has no unlabelled texts \(key `unlabelled` of a task file\)"):
        self_trained(load_run_tasks(given), given, print)


def test_tasks_that_cannot_learn_them_are_named(folder, teacher):
    pairs = "  p: {train: a.train.tsv, test: a.test.tsv, text: [text, label], unlabelled: a.txt}\n"
    layer = "  d: {train: a.train.tsv, test: a.test.tsv, valid: 0.25, metrics: [f1], unlabelled: a.txt}\n"
    (folder / "pairs.yaml").write_text((folder / "tasks.yaml").read_text() + pairs + layer)
    given = options(folder, teacher, tasks=str(folder / "pairs.yaml"))
    with pytest.warns(DataWarning, match="no unlabelled texts are learned by a, p, d: it is for tasks that label"):
        self_trained(load_run_tasks(given), given, print)


def test_a_file_of_them_that_is_not_there_is_named(folder, teacher):
    (folder / "missing.yaml").write_text((folder / "tasks.yaml").read_text().replace("b.txt", "nowhere.txt"))
    given = options(folder, teacher, tasks=str(folder / "missing.yaml"))
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        self_trained(load_run_tasks(given), given, print)


def test_a_file_is_read_in_the_encoding_of_its_task(folder, teacher):
    (folder / "latin.txt").write_bytes("good caf\xe9 nice\n".encode("latin-1"))
    own = (folder / "tasks.yaml").read_text().replace("unlabelled: b.txt", "encoding: latin-1, unlabelled: latin.txt")
    (folder / "latin.yaml").write_text(own)
    given = options(folder, teacher, tasks=str(folder / "latin.yaml"), self_confidence=0.0)
    tasks = load_run_tasks(given)
    assert [row["text"] for row in added(tasks, self_trained(tasks, given, print), "b")] == ["good caf\xe9 nice"]


def test_tasks_that_name_the_same_file_all_learn_it(folder, teacher):
    (folder / "same.yaml").write_text((folder / "tasks.yaml").read_text().replace("a.txt", "b.txt"))
    given = options(folder, teacher, tasks=str(folder / "same.yaml"), self_confidence=0.0)
    tasks = load_run_tasks(given)
    enlarged = self_trained(tasks, given, print)
    assert [len(added(tasks, enlarged, name)) for name in "ab"] == [30, 30]


def test_texts_that_all_stand_in_a_split_are_told_from_none(folder, teacher):
    (folder / "known.txt").write_text("\n".join(texts(3, 11)) + "\n")
    own = (folder / "tasks.yaml").read_text().replace("a.txt", "known.txt").replace("b.txt", "known.txt")
    (folder / "known.yaml").write_text(own)
    given = options(folder, teacher, tasks=str(folder / "known.yaml"))
    with pytest.raises(InputError, match="all 6 unlabelled texts are blank or stand in a split of --tasks already"):
        self_trained(load_run_tasks(given), given, print)


@pytest.fixture(scope="module")
def second(folder, teacher, tmp_path_factory):
    """A run that has learned the answers."""
    place = tmp_path_factory.mktemp("second") / "run"
    given = SMALL | {"tasks": folder / "tasks.yaml", "self_training": teacher.folder, "epochs": 2, "output": place}
    main(["run", *flags(**given)])
    return Run.open(place)


def test_a_run_that_goes_on_has_the_answers_that_it_began_with(folder, second, tmp_path, capsys):
    whole = shutil.copytree(second.folder, tmp_path / "run")
    for name in ("metrics.json", "model"):
        path = whole / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = (folder / "b.txt").read_text()
    try:
        (folder / "b.txt").write_text("another text that is good\n")
        main(
            [
                "run",
                *flags(
                    **SMALL | {"epochs": 2},
                    tasks=folder / "tasks.yaml",
                    output=whole,
                    resume=True,
                    self_training=second.options.self_training,
                ),
            ]
        )
    finally:
        (folder / "b.txt").write_text(text)
    assert Run.open(whole).answers == second.answers
    assert without_clock(Run.open(whole).metrics) == without_clock(second.metrics)


def test_what_a_run_has_learned_it_has_seen(folder, second):
    """A test split of texts that it had the answers to."""
    (folder / "leak.tsv").write_text("text\tlabel\n" + rows(second.answers["b"]["text"]))
    (folder / "leak.yaml").write_text((folder / "tasks.yaml").read_text().replace("c.test.tsv", "leak.tsv"))
    given = options(folder, second, tasks=str(folder / "leak.yaml"))
    with pytest.raises(InputError, match=r"task 'b' was trained on \d+ texts that stand in a validation or test"):
        self_trained(load_run_tasks(given), given, print)


def test_teachers_that_are_trained_first_learn_them_too(folder, teacher, tmp_path):
    given = SMALL | {"arch": "cmtr", "tasks": folder / "tasks.yaml", "self_training": teacher.folder, "epochs": 1}
    main(["run", *flags(**given, teachers="train:single", output=tmp_path / "run")])
    run = Run.open(tmp_path / "run")
    assert Run.open(run.folder / "teachers" / "single").answers == run.answers


@pytest.mark.parametrize(
    "content", ['{"a": {"text": ["x"], "label": []}}', '{"a": 3}', '{"a": {"text": [1], "label": ["no"]}}']
)
def test_a_damaged_file_of_answers_is_named(content, tmp_path):
    (tmp_path / ANSWERS).write_text(content)
    with pytest.raises(InputError, match=r"self_training\.json: expected of each task texts and as many labels"):
        _ = Run(tmp_path).answers


def test_answers_that_are_no_labels_are_named(folder, teacher):
    tasks = load_run_tasks(options(folder, teacher))
    with pytest.raises(InputError, match="of task 'a': 'perhaps' is none of its labels"):
        with_answers(tasks, {"a": {"text": ["x"], "label": ["perhaps"]}})


def test_a_graph_without_the_target_learns_no_answers_of_a_run_that_knows_it(folder, teacher, tmp_path, monkeypatch):
    given, seen = options(folder, teacher), []
    monkeypatch.setattr(leave_one_out, "train_run", lambda tasks, own: seen.append(([*tasks], own)))
    one = SimpleNamespace(folder=tmp_path, tasks=load_run_tasks(given), options=given)
    with pytest.warns(DataWarning, match="--self-training is left out"), suppress(InputError):
        leave_one_out.LeaveOneOut.source(one, "shared", "c")  # nothing was trained, so there is no model
    ((names, own),) = seen
    assert (names, own.self_training) == (["a", "b"], None)


def test_a_transfer_and_the_trainings_of_a_benefit_have_it_not(second):
    assert options_for(second).self_training is None
    with pytest.warns(DataWarning, match="--self-training of the run is left out where its benefit is measured"):
        assert _kept_options(second.options).self_training is None
