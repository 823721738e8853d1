"""SQuAD's own JSON: articles of paragraphs, each of which is the context of some questions.

``{"data": [{"paragraphs": [{"context", "qas": [{"question", "answers", "is_impossible"}]}]}]}``, where answers are a
list of ``{"text", "answer_start"}``, as SQuAD 1.1 and 2.0 have it (Rajpurkar et al. 2016 and 2018), and many data sets
after them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphmtl.errors import InputError, shown

__all__ = ["is_squad", "squad_rows"]


def is_squad(content: Any) -> bool:
    """Whether what a JSON file holds is of this form.

    >>> is_squad({"data": [{"paragraphs": []}]}), is_squad({"data": [{"text": "a"}]})
    (True, False)
    """
    articles = content.get("data") if isinstance(content, dict) else None
    return (
        isinstance(articles, list)
        and len(articles) > 0
        and all(isinstance(article, dict) and "paragraphs" in article for article in articles)
    )


def squad_rows(content: Any, path: Path) -> list[dict[str, Any]]:
    """A row for every question: ``id``, ``title``, ``question``, ``context`` and ``answers``, null where it has none.

    The answers of a question that ``is_impossible`` are an empty list; those that it might seem to have are left.

    Args:
        content: what the file holds.
        path: the file.

    Raises:
        InputError: it is not of this form.
    """
    if not is_squad(content):
        raise InputError(
            f'{path}: not as SQuAD has it, {{"data": [{{"paragraphs": [{{"context", "qas": [{{"question", "answers"'
            "}]}]}]}"
        )
    return [*_rows(content["data"], str(path))]


def _rows(articles: list, where: str) -> Iterator[dict[str, Any]]:
    for a, article in enumerate(articles, 1):
        for p, paragraph in enumerate(_listed(article, "paragraphs", f"{where}, article {a}"), 1):
            place = f"{where}, article {a}, paragraph {p}"
            for q, question in enumerate(_listed(paragraph, "qas", place), 1):
                answers = _answers(question, f"{place}, question {q}")
                yield {
                    "id": question.get("id"),
                    "title": article.get("title"),
                    "question": question.get("question"),
                    "context": paragraph.get("context"),
                    "answers": answers,
                }


def _listed(holder: dict, key: str, where: str) -> list[dict]:
    found = holder.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{where}: {key!r} is {shown(found)}, expected a list of objects")
    return found


def _answers(question: dict, where: str) -> Any:
    answers = question.get("answers")
    if not question.get("is_impossible"):
        return answers
    if answers:
        raise InputError(f"{where}: is_impossible, but its answers are {shown(answers)}; expected an empty list")
    return []
