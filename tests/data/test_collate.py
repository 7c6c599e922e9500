from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mtl import SequenceClassification
from hf_mtl.data.collate import Collator, default_group_cost, length_groups
from hf_mtl.data.tokens import EncodedSplit
from tests import tiny
from tests.data.encoding import encode_split

DATA = tiny.datasets({"topic": 12, "mood": 9, "score": 10})
TOKENIZER = tiny.tokenizer()


@cache
def splits() -> dict[str, EncodedSplit]:
    return {name: encode_split(name, tiny.TASKS[name], data, TOKENIZER) for name, data in DATA.items()}


def cost(groups: list[np.ndarray], lengths: np.ndarray, group_cost: int) -> int:
    return sum(len(group) * int(lengths[group].max()) + group_cost for group in groups)


def best_cost(lengths: list[int], group_cost: int) -> int:
    """Cheapest of all ways to cut the rows, sorted by length, into contiguous groups."""
    ordered = sorted(lengths)
    best = 10**9
    for number in range(len(ordered)):
        for cuts in combinations(range(1, len(ordered)), number):
            ends = [0, *cuts, len(ordered)]
            pieces = [ordered[a:b] for a, b in pairwise(ends)]
            best = min(best, sum(len(piece) * piece[-1] + group_cost for piece in pieces))
    return best


def set_partitions(rows: list[int]) -> list[list[list[int]]]:
    if not rows:
        return [[]]
    found = []
    for rest in set_partitions(rows[1:]):
        found.append([[rows[0]], *rest])
        found += [[*rest[:i], [rows[0], *rest[i]], *rest[i + 1 :]] for i in range(len(rest))]
    return found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(0, 60))
def test_groups_are_a_cheapest_disjoint_cover(given_lengths: list[int], group_cost: int) -> None:
    lengths = np.array(given_lengths)
    groups = length_groups(lengths, group_cost)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    assert cost(groups, lengths, group_cost) == best_cost(given_lengths, group_cost)
    longest = [int(lengths[group].max()) for group in groups]
    assert longest == sorted(longest)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 30))
def test_no_grouping_at_all_is_cheaper(given_lengths: list[int], group_cost: int) -> None:
    lengths = np.array(given_lengths)
    every = set_partitions(list(range(len(lengths))))
    cheapest = min(cost([np.array(group) for group in groups], lengths, group_cost) for groups in every)
    assert cost(length_groups(lengths, group_cost), lengths, group_cost) == cheapest


def test_the_cost_of_a_group_decides_how_many_there_are() -> None:
    lengths = np.array([5, 30, 5, 30])
    assert [group.tolist() for group in length_groups(lengths, 49)] == [[0, 2], [1, 3]]
    assert len(length_groups(lengths, 51)) == 1


def every_row() -> tuple[np.ndarray, np.ndarray]:
    sizes = [len(split) for split in splits().values()]
    return np.repeat(np.arange(3), sizes), np.concatenate([np.arange(size) for size in sizes])


def texts(tasks: np.ndarray, rows: np.ndarray) -> list[str]:
    names = list(DATA)
    return [DATA[names[task]]["text"][int(row)] for task, row in zip(tasks, rows, strict=True)]


def test_a_batch_without_groups_is_what_the_tokenizer_pads() -> None:
    tasks, rows = every_row()
    batch = Collator(splits(), TOKENIZER.pad_token_id, length_grouping=False, group_cost=0)(tasks, rows)
    expected = TOKENIZER.pad(TOKENIZER(texts(tasks, rows)), return_tensors="pt")
    assert len(batch["groups"]) == 1
    assert set(batch["groups"][0]) == set(expected)
    for key, value in expected.items():
        assert torch.equal(batch["groups"][0][key], value), key
    assert batch["order"].tolist() == list(range(len(rows)))


def test_groups_hold_what_the_tokenizer_pads_and_order_brings_the_rows_back() -> None:
    tasks, rows = every_row()
    batch = Collator(splits(), TOKENIZER.pad_token_id, length_grouping=True, group_cost=6)(tasks, rows)
    assert len(batch["groups"]) > 2
    laid_out = np.empty(len(rows), dtype=object)
    laid_out[batch["order"].numpy()] = texts(tasks, rows)
    start = 0
    for group in batch["groups"]:
        stop = start + len(group["input_ids"])
        expected = TOKENIZER.pad(TOKENIZER(list(laid_out[start:stop])), return_tensors="pt")
        assert set(group) == set(expected)
        for key, value in expected.items():
            assert torch.equal(group[key], value), key
        start = stop
    assert start == len(rows)


def test_segments_and_labels_belong_to_the_rows() -> None:
    tasks, rows = np.array([0, 0, 0, 2, 2]), np.array([3, 11, 3, 9, 0])
    batch = Collator(splits(), 0, length_grouping=True, group_cost=64)(tasks, rows)
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
    assert Collator(splits(), 0, length_grouping=True, group_cost=64).lengths(tasks, rows).tolist() == expected


def shared(**options: bool) -> tuple[Collator, list[list[str]]]:
    """Two tasks that share texts, one of which has a text twice."""
    rows = [["w1 w2", "w3", "w1 w2", "w4"], ["w3", "w1 w2", "w5 w6 w7"]]
    task = SequenceClassification(labels=["no", "yes"])
    both = {}
    for name, some in zip(["first", "second"], rows, strict=True):
        data = Dataset.from_dict({"text": some, "label": [i % 2 for i in range(len(some))]})
        both[name] = encode_split(name, task, data, TOKENIZER)
    return Collator(both, 0, **{"length_grouping": True, "group_cost": 0, **options}), rows


def encoded_ids(batch: dict) -> list[list[int]]:
    """Token ids of each encoding, without padding."""
    flat = [(ids, mask) for group in batch["groups"] for ids, mask in zip(*group_columns(group), strict=True)]
    return [ids[mask.bool()].tolist() for ids, mask in flat]


def group_columns(group: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return group["input_ids"], group["attention_mask"]


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
    assert sorted(batch["order"].tolist()) == list(range(len(tasks)))
    assert len(encoded_ids(batch)) == len(tasks)


def test_without_groups_nothing_is_shared() -> None:
    collator, _ = shared(length_grouping=False)
    batch = collator(np.array([0, 1]), np.array([1, 0]))
    assert len(encoded_ids(batch)) == 2


def test_only_a_cpu_makes_small_groups_by_default() -> None:
    lengths = np.repeat([5, 20, 60, 100], 8)
    groups = {name: len(length_groups(lengths, default_group_cost(torch.device(name)))) for name in ("cpu", "cuda")}
    assert groups == {"cpu": 4, "cuda": 1}


def test_masses_of_rows_are_added_up_by_task(tmp_path: Path) -> None:
    path = tmp_path / "masses.npy"
    np.save(path, np.arange(9, dtype=np.int32))
    given = {**splits(), "mood": replace(splits()["mood"], masses=np.load(path, mmap_mode="r"))}
    tasks, rows = np.array([0, 0, 1, 1, 1]), np.array([3, 4, 0, 8, 2])
    found = Collator(given, 0, length_grouping=True, group_cost=8).masses(tasks, rows)
    assert (found.dtype, found.tolist()) == (np.float64, [2.0, 10.0, 0.0])
    assert Collator(given, 0, True, 8).masses(tasks[:0], rows[:0]).tolist() == [0.0, 0.0, 0.0]
