from typing import Any

import pytest

from hf_mtl.gradients.options import GradientOptions


def test_by_default_the_run_chooses_and_records_now_and_then() -> None:
    assert GradientOptions() == GradientOptions(hold="auto", layout="auto", log_every=100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hold": "half"}, "hold is 'half'; needs 'auto', 'float32', 'bfloat16' or 'recompute'"),
        ({"layout": "rows"}, "layout is 'rows'; needs 'auto', 'segments' or 'split'"),
        ({"log_every": -1}, "log_every is -1; needs 0 or more"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GradientOptions(**options)
