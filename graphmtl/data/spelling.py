"""How words are written: their characters, and their shape, which survives lower-cased word vectors."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphmtl.data.tokenizer import SPECIAL
from graphmtl.errors import InputError, shown
from graphmtl.files import read_json
from graphmtl.layers.devices import moved

__all__ = ["Alphabet", "Spelling", "WordForms", "shape"]

_LETTERS = 20  # of a word are read; of a longer one the first and the last half of them
_MIN_COUNT = 2  # what occurs less often in training is unknown, so that something is learned of the unknown


def shape(word: str) -> str:
    """Upper case X, other letters x, digits d, the rest -; runs are cut to two, and the whole to eight.

    >>> [shape(word) for word in ("Paris", "NATO", "I", "iPhone", "1999", "mid-90s")]
    ['Xxx', 'XX', 'X', 'xXxx', 'dd', 'xx-ddx']
    """
    kinds = ("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else "-" for c in word)
    return re.sub(r"(.)\1\1+", r"\1\1", "".join(kinds))[:8]


@dataclass
class Spelling:
    """How the words of a batch are written; every different word stands here once.

    Attributes:
        forms: (batch, tokens) int64, rows of the others.
        letters: (forms, letters) int64, padded on the right with 0.
        lengths: (forms,) int64, at least 1; always on the CPU, as torch's packed sequences want them.
        shapes: (forms,) int64.
    """

    forms: Tensor
    letters: Tensor
    lengths: Tensor
    shapes: Tensor

    def to(self, device: torch.device | str) -> "Spelling":
        there = {name: moved(getattr(self, name), device) for name in ("forms", "letters", "shapes")}
        return replace(self, **there)


class Alphabet:
    """The characters and word shapes that have an embedding; 0 is padding, 1 whatever is unknown.

    >>> alphabet = Alphabet.build(["Ada", "ad"])
    >>> alphabet
    Alphabet(2 characters, 0 shapes)
    >>> alphabet.letters("bad"), alphabet.shape("Ada")
    ([1, 2, 3], 1)
    """

    def __init__(self, characters: Sequence[str], shapes: Sequence[str]):
        self.characters, self.shapes = list(characters), list(shapes)
        self._characters = {character: i for i, character in enumerate(self.characters, 2)}
        self._shapes = {name: i for i, name in enumerate(self.shapes, 2)}

    @classmethod
    def build(cls, words: Iterable[str]) -> "Alphabet":
        """What occurs twice or more in the words of the training texts, the most frequent first."""
        characters: Counter[str] = Counter()
        shapes: Counter[str] = Counter()
        for word, count in Counter(words).items():
            shapes[shape(word)] += count
            for character in word:
                characters[character] += count
        return cls(_frequent(characters), _frequent(shapes))

    def letters(self, word: str) -> list[int]:
        """The indices of a word's characters, of a long word the first and the last ones; at least one."""
        if len(word) > _LETTERS:
            word = word[: _LETTERS // 2] + word[-_LETTERS // 2 :]
        return [self._characters.get(character, 1) for character in word] or [1]

    def shape(self, word: str) -> int:
        """The index of a word's shape."""
        return self._shapes.get(shape(word), 1)

    def save(self, path: Path | str) -> None:
        """Writes JSON."""
        content = {"characters": self.characters, "shapes": self.shapes}
        Path(path).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> "Alphabet":
        """Reads what `save` wrote.

        Raises:
            InputError: the file is missing or holds something else.
        """
        content = read_json(path)
        for name in ("characters", "shapes"):
            found = content.get(name)
            if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
                raise InputError(f"{path}: {name}: found {shown(found)}, expected a list of texts")
        return cls(content["characters"], content["shapes"])

    def __repr__(self) -> str:
        return f"Alphabet({len(self.characters)} characters, {len(self.shapes)} shapes)"


def _frequent(counts: Counter[str]) -> list[str]:
    return sorted((key for key, count in counts.items() if count >= _MIN_COUNT), key=lambda key: (-counts[key], key))


class WordForms:
    """The different words of some texts as they are written: what is known of each is looked up once.

    Args:
        alphabet: the characters and shapes.
        index: from a word to its embedding's index.

    Attributes:
        words: (forms,) int64, the index of every form's embedding. The first forms are those of :data:`SPECIAL`:
            padding, the unknown word, and what stands between the texts of a pair.
    """

    def __init__(self, alphabet: Alphabet, index: Callable[[str], int]):
        self._alphabet, self._word_index = alphabet, index
        self._index: dict[str, int] = {}
        self._fill()

    def encode(self, words: Iterable[str]) -> list[int]:
        """The forms of words; those that are new are added."""
        return [self._index.setdefault(word, len(self._index) + len(SPECIAL)) for word in words]

    def spelling(self, forms: np.ndarray) -> Spelling:
        """How the words of a batch (batch, tokens) are written."""
        if len(self.words) < len(self._index) + len(SPECIAL):
            self._fill()
        used, place = np.unique(forms, return_inverse=True)  # (forms,), (batch * tokens,)
        lengths = self._lengths[used]  # (forms,)
        return Spelling(
            forms=torch.from_numpy(place.reshape(forms.shape)),
            letters=torch.from_numpy(self._letters[used, : lengths.max()].astype(np.int64)),
            lengths=torch.from_numpy(lengths),
            shapes=torch.from_numpy(self._shapes[used]),
        )

    def indices(self, forms: np.ndarray) -> np.ndarray:
        """The embeddings' indices of the words of a batch (batch, tokens)."""
        if len(self.words) < len(self._index) + len(SPECIAL):
            self._fill()
        return self.words[forms]

    def _fill(self) -> None:
        _, *named = SPECIAL
        words = [*named, *self._index]
        spelled = [[1], *map(self._alphabet.letters, words)]
        special = range(len(SPECIAL))
        self.words = np.array([*special, *map(self._word_index, self._index)], dtype=np.int64)
        self._lengths = np.array([len(letters) for letters in spelled], dtype=np.int64)
        self._shapes = np.array([0, *map(self._alphabet.shape, words)], dtype=np.int64)
        self._letters = np.zeros((len(spelled), _LETTERS), dtype=np.int32)  # (forms, letters)
        for row, letters in zip(self._letters, spelled, strict=True):
            row[: len(letters)] = letters
