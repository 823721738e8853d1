r"""The answer to a question is a span of a context, or none.

Of every token the head says how well the answer begins there, :math:`s_t`, and how well it ends there, :math:`e_t`.
The token between question and context stands for no answer. Elsewhere in the question no answer stands: its logits are
minus infinity. The loss is the mean of the cross-entropies of the first and of the last token; the answer is
:math:`\arg\max_{t \le u} s_t + e_u`, of 30 tokens at most (Devlin et al., NAACL 2019, sections 4.2 and 4.3), and its
probability that of its first token times that of its last.
"""

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from graphmtl.data.answers import Answer, answers
from graphmtl.data.batching import Batch
from graphmtl.data.flat import one_after_the_other
from graphmtl.data.kind import NO_LABEL
from graphmtl.data.label_arrays import TextLabels
from graphmtl.data.table import Table
from graphmtl.data.tokenizer import Span
from graphmtl.data.values import texts
from graphmtl.errors import InputError, note
from graphmtl.kinds.head import LinearHead, at_least_single
from graphmtl.kinds.scored import ScoredKind
from graphmtl.layers.pooling import token_mask
from graphmtl.metrics.answered import Answered

__all__ = ["LONGEST", "QuestionAnswering", "SpanHead", "SpanLabels"]

LONGEST = 30
"""Tokens that an answer has at most."""

_WORD = re.compile(r"[^\s\u200b]+")


class SpanHead(LinearHead):
    """Dropout and a linear layer: token states (batch, tokens, input_size) to logits of first and last (..., 2).

    Labels and answers are the places of the first and of the last token, (batch, 2); of no answer both are that of the
    token between question and context, which is the first that has logits.
    """

    def __init__(self, *, input_size: int, dropout: float):
        super().__init__(input_size=input_size, classes=2, dropout=dropout)

    def within(self, logits: Tensor, batch: Batch) -> Tensor:
        """Minus infinity in the question and at padding."""
        place = torch.arange(logits.size(1), device=logits.device)  # (tokens,)
        inside = (place >= batch.between[:, None]) & token_mask(batch.lengths, logits)  # (batch, tokens)
        return logits.masked_fill(~inside.unsqueeze(-1), -torch.inf)

    def losses(self, logits: Tensor, labels: Tensor, lengths: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean of both cross-entropies; label smoothing is over the tokens at which an answer can stand."""
        log_p = at_least_single(logits).log_softmax(1)  # (batch, tokens, 2)
        losses = F.nll_loss(log_p, labels, reduction="none")  # (batch, 2)
        if label_smoothing:
            inside = ~log_p.isneginf()  # (batch, tokens, 2)
            even = -log_p.where(inside, 0).sum(1) / inside.sum(1)  # (batch, 2)
            losses = (1 - label_smoothing) * losses + label_smoothing * even.where(labels != NO_LABEL, 0)
        return losses.mean(1)

    def counts(self, labels: Tensor) -> Tensor:
        return labels[:, 0] != NO_LABEL  # (batch,)

    def answers(self, logits: Tensor, lengths: Tensor) -> Tensor:
        best = _scores(logits).flatten(1).argmax(1)  # (batch,)
        first, more = best // LONGEST, best % LONGEST
        return torch.stack([first, first + more], 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """That of the answer alone, (batch, 1)."""
        return _scores(at_least_single(logits).log_softmax(1)).flatten(1).amax(1, keepdim=True).exp()

    def right(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Whether first and last token are those of the label."""
        return (answers == labels).all(1).long()

    def margins(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The best span's score minus the next one's, (batch,)."""
        outside = ~token_mask(lengths, logits).unsqueeze(-1)  # (batch, tokens, 1)
        best = _scores(logits.masked_fill(outside, -torch.inf)).flatten(1).topk(2, -1).values  # (batch, 2)
        return best[:, 0] - best[:, 1]


def _scores(logits: Tensor) -> Tensor:
    """Logits (batch, tokens, 2) to the score of every span, (batch, first token, tokens after it).

    The first token that has logits stands for no answer, and goes with itself alone.
    """
    first, last = at_least_single(logits).unbind(-1)  # (batch, tokens)
    lasts = F.pad(last, (0, LONGEST - 1), value=-torch.inf).unfold(1, LONGEST, 1)  # (batch, tokens, LONGEST)
    scores = first.unsqueeze(-1) + lasts  # (batch, tokens, LONGEST)
    place = torch.arange(first.size(1), device=first.device)[:, None]  # (tokens, 1)
    none = (~first.isneginf()).long().argmax(1)[:, None, None]  # (batch, 1, 1)
    longer = torch.arange(LONGEST, device=first.device) > 0  # (LONGEST,)
    return scores.masked_fill((place == none) & longer, -torch.inf)


class SpanLabels(TextLabels):
    """The answers of a split, and where the words of its contexts stand.

    An answer that begins or ends inside a word is widened to the word. What is learned is the first of several.

    Args:
        labels: of each text the right answers, or None.
        contexts: in which they stand.
        spans: where the words of each context stand.
        lengths: (examples,), tokens of each text.
        where: what messages call the texts.

    Attributes:
        values: (examples, 2) int64, the places of the first and of the last token.

    Raises:
        InputError: an answer has no word.
    """

    def __init__(
        self,
        labels: Sequence[list[Answer] | None],
        contexts: Sequence[str],
        spans: Iterable[list[Span]],
        lengths: np.ndarray,
        *,
        where: str,
    ):
        self._labels, self._contexts = labels, contexts
        self._between = np.zeros(len(labels), dtype=np.int64)  # (examples,), the place of the token before a context
        values = np.full((len(labels), 2), NO_LABEL)  # (examples, 2)
        widened = long = 0

        def placed() -> Iterator[Any]:
            nonlocal widened, long
            for i, (own, words) in enumerate(zip(labels, spans, strict=True)):
                begins, ends = np.array(words, dtype=np.int64).reshape(-1, 2).T  # (words,)
                between = lengths[i] - max(len(words), 1) - 1
                self._between[i] = between
                if own:
                    first, last, wider = _words_of(own[0], begins, ends, f"{where}, row {i + 1}")
                    values[i] = between + 1 + first, between + 1 + last
                    widened, long = widened + wider, long + (last - first >= LONGEST)
                elif own is not None:
                    values[i] = between
                yield begins, ends

        (self._begins, counts), (self._ends, _) = one_after_the_other(placed(), 2)
        self._words, self._before = counts, np.cumsum(counts) - counts  # (examples,)
        super().__init__(values, known=values[:, 0] != NO_LABEL)
        if widened:
            note(f"{where}: {widened} answers begin or end inside a word, and are widened to the word")
        if long:
            note(f"{where}: {long} answers have more than {LONGEST} words, the most that a model answers")

    def rows(self) -> np.ndarray:
        """All right answers of every text, (examples,) of lists."""
        return _array(self._labels)

    def as_rows(self, answers: np.ndarray) -> np.ndarray:
        """Places of tokens (examples, 2) to lists of one answer, or of none, (examples,)."""
        contexts = self._contexts[:] if len(answers) else []
        found = []
        for i, context in enumerate(contexts):
            words = slice(self._before[i], self._before[i] + self._words[i])
            found.append(_written(answers[i], context, self._begins[words], self._ends[words], self._between[i]))
        return _array(found)


def _words_of(answer: Answer, begins: np.ndarray, ends: np.ndarray, where: str) -> tuple[int, int, bool]:
    """The first and the last word of an answer, and whether they are more than it."""
    text = answer["text"]
    begin = answer["answer_start"] + len(text) - len(text.lstrip())
    end = answer["answer_start"] + len(text.rstrip())
    first, last = int(np.searchsorted(ends, begin, side="right")), int(np.searchsorted(begins, end)) - 1
    if first > last:
        raise InputError(f"{where}: no word of the context stands in the answer {text!r}")
    return first, last, bool(begins[first] != begin or ends[last] != end)


def _written(places: Sequence[int], context: str, begins: Any, ends: Any, between: int) -> list[Answer]:
    """The answer at some tokens, given where the context's words stand, and the place of the token before them."""
    first, last = (int(place) - int(between) - 1 for place in places)
    if first < 0 or not len(begins):  # the token between the texts, or a blank context
        return []
    begin, end = int(begins[first]), int(ends[last])
    return [{"text": context[begin:end], "answer_start": begin}]


def _moved(answer: Answer, context: str) -> list[Answer]:
    """As many words of another context, from one on that has nothing to do with it; none of a blank context."""
    words = [*_WORD.finditer(context)]
    if not words:
        return []
    first = answer["answer_start"] % len(words)
    begin, end = words[first].start(), words[first : first + len(answer["text"].split())][-1].end()
    return [{"text": context[begin:end], "answer_start": begin}]


def _array(values: Sequence[Any]) -> np.ndarray:
    found = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        found[i] = value
    return found


class QuestionAnswering(ScoredKind):
    """``question-answering``: a span of the second text answers the first, or none does.

    A label is the list of all right answers, ``{"text", "answer_start"}`` each, of which training learns the first and
    the metrics take the best; an empty list where the right answer is none; None where there is no label.
    """

    form = "texts"
    hub_task = "question-answering"
    default_metrics = ("token_f1", "exact_match")
    arrow = pa.list_(pa.struct([("text", pa.string()), ("answer_start", pa.int64())]))
    no_label = None
    reads_tokens = True
    stratified = False
    columns: ClassVar = {
        "answer": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "probability": pa.float64(),
    }

    def check(self) -> None:
        super().check()
        if not self.task.is_pair:
            raise InputError(
                f"task {self.task.name!r} of kind {self.task.kind} has 1 text column, expected two: [question, context]"
            )

    @property
    def in_words(self) -> str:
        return "a span of the second text, or none"

    # Labels

    def read(self, source: Any, splits: Mapping[str, Table], training: Collection[str]) -> tuple[Any, dict[str, list]]:
        label, (_, context) = source.task.label, source.task.text
        return self.task, {
            split: answers(table, label, texts(table, context), missing=source.missing)
            for split, table in splits.items()
        }

    def is_labelled(self, label: Any) -> bool:
        return label is not None

    def different(self, labels: Iterable[Any]) -> set:
        return {tuple((each["text"], each["answer_start"]) for each in label) for label in labels if label is not None}

    def named(self, label: Any) -> list[Answer] | None:
        return label

    def strata(self, labels: Sequence[Any]) -> Sequence[Hashable]:
        """Whether there is an answer."""
        return [bool(label) for label in labels]

    def relabelled(self, shuffled: list, labels: Sequence[Any], rows: Any) -> list:
        """As many words of the context that now has the label."""
        return [label and _moved(label[0], context) for label, context in zip(shuffled, rows["text_pair"], strict=True)]

    def encoded(self, labels: Sequence[Any], lengths: np.ndarray, rows: Any, vocabulary: Any, where: str) -> SpanLabels:
        contexts = rows["text_pair"]
        return SpanLabels(labels, contexts, vocabulary.spans(contexts), lengths, where=where)

    # The model

    def head(self, *, input_size: int, dropout: float, tag_head: str) -> SpanHead:
        return SpanHead(input_size=input_size, dropout=dropout)

    def head_of_several(self) -> Hashable | None:
        return self.task.kind

    # Answers

    def located(self, answers: Any, texts: Sequence[tuple], vocabulary: Any) -> list[list[Answer]]:
        questions, contexts = zip(*texts, strict=True)
        spans = zip(vocabulary.spans(questions), vocabulary.spans(contexts), strict=True)
        return [
            _written(places, context, [begin for begin, _ in own], [end for _, end in own], max(len(question), 1))
            for places, context, (question, own) in zip(answers.tolist(), contexts, spans, strict=True)
        ]

    def answer(self, answer: Any, probabilities: Sequence[float] | None, tokens: Sequence[str]) -> dict[str, Any]:
        """The text of the answer, empty where there is none, its first character and the one behind its last."""
        (probability,) = probabilities or (None,)
        if not answer:
            return {"answer": "", "start": None, "end": None, "probability": probability}
        text, start = answer[0]["text"], answer[0]["answer_start"]
        return {"answer": text, "start": start, "end": start + len(text), "probability": probability}

    def by_name(self, probabilities: Sequence[float]) -> dict[str, float]:
        return {"answer": probabilities[0]}

    def short(self, answer: Mapping[str, Any]) -> tuple[str | None, float | None]:
        return answer["answer"] or "no answer", answer["probability"]

    def short_label(self, label: Any) -> str | None:
        return None if label is None else label[0]["text"] if label else "no answer"

    def answered(self, predictions: Any) -> Answered:
        return Answered(
            form=self.form,
            labels=[[each["text"] for each in label] for label in predictions.labels],
            answers=["".join(each["text"] for each in answer) for answer in predictions.answers],
        )
