import pytest
import tokenizers
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
import torch

from graphmtl.data.batching import encode_tasks
from graphmtl.data.vocabulary import UNK, Vocabulary
from graphmtl.errors import InputError
from graphmtl.options import make_options
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.building import build_model
from graphmtl.training.run_data import load_run_tasks
from tests import tiny
from tests.parts import model_options
from tests.tagging import tagging_tasks


@pytest.fixture(scope="module")
def tasks(tiny_tasks):
    return load_run_tasks(make_options(**tiny.OPTIONS, tasks=tiny_tasks))


def build(tasks, **options):
    said = []
    model = build_model(tasks, make_options(**tiny.OPTIONS | options), say=said.append)
    return model, " ".join(said)


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


def test_rare_words_and_case(tasks):
    vocabulary = build(tasks, min_count=30, lower_case=False)[0].vocabulary
    frequent = {word for word, count in vocabulary.counts.items() if count >= 30}
    assert set(vocabulary.words[3:]) == frequent
    assert 0 < len(frequent) < len(vocabulary.counts)
    assert vocabulary.lower_case is False


def test_the_model_has_the_tasks_in_their_order_and_the_options(tasks):
    model, _ = build(tasks, arch="complete", score="dot")
    assert list(model.tasks.values()) == list(tasks.tasks.values())
    auto = {"chars": "none", "pooling": "max-mean"}  # what it means here
    assert model.options == model_options(**tiny.OPTIONS, **auto, arch="complete", score="dot")


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


def test_what_is_made_of_large_texts_is_made_once_and_is_the_same(tasks, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHMTL_CACHE", str(tmp_path))
    model, _ = build(tasks)
    encoded = digests(tasks, model)
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr("graphmtl.data.kept._LARGE", 0)
    first, _ = build(tasks)
    assert (first.vocabulary.words, first.vocabulary.counts) == (model.vocabulary.words, model.vocabulary.counts)
    assert digests(tasks, first) == encoded

    def unwanted(*_args, **_options):
        raise AssertionError

    monkeypatch.setattr("graphmtl.training.building.count_words", unwanted)
    monkeypatch.setattr("graphmtl.data.batching.encode_texts", unwanted)
    second, _ = build(tasks)
    assert digests(tasks, second) == encoded
    with pytest.raises(AssertionError):  # texts that are cut otherwise
        build(tasks, tokenizer="characters")
    shorter, _ = build(tasks, max_length=2)
    with pytest.raises(AssertionError):
        digests(tasks, shorter)


def digests(tasks, model):
    data = encode_tasks(tasks, model.vocabulary, model.options)
    return {name: {split: own.digest() for split, own in task.splits.items()} for name, task in data.items()}


@pytest.mark.parametrize(("tasks", "options"), [({"a": []}, None), ("planted", "star")])
def test_what_is_no_task_set_or_no_options(tasks, options):
    with pytest.raises(InputError, match=r"tasks: found .*, expected a task set \(graphmtl\.load_tasks\)"):
        build_model(tasks, options)


def test_options_are_made_by_make_options(tasks):
    with pytest.raises(InputError, match=r"options: found 'star', expected options \(graphmtl\.make_options\)"):
        build_model(tasks, "star")
