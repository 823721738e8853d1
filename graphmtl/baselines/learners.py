"""How each form of labels is learned by linear models, and what is said of examples by their scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from graphmtl.baselines.answers import of_choices, of_classes, of_label_sets, of_numbers, of_tags
from graphmtl.baselines.baseline import Group, held_out
from graphmtl.baselines.examples import Examples, Said
from graphmtl.data.kind import NO_LABEL
from graphmtl.kinds.multi_label import best_threshold
from graphmtl.models.linear import Linear, logistic, ridge, softmax_passes
from graphmtl.training.evaluation import score

__all__ = ["LEARNERS", "Learner", "chosen_on_valid"]

_PASSES = 8  # over the tokens; the validation split chooses after which


class Learner:
    """How one form of labels is learned."""

    def fit(self, features: sparse.csr_matrix, train: Sequence[Examples], *, C: float, seed: int) -> Linear:
        """Learns the training examples of some tasks, whose features stand one below the other.

        Args:
            features: (examples of all tasks, features).
            train: the examples.
            C: how much the labels weigh against the penalty.
            seed: of the order in which the optimiser goes through them.
        """
        raise NotImplementedError

    def models(
        self, features: sparse.csr_matrix, train: Sequence[Examples], *, strengths: Sequence[float], seed: int
    ) -> Iterator[Linear]:
        """The models that the validation split chooses from: that of each C, the others as :meth:`fit` takes them."""
        return (self.fit(features, train, C=C, seed=seed) for C in strengths)

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        """What is said of examples.

        Args:
            scores: (examples, columns), those of the model.
            examples: which.
            about: what :meth:`about` gave for their task.
        """
        raise NotImplementedError

    def about(self, scores: np.ndarray, valid: Examples, train: Examples) -> Any:
        """What else is taken from a task's examples, given the scores of the validation split, (examples, columns)."""
        return None


class _Classes(Learner):
    """One of several labels: a column, or of more than two labels one each, whose probabilities are scaled to 1."""

    def fit(self, features: sparse.csr_matrix, train: Sequence[Examples], *, C: float, seed: int) -> Linear:
        classes, values = len(train[0].task.labels), np.concatenate([own.values for own in train])  # (examples,)
        columns = np.arange(classes) if classes > 2 else np.array([1])
        return logistic(features, values[:, None] == columns, C=C, seed=seed)

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        p = expit(np.hstack([-scores, scores]) if scores.shape[1] == 1 else scores)  # (examples, classes)
        return of_classes(p / p.sum(1, keepdims=True), examples)


class _Tags(Learner):
    """One of several tags for every token; the models to choose from are those after each pass."""

    def models(
        self, features: sparse.csr_matrix, train: Sequence[Examples], *, strengths: Sequence[float], seed: int
    ) -> Iterator[Linear]:
        values = np.concatenate([own.values for own in train])  # (tokens,)
        known, classes = values != NO_LABEL, len(train[0].task.labels)
        return softmax_passes(features[known], values[known], classes=classes, passes=_PASSES, seed=seed)

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        return of_tags(softmax(scores.astype(np.float64), axis=1), examples)


class _LabelSets(Learner):
    """Any of several labels: a column each, answered from the threshold on that is best on validation."""

    def fit(self, features: sparse.csr_matrix, train: Sequence[Examples], *, C: float, seed: int) -> Linear:
        return logistic(features, np.concatenate([own.values == 1 for own in train]), C=C, seed=seed)

    def about(self, scores: np.ndarray, valid: Examples, train: Examples) -> float:
        return best_threshold(expit(scores).astype(np.float32), valid.values)

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        return of_label_sets(expit(scores), examples, threshold=about)


class _Choices(Learner):
    """One of an example's choices: whether a choice is right is a column; the largest logit is answered."""

    def fit(self, features: sparse.csr_matrix, train: Sequence[Examples], *, C: float, seed: int) -> Linear:
        right = [
            np.concatenate([np.arange(len(c)) == x for c, x in zip(own.rows["choices"], own.values, strict=True)])
            for own in train
        ]
        return logistic(features, np.concatenate(right)[:, None], C=C, seed=seed)

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        return of_choices(scores[:, 0], examples)


class _Numbers(Learner):
    """A number."""

    def fit(self, features: sparse.csr_matrix, train: Sequence[Examples], *, C: float, seed: int) -> Linear:
        return ridge(features, np.concatenate([own.values.astype(np.float64) for own in train]), C=C)

    def about(self, scores: np.ndarray, valid: Examples, train: Examples) -> float:
        return train.moments()[1]

    def say(self, scores: np.ndarray, examples: Examples, about: Any) -> Said:
        return of_numbers(scores[:, 0], examples, std=about)


LEARNERS: Mapping[str, Learner] = {
    "classes": _Classes(),
    "tags": _Tags(),
    "label-sets": _LabelSets(),
    "choices": _Choices(),
    "numbers": _Numbers(),
}
"""By the form of answers that :mod:`graphmtl.metrics` speaks of."""


def chosen_on_valid(
    learner: Learner,
    group: Group,
    features: Mapping[str, Mapping[str, sparse.csr_matrix]],
    *,
    strengths: Sequence[float],
    seed: int,
) -> dict[str, dict[str, Said]]:
    """Learns the training split with each strength, and says the other splits with the best one.

    That is the one with the best mean, over the tasks, of the first metric on the validation split; of several equal
    ones that with the smallest loss there.

    Args:
        learner: of the form of the tasks' labels.
        group: the examples of the tasks, by split.
        features: of these examples, (examples, features).
        strengths: the values of C.
        seed: as :meth:`Learner.fit` takes it.
    """
    train = sparse.vstack([own["train"] for own in features.values()], format="csr")
    examples = [own["train"] for own in group.values()]
    models = learner.models(train, examples, strengths=strengths, seed=seed)
    said = (_said_by(model, learner, group, features) for model in models)
    return max(said, key=lambda own: _goodness(own["valid"], group))  # the first one of equals


def _said_by(
    model: Callable[[sparse.csr_matrix], np.ndarray],
    learner: Learner,
    group: Group,
    features: Mapping[str, Mapping[str, sparse.csr_matrix]],
) -> dict[str, dict[str, Said]]:
    """What a model says of the splits that are held out."""
    about = {
        task: learner.about(model(features[task]["valid"]), own["valid"], own["train"]) for task, own in group.items()
    }
    return {
        split: {task: learner.say(model(features[task][split]), each, about[task]) for task, each in own.items()}
        for split, own in held_out(group).items()
    }


def _goodness(said: Mapping[str, Said], group: Group) -> tuple[float, float]:
    """The mean of the first metrics on the validation split, and minus the mean loss; more is better."""
    scores = {
        task: score(group[task]["valid"].task, group[task]["valid"].predictions(own)) for task, own in said.items()
    }
    first = [scores[task][group[task]["valid"].task.metrics[0]] for task in said]
    losses = [own["loss"] for own in scores.values()]
    return float(np.nan_to_num(first, nan=-np.inf).mean()), -float(np.mean(losses))
