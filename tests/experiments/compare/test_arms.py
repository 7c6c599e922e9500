from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.load import load_study
from tests.experiments.compare.world import write_study


def test_dotted_and_nested_keys_say_the_same(tmp_path: Path) -> None:
    nested = {"balancing": {"weighting": {"name": "dwa", "temperature": 3.0}}, "training": {"weight_decay": 0.1}}
    dotted = {"balancing.weighting": {"name": "dwa", "temperature": 3.0}, "training.weight_decay": 0.1}
    study = load_study(write_study(tmp_path, arms={"a": nested, "base": {}}))
    other = load_study(write_study(tmp_path, arms={"a": dotted}))
    assert study.arms["a"].whole.recipe == other.arms["a"].whole.recipe != study.arms["base"].whole.recipe
    assert study.arms["base"].whole.recipe == study.base.whole.recipe


def test_what_an_arm_says_wins_over_what_all_arms_have(tmp_path: Path) -> None:
    common = {"training.weight_decay": 0.5, "model.head": "mlp"}
    study = load_study(write_study(tmp_path, set=common, arms={"a": {"training.weight_decay": 0.1}, "b": {}}))
    found = {name: arm.whole.recipe for name, arm in study.arms.items()}
    assert {name: item.training.options()["weight_decay"] for name, item in found.items()} == {"a": 0.1, "b": 0.5}
    assert {item.model.head for item in (*found.values(), study.base.whole.recipe)} == {"mlp"}


@pytest.mark.parametrize("key", ["seed", "output_dir", "push_to_hub"])
def test_what_the_study_decides_is_no_arms_to_say(tmp_path: Path, key: str) -> None:
    path = write_study(tmp_path, arms={"a": {f"training.{key}": 1}})
    with pytest.raises(RecipeError, match=f"arms.a.training.{key}: is decided for all runs alike"):
        load_study(path)
