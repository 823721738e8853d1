"""The named task sets. A task set is a function here and a line in ``TASK_SETS``."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from graphmtl.data.column_files import read_columns, read_sentences, read_three_files
from graphmtl.data.delimited import Reading
from graphmtl.data.glue import glue_sources
from graphmtl.data.guessing import guess_tasks, is_data
from graphmtl.data.kind import default_kind
from graphmtl.data.lines import read_lines
from graphmtl.data.planted import PlantedOptions, generate
from graphmtl.data.readers import read_label_tab_text, read_tsv
from graphmtl.data.source import Corpus, Source, SourceSet
from graphmtl.data.table import Table
from graphmtl.data.tags import MISSING
from graphmtl.data.task import Task
from graphmtl.data.task_file import given_tasks, read_task_file
from graphmtl.errors import InputError, note, unknown_name
from graphmtl.files import is_there

__all__ = ["TASK_SETS", "Settings", "find_set", "is_path", "is_task_file", "is_treebank"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a task set is loaded with."""

    data_dir: Path | None
    seed: int
    planted: PlantedOptions

    def folder(self, name: str) -> Path:
        """The data set's folder in the data folder.

        Raises:
            InputError: no data folder was given, or it holds no such folder.
        """
        if self.data_dir is None:
            raise InputError(f"task set {name!r} needs a data folder: give data_dir (--data-dir) or set GRAPHMTL_DATA")
        if not self.data_dir.is_dir():
            raise InputError(f"data folder {self.data_dir} does not exist")
        if not (self.data_dir / name).is_dir():
            raise InputError(f"data folder {self.data_dir} holds no folder {name!r}")
        return self.data_dir / name


def planted(settings: Settings) -> SourceSet:
    """The generated task set with a known task graph (`graphmtl.data.planted`)."""
    generated = generate(settings.planted, seed=settings.seed)
    sources = {name: partial(generated.sources.__getitem__, name) for name in generated.sources}
    return SourceSet(name="planted", sources=sources, truth=generated.truth)


def shop(settings: Settings) -> SourceSet:
    """What customers write to a shop: sentiment of reviews, topic and purpose of messages; 150 to 200 texts each.

    It ships with the package: ``shop/shop.yaml`` beside this file is an ordinary task file and says what labels mean.
    """
    return read_task_file(Path(__file__).parent / "shop" / "shop.yaml")


def glue(settings: Settings) -> SourceSet:
    """GLUE's nine tasks, from the folders of ``glue`` or from the Hub (`graphmtl.data.glue`)."""
    return glue_sources(None if settings.data_dir is None else settings.data_dir / "glue")


def sick(settings: Settings) -> SourceSet:
    """SICK: how related two sentences are, from 1 to 5, and whether one entails the other (Marelli et al., LREC 2014).

    ``sick/SICK.txt``, whose column SemEval_set names the split: TRAIN, TRIAL (validation) or TEST. The two tasks are
    layers of the same pairs.
    """
    path = settings.folder("sick") / "SICK.txt"
    pair, targets = ("sentence_A", "sentence_B"), ("relatedness_score", "entailment_label")

    @cache
    def corpus() -> Corpus:
        whole = read_tsv(path, (*pair, *targets, "SemEval_set"))
        splits = whole["SemEval_set"]
        train, valid, test = (
            whole.take(i for i, own in enumerate(splits) if own == split) for split in ("TRAIN", "TRIAL", "TEST")
        )
        return Corpus(name="sick", train=train, valid=valid, test=test, texts=(pair,))

    def read(task: Task, names: Mapping[str, str]) -> Source:
        return Source(task=task, names=names, corpus=corpus())

    labels = {label.upper(): label for label in ("entailment", "neutral", "contradiction")}
    relatedness = Task(name="relatedness", kind="regression", text=pair, label="relatedness_score", scale=(1.0, 5.0))
    entailment = Task(name="entailment", text=pair, label="entailment_label", labels=tuple(labels))
    return SourceSet(
        name="sick",
        sources={"relatedness": partial(read, relatedness, {}), "entailment": partial(read, entailment, labels)},
    )


_FDU_MTL = """
    apparel baby books camera_photo dvd electronics health_personal_care imdb
    kitchen_housewares magazines MR music software sports_outdoors toys_games video
"""


def fdu_mtl(settings: Settings) -> SourceSet:
    """FDU-MTL: sentiment of reviews in 16 domains (Liu, Qiu, Huang, ACL 2017, arXiv 1704.05742).

    ``fdu-mtl/DOMAIN.task.{train,test}``: label TAB tokenised text. 200 training examples of each domain are the
    validation split, as in the paper. The lines of MR and dvd that are not UTF-8 are latin-1.
    ``DOMAIN.task.unlabel``, a text a line, is what ``graphmtl pretrain`` reads besides.
    """
    folder = settings.folder("fdu-mtl")
    return SourceSet(
        name="fdu-mtl", sources={name: partial(_fdu_mtl_source, folder, name) for name in _FDU_MTL.split()}
    )


def _fdu_mtl_source(folder: Path, name: str) -> Source:
    fallback = "latin-1" if name in ("MR", "dvd") else None
    train, test = (
        read_label_tab_text(folder / f"{name}.task.{split}", fallback=fallback) for split in ("train", "test")
    )
    return Source(
        task=Task(name=name, labels=("0", "1")),
        names={"0": "negative", "1": "positive"},
        corpus=Corpus(name=name, train=train, valid=200, test=test, stratify="label"),
        unlabelled=partial(read_lines, folder / f"{name}.task.unlabel", fallback="latin-1"),
    )


def conll2000(settings: Settings) -> SourceSet:
    """CoNLL-2000: part-of-speech tags and chunks (Tjong Kim Sang and Buchholz, CoNLL 2000).

    ``conll2000/{train,test}.txt``: word, part of speech, chunk. The parts of speech are **automatic**, the output of
    Brill's tagger: a score on ``pos`` says how well that tagger is imitated. No validation split was published: 500
    training sentences are cut off.
    """
    folder = settings.folder("conll2000")

    def read() -> Corpus:
        train, test = (read_columns(folder / f"{split}.txt", ("word", "pos", "chunk")) for split in ("train", "test"))
        return Corpus(name="conll2000", train=train, valid=500, test=test, texts=(("word",),))

    return _layers("conll2000", read, {"pos": "pos", "chunk": "chunk"})


def conll2003(settings: Settings) -> SourceSet:
    """CoNLL-2003, English: parts of speech, chunks, named entities (Tjong Kim Sang and De Meulder, CoNLL 2003).

    ``conll2003/{eng.train,eng.testa,eng.testb}`` as published, in IOB1, or ``{train,valid,test}.txt``. Parts of speech
    and chunks are automatic.
    """
    folder = settings.folder("conll2003")
    names = (("eng.train", "train.txt"), ("eng.testa", "valid.txt"), ("eng.testb", "test.txt"))

    def read() -> Corpus:
        paths = [_first_file(folder, *each) for each in names]
        train, valid, test = (read_columns(path, ("word", "pos", "chunk", "ner")) for path in paths)
        return Corpus(name="conll2003", train=train, valid=valid, test=test, texts=(("word",),))

    return _layers("conll2003", read, {"pos": "pos", "chunk": "chunk", "ner": "ner"})


def wnut17(settings: Settings) -> SourceSet:
    """WNUT-17: emerging and rare named entities (Derczynski et al., W-NUT 2017).

    ``wnut17/{wnut17train.conll,emerging.dev.conll,emerging.test.annotated}``: word TAB entity.
    """
    folder = settings.folder("wnut17")
    names = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")

    def read() -> Corpus:
        train, valid, test = (read_columns(folder / name, ("word", "ner")) for name in names)
        return Corpus(name="wnut17", train=train, valid=valid, test=test, texts=(("word",),))

    return _layers("wnut17", read, {"ner": "ner"})


def ud(settings: Settings, name: str = "ud") -> SourceSet:
    """A treebank of Universal Dependencies: universal and language-specific parts of speech (de Marneffe et al. 2021).

    A folder with ``*-train.conllu``, ``*-dev.conllu`` and ``*-test.conllu``, as treebanks are published, or with
    ``*train.txt``, ``*dev.txt`` and ``*test.txt``: word TAB UPOS TAB XPOS. The folder is the one that ``--tasks`` names
    (``ud-ewt``, ``UD_German-GSD``), in the data folder or anywhere; ``ud`` is the folder of that name, or the only one
    whose name begins so. Without a file for validation a tenth of the training sentences is cut off. Where there are no
    language-specific parts of speech there is no task ``xpos``.
    """
    anywhere = is_path(name, folder=True)
    folder = Path(name) if anywhere else settings.folder(name if name != "ud" else _only_treebank(settings))
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name) if anywhere else name

    @cache
    def read() -> Corpus:
        train, valid, test = (_treebank_split(folder, split) for split in ("train", "dev", "test"))
        if train is None or test is None:
            missing = "train" if train is None else "test"
            raise InputError(f"{folder}: no file *{missing}.conllu, and no *{missing}.txt")
        return Corpus(name=name, train=train, valid=0.1 if valid is None else valid, test=test, texts=(("form",),))

    def is_tagged(column: str) -> bool:
        return any(tag != MISSING for sentence in read().train[column] for tag in sentence)

    layers = {column: column for column in ("upos", "xpos") if column == "upos" or is_tagged(column)}
    return _layers(name, read, layers, words="form")


def is_treebank(name: str) -> bool:
    """Whether a name is that of a treebank's folder, such as ``ud-ewt``, or a path to one."""
    return bool(re.match("ud[-_]", name, re.IGNORECASE)) or is_path(name, folder=True)


def is_path(name: str, *, folder: bool = False) -> bool:
    """Whether there is a file or folder of this name, which may be anything; with ``folder`` a folder that is named as
    a path, so that no folder that happens to be called as a task set is in its way."""
    return is_there(name) and (not folder or (os.sep in name and Path(name).is_dir()))


def _only_treebank(settings: Settings) -> str:
    """The name of the folder that ``ud`` means."""
    data_dir = settings.data_dir
    if data_dir is None or not data_dir.is_dir() or (data_dir / "ud").is_dir():
        return "ud"
    found = sorted(path.name for path in data_dir.iterdir() if path.is_dir() and is_treebank(path.name))
    if len(found) > 1:
        raise InputError(f"data folder {data_dir} holds several treebanks; name one: {', '.join(found)}")
    return found[0] if found else "ud"


def _treebank_split(folder: Path, split: str) -> Table | None:
    found = sorted(folder.glob(f"*{split}.conllu")) or sorted(folder.glob(f"*{split}.txt"))
    if len(found) > 1:
        raise InputError(f"{folder}: {len(found)} files for {split}, expected one: {', '.join(p.name for p in found)}")
    reading = Reading(header=("form", "upos", "xpos"))
    return read_sentences(found[0], words="form", reading=reading) if found else None


def gum(settings: Settings) -> SourceSet:
    """GUM: four annotation layers of the same sentences (Zeldes, LREV 51, 2017).

    ``gum/{train,dev,test}.conll``: word TAB UPOS TAB XPOS TAB entity (the innermost mentions), with the type of the
    sentence in a comment ``# s_type = decl``.
    """
    folder = settings.folder("gum")
    header = ("word", "upos", "xpos", "entity")

    def read() -> Corpus:
        train, valid, test = (read_columns(folder / f"{split}.conll", header) for split in ("train", "dev", "test"))
        return Corpus(name="gum", train=train, valid=valid, test=test, texts=(("word",),))

    return _layers("gum", read, {"upos": "upos", "xpos": "xpos", "entity": "entity", "s_type": "# s_type"})


def atis(settings: Settings) -> SourceSet:
    """ATIS: the intent of a question about flights, and its slots (Hemphill, Godfrey, Doddington 1990).

    ``atis/{train,dev,test}/{seq.in,seq.out,label}``. Some intents and slots occur in the test split only.
    """
    return _intent_and_slot("atis", settings)


def snips(settings: Settings) -> SourceSet:
    """SNIPS: the intent of a spoken command, and its slots (Coucke et al. 2018, arXiv 1805.10190).

    ``snips/{train,dev,test}/{seq.in,seq.out,label}``.
    """
    return _intent_and_slot("snips", settings)


def _intent_and_slot(name: str, settings: Settings) -> SourceSet:
    folder = settings.folder(name)

    def read() -> Corpus:
        train, valid, test = (read_three_files(folder / split) for split in ("train", "dev", "test"))
        return Corpus(name=name, train=train, valid=valid, test=test, texts=(("seq.in",),))

    return _layers(name, read, {"intent": "# label", "slot": "seq.out"}, words="seq.in")


def _first_file(folder: Path, *names: str) -> Path:
    """The first of the files that is there.

    Raises:
        InputError: none is.
    """
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise InputError(f"{folder}: no file {' or '.join(names)}")
    return found[0]


def _layers(name: str, read: Callable[[], Corpus], layers: Mapping[str, str], words: str = "word") -> SourceSet:
    """The tasks of a corpus that is read once, when the first of them is: {task: column, or # key of a comment}."""
    corpus = cache(read)
    return SourceSet(
        name=name, sources={task: partial(_layer, task, label, words, corpus) for task, label in layers.items()}
    )


def _layer(name: str, label: str, words: str, corpus: Callable[[], Corpus]) -> Source:
    kind = default_kind(labels_tokens=not label.startswith("#"))
    return Source(task=Task(name=name, kind=kind, text=(words,), label=label, tokens=True), corpus=corpus())


TASK_SETS: dict[str, Callable[[Settings], SourceSet]] = {
    "planted": planted,
    "shop": shop,
    "fdu-mtl": fdu_mtl,
    "conll2000": conll2000,
    "conll2003": conll2003,
    "wnut17": wnut17,
    "ud": ud,
    "gum": gum,
    "atis": atis,
    "snips": snips,
    "glue": glue,
    "sick": sick,
}


def find_set(name: str, settings: Settings) -> SourceSet:
    """The task set of a name: one of the catalog, a YAML file, a file of examples, or a treebank's folder.

    Raises:
        InputError: no set has the name, or whatever is wrong with its files.
    """
    if is_task_file(name):
        return read_task_file(Path(name))
    if name not in TASK_SETS and is_data(name):
        return guessed(Path(name))
    if name not in TASK_SETS and is_treebank(name):
        return ud(settings, name)
    if name not in TASK_SETS:
        raise InputError(f"{unknown_name('task set', name, TASK_SETS)}, a file of examples, or a .yaml file")
    return TASK_SETS[name](settings)


def guessed(path: Path) -> SourceSet:
    """The task of a file of examples, or the tasks of a folder of such, whose columns are guessed, which is said."""
    guesses = guess_tasks([path])
    for guess in guesses:
        note("; ".join([str(guess), *guess.remarks]))
    given = given_tasks({guess.name: {key: _plain(value) for key, value in guess.keys.items()} for guess in guesses})
    return replace(given, name="-".join(guess.name for guess in guesses))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def is_task_file(name: str) -> bool:
    """Whether a part of ``--tasks`` is a YAML file."""
    return name.endswith((".yaml", ".yml"))
