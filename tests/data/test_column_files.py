import pytest

from graphmtl.data.column_files import (
    CONLLU,
    read_columns,
    read_conllu,
    read_sentences,
    read_tagged_words,
    read_three_files,
)
from graphmtl.data.delimited import Reading
from graphmtl.errors import InputError

HEADER = ("word", "pos", "ner")


def write(folder, content, name="a.conll"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_columns(tmp_path, separator, newline, end):
    lines = ["-DOCSTART- -X- O", "", "# genre = news", "Åsa|N|B-PER", "sings|V|O", "\t", "", "#|SYM|_", "no.|V|O"]
    path = write(tmp_path, newline.join(lines).replace("|", separator) + end.replace("\n", newline))
    sentences = read_columns(path, HEADER)
    assert sentences["word"] == [["Åsa", "sings"], ["#", "no."]]
    assert sentences["pos"] == [["N", "V"], ["SYM", "V"]]
    assert sentences["ner"] == [["B-PER", "O"], ["_", "O"]]
    assert sentences["# genre"] == ["news", None]
    assert sentences.where(1, "ner", 0) == f"{path}, line 8"


def test_docstart_ends_a_sentence(tmp_path):
    path = write(tmp_path, "a X O\n-DOCSTART- -X- O\nb Y O\n")
    assert read_columns(path, HEADER)["word"] == [["a"], ["b"]]


def test_spaces_inside_tabs_and_runs_of_spaces(tmp_path):
    tabs = read_columns(write(tmp_path, "1 1/2\tNUM\tO\n#\tSYM\tO\n"), HEADER)
    assert tabs["word"] == [["1 1/2", "#"]]
    runs = read_columns(write(tmp_path, "a   X  O \n# Y O\n"), HEADER)
    assert (runs["word"], runs["pos"]) == ([["a", "#"]], [["X", "Y"]])


def test_comments_belong_to_the_sentence_after_them(tmp_path):
    path = write(tmp_path, "# a comment\n# id = 1\n# kind =\na\tX\tO\n\nb\tX\tO\n\n# id = x = y\nc\tX\tO\n")
    sentences = read_columns(path, HEADER)
    assert sentences["# id"] == ["1", None, "x = y"]
    assert sentences["# kind"] == ["", None, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a X O\nb Y\n", r"line 2: 2 columns, expected 3 \(word, pos, ner\): 'b Y'"),
        ("a\tX\tO\nb Y O\n", "line 2: 1 columns, expected 3"),
        ("a\tX\tO\n\nb\tY\tO\t\n", "line 3: 4 columns, expected 3"),
        ("a\tX\tO\n\tY\tO\n", "line 2: empty token"),
        ("a\tX\tO\n\xa0\tY\tO\n", "line 2: empty token"),
        ("a\tX\tO\nb\t\tO\n", "line 2: empty column 'pos'"),
        (" X O\n", "line 1: 2 columns, expected 3"),
        ("a\tX\tO\n# id = 1\nb\tX\tO\n", "line 2: a comment inside a sentence: '# id = 1'"),
        (b"a X O\n\xe9 X O\n", "line 2: byte 0xe9 is not utf-8"),
        ("# id = 1\n\n-DOCSTART- -X- O\n", "the file holds no sentences"),
        ("\n\n", "the file is empty"),
    ],
)
def test_faults_in_columns(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message) as error:
        read_columns(path, HEADER)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_unknown_columns_and_comments(tmp_path):
    path = write(tmp_path, "# genre = x\na X O\n")
    with pytest.raises(InputError, match="unknown column 'wrod'; did you mean 'word'"):
        read_columns(path, HEADER, words="wrod")
    with pytest.raises(InputError, match="unknown column 'nre'; did you mean 'ner'"):
        read_columns(path, HEADER)["nre"]
    with pytest.raises(InputError, match="unknown key of a comment 'gnre'; did you mean 'genre'"):
        read_columns(path, HEADER)["# gnre"]


CONLLU_FILE = """\
# newdoc
# text = Vámonos al mar
# s_type = imp
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
2.1\tvacío\t_\tX\t_\t_\t_\t_\t_\t_
3\t_\t_\tSYM\tsy\t_\t1\tobl\t_\t_

"""


def test_conllu(tmp_path):
    sentences = read_conllu(write(tmp_path, CONLLU_FILE * 2, "a.conllu"))
    assert sentences["form"] == [["Vamos", "nos", "_"]] * 2
    assert sentences["upos"] == [["VERB", "PRON", "SYM"]] * 2
    assert sentences["xpos"][1] == ["_", "_", "sy"]
    assert sentences["# s_type"] == ["imp", "imp"]
    assert sentences.where(1, "upos", 2).endswith("line 17")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\tx\n", "line 1: 2 columns, expected 10"),
        ("x\ty\n", "line 1: a token's number expected before the first TAB"),
        ("1\t\t_\t_\t_\t_\t_\t_\t_\t_\n", "line 1: empty token"),
    ],
)
def test_faults_in_conllu(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        read_conllu(write(tmp_path, line, "a.conllu"))


def three_files(folder, words="play it \nstop\n", tags="O B-x \nO\n", labels="go\nhalt"):
    for name, content in {"seq.in": words, "seq.out": tags, "label": labels}.items():
        write(folder, content, name)
    return folder


def test_three_files(tmp_path):
    sentences = read_three_files(three_files(tmp_path, words="play  it \nstop\n"))
    assert sentences["seq.in"] == [["play", "it"], ["stop"]]
    assert sentences["seq.out"] == [["O", "B-x"], ["O"]]
    assert sentences["# label"] == ["go", "halt"]
    assert sentences.where(1, "seq.out", 0) == f"{tmp_path / 'seq.out'}, line 2"
    assert sentences.where(0, "# label") == f"{tmp_path / 'label'}, line 1"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tags": "O\nO\n"}, r"seq.out, line 1: 1 tags, but .*seq.in has 2 tokens"),
        ({"tags": "O O\n"}, r"seq.out, line 2: the file has ended, but .*seq.in, .*label has 2 lines"),
        ({"labels": "go\nhalt\nhalt\n"}, r"seq.in, line 3: the file has ended, but .*label has 3 lines"),
        ({"words": "a b\n \nc\n"}, r"seq.in, line 2: an empty line"),
        ({"labels": "\nx\n"}, r"label, line 1: an empty line"),
        ({"labels": ""}, r"label: the file is empty"),
    ],
)
def test_faults_in_three_files(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        read_three_files(three_files(tmp_path, **files))


def test_the_form_follows_from_the_path(tmp_path):
    columns = read_sentences(write(tmp_path, "X a\n"), words="word", reading=Reading(header=("pos", "word")))
    assert columns["word"] == [["a"]]
    conllu = read_sentences(write(tmp_path, CONLLU_FILE, "a.conllu"), words="form")
    assert [name for name in conllu.columns if name[0] != "#"] == list(CONLLU)
    folder = three_files(tmp_path / "train")
    assert read_sentences(folder, words="seq.in")["seq.in"][1] == ["stop"]
    with pytest.raises(InputError, match=r"train: unknown column of tokens 'word'.*known: seq.in"):
        read_sentences(folder, words="word")
    with pytest.raises(InputError, match=r"a\.conll: a column file needs `columns`"):
        read_sentences(tmp_path / "a.conll", words="word")


def test_latin_1(tmp_path):
    path = write(tmp_path, b"\xe9t\xe9 N O\n")
    assert read_columns(path, HEADER, encoding="latin-1")["word"] == [["été"]]


@pytest.mark.parametrize("separator", ["\t", " "])
def test_white_space_around_a_field_is_no_part_of_it(tmp_path, separator):
    path = write(tmp_path, "Cora|N|B-PER \n the |D|O\n".replace("|", separator))
    assert read_columns(path, HEADER)["ner"] == [["B-PER", "O"]]
    assert read_columns(path, HEADER)["word"] == [["Cora", "the"]]
    conllu = CONLLU_FILE.replace("\tVERB\t", "\tVERB \t")
    assert read_conllu(write(tmp_path, conllu, "a.conllu"))["upos"] == [["VERB", "PRON", "SYM"]]


@pytest.mark.parametrize("first", ["word pos ner", "Token POS NER", "Word POS Chunk"])
def test_a_line_of_names_is_no_token(tmp_path, first):
    assert read_columns(write(tmp_path, f"{first}\na X O\nword pos ner\n"), HEADER)["word"] == [["a", "word"]]
    assert read_columns(write(tmp_path, f"{first}\n\na X O\n"), HEADER)["word"] == [["a"]]


@pytest.mark.parametrize("sign", ["/", ":", "_"])
def test_words_with_their_tags(tmp_path, sign):
    path = write(tmp_path, "the|DET 1/2|NUM a:b_c|X\n\n stop|VERB \n".replace("|", sign), "a.txt")
    table = read_tagged_words(path, sign=sign)
    assert table["word"] == [["the", "1/2", "a:b_c"], ["stop"]]
    assert table["tag"] == [["DET", "NUM", "X"], ["VERB"]]
    assert table.where(1, "tag", 0) == f"{path}, line 3"
    reading = Reading(header=("form", "upos"), format=f"word{sign}TAG")
    assert read_sentences(path, words="form", reading=reading)["upos"] == table["tag"]
    for fault in ("stop", f"stop{sign}", f"{sign}VERB"):
        with pytest.raises(InputError, match=rf"line 2: '{fault}', expected WORD{sign}TAG"):
            read_tagged_words(write(tmp_path, f"a{sign}X\n{fault}\n", "b.txt"), sign=sign)


def test_lists_in_a_table_are_tokens_too(tmp_path):
    path = write(tmp_path, '{"tokens": ["a", "b"], "tags": [0, 1], "x": 1}\n', "a.jsonl")
    table = read_sentences(path, ("tokens", "tags"), words="tokens")
    assert dict(table.columns) == {"tokens": [["a", "b"]], "tags": [[0, 1]]}


def test_white_space_at_the_ends_of_a_line_is_no_column(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text(" -DOCSTART- X\n\nCora PROPN \t\nsings VERB\t\n")
    table = read_columns(path, ["word", "pos"])
    assert (table["word"], table["pos"]) == ([["Cora", "sings"]], [["PROPN", "VERB"]])
