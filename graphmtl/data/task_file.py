"""Task sets of one's own, described in a YAML file.

.. code-block:: yaml

    name: shops                      # optional; the file's name otherwise
    metrics: [accuracy, f1]          # a key above `tasks` holds for every task that does not say otherwise
    tasks:
      books:
        train: books.train.tsv       # csv, tsv, jsonl or parquet, relative to this file
        test: books.test.tsv         # a file, or how much of train to cut off: a share (0.2) or a number (500)
        valid: 0.1                   # likewise, of what is left; this is the default
        text: review                 # the column of the text, or two: [premise, hypothesis]; default: text
        label: stars                 # default: label
        labels: {1: bad, 5: good}    # optional: the classes in order, as a list or with names
        positive: good               # optional: the label whose F1 the metric f1 is; else the mean over labels
        encoding: latin-1            # default: utf-8
      prices:
        kind: regression             # the label is a number
        scale: [0, 5]                # optional: the lowest and the highest; a number outside is an error
        train: prices.jsonl
        test: 0.2
      letters:
        train: letters.csv
        test: 500
        columns: [label, text]       # the columns' names where the file has no line of them
      cola:
        hub: nyu-mll/glue            # a data set of the Hub, or a local folder laid out like one
        config: cola
        train: train                 # the names of its splits; these are the defaults
        test: validation
        text: sentence

Tasks of kind ``token-classification`` are read from column files, and so is any task that has the key ``tokens``. Tasks
that name the same files and columns are layers of one corpus, which is read once:

.. code-block:: yaml

    train: train.conll               # a token a line; or .conllu, or a folder with seq.in, seq.out and label
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
        head: crf                    # linear or crf; default: as the run's options say
      genre: {label: "# genre"}      # the label of a sentence: the value in a comment `# genre = news`; of a folder
                                     # "# label"
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from graphmtl.data.arrow import read_hub
from graphmtl.data.column_files import read_sentences
from graphmtl.data.examples import Columns, Examples
from graphmtl.data.readers import read_file
from graphmtl.data.source import Corpus, Layer, Source, SourceSet
from graphmtl.data.tags import SCHEMES
from graphmtl.data.task import Task
from graphmtl.data.yaml_lines import plain_value, read_yaml, yaml_keys
from graphmtl.errors import InputError, shown, unknown_name

__all__ = ["read_task_file"]

_SPLITS = ("train", "valid", "test")
_TEXT_KEYS = ("text", "hub", "config")  # what only tasks of texts have
_TOKEN_KEYS = ("tokens", "scheme", "head")  # what only tasks of tokens have
_NUMBER_KEYS = ("scale",)  # what only regressions have
_TASK_KEYS = (
    *("label", "labels", "metrics", "positive", "kind", "encoding", "columns"),
    *(*_TEXT_KEYS, *_TOKEN_KEYS, *_NUMBER_KEYS, *_SPLITS),
)
_FILE_KEYS = ("name", "tasks", *_TASK_KEYS)
_QUOTES = "(in quotes where YAML takes it for something else)"
_SIZE = "how much of `train` to cut off (a share such as 0.1, or a number of examples)"


def read_task_file(path: Path) -> SourceSet:
    """Reads a task file; the files of its tasks are read later, each when its source is called.

    Raises:
        InputError: the file is missing, is no YAML, or has a key or a value that is not accepted; file and line named.
    """
    top = _Section(path, read_yaml(path), what="the file")
    top.check_keys(_FILE_KEYS)
    if "tasks" not in top:
        raise InputError(f"{path}: no key `tasks`")
    tasks = _Section(path, top.keys["tasks"].node, what="`tasks`")
    entries = [_entry(name, tasks, top) for name in tasks.keys]
    name = top.text("name") if "name" in top else path.stem
    first = {entry.files: entry.task.name for entry in reversed(entries)}
    corpus = cache(_read_corpus)
    return SourceSet(
        name=name,
        sources={
            entry.task.name: partial(_read_layer, entry, partial(corpus, entry.files, f"{name}/{first[entry.files]}"))
            if entry.task.tokens
            else partial(_read_source, entry)
            for entry in entries
        },
    )


class _Section:
    """A mapping in a YAML file that knows the line of each key.

    Args:
        path: the file.
        node: the mapping.
        what: what an error calls it.
    """

    def __init__(self, path: Path, node: yaml.Node | None, *, what: str):
        if not isinstance(node, yaml.MappingNode) or not node.value:
            line = f", line {node.start_mark.line + 1}" if node else ""
            raise InputError(f"{path}{line}: {what} must hold `key: value` lines")
        self.path, self.what = path, what
        self.keys = yaml_keys(node, path, what=what)

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def where(self, key: str) -> str:
        return f"{self.path}, line {self.keys[key].line}"

    def check_keys(self, known: Iterable[str]) -> None:
        for key in self.keys:
            if key not in known:
                raise InputError(f"{self.where(key)}: {unknown_name('key', key, known)}")

    def value(self, key: str) -> Any:
        return plain_value(self.keys[key].node, self.path)

    def wrong(self, key: str, expected: str) -> InputError:
        found = self.keys[key].node.value
        found = f"is {shown(found)}" if isinstance(found, str) else "holds several values"
        return InputError(f"{self.where(key)}: `{key}` {found}, expected {expected}")

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, f"a text {_QUOTES}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.value(key)
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str) and each for each in values):
            raise self.wrong(key, f"a text {_QUOTES} or a list of texts")
        return tuple(values)

    def labels(self, key: str) -> dict[str, str]:
        """A list of labels, or {label: name}."""
        value = self.value(key)
        names = dict(zip(value, value, strict=True)) if isinstance(value, list) and _plain(value) else value
        if not isinstance(names, dict) or not _plain([*names, *names.values()]):
            raise self.wrong(key, "a list of labels, or `label: name` lines, with yes, no, on and off in quotes")
        if len(set(map(str, names.values()))) < max(len(value), 2):
            raise self.wrong(key, "two or more different labels")
        return {str(label): str(name) for label, name in names.items()}

    def scale(self, key: str) -> tuple[float, float]:
        """The lowest and the highest score."""
        value = self.value(key)
        numbers = isinstance(value, list) and [each for each in value if _is_number(each)]
        if not numbers or len(numbers) != len(value) or len(value) != 2 or not numbers[0] < numbers[1]:
            raise self.wrong(key, "the lowest and the highest score, such as [0, 5]")
        return float(numbers[0]), float(numbers[1])

    def split(self, key: str) -> str | float:
        """A file, or the name of a split, or how much of the training examples to cut off."""
        value = self.value(key)
        if _is_number(value) and key != "train" and (0 < value < 1 or (value >= 1 and value % 1 == 0)):
            return value
        if isinstance(value, str) and value.strip():
            return value
        raise self.wrong(key, "a file" if key == "train" else f"a file, or {_SIZE}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(values: Iterable[object]) -> bool:
    return all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """What a task is read from; the same for all layers of a corpus."""

    folder: Path
    train: str
    valid: str | float
    test: str | float
    columns: Columns
    hub: str | None
    config: str | None


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A task of the file, with the keys that hold for all tasks filled in."""

    task: Task
    files: _Files
    names: dict[str, str]
    scheme: str | None
    default_metrics: bool
    where: str


def _entry(name: str, tasks: _Section, top: _Section) -> _Entry:
    own = _Section(tasks.path, tasks.keys[name].node, what=f"task {name!r}")
    own.check_keys(_TASK_KEYS)
    section = {key: own if key in own else top for key in _TASK_KEYS if key in own or key in top}
    names = section["labels"].labels("labels") if "labels" in section else {}
    task = _task(name, section, names, tasks.where(name))
    _check_form(task, section, own, tasks.where(name))
    return _Entry(
        task=task,
        files=_files(task, section, tasks),
        names=names,
        scheme=_scheme(section),
        default_metrics="metrics" not in section,
        where=section["positive"].where("positive") if "positive" in section else tasks.where(name),
    )


def _task(name: str, section: Mapping[str, _Section], names: Mapping[str, str], where: str) -> Task:
    fields: dict[str, Any] = {key: section[key].text(key) for key in ("label", "kind", "head") if key in section}
    fields |= {key: section[key].texts(key) for key in ("text", "metrics") if key in section}
    fields |= {"scale": section["scale"].scale("scale")} if "scale" in section else {}
    if "positive" in section:  # by its name, where it has one
        codes = {name: label for label, name in names.items()}
        positive = section["positive"].text("positive")
        fields["positive"] = codes.get(positive, positive)
    if "tokens" in section:
        fields |= {"tokens": True, "text": (section["tokens"].text("tokens"),)}
        tagged = not fields.get("label", "").startswith("#")
        fields.setdefault("kind", "token-classification" if tagged else "text-classification")
        if not tagged:
            fields.pop("head", None)  # it may stand above `tasks`, for those that are tagged
    try:
        return Task(name=name, labels=tuple(names), **fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _check_form(task: Task, section: Mapping[str, _Section], own: _Section, where: str) -> None:
    """Texts and tokens have different keys, and so have tokens that are tagged and sentences that are labelled."""
    if task.tokens and "tokens" not in section:
        raise InputError(f"{where}: task {task.name!r} has no `tokens`; give the name of the column of the tokens")
    wrong = set(_TEXT_KEYS if task.tokens else _TOKEN_KEYS)
    if not task.is_tagging:
        wrong |= {"scheme", "head"}
    for key in own.keys:
        if key in wrong:
            form = "that tags tokens" if task.is_tagging else "of labelled sentences" if task.tokens else "of texts"
            raise InputError(f"{own.where(key)}: `{key}` is no key of a task {form}")


def _files(task: Task, section: Mapping[str, _Section], tasks: _Section) -> _Files:
    words = {key: section[key].text(key) for key in ("encoding", "hub", "config") if key in section}
    header = section["columns"].texts("columns") if "columns" in section else ()
    splits: dict[str, Any] = {"train": "train", "valid": 0.1, "test": "test"} if "hub" in words else {"valid": 0.1}
    splits |= {key: section[key].split(key) for key in _SPLITS if key in section}
    for key in _SPLITS:
        if key not in splits:
            cut = f", or {_SIZE}" if key == "test" else ""
            raise InputError(f"{tasks.where(task.name)}: task {task.name!r} has no `{key}`; give a file{cut}")
    encoding = words.get("encoding", Columns.encoding)
    label = "" if task.tokens else task.label  # the layers of a corpus differ in it
    return _Files(
        folder=tasks.path.parent,
        **splits,
        columns=Columns(text=task.text, label=label, header=header, encoding=encoding, scores=task.is_regression),
        hub=words.get("hub"),
        config=words.get("config"),
    )


def _scheme(section: Mapping[str, _Section]) -> str | None:
    if "scheme" not in section:
        return None
    scheme = section["scheme"].text("scheme")
    if scheme not in (*SCHEMES, "none"):
        where = section["scheme"].where("scheme")
        raise InputError(f"{where}: {unknown_name('scheme', scheme, (*SCHEMES, 'none'))}")
    return scheme


def _read_layer(entry: _Entry, corpus: Callable[[], Corpus]) -> Layer:
    return Layer(
        task=entry.task,
        corpus=corpus(),
        scheme=entry.scheme,
        default_metrics=entry.default_metrics,
        names=entry.names,
        where=entry.where,
    )


def _read_corpus(files: _Files, name: str) -> Corpus:
    columns = files.columns
    read = partial(read_sentences, header=columns.header, words=columns.text[0], encoding=columns.encoding)
    return Corpus(
        name=name,
        train=read(files.folder / files.train),
        valid=read(files.folder / files.valid) if isinstance(files.valid, str) else files.valid,
        test=read(files.folder / files.test) if isinstance(files.test, str) else files.test,
    )


def _read_source(entry: _Entry) -> Source:
    files = entry.files
    return Source(
        task=entry.task,
        names=entry.names,
        where=entry.where,
        train=_read(files, files.train),
        valid=_read(files, files.valid) if isinstance(files.valid, str) else files.valid,
        test=_read(files, files.test) if isinstance(files.test, str) else files.test,
    )


def _read(files: _Files, name: str) -> Examples:
    if files.hub is None:
        return read_file(files.folder / name, files.columns)
    local = files.folder / files.hub
    hub = str(local) if local.is_dir() else files.hub
    return read_hub(hub, files.columns, config=files.config, split=name)
