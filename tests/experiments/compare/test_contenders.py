from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.load import load_study
from tests.experiments.compare.world import write_study
from tests.experiments.merging.singles import backbone


def test_no_arm_is_called_as_what_merging_makes(tmp_path: Path) -> None:
    model = {"backbone": str(backbone(tmp_path / "bert"))}
    arms = {"single_task": "single_task", "average": {}}
    path = write_study(tmp_path, {"model": model}, arms=arms, merging=["average"])
    with pytest.raises(RecipeError, match=r"study.yaml:\d+: arms.average: is the name of what merging makes"):
        load_study(path)
    assert load_study(path, ["merging=[ties]"]).file.merging == ["ties"]
