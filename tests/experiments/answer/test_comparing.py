"""What is no pair of scores, of other rows or by other metrics; and differences of whose error nothing is known."""

import math
from typing import Any

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.headline import headline
from hf_mtl.experiments.evidence import from_resamples
from hf_mtl.experiments.results import Record
from tests.experiments.answer.records import LIFT, TASKS, asked, study


def scored(records: list[Record], arm: str, key: str, values: dict[str, Any]) -> list[Record]:
    return [
        {**record, key: {**record.get(key, {}), **values}} if record["arm"] == arm else record for record in records
    ]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("test_rows", "other", "5 scored on other test rows"),
        ("lower_is_better", {"accuracy": False}, "5 scored by other metrics"),
    ],
)
def test_scores_of_other_rows_or_by_other_metrics_are_not_compared(key: str, value: Any, why: str) -> None:
    lifted = dict.fromkeys(TASKS, 0.04)
    records = study({"odd": {**lifted, "hate": 0.3}, "ew": LIFT})
    records = [{**record, "test_rows": dict.fromkeys(record["test"], "these")} for record in records]
    found = answer(scored(records, "odd", key, {"hate": value}), asked("odd", "ew"))
    assert math.isnan(found.comparisons["odd", "hate"].evidence.difference)
    assert found.verdicts["odd", "hate"].word == found.verdicts["odd", None].word == "no evidence"
    assert found.verdicts["odd", "emotion"].word == "helps"
    assert f"odd on hate: 0 of 5 runs to compare ({why})." in found.notes
    assert (found.best, answer(records, asked("odd", "ew")).best) == ("ew", "odd")
    assert "odd" not in headline(found)


def test_where_no_row_tells_two_models_apart_draws_do_not_say_that_none_would() -> None:
    found = from_resamples(0.0, np.zeros(100), rows=22)
    assert (found.difference, found.n) == (0.0, 22)
    assert all(map(math.isnan, (found.low, found.high, found.low90, found.high90, found.p)))
