import random
import time
from typing import Any

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_mtl.data import long_texts
from hf_mtl.data.long_texts import cut_long_texts
from hf_mtl.data.text_batches import gather_batches, text_batches
from hf_mtl.data.tokens import TokenStore
from tests.modeling.families import some_fast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LIMITS = (64,)


def _random_text(count: int, seed: int, between: str = " ") -> str:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijéßΣ漢字", k=draw.randint(1, 8))) for _ in range(500)]
    return between.join(draw.choices(words, k=count))


LONG = {
    "words": _random_text(4000, 0),
    "no blanks": _random_text(4000, 1, between=""),
    "one word": "a" * 20_000,
    "one word of two": "a" * 20_000 + " b",
    "blanks": "   \n\t " * 3000 + "ab ha",
    "blanks between": "ab   \n\t" * 3000,
    "punctuation": "!?" * 9000,
    "unknown": "☃" * 9000,
    "marks": "e\u0301" * 9000,
    "removed by a normaliser": "\u200b\x01" * 9000 + "ab cd",
}


def _tokenizer(kind: str) -> PreTrainedTokenizerFast:
    options: dict[str, Any] = {"special_tokens": SPECIAL, "vocab_size": 600, "show_progress": False}
    trainer: Any
    if kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**options)
    elif kind.startswith("bytes"):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "bytes")
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    else:
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.StripAccents()])
        backend.pre_tokenizer = pre_tokenizers.Metaspace(split=kind == "unigram")
        trainer = trainers.UnigramTrainer(unk_token="[UNK]", **options)
    lines = [_random_text(4, seed) for seed in range(300)]
    backend.train_from_iterator(lines, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def _tokenise(columns: dict[str, list[str]], tokenizer: PreTrainedTokenizerFast, limit: int) -> TokenStore:
    arrays = [pa.array(texts, pa.large_string()) for texts in columns.values()]
    return gather_batches(text_batches(arrays, tokenizer, limit, takes_types=True), takes_types=True)


def _plain(tokens: TokenStore) -> list[list[int]]:
    types = [] if tokens.flat_type_ids is None else tokens.flat_type_ids.tolist()
    return [tokens.flat_ids.tolist(), types, tokens.offsets.tolist(), tokens.cut.tolist()]


KINDS = ["wordpiece", "bytes", "bytes in one piece", "unigram", "unigram in one piece"]


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "_LEAST", 4096)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("side", some_fast(["right", "left"], "left"))
@pytest.mark.parametrize("kind", some_fast(KINDS, "wordpiece", "bytes in one piece", "unigram"))
def test_token_ids_are_those_of_the_whole_texts(kind: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = _tokenizer(kind)
    tokenizer.truncation_side = side
    short, texts = _random_text(30, 2), list(LONG.values())
    # Two long ones have a test of their own: without a cut, all combinations of what overflows take gigabytes.
    batches: list[dict[str, list[str]]] = [
        {"a": [*texts, short]},
        {"a": [*texts, short], "b": [short] * (len(texts) + 1)},
        {"a": [short] * len(texts), "b": texts},
    ]
    for limit in LIMITS:
        for batch in batches:
            found = _plain(_tokenise(batch, tokenizer, limit))
            with monkeypatch.context() as patch:
                patch.setattr(long_texts, "_LEAST", 10**9)
                assert found == _plain(_tokenise(batch, tokenizer, limit))


@pytest.mark.usefixtures("_small")
def test_only_a_part_is_tokenised() -> None:
    (texts,), left_out = cut_long_texts([[LONG["words"], "short", LONG["one word"]]], _tokenizer("wordpiece"), 16)
    assert left_out == [False] * 3
    assert len(texts[0]) < len(LONG["words"]) / 4
    assert texts[1:] == ["short", LONG["one word"]]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
def test_of_two_long_texts_the_same_tokens_are_kept(kind: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = _tokenizer(kind)
    tokenizer.truncation_side = side
    words, run = LONG["words"], LONG["no blanks"]
    pairs = [(words[:700], words[-800:]), (run[:600], words[:650]), (words[:600], words[:600]), ("ab " * 200, "ab")]
    columns = {"a": [first for first, _ in pairs], "b": [second for _, second in pairs]}
    found = _plain(_tokenise(columns, tokenizer, 33))
    monkeypatch.setattr(long_texts, "_BOTH", 10**9)
    assert found == _plain(_tokenise(columns, tokenizer, 33))
    assert found[3] == [True] * 4


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("between", [" ", ""])
def test_of_two_long_texts_little_more_is_tokenised_than_is_kept(side: str, between: str) -> None:
    tokenizer = _tokenizer("bytes")
    tokenizer.truncation_side = side
    pair = [_random_text(3000, seed, between) for seed in (3, 4)]
    texts, left_out = cut_long_texts([pair[:1], pair[1:]], tokenizer, 64)
    assert left_out == [False]
    counts = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for [text] in texts]
    assert min(counts) >= 64
    # Windows of both in all combinations: a square of them.
    assert max(counts) < 6 * 64


def test_a_text_of_many_megabytes_takes_no_minute_and_counts_as_cut() -> None:
    tokenizer, start = _tokenizer("wordpiece"), time.monotonic()
    result = _tokenise({"a": ["ab " * 10_000_000, "a" * 30_000_000, "ab"]}, tokenizer, 512)
    assert time.monotonic() - start < 15  # some seconds for the unknown word, two minutes for the whole of it
    assert result.lengths.tolist() == [512, 3, 3]
    assert result.cut.tolist() == [True, True, False]
