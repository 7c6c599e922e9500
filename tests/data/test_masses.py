from typing import Any

import numpy as np
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.data.masses import row_masses
from hf_mtl.errors import DataError

LABELS = np.array([0, 1, 1, -100])


class Counted(SequenceClassification):
    """Says of a row with class k that its loss is a sum over k + 1 units, and of one without label over none."""

    def masses(self, labels: Any) -> Any:
        return (labels + 1) * (labels >= 0)


class Broken(SequenceClassification):
    def masses(self, labels: Any) -> Any:
        return self.labels


def test_rows_have_mass_one_without_an_array_unless_their_task_says_otherwise() -> None:
    assert row_masses("t", SequenceClassification(labels=2), LABELS) is None


def test_a_task_counts_the_units_of_its_rows() -> None:
    found = row_masses("t", Counted(labels=2), LABELS)
    assert found is not None
    assert found.tolist() == [1, 2, 2, 0]


def test_masses_that_are_all_one_need_no_array() -> None:
    assert row_masses("t", Counted(labels=2), np.zeros(5, dtype=np.int64)) is None


@pytest.mark.parametrize(
    "masses", [np.ones(3), np.ones((4, 1)), 1.0, np.array([1, 1, 1, -1.0]), np.array([1, 1, np.nan, 1])]
)
def test_a_type_that_gives_no_mass_for_each_row_is_named(masses: Any) -> None:
    task = Broken.model_construct(labels=masses)
    with pytest.raises(DataError, match=r"Broken\.masses: one number for each row"):
        row_masses("t", task, LABELS)
