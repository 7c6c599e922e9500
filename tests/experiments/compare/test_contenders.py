from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.compare.contenders import merged_arm
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


FROZEN = {"single_task": True, "model.freeze": "encoder"}


@pytest.mark.parametrize(
    ("arms", "reference", "merged"),
    [
        (("frozen", "single", "ew"), "single", "single"),
        (("frozen", "single", "ew"), "frozen", "frozen"),
        (("frozen", "ew"), "ew", "frozen"),
        (("frozen", "single", "ew"), None, "frozen"),  # the reference, as it is the first of them
    ],
)
def test_the_reference_is_merged_or_the_only_arm_of_single_tasks(
    tmp_path: Path, arms: tuple[str, ...], reference: str | None, merged: str
) -> None:
    every = {"frozen": FROZEN, "single": "single_task", "ew": {}}
    said = {name: every[name] for name in arms}
    model = {"backbone": str(backbone(tmp_path / "bert"))}
    study = load_study(write_study(tmp_path, {"model": model}, arms=said, reference=reference, merging=["ties"]))
    found = merged_arm(study.arms, study.reference)
    assert found is not None
    assert found.name == merged


def test_of_several_arms_of_single_tasks_none_is_merged_by_chance(tmp_path: Path) -> None:
    model = {"backbone": str(backbone(tmp_path / "bert"))}
    arms = {"ew": {}, "frozen": FROZEN, "single": "single_task"}
    path = write_study(tmp_path, {"model": model}, arms=arms, reference="ew", merging=["ties"])
    with pytest.raises(RecipeError, match=r"merging: frozen and single train each task alone, and none of them is "):
        load_study(path)
    assert load_study(path, ["merging=[]"]).reference == "ew"


def test_what_keeps_the_merged_arm_from_being_merged_is_said_of_that(tmp_path: Path) -> None:
    model = {"backbone": str(backbone(tmp_path / "bert"))}
    arms = {"single": {"single_task": True, "model.tokenizer": {"train": "wordpiece"}}, "ew": {}}
    path = write_study(tmp_path, {"model": model}, arms=arms, merging=["ties"])
    with pytest.raises(RecipeError, match="merging: each single-task run would train a tokenizer of its own"):
        load_study(path)
