"""Small transformers with random weights, and their tokenizers, as folders that ``--encoder`` takes."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DebertaV2Config,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    SqueezeBertConfig,
    XLNetConfig,
)
from transformers.utils import logging

TEXTS = ["Ada sees Rome in 1999 !", "Böll left Málaga , NYC", "a good film", "never so bad a book", "word parent own"]
LAYERS = 3
KINDS = ("bert", "roberta", "deberta")
_OTHERS = {
    "electra": ElectraConfig,
    "modernbert": ModernBertConfig,
    "albert": AlbertConfig,
    "squeezebert": SqueezeBertConfig,
    "xlnet": XLNetConfig,
}
_SIZES = {"hidden_size": 8, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 12}
_DROPOUT = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}  # published encoders have some
_BERT = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_ROBERTA = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=70, special_tokens=[*_BERT.values()], show_progress=False)
    )
    return tokenizer


def _byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=290, special_tokens=[*_ROBERTA.values()], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return tokenizer


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(
            vocab_size=70, special_tokens=[*_BERT.values()], unk_token="[UNK]", show_progress=False
        ),
    )
    return tokenizer


def _fast(tokenizer: Tokenizer, special: dict[str, str]) -> PreTrainedTokenizerFast:
    cls, sep = ((special[key], tokenizer.token_to_id(special[key])) for key in ("cls_token", "sep_token"))
    pair = "$A {sep} {sep} $B {sep}" if special is _ROBERTA else "$A {sep} $B:1 {sep}:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls[0]} $A {sep[0]}",
        pair=f"{cls[0]} {pair.format(sep=sep[0])}",
        special_tokens=[cls, sep],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def write_transformer(folder: Path, kind: str = "bert", **changes) -> str:
    """Writes the weights, ``config.json`` and tokenizer of a random model; for ``--encoder``.

    Those of :data:`KINDS` have tokenizers of their own, the others that of ``bert``.
    """
    special = _ROBERTA if kind == "roberta" else _BERT
    tokenizer = _fast({"roberta": _byte_level_bpe, "deberta": _unigram}.get(kind, _wordpiece)(), special)
    sizes = {**_SIZES, **_DROPOUT, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | changes
    config: PretrainedConfig
    if kind in _OTHERS:
        limit = {} if kind == "xlnet" else {"max_position_embeddings": 40}  # it has none
        config = _OTHERS[kind](**limit | sizes)
    elif kind == "bert":
        config = BertConfig(**{"max_position_embeddings": 40} | sizes)
    elif kind == "roberta":
        config = RobertaConfig(**{"max_position_embeddings": 42, "type_vocab_size": 1} | sizes)
    else:
        relative = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
        config = DebertaV2Config(**{"max_position_embeddings": 40, "type_vocab_size": 0} | relative | sizes)
    torch.manual_seed(0)
    logging.disable_progress_bar()
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
