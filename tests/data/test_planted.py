import hashlib
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from graphmtl.data.planted import LABELS, PlantedOptions, generate
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
