"""Task sets of one's own, described in a YAML file.

.. code-block:: yaml

    name: shops                      # optional; the file's name otherwise
    metrics: [accuracy, f1]          # a key above `tasks` holds for every task that does not say otherwise and whose
                                     # kind has such a key
    tasks:
      books:
        train: books.train.tsv       # csv, tsv, txt, jsonl, json or parquet (also .gz, .xz), relative to this file; or
                                     # several, [a.csv, b.csv], or a pattern, "part-*.csv"
        test: books.test.tsv         # likewise, or how much of train to cut off: a share (0.2) or a number (500)
        valid: 0.1                   # likewise, of what is left; this is the default
        text: review                 # the column of the text, or two: [premise, hypothesis]; default: text
        label: stars                 # default: label
        labels: {1: bad, 5: good}    # optional: the classes in order, as a list, with names, or a file with a name (or
                                     # a label and its name) a line; one of them may be missing from training
        missing: ["-", n/a]          # optional: what stands where there is no label; nothing, null and nan always do
        positive: good               # optional: the label whose F1 the metric f1 is; else the mean over labels
        class_weights: {bad: 5}      # optional: how much the examples of a label count in the loss, 1 where it does not
                                     # say; or `balanced`: as much in all as those of each other label
        weight: 0.5                  # optional: of the task's loss beside those of other tasks; default: 1
        max_length: 400              # optional: tokens kept of a text; default: as --max-length says; of tasks over
                                     # the same texts the largest
        unlabelled: more.txt         # optional: texts without a label that `pretrain` and --self-training read: one a
                                     # line, or in the column of the text of a csv, jsonl, ... file; or several files
        source: https://example.org  # optional: where the data is from, for the model card; likewise
        licence: cc-by-4.0           # what it may be used for, and
        language: en                 # the language of the texts; or several, [en, de]
        encoding: latin-1            # default: utf-8
        delimiter: ";"               # default: as the ending of the file says; `TAB` may be written so
        quoting: csv                 # fields may stand in double quotes; `none`: quotes are letters; default: csv in a
                                     # csv file, in a tsv file as its fields look
      prices:
        kind: regression             # the label is a number
        scale: [0, 5]                # optional: the lowest and the highest; a number outside is an error
        train: prices.jsonl
        test: 0.2
      swag:
        kind: multiple-choice        # which of several choices is right; their number may differ from row to row
        train: swag.csv
        test: 0.2
        text: context                # the column of the context, or two, joined with a space: [passage, question]
        choices: [ending0, ending1]  # a column for each choice, of which the last ones may be empty; or the one column
                                     # that holds lists of texts (of the Hub also {text: [...], label: [A, B, ...]})
        label: label                 # the place of the right one, counted from 0; or a letter from A on, or its text,
                                     # as the labels look; -1 is none
        first: 0                     # optional, where that could be either: what the label is where the first one is
                                     # right, 0, 1 or A; or `text`
      moods:
        kind: multi-label            # any of several labels for every text: a list ([joy, fear]; none applies: []), or
        train: moods.jsonl           # where `labels` names them in their order a row of 0 and 1, one for each
        test: 0.2
        separator: ","               # what stands between labels that are a text (joy, fear); without it they are lists
      questions:
        kind: question-answering     # the answer is a span of the context, the second text
        train: train-v2.0.json       # as SQuAD has it (`format: squad` where the ending is another), or rows of a file
        test: dev-v2.0.json          # or the Hub
        text: [question, context]
        label: answers               # {"text": [...], "answer_start": [...]}, or a list of {"text", "answer_start"}, in
                                     # characters; of several the first is learned, and the best one counts; an empty
                                     # list where there is none. Or a text that stands once in the context
      stars:
        kind: ordinal                # labels that have an order: numbers, or as `labels` lists them, the lowest first
        train: stars.csv
        test: 0.2
      letters:
        train: letters.csv
        test: 500
        columns: [label, text]       # the columns' names where the file has no line of them
      topics:
        format: LABEL text           # on a line a label, a space or TAB, and the text; fastText's __label__x too
        train: topics.txt
        test: 0.2
      emotions:                      # files side by side, a row a line
        train: {text: train_text.txt, label: train_labels.txt}
        test: {text: test_text.txt, label: test_labels.txt}
        labels: mapping.txt
      films:                         # a file for each label, a text a line; or a folder for each, a text a file
        train: {positive: pos.txt, negative: neg.txt}
        test: 0.2
      cola:
        hub: nyu-mll/glue            # a data set of the Hub, or a local folder laid out like one
        config: cola
        train: train                 # the names of its splits; these are the defaults
        test: validation
        text: sentence

Tasks that name the same files are one corpus, which is read once and cut once: each has its column of labels, and
learns nothing of a row in which it has none.

Tasks of kind ``token-classification``, and any others that have the key ``tokens``, read lists of tokens and of tags
from jsonl, json, parquet or the Hub, or a column file:

.. code-block:: yaml

    train: train.conll               # a token a line; or .conllu, or a folder with seq.in, seq.out and label; or a
                                     # sentence a line, with the key `format: word/TAG` (or word:TAG, word_TAG)
    valid: dev.conll
    test: test.conll
    columns: [word, pos, ner]        # the columns' names; .conllu has those of CoNLL-U, a folder has seq.in and seq.out
    tokens: word                     # the column of the tokens
    tasks:
      pos: {label: pos}              # the column of the tags; _ is a tag that is missing
      ner:
        label: ner
        scheme: iob1                 # iob1, iob2, bioes, bilou, bmes, or none for tags that are no spans; default: as
                                     # the tags look
        head: crf                    # linear, crf or module:Class; default: as the run's options say
      genre: {label: "# genre"}      # the label of a sentence: the value in a comment `# genre = news`; of a folder
                                     # "# label"
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from graphmtl.data.column_files import TOKEN_FORMATS
from graphmtl.data.corpus_files import CorpusFiles, Place, read_corpus
from graphmtl.data.delimited import Reading
from graphmtl.data.kind import Kind, default_kind, kind_class
from graphmtl.data.lines import each_line, read_lines
from graphmtl.data.memory import ACCEPTED, Data, is_data, splits_of
from graphmtl.data.readers import FORMATS, ending, read_file
from graphmtl.data.section import Given, Section, YamlSection, is_number
from graphmtl.data.source import Corpus, Source, SourceSet
from graphmtl.data.tags import SCHEMES
from graphmtl.data.task import Task
from graphmtl.data.values import texts
from graphmtl.data.yaml_lines import read_yaml
from graphmtl.errors import InputError
from graphmtl.files import is_there
from graphmtl.registry import KINDS

__all__ = ["given_tasks", "read_task_file"]

_SPLITS = ("train", "valid", "test")
_READING_KEYS = ("encoding", "columns", "delimiter", "quoting", "format")
_TASK_KEYS = (
    *("label", "labels", "missing", "metrics", "positive", "kind", "scale", "text", "hub", "config"),
    *("tokens", "scheme", "head", "weight", "class_weights", "max_length", "choices", "first", "separator"),
    *("unlabelled", "source", "licence", "language"),
    *(*_READING_KEYS, *_SPLITS),
)
_FILE_KEYS = ("name", "tasks", *_TASK_KEYS)
_SIZE = "how much of `train` to cut off (a share such as 0.1, or a number of examples)"
_FILES = "a file (or a list, a pattern, or {column or label: file})"
_NAMED_FORMATS = sorted({name for name in (*FORMATS, *TOKEN_FORMATS) if not name.startswith(".")})


def read_task_file(path: Path, *, scored: bool = False) -> SourceSet:
    """Reads a task file; the files of its tasks are read later, each when its source is called.

    Args:
        path: the file.
        scored: the tasks are not trained on. The training rows of each are then what its key ``test`` names, or where
            that names none all that ``train`` names; one of the two is enough, and nothing else is read.

    Raises:
        InputError: the file is missing, is no YAML, or has a key or a value that is not accepted; file and line named.
    """
    top = YamlSection(path, read_yaml(path), what="the file")
    top.check_keys(_FILE_KEYS)
    if "tasks" not in top:
        raise InputError(f"{path}: no key `tasks`")
    tasks = YamlSection(path, top.keys["tasks"].node, what="`tasks`")
    entries = []
    for name in tasks.keys:
        own = YamlSection(path, tasks.keys[name].node, what=f"task {name!r}")
        entries.append(_entry(name, own, top, folder=path.parent, where=tasks.where(name), scored=scored))
    return _source_set(top.text("name") if "name" in top else path.stem, entries)


def given_tasks(tasks: Mapping[str, Any]) -> SourceSet:
    """Tasks whose data are at hand, by their names.

    Args:
        tasks: for each task its rows (`graphmtl.data.memory.ACCEPTED`), of which ``test`` 0.2 and ``valid`` 0.1 are cut
            off, or a DatasetDict, or the keys of a task file with rows in the place of files: ``{"train": frame,
            "test": 0.2, "text": "review", "label": "stars"}``; ``data`` is a DatasetDict then.

    Raises:
        InputError: a name, key or value that is not accepted.
    """
    if not tasks:
        raise InputError("tasks: an empty mapping, expected {NAME: DATA}")
    entries = []
    for name, value in tasks.items():
        what = f"task {name!r}"
        if not isinstance(name, str):
            raise InputError(f"tasks: the name of a task is {name!r}, expected a text")
        keys = _given_keys(value, what)
        entries.append(_entry(name, Given(keys, what=what), Given({}, what=what), folder=Path(), where=what))
    return _source_set("memory", entries)


def _given_keys(value: Any, what: str) -> dict[str, Any]:
    """The keys of a task whose data were given in Python; rows become `Data`."""
    options = isinstance(value, Mapping) and ("train" in value or "data" in value) and not _is_splits(value)
    keys = dict(value) if options else {"data": value}
    data = keys.pop("data", None)
    if _is_splits(data):
        names = {split: keys[split] for split in _SPLITS if isinstance(keys.get(split), str) and keys[split] in data}
        named = {split: data[name] for split, name in names.items()}
        keys = {**splits_of(data, what, names), **keys, **named}
    elif data is not None:
        keys.setdefault("train", data)
    if "train" not in keys:
        raise InputError(f"{what}: no `train`, expected {ACCEPTED}")
    keys = {"valid": 0.1, "test": 0.2, **keys}
    for split in _SPLITS:
        rows = keys[split]
        if not isinstance(rows, str | Path) and (split == "train" or not is_number(rows)):
            if not is_data(rows):
                raise InputError(f"{what}, key {split!r}: found a {type(rows).__name__}, expected {ACCEPTED}")
            keys[split] = Data(rows, f"{what}, {split}")
        elif isinstance(rows, Path):
            keys[split] = str(rows)
    return keys


def _is_splits(value: Any) -> bool:
    """Whether it is a DatasetDict, or a plain mapping of several data sets."""
    return isinstance(value, Mapping) and len(value) > 0 and all(map(is_data, value.values()))


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A task of the file, with the keys that hold for all tasks filled in."""

    task: Task
    files: CorpusFiles
    names: dict[str, str]
    missing: tuple[str, ...]
    scheme: str | None
    default_metrics: bool
    class_weights: Mapping[str, float] | str | None
    unlabelled: Callable[[], Sequence[str]]
    where: str


def _source_set(name: str, entries: Sequence[_Entry]) -> SourceSet:
    """Tasks over the same files have one corpus, which is read when the first of them is asked for."""
    layers: dict[CorpusFiles, list[_Entry]] = {}
    for entry in entries:
        layers.setdefault(entry.files, []).append(entry)
    corpus = cache(lambda files: _corpus(files, layers[files], name))
    return SourceSet(name=name, sources={entry.task.name: partial(_source, entry, corpus) for entry in entries})


def _corpus(files: CorpusFiles, entries: Sequence[_Entry], name: str) -> Corpus:
    missing = (value for entry in entries for value in entry.missing)
    return read_corpus(files, [entry.task for entry in entries], name=name, missing=missing)


def _source(entry: _Entry, corpus: Callable[[CorpusFiles], Corpus]) -> Source:
    return Source(
        task=entry.task,
        corpus=corpus(entry.files),
        missing=entry.missing,
        scheme=entry.scheme,
        default_metrics=entry.default_metrics,
        class_weights=entry.class_weights,
        names=entry.names,
        unlabelled=entry.unlabelled,
        where=entry.where,
    )


def _unlabelled(section: Section, folder: Path, task: Task, reading: Reading) -> Callable[[], Sequence[str]]:
    """Reads the files that the key `unlabelled` names, which nobody but `pretrain` and self-training looks for."""
    paths, where = [folder / name for name in section.texts("unlabelled")], section.where("unlabelled")

    def read() -> list[str]:
        for path in paths:
            if not is_there(path):
                raise InputError(f"{where}: `unlabelled` is {path}: no such file")
        return [text for path in paths for text in _unlabelled_texts(path, task, reading)]

    return read


def _unlabelled_texts(path: Path, task: Task, reading: Reading) -> Sequence[str]:
    """The texts of a file without labels: one a line, or in the columns of the task's text.

    Raises:
        InputError: the file is one of tokens, is damaged, or lacks a column.
    """
    kind = ending(path)
    if kind in (".conll", ".conllu"):
        raise InputError(f"{path}: unlabelled texts are read one a line, or from csv, jsonl, ...; found a {kind} file")
    is_table = kind in FORMATS
    if kind == ".txt":
        is_table = {*task.text} < {*next(each_line(path, reading.encoding)).split("\t")}
    if not is_table:
        return read_lines(path, encoding=reading.encoding)
    table = read_file(path, task.text, replace(reading, format=None))
    return [text for column in task.text for text in texts(table, column)]


def _entry(name: str, own: Section, top: Section, *, folder: Path, where: str, scored: bool = False) -> _Entry:
    own.check_keys(_TASK_KEYS)
    section = _inherited(name, own, top, where)
    names = _label_names(section["labels"], folder) if "labels" in section else {}
    task = _task(name, section, names, where)
    _check_form(task, section, own, where)
    files = _files(task, section, folder, where, scored)
    unlabelled = _unlabelled(section["unlabelled"], folder, task, files.reading) if "unlabelled" in section else tuple
    return _Entry(
        task=task,
        files=files,
        names=names,
        missing=section["missing"].plain("missing") if "missing" in section else (),
        scheme=section["scheme"].choice("scheme", (*SCHEMES, "none")) if "scheme" in section else None,
        default_metrics="metrics" not in section,
        class_weights=_class_weights(section["class_weights"], names) if "class_weights" in section else None,
        unlabelled=unlabelled,
        where=section["positive"].where("positive") if "positive" in section else where,
    )


def _inherited(name: str, own: Section, top: Section, where: str) -> dict[str, Section]:
    """Where each key stands: with the task or above `tasks`, but there not those that are for tasks of other kinds."""
    section = {key: own if key in own else top for key in _TASK_KEYS if key in own or key in top}
    kind = _kind(name, section, where)
    owners: dict[str, list[str]] = {}
    for other in KINDS:
        for key in {*kind_class(other).has, *kind_class(other).keys}:
            owners.setdefault(key, []).append(other)
    others = owners.keys() - {*kind.has, *kind.keys}
    for key in own.keys:
        if key in others:
            owned = f"`{key}` is for tasks of {', '.join(owners[key])}"
            raise InputError(f"{own.where(key)}: {owned}; task {name!r} is of another kind")
    return {key: place for key, place in section.items() if place is own or key not in others}


def _kind(task: str, section: Mapping[str, Section], where: str) -> type[Kind]:
    """The kind of the task, or what it is where nothing says so."""
    of_tokens = "tokens" in section and not _of_sentences(section)
    name = section["kind"].text("kind") if "kind" in section else default_kind(labels_tokens=of_tokens)
    try:
        return kind_class(name, what=f"kind of task {task!r}")
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _of_sentences(section: Mapping[str, Section]) -> bool:
    """Whether the labels stand in comments, each of a whole sentence."""
    return "label" in section and section["label"].text("label").startswith("#")


def _label_names(section: Section, folder: Path) -> dict[str, str]:
    """{label: name}, as given or from a file that has a name a line, or a label and its name."""
    given = section.value("labels")
    if not isinstance(given, str) or not (folder / given).is_file():
        return section.labels("labels")
    lines = [line.strip() for line in read_lines(folder / given)]
    pairs = [line.split(None if "\t" not in line else "\t", 1) for line in lines]
    if all(len(pair) == 2 and pair[0].lstrip("-").isdigit() for pair in pairs):
        return {label: name.strip() for label, name in pairs}
    return {str(i): name for i, name in enumerate(lines)}


def _task(name: str, section: Mapping[str, Section], names: Mapping[str, str], where: str) -> Task:
    fields: dict[str, Any] = {
        key: section[key].text(key) for key in ("label", "kind", "head", "source", "licence") if key in section
    }
    fields |= {key: section[key].texts(key) for key in ("text", "metrics", "choices", "language") if key in section}
    fields |= {"first": section["first"].plain("first")[0]} if "first" in section else {}
    fields |= {"scale": section["scale"].scale("scale")} if "scale" in section else {}
    fields |= {"weight": section["weight"].number("weight")} if "weight" in section else {}
    fields |= {"max_length": section["max_length"].count("max_length")} if "max_length" in section else {}
    if "positive" in section:  # by its name, where it has one
        codes = {name: label for label, name in names.items()}
        (positive,) = section["positive"].plain("positive")[:1]
        fields["positive"] = codes.get(positive, positive)
    if "scheme" in section and section["scheme"].text("scheme") == "none":
        fields["scheme"] = "none"
    if "separator" in section:
        fields["separator"] = section["separator"].separator("separator")
    if "tokens" in section:
        if _of_sentences(section):
            fields["label"] = f"# {fields['label'].removeprefix('#').strip()}"
        fields |= {"tokens": True, "text": (section["tokens"].text("tokens"),)}
        fields.setdefault("kind", default_kind(labels_tokens=not _of_sentences(section)))
    try:
        return Task(name=name, labels=tuple(names), **fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _class_weights(section: Section, names: Mapping[str, str]) -> str | dict[str, float]:
    """By the labels' names; they may be given as they are written in the data too."""
    found = section.class_weights("class_weights")
    return found if isinstance(found, str) else {names.get(label, label): weight for label, weight in found.items()}


def _check_form(task: Task, section: Mapping[str, Section], own: Section, where: str) -> None:
    """Texts and tokens have different keys, and so have tokens that are tagged and sentences that are labelled."""
    if task.tokens and "tokens" not in section:
        raise InputError(f"{where}: task {task.name!r} has no `tokens`; give the name of the column of the tokens")
    kind = task.of_kind
    wrong = {"text"} if task.tokens else {"tokens"}
    for key in own.keys:
        if key in wrong:
            form = "that tags tokens" if kind.labels_tokens else "of labelled sentences" if task.tokens else "of texts"
            raise InputError(f"{own.where(key)}: `{key}` is no key of a task {form}")


def _files(task: Task, section: Mapping[str, Section], folder: Path, where: str, scored: bool) -> CorpusFiles:
    words = {key: section[key].text(key) for key in ("encoding", "hub", "config") if key in section}
    splits: dict[str, Any] = {"train": "train", "valid": 0.1, "test": "test"} if "hub" in words else {"valid": 0.1}
    splits |= {key: _place(section[key], key) for key in _SPLITS if key in section}
    if scored:
        held_out = splits.get("test", 1.0)
        splits |= {"valid": 0.1, "test": 0.2} if is_number(held_out) else {"train": held_out, "valid": 0.1, "test": 0.2}
    for key in _SPLITS:
        if key not in splits:
            cut = f", or {_SIZE}" if key == "test" else ""
            raise InputError(f"{where}: task {task.name!r} has no `{key}`; give a file{cut}")
    reading = Reading(
        header=section["columns"].texts("columns") if "columns" in section else (),
        encoding=words.get("encoding", Reading.encoding),
        delimiter=section["delimiter"].delimiter("delimiter") if "delimiter" in section else None,
        quoting=section["quoting"].choice("quoting", ("csv", "none")) if "quoting" in section else None,
        format=section["format"].choice("format", _NAMED_FORMATS) if "format" in section else None,
    )
    return CorpusFiles(folder=folder, **splits, reading=reading, hub=words.get("hub"), config=words.get("config"))


def _place(section: Section, key: str) -> Place | float:
    """Where a split is, or how much of the training examples to cut off."""
    value = section.value(key)
    if isinstance(value, Data) or (isinstance(value, str) and value.strip()):
        return value
    if is_number(value) and key != "train" and (0 < value < 1 or (value >= 1 and value % 1 == 0)):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) and each.strip() for each in value):
        return tuple(value)
    if isinstance(value, dict) and value and all(isinstance(each, str) and each.strip() for each in value.values()):
        return tuple((str(name), file) for name, file in value.items())
    raise section.wrong(key, _FILES if key == "train" else f"{_FILES}, or {_SIZE}")
