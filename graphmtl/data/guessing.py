"""What files of examples hold, guessed from their names and contents: text and label, the kind of task, the splits.

A guess is what a task file would say of them, and `graphmtl.data.task_file` reads it as it reads such a file.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphmtl.data.column_files import CONLLU, TOKEN_FORMATS, read_columns, read_sentences
from graphmtl.data.delimited import Reading
from graphmtl.data.encodings import likely_encoding
from graphmtl.data.label_set import alike_labels, no_labels, odd_labels, sort_labels, whole_numbers
from graphmtl.data.lines import read_bytes, read_lines, read_text
from graphmtl.data.overlap import normalise
from graphmtl.data.readers import FORMATS, ending, read_file
from graphmtl.data.rows import ROW_FORMATS, read_rows
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING
from graphmtl.data.values import labelled, labels, listed
from graphmtl.errors import InputError, shown

__all__ = ["Guess", "guess_tasks", "is_data"]

_SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "dev", "val", "development", "eval"),
    "test": ("test", "testing"),
}
_ENDINGS = {*(name for name in (*FORMATS, *TOKEN_FORMATS) if name.startswith(".")), ".conll"}
_TEXTS = (
    *("text", "sentence", "review", "tweet", "comment", "document", "utterance", "content", "body", "message"),
    *("question", "query", "headline", "title", "description", "abstract", "article", "post", "input"),
)
_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("question", "sentence")),
    *(("query", "document"), ("query", "passage"), ("question", "answer"), ("question", "passage")),
    *(("claim", "evidence"), ("source", "target"), ("source", "translation"), ("text", "text_pair")),
)
_LABELS = (
    *("label", "labels", "gold_label", "class", "category", "target", "y", "sentiment", "intent", "topic", "emotion"),
    *("stance", "polarity", "stars", "rating", "score", "similarity", "relatedness", "entailment", "genre", "type"),
)
_SCORES = (
    *("score", "rating", "similarity", "relatedness", "value", "price", "grade", "intensity", "valence", "arousal"),
    *("quality", "complexity", "readability", "probability", "stars"),
)
_TOKENS = ("tokens", "words", "token", "word", "form", "sentence", "text")
_TAGS = ("tags", "ner_tags", "ner", "labels", "label", "pos_tags", "pos", "upos", "chunk_tags", "slots", "tag", "xpos")
_TITLES = {*_TOKENS, *_TAGS, "chunk", "lemma"}  # what the columns of a column file are called
_NO_LABELS = ("id", "idx", "index", "guid", "uid", "row", "split", "fold", "url", "date", "year", "file", "filename")
_SIGNS = {"/": "word/TAG", "_": "word_TAG", ":": "word:TAG"}
_FIRST = re.compile(r"1|(?<![a-z0-9])a(?![a-z0-9])|a$")  # what names the first of two columns, as in text_a
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARKS = ("", "nan", "none", "null", "n/a", "na", "?", "-", "<na>")  # what stands in the place of a number
_CLASSES = 50  # different values of a column that is a label by nothing but its contents, at most
_NEARLY_ALL = 0.9  # of the rows with one label
_LONG = 1000  # words of a text
_LINES_LOOKED_AT = 2000  # to tell the form of a file; what is wrong in later ones its reader says
_COLUMNS_AT_MOST = 30  # of a column file


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A task as it was guessed.

    Args:
        name: its name, that of the file.
        keys: the keys of a task file; a file is a `Path`.
        rows: how many rows each split has that is a file.
        counts: how often each label or tag stands in the training rows, in the order of the labels; of a regression
            nothing.
        about: which scores a regression has.
        remarks: what looks wrong.
        columns: the columns of the training file.
    """

    name: str
    keys: Mapping[str, Any]
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    about: str
    remarks: tuple[str, ...]
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """One line: what was guessed of the file."""
        text = " and ".join(self.keys.get("text", ())) or self.keys["tokens"]
        return (
            f"{self.keys['train']}: guessed task {self.name!r}, {self.kind}, reads {text}, learns {self.keys['label']} "
            f"({self.answers}); {self.splits}"
        )

    @property
    def kind(self) -> str:
        return self.keys.get("kind", "text-classification")

    @property
    def answers(self) -> str:
        """The labels with their counts, the most frequent ones of many; or which scores there are."""
        most = Counter(self.counts).most_common(10)
        named = [f"{label} {self.counts[label]:,}" for label in self.counts if label in dict(most)]
        rest = [f"{len(self.counts) - len(most)} more"] if len(self.counts) > len(most) else []
        return self.about or ", ".join([*named, *rest])

    @property
    def splits(self) -> str:
        """How many rows there are, and how they are split."""
        found = ", ".join(f"{rows:,} rows in {split}" for split, rows in self.rows.items())
        parts = {
            "test": "a fifth for test",
            "valid": f"a tenth {'' if 'test' in self.rows else 'of the rest '}for valid",
        }
        cut = " and ".join(what for split, what in parts.items() if split not in self.rows)
        return f"{found}, {cut} cut off train" if cut else found


def is_data(name: str) -> bool:
    """Whether a name is that of a file, or of a folder of files, whose task can be guessed."""
    path = Path(name)
    try:
        if path.is_file():
            return path.suffix.lower() not in (".yaml", ".yml")
        if ending(path) in _ENDINGS:
            return True  # and missing, as the reader says
        treebank = path.is_dir() and any(each for form in ("txt", "conllu") for each in path.glob(f"*train.{form}"))
        return path.is_dir() and not treebank and bool(_training_files(path))
    except (OSError, ValueError):  # too long for a name, or with a character that none may have
        return False


def guess_tasks(paths: Sequence[Path]) -> list[Guess]:
    """A task for every file; files that are named as the splits of one task are one.

    Args:
        paths: files, or folders with the files of splits in them.

    Raises:
        InputError: a file cannot be read, or no text or no label can be told among its columns, which are named.
    """
    groups: dict[Path, dict[str, Path]] = {}
    for path in paths:
        trains = _training_files(path) if path.is_dir() else [path]
        if not trains:
            raise InputError(f"{path}: a folder without a file for training, such as train.csv")
        for train in trains:
            splits = _split_files(train)
            groups.setdefault(splits["train"], splits)
    names = [_name(path) for path in groups]
    short = len(set(names)) == len(names)
    return [_guess(_name(path) if short else _long_name(path), splits) for path, splits in groups.items()]


def _name(path: Path) -> str:
    """The file's name without its ending and the name of its split; of ``books/train.csv`` the folder's."""
    words = _words(path)
    split = _split_word(path)
    left = [word for i, word in enumerate(words) if i != split and word not in "-_."]
    joints = [*words[:split], *words[split + 1 :]] if split is not None else words
    name = re.sub(r"([-_.])[-_.]+", r"\1", "".join(joints)).strip("-_.") if left else path.resolve().parent.name
    return _slug(name)


def _long_name(path: Path) -> str:
    return f"{_slug(path.resolve().parent.name)}.{_name(path)}"


def _slug(name: str) -> str:
    """A name that a task may have."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"


def _words(path: Path) -> list[str]:
    """The words of a file's name without its ending, and what stands between them."""
    suffixes = {suffix.lower() for suffix in path.suffixes} & {*_ENDINGS, ".gz", ".xz"}
    name = path.name
    while suffixes and Path(name).suffix.lower() in suffixes:
        name = Path(name).stem
    return [word for word in re.split(r"([-_.])", name) if word]


def _split_word(path: Path) -> int | None:
    """Which of the words names a split."""
    found = [i for i, word in enumerate(_words(path)) if any(word.lower() in own for own in _SPLITS.values())]
    return found[-1] if found else None


def _split_files(path: Path) -> dict[str, Path]:
    """The file of each split, by files beside it whose names differ in the name of the split alone."""
    place = _split_word(path)
    if place is None:
        return {"train": path}
    words = _words(path)
    rest = path.name.removeprefix("".join(words))
    found: dict[str, Path] = {}
    for split, names in _SPLITS.items():
        beside = (path.with_name("".join([*words[:place], name, *words[place + 1 :]]) + rest) for name in names)
        own = next((each for each in beside if each.exists()), None)
        found |= {split: own} if own is not None else {}
    return found if "train" in found else {"train": path}


def _training_files(folder: Path) -> list[Path]:
    """The files, or folders of ``seq.in``, for training in a folder; the folder itself where it has no splits."""
    if (folder / "seq.in").is_file():
        return [folder]
    inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    known = {*_ENDINGS, *(f".{name}" for name in _SPLITS["train"])}
    files = [each for each in inside if (each.is_file() and ending(each) in known) or (each / "seq.in").is_file()]
    trains = []
    for each in files:
        place = _split_word(each)
        if place is not None and _words(each)[place].lower() in _SPLITS["train"]:
            trains.append(each)
    return trains


def _guess(name: str, splits: Mapping[str, Path]) -> Guess:
    table, reading = _read(splits["train"])
    keys, remarks = _roles(table, splits["train"])
    if "columns" in reading and "tokens" not in keys:
        own = dict(zip((*keys["text"], keys["label"]), (*_named(keys["text"]), "label"), strict=True))
        reading["columns"] = [own.get(column, column) for column in reading["columns"]]
        table = replace(table, columns={own.get(column, column): each for column, each in table.columns.items()})
        keys |= {"text": _named(keys["text"]), "label": "label"}
    held_out, unread = _held_out(splits, reading, table, keys)
    remarks += unread
    counts, about, more, missing = _answers(table, held_out, keys)
    keys |= {"missing": missing} if missing else {}
    if counts and (new := _unseen(held_out, keys, counts, missing)):
        keys["labels"] = sort_labels([*counts, *new])
        remarks.append(f"labels that stand in no training row: {', '.join(map(shown, sorted(new)))}")
    remarks += [*more, *_about_texts(table, held_out, keys)]
    files = {split: splits[split] if split in held_out else size for split, size in (("valid", 0.1), ("test", 0.2))}
    return Guess(
        name=name,
        keys={"train": splits["train"], **files, **reading, **keys},
        rows={split: len(each) for split, each in {"train": table, **held_out}.items()},
        counts=counts,
        about=about,
        remarks=tuple(remarks),
        columns=tuple(table.columns),
    )


def _named(text: Sequence[str]) -> tuple[str, ...]:
    """What columns of text are called that have no name in their file."""
    return ("text",) if len(text) == 1 else ("text", "text_pair")


# --- reading -------------------------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[Table, dict[str, Any]]:
    """All columns of a file, and what a task file must say for it to be read so."""
    if path.is_dir():
        return read_sentences(path, words="seq.in"), {}
    kind = ending(path)
    if kind == ".parquet":
        return read_file(path, read_rows(path).names), {}
    keys = _encoding(path)
    encoding = keys.get("encoding", "utf-8")
    if kind == ".conllu":
        return read_sentences(path, words="form", reading=Reading(encoding=encoding)), keys
    if kind.removeprefix(".") in ROW_FORMATS and kind not in (".csv", ".tsv"):
        rows = read_rows(path, reading=Reading(encoding=encoding))
        return rows.table(rows.names), keys
    lines = read_lines(path, encoding=encoding)
    if kind != ".csv" and (header := _column_header(lines)):
        return read_columns(path, header, words=header[0], encoding=encoding), {**keys, "columns": [*header]}
    if kind not in (".csv", ".tsv") and (form := _line_format(lines)) is not None:
        keys["format"] = form
        if form in TOKEN_FORMATS:
            return read_sentences(path, words="word", reading=Reading(encoding=encoding, format=form)), keys
        return read_file(path, ("label", "text"), Reading(encoding=encoding, format=form)), keys
    return _delimited(path, kind, keys, lines)


def _held_out(
    splits: Mapping[str, Path], reading: Mapping[str, Any], train: Table, keys: Mapping[str, Any]
) -> tuple[dict[str, Table], list[str]]:
    """The other splits that are files and have labels, and what is to be said of those that have none."""
    found: dict[str, Table] = {}
    remarks = []
    for split, path in splits.items():
        if split == "train":
            continue
        try:
            table = _again(path, reading, train, keys)
        except InputError as error:
            remarks.append(f"not taken for {split}: {error}")
            continue
        if any(labelled(table, keys["label"])):
            found[split] = table
        else:
            remarks.append(f"not taken for {split}: {path} has no label in {keys['label']!r}")
    return found, remarks


def _again(path: Path, reading: Mapping[str, Any], train: Table, keys: Mapping[str, Any]) -> Table:
    """The columns of another split that matter, read as those for training."""
    own = Reading(
        header=tuple(reading.get("columns", ())),
        **{name: reading[name] for name in ("encoding", "delimiter", "format") if name in reading},
    )
    if _is_of_tokens(train):
        return read_sentences(path, words=keys["tokens"], reading=own)
    return read_file(path, [*keys.get("text", [keys.get("tokens")]), keys["label"]], own)


def _is_of_tokens(table: Table) -> bool:
    """Whether it was read from a file of a token a line, or of words with their tags."""
    return table.lines is not None and isinstance(table.lines[0], list)


def _encoding(path: Path) -> dict[str, str]:
    """The encoding, where it is not UTF-8 and can be told."""
    try:
        read_text(path, "utf-8")
    except InputError:
        likely = likely_encoding(read_bytes(path))
        if likely is None:
            raise
        return {"encoding": likely}
    return {}


def _column_header(lines: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns of a file with a token a line and blank lines between sentences; none of another."""
    lines = lines[:_LINES_LOOKED_AT]
    blanks = sum(not line.strip() for line in lines)
    tokens = [line.strip(" \t") for line in lines if line.strip() and not line.startswith(("# ", "-DOCSTART-"))]
    if not blanks or len(tokens) < 2:
        return ()
    tabs = "\t" in tokens[0]
    fields = [line.split("\t") if tabs else re.split(" +", line) for line in tokens]
    count = len(fields[0])
    if not 2 <= count <= _COLUMNS_AT_MOST or any(len(own) != count or " " in own[-1].strip() for own in fields):
        return ()
    if all(field.strip().casefold() in _TITLES for field in fields[0]):
        return tuple(field.strip() for field in fields[0])
    return ("word", *(f"column{i}" for i in range(2, count)), "tag")


def _line_format(lines: Sequence[str]) -> str | None:
    """The form of a file with an example a line and no TABs."""
    first = [line for line in lines[:_LINES_LOOKED_AT] if line.strip()]
    if all(line.startswith("__label__") for line in first):
        return "LABEL text"
    if "\t" in first[0]:
        return None
    words = [word for line in first for word in line.split()]
    for sign, form in _SIGNS.items():
        if all(re.fullmatch(rf".+{sign}[^{sign}]+", word) for word in words):
            return form
    heads = Counter(line.split(None, 1)[0] for line in lines if line.strip())
    if 2 <= len(heads) <= _CLASSES and min(heads.values()) > 1 and len(heads) <= sum(heads.values()) / 5:
        return "LABEL text"
    return None


def _delimited(path: Path, kind: str, keys: dict[str, Any], lines: Sequence[str]) -> tuple[Table, dict[str, Any]]:
    """A csv or tsv file, with a line of names or without."""
    delimiter = "," if kind == ".csv" else "\t"
    if delimiter not in lines[0]:
        other = next((sign for sign in ";\t|," if sign in lines[0]), None)
        if other is None:
            raise _no_columns(path, [lines[0]], "no columns, each with a name, can be told")
        delimiter, keys["delimiter"] = other, other
    if f".{kind.removeprefix('.')}" not in FORMATS:
        keys["format"] = "tsv"
    reading = Reading(delimiter=delimiter, encoding=keys.get("encoding", "utf-8"))
    rows = read_rows(path, "csv" if kind == ".csv" else "tsv", reading)
    if not rows.values:
        raise InputError(f"{path}: one line and no examples after it")
    if _is_row(rows.names, rows.values):
        names = tuple(f"column{i}" for i in range(1, len(rows.names) + 1))
        keys["columns"] = [*names]
        rows = read_rows(path, "csv" if kind == ".csv" else "tsv", replace(reading, header=names))
    return rows.table([*dict.fromkeys(rows.names)]), keys


def _is_row(names: Sequence[str], values: Sequence[Sequence[str]]) -> bool:
    """Whether the first line is an example, and no line of names."""
    if any(not name.strip() or _NUMBER.fullmatch(name) or len(name.split()) > 4 for name in names):
        return not any(name.casefold() in (*_TEXTS, *_LABELS) for name in names)
    columns = zip(*values, strict=True)
    return any(name in {each.strip() for each in own} for name, own in zip(names, columns, strict=True))


# --- columns -------------------------------------------------------------------------------------------------------


def _roles(table: Table, path: Path) -> tuple[dict[str, Any], list[str]]:
    """The keys that name text, label and kind, and what is to be said of the choice."""
    if _is_of_tokens(table):
        return _of_columns(table, path)
    lists = [name for name, values in table.columns.items() if _is_list(values)]
    if lists and (keys := _of_lists(table, lists)):
        return keys, []
    label, others = _label(table, path, [name for name in table.columns if name not in lists])
    if lists:
        tokens = min(lists, key=lambda name: _rank(name, _TOKENS))
        keys = {"kind": "text-classification", "tokens": tokens, "label": label}
        return keys, _other_labels(others)
    text = _text(table, path, label)
    keys = {"text": text, "label": label}
    if _is_regression(label, table[label]):
        keys["kind"] = "regression"
    others = [name for name in others if name not in text]
    rest = [name for name in table.columns if name not in (*text, label, *others) and _is_text(table[name])]
    unread = [name for name in rest if _mean_words(table[name]) >= _mean_words(table[text[0]]) / 2]
    remarks = [f"also looks like text, and is not read: {', '.join(map(shown, unread))}"] if unread else []
    return keys, [*_other_labels(others), *remarks]


def _other_labels(others: Sequence[str]) -> list[str]:
    return [f"may be labels too, each for a task of its own: {', '.join(map(shown, others))}"] if others else []


def _of_columns(table: Table, path: Path) -> tuple[dict[str, Any], list[str]]:
    """Tokens and tags of a file of tokens: the last column that is named as tags, or the last one."""
    names = [name for name in table.columns if not name.startswith("# ")]
    tokens = "form" if tuple(names) == CONLLU else names[0]
    tagged = [name for name in names if name != tokens and any(_flat(table[name], but=MISSING))]
    if tuple(names) == CONLLU:
        tagged = [name for name in ("upos", "xpos") if name in tagged]
    if not tagged:
        raise _no_columns(path, names, "no column of tags can be told")
    label = tagged[0] if tokens == "form" and "upos" in tagged else tagged[-1]
    others = [name for name in tagged if name != label]
    remarks = [f"may be tags too, each for a task of its own: {', '.join(map(shown, others))}"] if others else []
    sentences = [name.removeprefix("# ") for name in table.columns if name.startswith("# ")]
    several = [key for key in sentences if 2 <= len({*table[f"# {key}"]}) <= min(_CLASSES, len(table) / 2)]
    if several:
        remarks.append(f"may be labels of whole sentences, as `label: '# {several[0]}'`: {', '.join(several)}")
    return {"kind": "token-classification", "tokens": tokens, "label": label}, remarks


def _of_lists(table: Table, lists: Sequence[str]) -> dict[str, Any]:
    """Tokens and tags that are lists of the same lengths."""
    table = listed(table, lists)
    lengths = {name: [len(each or ()) for each in table[name]] for name in lists}
    texts = [name for name in lists if all(isinstance(each, str) for each in _flat(table[name]))]
    for tokens in sorted(texts, key=lambda name: (_rank(name, _TOKENS), -len({*_flat(table[name])}))):
        alike = [name for name in lists if name != tokens and lengths[name] == lengths[tokens]]
        if alike:
            label = min(alike, key=lambda name: _rank(name, _TAGS))
            return {"kind": "token-classification", "tokens": tokens, "label": label}
    return {}


def _rank(name: str, known: Sequence[str]) -> int:
    return known.index(name.casefold()) if name.casefold() in known else len(known)


def _label(table: Table, path: Path, names: Sequence[str]) -> tuple[str, list[str]]:
    """The column of the labels, and others that may be such."""
    several = [name for name in names if len({*map(str, _present(table[name]))}) > 1]
    possible = [name for name in several if _can_be_label(name, table[name])]
    named = sorted((name for name in possible if _rank(name, _LABELS) < len(_LABELS)), key=lambda n: _rank(n, _LABELS))
    named += [name for name in possible if name not in named and name.casefold().endswith(("label", "class", "score"))]
    few = [name for name in possible if name not in named and _rank(name, _NO_LABELS) == len(_NO_LABELS)]
    few = [name for name in few if _is_few(table[name])]
    few.sort(key=lambda name: len({*map(str, _present(table[name]))}))
    scores = [name for name in possible if name not in named and _rank(name, _SCORES) < len(_SCORES)]
    scores += [name for name in possible if name not in scores and _has_fractions(table[name])]
    found = [*dict.fromkeys([*named, *few, *scores])]
    same = next((name for name in names if name not in several and name.casefold() in _LABELS), None)
    if not found or (same is not None and not named):
        what = "no column of labels can be told" if same is None else f"every row has the same in {same!r}"
        raise _no_columns(path, [*table.columns], what)
    return found[0], found[1:]


def _can_be_label(name: str, values: Sequence[Any]) -> bool:
    """Whether a column may be one of labels or scores: texts of a few words, or numbers."""
    present = _present(values)
    if not all(isinstance(value, str | int | float) for value in present):
        return False
    if _is_number(present):
        return True
    different = {str(value) for value in present}
    return _mean_words(present) <= 6 and (len(different) <= len(present) / 2 or len(different) <= 3)


def _is_few(values: Sequence[Any]) -> bool:
    present = _present(values)
    return len({*map(str, present)}) <= max(2, min(_CLASSES, len(present) / 5))


def _text(table: Table, path: Path, label: str) -> tuple[str, ...]:
    """The column of the text, or the two of a pair."""
    possible = {name.casefold(): name for name in table.columns if name != label and _is_text(table[name])}
    for pair in _PAIRS:
        if {*pair} <= {*possible}:
            return tuple(possible[name] for name in pair)
    for name in possible:
        for first in _FIRST.finditer(name):
            other = f"{name[: first.start()]}{'2' if first[0] == '1' else 'b'}{name[first.end() :]}"
            if other in possible:
                return possible[name], possible[other]
    named = sorted((name for name in possible if name in _TEXTS), key=_TEXTS.index)
    if named:
        return (possible[named[0]],)
    longest = sorted(possible.values(), key=lambda name: -_mean_words(table[name]))
    if not longest or not any(_present(table[longest[0]])):
        raise _no_columns(path, [*table.columns], f"label may be {label!r}, but no column of text can be told")
    return (longest[0],)


def _no_columns(path: Path, columns: Sequence[str], what: str) -> InputError:
    found = ", ".join(shown(name) for name in columns[:20])
    example = f"tasks: {{{_name(path)}: {{train: {path.name}, test: 0.2, text: COLUMN, label: COLUMN}}}}"
    return InputError(f"{path}: {what} (its columns: {found}); a task file, as graphmtl init writes, says: {example}")


def _present(values: Iterable[Any]) -> list[Any]:
    """The values that are there."""
    found = (value.strip() if isinstance(value, str) else value for value in values)
    return [value for value in found if value not in (None, "") and value == value]


def _is_list(values: Sequence[Any]) -> bool:
    """Whether most of what is there is a list, or written as one."""
    present = _present(values)
    each = [isinstance(v, list) or (isinstance(v, str) and v[0] == "[" and v[-1] == "]") for v in present]
    return bool(each) and sum(each) > len(each) / 2


def _flat(values: Iterable[Any], but: str | None = None) -> list[Any]:
    return [each for value in values for each in value or () if each != but]


def _is_text(values: Sequence[Any]) -> bool:
    present = _present(values)
    return bool(present) and all(isinstance(value, str) for value in present) and not _is_number(present)


def _mean_words(values: Sequence[Any]) -> float:
    present = _present(values)
    return sum(len(str(value).split()) for value in present) / max(len(present), 1)


def _numbers(values: Sequence[Any]) -> list[float]:
    """The numbers among values; a truth value is none."""
    texts = (str(value) for value in values if not isinstance(value, bool))
    return [float(text) for text in texts if _NUMBER.fullmatch(text)]


def _is_number(values: Sequence[Any]) -> bool:
    """Whether all are numbers, but for what stands where there is none."""
    there = [value for value in _present(values) if str(value).casefold() not in _MARKS]
    return bool(there) and len(_numbers(there)) == len(there)


def _has_fractions(values: Sequence[Any]) -> bool:
    return _is_number(values) and any(number % 1 for number in _numbers(_present(values)))


def _is_regression(name: str, values: Sequence[Any]) -> bool:
    """Whether a column of labels is one of scores: numbers with fractions, or many of them under such a name."""
    if not _is_number(values):
        return False
    different = {*_numbers(_present(values))}
    scores = any(word in _SCORES for word in re.split(r"[\W_]+", name.casefold()))
    return (_has_fractions(values) and len(different) > 2) or (scores and len(different) > 10)


# --- what looks wrong ----------------------------------------------------------------------------------------------


def _answers(
    table: Table, held_out: Mapping[str, Table], keys: Mapping[str, Any]
) -> tuple[dict[str, int], str, list[str], list[str]]:
    """How often each label occurs, or which scores there are; what looks wrong with them; what stands for none."""
    column = keys["label"]
    if keys.get("kind") == "regression":
        scores = _numbers(_present(table[column]))
        every = [value for each in (table, *held_out.values()) for value in _present(each[column])]
        marks = sorted({str(value) for value in every if not _NUMBER.fullmatch(str(value))})
        none = len(table) - len(scores)
        remarks = [f"{none:,} rows have no score"] if none else []
        about = f"from {min(scores):g} to {max(scores):g}, mean {sum(scores) / len(scores):.3g}"
        return {}, about, remarks, [mark for mark in marks if mark.lower() not in ("nan", "<na>")]
    if keys.get("kind") == "token-classification":
        tags = Counter(map(str, _flat(listed(table, [column])[column], but=None)))
        tags.pop(MISSING, None)
        return _ordered(tags), "", [odd for odd in [alike_labels(tags)] if odd], []
    found = [label for label in labels(table, column) if label is not None]
    named = whole_numbers([*found, *(label for each in held_out.values() for label in labels(each, column) if label)])
    counts = Counter(map(named, found))
    sure, suspects = no_labels(counts)
    for label in sure:
        del counts[label]
    return _ordered(counts), "", _about_labels(table, column, counts, sorted(suspects)), sorted(sure)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {label: counts[label] for label in sort_labels(counts)}


def _about_labels(table: Table, column: str, counts: Counter[str], suspects: Sequence[str]) -> list[str]:
    total = sum(counts.values())
    (label, most), *_ = counts.most_common(1)
    once = sorted(label for label, count in counts.items() if count == 1)
    kinds = sorted({"a truth value" if isinstance(v, bool) else _KINDS.get(type(v), "?") for v in table[column]} - {""})
    shape = [bool(_NUMBER.fullmatch(each)) for each in counts]
    return [
        *([f"{len(table) - total:,} rows have no label"] if total < len(table) else []),
        *(f"the label {each!r} may mean that there is none: then `missing: [{each!r}]`" for each in suspects),
        *(odd for odd in [odd_labels(counts)] if odd),
        *([f"{most:,} of {total:,} rows have the label {label!r}"] if most > _NEARLY_ALL * total else []),
        *([f"labels that stand there once: {', '.join(map(shown, once[:10]))}"] if once else []),
        *([f"labels of several types: {', '.join(kinds)}"] if len(kinds) > 1 else []),
        *(["some labels are numbers, others are not"] if any(shape) and not all(shape) else []),
    ]


_KINDS = {str: "text", int: "a number", float: "a number", type(None): ""}


def _unseen(
    held_out: Mapping[str, Table], keys: Mapping[str, Any], counts: Mapping[str, int], missing: Sequence[str]
) -> set[str]:
    """Labels of other splits that the training rows have not; those of tags are known from all splits."""
    if keys.get("kind") == "token-classification" or "tokens" in keys:
        return set()
    every = (label for table in held_out.values() for label in labels(table, keys["label"], missing=missing))
    found = {label for label in every if label is not None}
    return {*map(whole_numbers([*found, *counts]), found)} - {*counts}


def _about_texts(table: Table, held_out: Mapping[str, Table], keys: Mapping[str, Any]) -> list[str]:
    read = {split: _texts(each, keys) for split, each in {"train": table, **held_out}.items()}
    train = read["train"]
    repeated = len(train) - len({*train})
    empty = sum(not text.strip() for text in train)
    long = [count for text in train if (count := len(text.split())) > _LONG]
    known = {*train} - {""}
    seen = {split: sum(text in known for text in own) for split, own in read.items() if split != "train"}
    twice = _other_answers(train, table[keys["label"]])
    return [
        *([f"{repeated:,} rows repeat the text of another"] if repeated else []),
        *([f"{twice:,} texts stand there with different labels"] if twice else []),
        *([f"{empty:,} rows have no text"] if empty else []),
        *([f"{len(long):,} texts have more than {_LONG:,} words, the longest {max(long):,}"] if long else []),
        *(f"{count:,} texts of {split} stand in train too" for split, count in seen.items() if count),
    ]


def _texts(table: Table, keys: Mapping[str, Any]) -> list[str]:
    """The normalised text of each row."""
    if "tokens" in keys:
        column = listed(table, [keys["tokens"]])[keys["tokens"]]
        return [normalise(" ".join(map(str, own or ()))) for own in column]
    columns = [["" if each is None or each != each else str(each) for each in table[name]] for name in keys["text"]]
    return [normalise(*row) for row in zip(*columns, strict=True)]


def _other_answers(texts: Sequence[str], answers: Sequence[Any]) -> int:
    """How many texts have more than one answer."""
    found: dict[str, set[str]] = {}
    for text, answer in zip(texts, answers, strict=True):
        if text and answer not in (None, ""):
            found.setdefault(text, set()).add(str(answer))
    return sum(len(own) > 1 for own in found.values())
