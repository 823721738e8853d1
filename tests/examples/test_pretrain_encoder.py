import gzip
import lzma
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertTokenizer
from transformers.utils import logging

from examples import pretrain_encoder
from examples.pretrain_encoder import Blocks, main, read_texts
from graphmtl.cli import run_verb
from graphmtl.data.task import Task
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.transformer import load_subwords
from tests.parts import model_options

TEXT = "The cat sat on the mat .\nThe dog sat on the rug .\n\n" * 20
SMALL = {"layers": 2, "hidden": 8, "heads": 2, "length": 12, "steps": 4, "batch-size": 4, "save-every": 2}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def pretrain(text, tmp_path):
    logging.disable_progress_bar()

    def pretrain(*arguments, output="encoder", **changes):
        sizes = [f"--{name}={value}" for name, value in (SMALL | {"vocab-size": 60} | changes).items()]
        main([str(text), "--output", str(tmp_path / output), *sizes, *map(str, arguments)])
        return tmp_path / output

    return pretrain


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_the_folder_is_an_encoder(pretrain):
    folder = pretrain()
    pieces = load_subwords(str(folder))
    assert pieces.tokenizer.tokenize("The dog") == ["the", "dog"]
    assert (pieces.limit, pieces.starts_with_cls, pieces.config.num_hidden_layers) == (12, True, 2)
    tasks = [Task(name="a", labels=("no", "yes"))]
    model = MultiTaskModel(
        tasks=tasks, vocabulary=pieces, options=model_options(arch="shared", encoder=str(folder))
    ).eval()
    model.load_encoder()
    assert torch.equal(
        model.encoders[0].model.embeddings.word_embeddings.weight, weights(folder)["embeddings.word_embeddings.weight"]
    )
    assert model.predict(["the cat"], "a")[0]["label"] in ("no", "yes")


def test_the_same_seed_gives_the_same_weights(pretrain):
    name = "encoder.layer.0.output.dense.weight"
    first, again, other = (weights(pretrain("--seed", seed, output=str(i)))[name] for i, seed in enumerate((3, 3, 4)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_goes_on_where_it_stopped(pretrain, monkeypatch):
    save, step, steps = pretrain_encoder.Trainer._save_checkpoint, pretrain_encoder.Trainer.training_step, []

    def stop(self, *arguments, **values):
        save(self, *arguments, **values)
        raise KeyboardInterrupt

    def counted(self, *arguments, **values):
        steps.append(self.state.global_step)
        return step(self, *arguments, **values)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_encoder.Trainer, "_save_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain()
    monkeypatch.setattr(pretrain_encoder.Trainer, "training_step", counted)
    folder = pretrain("--resume")
    assert steps == [2, 3]
    assert load_subwords(str(folder)).config.num_hidden_layers == 2
    assert "encoder.layer.1.output.dense.weight" in weights(folder)


def test_it_learns_what_stands_beside_a_word(pretrain, capsys):
    pretrain(steps=150, lr=0.01)
    losses = [
        float(line.split("'loss': '")[1].split("'")[0])
        for line in capsys.readouterr().out.split("\n")
        if "'loss'" in line
    ]
    assert losses[0] < 3.0  # of 28 pieces or so; ln 28 = 3.3 at the start


def test_a_given_vocabulary_keeps_its_order(pretrain, tmp_path):
    words = ["[PAD]", "x", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = BertTokenizer.from_pretrained(pretrain("--vocab", tmp_path / "vocab.txt"))
    assert tokenizer("The cats dog")["input_ids"] == [3, 6, 7, 8, 2, 4]


def test_blocks_hold_every_piece_but_the_last_few(text):
    tokenizer = BertTokenizer().train_new_from_iterator(read_texts([text]), 60, show_progress=False)
    blocks = Blocks(read_texts([text]), tokenizer, length=7)
    joined = [i for block in range(len(blocks)) for i in blocks[block]["input_ids"][1:]]
    expected = [i for line in TEXT.split("\n") if line for i in tokenizer(line)["input_ids"][1:]]
    assert {blocks[i]["input_ids"][0] for i in range(len(blocks))} == {tokenizer.cls_token_id}
    assert joined == expected[: len(joined)]
    assert len(expected) - len(joined) < 6


def test_compressed_texts(text, tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "a.xz").write_bytes(lzma.compress(TEXT.encode()))
    plain = list(read_texts([text]))
    assert len(plain) == 40
    assert list(read_texts([tmp_path / "a.gz", tmp_path / "a.xz"])) == plain * 2


def fails(*arguments):
    with pytest.raises(InputError) as error:
        main([str(argument) for argument in arguments])
    return str(error.value)


def test_mistakes(text, tmp_path, capsys):
    output = tmp_path / "encoder"
    (tmp_path / "vocab.txt").write_text("the\n")
    (tmp_path / "latin").write_bytes(b"a\nna\xefve\n")
    assert "no line [PAD]" in fails(text, "--output", output, "--vocab", tmp_path / "vocab.txt")
    assert "latin, line 2: byte 0xef is not UTF-8" in fails(tmp_path / "latin", "--output", output)
    assert "nowhere: cannot be read (No such file" in fails(tmp_path / "nowhere", "--output", output)
    assert "--heads 3: does not divide --hidden 8" in fails(text, "--output", output, "--heads", 3, "--hidden", 8)
    assert "--steps: found 0, expected 1 or more" in fails(text, "--output", output, "--steps", 0)
    assert "--mask: found 1.0" in fails(text, "--output", output, "--mask", 1)
    assert not output.exists()
    assert "not enough for one block" in fails(text, "--output", output, "--length", 5000)
    with pytest.raises(SystemExit) as leaving:
        run_verb(main, [str(text)])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_is_overwritten(pretrain, tmp_path):
    folder = pretrain()
    before = weights(folder)
    with pytest.raises(InputError, match="--overwrite replaces it, --resume goes on with it"):
        pretrain()
    with pytest.raises(InputError, match="hidden_size is 8, not 16"):
        pretrain("--resume", hidden=16)
    assert all(torch.equal(weights(folder)[name], before[name]) for name in before)
    assert weights(pretrain("--overwrite", hidden=16))["embeddings.LayerNorm.bias"].shape == (16,)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(InputError, match="leaves it alone"):
        pretrain("--overwrite", output="mine")


def test_an_encoder_of_other_origin_is_left_alone(pretrain, text, tmp_path):
    folder = pretrain()
    shutil.rmtree(folder / "checkpoints")
    assert "no checkpoints), so --overwrite leaves it alone" in fails(text, "--output", folder, "--overwrite")
    assert (folder / "model.safetensors").is_file()


def test_nothing_is_removed_for_mistaken_options(pretrain, text):
    folder = pretrain()
    assert "--heads 3" in fails(text, "--output", folder, "--overwrite", "--heads", 3, "--hidden", 8)
    assert (folder / "model.safetensors").is_file()


def test_an_output_that_can_be_no_folder(text, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    for flags in ([], ["--resume"], ["--overwrite"]):
        error = fails(text, "--vocab", vocabulary, "--output", text, *flags)
        assert error == f"--output {text}: a folder is expected, found a file"
    error = fails(text, "--vocab", vocabulary, "--output", text / "encoder")
    assert error == f"{text / 'encoder'}: the folder cannot be made (Not a directory)"
    assert text.read_text() == TEXT
