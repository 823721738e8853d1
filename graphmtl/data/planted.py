"""The planted task set: generated texts whose task graph is known.

Every task j owns cue words L_j, each with a hidden polarity of +1 or -1. A text mixes filler and the cue words of all
tasks; about a third of its words are the task's own deciding words, and the label is the sign of their summed polarity.
The deciding words of a source task are L_j. Those of a child are the cue words of its parents and a few of its own:
the edges parent -> child are the true task graph. The words have no other meaning, so what a child's own examples
cannot tell it about a word's polarity, only a parent can.

| task | examples | edges |
|---|---|---|
| ``parentN`` | many | to children |
| ``poorN`` | few | to children |
| ``lonerN`` | many | none |
| ``unrelatedN`` | few | none |
| ``childN`` | few | from parents, rich and poor |

So neither the size of a task nor the words that its texts show gives an edge away.

With ``--planted-switching`` which parent a child depends on changes from text to text: half of the texts of each split
are about one parent and half about the other (of more parents, equal shares at random).

- Every task that is no child has topic words, without polarity, a few of which stand in each of its texts.
- The deciding words of a child's text are the cue words of the parent that it is about, and a few of the child's own.
- The cue words of every other parent stand there as often, with the same polarities, and decide nothing.
- A few topic words of the parent that it is about stand there too, and none of another task. Nothing else tells the
  parents apart.

So a child that weighs its parents alike in all texts hears the right one and as much noise, and one that follows the
topic hears the right one alone. The topic words do tell a task's parents: the set is for what is read from text to
text, and scores of its edges say less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from graphmtl.config import OptionGroup, option
from graphmtl.data.planted_truth import DECIDED_BY, PlantedTruth
from graphmtl.data.source import Corpus, Source
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

__all__ = ["LABELS", "Generated", "PlantedOptions", "generate"]

LABELS = ("negative", "positive")

_TOPIC = 2  # topic words of a task


@dataclass(frozen=True, kw_only=True)
class PlantedOptions(OptionGroup):
    """The generated task set with a known task graph."""

    planted_parents: int = option(3, "tasks with many examples that children learn from", low=0)
    planted_poor_parents: int = option(1, "tasks with few examples that children learn from", low=0)
    planted_loners: int = option(1, "tasks with many examples that are nobody's parent", low=0)
    planted_unrelated: int = option(1, "tasks with few examples and neither parent nor child", low=0)
    planted_children: int = option(4, "tasks with few examples whose deciding words are mostly their parents'", low=0)
    planted_parents_per_child: int = option(2, "parents of a child", low=1)
    planted_rich: int = option(1500, "training examples of a task with many", low=10)
    planted_poor: int = option(120, "training examples of a task with few", low=10)
    planted_test: int = option(500, "test examples of every task", low=1)
    planted_words: int = option(40, "cue words of a task that is no child", low=2)
    planted_sharing: float = option(0.8, "share of a child's deciding words that are its parents'", low=0.1, high=1)
    planted_filler: int = option(200, "words that decide nothing in any task", low=1)
    planted_length: int = option(24, "words of a text; a quarter more or less at random", low=1)
    planted_noise: float = option(0.05, "share of flipped labels", low=0, high=0.5)
    planted_inverted: int = option(0, "edges whose words mean the opposite for the child (negative transfer)", low=0)
    planted_switching: bool = option(False, "each text of a child depends on one of its parents, told by topic words")


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The generated tasks and their task graph.

    Args:
        sources: the examples of each task.
        truth: the true edges.
        polarity: of each task, the polarity (+1 or -1) of its deciding words.
    """

    sources: Mapping[str, Source]
    truth: PlantedTruth
    polarity: Mapping[str, Mapping[str, int]]


def generate(options: PlantedOptions, *, seed: int) -> Generated:
    """Generates the task set; the same options and seed give the same texts anywhere.

    Raises:
        InputError: no tasks, more parents of a child or more inverted edges than there can be, or with switching a
            single parent or texts too short for the words of all.
    """
    if options.planted_switching:
        _check_switching(options)
    rng = np.random.default_rng([seed, 0x9A47])
    roles = _roles(options)
    parents = _draw_parents(roles, options, rng)
    truth = _truth(parents, options, rng)
    words, topics, filler = _draw_words(roles, options, rng)
    polarity = _polarities(words, parents, truth, rng)
    cues = [word for name in roles for word in words[name]]
    sources = {}
    for name, role in roles.items():
        others = [word for word in cues if word not in polarity[name]]
        subjects = [_Subject(polarity[name], topic=topics[name])]
        if options.planted_switching and name in parents:
            subjects = [_about(parent, name, parents, words, polarity, topics) for parent in parents[name]]
        texts = _Texts(subjects, others=others, filler=filler, options=options, rng=rng)
        sources[name] = _source(name, texts, rich=role in ("parent", "loner"), options=options)
    return Generated(sources=sources, truth=truth, polarity=polarity)


def _check_switching(options: PlantedOptions) -> None:
    parents = options.planted_parents_per_child
    if parents == 1:
        raise InputError("planted_parents_per_child is 1, but with planted_switching a child has 2 or more")
    for length in _lengths(options):
        least = parents * _deciding(length, parents) + _topical(length)
        if least > length:
            raise InputError(
                f"planted_length is {options.planted_length}, and some texts have {length} words, but with"
                f" planted_switching the words of {parents} parents and the topic are {least}"
            )


def _roles(options: PlantedOptions) -> dict[str, str]:
    """The role of each task by its name."""
    counts = {
        "parent": options.planted_parents,
        "poor": options.planted_poor_parents,
        "loner": options.planted_loners,
        "unrelated": options.planted_unrelated,
        "child": options.planted_children,
    }
    roles = {f"{role}{i}": role for role, count in counts.items() for i in range(1, count + 1)}
    if not roles:
        raise InputError("the planted task set has no task: planted_parents is 0, and so are all the others")
    return roles


def _draw_parents(roles: Mapping[str, str], options: PlantedOptions, rng: np.random.Generator) -> dict[str, list[str]]:
    """The parents of each child: those with the fewest children so far, at random among equals."""
    children = {name: 0 for name, role in roles.items() if role in ("parent", "poor")}
    if options.planted_children and options.planted_parents_per_child > len(children):
        raise InputError(
            f"planted_parents_per_child is {options.planted_parents_per_child}, but planted_parents and"
            f" planted_poor_parents make {len(children)}"
        )
    parents = {}
    for child in (name for name, role in roles.items() if role == "child"):
        for _ in range(20):  # children with the very same parents only where there is no other way
            order = sorted(rng.permutation(sorted(children)).tolist(), key=children.__getitem__)
            parents[child] = sorted(order[: options.planted_parents_per_child])
            if list(parents.values()).count(parents[child]) == 1:
                break
        for parent in parents[child]:
            children[parent] += 1
    return parents


def _truth(parents: Mapping[str, Sequence[str]], options: PlantedOptions, rng: np.random.Generator) -> PlantedTruth:
    edges = [(parent, child) for child, own in parents.items() for parent in own]
    siblings = [(a, b) for a, b in combinations(parents, 2) if set(parents[a]) & set(parents[b])]
    if options.planted_inverted > len(edges):
        raise InputError(f"planted_inverted is {options.planted_inverted}, but there are {len(edges)} true edges")
    inverted = sorted(rng.permutation(len(edges))[: options.planted_inverted].tolist())
    return PlantedTruth(
        edges=tuple(edges),
        siblings=tuple(siblings),
        inverted=tuple(edges[i] for i in inverted),
        deciders={child: tuple(own) for child, own in parents.items()} if options.planted_switching else {},
    )


def _draw_words(
    roles: Mapping[str, str], options: PlantedOptions, rng: np.random.Generator
) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """The cue words and the topic words of each task, and the filler words."""
    inherited = options.planted_words * (1 if options.planted_switching else options.planted_parents_per_child)
    own = round(inherited * (1 - options.planted_sharing) / options.planted_sharing)
    counts = {name: own if role == "child" else options.planted_words for name, role in roles.items()}
    topical = {name: _TOPIC if options.planted_switching and role != "child" else 0 for name, role in roles.items()}
    words = _invent_words(sum(counts.values()) + sum(topical.values()) + options.planted_filler, rng)
    cues, topics = (
        {name: [words.pop() for _ in range(count)] for name, count in each.items()} for each in (counts, topical)
    )
    return cues, topics, words


def _invent_words(count: int, rng: np.random.Generator) -> list[str]:
    """Different words of three syllables each."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    base = len(syllables)
    numbers = rng.choice(base**3, size=count, replace=False).tolist()
    return [syllables[n // base**2] + syllables[n // base % base] + syllables[n % base] for n in numbers]


def _polarities(
    words: Mapping, parents: Mapping, truth: PlantedTruth, rng: np.random.Generator
) -> dict[str, dict[str, int]]:
    """The polarity of the deciding words of each task: its own, and those of its parents."""
    own = {}
    for name, mine in words.items():
        signs = np.resize([1, -1], len(mine))
        own[name] = dict(zip(mine, rng.permutation(signs).tolist(), strict=True))
    deciding = {}
    for name in words:
        deciding[name] = dict(own[name])
        for parent in parents.get(name, ()):
            sign = -1 if (parent, name) in truth.inverted else 1
            deciding[name].update({word: sign * polarity for word, polarity in own[parent].items()})
    return deciding


class _Subject:
    """What a text may be about.

    Args:
        polarity: the polarity of each word that decides.
        own: how many of these words, the first, are no parent's.
        decoys: the cue words of each other parent, as many of which stand there as of the one that decides.
        topic: the topic words.
    """

    def __init__(
        self,
        polarity: Mapping[str, int],
        *,
        own: int = 0,
        decoys: Sequence[Sequence[str]] = (),
        topic: Sequence[str] = (),
    ) -> None:
        self.deciding, self.polarity, self.own = np.array(list(polarity)), np.array(list(polarity.values())), own
        self.decoys, self.topic = [np.array(words) for words in decoys], np.array(topic)


def _about(parent: str, child: str, parents: Mapping, words: Mapping, polarity: Mapping, topics: Mapping) -> _Subject:
    """A child's texts about one of its parents."""
    return _Subject(
        {word: polarity[child][word] for word in (*words[child], *words[parent])},
        own=len(words[child]),
        decoys=[words[other] for other in parents[child] if other != parent],
        topic=topics[parent],
    )


def _lengths(options: PlantedOptions) -> range:
    """How many words texts have, each as often."""
    length = options.planted_length
    return range(length - length // 4, length + length // 4 + 1)


def _deciding(length: int, parents: int) -> int:
    """How many words decide a text: a third, or less where more than two parents have as many in it."""
    return max(round(length / max(parents + 1, 3)), 1)


def _topical(length: int) -> int:
    """How many topic words a text has."""
    return max(round(length / 8), 1)


class _Texts:
    """Draws the texts of one task.

    Args:
        subjects: what its texts are about, each in as many texts.
        others: the cue words that decide nothing in this task.
        filler: the filler words.
    """

    def __init__(
        self,
        subjects: Sequence[_Subject],
        *,
        others: Sequence[str],
        filler: Sequence[str],
        options: PlantedOptions,
        rng: np.random.Generator,
    ) -> None:
        self.subjects = subjects
        self.others, self.filler = np.array(others), np.array(filler)
        self.options, self.rng = options, rng

    def subjects_of(self, count: int) -> list[int]:
        """What each of so many texts is about."""
        if len(self.subjects) == 1:
            return [0] * count
        return self.rng.permutation(np.resize(np.arange(len(self.subjects)), count)).tolist()

    def draw(self, subject: int = 0) -> tuple[str, str]:
        """A text and its label."""
        about = self.subjects[subject]
        lengths = _lengths(self.options)
        length = int(self.rng.integers(lengths.start, lengths.stop))
        count = _deciding(length, len(self.subjects))
        chosen = self.rng.integers(len(about.deciding), size=count)
        while not (total := about.polarity[chosen].sum()):  # a tie has no label
            chosen = self.rng.integers(len(about.deciding), size=count)
        words = [about.deciding[chosen]]
        words += [self._some(decoys, int((chosen >= about.own).sum())) for decoys in about.decoys]
        if len(about.topic):
            words.append(self._some(about.topic, _topical(length)))
        words.append(self._background(length - sum(map(len, words))))
        text = " ".join(self.rng.permutation(np.concatenate(words)).tolist())
        flipped = self.rng.random() < self.options.planted_noise
        return text, LABELS[int((total > 0) != flipped)]

    def _some(self, words: np.ndarray, count: int) -> np.ndarray:
        return words[self.rng.integers(len(words), size=count)]

    def _background(self, count: int) -> np.ndarray:
        """Words that decide nothing: filler and the cue words of other tasks, half and half."""
        words = self._some(self.filler, count)
        if not len(self.others):
            return words
        cues = self._some(self.others, count)
        return np.where(self.rng.random(count) < 0.5, cues, words)


def _source(name: str, texts: _Texts, *, rich: bool, options: PlantedOptions) -> Source:
    train = options.planted_rich if rich else options.planted_poor
    corpus = Corpus(
        name=name,
        train=_table(f"{name}.train", texts, train),
        valid=_table(f"{name}.valid", texts, max(round(train / 5), 50)),
        test=_table(f"{name}.test", texts, options.planted_test),
        carried=(DECIDED_BY,) if len(texts.subjects) > 1 else (),
    )
    return Source(task=Task(name=name, labels=LABELS), corpus=corpus)


def _table(source: str, texts: _Texts, size: int) -> Table:
    subjects = texts.subjects_of(size)
    pairs = [texts.draw(subject) for subject in subjects]
    columns: dict[str, list] = {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}
    return Table(source=source, columns=columns | ({DECIDED_BY: subjects} if len(texts.subjects) > 1 else {}))
