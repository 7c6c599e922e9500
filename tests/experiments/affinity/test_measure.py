import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity import Asked, find_affinity, read_proposal
from hf_mtl.experiments.affinity.measure import Found
from tests.training import runs

World = tuple[Path, Found]
TASKS = ("topic", "mood", "score")


def test_a_short_joint_run_is_trained_and_looked_at_and_all_of_it_is_written(affinity_world: World) -> None:
    _, found = affinity_world
    assert found.affinity.tasks == TASKS
    assert np.isfinite(found.affinity.values).all()
    assert (found.affinity.errors[~np.eye(3, dtype=bool)] > 0).all()
    assert found.joint.trained_here
    assert (found.joint.steps, found.recipe_steps) == (4, 10)
    assert [path.name for path in found.joint.stages] == [f"checkpoint-{step}" for step in (1, 2, 3, 4)]
    written = json.loads((found.folder / "affinity.json").read_text())
    assert np.array(written["affinity"]) == pytest.approx(found.affinity.values)
    assert written["joint_run"]["trained_here"] is True
    assert read_proposal(found.folder, TASKS) == found.groups == written["groups"]
    assert (found.folder / "affinity.png").read_bytes().startswith(b"\x89PNG")


def test_its_cost_is_that_of_looking_and_of_the_joint_run_beside_a_run_of_the_recipe(affinity_world: World) -> None:
    _, found = affinity_world
    trained = float(runs.log(found.folder / "joint")[-2]["total_flos"])
    assert found.joint.flops == trained > 0
    assert found.recipe_flops == pytest.approx(trained / 4 * 10)
    assert found.spent == found.looked + trained


def test_a_given_run_is_looked_at_as_it_is_and_gives_the_same(affinity_world: World, tmp_path: Path) -> None:
    recipe, first = affinity_world
    before = runs.content(first.folder / "joint")
    asked = Asked(checkpoint=str(first.folder / "joint"), rows=6, output=tmp_path / "again")
    again = find_affinity(recipe, asked=asked)
    assert np.array_equal(again.affinity.values, first.affinity.values)
    assert not again.joint.trained_here
    assert again.spent == again.looked == first.looked
    assert runs.content(first.folder / "joint") == before
    ahead = find_affinity(recipe, asked=dataclasses.replace(asked, method="lookahead", output=tmp_path / "ahead"))
    assert runs.content(first.folder / "joint") == before
    assert ahead.details == {"batches": 4, "rows": 6, "rate": pytest.approx(1e-3, rel=100), "stages": 4}
    assert (ahead.affinity.values.diagonal() > 0).all()
    assert ahead.spent < again.spent * 10


def test_mistakes_are_told_before_anything_is_written(affinity_world: World, tmp_path: Path) -> None:
    recipe, first = affinity_world
    place = tmp_path / "here"
    with pytest.raises(UserError, match="measured there already"):
        find_affinity(recipe, asked=Asked(output=first.folder))
    with pytest.raises(UserError, match=r"--groups: is 0.*\n.*--rows: is 0.*\n.*--steps: found with --checkpoint"):
        find_affinity(recipe, asked=Asked(groups=0, rows=0, steps=3, checkpoint="x", output=place))
    with pytest.raises(UserError, match="nothing that its tasks share is trained"):
        find_affinity(recipe, ["model.freeze=encoder"], Asked(output=place))
    with pytest.raises(UserError, match="command line: training.learning_rate: is 0, and is how far"):
        find_affinity(recipe, ["training.learning_rate=0"], Asked("lookahead", output=place))
    carved = ["tasks.mood.validation_fraction=0", "tasks.mood.dataset.data_files.validation="]
    with pytest.raises(UserError, match="tasks.mood: has no validation rows"):
        find_affinity(recipe, carved, Asked(output=place))
    with pytest.raises(UserError, match="no trained model|no such file"):
        find_affinity(recipe, asked=Asked(checkpoint=str(tmp_path), output=place))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        find_affinity(recipe, asked=Asked(output=tmp_path / "file"))
    assert not place.exists()
