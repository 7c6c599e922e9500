from pathlib import Path

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity.looked_at import encoded, look_at_given
from hf_mtl.experiments.affinity.measure import Found
from hf_mtl.recipe import load_recipe
from hf_mtl.training.run.prepare import make_arguments

World = tuple[Path, Found]


def test_rows_are_those_of_the_recipe_and_a_subject_has_validation_where_asked(affinity_world: World) -> None:
    path, found = affinity_world
    recipe = load_recipe(path, ["tasks.topic.max_rows=20"])
    looked_at = look_at_given(recipe, make_arguments(recipe), str(found.folder / "joint" / "checkpoint-2"))
    assert looked_at.joint.stages == (found.folder / "joint" / "checkpoint-2",)
    assert looked_at.steps == 10
    assert len(encoded(looked_at.prepared, looked_at.model, "train")["topic"]) == 20
    assert looked_at.subject(looked_at.model, validation=False).validation is None
    validation = looked_at.subject(looked_at.model, validation=True).validation
    assert validation is not None
    assert set(validation.sizes) == {"topic", "mood", "score"}


def test_a_run_of_other_tasks_is_refused_by_name_and_type(affinity_world: World) -> None:
    path, found = affinity_world
    text = path.read_text().replace("mood:", "moods:")
    other = path.with_name("other.yaml")
    other.write_text(text)
    recipe = load_recipe(other)
    with pytest.raises(UserError, match=r"tasks.moods: .*has no such task.*Did you mean 'mood'"):
        look_at_given(recipe, make_arguments(recipe), str(found.folder / "joint"))
