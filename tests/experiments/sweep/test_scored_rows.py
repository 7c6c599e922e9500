"""Rows of train are told from those that are scored by what a recipe says of its splits."""

from typing import Any

import pytest

from hf_mtl.experiments.sweep.scored_rows import is_carved, scored_part
from hf_mtl.task_types.regression import Regression

FILES = {"train": "t.csv", "dev": "v.csv"}


def task(*sources: dict[str, Any], **more: Any) -> Regression:
    return Regression.model_validate({"dataset": list(sources), **more})


@pytest.mark.parametrize(
    ("source", "carved"),
    [
        ({"path": "csv", "data_files": FILES}, False),
        ({"path": "csv", "data_files": {"train": "t.csv", "b": "v.csv"}, "splits": {"validation": "b"}}, False),
        ({"path": "csv", "data_files": FILES, "splits": {"validation": None}}, True),
        ({"path": "csv", "data_files": FILES, "splits": {"validation": "nope"}}, True),
        ({"path": "csv", "data_files": ["t.csv", "v.csv"]}, True),
        ({"path": "user/name"}, True),
        ({"path": "user/name", "splits": {"validation": "held_out"}}, False),
    ],
)
def test_validation_is_carved_where_no_split_is_named_for_it(source: dict[str, Any], carved: bool) -> None:
    assert is_carved(task(source), folded=False) == carved
    assert not is_carved(task(source, validation_fraction=0), folded=False)
    assert is_carved(task(source, test_fraction=0.1), folded=False)
    assert is_carved(task(source), folded=True)


def test_what_is_of_train_alone_is_no_part_of_what_is_scored() -> None:
    one, other = ({"path": "csv", "data_files": {**FILES, "train": name}} for name in ("t.csv", "u.csv"))
    more = {"path": "json", "data_files": "more.jsonl"}
    assert scored_part(task(one)) == scored_part(task(other)) == scored_part(task(one, more))
    changed = {"path": "csv", "data_files": {**FILES, "dev": "w.csv"}}
    filtered = {**one, "filter": {"column": "text", "not_blank": True}}
    hub = {"path": "user/name", "splits": {"validation": "held_out"}}
    assert scored_part(task(one)) not in [scored_part(task(item)) for item in (changed, filtered, hub)]
    assert scored_part(task(hub)) != scored_part(task({**hub, "splits": {"validation": "other"}}))
