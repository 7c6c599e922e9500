"""Splits completed: rows without a label, splits that are carved, rows that are drawn."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.draws import Draw
from hf_mtl.data.load import load_task
from tests.data.rows import XY, message, rows, saved, source_texts

pytestmark = pytest.mark.usefixtures("own_cache")


def test_of_a_row_without_a_label_in_test_no_class_is_made(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]), validation=rows([0]), test=rows([0, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert loaded.task.labels == ["LABEL_0", "LABEL_1"]
    assert loaded.notes == ["t: 1 of 2 test rows has no label and was dropped."]


def test_rows_without_a_label_are_dropped_with_a_count(tmp_path: Path) -> None:
    train = {"text": ["k0", "", "k2", "k3"], "label": [0, -1, None, 1]}
    source = saved(tmp_path, feature=XY, train=train, validation=rows([0, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert loaded.splits["train"]["text"][:] == ["k0", "k3"]
    assert loaded.notes == [
        "t: 2 of 4 train rows have no label and were dropped.",
        "t: 1 of 2 validation rows has no label and was dropped.",
    ]


def test_an_unlabelled_test_split_is_left_out_and_an_unlabelled_train_split_is_a_mistake(tmp_path: Path) -> None:
    source = saved(tmp_path, "one", XY, train=rows([0, 1]), validation=rows([1]), test=rows([-1, -1]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert list(loaded.splits) == ["train", "validation"]
    assert loaded.notes == ["t: none of 2 test rows has a label; test is left out."]
    source = saved(tmp_path, "two", XY, train=rows([-1, -1]), validation=rows([1]))
    assert "none of 2 train rows has a label" in message(load_task, "t", SequenceClassification(dataset=source))


def test_validation_is_carved_by_text_seeded_and_said(tmp_path: Path) -> None:
    labels = [0] * 300 + [1] * 150 + [2]
    task = SequenceClassification(dataset=saved(tmp_path, train=rows(labels)), validation_fraction=0.2)
    loaded, again, other = (load_task("t", task, seed) for seed in (1, 1, 2))
    train, validation = loaded.splits["train"], loaded.splits["validation"]
    assert sorted(train["text"][:] + validation["text"][:]) == sorted(rows(labels)["text"])
    assert train["text"][:] == sorted(train["text"][:], key=lambda text: int(text.split()[1]))
    assert np.abs(np.bincount(validation["label"][:]) - [60, 30]).max() < 12
    assert again.splits["validation"][:] == validation[:]
    assert other.splits["validation"][:] != validation[:]
    assert loaded.notes == [
        f"t: no validation split, so {len(validation)} of 451 train rows became validation "
        "(validation_fraction 0.2, by a hash of the text, seed 1).",
        "t: no row of class 'LABEL_2' became validation.",
    ]


def test_a_row_stays_on_its_side_when_the_file_grows_or_is_another(tmp_path: Path) -> None:
    content = rows([0, 1] * 100)
    longer = {"text": ["new", *reversed(content["text"])], "label": [0, *reversed(content["label"])]}
    parts = [
        load_task("t", SequenceClassification(dataset=saved(tmp_path, name, train=train)))
        for name, train in (("short", content), ("long", longer))
    ]
    sides = [{text: split for split, part in item.splits.items() for text in part["text"]} for item in parts]
    assert sides[0].items() <= sides[1].items()
    assert set(sides[0].values()) == {"train", "validation"}


def test_a_test_split_is_carved_apart_from_the_fraction_of_validation(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 200))
    task = SequenceClassification(dataset=source, test_fraction=0.25)
    loaded = load_task("t", task)
    wider = load_task("t", task.model_copy(update={"validation_fraction": 0.5}))
    without = load_task("t", task.model_copy(update={"test_fraction": None}))
    texts = {split: set(part["text"]) for split, part in loaded.splits.items()}
    assert list(texts) == ["train", "validation", "test"]
    assert abs(len(texts["test"]) - 100) < 30
    assert texts["train"] | texts["validation"] | texts["test"] == set(source_texts(400))
    assert set(wider.splits["test"]["text"]) == texts["test"]
    assert set(without.splits["validation"]["text"]) == texts["validation"]
    assert "no test split, so" in loaded.notes[0]
    assert list(without.splits) == ["train", "validation"]


def test_a_fraction_of_a_split_that_the_data_has_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]), validation=rows([1]), test=rows([0]))
    task = SequenceClassification(dataset=source, validation_fraction=0.3, test_fraction=0.3)
    assert load_task("t", task).notes == [
        "t: the data has a test split, so test_fraction is not used.",
        "t: the data has a validation split, so validation_fraction is not used.",
    ]


def test_fractions_that_leave_no_training_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0.6, and validation_fraction is 0.4: together less than 1"):
        SequenceClassification(validation_fraction=0.4, test_fraction=0.6)


def test_a_train_split_too_small_to_carve_is_one_mistake(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1]))
    task = SequenceClassification(dataset=source, validation_fraction=0.01, test_fraction=0.01)
    assert message(load_task, "t", task) == (
        "tasks.t.test_fraction: of 2 train rows none falls to test or validation (test_fraction 0.01 and "
        "validation_fraction 0.01, by a hash of the text, seed 0). Change the fraction or data.carving_seed, or "
        "give a test and a validation split."
    )
    text = message(load_task, "t", SequenceClassification(dataset=source, validation_fraction=0.999))
    assert "tasks.t.validation_fraction: of 2 train rows none falls to train (validation_fraction 0.999" in text


def test_rows_that_share_one_text_cannot_be_carved_and_it_is_said(tmp_path: Path) -> None:
    same = {"text": ["always the same"] * 40, "label": [0, 1] * 20}
    task = SequenceClassification(dataset=saved(tmp_path, train=same))
    assert "of 40 train rows with 1 different text none falls to" in message(load_task, "t", task)


def test_a_class_that_carving_takes_out_of_train_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0] * 50 + [1]))
    notes = load_task("t", SequenceClassification(dataset=source, validation_fraction=0.9)).notes
    assert notes[1:] == [
        "t: no row of class 'LABEL_1' is left in train: 1 row became validation (by a hash of the text, seed 0). "
        "Another data.carving_seed may keep some; with a validation split in the data all stay.",
        "t: every train row is of class 'LABEL_0'; there is nothing to learn.",
        "t: validation has 1 row of class 'LABEL_1'; its scores count them.",
    ]


def test_max_rows_moves_no_row_to_another_side(tmp_path: Path) -> None:
    task = SequenceClassification(dataset=saved(tmp_path, train=rows([0, 1] * 100)), test_fraction=0.2)
    whole, part = load_task("t", task), load_task("t", task.model_copy(update={"max_rows": 30}))
    for split in ("validation", "test"):
        assert part.splits[split][:] == whole.splits[split][:]
    assert set(part.splits["train"]["text"]) < set(whole.splits["train"]["text"])
    assert len(part.splits["train"]) == len(part.keys["train"].rows) == 30


def test_max_rows_is_a_seeded_draw_of_train_in_order(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 50), validation=rows([0, 1] * 50))
    task = SequenceClassification(dataset=source, max_rows=20)
    loaded, again = load_task("t", task, 4), load_task("t", task, 4)
    numbers = [int(text.split()[1]) for text in loaded.splits["train"]["text"]]
    assert len(numbers) == 20
    assert numbers == sorted(numbers)
    assert len(loaded.splits["validation"]) == 100
    assert loaded.splits["train"][:] == again.splits["train"][:]
    assert loaded.notes == ["t: 20 of 100 train rows are used (max_rows, seed 4)."]
    assert load_task("t", task.model_copy(update={"max_rows": 100})).notes == []


RARE = [0] * 500 + [1] * 40 + [2]


def test_classes_that_max_rows_loses_are_said_and_stratify_keeps_them(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(RARE), validation=rows([0, 1, 2]))
    task = SequenceClassification(dataset=source, max_rows=20)
    assert load_task("t", task).notes == [
        "t: 20 of 541 train rows are used (max_rows, seed 0).",
        "t: none of the rows that max_rows drew is of class 'LABEL_2'; stratify: true keeps a row of each class.",
        "t: train has no row of class 'LABEL_2', which cannot be learned.",
        "t: validation has 1 row of class 'LABEL_2'; its scores count them.",
    ]
    stratified = task.model_copy(update={"stratify": True})
    loaded = load_task("t", stratified)
    assert loaded.notes == ["t: 20 of 541 train rows are used (max_rows, stratified, seed 0)."]
    assert np.bincount(loaded.splits["train"]["label"][:]).tolist() == [18, 1, 1]
    numbers = [int(text.split()[1]) for text in loaded.splits["train"]["text"]]
    assert numbers == sorted(numbers)
    assert len(loaded.keys["train"].rows) == 20
    few = load_task("t", stratified.model_copy(update={"max_rows": 2})).notes
    assert few[1].endswith("is of class 'LABEL_1', 'LABEL_2'; raise it.")


def test_stratify_draws_targets_by_fifths_and_says_where_there_is_nothing_to_draw(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([float(index) for index in range(100)]), validation=rows([1.0, 2.0]))
    task = Regression(dataset=source, stratify=True)
    drawn = load_task("t", task.model_copy(update={"max_rows": 10})).splits["train"]["label"][:]
    assert np.bincount((np.array(drawn) // 20).astype(int)).tolist() == [2] * 5
    assert load_task("t", task).notes == [
        "t: stratify is not used: no split is carved, and there is no max_rows or train_fraction."
    ]


def test_a_task_may_do_without_validation(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 30), validation=rows([7]))
    alone = source.model_copy(update={"splits": {"validation": None}})
    loaded = load_task("t", SequenceClassification(dataset=alone, validation_fraction=0))
    assert list(loaded.splits) == ["train"]
    assert len(loaded.splits["train"]) == 60
    assert loaded.notes == ["t: the split 'validation' is left out (splits: {validation: null})."]
    tested = load_task("t", SequenceClassification(dataset=alone, validation_fraction=0, test_fraction=0.3))
    assert list(tested.splits) == ["train", "test"]


def texts_of(task: SequenceClassification, **keys: object) -> set[str]:
    return set(load_task("t", task.model_copy(update=keys), seed=3).splits["train"]["text"])


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("max_rows", [None, 61])
def test_the_rows_of_a_smaller_share_are_among_those_of_a_larger_one(
    tmp_path: Path, max_rows: int | None, stratify: bool
) -> None:
    source = saved(tmp_path, train=rows([0] * 70 + [1] * 29 + [2]), validation=rows([0]))
    task = SequenceClassification(dataset=source, max_rows=max_rows, stratify=stratify)
    nested = [texts_of(task, train_fraction=share) for share in (0.01, 0.2, 0.4, 0.6, 1.0)]
    assert all(small < large for small, large in pairwise(nested))
    total = max_rows or 100
    assert [len(found) for found in nested] == [1, *(int(share * total + 0.5) for share in (0.2, 0.4, 0.6, 1.0))]
    assert nested[-1] == texts_of(task)


def test_a_share_is_of_what_max_rows_leaves_and_both_are_counted_and_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0] * 60 + [1] * 40), validation=rows([0]))
    task = SequenceClassification(dataset=source, max_rows=50, train_fraction=0.3, stratify=True)
    loaded = load_task("t", task, seed=3)
    assert loaded.draws == (Draw("max_rows", 50, 100), Draw("train_fraction", 15, 50))
    assert loaded.notes[:2] == [
        "t: 50 of 100 train rows are used (max_rows, stratified, seed 3).",
        "t: 15 of 50 train rows are used (train_fraction 0.3, stratified, seed 3).",
    ]
    assert np.bincount(loaded.splits["train"]["label"][:]).tolist() == [9, 6]
    assert len(loaded.splits["validation"]) == 1


def test_tasks_of_the_same_texts_take_the_same_share_of_them(tmp_path: Path) -> None:
    one, two = (saved(tmp_path, name, train=rows([0, 1] * 50), validation=rows([0])) for name in ("one", "two"))
    task = SequenceClassification(dataset=one, train_fraction=0.3)
    found = load_task("a", task, seed=3)
    other = load_task("b", task.model_copy(update={"dataset": two}), seed=3)
    assert found.splits["train"]["text"][:] == other.splits["train"]["text"][:]
    assert texts_of(task) != set(load_task("a", task, seed=4).splits["train"]["text"])


def test_classes_that_a_share_lost_are_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0] * 90 + [1]), validation=rows([0]))
    task = SequenceClassification(dataset=source, train_fraction=0.1, labels=["x", "y"])
    assert any(
        note
        == "t: none of the rows that train_fraction drew is of class 'y'; stratify: true keeps a row of each class."
        for note in load_task("t", task, seed=1).notes
    )
    assert set(load_task("t", task.model_copy(update={"stratify": True}), seed=1).splits["train"]["label"]) == {0, 1}
