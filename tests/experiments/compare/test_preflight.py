from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import DataError, UserError
from hf_mtl.experiments.compare import compare
from tests.experiments.compare.world import write_study
from tests.training import runs

WRONG = {"tasks.topic.label": "no_such_column"}
NO_TEST = {"tasks.topic.test_fraction": None, "tasks.mood.test_fraction": None}
CASES: dict[str, dict[str, Any]] = {
    "^(?!.*arms).*tasks.topic.*no_such_column": {"set": WRONG},
    "arms.last.tasks.topic.*no_such_column": {"arms": {"ew": {}, "last": WRONG}},
    "base: no task has test rows": {"set": NO_TEST},
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("said", CASES)
def test_a_mistake_that_only_the_data_show_is_found_before_anything_is_written(
    said: str, workers: int, tmp_path: Path
) -> None:
    path = write_study(tmp_path, **CASES[said], output_dir=str(tmp_path / "deep" / "out"))
    with runs.own_cache(tmp_path), pytest.raises(UserError, match=said) as caught:
        compare(path, workers=workers)
    assert isinstance(caught.value, DataError) == ("no_such_column" in said)
    assert not (tmp_path / "deep").exists()
