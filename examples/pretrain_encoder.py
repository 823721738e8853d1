"""Pre-trains a small BERT on text files by masked-language modelling (Devlin et al., NAACL 2019, section 3.1).

The folder it writes is an encoder of ``graphmtl run --encoder FOLDER``. Texts stand one a line and are lower-cased;
they are read one after the other in blocks of ``--length`` pieces, with [SEP] between. Next sentences are not predicted
(Liu et al., RoBERTa, 2019, section 4.2). Training saves its state every ``--save-every`` steps, and ``--resume`` goes
on from there, with other masks than an uninterrupted training would have drawn. On a GPU it computes in bf16.

The word pieces come from a vocabulary file (``--vocab``), or are learned from the texts:

    python examples/pretrain_encoder.py reviews.txt.xz --vocab bert-base-uncased-vocab.txt --output small-bert
"""

import argparse
import gzip
import lzma
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
)

from graphmtl.cli import Parser, run_verb
from graphmtl.data.flat import one_after_the_other
from graphmtl.errors import InputError

__all__ = ["Blocks", "main", "read_texts"]

_AT_ONCE = 1024  # texts given to the tokenizer
_CHECKPOINTS = "checkpoints"  # the folder of what --resume needs


def read_texts(files: Sequence[Path]) -> Iterator[str]:
    """The lines of UTF-8 files, plain, .gz or .xz, that are not blank.

    Raises:
        InputError: a file is missing, damaged or not UTF-8.
    """
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
    for path in files:
        try:
            with openers.get(path.suffix, open)(path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield _decoded(line, f"{path}, line {number}")
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _decoded(line: bytes, place: str) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: byte {line[error.start]:#04x} is not UTF-8") from None


class Blocks(Dataset):
    """Texts, one after the other with [SEP] after each, in blocks of ``length`` pieces that begin with [CLS].

    What is left at the end and fills no block is left out.

    Raises:
        InputError: there is not one block.
    """

    def __init__(self, texts: Iterator[str], tokenizer: Any, *, length: int):
        def pieces() -> Iterator[tuple[list[int]]]:
            while some := list(islice(texts, _AT_ONCE)):
                for ids in tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]:
                    yield ([*ids, tokenizer.sep_token_id],)

        ((self.ids, _),) = one_after_the_other(pieces(), 1)
        self.first, self.room = tokenizer.cls_token_id, length - 1
        if len(self) == 0:
            raise InputError(f"the texts have {len(self.ids)} pieces, not enough for one block of --length {length}")

    def __len__(self) -> int:
        return len(self.ids) // self.room

    def __getitem__(self, block: int) -> dict[str, list[int]]:
        return {"input_ids": [self.first, *self.ids[block * self.room : (block + 1) * self.room].tolist()]}


def _tokenizer(arguments: argparse.Namespace) -> BertTokenizer:
    """That of the vocabulary file, or a new one."""
    if arguments.vocab is None:
        new = BertTokenizer().train_new_from_iterator(read_texts(arguments.files), arguments.vocab_size)
        new.model_max_length = arguments.length
        return new
    try:
        words = arguments.vocab.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{arguments.vocab}: cannot be read ({error})") from None
    for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
        if piece not in words:
            raise InputError(f"{arguments.vocab}: no line {piece}; a WordPiece vocabulary, a piece a line, is expected")
    return BertTokenizer(vocab=str(arguments.vocab), model_max_length=arguments.length)


def _config(arguments: argparse.Namespace, tokenizer: Any) -> BertConfig:
    if arguments.hidden % arguments.heads:
        raise InputError(f"--heads {arguments.heads}: does not divide --hidden {arguments.hidden}")
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=arguments.hidden,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.heads,
        intermediate_size=4 * arguments.hidden,
        max_position_embeddings=arguments.length,
        pad_token_id=tokenizer.pad_token_id,
    )


def _prepared(arguments: argparse.Namespace) -> tuple[BertTokenizer, BertConfig]:
    """The tokenizer and the sizes, written into the folder; to resume, read from it.

    Raises:
        InputError: the folder may not be written, or holds an encoder of other sizes.
    """
    output: Path = arguments.output
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {output}: a folder is expected, found a file")
    replaced = output.exists() and any(output.iterdir()) and not arguments.resume
    if replaced:
        _check_replaceable(output, arguments.overwrite)
    resumed = arguments.resume and (output / "config.json").is_file()
    tokenizer = BertTokenizer.from_pretrained(output) if resumed else _tokenizer(arguments)
    config = _config(arguments, tokenizer)
    if resumed:
        before = BertConfig.from_pretrained(output)
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
            if getattr(before, name) != getattr(config, name):
                raise InputError(f"{output}: {name} is {getattr(before, name)}, not {getattr(config, name)}")
    if replaced:
        shutil.rmtree(output)
    try:
        (output / _CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: the folder cannot be made ({error.strerror})") from None
    tokenizer.save_pretrained(output)
    config.save_pretrained(output)
    return tokenizer, config


def _check_replaceable(output: Path, overwrite: bool) -> None:
    """An encoder's folder may be anybody's, such as a downloaded model; the one of checkpoints is written here only."""
    if not overwrite:
        raise InputError(f"{output} exists: --overwrite replaces it, --resume goes on with it")
    for name, found in (("config.json", Path.is_file), (_CHECKPOINTS, Path.is_dir)):
        if not found(output / name):
            raise InputError(f"{output} was not written by this script (no {name}), so --overwrite leaves it alone")


def _trainer(arguments: argparse.Namespace, tokenizer: Any, config: BertConfig) -> Trainer:
    gpu = torch.cuda.is_available()
    torch.manual_seed(arguments.seed)
    settings = TrainingArguments(
        output_dir=str(arguments.output / _CHECKPOINTS),
        max_steps=arguments.steps,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.lr,
        weight_decay=0.01,
        warmup_steps=arguments.steps // 20,
        lr_scheduler_type="linear",
        save_steps=arguments.save_every,
        save_total_limit=1,
        logging_steps=min(100, arguments.steps),
        bf16=gpu,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        report_to=[],
        seed=arguments.seed,
    )
    return Trainer(
        model=BertForMaskedLM(config),
        args=settings,
        train_dataset=Blocks(read_texts(arguments.files), tokenizer, length=arguments.length),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=arguments.mask),
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="pretrain_encoder", description="Pre-train a small BERT on text files.", allow_abbrev=False)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="UTF-8 text, one a line; plain, .gz or .xz")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="what --encoder takes")
    parser.add_argument("--resume", action="store_true", help="go on with what stands in --output")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands in --output")
    parser.add_argument(
        "--vocab", type=Path, metavar="FILE", help="WordPiece vocabulary, a piece a line (else learned)"
    )
    for name, kind, default, sentence in (
        ("--vocab-size", int, 16000, "pieces that are learned"),
        ("--layers", int, 4, "layers"),
        ("--hidden", int, 256, "dimensions of a state"),
        ("--heads", int, 4, "attention heads"),
        ("--length", int, 256, "pieces of a block, the most that the encoder can read"),
        ("--steps", int, 20000, "optimiser steps"),
        ("--batch-size", int, 64, "blocks in a step"),
        ("--lr", float, 5e-4, "peak learning rate"),
        ("--mask", float, 0.15, "share of the pieces to be predicted"),
        ("--save-every", int, 1000, "steps between two states that can be resumed"),
        ("--seed", int, 0, "seed of weights, order and masks"),
    ):
        parser.add_argument(name, type=kind, default=default, metavar="N", help=f"{sentence} (%(default)s)")
    return parser


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    arguments = _parser().parse_args(argv)
    for name, lowest in (("layers", 1), ("hidden", 1), ("heads", 1), ("length", 3), ("steps", 1), ("save_every", 1)):
        if getattr(arguments, name) < lowest:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag}: found {getattr(arguments, name)}, expected {lowest} or more")
    if not 0 < arguments.mask < 1:
        raise InputError(f"--mask: found {arguments.mask}, expected a number between 0 and 1")
    return arguments


def main(argv: Sequence[str]) -> None:
    """Reads the texts, trains, and writes the encoder's folder.

    Raises:
        InputError: a mistake in the options or the files.
    """
    arguments = _parsed(argv)
    tokenizer, config = _prepared(arguments)
    trainer = _trainer(arguments, tokenizer, config)
    saved = any((arguments.output / _CHECKPOINTS).glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=saved)
    bert: Any = trainer.accelerator.unwrap_model(trainer.model).bert
    bert.save_pretrained(arguments.output)
    print(f"{arguments.output}: {bert.num_parameters():,} parameters")


if __name__ == "__main__":
    run_verb(main)
