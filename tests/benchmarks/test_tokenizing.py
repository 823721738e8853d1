from benchmarks import tokenizing


def test_all_is_measured_and_printed(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tokenizing, "line_without_spaces", lambda size: "k1:5," * (size // 5000))
    monkeypatch.setattr(tokenizing, "chinese_accuracy", lambda kind, spaced: float(kind != "spaces" or spaced))
    tokenizing.main(["--data-dir", str(tmp_path), "--repeats", "1"])
    lines = capsys.readouterr().out.splitlines()
    for language in ("Hindi", "Tamil", "Arabic with marks", "emoji", "Thai", "Chinese", "Japanese"):
        (row,) = (line for line in lines if line.startswith(f"| {language}, "))
        assert row.endswith(" | 100.0 |")
    assert lines[-2] == "Chinese, raw: --tokenizer words 100.0, --tokenizer characters 100.0, --tokenizer spaces 0.0"


def test_words_are_whole_or_covered():
    def letters(texts):
        return ([*text.replace(" ", "")] for text in texts)

    def spaces(texts):
        return (text.split() for text in texts)

    words = [["ab", "c", "d"], ["e"]]
    assert [tokenizing.share_kept(cut, words, spaced=True) for cut in (letters, spaces)] == [0.75, 1]
    assert [tokenizing.share_kept(cut, words, spaced=False) for cut in (letters, spaces)] == [1, 0.25]


def test_generated_chinese_texts_are_learned_without_spaces():

    assert tokenizing.chinese_accuracy("words", spaced=False) > 0.9
