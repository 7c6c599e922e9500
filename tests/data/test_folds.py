from typing import Any

import numpy as np
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.data.load import load_tasks
from hf_mtl.data.section import FoldSpec, parse
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task
from tests import tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("rows")
    found = {}
    for split, count, seed in (("train", 60, 0), ("validation", 25, 1), ("test", 25, 2)):
        found[split] = str(folder / f"{split}.jsonl")
        tiny.rows("topic", count, seed).to_json(found[split])
    return found


def task(files: dict[str, str], **options: Any) -> Task:
    return SequenceClassification(dataset={"path": "json", "data_files": files}, **options)


def texts(tasks: dict[str, Task], fold: FoldSpec, seed: int = 0) -> dict[str, dict[str, set[str]]]:
    loaded = load_tasks(tasks, seed, "off", fold=fold)
    return {name: {split: set(rows["text"]) for split, rows in item.splits.items()} for name, item in loaded.items()}


@pytest.mark.parametrize("stratify", [False, True])
def test_every_text_is_scored_in_one_fold(files: dict[str, str], stratify: bool) -> None:
    folds = [texts({"a": task(files, stratify=stratify)}, FoldSpec(of=3, number=n))["a"] for n in range(3)]
    everything = set.union(*folds[0].values())
    assert set.union(*(fold["test"] for fold in folds)) == everything
    assert sum(len(fold["test"]) for fold in folds) == len(everything)
    assert everything > set(tiny.rows("topic", 25, 2)["text"])  # the test rows of the data are among them
    for fold in folds:
        assert not fold["train"] & fold["test"]
        assert not fold["train"] & fold["validation"]
        assert not fold["validation"] & fold["test"]


def test_a_fold_is_the_same_for_every_seed_of_a_run_and_beside_any_task(files: dict[str, str]) -> None:
    alone = texts({"a": task(files)}, FoldSpec(of=3, number=1))["a"]
    other = texts({"a": task(files)}, FoldSpec(of=3, number=1), seed=7)["a"]
    beside = texts({"a": task(files), "b": task(files, max_rows=20)}, FoldSpec(of=3, number=1))
    assert alone["test"] == other["test"] == beside["a"]["test"] == beside["b"]["test"]
    assert alone["validation"] == beside["a"]["validation"] != other["validation"]
    carved = load_tasks({"a": task(files)}, 7, "off", fold=FoldSpec(of=3, number=1), carving_seed=0)["a"]
    assert set(carved.splits["validation"]["text"][:]) == alone["validation"]
    again = texts({"a": task(files)}, FoldSpec(of=3, number=1, seed=1))["a"]
    assert again["test"] != alone["test"]


def test_stratified_folds_have_their_share_of_every_class(files: dict[str, str]) -> None:
    counts = []
    for number in range(3):
        loaded = load_tasks({"a": task(files, stratify=True)}, 0, "off", fold=FoldSpec(of=3, number=number))["a"]
        counts.append(np.bincount(loaded.labels["test"].values, minlength=3))
    assert np.ptp(counts, axis=0).max() <= 2  # texts, of which some stand twice


def test_a_fold_that_there_is_not_is_a_mistake() -> None:
    mistakes: list[Mistake] = []
    parse({"fold": {"of": 3, "number": 3}}, mistakes)
    assert [str(mistake) for mistake in mistakes] == [
        "data.fold: found {of: 3, number: 3}. Allowed: a fold from 0 to 2."
    ]
