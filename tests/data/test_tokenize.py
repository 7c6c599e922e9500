from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data import text_batches
from hf_mtl.data.tokenize import encode_texts, longest_row
from hf_mtl.errors import DataError
from tests.data.encoding import encode_split

TASK = SequenceClassification(labels=["x", "y"])
PAIR = SequenceClassification(labels=["x", "y"], text=["text", "other"])
TEXTS = ["a b c", "a", "c c b a d", "b unknown"]
OTHERS = ["d d", "a b c d", "a", "b"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def tokenizer(types: bool = True, **options: object) -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcd"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ["input_ids", "token_type_ids", "attention_mask"] if types else ["input_ids", "attention_mask"]
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=names, **special, **options)


def rows() -> Dataset:
    return Dataset.from_dict({"text": TEXTS, "other": OTHERS, "label": ["x", "y", "y", "x"]})


@pytest.mark.parametrize("types", [True, False])
@pytest.mark.parametrize("task", [TASK, PAIR])
def test_tokens_are_the_tokenizers_own(task: SequenceClassification, types: bool) -> None:
    texts = [TEXTS, OTHERS][: len(task.text_columns)]
    own = tokenizer(types)(*texts, truncation="longest_first", max_length=7)
    split = encode_split("t", task, rows(), tokenizer(types), max_length=7)
    flat = split.tokens.flat(range(4))
    assert flat.ids.tolist() == [token for ids in own["input_ids"] for token in ids]
    assert flat.lengths.tolist() == [len(ids) for ids in own["input_ids"]]
    kinds = [kind for row in own["token_type_ids"] for kind in row] if types else None
    assert (None if flat.type_ids is None else flat.type_ids.tolist()) == kinds
    assert split.labels.tolist() == [0, 1, 1, 0]


def test_truncated_rows_are_counted() -> None:
    tokens = encode_split("t", TASK, rows(), tokenizer(), max_length=5).tokens
    assert tokens.truncated == 1
    assert tokens.cut.tolist() == [False, False, True, False]
    assert tokens.lengths.tolist() == [5, 3, 5, 4]
    assert encode_split("t", TASK, rows(), tokenizer(), max_length=7).tokens.truncated == 0


def test_the_length_limit_is_given_or_the_tokenizers_or_512() -> None:
    assert longest_row(tokenizer(model_max_length=128), 64) == 64
    assert longest_row(tokenizer(model_max_length=128), None) == 128
    assert longest_row(tokenizer(), None) == 512


def test_a_tasks_own_limit_takes_the_place_of_the_models() -> None:
    for own, lengths in ((4, [4, 3, 4, 4]), (6, [5, 3, 6, 4])):
        task = TASK.model_copy(update={"max_length": own})
        assert encode_split("t", task, rows(), tokenizer(), max_length=5).tokens.lengths.tolist() == lengths
    said = r"tasks\.t\.max_length: 2 leaves no room for text"
    with pytest.raises(DataError, match=said):
        encode_split("t", TASK.model_copy(update={"max_length": 2}), rows(), tokenizer(), max_length=5)


@pytest.mark.parametrize("kind", ["of the tokenizer", "of the task"])
@pytest.mark.parametrize(("task", "kept"), [(TASK, ["b a d"]), (PAIR, ["d", "a"])])
def test_longer_texts_are_cut_at_the_side_that_is_asked_for(
    task: SequenceClassification, kept: list[str], kind: str
) -> None:
    own = tokenizer(truncation_side="left") if kind == "of the tokenizer" else tokenizer()
    if kind == "of the task":
        task = task.model_copy(update={"truncation_side": "left"})
    side = own.truncation_side
    found = encode_split("t", task, rows(), own, max_length=5).tokens
    wanted = own(*kept)["input_ids"]
    assert found.flat([2]).ids.tolist() == wanted
    assert own.truncation_side == side  # as it was, for the other tasks
    other = task.model_copy(update={"truncation_side": "right"})
    assert encode_split("t", other, rows(), own, max_length=5).tokens.flat([2]).ids.tolist() != wanted


def test_a_tokenizer_in_python_cuts_at_the_side_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_batches, "_is_rust_alone", lambda own: False)
    task = TASK.model_copy(update={"truncation_side": "left"})
    found = encode_split("t", task, rows(), tokenizer(), max_length=5).tokens
    assert found.flat([2]).ids.tolist() == tokenizer()("b a d")["input_ids"]


@pytest.mark.parametrize(("task", "least"), [(TASK, 3), (PAIR, 5)])
@pytest.mark.parametrize("given", [True, False])
def test_a_limit_without_room_for_a_token_of_each_text_is_refused(
    task: SequenceClassification, least: int, given: bool
) -> None:
    for limit in range(1, least):
        options: dict[str, Any] = {} if given else {"model_max_length": limit}
        said = rf"model\.max_length: {limit}{'' if given else ' .the tokenizer.s model_max_length.'} leaves no room "
        with pytest.raises(DataError, match=rf"{said}.*Allowed: at least {least}\."):
            encode_split("t", task, rows(), tokenizer(**options), max_length=limit if given else None)
    tokens = encode_split("t", task, rows(), tokenizer(), max_length=least).tokens
    assert tokens.lengths.max() == least
    assert tokens.truncated == (3 if task is TASK else 4)


def test_a_limit_without_room_is_refused_for_given_token_ids_too() -> None:
    given = Dataset.from_dict({"input_ids": [[2, 3], [2, 3]], "label": ["x", "y"]})
    with pytest.raises(DataError, match="model.max_length: 2 leaves no room for text"):
        encode_split("t", TASK, given, tokenizer(), max_length=2)


def test_zero_token_types_are_not_stored() -> None:
    assert encode_split("t", TASK, rows(), tokenizer()).tokens.flat_type_ids is None
    assert encode_split("t", PAIR, rows(), tokenizer()).tokens.flat_type_ids is not None
    assert not encode_split("t", PAIR, rows(), tokenizer(types=False)).tokens.takes_type_ids


def test_selected_rows_and_many_batches_come_in_order() -> None:
    many = Dataset.from_dict({"text": ["a " * (index % 7 + 1) for index in range(2500)], "label": ["x"] * 2500})
    chosen = np.arange(2499, 0, -2)
    tokens = encode_split("t", TASK, many.select(chosen), tokenizer()).tokens
    assert (tokens.lengths - 3 == chosen % 7).all()
    assert (tokens.flat_ids[tokens.offsets[:-1]] == 2).all()


def test_a_second_call_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows().to_csv(str(tmp_path / "a.csv"))
    calls: list[int] = []

    def load() -> Dataset:
        loaded = datasets.load_dataset("csv", data_files=str(tmp_path / "a.csv"), split="train")
        return loaded.select(np.array([0, 2]))

    first = encode_split("t", TASK, load(), tokenizer(), max_length=5)
    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", lambda *_, **__: calls.append(1))
    again = encode_split("t", TASK, load(), tokenizer(), max_length=5)
    assert not calls
    assert again.tokens.flat_ids.tolist() == first.tokens.flat_ids.tolist()
    assert again.tokens.cut.tolist() == [False, True]


def test_a_tokenizer_that_was_used_before_hits_the_cache_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows().to_parquet(str(tmp_path / "a.parquet"))
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "a.parquet"), split="train")
    one = tokenizer()
    encode_split("t", TASK, loaded, one, max_length=5)
    one(["a b", "c"], padding=True, truncation=True, max_length=3)
    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", None)
    assert len(encode_split("t", TASK, loaded, one, max_length=5)) == 4
    with pytest.raises(TypeError):
        encode_split("t", TASK, loaded, one, max_length=6)
    with pytest.raises(TypeError):
        encode_split("t", TASK.model_copy(update={"truncation_side": "left"}), loaded, one, max_length=5)


def test_rows_with_token_ids_are_taken_as_they_are() -> None:
    given = Dataset.from_dict({"input_ids": [[2, 4, 3], [2, 5, 6, 3]], "label": ["x", "y"]})
    split = encode_split("t", TASK, given, tokenizer())
    assert [split.tokens.ids(row).tolist() for row in range(2)] == given["input_ids"][:]
    assert split.tokens.type_ids(0).tolist() == [0, 0, 0]
    typed = given.add_column("token_type_ids", [[0, 1, 1], [0, 0, 0, 1]])
    assert encode_split("t", TASK, typed, tokenizer()).tokens.type_ids(1).tolist() == [0, 0, 0, 1]


def test_token_ids_that_do_not_fit_are_mistakes() -> None:
    given = Dataset.from_dict({"input_ids": [[2, 4, 3], [2, 50, -1, 6, 3]], "label": ["x", "y"]})
    with pytest.raises(DataError) as caught:
        encode_split("t", TASK, given, tokenizer(), max_length=4)
    text = str(caught.value)
    assert "train has 1 row of more than 4 token ids: row 1" in text
    assert "train has 2 token ids outside 0..7. Were they made with another tokenizer?" in text


def test_targets_are_encoded_beside_the_tokens() -> None:
    dataset = Dataset.from_dict({"text": ["a", "b"], "v": [0.5, 1.0], "d": [2, 3]})
    split = encode_split("t", Regression(label=["v", "d"]), dataset, tokenizer())
    assert split.labels.tolist() == [[0.5, 2.0], [1.0, 3.0]]


def test_texts_need_no_labels() -> None:
    assert len(encode_texts("t", TASK, Dataset.from_dict({"text": ["a", "b"]}), tokenizer())) == 2


def test_a_dataset_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="test has no rows"):
        encode_split("t", TASK, rows().select([]), tokenizer(), split="test")


def _loaded(folder: Path) -> Dataset:
    rows().to_parquet(str(folder / "a.parquet"))
    return datasets.load_dataset("parquet", data_files=str(folder / "a.parquet"), split="train")


def test_rows_of_files_are_mapped_and_rows_in_memory_write_nothing(tmp_path: Path) -> None:
    place = Path(datasets.config.HF_DATASETS_CACHE) / "hf_mtl"
    tokens = encode_split("t", TASK, rows(), tokenizer()).tokens
    assert not place.exists()
    mapped = encode_split("t", TASK, _loaded(tmp_path), tokenizer()).tokens
    assert isinstance(mapped.flat_ids.base, np.memmap)
    assert mapped.flat_ids.tolist() == tokens.flat_ids.tolist()
    assert [path.name[:7] for path in place.iterdir()] == ["tokens-"]


@pytest.mark.parametrize("refused", ["a file", "full"])
def test_a_cache_that_takes_no_tokens_is_said_and_gone_without(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loaded, place = _loaded(tmp_path), Path(datasets.config.HF_DATASETS_CACHE) / "hf_mtl"
    said = {"a file": "Not a directory", "full": "No space left on device"}[refused]
    if refused == "a file":
        place.touch()
    else:

        def full(*_: object) -> None:
            raise OSError(28, said)

        monkeypatch.setattr("os.fsync", full)
    tokens = encode_split("t", TASK, loaded, tokenizer()).tokens
    assert tokens.lengths.tolist() == [5, 3, 7, 4]
    assert f"tokenised rows cannot be kept in {place} ({said}): they stay in memory" in caplog.text
    assert refused == "a file" or list(place.iterdir()) == []


def test_without_caching_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = _loaded(tmp_path)
    monkeypatch.setattr("datasets.is_caching_enabled", lambda: False)
    assert len(encode_split("t", TASK, loaded, tokenizer())) == 4
    assert not (Path(datasets.config.HF_DATASETS_CACHE) / "hf_mtl").exists()
