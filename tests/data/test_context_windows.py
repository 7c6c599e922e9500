"""Windows of tokens: what they hold, where the head looks, and the tokenizers that cannot make them."""

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_mtl.data.asked_contexts import asked_contexts, window_places
from hf_mtl.data.context_windows import WindowOptions, context_windows, window_sizes
from hf_mtl.errors import DataError
from tests import tiny

LONG = " ".join(f"w{number}" for number in range(50))
ALL = WindowOptions(None, 64, None)


def byte_level(**options: Any) -> PreTrainedTokenizerFast:
    """Bytes of RoBERTa's kind: a blank belongs to the word behind it, and rare characters are several tokens."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(["the red fox saw a red hen"] * 3, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="<s>", sep_token="</s>", pad_token="<pad>", bos_token="<s>", **options
    )


def test_windows_overlap_by_the_stride_and_hold_the_whole_context_in_its_order() -> None:
    tokenizer = tiny.tokenizer()
    found = context_windows("t", ["w5 w6", "w1"], [LONG, "w1 w2"], tokenizer, WindowOptions(20, 64, 3))
    assert found.sites.starts.tolist() == [0, 4, 5]
    room = 20 - 3 - 2
    words = [LONG[start:end] for window in found.characters[0] for start, end in window.tolist()]
    expected = [f"w{n}" for first in range(0, 48, room - 3) for n in range(first, min(first + room, 50))]
    assert words == expected
    assert [tokenizer.convert_ids_to_tokens(found.tokens.ids(number))[:4] for number in (0, 1, 4)] == [
        ["[CLS]", "w5", "w6", "[SEP]"],
        ["[CLS]", "w5", "w6", "[SEP]"],
        ["[CLS]", "w1", "[SEP]", "w1"],
    ]
    assert not found.cut.any()
    assert found.tokens.truncated == 0


def test_the_head_looks_at_the_first_token_and_at_those_of_the_context() -> None:
    tokenizer = tiny.tokenizer()
    found = context_windows("t", ["w5 w6", "w1"], [LONG, "w3 w2"], tokenizer, ALL)
    sites = found.sites
    assert sites.per == "window"
    assert sites.tokens is not None
    assert sites.offsets is not None
    for number in range(len(found.tokens)):
        looked = found.tokens.ids(number)[sites.tokens[sites.offsets[number] : sites.offsets[number + 1]]]
        row = int(np.searchsorted(sites.starts, number, side="right")) - 1
        context = [LONG, "w3 w2"][row]
        window = found.characters[row][number - sites.starts[row]]
        words = [context[start:end] for start, end in window.tolist()]
        assert tokenizer.convert_ids_to_tokens(looked) == ["[CLS]", *words]
    types = found.tokens.type_ids(3)
    assert types is not None
    assert types.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_tokenizer_that_pads_on_the_left_has_the_context_first() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.padding_side = "left"
    found = context_windows("t", ["w5 w6"], [LONG], tokenizer, ALL)
    assert tokenizer.convert_ids_to_tokens(found.tokens.ids(0))[-4:] == ["[SEP]", "w5", "w6", "[SEP]"]
    rows = asked_contexts([LONG], np.array([[[150, 153]]]), found.characters)
    places = window_places(rows)[0]
    assert (places[:, 0] > 0).any()
    sites = found.sites
    assert sites.tokens is not None
    assert sites.offsets is not None
    for number, (first, _) in enumerate(places.tolist()):
        if first:
            token = found.tokens.ids(number)[sites.tokens[sites.offsets[number] + first]]
            assert tokenizer.convert_ids_to_tokens([token]) == [LONG[150:153]]


def test_a_question_that_is_too_long_is_cut_and_leaves_half_of_the_window() -> None:
    found = context_windows("t", ["w1 " * 40, "w1"], ["w2 w3"] * 2, tiny.tokenizer(), WindowOptions(21, 64, None))
    assert found.cut.tolist() == [True, False]
    assert found.longest_question == 9
    assert found.tokens.lengths.tolist() == [9 + 3 + 2, 1 + 3 + 2]
    shorter = context_windows("t", ["w1 " * 40], ["w2 w3"], tiny.tokenizer(), WindowOptions(21, 4, None))
    assert shorter.tokens.lengths.tolist() == [4 + 3 + 2]


def test_a_cut_question_ends_with_a_whole_character() -> None:
    tokenizer = byte_level()
    snow = "\N{SNOWMAN}\N{SNOWMAN}\N{SNOWMAN}"  # three tokens each, of bytes
    assert len(tokenizer(snow, add_special_tokens=False)["input_ids"]) == 9
    found = context_windows("t", [snow], ["fox"], tokenizer, WindowOptions(40, 5, None))
    assert found.cut.tolist() == [True]
    assert tokenizer.decode(found.tokens.ids(0), skip_special_tokens=True).count("\N{SNOWMAN}") == 1


def test_answers_are_found_again_in_tokens_of_bytes_with_blanks_before_words() -> None:
    tokenizer = byte_level()
    context = "the r\N{LATIN SMALL LETTER E WITH ACUTE}d fox  saw a \N{SNOWMAN} hen"
    for text in ("r\N{LATIN SMALL LETTER E WITH ACUTE}d", "fox  saw", "\N{SNOWMAN}", "hen", "the"):
        start = context.index(text)
        found = context_windows("t", ["fox"], [context], tokenizer, WindowOptions(18, 4, 6))
        [row] = asked_contexts([context], np.array([[[start, start + len(text)]]]), found.characters)
        whole = [(window, *place) for window, place in enumerate(row.places().tolist()) if place[0]]
        assert whole, text
        assert {context[slice(*row.characters(*place))] for place in whole} == {text}


def test_sizes_of_windows_depend_on_no_rows() -> None:
    tokenizer = tiny.tokenizer()
    assert window_sizes("t", tokenizer, WindowOptions(512, 64, None)) == (512, 64, 128)
    assert window_sizes("t", tokenizer, WindowOptions(23, 64, None)) == (23, 10, 5)
    assert window_sizes("t", tokenizer, WindowOptions(23, 4, 15)) == (23, 4, 15)
    with pytest.raises(DataError) as found:
        window_sizes("t", tokenizer, WindowOptions(23, 4, 16))
    assert str(found.value) == (
        "tasks.t.doc_stride: 16, and a window of 23 tokens has room for 16 of the context beside a question of 4 "
        "(max_question_length). Allowed: up to 15; or raise model.max_length, or lower max_question_length."
    )
    with pytest.raises(DataError, match=r"model\.max_length: 4 leaves no room"):
        window_sizes("t", tokenizer, WindowOptions(4, 64, None))


def test_tokenizers_that_cannot_do_it_are_refused_by_name() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(DataError, match=r"tasks\.t\.type: .*the slow Slow does not tell"):
        context_windows("t", ["w1"], ["w2"], Slow(), ALL)  # type: ignore[arg-type]
    plain = byte_level()
    plain.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)  # as GPT-2 has it
    with pytest.raises(DataError, match=r"tasks\.t\.type: .* puts no token of its own before the texts"):
        context_windows("t", ["fox"], ["hen"], plain, ALL)
