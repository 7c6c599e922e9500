"""Keys of a dataset that make columns: what they may say."""

import pytest
from pydantic import ValidationError

from hf_mtl.tasks import DatasetSource


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rename": {"a": "c", "b": "c"}}, "'c' is given twice"),
        ({"map": {"label": {}}}, "at least 1 item"),
        (
            {"map": {"label": {"0": "no", "1": 1}}},
            "labels of one kind, and these are numbers and texts",
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
