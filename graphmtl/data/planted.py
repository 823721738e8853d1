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
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from graphmtl.config import OptionGroup, option
from graphmtl.data.planted_truth import PlantedTruth
from graphmtl.data.source import Corpus, Source
from graphmtl.data.table import Table
from graphmtl.data.task import Task
from graphmtl.errors import InputError

__all__ = ["LABELS", "Generated", "PlantedOptions", "generate"]

LABELS = ("negative", "positive")


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
        InputError: no tasks, or more parents of a child or more inverted edges than there can be.
    """
    rng = np.random.default_rng([seed, 0x9A47])
    roles = _roles(options)
    parents = _draw_parents(roles, options, rng)
    truth = _truth(parents, options, rng)
    words, filler = _draw_words(roles, options, rng)
    polarity = _polarities(words, parents, truth, rng)
    cues = [word for name in roles for word in words[name]]
    sources = {}
    for name, role in roles.items():
        others = [word for word in cues if word not in polarity[name]]
        texts = _Texts(polarity[name], others=others, filler=filler, options=options, rng=rng)
        sources[name] = _source(name, texts, rich=role in ("parent", "loner"), options=options)
    return Generated(sources=sources, truth=truth, polarity=polarity)


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
    return PlantedTruth(edges=tuple(edges), siblings=tuple(siblings), inverted=tuple(edges[i] for i in inverted))


def _draw_words(
    roles: Mapping[str, str], options: PlantedOptions, rng: np.random.Generator
) -> tuple[dict[str, list[str]], list[str]]:
    """The cue words of each task, and the filler words."""
    inherited = options.planted_words * options.planted_parents_per_child
    own = round(inherited * (1 - options.planted_sharing) / options.planted_sharing)
    counts = {name: own if role == "child" else options.planted_words for name, role in roles.items()}
    words = _invent_words(sum(counts.values()) + options.planted_filler, rng)
    return {name: [words.pop() for _ in range(count)] for name, count in counts.items()}, words


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


class _Texts:
    """Draws the texts of one task.

    Args:
        polarity: the polarity of each deciding word of the task.
        others: the cue words that decide nothing in this task.
        filler: the filler words.
    """

    def __init__(
        self,
        polarity: Mapping[str, int],
        *,
        others: Sequence[str],
        filler: Sequence[str],
        options: PlantedOptions,
        rng: np.random.Generator,
    ) -> None:
        self.deciding, self.polarity = np.array(list(polarity)), np.array(list(polarity.values()))
        self.others, self.filler = np.array(others), np.array(filler)
        self.options, self.rng = options, rng

    def draw(self) -> tuple[str, str]:
        """A text and its label."""
        length = self.options.planted_length
        length = int(self.rng.integers(length - length // 4, length + length // 4 + 1))
        count = max(round(length / 3), 1)
        chosen = self.rng.integers(len(self.deciding), size=count)
        while not (total := self.polarity[chosen].sum()):  # a tie has no label
            chosen = self.rng.integers(len(self.deciding), size=count)
        background = self._background(length - count)
        words = self.rng.permutation(np.concatenate([self.deciding[chosen], background])).tolist()
        flipped = self.rng.random() < self.options.planted_noise
        return " ".join(words), LABELS[int((total > 0) != flipped)]

    def _background(self, count: int) -> np.ndarray:
        """Words that decide nothing: filler and the cue words of other tasks, half and half."""
        words = self.filler[self.rng.integers(len(self.filler), size=count)]
        if not len(self.others):
            return words
        cues = self.others[self.rng.integers(len(self.others), size=count)]
        return np.where(self.rng.random(count) < 0.5, cues, words)


def _source(name: str, texts: _Texts, *, rich: bool, options: PlantedOptions) -> Source:
    train = options.planted_rich if rich else options.planted_poor
    corpus = Corpus(
        name=name,
        train=_table(f"{name}.train", texts, train),
        valid=_table(f"{name}.valid", texts, max(round(train / 5), 50)),
        test=_table(f"{name}.test", texts, options.planted_test),
    )
    return Source(task=Task(name=name, labels=LABELS), corpus=corpus)


def _table(source: str, texts: _Texts, size: int) -> Table:
    pairs = [texts.draw() for _ in range(size)]
    return Table(source=source, columns={"text": [text for text, _ in pairs], "label": [label for _, label in pairs]})
