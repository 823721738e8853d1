r"""Word vectors from any text files: skip-gram with negative sampling, by gensim.

Texts are cut into words by :class:`graphmtl.data.tokenizer.Tokenizer`, as everywhere in graphmtl, and lower-cased. The
files are read line by line, once to count the words and once per epoch, so memory grows with the vocabulary and not
with the text. The result is a word2vec text file for ``graphmtl run --embeddings``.

The vectors for FDU-MTL, from its training and unlabelled reviews and the unlabelled IMDB reviews (no test review is
read; ``--column -1`` takes the text after the label where there is a label, and the whole line elsewhere)::

    python examples/train_vectors.py --column -1 --output reviews-100d.vec.gz \
        $GRAPHMTL_DATA/fdu-mtl/*.task.train $GRAPHMTL_DATA/fdu-mtl/*.task.unlabel \
        $GRAPHMTL_DATA/imdb-unlabelled/reviews.txt.xz

One worker gives the same vectors again from the same seed; several are faster, and differ from run to run.

Source: Mikolov, Sutskever, Chen, Corrado, Dean. Distributed Representations of Words and Phrases and their
Compositionality. NeurIPS 2013.
"""

import argparse
import codecs
import contextlib
import functools
import gzip
import logging
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm import tqdm

from graphmtl.cli import Parser, run_verb
from graphmtl.data.tokenizer import Tokenizer
from graphmtl.errors import InputError

__all__ = ["Sentences", "main", "train_vectors", "write_vectors"]

MAX_WORDS = 10_000  # gensim silently drops what a sentence has beyond this (MAX_WORDS_IN_BATCH)


class Sentences:
    """The lines of text files as lists of lower-case words; every ``iter()`` reads the files anew.

    Args:
        files: text files, plain or compressed (``.gz``, ``.xz``), one text a line.
        column: which TAB-separated column holds the text, from 0; -1 is the last one. None takes the whole line.
        encodings: tried in this order on each line.

    Raises:
        InputError: while iterating; a file that is missing or damaged, a line without the column, or one that no
            encoding fits.
    """

    def __init__(self, *, files: Sequence[Path], column: int | None, encodings: Sequence[str]):
        self.files = files
        self.column = column
        self.encodings = encodings
        self._tokenizer = Tokenizer("words", lower_case=True)

    def __iter__(self) -> Iterator[list[str]]:
        for file in tqdm(self.files, unit="file", disable=None):  # a bar per pass, on terminals only
            texts = (self._text(line, f"{file}, line {number}") for number, line in enumerate(_lines(file), start=1))
            for words in self._tokenizer.forms(texts):
                for start in range(0, len(words), MAX_WORDS):
                    yield words[start : start + MAX_WORDS]

    def _text(self, line: bytes, place: str) -> str:
        text = self._decode(line.rstrip(b"\r\n").removeprefix(codecs.BOM_UTF8), place)
        if self.column is None:
            return text
        columns = text.split("\t")
        try:
            return columns[self.column]
        except IndexError:
            raise InputError(f"{place}: no column {self.column}, the line has {len(columns)} (from 0)") from None

    def _decode(self, line: bytes, place: str) -> str:
        for encoding in self.encodings:
            with contextlib.suppress(UnicodeDecodeError):
                return line.decode(encoding)
        raise InputError(f"{place}: is not {' or '.join(self.encodings)}; name its encoding with --encoding")


def _lines(path: Path) -> Iterator[bytes]:
    """Lines of a file as bytes, cut at the newline only: other separators may stand inside a text."""
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rb") as file:
            yield from file
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def train_vectors(
    sentences: Sentences, *, dims: int, window: int, min_count: int, epochs: int, seed: int, workers: int
) -> tuple[list[str], np.ndarray]:
    """Skip-gram vectors of the words that occur at least ``min_count`` times, the most frequent word first.

    Returns:
        The words, and their vectors: float32 (words, dims).

    Raises:
        InputError: no word occurs often enough, or gensim is not installed; see also :class:`Sentences`.
    """
    try:
        from gensim.models import Word2Vec
    except ModuleNotFoundError:
        raise InputError("gensim is not installed; pip install 'graphmtl[vectors]' brings it") from None
    logging.getLogger("gensim").setLevel(logging.ERROR)  # its warnings are about speed on small texts
    model = Word2Vec(
        sg=1, vector_size=dims, window=window, min_count=min_count, epochs=epochs, seed=seed, workers=workers
    )
    model.build_vocab(sentences)
    words = model.wv.index_to_key
    if not words:
        raise InputError(f"no word occurs {min_count} times in {', '.join(map(str, sentences.files))} (--min-count)")
    _tell(f"{model.corpus_total_words:,} words read, {len(words):,} of them different and kept")
    model.train(sentences, total_examples=model.corpus_count, epochs=epochs)
    return words, model.wv.vectors  # (words, dims)


def write_vectors(path: Path, words: Sequence[str], matrix: np.ndarray) -> None:
    """Write word2vec text: a line ``COUNT DIMS``, then a word and its numbers a line; .gz and .xz are compressed.

    The same vectors give the same bytes. The file appears when it is complete.

    Raises:
        InputError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with _open_for_writing(part, path.suffix) as file:
            file.write(f"{len(words)} {matrix.shape[1]}\n".encode())
            for word, vector in zip(words, matrix, strict=True):
                file.write(f"{word} {' '.join(f'{value:.4f}' for value in vector)}\n".encode())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _open_for_writing(path: Path, suffix: str) -> Iterator[BinaryIO]:
    with open(path, "wb") as file:
        if suffix == ".gz":  # without the name and time of day that gzip.open would write
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed:
                yield cast(BinaryIO, compressed)
        elif suffix == ".xz":
            with lzma.open(file, "wb") as compressed:
                yield cast(BinaryIO, compressed)
        else:
            yield file


def _whole_number(text: str, *, minimum: int) -> int:
    with contextlib.suppress(ValueError):
        if minimum <= int(text) < 2**32:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number from {minimum} and under 2^32, found {text!r}")


def _encodings(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        try:
            newline = codecs.encode("\n", name)
        except LookupError:
            raise argparse.ArgumentTypeError(f"unknown encoding {name!r}") from None
        if newline != b"\n":
            raise argparse.ArgumentTypeError(f"{name} is not supported: its newline is not one byte")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="train_vectors", description="Train skip-gram word vectors on text files.", allow_abbrev=False)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="text, one a line; plain, .gz or .xz")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="word2vec text; plain, .gz or .xz")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file if it exists")
    parser.add_argument("--column", type=int, metavar="N", help="TAB-separated column of the text; 0 first, -1 last")
    parser.add_argument(
        "--encoding", type=_encodings, default="utf-8,latin-1", help="tried in this order on each line (%(default)s)"
    )
    for name, minimum, default, sentence in (
        ("--dims", 1, 100, "dimensions of a vector"),
        ("--window", 1, 5, "words on each side that a word predicts"),
        ("--min-count", 1, 5, "occurrences that a word needs"),
        ("--epochs", 1, 5, "times that the text is trained on"),
        ("--seed", 0, 0, "seed of the training"),
        ("--workers", 1, 1, "threads; results repeat with one only"),
    ):
        whole_number = functools.partial(_whole_number, minimum=minimum)
        parser.add_argument(name, type=whole_number, default=default, metavar="N", help=f"{sentence} (%(default)s)")
    return parser


def _tell(message: str) -> None:
    print(f"train_vectors: {message}", file=sys.stderr)


def main(argv: Sequence[str]) -> None:
    """Reads the text files, trains, and writes the vectors.

    Raises:
        InputError: a mistake in the options or the files, or gensim is not installed.
    """
    arguments = _parser().parse_args(argv)
    output: Path = arguments.output
    if output.exists() and not arguments.overwrite:
        raise InputError(f"{output}: exists already (--overwrite replaces it)")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    words, matrix = train_vectors(
        Sentences(files=arguments.files, column=arguments.column, encodings=arguments.encoding),
        dims=arguments.dims,
        window=arguments.window,
        min_count=arguments.min_count,
        epochs=arguments.epochs,
        seed=arguments.seed,
        workers=arguments.workers,
    )
    write_vectors(output, words, matrix)
    _tell(f"{output}: {matrix.shape[0]:,} vectors of {matrix.shape[1]} dimensions")


if __name__ == "__main__":
    run_verb(main)
