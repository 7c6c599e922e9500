"""Choices as sequences of tokens: what stands in each, and what of it is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, load_dataset
from transformers import PreTrainedTokenizerFast

from hf_mtl import MultipleChoice
from hf_mtl.data import cache
from hf_mtl.data.choice_texts import keep_choices, template_fields
from hf_mtl.data.load import load_task, load_tasks
from hf_mtl.data.text_keys import text_keys
from hf_mtl.errors import DataError
from hf_mtl.inference.encode import encode_splits
from hf_mtl.tasks import DatasetSource
from tests import tiny

ROWS = Dataset.from_dict({"text": ["w1 w2", "w3"], "q": ["w7", "w8"], "choices": [["w4", "w5"], ["w4", "w6", "w5"]]})
LONG = " ".join(tiny.WORDS[:40])


def shown(task: MultipleChoice, rows: Dataset = ROWS, tokenizer: Any = None, limit: int | None = None) -> list[str]:
    made = task.lay_out("t", "train", rows, None, tokenizer or tiny.tokenizer(), limit)
    return [tiny.tokenizer().decode(made.tokens.ids(place)) for place in range(len(made.tokens))]  # type: ignore[attr-defined]


def test_each_choice_is_a_pair_with_the_context() -> None:
    made = MultipleChoice().lay_out("t", "train", ROWS, None, tiny.tokenizer(), None)
    assert made.sites.starts.tolist() == [0, 2, 5]
    assert shown(MultipleChoice())[:3] == [
        "[CLS] w1 w2 [SEP] w4 [SEP]",
        "[CLS] w1 w2 [SEP] w5 [SEP]",
        "[CLS] w3 [SEP] w4 [SEP]",
    ]
    assert made.tokens.type_ids(0).tolist() == [0, 0, 0, 0, 1, 1]  # type: ignore[attr-defined]


def test_a_question_is_joined_with_each_choice_and_no_context_leaves_the_choice_alone() -> None:
    asked = MultipleChoice(text=["text", "q"])
    assert shown(asked)[1] == "[CLS] w1 w2 [SEP] w7 w5 [SEP]"
    turned = MultipleChoice(text=["text", "q"], template="{choice} w9 {question}")
    assert shown(turned)[1] == "[CLS] w1 w2 [SEP] w5 w9 w7 [SEP]"
    assert shown(MultipleChoice(text=[]))[1] == "[CLS] w5 [SEP]"
    assert shown(MultipleChoice(text=[], template="w0 {choice}"))[4] == "[CLS] w0 w5 [SEP]"


def test_choices_in_columns_make_the_same_sequences() -> None:
    columns = Dataset.from_dict({"text": ["w1 w2", "w3"], "a": ["w4", "w4"], "b": ["w5", "w6"], "c": [None, "w5"]})
    assert shown(MultipleChoice(choices=["a", "b", "c"]), columns) == shown(MultipleChoice())


def test_a_brace_in_a_choice_is_text_and_in_a_template_a_place() -> None:
    task = MultipleChoice(text=["text", "q"], template="{{w0}} {question} {choice}")
    rows = Dataset.from_dict({"text": ["w1"], "q": ["{w2}"], "choices": [["{choice}", "w5"]]})
    [[_, seconds]] = task.texts.sequences(rows)
    assert seconds == ["{w0} {w2} {choice}", "{w0} {w2} w5"]
    assert template_fields("a {b} {{c}}") == {"b"}
    for wrong in ("{b", "{b!r}", "{b:3}"):
        with pytest.raises(ValueError, match="."):
            template_fields(wrong)


def test_the_context_is_cut_and_the_choice_keeps_its_end() -> None:
    rows = Dataset.from_dict({"text": [LONG, "w1"], "choices": [["w50 w51 w52 w53", "w54"], ["w50", "w51"]]})
    made = MultipleChoice().lay_out("t", "train", rows, None, tiny.tokenizer(), 10)
    assert shown(MultipleChoice(), rows, limit=10) == [
        "[CLS] w0 w1 w2 [SEP] w50 w51 w52 w53 [SEP]",
        "[CLS] w0 w1 w2 w3 w4 w5 [SEP] w54 [SEP]",
        "[CLS] w1 [SEP] w50 [SEP]",
        "[CLS] w1 [SEP] w51 [SEP]",
    ]
    assert made.tokens.cut.tolist() == [True, True, False, False]  # type: ignore[attr-defined]
    assert made.notes == []


def test_a_choice_that_has_no_room_is_cut_too_and_said() -> None:
    rows = Dataset.from_dict({"text": [LONG, "w1"], "choices": [["w54", LONG], ["w50", LONG]]})
    made = MultipleChoice().lay_out("t", "train", rows, None, tiny.tokenizer(), 10)
    assert shown(MultipleChoice(), rows, limit=10) == [
        "[CLS] w0 w1 w2 w3 w4 w5 [SEP] w54 [SEP]",
        "[CLS] w0 w1 w2 [SEP] w0 w1 w2 w3 [SEP]",
        "[CLS] w1 [SEP] w50 [SEP]",
        "[CLS] w1 [SEP] w0 w1 w2 w3 w4 w5 [SEP]",
    ]
    assert made.tokens.cut.tolist() == [True, True, False, True]  # type: ignore[attr-defined]
    [said] = made.notes
    assert said.startswith("t: 2 choices of 2 train rows had to be cut too, since the limit of 10 tokens")
    alone = MultipleChoice(text=[]).lay_out("t", "train", rows, None, tiny.tokenizer(), 10)
    assert alone.notes == list(made.notes)


def test_a_tokenizer_with_a_call_of_its_own_is_cut_alike() -> None:
    class Own(PreTrainedTokenizerFast):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(*args, **kwargs)

    plain = tiny.tokenizer()
    own = Own(
        tokenizer_object=plain.backend_tokenizer,
        **{name: str(getattr(plain, name)) for name in ("pad_token", "unk_token", "cls_token", "sep_token")},
        model_input_names=plain.model_input_names,
    )
    rows = Dataset.from_dict({"text": [LONG, "w1"], "choices": [["w54", LONG], ["w50", LONG]]})
    assert shown(MultipleChoice(), rows, own, limit=10) == shown(MultipleChoice(), rows, limit=10)


def test_texts_are_cut_alike_where_they_can_be() -> None:
    tokenizer = tiny.tokenizer()
    assert keep_choices([[LONG], ["w1"]], tokenizer, 10) == [("only_first", None)]
    assert keep_choices([["w1"], [LONG]], tokenizer, 10) == [("longest_first", None)]
    assert keep_choices([["w1", "w1"], [LONG, "w2"]], tokenizer, 10) == [("only_first", [1]), ("longest_first", [0])]


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(DataError, match=r"model.max_length: 4 leaves no room for text.*at least 5"):
        MultipleChoice().lay_out("t", "train", ROWS, None, tiny.tokenizer(), 4)


def test_token_ids_in_place_of_texts_are_refused() -> None:
    rows = Dataset.from_dict({"input_ids": [[2, 7, 3]], "label": [0]})
    with pytest.raises(DataError, match="no column 'text', 'choices', and a task .* reads texts"):
        encode_splits({"t": rows}, {"t": MultipleChoice()}, tiny.tokenizer(), None, "train")


def test_tokens_of_files_are_found_again_with_what_is_said_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = Dataset.from_dict({"text": [LONG, "w1"], "choices": [["w54", LONG], ["w50", "w51"]]})
    rows.to_json(str(tmp_path / "rows.jsonl"))
    files = str(tmp_path / "rows.jsonl")
    loaded = load_dataset("json", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    first = MultipleChoice().lay_out("t", "train", loaded, None, tiny.tokenizer(), 10)

    def never(*_: object) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(cache, "write_tokens", never)
    again = MultipleChoice().lay_out("t", "train", loaded, None, tiny.tokenizer(), 10)
    np.testing.assert_array_equal(again.tokens.flat_ids, first.tokens.flat_ids)  # type: ignore[attr-defined]
    assert again.notes == first.notes != []
    with pytest.raises(AssertionError, match="tokenised again"):
        MultipleChoice(template="w0 {choice}").lay_out("t", "train", loaded, None, tiny.tokenizer(), 10)


def test_fields_of_a_mapping_are_columns_in_a_recipe(tmp_path: Path) -> None:
    arc = {
        "question": [f"w{row} w2" for row in range(12)],
        "choices": [{"text": [f"w{row}", "w3", "w4"], "label": ["A", "B", "C"]} for row in range(12)],
        "answerKey": ["A", "3", "B"] * 4,
    }
    Dataset.from_dict(arc).to_json(str(tmp_path / "rows.jsonl"))
    source = DatasetSource(path="json", data_files=str(tmp_path / "rows.jsonl"))
    task = MultipleChoice(
        dataset=source, text="question", choices="choices.text", label="answerKey", validation_fraction=0
    )
    loaded = load_task("arc", task)
    assert loaded.task.labels == "letters"
    assert set(loaded.splits["train"].column_names) == {"question", "choices.text", "answerKey"}
    assert "arc: the labels of 'answerKey' are read as letters: A is the first choice." in loaded.notes
    rows = Dataset.from_dict(arc)
    with pytest.raises(DataError, match=r"no column 'choices.text' in train, and fields are columns after Dataset"):
        encode_splits({"t": rows}, {"t": loaded.task}, tiny.tokenizer(), None, "train")
    encoded = encode_splits({"t": rows.flatten()}, {"t": loaded.task}, tiny.tokenizer(), None, "train")["t"]
    assert encoded.labels[:3].tolist() == [0, 2, 1]


def test_a_row_is_known_again_with_its_choices_in_another_order(tmp_path: Path) -> None:
    words = tiny.WORDS
    train = {"text": [f"{word} once" for word in words[:20]], "choices": [["a", word] for word in words[:20]]}
    test = {"text": [f"{word} once" for word in words[15:25]], "choices": [[word, "a"] for word in words[15:25]]}
    for name, rows in (("train", train), ("test", test)):
        Dataset.from_dict({**rows, "label": [0, 1] * (len(rows["text"]) // 2)}).to_json(
            str(tmp_path / f"{name}.jsonl")
        )
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "test")}
    source = DatasetSource(path="json", data_files=files)
    task = MultipleChoice(dataset=source, validation_fraction=0)
    loaded = load_tasks({"t": task}, contamination="drop")["t"]
    assert len(loaded.splits["train"]) == 15
    turned, other = Dataset.from_dict(test), Dataset.from_dict({**test, "choices": [["b", "a"]] * 10})
    assert not set(text_keys(task, turned).rows) & set(text_keys(task, other).rows)


def test_choices_of_a_csv_file_may_be_empty_at_the_end(tmp_path: Path) -> None:
    lines = [
        "text,a,b,c,label",
        *[f"w{row} w1,w{row},w2,{'w3' if row % 2 else ''},{2 + row % 2}" for row in range(8)],
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    source = DatasetSource(path="csv", data_files=str(tmp_path / "rows.csv"))
    task = MultipleChoice(dataset=source, choices=["a", "b", "c"], validation_fraction=0)
    loaded = load_task("t", task)
    assert loaded.task.labels == "numbers"
    counts = [len(row) for row in loaded.task.texts.sequences(loaded.splits["train"]).__next__()]
    assert counts[0] == sum(2 + (int(text.split()[0][1:]) % 2) for text in loaded.splits["train"]["text"])
