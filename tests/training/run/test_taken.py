"""A recipe takes up a run: what the backbone knows of the tasks that it names again, and what it may not ask."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.recipe import load_recipe
from hf_mtl.training import plan_recipe
from hf_mtl.training.run.taken import as_kept, take_up
from tests.training import keeping


def kept(world: Path, folder: Path, model: dict[str, Any] | None = None, **tasks: dict[str, Any]) -> Any:
    recipe = load_recipe(keeping.write_recipe(world, folder, model, **tasks))
    return as_kept(recipe, take_up(recipe))


def task(world: Path, name: str, **keys: Any) -> dict[str, Any]:
    """A task of the world's that is only scored."""
    files = {"validation": keeping.files_of(world, name)["validation"]}
    dataset = {"path": "json", "data_files": files, "splits": keeping.SCORED}
    return {"type": "sequence_classification", "dataset": dataset, **keys}


def test_a_task_that_is_only_scored_is_the_one_that_was_trained(world: Path, tmp_path: Path) -> None:
    found = kept(world, tmp_path, topic=task(world, "topic", metrics=["accuracy"], max_length=5))
    assert found["topic"].labels == ["a", "b", "c"]
    assert found["topic"].max_length == 5
    assert [metric.name for metric in found["topic"].metrics] == ["accuracy"]
    assert found["topic"].dataset.splits == keeping.SCORED
    assert found["new"].labels == ["good", "bad"]


def test_a_task_that_is_only_scored_has_no_learning_rate_of_its_first_run(world: Path, tmp_path: Path) -> None:
    recipe = load_recipe(keeping.write_recipe(world, tmp_path, topic=task(world, "topic")))
    taken = take_up(recipe)
    assert taken is not None
    taken.source.tasks = {**taken.source.tasks, "topic": {**taken.source.tasks["topic"], "head_learning_rate": 0.5}}
    assert taken.source.task_objects["topic"].head_learning_rate == 0.5
    assert as_kept(recipe, taken)["topic"].head_learning_rate is None


def test_a_task_that_is_trained_on_has_the_classes_of_before(world: Path, tmp_path: Path) -> None:
    again = {
        "type": "sequence_classification",
        "dataset": {"path": "json", "data_files": keeping.files_of(world, "mood")},
    }
    assert kept(world, tmp_path, mood=again)["mood"].labels == ["good", "bad"]
    dropped = {"drop_tasks": ["mood"]}
    assert kept(world, tmp_path, dropped, mood=again)["mood"].labels is None


def test_without_the_key_nothing_is_taken(world: Path, tmp_path: Path) -> None:
    recipe = load_recipe(keeping.write_recipe(world, tmp_path, {"keep_tasks": False, "drop_tasks": []}, topic={}))
    assert take_up(recipe) is None
    assert as_kept(recipe, None) == recipe.tasks


@pytest.mark.parametrize(
    ("model", "name", "keys", "message"),
    [
        ({"drop_tasks": ["topc"]}, "topic", {}, r"model\.drop_tasks: .*'topc'.*Did you mean 'topic'"),
        (
            {"drop_tasks": ["topic"]},
            "topic",
            {},
            r"tasks\.topic\.dataset: leaves out the rows to train on, and",
        ),
        ({}, "topic", {"type": "regression"}, r"tasks\.topic\.type: is regression, and the task that is kept is seq"),
        (
            {},
            "topic",
            {"class_weights": "balanced"},
            r"tasks\.topic\.class_weights: is another than that of",
        ),
        ({}, "topic", {"head": "mlp"}, r"tasks\.topic\.head: is another than that of the task that is kept"),
    ],
)
def test_what_does_not_go_with_the_kept_task_is_refused(
    model: dict[str, Any], name: str, keys: dict[str, Any], message: str, world: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        kept(world, tmp_path, model, **{name: task(world, name, **keys)})


def test_a_ratio_and_a_mixture_are_of_the_tasks_with_training_rows(world: Path, tmp_path: Path) -> None:
    again = {
        "type": "sequence_classification",
        "dataset": {"path": "json", "data_files": keeping.files_of(world, "mood")},
    }
    path = keeping.write_recipe(world, tmp_path, {"drop_tasks": ["score"]}, mood=again)
    # In the model the task that is kept stands before the new one, with which it shares its rows.
    asked = ["mixture.proportions={new+mood: 1}", f"training.output_dir={tmp_path / 'run'}"]
    summary, _ = plan_recipe(load_recipe(path, [*asked, "data.imbalance={ratio: {new: 1, mood: 2}}"]))
    assert [stream.tasks for stream in summary.streams] == [("mood", "new")]
    rows = {task.name: task.rows for task in summary.tasks}
    assert rows["mood"] == 2 * rows["new"] > 0
    with pytest.raises(UserError, match=r"data\.imbalance\.ratio\.topic: unknown task 'topic'"):
        load_recipe(path, ["data.imbalance={ratio: {new: 1, mood: 2, topic: 1}}"])
