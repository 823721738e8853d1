import hashlib
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from graphmtl.data.planted import LABELS, PlantedOptions, generate
from graphmtl.data.planted_truth import DECIDED_BY
from graphmtl.data.vocabulary import tokenize
from graphmtl.errors import InputError

SMALL = {"planted_rich": 60, "planted_poor": 30, "planted_test": 40}


def small(**options):
    return generate(PlantedOptions(**SMALL, **options), seed=100)


def deciding_sum(generated, task, text):
    polarity = generated.polarity[task]
    return sum(polarity.get(word, 0) for word in text.split())


def test_labels_are_the_signs_of_the_deciding_words_when_nothing_is_flipped():
    generated = small(planted_noise=0.0)
    for name, source in generated.sources.items():
        for split in (source.corpus.train, source.corpus.valid, source.corpus.test):
            signs = [deciding_sum(generated, name, text) for text in split["text"]]
            assert all(signs)
            assert split["label"] == [LABELS[sign > 0] for sign in signs]


def test_noise_is_the_share_of_flipped_labels():
    generated = generate(PlantedOptions(planted_noise=0.2), seed=100)
    flipped = [
        (deciding_sum(generated, name, text) > 0) != LABELS.index(label)
        for name, source in generated.sources.items()
        for text, label in zip(source.corpus.train["text"], source.corpus.train["label"], strict=True)
    ]
    assert np.mean(flipped) == pytest.approx(0.2, abs=0.02)


def test_a_third_of_the_words_decide_and_every_text_mixes_the_cues_of_all_tasks():
    generated = generate(PlantedOptions(), seed=100)
    for name, source in generated.sources.items():
        words = [word for text in source.corpus.train["text"] for word in text.split()]
        assert np.mean([word in generated.polarity[name] for word in words]) == pytest.approx(1 / 3, abs=0.01)
        for other in generated.sources:
            assert set(generated.polarity[other]) & set(words)


def test_a_childs_words_are_its_parents_and_a_few_of_its_own():
    generated = small(planted_sharing=0.8)
    parents = {}
    for parent, child in generated.truth.edges:
        parents.setdefault(child, []).append(parent)
    assert set(parents) == {"child1", "child2", "child3", "child4"}
    for child, own in parents.items():
        inherited = {word: sign for parent in own for word, sign in generated.polarity[parent].items()}
        assert inherited.items() <= generated.polarity[child].items()
        assert len(inherited) / len(generated.polarity[child]) == pytest.approx(0.8, abs=0.01)


def test_tasks_without_an_edge_share_no_word_unless_they_are_siblings():
    generated = small()
    related = {*generated.truth.edges, *generated.truth.siblings}
    for a in generated.sources:
        for b in generated.sources:
            if a < b and (a, b) not in related and (b, a) not in related:
                assert not set(generated.polarity[a]) & set(generated.polarity[b]), (a, b)


def test_sizes_and_roles_do_not_give_the_edges_away():
    generated = generate(PlantedOptions(), seed=100)
    sources = {source for source, _ in generated.truth.edges}
    targets = {target for _, target in generated.truth.edges}
    sizes = {name: len(source.corpus.train) for name, source in generated.sources.items()}
    assert {sizes[name] for name in sources} == {120, 1500}
    assert sizes["loner1"] == 1500
    assert sizes["unrelated1"] == 120
    assert not {"loner1", "unrelated1"} & (sources | targets)
    assert not sources & targets


def test_all_parents_have_children_and_equal_numbers_of_them():
    generated = small(planted_children=8, planted_parents_per_child=2)
    counts = Counter(source for source, _ in generated.truth.edges)
    assert set(counts) == {"parent1", "parent2", "parent3", "poor1"}
    assert set(counts.values()) == {4}


@pytest.mark.parametrize(("children", "per_child"), [(6, 2), (4, 3), (5, 4)])
def test_twelve_true_edges_and_more_are_possible(children, per_child):
    truth = small(planted_children=children, planted_parents_per_child=per_child).truth
    assert len(truth.edges) == len(set(truth.edges)) == children * per_child >= 12


def test_inverted_edges_turn_the_polarity_round():
    generated = small(planted_inverted=3)
    assert len(generated.truth.inverted) == 3
    for parent, child in generated.truth.edges:
        sign = -1 if (parent, child) in generated.truth.inverted else 1
        theirs, ours = generated.polarity[parent], generated.polarity[child]
        assert all(ours[word] == sign * theirs[word] for word in theirs)


def test_every_number_of_tasks_and_size_is_an_option():
    generated = small(
        planted_parents=1, planted_poor_parents=2, planted_loners=0, planted_unrelated=3, planted_children=1
    )
    assert list(generated.sources) == ["parent1", "poor1", "poor2", "unrelated1", "unrelated2", "unrelated3", "child1"]
    sizes = {
        name: (len(s.corpus.train), len(s.corpus.valid), len(s.corpus.test)) for name, s in generated.sources.items()
    }
    assert sizes["parent1"] == (60, 50, 40)
    assert sizes["poor1"] == sizes["unrelated2"] == sizes["child1"] == (30, 50, 40)
    assert len(generate(PlantedOptions(), seed=100).sources["parent1"].corpus.valid) == 300


def test_length_words_and_filler_are_options():
    generated = small(planted_length=40, planted_words=10, planted_filler=7)
    source = generated.sources["parent1"]
    lengths = [len(text.split()) for text in source.corpus.train["text"]]
    assert min(lengths) >= 30
    assert max(lengths) <= 50
    assert len(generated.polarity["parent1"]) == 10
    assert abs(sum(generated.polarity["parent1"].values())) == 0
    cues = {word for polarity in generated.polarity.values() for word in polarity}
    words = {word for text in source.corpus.train["text"] for word in text.split()}
    assert len(words - cues) == 7


def test_a_single_task_is_possible():
    only = {f"planted_{role}": 0 for role in ("poor_parents", "loners", "unrelated", "children")}
    assert list(small(planted_parents=1, **only).sources) == ["parent1"]


def test_the_words_are_left_alone_by_the_tokenizer():
    for source in small().sources.values():
        assert all(tokenize(text.lower()) == text.split() for text in source.corpus.train["text"])


def test_another_seed_gives_other_texts():
    options = PlantedOptions(**SMALL)
    assert (
        generate(options, seed=100).sources["child1"].corpus.train
        != generate(options, seed=101).sources["child1"].corpus.train
    )


def test_the_same_seed_gives_the_same_texts_in_another_process():
    code = (
        "import hashlib; from graphmtl.data.planted import PlantedOptions; from graphmtl.data.planted import generate\n"
        f"print(hashlib.sha256(repr(generate(PlantedOptions(**{SMALL}), seed=100)).encode()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == hashlib.sha256(repr(small()).encode()).hexdigest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planted_parents_per_child": 5}, "planted_parents_per_child is 5, but .* make 4"),
        ({"planted_inverted": 9}, "planted_inverted is 9, but there are 8 true edges"),
        (
            {"planted_switching": True, "planted_parents_per_child": 1},
            "planted_parents_per_child is 1, but with .* 2 or",
        ),
        (
            {"planted_switching": True, "planted_length": 2},
            "planted_length is 2, and some texts have 2 words, .* 3$",
        ),
        ({f"planted_{r}": 0 for r in ("parents", "poor_parents", "loners", "unrelated", "children")}, "has no task"),
    ],
)
def test_options_that_do_not_fit_together(options, message):
    with pytest.raises(InputError, match=message):
        small(**options)


def bag_of_words_accuracy(train, test):
    words = CountVectorizer(token_pattern=r"\S+")
    features = words.fit_transform([text for each in train for text in each["text"]])
    model = LogisticRegression(C=0.1, max_iter=500).fit(features, [label for each in train for label in each["label"]])
    return model.score(words.transform(test["text"]), test["label"])


def test_sharing_pays_for_the_children_only():
    alone, pooled, rich = [], [], []
    for seed in (100, 101):
        generated = generate(PlantedOptions(), seed=seed)
        for name, source in generated.sources.items():
            parents = [generated.sources[a].corpus.train for a, b in generated.truth.edges if b == name]
            own = bag_of_words_accuracy([source.corpus.train], source.corpus.test)
            if parents:
                alone.append(own)
                pooled.append(bag_of_words_accuracy([source.corpus.train] * 3 + parents, source.corpus.test))
            elif len(source.corpus.train) == 1500:
                rich.append(own)
    assert 0.6 < np.mean(alone) < 0.75
    assert np.mean(pooled) > np.mean(alone) + 0.08
    assert np.mean(rich) > 0.88


def splits_of(source):
    return {"train": source.corpus.train, "valid": source.corpus.valid, "test": source.corpus.test}


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ({}, "bea93d3a6df4f4e92be00ca080a06b4c4aa4219efe3264a00b00f70ae578260d"),
        (
            {"planted_inverted": 2, "planted_children": 6},
            "34e39746aaa1416eb222e7074415b4799c504050c11c2d6c7b5e6e19443064b1",
        ),
    ],
    ids=["defaults", "inverted"],
)
def test_without_switching_every_text_is_as_it_was_before_there_was_switching(options, digest):
    generated = small(**options)
    rows = [
        [name, [[*split["text"], *split["label"]] for split in splits_of(source).values()]]
        for name, source in generated.sources.items()
    ]
    polarity = {name: dict(own) for name, own in generated.polarity.items()}
    assert hashlib.sha256(json.dumps([rows, polarity]).encode()).hexdigest() == digest
    assert generated.truth.deciders == {}
    assert not any(
        source.corpus.carried or DECIDED_BY in source.corpus.train.columns for source in generated.sources.values()
    )


def switching_texts(generated, child):
    """Every text of a child as its words, its label, the parent that decides, and the others."""
    parents = generated.truth.deciders[child]
    for split in splits_of(generated.sources[child]).values():
        for text, label, place in zip(split["text"], split["label"], split[DECIDED_BY], strict=True):
            yield text.split(), label, parents[place], [parents[i] for i in range(len(parents)) if i != place]


def topic_words(generated):
    """The words that stand in texts of a task, and in none of another that is no child."""
    vocabulary = {
        name: {word for split in splits_of(source).values() for text in split["text"] for word in text.split()}
        for name, source in generated.sources.items()
        if name not in generated.truth.deciders
    }
    return {
        name: own - set().union(*(other for task, other in vocabulary.items() if task != name))
        for name, own in vocabulary.items()
    }


@pytest.mark.parametrize("parents", [2, 3])
def test_each_parent_decides_as_many_texts_of_every_split(parents):
    generated = small(planted_switching=True, planted_parents_per_child=parents)
    assert list(generated.truth.deciders) == ["child1", "child2", "child3", "child4"]
    for child, own in generated.truth.deciders.items():
        assert own == tuple(parent for parent, target in generated.truth.edges if target == child)
        for split in splits_of(generated.sources[child]).values():
            counts = Counter(split[DECIDED_BY])
            assert set(counts) == set(range(parents))
            assert max(counts.values()) - min(counts.values()) <= 1
        order = generated.sources[child].corpus.train[DECIDED_BY]
        assert order != sorted(order)


@pytest.mark.parametrize("parents", [2, 3])
def test_the_words_of_the_deciding_parent_and_the_childs_own_are_the_label(parents):
    generated = small(planted_switching=True, planted_noise=0.0, planted_parents_per_child=parents, planted_inverted=1)
    against = 0
    for child in generated.truth.deciders:
        polarity = generated.polarity[child]
        for words, label, _, others in switching_texts(generated, child):
            noise = set().union(*(generated.polarity[other] for other in others))
            right = sum(polarity.get(word, 0) for word in words if word not in noise)
            assert label == LABELS[right > 0]
            assert right
            against += (sum(polarity.get(word, 0) for word in words) > 0) != (right > 0)
    assert against > 50  # texts whose label the cue words of all parents together get wrong


@pytest.mark.parametrize("parents", [2, 3])
def test_every_parent_has_as_many_cue_words_in_a_text(parents):
    generated = small(planted_switching=True, planted_parents_per_child=parents)
    for child, own in generated.truth.deciders.items():
        for words, *_ in switching_texts(generated, child):
            assert len({sum(word in generated.polarity[parent] for word in words) for parent in own}) == 1
            assert 18 <= len(words) <= 30


def test_topic_words_alone_tell_the_parent():
    generated = small(planted_switching=True)
    topics = topic_words(generated)
    assert {len(own) for own in topics.values()} == {2}
    for name, own in topics.items():
        assert not own & {word for polarity in generated.polarity.values() for word in polarity}
        for split in splits_of(generated.sources[name]).values():
            assert all(set(text.split()) & own for text in split["text"])
    for child in generated.truth.deciders:
        for words, _, decides, _ in switching_texts(generated, child):
            assert {name for name, own in topics.items() if set(words) & own} == {decides}


def test_a_childs_deciding_words_are_shared_as_without_switching():
    generated = generate(PlantedOptions(planted_switching=True), seed=100)
    for child, parents in generated.truth.deciders.items():
        inherited = {word for parent in parents for word in generated.polarity[parent]}
        own = set(generated.polarity[child]) - inherited
        shown = [
            (sum(word in generated.polarity[decides] for word in words), sum(word in own for word in words))
            for words, _, decides, _ in switching_texts(generated, child)
        ]
        theirs, ours = np.sum(shown, axis=0)
        assert theirs / (theirs + ours) == pytest.approx(0.8, abs=0.02)


def test_following_the_topic_pays():
    """Logistic regressions of the parents on a child's texts: their mix for all texts, and the one that decides."""
    mixed, followed = [], []
    generated = generate(PlantedOptions(planted_switching=True, planted_parents=4, planted_poor_parents=0), seed=100)
    for child, parents in generated.truth.deciders.items():
        train, test = generated.sources[child].corpus.train, generated.sources[child].corpus.test
        logits = {parent: bag_of_words_logits(generated.sources[parent].corpus.train) for parent in parents}
        sides = [np.stack([logits[parent](split["text"]) for parent in parents], axis=1) for split in (train, test)]
        chosen = [np.eye(2)[split[DECIDED_BY]] * side for split, side in zip((train, test), sides, strict=True)]
        for found, (x, y) in ((mixed, sides), (followed, chosen)):
            found.append(LogisticRegression().fit(x, train["label"]).score(y, test["label"]))
    assert np.mean(mixed) < 0.75
    assert np.mean(followed) > np.mean(mixed) + 0.08


def bag_of_words_logits(train):
    words = CountVectorizer(token_pattern=r"\S+")
    model = LogisticRegression(C=0.1, max_iter=500).fit(words.fit_transform(train["text"]), train["label"])
    return lambda texts: model.decision_function(words.transform(texts))
