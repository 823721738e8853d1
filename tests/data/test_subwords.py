import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from graphmtl.data.batching import EncodedSplit
from graphmtl.errors import InputError
from graphmtl.models.transformer import load_subwords
from tests.parts import label_arrays, model_options
from tests.transformer_folders import KINDS

every_kind = pytest.mark.parametrize("kind", KINDS)
SENTENCES = [
    ["Ada", "sees", "Málaga", "!"],
    ["\u200b"],  # a word of which BERT's tokenizer makes nothing
    ["Böll", "", "left", "\u200d", "日本語", "🙂", "Rome"],
]
TEXTS = ["Ada sees Rome", "a bad book", "日本語 🙂 naïve"]


def encoded(pieces, texts, *, words=False, **options):
    return pieces.encode_texts(texts, model_options(**options), words=words)


def rows_of(texts, rows):
    """Pieces of each window of some texts, without padding."""
    ids, windows = texts.batch(np.array(rows))
    return [own[:length].tolist() for own, length in zip(ids, windows.lengths.tolist(), strict=True)]


@every_kind
def test_texts_and_pairs_are_what_the_tokenizer_itself_makes_of_them(kind, transformer):
    pieces, theirs = load_subwords(transformer(kind)), AutoTokenizer.from_pretrained(transformer(kind))
    pairs = [("Ada sees Rome", "a bad book"), ("a", "b c")]
    texts = encoded(pieces, [*((text,) for text in TEXTS), *pairs])
    expected = [*map(theirs.encode, TEXTS), *(theirs.encode(*pair) for pair in pairs)]
    assert rows_of(texts, [4, 0, 3, 2, 1]) == [expected[i] for i in (4, 0, 3, 2, 1)]
    assert texts.lengths.tolist() == [len(ids) for ids in expected]
    assert texts.truncated == 0


def test_the_second_text_of_a_pair_has_another_type_where_the_model_knows_types(transformer):
    pairs = [("Ada", "Rome"), ("a good film", "a")]
    pieces = load_subwords(transformer("bert"))
    ids, windows = encoded(pieces, pairs).batch(np.array([0, 1]))
    for pair, own, types, length in zip(pairs, ids, windows.types, windows.lengths, strict=True):
        second = len(pieces.tokenizer.encode(pair[1])) - 1  # with the [SEP] after it, without the [CLS]
        assert types.tolist() == [0] * (length - second) + [1] * second + [0] * (len(own) - length)
    assert all(encoded(load_subwords(transformer(k)), pairs).batch(np.array([0]))[1].types is None for k in KINDS[1:])


@every_kind
def test_a_word_stands_at_the_first_of_its_pieces(kind, transformer):
    pieces, theirs = load_subwords(transformer(kind)), AutoTokenizer.from_pretrained(transformer(kind))
    texts = encoded(pieces, [(sentence,) for sentence in SENTENCES], words=True)
    assert texts.lengths.tolist() == [len(sentence) for sentence in SENTENCES]
    ids, windows = texts.batch(np.array([2, 0, 1]))
    for row, sentence in zip(windows.words, [SENTENCES[i] for i in (2, 0, 1)], strict=True):
        spaced = [f" {word}" if i else word for i, word in enumerate(sentence)]
        theirs_of = theirs(spaced, is_split_into_words=True)
        for word, place in enumerate(row[: len(sentence)].tolist()):
            own = [i for i, of in zip(theirs_of["input_ids"], theirs_of.word_ids(), strict=True) if of == word]
            if own:
                assert ids.flatten()[place : place + len(own)].tolist() == own
            else:
                assert place == -1
        assert set(row[len(sentence) :].tolist()) <= {-1}
    assert kind != "bert" or windows.words[2, 0] == -1  # of the word of zero width


def test_words_are_read_as_the_text_they_stand_in(transformer):
    """The pieces of byte-level BPE begin with the space before a word."""
    pieces = load_subwords(transformer("roberta"))
    words, text = ["Ada", "sees", "Rome", "!"], "Ada sees Rome !"
    by_word, whole = encoded(pieces, [(words,)], words=True), encoded(pieces, [(text,)])
    assert rows_of(by_word, [0]) == rows_of(whole, [0])


@settings(max_examples=60)
@given(words=st.lists(st.sampled_from(["Ada", "Málaga", "\u200b", "good"]), max_size=60), size=st.integers(6, 40))
def test_windows_hold_every_word_with_the_most_pieces_around_it(words, size, transformer):
    pieces = load_pieces_once(transformer("bert"))
    ids, windows = encoded(pieces, [(["never", *words],)], words=True, max_length=size).batch(np.array([0]))
    tokens = [pieces.tokens(own[:n]) for own, n in zip(ids, windows.lengths.tolist(), strict=True)]
    assert max(map(len, tokens)) <= size
    assert all(own[0] == "[CLS]" and own[-1] == "[SEP]" and "[SEP]" not in own[:-1] for own in tokens)
    content = [own[1:-1] for own in tokens]
    joined = list(content[0])
    overlap = (size - 2) // 4
    for own in content[1:]:
        assert joined[len(joined) - overlap :] == own[:overlap]
        joined += own[overlap:]
    assert joined == pieces.tokenizer.tokenize(" ".join(["never", *words]))
    first = iter(range(len(joined)))
    starts = [i for i in first if not joined[i].startswith("##")]  # of the words that have a piece
    places = [place for place in windows.words[0].tolist() if place >= 0]
    assert len(windows.words[0]) == 1 + len(words)
    assert len(places) == len(starts) == 1 + sum(word != "\u200b" for word in words)
    for start, place in zip(starts, places, strict=True):
        window, column = divmod(place, ids.shape[1])
        around = {
            k: min(start - begin, begin + len(own) - 1 - start)
            for k, own in enumerate(content)
            if (begin := k * (size - 2 - overlap)) <= start < begin + len(own)
        }
        assert around[window] == max(around.values())
        assert content[window][column - 1] == joined[start]


_loaded: dict[str, object] = {}


def load_pieces_once(folder):
    return _loaded.setdefault(folder, load_subwords(folder))


@pytest.mark.parametrize("end", ["head", "tail", "both"])
def test_a_longer_text_is_cut_between_the_tokenizers_own_pieces(end, transformer):
    pieces = load_subwords(transformer("bert"))
    texts = encoded(pieces, [("a s r i b l m n",), ("a",)], max_length=6, truncate=end)
    kept = {"head": "asri", "tail": "blmn", "both": "asmn"}[end]
    assert pieces.tokens(rows_of(texts, [0])[0]) == ["[CLS]", *kept, "[SEP]"]
    assert texts.truncated == 1


def test_of_a_pair_the_longer_text_is_cut_first(transformer):
    pieces = load_subwords(transformer("bert"))
    long, short = "a s r i b l m n", "f"
    texts = encoded(pieces, [(long, short), (short, long), (long, long)], max_length=9, truncate="head")
    shown = [
        "".join(pieces.tokens(own)).replace("[CLS]", "").replace("[SEP]", "|") for own in rows_of(texts, [0, 1, 2])
    ]
    assert shown == ["asrib|f|", "f|asrib|", "asr|asr|"]


def test_no_more_than_the_model_can_read(transformer):
    for kind in KINDS:  # position 40 of RoBERTa's 42 is the last one: the first two are for padding and before
        pieces = load_subwords(transformer(kind))
        assert pieces.limit == 40
        assert encoded(pieces, [("a " * 100,)]).lengths.tolist() == [40]
        assert max(map(len, rows_of(encoded(pieces, [(["a"] * 100,)], words=True), [0]))) == 40


def test_room_for_the_tokenizers_own_pieces(transformer):
    with pytest.raises(InputError, match=r"--max-length 4: .* adds 3 pieces.* 5 or more"):
        encoded(load_subwords(transformer()), [("a",)], max_length=4)


def test_labels_of_words_stay_with_their_words(transformer):
    pieces = load_subwords(transformer())
    texts = encoded(pieces, [(sentence,) for sentence in SENTENCES], words=True)
    labels = [list(range(len(sentence))) for sentence in SENTENCES]
    batch = EncodedSplit(tasks=["t"], texts=texts, labels={"t": label_arrays(labels)}).batch([1, 2])
    assert batch.labels["t"].tolist() == [[0, *[-100] * 6], labels[2]]
    assert batch.lengths.tolist() == [1, 7]
    assert batch.windows.words.shape == (2, 7)


def test_saved_and_loaded_it_reads_the_same(transformer, tmp_path):
    for kind in KINDS:
        pieces = load_subwords(transformer(kind))
        pieces.save(tmp_path / kind)
        again = load_subwords(str(tmp_path / kind))
        for words, texts in ((True, [(s,) for s in SENTENCES]), (False, [(t, "a " * 50) for t in TEXTS])):
            ours, theirs = (encoded(own, texts, words=words) for own in (pieces, again))
            assert rows_of(ours, [0, 1, 2]) == rows_of(theirs, [0, 1, 2])
        assert (again.limit, len(again), str(again)) == (pieces.limit, len(pieces), str(pieces))


def test_texts_have_the_same_digest_where_the_transformer_reads_the_same(transformer):
    pieces = load_subwords(transformer("bert"))
    first = encoded(pieces, [("Ada sees",), ("Ada", "sees"), ("a good film",), ("Ada sees",), ("Ada  SEES",)]).digests()
    assert [first.index(digest) for digest in first] == [0, 1, 2, 0, 0]
    assert all(len(digest) == 16 for digest in first)
    turned = encoded(pieces, [("a good film",), ("Ada sees",)]).digests()
    assert turned == [first[2], first[0]]
    long = [(["good"] * 30,)]
    assert encoded(pieces, long, words=True, max_length=20).digests() != encoded(pieces, long, words=True).digests()


def test_types_and_windows_make_another_digest(transformer):
    pieces = load_subwords(transformer("bert"))
    texts = encoded(pieces, [(["good"] * 30,), ("Ada",)], words=True, max_length=20)
    before = texts.digests()
    types, windows = texts._types.copy(), texts._windows.copy()
    texts._types = types.copy()
    texts._types[-1] = 1
    assert [a == b for a, b in zip(texts.digests(), before, strict=True)] == [True, False]
    texts._types, texts._windows = types, windows.copy()
    texts._windows[:2] += [1, -1]
    assert [a == b for a, b in zip(texts.digests(), before, strict=True)] == [False, True]


def test_states_stand_where_their_pieces_do_and_move_with_the_batch(transformer):
    texts = encoded(load_subwords(transformer("bert")), [(["good"] * 30,), (["Ada"],)], words=True, max_length=20)
    assert texts.batch(np.array([0]))[1].states is None
    starts = np.cumsum(texts.pieces) - texts.pieces

    def of(rows):  # of each piece its id, twice
        own = [texts.ids[starts[row] : starts[row] + texts.pieces[row]] for row in rows]
        return torch.from_numpy(np.concatenate(own)).half()[:, None].expand(-1, 2)

    texts.states = of
    ids, windows = texts.batch(np.array([1, 0]))
    assert windows.states.shape == (*ids.shape, 2)
    assert windows.states.dtype == torch.float16
    assert windows.states[..., 0].tolist() == ids.tolist()
    assert windows.to("meta").states.device.type == "meta"


@every_kind
@pytest.mark.parametrize("size", [60, 24, 7])
def test_every_word_of_a_pair_has_its_first_piece_and_the_first_text_stands_in_every_window(kind, size, transformer):
    pieces = load_subwords(transformer(kind))
    pieces.limit = 500
    first, second = "a a", "a good film never so bad a book in Rome " * 3
    texts = encoded(pieces, [(first, second), ("a", "b")], words=True, max_length=size)
    words = pieces.split(first, second)
    assert texts.lengths.tolist() == [len(words), 3]
    ids, windows = texts.batch(np.array([1, 0]))
    assert windows.between.tolist() == [1, 2]
    own = windows.words[1].tolist()
    assert -1 not in own
    assert len({*own}) == len(words)
    alone = encoded(pieces, [(first, second)], words=True, max_length=500)  # where there is one window
    one, one_window = alone.batch(np.array([0]))
    assert len(one_window.lengths) == 1
    assert ids.flatten()[own].tolist() == one[0][one_window.words[0].numpy()].tolist()
    assert windows.lengths.max() <= size
    start = one[0][: one_window.words[0, 3]].tolist()  # all that stands before the second text
    repeated = [row[: len(start)].tolist() == start for row in ids[windows.texts.numpy() == 1]]
    assert all(repeated) == (size > 7)
