"""Questions whose answer is known: the word after the cue that the question names, or none where no such cue stands."""

import json
import random

CUES = ("red", "blue")
WORDS = ("ein", "zwei", "drei", "vier", "fünf", "sechs")
FAST = {
    "epochs": 30,
    "lr": 0.03,
    "batch_size": 16,
    "hidden": 16,
    "embedding_size": 12,
    "attention": 8,
    "chars": "none",
    **dict.fromkeys(("word_dropout", "embedding_dropout", "locked_dropout", "output_dropout"), 0.0),
    "affinity_probe": 5,
    "device": "cpu",
    "progress": False,
}
COLUMNS = {"kind": "question-answering", "text": ["question", "context"], "label": "answers"}


def questions(size: int, *, seed: int = 0, none: float = 0.2) -> list[dict]:
    """Rows as the datasets library has SQuAD; about a share ``none`` of them has no answer."""
    rng = random.Random(seed)
    rows = []
    for i in range(size):
        first, second = rng.sample(CUES, 2)
        words = [first, rng.choice(WORDS), *rng.choices(WORDS, k=rng.randint(0, 2)), second, rng.choice(WORDS)]
        asked = rng.choice(CUES)
        if rng.random() < none:
            words = ["and" if word == asked else word for word in words]
        found = words.index(asked) + 1 if asked in words else None
        answers = {"text": [], "answer_start": []}
        if found is not None:
            answers = {"text": [words[found]], "answer_start": [len(" ".join(words[:found])) + 1]}
        rows.append({"id": str(i), "question": asked, "context": " ".join(words), "answers": answers})
    return rows


def as_squad(rows: list[dict]) -> str:
    """The rows in SQuAD's own JSON, a paragraph for each."""
    paragraphs = []
    for row in rows:
        pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
        answers = [{"text": text, "answer_start": start} for text, start in pairs]
        asked = {"id": row["id"], "question": row["question"], "answers": answers, "is_impossible": not answers}
        paragraphs.append({"context": row["context"], "qas": [asked]})
    half = len(paragraphs) // 2
    articles = [{"title": "a", "paragraphs": paragraphs[:half]}, {"title": "b", "paragraphs": paragraphs[half:]}]
    return json.dumps({"version": "v2.0", "data": articles})
