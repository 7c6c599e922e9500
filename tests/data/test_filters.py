import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_mtl.data.filters import filter_rows
from hf_mtl.errors import DataError
from hf_mtl.tasks import RowFilter


def dataset() -> Dataset:
    features = Features(
        {"n": Value("int64"), "w": Value("string"), "c": ClassLabel(names=["x", "y"]), "l": List(Value("int64"))}
    )
    rows = {"n": [1, 2, None, 1], "w": ["a", "b", "a", None], "c": [0, 1, 0, 1], "l": [[1], [1, 2], [], None]}
    return Dataset.from_dict(rows, features=features)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"column": "n", "equals": 1}, [0, 3]),
        ({"column": "n", "one_of": [1, 2]}, [0, 1, 3]),
        ({"column": "n", "equals": "1"}, []),
        ({"column": "w", "equals": "a"}, [0, 2]),
        ({"column": "c", "equals": "y"}, [1, 3]),
        ({"column": "c", "one_of": [0]}, [0, 2]),
        ({"column": "l", "length": 1}, [0]),
        ({"column": "l", "length": 0}, [2]),
    ],
)
def test_rows_that_pass_are_kept_in_order_and_the_others_counted(condition: dict, kept: list[int]) -> None:
    part, dropped = filter_rows(dataset(), RowFilter(**condition))
    assert part[:] == dataset().select(kept)[:]
    assert dropped == 4 - len(kept)


def test_several_filters_must_all_pass() -> None:
    part, dropped = filter_rows(dataset(), [RowFilter(column="n", equals=1), RowFilter(column="w", equals="a")])
    assert (part["n"][:], dropped) == ([1], 3)


def test_a_filter_sees_only_selected_rows() -> None:
    part, dropped = filter_rows(dataset().select([3, 1]), RowFilter(column="n", equals=1))
    assert (part["w"][:], dropped) == ([None], 1)


def test_wrong_filters_are_reported_together() -> None:
    filters = [
        RowFilter(column="n"),
        RowFilter(column="n", equals=1, one_of=[1]),
        RowFilter(column="nn", equals=1),
        RowFilter(column="n", length=1),
        RowFilter(column="l", equals=1),
    ]
    with pytest.raises(DataError) as caught:
        filter_rows(dataset(), filters, "tasks.a.dataset.filter")
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    assert "0 conditions (none) on column 'n'. Give exactly one of: equals, one_of, length" in text
    assert "2 conditions (equals, one_of)" in text
    assert "no column 'nn'. Columns: c, l, n, w" in text
    assert "length needs a list column" in text
    assert "'l' is a list column. Use length." in text
