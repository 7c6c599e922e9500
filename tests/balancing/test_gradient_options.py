from typing import Any

import pytest

from hf_mtl.balancing import GradientOptions


def test_by_default_the_run_chooses_and_records_now_and_then() -> None:
    assert GradientOptions() == GradientOptions(hold="auto", layout="auto", log_every=100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hold": "half"}, "'auto', 'float32', 'bfloat16' or 'recompute'"),
        ({"layout": "rows"}, "'auto', 'segments' or 'split'"),
        ({"log_every": -1}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GradientOptions(**options)
