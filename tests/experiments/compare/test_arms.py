from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.recipe.load import recipe_of
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


FOLD = {"of": 5, "number": 0}


@pytest.mark.parametrize("said", [{"data.fold": FOLD}, {"data": {"fold": FOLD}}])
def test_where_the_study_deals_out_folds_no_fold_is_any_arms_to_say(tmp_path: Path, said: dict[str, Any]) -> None:
    for name, keys in {"": {"set": said}, "arms.a.": {"arms": {"a": said}}}.items():
        path = write_study(tmp_path, **{"arms": {"a": {}}, "folds": 3, **keys})
        line = next(at for at, text in enumerate(path.read_text().splitlines(), 1) if "fold:" in text)
        with pytest.raises(RecipeError) as error:
            load_study(path)
        (mistake,) = error.value.mistakes
        assert f"{name}data.fold: is decided for all runs alike" in str(mistake)
        assert f"study.yaml:{line}" in str(mistake)


def test_without_folds_a_fold_that_all_arms_have_is_theirs(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, set={"data.fold": FOLD}, arms={"a": {}, "single_task": "single_task"}))
    for trial in trials_of(study):
        data = recipe_of(trial.node, "refused").data
        assert data.fold is not None
        assert data.fold.model_dump() == {**FOLD, "seed": 0}
