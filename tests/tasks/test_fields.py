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


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rename": {"a": "c", "b": "c"}}, "'c' is given twice"),
        ({"map": {"label": {}}}, "at least 1 item"),
        (
            {"map": {"label": {"0": "no", "1": 1}}},
            "labels of one kind in a column, and 'label' gets numbers and texts",
        ),
        ({"map": {"label": {"0": True, "1": 1}}}, "booleans and numbers"),
        ({"concat": {"text": "{a"}}, "written twice"),
        ({"concat": {"text": "words"}}, "a text with columns in braces"),
        ({"function": "clean"}, "the dotted path of a function"),
        ({"function": "my.clean()"}, "the dotted path of a function"),
        ({"function": "os;my.clean"}, "the dotted path of a function"),
    ],
)
def test_columns_that_cannot_be_made_so_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DatasetSource(path="csv", **fields)


def test_the_keys_of_a_map_are_what_a_recipe_would_write() -> None:
    keys = {0: "a", 4.5: "b", True: "c", "x": None}
    assert DatasetSource(path="csv", map={"label": keys}).map == {
        "label": {"0": "a", "4.5": "b", "true": "c", "x": None}
    }
    assert DatasetSource(path="csv", function="a.b:c").function == "a.b:c"


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
