from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import DataError, UserError
from hf_mtl.experiments.compare import compare
from tests.experiments.compare.world import write_study
from tests.training import runs

WRONG = {"tasks.topic.label": "no_such_column"}
NO_TEST = {"tasks.topic.test_fraction": None, "tasks.mood.test_fraction": None}
OTHER_ROWS = {"tasks.topic.dataset.data_files.test": "topic.train.jsonl"}
CASES: dict[str, dict[str, Any]] = {
    "^(?!.*arms).*tasks.topic.*no_such_column": {"set": WRONG},
    "arms.last.tasks.topic.*no_such_column": {"arms": {"ew": {}, "last": WRONG}},
    "arms.last.tasks.topic: has other test rows than the base": {"arms": {"ew": {}, "last": OTHER_ROWS}},
    "arms.last.tasks.mood: has other test rows": {"arms": {"ew": {}, "last": {"data.carving_seed": 3}}},
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
    assert isinstance(caught.value, DataError) == ("no task has test" not in said)
    assert not (tmp_path / "deep").exists()
