import inspect
import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertModel, FNetConfig, LxmertConfig, T5Config, ViTConfig

from graphmtl.architectures import architecture_class
from graphmtl.config import TrainingOptions
from graphmtl.data.batching import EncodedSplit, encode_tasks, encode_texts
from graphmtl.data.task import Task
from graphmtl.data.vocabulary import Vocabulary
from graphmtl.errors import InputError
from graphmtl.models.model import MultiTaskModel
from graphmtl.models.transformer import TransformerEncoder, TransformerOptions, load_subwords
from graphmtl.models.wide import count_ngrams, ngrams_of
from graphmtl.registry import ARCHITECTURES
from graphmtl.training.optimization import adamw
from graphmtl.training.trainer import Trainer
from tests.parts import label_arrays, model_options
from tests.tagging import POS, tagging_tasks
from tests.transformer_folders import KINDS, LAYERS, write_transformer

every_architecture = pytest.mark.parametrize("arch", list(ARCHITECTURES))
every_kind = pytest.mark.parametrize("kind", KINDS)
PLAIN = Task(name="plain", labels=("no", "yes"))
PAIRS = Task(name="pairs", labels=("x", "y", "z"), text=("p", "q"))
TAGS = replace(POS, name="tags")
MOOD = Task(name="mood", labels=("calm", "angry"), tokens=True)
INPUTS = {  # of each task: texts and their labels
    "plain": ([("Ada sees Rome",), ("a bad book " * 9,), ("never",)], [0, 1, 1]),
    "pairs": ([("Ada sees", "a film"), ("a", "never so bad a book " * 5), ("good", "in 1999 !")], [2, 0, 1]),
    "tags": ([(["Ada", "\u200b", "Málaga"],), (["word"] * 70,), (["!"],)], [[0, 1, 2], [1] * 70, [-100]]),
    "mood": ([(["Ada", "\u200b", "Málaga"],), (["word"] * 70,), (["!"],)], [0, 1, 1]),
}
TASKS = [PLAIN, PAIRS, TAGS, MOOD]


def build(folder, arch="shared", tasks=TASKS, **options):
    torch.manual_seed(0)
    values = {"hidden": 4, "attention": 3, "max_length": 40} | options
    options = model_options(arch=arch, encoder=folder, **values)
    model = MultiTaskModel(tasks=tasks, vocabulary=load_subwords(folder), options=options)
    model.load_encoder()
    return model.eval()


def batch_of(model, name, rows=(0, 1, 2)):
    texts, labels = INPUTS[name]
    encoded = encode_texts(
        [texts[i] for i in rows], model.vocabulary, model.options, None, whole=model.tasks[name].tokens
    )
    split = EncodedSplit(tasks=[name], texts=encoded, labels={name: label_arrays([labels[i] for i in rows])})
    return split.batch(range(len(rows)))


def logits_of(model, rows=(0, 1, 2)):
    return {name: model(batch_of(model, name, rows))[name].logits for name in model.tasks}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {}) for kind in KINDS),
        ("squeezebert", {"embedding_size": 8}),  # which calls its pooler in any case
        ("xlnet", {"d_inner": 12, "d_head": 4}),  # which reads texts of any length
    ],
)
def test_states_are_the_last_hidden_states_and_cls_the_first_of_them(kind, changes, transformer):
    folder = transformer(kind, **changes)
    model = build(folder)
    theirs, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for name, rows in (("plain", (0, 2)), ("pairs", (0, 2))):
        encoded = model.encode(batch_of(model, name, rows))
        for row, (states, cls, length) in zip(
            rows, zip(encoded.states, encoded.pooled, encoded.lengths, strict=True), strict=True
        ):
            inputs = tokenizer(*INPUTS[name][0][row], return_tensors="pt", return_token_type_ids=kind.endswith("bert"))
            expected = theirs(**inputs).last_hidden_state[0]
            torch.testing.assert_close(states[:length], expected)
            torch.testing.assert_close(cls, expected[0])


@every_architecture
@every_kind
def test_every_kind_of_task_trains_a_step_and_is_saved_and_loaded_identically(arch, kind, transformer, tmp_path):
    model = build(transformer(kind), arch).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = adamw(model, TrainingOptions())
    outputs = {name: model(batch_of(model, name))[name] for name in model.tasks}
    losses = []
    for output in outputs.values():
        losses.append(output.loss())
    sum(losses).backward()
    optimizer.step()
    first_layers = [name for name in before if "layer.0.attention" in name and name.endswith("weight")]
    assert len(first_layers) >= (4 if arch == "single" else 1)
    for name in first_layers:
        assert not torch.equal(dict(model.named_parameters())[name], before[name]), name
    model.eval().save_pretrained(tmp_path / "model")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    for name, logits in logits_of(model).items():
        assert torch.equal(logits_of(loaded)[name], logits)
    for name, task in model.tasks.items():
        texts = [("a", "b"), ""] if task.is_pair else ["Ada left Rome !", ["good", "\u200b"], ""]
        assert loaded.predict(texts, name) == model.predict(texts, name)


@every_architecture
@pytest.mark.parametrize("pooling", ["auto", "max"])
def test_padding_and_the_other_texts_of_a_batch_change_nothing(arch, pooling, transformer):
    model = build(transformer(), arch, pooling=pooling, max_length=12).double()  # the longer ones in several windows
    together = logits_of(model)
    for row in range(3):
        for name, logits in logits_of(model, (row,)).items():
            length = logits.shape[1] if model.tasks[name].of_kind.labels_tokens else None
            torch.testing.assert_close(together[name][row][:length], logits[0], rtol=1e-9, atol=1e-9)


def test_pooling_is_cls_where_the_states_are_taken_as_they_are(transformer):
    for arch in ARCHITECTURES:
        kind = architecture_class(arch)
        expected = "max-mean" if kind.reads_contextual else "cls"
        assert build(transformer(), arch).options.pooling == expected


def test_a_text_in_windows_has_the_mean_of_their_first_pieces(transformer):
    model = build(transformer(), max_length=12)
    batch = batch_of(model, "mood")
    encoded = model.encode(batch)
    states = (
        model.encoders[0].model(input_ids=batch.tokens, attention_mask=(batch.tokens != 0).long()).last_hidden_state
    )  # (windows, pieces, dim)
    assert batch.windows.texts.tolist() == [0, *[1] * (len(states) - 2), 2]
    torch.testing.assert_close(encoded.pooled[1], states[1:-1, 0].mean(0))
    torch.testing.assert_close(encoded.pooled[[0, 2]], states[[0, -1], 0])


@every_kind
def test_the_wide_part_reads_the_pieces_of_every_window_and_none_that_the_tokenizer_adds(kind, transformer):
    model = build(transformer(kind), wide=True, max_length=12)
    special = model.vocabulary.special_ids
    added = {*count_ngrams(torch.tensor([special]), torch.tensor([len(special)]), special=()).buckets.tolist()}
    for name in ("plain", "mood"):
        batch = batch_of(model, name)
        found, expected = ngrams_of(batch, special), [Counter(), Counter(), Counter()]
        for text, row, length in zip(batch.windows.texts, batch.tokens, batch.windows.lengths, strict=True):
            own = count_ngrams(row[None], length[None], special=special)
            expected[text].update(dict(zip(own.buckets.tolist(), own.counts.tolist(), strict=True)))
        entries = zip(found.rows.tolist(), found.buckets.tolist(), found.counts.tolist(), strict=True)
        assert {(i, bucket): count for i, bucket, count in entries} == {
            (i, bucket): count for i, counts in enumerate(expected) for bucket, count in counts.items()
        }
        assert found.texts == 3
        assert not added & {*found.buckets.tolist()}


def test_the_wide_part_answers_beside_a_transformer(transformer):
    alone, model = (build(transformer(), wide=wide) for wide in (False, True))
    assert [name for name in model.tasks if model.wide_part(name) is not None] == ["plain", "mood"]
    part = model.wide_part("plain")
    for buffer in (part.idf, part.weight, part.strength):
        buffer.fill_(1.0)
    batch = batch_of(model, "plain")
    logits = (alone(batch)["plain"].logits + part(ngrams_of(batch, model.vocabulary.special_ids))) / 2
    torch.testing.assert_close(model(batch)["plain"].logits, logits)
    for i in range(3):
        torch.testing.assert_close(logits_of(model, (i,))["plain"][0], logits[i])


def test_a_word_without_a_piece_has_the_state_0_and_a_label(transformer):
    model = build(transformer())
    states = model.encode(batch_of(model, "tags", (0,))).states
    assert not states[0, 1].any()
    assert states[0, [0, 2]].any(-1).all()
    (answer,) = model.predict([["Ada", "\u200b", "Málaga"]], "tags")
    assert len(answer["labels"]) == 3


def test_a_sentence_of_2000_words_has_2000_labels_and_none_depends_on_words_far_away(transformer):
    model = build(transformer())
    words = ["Ada", "never", "\u200b", "Málaga"] * 500
    (whole,) = model.predict([words], "tags")
    assert len(whole["labels"]) == len(whole["tokens"]) == 2000
    (other,) = model.predict([[*words[:1900], *["good"] * 100]], "tags")
    assert other["labels"][:1800] == whole["labels"][:1800]
    states = model.encode(
        EncodedSplit(tasks=["tags"], texts=model.vocabulary.encode_texts([(words,)], model.options, words=True)).batch(
            [0]
        )
    ).states
    assert (states[0].any(-1) == torch.tensor([True, True, False, True] * 500)).all()


def test_edge_weights_of_every_piece(transformer):
    model = build(transformer(), "complete")
    (text,) = model.predict(["Ada left"], "plain", edges="tokens")
    assert text["tokens"][0] == "[CLS]"
    assert len(text["edges"]) == len(text["tokens"])
    (plain,) = model.predict(["Ada left"], "plain")
    assert text["probabilities"] == plain["probabilities"]
    (tags,) = model.predict([["Ada", "left"]], "tags", edges=True)
    assert len(tags["edges"]) == 2


@every_kind
def test_rates_fall_from_layer_to_layer(kind, transformer):
    model = build(transformer(kind), "single", tasks=[PLAIN, PAIRS], encoder_lr=0.1, layer_decay=0.5)
    optimizer = adamw(model, TrainingOptions(lr=0.3, weight_decay=0.01))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert set(rates) == set(names.values())
    for name, (rate, decay) in rates.items():
        assert decay == (0.0 if name.endswith("bias") or "Norm" in name else 0.01), name
        if name.startswith("heads"):
            assert rate == 0.3
        elif "embeddings." in name and "rel_embeddings" not in name:
            assert rate == pytest.approx(0.1 * 0.5**LAYERS)
        elif ".layer." in name:
            assert rate == pytest.approx(0.1 * 0.5 ** (LAYERS - 1 - int(name.split(".layer.")[1].split(".")[0])))
        else:
            assert rate == 0.1
    assert optimizer.param_groups[0]["lr"] == 0.3  # the one that is shown


@every_kind
def test_frozen_layers_do_not_change_by_one_bit(kind, transformer):
    model = build(transformer(kind), freeze_layers=2, encoder_lr=0.1, tasks=[PLAIN]).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = adamw(model, TrainingOptions(weight_decay=0.1))
    for _ in range(3):
        batch = batch_of(model, "plain")
        model(batch)["plain"].loss().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        low = (".embeddings." in name or ".layer.0." in name or ".layer.1." in name) and "encoders" in name
        if low:
            assert torch.equal(parameter, before[name]), name
        elif "layer.2" in name and name.endswith("weight"):
            assert not torch.equal(parameter, before[name]), name


@every_kind
@pytest.mark.parametrize("frozen", [0, 1, LAYERS])
def test_frozen_layers_have_no_dropout_in_training_and_the_others_do(kind, frozen, transformer):
    folder = transformer(kind, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    model = build(folder, freeze_layers=frozen, tasks=[PLAIN]).train()
    batch, encoder = batch_of(model, "plain"), model.encoders[0]
    _, layers = encoder._stack()
    modes = [{module.training for module in layer.modules()} for layer in (encoder.model.embeddings, *layers)]
    assert modes == [{False}] * (frozen + 1 if frozen else 0) + [{True}] * (LAYERS - frozen + (0 if frozen else 1))
    once, again = (encoder(batch).states for _ in range(2))
    assert torch.equal(once, again) == (frozen == LAYERS)
    assert encoder.eval().training is False
    assert not any(module.training for module in encoder.modules())


def test_no_more_layers_are_frozen_than_there_are(transformer):
    assert not any(p.requires_grad for p in build(transformer(), freeze_layers=LAYERS).encoders.parameters())
    with pytest.raises(InputError, match=rf"--freeze-layers {LAYERS + 1}: the encoder has {LAYERS} layers"):
        build(transformer(), freeze_layers=LAYERS + 1)


@every_kind
def test_gradient_checkpointing_changes_no_gradient(kind, transformer):
    gradients, kept = [], []
    for checkpointing in (False, True):
        model = build(transformer(kind), gradient_checkpointing=checkpointing, output_dropout=0.0).double().train()
        batch = batch_of(model, "pairs")
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            loss = model(batch)["pairs"].loss()
        loss.backward()
        kept.append(sum(sizes))
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
    assert kept[1] < kept[0] / 2


def test_gradient_checkpointing_of_a_model_that_has_none(transformer, monkeypatch):
    monkeypatch.setattr("transformers.BertModel.supports_gradient_checkpointing", False)
    with pytest.raises(InputError, match="--gradient-checkpointing: bert does not support it"):
        build(transformer(), gradient_checkpointing=True)


def test_bf16_trains_on_the_cpu(transformer):
    tasks = tagging_tasks()
    model = build(transformer(), tasks=list(tasks.tasks.values()))
    data = encode_tasks(tasks, model.vocabulary, model.options)
    options = TrainingOptions(epochs=1, precision="bf16", device="cpu", progress=False)
    before = model.encoders[0].layers()[1][0].detach().clone()
    result = Trainer(model=model, data=data, options=options).train()
    assert all(np.isfinite(loss) for loss in result.history[0]["losses"].values())
    assert model.encoders[0].layers()[1][0].dtype == torch.float32
    assert not torch.equal(model.encoders[0].layers()[1][0], before)


def test_layers_of_the_same_corpus_are_read_once(transformer, monkeypatch):
    tasks = tagging_tasks("pos", "ner", "mood")
    model = build(transformer(), tasks=list(tasks.tasks.values()))
    data = encode_tasks(tasks, model.vocabulary, model.options)
    assert data["pos"].train is data["mood"].train
    read, forward = [], TransformerEncoder.forward
    monkeypatch.setattr(TransformerEncoder, "forward", lambda self, batch: read.append(1) or forward(self, batch))
    batch = data["pos"].train.batch([0, 1])
    outputs = model(batch)
    assert len(read) == 1
    assert outputs["pos"].logits.shape[:2] == batch.labels["pos"].shape
    assert outputs["mood"].logits.shape == (2, 2)


def test_each_task_of_single_is_selected_with_its_own_transformer(transformer):
    model = build(transformer(), "single")
    groups = model.selection_groups()
    assert sorted(name for names in groups.values() for name in names) == sorted(dict(model.named_parameters()))
    for place, names in enumerate(groups.values()):
        assert {name.split(".")[1] for name in names} == {str(place)}


def test_weights_are_loaded_and_equal_in_every_copy(transformer):
    theirs = load_file(f"{transformer()}/model.safetensors")
    for encoder in build(transformer(), "single").encoders:
        ours = encoder.model.state_dict()
        assert len(ours) == len(theirs) - 2  # without the pooler
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# what cannot be used


def message(folder, action=load_subwords):
    with pytest.raises(InputError) as error:
        action(str(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def copied(transformer, tmp_path):
    return shutil.copytree(transformer(), tmp_path / "encoder")


@pytest.fixture
def unreachable(monkeypatch):
    """The Hub does not answer; how often it was asked."""
    asked = []

    def no_route(url, **_options):
        asked.append(url)
        raise OSError("no route to host")

    monkeypatch.setattr("graphmtl.models.hub.get_hf_file_metadata", no_route)
    return asked


def test_neither_folder_nor_reachable(unreachable, capfd):
    said = message("lsmt")
    assert "unknown encoder 'lsmt'; did you mean 'lstm'?" in said
    assert "no folder 'lsmt'" in said
    assert "huggingface.co" in said
    assert "huggingface/hub" in said
    assert "OSError: no route to host" in said
    assert "did you mean" not in message("bert-base-uncased")
    assert len(unreachable) == 2
    assert capfd.readouterr().err == ""  # nothing of huggingface_hub's retries


def test_a_cached_encoder_is_loaded_without_the_hub(transformer, tmp_path, unreachable, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between two tries to reach it
    repository = tmp_path / "models--our--encoder"
    shutil.copytree(transformer(), repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    ours, theirs = (logits_of(build(name)) for name in ("our/encoder", transformer()))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert len(unreachable) == 2  # for the tokenizer and for the weights


def test_what_can_be_no_name_on_the_hub():
    assert "no folder 'no/such/folder'" in message("no/such/folder")


def test_a_folder_without_configuration(tmp_path):
    assert message(tmp_path) == f"encoder {str(tmp_path)!r}: the folder has no config.json"


def test_a_damaged_configuration(copied):
    (copied / "config.json").write_text("{")
    assert "no config.json of a transformer" in message(copied)


def test_no_tokenizer(copied):
    (copied / "tokenizer.json").unlink()
    assert "tokenizer" in message(copied)


def test_a_folder_without_any_tokenizer_file(copied):
    """transformers makes an empty tokenizer there, to which every word is unknown."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copied / name).unlink()
    assert "tokenizer" in message(copied)


def test_a_tokenizer_without_fast_version(copied, monkeypatch):
    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.is_fast", False)
    assert "has no fast version" in message(copied)


def test_a_tokenizer_with_more_pieces_than_embeddings(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"vocab_size": 50}))
    assert "its tokenizer has 70 pieces, its embeddings only 50" in message(copied)


@pytest.mark.parametrize(
    ("size", "value"),
    [
        ("num_hidden_layers", 10**6),
        ("num_hidden_layers", 0),
        ("num_hidden_layers", "x"),
        ("num_attention_heads", 0),
        ("num_attention_heads", 10**6),
        ("hidden_size", 0),
        ("hidden_size", 10**9),
        ("vocab_size", 10**12),
        ("intermediate_size", [1]),
        ("max_position_embeddings", -1),
    ],
)
def test_sizes_that_no_encoder_has(size, value, copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {size: value}))
    found = message(copied)
    assert found.startswith(f"encoder {str(copied)!r}: ")
    assert size in found
    assert "\n" not in found


def test_an_encoder_with_a_decoder(copied):
    T5Config().save_pretrained(copied)
    assert "t5 is an encoder and a decoder" in message(copied)


def test_a_model_that_reads_no_text(copied):
    ViTConfig().save_pretrained(copied)
    assert "vit does not read text to hidden states" in message(copied)


def test_no_weights_or_not_all_of_them(copied):
    weights = load_file(copied / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert "its weights lack 1 tensors, such as encoder.layer.1.output.dense.weight" in message(copied, build)
    (copied / "model.safetensors").unlink()
    assert "no weights that can be loaded" in message(copied, build)


class Evil:
    def __reduce__(self):
        return SystemExit, ("run",)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps({"a": Evil()}, 2)], ids=["empty", "garbage", "evil"])
def test_pickled_weights_execute_nothing(copied, content):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(content)
    assert "no weights that can be loaded" in message(copied, build)


def test_code_that_comes_with_an_encoder_is_not_run(copied):
    config = json.loads((copied / "config.json").read_text()) | {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
    }
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "evil.py").write_text("raise SystemExit('run')")
    assert "no config.json of a transformer" in message(copied)


def test_cls_needs_a_tokenizer_that_begins_with_it(tmp_path):
    folder = write_transformer(tmp_path / "bert")
    path = tmp_path / "bert" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    path.write_text(json.dumps(tokenizer | {"post_processor": None}))
    assert build(folder).options.pooling == "max-mean"
    assert "no vector of its own" in message(folder, lambda folder: build(folder, pooling="cls"))


def test_words_are_no_pieces(transformer):
    options = model_options(encoder=transformer())
    with pytest.raises(InputError, match="unknown encoder"):
        MultiTaskModel(tasks=TASKS, vocabulary=Vocabulary.build(["a"]), options=options)
    with pytest.raises(InputError, match="unknown encoder"):
        MultiTaskModel(tasks=TASKS, vocabulary=load_subwords(transformer()), options=model_options())


def test_transformers_is_not_loaded_without_need():
    code = "import graphmtl, sys; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FNetConfig, "fnet does not read text to hidden states"),  # it looks at no mask
        (LxmertConfig, "lxmert cannot read a text (ValueError"),  # it wants a picture too
    ],
)
def test_encoders_that_cannot_be_read_as_they_are(tmp_path, config, message, error_of):
    write_transformer(tmp_path, "bert")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    AutoModel.from_config(config(vocab_size=200, **sizes)).save_pretrained(tmp_path)
    told = error_of("run", "--encoder", tmp_path, "--planted-rich", "20", "--output", tmp_path / "run")
    assert f"encoder '{tmp_path}': {message}" in told


def test_reading_before_the_weights_are_there_leaves_nothing_behind(transformer, monkeypatch):
    """BigBird, say, has another attention for good once it has read a short text."""
    forward = BertModel.forward

    def changed(model, *args, attention_mask=None, **others):
        model.read = True
        return forward(model, *args, attention_mask=attention_mask, **others)

    changed.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(BertModel, "forward", changed)
    encoder = TransformerEncoder(vocabulary=load_subwords(transformer("bert")), options=TransformerOptions())
    assert not hasattr(encoder.model, "read")


def test_an_encoder_to_which_filling_up_matters_is_refused(transformer, monkeypatch):
    vocabulary = load_subwords(transformer("bert"))
    forward = BertModel.forward

    def without_mask(model, input_ids=None, attention_mask=None, **others):
        return forward(model, input_ids=input_ids, attention_mask=torch.ones_like(attention_mask), **others)

    monkeypatch.setattr(BertModel, "forward", without_mask)
    with pytest.raises(InputError, match="what bert makes of a text depends on how far its batch is filled up"):
        TransformerEncoder(vocabulary=vocabulary, options=TransformerOptions())
