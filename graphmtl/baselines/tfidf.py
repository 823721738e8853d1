"""Words, and nothing that is learned of words elsewhere: TF-IDF with linear models."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from graphmtl.baselines.baseline import Baseline, Group
from graphmtl.baselines.examples import Said
from graphmtl.baselines.learners import LEARNERS, chosen_on_valid
from graphmtl.baselines.tag_features import tag_features
from graphmtl.baselines.text_features import text_features
from graphmtl.baselines.words import Words
from graphmtl.data.task import Task

__all__ = ["Tfidf"]


class Tfidf(Baseline):
    """``tfidf``: TF-IDF of words and neighbouring words with logistic regression, or ridge regression for scores.

    Every task has a model of its own. Tags are learned by how a token and its neighbours are written
    (:mod:`graphmtl.baselines.tag_features`).

    Attributes:
        strengths: the values of C that the validation split chooses from; see :mod:`graphmtl.models.linear`.
    """

    strengths: ClassVar[Sequence[float]] = (0.25, 1.0, 4.0, 16.0, 64.0)

    def refusal(self, task: Task) -> str | None:
        if task.of_kind.form in LEARNERS:
            return None
        return f"a linear model of words does not answer a task of kind {task.kind}"

    def fit(self, group: Group, words: Words, *, seed: int) -> dict[str, dict[str, Said]]:
        form = next(iter(group.values()))["train"].task.of_kind.form
        features = self.features(group, words)
        return chosen_on_valid(LEARNERS[form], group, features, strengths=self.strengths, seed=seed)

    def features(self, group: Group, words: Words) -> Mapping:
        """Those of the examples of each task and split, (examples, features)."""
        of_tokens = next(iter(group.values()))["train"].task.of_kind.labels_tokens
        return tag_features(group) if of_tokens else text_features(group, words)
