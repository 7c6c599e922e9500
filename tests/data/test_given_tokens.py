from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, List, Value

from hf_mtl import SequenceClassification
from hf_mtl.data.load import load_task, prepare_dataset
from hf_mtl.data.tokens import TokenStore
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource
from tests import tiny
from tests.data.encoding import encode_split

TASK = SequenceClassification(labels=["x", "y"])
REAL = [[2, 7, 8, 3], [2, 9, 3], [2, 3], [2, 7, 8, 9, 10, 3]]
TYPES = [[0, 0, 0, 1], [0, 0, 1], [0, 0], [0, 1, 1, 1, 1, 1]]
WIDTH = 7


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def padded(before: list[int], **others: list[Any]) -> dict[str, list[Any]]:
    """The real rows with so many padding tokens before them, and the rest of the width after."""
    columns: dict[str, list[Any]] = {"input_ids": [], "attention_mask": [], "token_type_ids": []}
    for row, types, count in zip(REAL, TYPES, before, strict=True):
        rest = WIDTH - len(row) - count
        columns["input_ids"].append([0] * count + row + [0] * rest)
        columns["attention_mask"].append([0] * count + [1] * len(row) + [0] * rest)
        columns["token_type_ids"].append([0] * count + types + [0] * rest)
    return {**columns, "label": ["x", "y", "y", "x"], **others}


SIDES = {
    "right": [0, 0, 0, 0],
    "left": [WIDTH - len(row) for row in REAL],
    "both": [1, 2, 1, 0],
}


def encode(dataset: Dataset, task: SequenceClassification = TASK) -> TokenStore:
    prepared = prepare_dataset("t", task, dataset, "train")
    return encode_split("t", task, prepared, tiny.tokenizer()).tokens


def mistake(**columns: list[Any]) -> str:
    with pytest.raises(DataError) as caught:
        prepare_dataset("t", TASK, Dataset.from_dict({"label": ["x", "y", "y"], **columns}), "train")
    return str(caught.value)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["list", "numpy", "torch", "fixed", "bool"])
def test_padding_is_cut_by_the_mask_and_the_types_with_it(side: str, kind: str) -> None:
    dataset = Dataset.from_dict(padded(SIDES[side]))
    if kind == "fixed":
        fixed = List(Value("int32"), length=WIDTH)
        names = ("input_ids", "attention_mask", "token_type_ids")
        dataset = dataset.cast(Features({**dataset.features, **dict.fromkeys(names, fixed)}))
    elif kind == "bool":
        dataset = dataset.cast_column("attention_mask", List(Value("bool")))
    elif kind != "list":
        dataset = dataset.with_format(kind)
    found = encode(dataset)
    assert [found.ids(row).tolist() for row in range(4)] == REAL
    assert [found.type_ids(row).tolist() for row in range(4)] == TYPES
    assert found.lengths.tolist() == [4, 3, 2, 6]


def test_rows_that_were_selected_keep_their_masks() -> None:
    dataset = Dataset.from_dict(padded(SIDES["left"])).select([2, 0])
    found = encode(dataset)
    assert [found.ids(row).tolist() for row in range(2)] == [REAL[2], REAL[0]]


@pytest.mark.parametrize("path", ["parquet", "json", "folder"])
def test_every_source_brings_its_mask(tmp_path: Path, path: str) -> None:
    train = Dataset.from_dict(padded(SIDES["left"]))
    place = str(tmp_path / path)
    if path == "folder":
        DatasetDict({"train": train, "validation": train}).save_to_disk(place)
        source = DatasetSource(path=place)
    else:
        getattr(train, f"to_{path}")(place)
        source = DatasetSource(path=path, data_files={"train": place, "validation": place})
    loaded = load_task("t", SequenceClassification(labels=["x", "y"], dataset=source))
    for split in ("train", "validation"):
        found = encode_split("t", loaded.task, loaded.splits[split], tiny.tokenizer(), split=split).tokens
        assert [found.ids(row).tolist() for row in range(4)] == REAL


def test_sources_of_one_task_all_have_a_mask_or_none(tmp_path: Path) -> None:
    with_mask = Dataset.from_dict(padded(SIDES["left"]))
    places = [str(tmp_path / name) for name in ("bare", "padded")]
    for place, dataset in zip(places, [with_mask.remove_columns("attention_mask"), with_mask], strict=True):
        DatasetDict({"train": dataset, "validation": dataset}).save_to_disk(place)
    for order in (places, places[::-1]):
        task = SequenceClassification(labels=["x", "y"], dataset=[DatasetSource(path=place) for place in order])
        with pytest.raises(DataError, match="train column 'attention_mask' holds .*need the same columns"):
            load_task("t", task)


IDS = [[2, 7, 8, 3], [2, 9, 3, 0], [2, 3, 0, 0]]
ONES = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]
MASKS: list[tuple[list[Any], str]] = [
    ([ONES[0], [1, 0, 1, 1], [0, 1, 0, 1]], "has 2 rows whose attention_mask has a 0 between two 1: rows 1 and 2, "),
    ([ONES[0], [0] * 4, ONES[2]], "has 1 row whose attention_mask is 0 everywhere: row 1, "),
    ([ONES[0], ONES[1], [1, 1]], "has 1 row whose attention_mask is not as long as its input_ids: row 2, "),
    ([ONES[0], None, ONES[2]], "has 1 row whose attention_mask is not as long as its input_ids: row 1, "),
    (
        [ONES[0], [1, 1, 2, 0], [1, None, 1, 1]],
        "has 2 rows whose attention_mask holds other numbers than 0 and 1: rows 1",
    ),
    ([[1.0, 1.0]] * 3, "column 'attention_mask' holds list<item: double>. Masks are lists of integers."),
    (["1111"] * 3, "column 'attention_mask' holds string. Masks are lists of integers."),
]


@pytest.mark.parametrize(("mask", "said"), MASKS)
def test_a_mask_that_cannot_be_honoured_is_a_mistake_that_names_the_rows(mask: list[Any], said: str) -> None:
    assert f"tasks.t.text: train {said}" in mistake(input_ids=IDS, attention_mask=mask)


def test_token_types_of_another_length_or_range_are_mistakes() -> None:
    assert "1 row whose token_type_ids is not as long as its input_ids: row 2" in mistake(
        input_ids=IDS, token_type_ids=[ONES[0], ONES[1], [1]]
    )
    assert "1 row with token_type_ids outside 0..255: row 0" in mistake(
        input_ids=IDS, token_type_ids=[[256, 0, 0, 0], ONES[1], ONES[2]]
    )


def test_rows_without_a_label_may_have_any_mask() -> None:
    dataset = Dataset.from_dict(
        {"label": ["x", None, "y"], "input_ids": IDS, "attention_mask": [ONES[0], [0] * 4, ONES[2]]}
    )
    assert encode(dataset).lengths.tolist() == [4, 2]


def test_ids_that_overflow_are_outside_the_vocabulary() -> None:
    dataset = Dataset.from_dict({"label": ["x", "y"], "input_ids": [[2, 2**32 + 7, 3], [2, 7, 3]]})
    with pytest.raises(DataError, match="train has 1 token id outside 0..64"):
        encode(dataset)


def test_token_types_that_the_model_does_not_take_are_a_mistake() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    rows = Dataset.from_dict(padded(SIDES["left"]))
    with pytest.raises(
        DataError, match="train has token_type_ids other than 0, which the tokenizer's model does not"
    ):
        encode_split("t", TASK, rows, tokenizer)
    zeros = rows.remove_columns("token_type_ids").add_column("token_type_ids", [[0] * WIDTH] * 4)
    assert encode_split("t", TASK, zeros, tokenizer).tokens.lengths.tolist() == [4, 3, 2, 6]


def test_lengths_are_those_of_the_real_tokens() -> None:
    rows = Dataset.from_dict(padded(SIDES["both"]))
    assert len(encode_split("t", TASK, rows, tiny.tokenizer(), max_length=6).tokens) == 4
    with pytest.raises(DataError, match="train has 1 row of more than 5 token ids: row 3"):
        encode_split("t", TASK, rows, tiny.tokenizer(), max_length=5)


def test_ten_thousand_padded_rows_are_cut_alike() -> None:
    random = np.random.default_rng(0)
    starts, lengths = random.integers(0, 5, 10_000), random.integers(1, 6, 10_000)
    place = np.arange(10)
    mask = (place >= starts[:, None]) & (place < (starts + lengths)[:, None])
    ids = np.where(mask, random.integers(5, 60, mask.shape), 0)
    rows = Dataset.from_dict({"input_ids": ids, "attention_mask": mask.astype(int), "label": ["x", "y"] * 5_000})
    found = encode(rows)
    assert found.lengths.tolist() == lengths.tolist()
    assert found.flat_ids.tolist() == ids[mask].tolist()
