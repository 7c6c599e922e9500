"""What is said of rows that became validation or test: of folds that they were dealt out."""

from pathlib import Path

import pytest

from hf_mtl import SequenceClassification
from hf_mtl.data.load import load_tasks
from hf_mtl.data.section import FoldSpec
from hf_mtl.errors import UserError
from tests.data.rows import rows, saved

FOLD = FoldSpec(of=3, number=1, seed=4)


def notes(task: SequenceClassification, fold: FoldSpec | None) -> list[str]:
    return load_tasks({"t": task}, 0, "off", fold=fold)["t"].notes


def test_folds_are_said_to_be_dealt_out_of_rows_that_had_splits(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([0, 1] * 30), validation=rows([0, 1] * 10), test=rows([0, 1] * 10))
    task = SequenceClassification(dataset=source, validation_fraction=0.2)
    found = load_tasks({"t": task}, 0, "off", fold=FOLD)["t"]
    test, validation = (len(found.splits[split]) for split in ("test", "validation"))
    assert found.notes[-2:] == [
        f"t: {test} of all 100 rows are test (fold 1 of 3, dealt out by seed 4).",
        f"t: {validation} of the rows of the other folds are validation (validation_fraction 0.2, seed 0).",
    ]
    assert not any("split, so" in note or "test_fraction" in note for note in found.notes)
    alone = task.model_copy(update={"validation_fraction": 0.0, "stratify": True})
    assert not any("stratify is not used" in note for note in notes(alone, FOLD))
    assert any("stratify is not used" in note for note in notes(alone, None))


def test_a_share_of_test_rows_does_nothing_beside_folds(tmp_path: Path) -> None:
    task = SequenceClassification(dataset=saved(tmp_path, train=rows([0, 1] * 30)), test_fraction=0.5)
    unused = "t: folds decide which rows are test, so test_fraction is not used."
    assert unused in notes(task, FOLD)
    assert unused not in notes(task, None)


def test_a_fold_without_rows_names_folds_and_no_share_that_nobody_wrote(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": ["always the same"] * 40, "label": [0, 1] * 20})
    with pytest.raises(UserError) as error:
        load_tasks({"t": SequenceClassification(dataset=source)}, 0, "off", fold=FOLD)
    said = str(error.value)
    assert "tasks.t: of 40 rows with 1 different text none falls to" in said
    assert "(fold 1 of 3, dealt out by seed 4). Deal out fewer folds" in said
    assert "test_fraction" not in said


def test_a_class_whose_rows_are_all_in_the_fold_is_said(tmp_path: Path) -> None:
    task = SequenceClassification(dataset=saved(tmp_path, train=rows([0] * 50 + [1])), validation_fraction=0)
    said = [note for n in range(3) for note in notes(task, FoldSpec(of=3, number=n))]
    [moved] = [note for note in said if "is left in train" in note]
    assert "1 row became test (fold" in moved
    assert moved.endswith("stratify: true deals the rows of each class out evenly.")
