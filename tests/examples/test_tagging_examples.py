"""The tagging examples, on corpora of a few sentences in the published layouts."""

import pytest

from examples import intent_and_slots, joint_tagging

SMALL = ["--hidden", "4", "--attention", "4", "--embedding-size", "6", "--char-size", "4", "--epochs", "1"]
WORDS, PARTS, CHUNKS, ENTITIES = "Ada left Rome", "PROPN VERB PROPN", "B-NP B-VP B-NP", "B-person O B-location"


def column_file(path, *columns, separator, sentences=20):
    """Sentences that differ in their first word alone; the columns are given as lines of words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (separator.join(row) for row in zip(*(column.split() for column in columns), strict=True))
    lines = ["\n".join([f"{path.stem}{i}{first}", *rest, ""]) for i in range(sentences)]
    path.write_text("\n".join(lines))


@pytest.fixture
def data_dir(tmp_path):
    for split in ("train", "dev", "test"):
        name = tmp_path / "ud-ewt" / f"en-ud-tag.v2.{split}.txt"
        column_file(name, WORDS, PARTS, PARTS, separator="\t")
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        column_file(tmp_path / "wnut17" / name, WORDS, ENTITIES, separator="\t")
    for name, sentences in (("train.txt", 520), ("test.txt", 20)):  # 500 of train are cut off
        column_file(tmp_path / "conll2000" / name, WORDS, PARTS, CHUNKS, separator=" ", sentences=sentences)
    for split in ("train", "dev", "test"):
        folder = tmp_path / "snips" / split
        folder.mkdir(parents=True)
        (folder / "seq.in").write_text("play madonna\nrate this book\n" * 10)
        (folder / "seq.out").write_text("O B-artist\nO O B-object\n" * 10)
        (folder / "label").write_text("PlayMusic\nRateBook\n" * 10)
    return tmp_path


def run(example, data_dir, tmp_path, capsys):
    example.main([*SMALL, "--data-dir", str(data_dir), "--output", str(tmp_path / "run"), "--no-progress"])
    return capsys.readouterr().out.splitlines()


def test_intent_and_slots(data_dir, tmp_path, capsys):
    *_, intent, slots = run(intent_and_slots, data_dir, tmp_path, capsys)
    assert intent in ("intent: PlayMusic", "intent: RateBook")
    assert len(slots.split()) == 1 + len(intent_and_slots.COMMAND)


def test_joint_tagging(data_dir, tmp_path, capsys):
    *_, upos, chunk, ner = run(joint_tagging, data_dir, tmp_path, capsys)
    assert [line.split()[0] for line in (upos, chunk, ner)] == ["upos", "chunk", "ner"]
    assert all(len(line.split()) == 1 + len(joint_tagging.SENTENCE) for line in (upos, chunk, ner))
