"""Scores of answers that are texts, as the official evaluation of SQuAD 2.0 has them (Rajpurkar et al. 2018).

Of an example with several accepted texts the best match counts. An accepted text of which normalising leaves nothing is
none; where none is left, the right answer is no answer, an empty text. That alone is where the script of SQuAD 1.1
differs.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from graphmtl.metrics.answered import Answered

__all__ = ["exact_match", "normalised", "token_f1"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answered: Answered) -> float:
    """The share of examples whose answer is an accepted one, once both are normalised."""
    return _mean_of_best(answered, lambda accepted, given: float(accepted == given))


def token_f1(answered: Answered) -> float:
    """The mean over examples of the F1 of the normalised answer's tokens, which are cut at white space.

    Where either has no token, it is 1 if the other has none either, else 0.
    """
    return _mean_of_best(answered, _f1)


def normalised(text: str) -> list[str]:
    """The tokens of a text in lower case, without ASCII punctuation, and without articles.

    >>> normalised("The  Duke of York's, an  heir")
    ['duke', 'of', 'yorks', 'heir']
    """
    return _ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()


def _f1(accepted: list[str], given: list[str]) -> float:
    if not accepted or not given:
        return float(accepted == given)
    common = (Counter(accepted) & Counter(given)).total()
    return 2 * common / (len(accepted) + len(given))


def _mean_of_best(answered: Answered, score: Callable[[list[str], list[str]], float]) -> float:
    best = [
        max(score(accepted, normalised(given)) for accepted in _accepted(texts))
        for texts, given in zip(answered.labels, answered.answers, strict=True)
    ]
    return float(np.mean(best))


def _accepted(texts: Sequence[str]) -> list[list[str]]:
    return [tokens for tokens in map(normalised, texts) if tokens] or [[]]
