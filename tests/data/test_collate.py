from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.batch import Batch
from hf_mtl.data.collate import Collator
from hf_mtl.data.rectangles import default_group_cost, default_run_cost, length_groups
from hf_mtl.data.tokens import EncodedSplit
from tests import tiny
from tests.data.encoding import encode_split

DATA = tiny.datasets({"topic": 12, "mood": 9, "score": 10})
TOKENIZER = tiny.tokenizer()


@cache
def splits() -> dict[str, EncodedSplit]:
    return {name: encode_split(name, tiny.TASKS[name], data, TOKENIZER) for name, data in DATA.items()}


def every_row() -> tuple[np.ndarray, np.ndarray]:
    sizes = [len(split) for split in splits().values()]
    return np.repeat(np.arange(3), sizes), np.concatenate([np.arange(size) for size in sizes])


def texts(tasks: np.ndarray, rows: np.ndarray) -> list[str]:
    names = list(DATA)
    return [DATA[names[task]]["text"][int(row)] for task, row in zip(tasks, rows, strict=True)]


@pytest.mark.parametrize("group_cost", [None, 6])
def test_a_batch_holds_the_tokens_of_its_rows_end_to_end_and_where_rectangles_have_them(
    group_cost: int | None,
) -> None:
    tasks, rows = every_row()
    batch = Collator(splits(), TOKENIZER.pad_token_id, group_cost)(tasks, rows)
    packed, ids = batch["packed"], TOKENIZER(texts(tasks, rows))["input_ids"]
    assert [part.tolist() for part in packed["input_ids"].split(packed["lengths"])] == ids
    assert packed["offsets"].tolist() == [0, *np.cumsum([len(row) for row in ids])]
    assert packed["token_type_ids"].tolist() == [0] * len(packed["input_ids"])
    assert "order" not in batch
    rectangles = packed["rectangles"]
    assert (len(rectangles["shapes"]) > 2) == (group_cost is not None)
    assert rectangles["source"] is not None
    assert rectangles["place"] is not None
    laid = packed["input_ids"][rectangles["source"]]
    assert torch.equal(laid[rectangles["place"]], packed["input_ids"])
    assert len(laid) == sum(a * b for a, b in rectangles["shapes"])


def test_segments_and_labels_belong_to_the_rows() -> None:
    tasks, rows = np.array([0, 0, 0, 2, 2]), np.array([3, 11, 3, 9, 0])
    batch = Collator(splits(), 0, group_cost=64)(tasks, rows)
    assert batch["segments"] == {"topic": (0, 3), "score": (3, 5)}
    assert list(batch["labels"]) == ["topic", "score"]
    topic = DATA["topic"]["label"]
    assert batch["labels"]["topic"].tolist() == [topic[3], topic[11], topic[3]]
    assert batch["labels"]["topic"].dtype == torch.int64
    score = [[DATA["score"][column][row] for column in ("x", "y")] for row in (9, 0)]
    assert batch["labels"]["score"].tolist() == score


def test_lengths_are_those_of_the_tokens() -> None:
    tasks, rows = every_row()
    expected = [len(ids) for ids in TOKENIZER(texts(tasks, rows))["input_ids"]]
    assert Collator(splits(), 0, group_cost=64).lengths(tasks, rows).tolist() == expected


def shared(group_cost: int | None = 0) -> tuple[Collator, list[list[str]]]:
    """Two tasks that share texts, one of which has a text twice."""
    rows = [["w1 w2", "w3", "w1 w2", "w4"], ["w3", "w1 w2", "w5 w6 w7"]]
    task = SequenceClassification(labels=["no", "yes"])
    both = {}
    for name, some in zip(["first", "second"], rows, strict=True):
        data = Dataset.from_dict({"text": some, "label": [i % 2 for i in range(len(some))]})
        both[name] = encode_split(name, task, data, TOKENIZER)
    return Collator(both, 0, group_cost), rows


def encoded_ids(batch: Batch) -> list[list[int]]:
    """Token ids of each encoding."""
    return [ids.tolist() for ids in batch["packed"]["input_ids"].split(batch["packed"]["lengths"])]


def test_a_text_of_two_tasks_is_encoded_once_and_copies_within_a_task_stay_apart() -> None:
    collator, rows = shared()
    batch = collator(np.array([0, 0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 0, 1, 2]))
    ids = encoded_ids(batch)
    assert len(ids) == 5  # w1 w2 twice, w3, w4, w5 w6 w7
    wanted = [TOKENIZER(text)["input_ids"] for text in [*rows[0], *rows[1]]]
    order = batch["order"].tolist()
    assert [ids[place] for place in order] == wanted
    assert order[0] != order[2]
    assert order[1] == order[4]
    assert order[5] == order[0]
    assert batch["segments"] == {"first": (0, 4), "second": (4, 7)}


@pytest.mark.parametrize("tasks", [[0, 0, 0, 0], [1, 1, 1]])
def test_within_one_task_nothing_is_shared(tasks: list[int]) -> None:
    collator, _ = shared()
    batch = collator(np.array(tasks), np.arange(len(tasks)))
    assert "order" not in batch
    assert len(encoded_ids(batch)) == len(tasks)


def test_one_rectangle_has_a_text_of_two_tasks_once_too() -> None:
    collator, _ = shared(group_cost=None)
    batch = collator(np.array([0, 1]), np.array([1, 0]))
    assert len(encoded_ids(batch)) == 1
    assert batch["order"].tolist() == [0, 0]


def test_only_a_cpu_makes_small_groups_by_default() -> None:
    lengths = np.repeat([5, 20, 60, 100], 8)
    groups = {name: len(length_groups(lengths, default_group_cost(torch.device(name)))) for name in ("cpu", "cuda")}
    assert groups == {"cpu": 4, "cuda": 1}


def test_only_a_cpu_cuts_attention_into_many_rectangles_by_default() -> None:
    lengths = np.repeat([5, 20, 60, 100], 8)
    cuts = {name: len(length_groups(lengths, default_run_cost(torch.device(name)))) for name in ("cpu", "cuda")}
    assert cuts == {"cpu": 4, "cuda": 1}


def test_masses_of_rows_are_added_up_by_task(tmp_path: Path) -> None:
    path = tmp_path / "masses.npy"
    np.save(path, np.arange(9, dtype=np.int32))
    given = {**splits(), "mood": replace(splits()["mood"], masses=np.load(path, mmap_mode="r"))}
    tasks, rows = np.array([0, 0, 1, 1, 1]), np.array([3, 4, 0, 8, 2])
    found = Collator(given, 0, group_cost=8).masses(tasks, rows)
    assert (found.dtype, found.tolist()) == (np.float64, [2.0, 10.0, 0.0])
    assert Collator(given, 0, 8).masses(tasks[:0], rows[:0]).tolist() == [0.0, 0.0, 0.0]
