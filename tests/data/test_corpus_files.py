import json

import datasets
import pytest

from graphmtl.data.loading import load_tasks
from graphmtl.data.task_file import read_task_file
from graphmtl.errors import DataWarning, InputError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def read(folder, content, task):
    """A task of a task file with this content, as it is read."""
    path = folder / "my-tasks.yaml"
    path.write_text(content)
    return read_task_file(path).sources[task]()


@pytest.mark.parametrize("name", [300 * "a" + ".csv", 300 * "a" + "*"])
def test_a_name_that_no_file_can_have_is_said(folder, name):
    with pytest.raises(InputError, match=r"cannot be read|no file fits"):
        read(folder, f"tasks: {{a: {{train: '{name}', test: 0.5, text: text}}}}", "a")


def test_encoding_and_pairs(folder):
    (folder / "pairs.tsv").write_bytes("text\tpair\tlabel\ncafé\tthé\tx\n".encode("latin-1"))
    entry = "tasks: {a: {train: pairs.tsv, test: 0.5, text: [text, pair]%s}}"
    source = read(folder, entry % ", encoding: latin-1", "a")
    train = source.corpus.train
    assert (train["text"], train["pair"], source.task.is_pair) == (["café"], ["thé"], True)
    with pytest.raises(InputError, match=r"pairs\.tsv, line 2: byte 0xe9 is not utf-8; the key `encoding`"):
        read(folder, entry % "", "a")


def test_a_hub_data_set(folder):
    (folder / "set").mkdir()
    for split in ("train", "validation", "test"):
        datasets.Dataset.from_dict({"text": [split], "label": [1]}).to_parquet(folder / "set" / f"{split}.parquet")
    source = read(folder, "{hub: set, tasks: {a: {label: label}, b: {valid: validation, test: validation}}}", "b")
    assert [each["text"] for each in (source.corpus.train, source.corpus.valid, source.corpus.test)] == [
        ["train"],
        ["validation"],
        ["validation"],
    ]
    source = read(folder, "{hub: set, tasks: {a: {label: label}}}", "a")
    assert (source.corpus.train["text"], source.corpus.valid, source.corpus.test["text"]) == (["train"], 0.1, ["test"])


def test_a_hub_out_of_reach(folder, monkeypatch):
    tried = []

    def no_network(*args, **kwargs):
        tried.append((args, kwargs))
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *args, **kwargs: None)
    monkeypatch.setattr(datasets, "load_dataset", no_network)
    with pytest.raises(InputError, match=r"Hub data set nyu-mll/glue \(cola\), split train: .*no network"):
        read(folder, "tasks: {a: {hub: nyu-mll/glue, config: cola}}", "a")
    assert tried == [(("nyu-mll/glue",), {"name": "cola", "split": "train"})]


def test_conllu_and_three_files(folder):
    (folder / "a.conllu").write_text("# s_type = decl\n" + "\t".join(["1", "Ann", "_", "N", *"_" * 6]) + "\n")
    (folder / "train").mkdir()
    for name, content in {"seq.in": "go now", "seq.out": "O B-x", "label": "leave"}.items():
        (folder / "train" / name).write_text(content)
    upos = read(folder, "tasks: {upos: {train: a.conllu, test: 1, tokens: form, label: upos}}", "upos")
    assert upos.corpus.train["upos"] == [["N"]]
    content = "{train: train, test: train, tokens: seq.in, tasks: {slot: {label: seq.out}, intent: {label: '# label'}}}"
    slot, intent = (read(folder, content, name) for name in ("slot", "intent"))
    assert slot.corpus.train["seq.out"] == [["O", "B-x"]]
    assert intent.corpus.train["# label"] == ["leave"]


def labels_of(folder, content, task="a"):
    """The task, and the labels of its training split by name, None where there is none."""
    path = folder / "my-tasks.yaml"
    path.write_text(content)
    data = load_tasks(path)[task]
    names = {**dict(enumerate(data.task.labels)), -100: None}
    return data, [[names[i] for i in own] if isinstance(own, list) else names[own] for own in data.train["label"]]


def test_several_files_and_patterns(folder):
    for i in (1, 2):
        (folder / f"part-{i}.csv").write_text(f"text,label\na{i},x\nb{i},y\n")
    for train in ("[part-1.csv, part-2.csv]", "part-*.csv"):
        data, found = labels_of(folder, f"tasks: {{a: {{train: {train}, valid: part-1.csv, test: part-2.csv}}}}")
        assert (data.train["text"][:], found) == (["a1", "b1", "a2", "b2"], ["x", "y", "x", "y"])
    with pytest.raises(InputError, match=r"part-\[9\].csv: no file fits the pattern"):
        labels_of(folder, "tasks: {a: {train: 'part-[9].csv', test: 1}}")
    (folder / "part-2.csv").write_text("text,label\nc2,x\nd2,z\ne2,x\n")
    with pytest.raises(InputError, match=r"part-2.csv, line 3: label 'z' is not among"):
        labels_of(folder, "tasks: {a: {train: part-*.csv, valid: part-1.csv, test: part-1.csv, labels: [x, y]}}")


@pytest.mark.parametrize("mapping", ["0\tcalm\n1\tangry\n", "calm\nangry\n", "0 calm\n1 angry\n"])
def test_texts_and_labels_side_by_side_with_a_file_of_names(folder, mapping):
    for name, content in {"t.txt": "one\ntwo\n", "l.txt": "1\n0\n", "m.txt": mapping}.items():
        (folder / name).write_text(content)
    files = "{text: t.txt, label: l.txt}"
    data, found = labels_of(folder, f"tasks: {{a: {{train: {files}, valid: {files}, test: {files}, labels: m.txt}}}}")
    assert (data.task.labels, found) == (("calm", "angry"), ["angry", "calm"])


def test_a_file_for_each_label(folder):
    (folder / "pos.txt").write_text("good\nfine\n")
    (folder / "neg.txt").write_text("bad\n")
    files = "{positive: pos.txt, negative: neg.txt}"
    data, found = labels_of(folder, f"tasks: {{a: {{train: {files}, valid: {files}, test: {files}}}}}")
    assert (data.train["text"][:], found) == (["good", "fine", "bad"], ["positive", "positive", "negative"])


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("codes", [True, False])
def test_lists_of_tokens_and_tags(folder, suffix, codes):
    names = ["O", "B-PER", "I-PER"]
    tags = [[1, 2, 0], [0, 1]] if codes else [["B-PER", "I-PER", "O"], ["O", "B-PER"]]
    rows = datasets.Dataset.from_dict({"words": [["Ada", "L", "ran"], ["a", "Bob"]], "tags": tags, "kind": ["x", "y"]})
    path = folder / f"a.{suffix}"
    {"jsonl": rows.to_json, "parquet": rows.to_parquet, "json": lambda p: p.write_text(json.dumps(rows.to_list()))}[
        suffix
    ](path)
    labels = "labels: {0: O, 1: B-PER, 2: I-PER}, " if codes else ""
    files = f"train: {path.name}, valid: {path.name}, test: {path.name}, tokens: words"
    content = f"{{{files}, tasks: {{a: {{{labels}label: tags}}, b: {{kind: text-classification, label: kind}}}}}}"
    data, found = labels_of(folder, content)
    assert found == [["B-PER", "I-PER", "O"], ["O", "B-PER"]]
    assert set(data.task.labels) == set(names)
    assert data.task.metrics[0] == "span_f1"
    other, found = labels_of(folder, content, "b")
    assert (found, other.corpus) == (["x", "y"], "a+b")


@pytest.mark.parametrize(
    "content",
    [
        "words,tags\n\"['Ada', 'ran']\",\"['B-P', 'O']\"\na Bob,O B-P\n",
        'words,tags\n"[""Ada"", ""ran""]",B-P O\na Bob,O B-P\n',
    ],
)
def test_tokens_in_a_csv_file(folder, content):
    (folder / "a.csv").write_text(content)
    files = "train: a.csv, valid: a.csv, test: a.csv, tokens: words, label: tags"
    data, found = labels_of(folder, f"tasks: {{a: {{{files}}}}}")
    assert (data.train["tokens"][:], found) == ([["Ada", "ran"], ["a", "Bob"]], [["B-P", "O"], ["O", "B-P"]])


def test_tokens_and_tags_side_by_side(folder):
    for name, text in {"w.txt": "Ada ran\na Bob\n", "t.txt": "B-P O\nO B-P\n", "i.txt": "go\nbe\n"}.items():
        (folder / name).write_text(text)
    files = "{words: w.txt, tags: t.txt, intent: i.txt}"
    content = f"{{train: {files}, valid: {files}, test: {files}, tokens: words, tasks: {{a: {{label: tags}}, "
    content += "b: {kind: text-classification, label: intent}}}"
    assert labels_of(folder, content)[1] == [["B-P", "O"], ["O", "B-P"]]
    assert labels_of(folder, content, "b")[1] == ["go", "be"]


def test_rows_that_are_no_sentences(folder):
    (folder / "a.jsonl").write_text(
        '{"t": ["a", "b"], "g": ["X", "Y"]}\n{"t": [], "g": []}\n{"t": ["c"], "g": ["X"]}\n'
    )
    content = "tasks: {a: {train: a.jsonl, valid: a.jsonl, test: a.jsonl, tokens: t, label: g}}"
    with pytest.warns(DataWarning, match=r"a.jsonl: 1 rows without a token are left out"):
        data, found = labels_of(folder, content)
    assert (found, data.train["row"][:]) == ([["X", "Y"], ["X"]], [1, 3])
    for row, message in {
        '{"t": ["a"], "g": ["X", "Y"]}': "line 1: 2 tags in column 'g', but 1 tokens",
        '{"t": 1, "g": ["X"]}': "line 1: column 't' holds 1, expected",
        '{"t": ["a", " "], "g": ["X", "Y"]}': "line 1: token 2 is ' ', expected a text",
        '{"t": ["a"], "g": 5}': "line 1: column 'g' holds 5, expected a list of tags",
    }.items():
        (folder / "a.jsonl").write_text(row)
        with pytest.raises(InputError, match=message):
            labels_of(folder, content)
