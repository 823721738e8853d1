"""Words, and nothing that is learned of words elsewhere: TF-IDF with linear models."""

from collections.abc import Mapping

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

    Every task has a model of its own.
    """

    def refusal(self, task: Task) -> str | None:
        if task.of_kind.form in LEARNERS:
            return None
        return f"a linear model of words does not answer a task of kind {task.kind}"

    def fit(self, group: Group, words: Words, *, seed: int) -> dict[str, dict[str, Said]]:
        form = next(iter(group.values()))["train"].task.of_kind.form
        return chosen_on_valid(LEARNERS[form], group, self.features(group, words), seed=seed)

    def features(self, group: Group, words: Words) -> Mapping:
        """Those of the examples of each task and split, (examples, features)."""
        of_tokens = next(iter(group.values()))["train"].task.of_kind.labels_tokens
        return tag_features(group) if of_tokens else text_features(group, words)
