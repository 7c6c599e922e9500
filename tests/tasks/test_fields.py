"""What the keys of a task hold: sources and metrics."""

import pytest
from pydantic import ValidationError

from hf_mtl import Regression
from hf_mtl.tasks import DatasetSource, MetricSpec, RowFilter, without_paths


@pytest.mark.parametrize(("written", "meant"), [("\\t", "\t"), ("tab", "\t"), (";", ";"), (None, None)])
def test_a_separator_is_one_character(written: str | None, meant: str | None) -> None:
    assert DatasetSource(path="csv", sep=written).sep == meant


@pytest.mark.parametrize(
    "fields", [{"sep": "ab"}, {"sep": '"'}, {"encoding": "utf-9"}, {"header": []}, {"header": ["a", "a"]}]
)
def test_options_of_csv_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DatasetSource(path="csv", **fields)


def test_a_filter_keeps_rows_by_one_column() -> None:
    assert RowFilter(column="lang", one_of=["en", 3]).one_of == ["en", 3]
    with pytest.raises(ValidationError):
        RowFilter(column="text", length=-1)


@pytest.mark.parametrize(
    ("name", "is_script", "is_bare"),
    [("f1", False, False), ("own.py", True, True), ("./own.py", True, False), ("user/metric", False, False)],
)
def test_a_script_is_told_from_an_id(name: str, is_script: bool, is_bare: bool) -> None:
    spec = MetricSpec(name=name)
    assert (spec.is_script, spec.is_bare_script) == (is_script, is_bare)


def test_of_a_scripts_path_its_name_alone_is_kept() -> None:
    task = Regression(metrics=["mae", {"name": "/home/me/own.py", "greater_is_better": True}])
    assert [item["name"] for item in without_paths(task.for_config())["metrics"]] == ["mae", "own.py"]
