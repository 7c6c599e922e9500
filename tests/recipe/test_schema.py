from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hf_mtl.errors import Mistake
from hf_mtl.recipe import load_recipe
from hf_mtl.tasks import Regression, SequenceClassification
from tests.recipe.texts import FULL, MINIMAL

Write = Callable[..., str]


def test_a_recipe_is_typed(write: Write) -> None:
    recipe = load_recipe(write(FULL))
    emotion, rating = recipe.tasks["emotion"], recipe.tasks["rating"]
    assert type(emotion) is SequenceClassification
    assert type(rating) is Regression
    assert emotion.labels == ["yes", "no"]
    assert rating.label == ["yes", "1e3"]
    assert recipe.model.head == {"type": "mlp", "hidden": 16}
    assert recipe.model.tokenizer == {"train": "wordpiece", "vocab_size": 500}
    assert recipe.training.options() == {
        "output_dir": "runs/x",
        "learning_rate": 5e-5,
        "warmup_steps": 0.1,
        "optim": "adamax",
        "lr_scheduler_kwargs": {"a": 1},
    }
    assert recipe.mixture.options() == {"anneal": {"start": 1.0, "end": 5.0, "shape": "cosine"}}
    assert recipe.balancing.weighting_name == "fixed"
    assert recipe.balancing.options() == {
        "weighting": {"name": "fixed", "weights": {"rating": 2.0, "emotion": 1.0}},
        "reduction": "tasks",
    }


def test_weights_by_task_are_in_the_order_of_the_tasks(write: Write) -> None:
    weights = load_recipe(write(FULL)).balancing.weighting.options()["weights"]
    assert list(weights.items()) == [("rating", 2.0), ("emotion", 1.0)]


def test_defaults_are_those_of_the_signatures(write: Write) -> None:
    from hf_mtl.data.mixture import Mixture

    recipe = load_recipe(write(MINIMAL))
    assert recipe.balancing.weighting_name == "ew"
    assert recipe.balancing.reduction == "rows"
    assert recipe.balancing.options() == {}
    built = Mixture(sizes={"a": 1})
    assert recipe.mixture.model_dump()["temperature"] == built.temperature
    assert recipe.to_dict().keys() == {"model", "tasks"}


def test_a_recipe_is_frozen(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL))
    for target, field in ((recipe, "tasks"), (recipe.model, "head"), (recipe.training, "seed")):
        with pytest.raises(ValidationError):
            setattr(target, field, None)


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_the_resolved_recipe_loads_as_the_same_recipe(write: Write, tmp_path: Path, text: str) -> None:
    recipe = load_recipe(write(text, "sub/recipe.yaml"), ["training.seed=7"])
    copy = load_recipe(write(recipe.to_yaml(), "elsewhere/copy.yaml"))
    assert copy == recipe
    assert copy.to_yaml() == recipe.to_yaml()
    assert copy.training.options() == recipe.training.options()
    assert copy != load_recipe("sub/recipe.yaml")
    if text is FULL:
        assert str(tmp_path / "sub" / "r.csv") in recipe.to_yaml()


def test_keys_are_located_where_they_were_written(write: Write) -> None:
    write(MINIMAL, "base.yaml")
    path = write("extends: base.yaml\ntasks:\n  emotion:\n    max_rows: 5\n", "top.yaml")
    recipe = load_recipe(path, ["training.seed=1"])
    assert recipe.locate("tasks.emotion.max_rows") == "top.yaml:4"
    assert recipe.locate("tasks.emotion.dataset.path") == "base.yaml:5"
    assert recipe.locate("tasks.emotion.label") == "base.yaml:3"
    assert recipe.locate("tasks.emotion.labels[1]") == "base.yaml:6"
    assert recipe.locate("training.seed") == "command line"
    assert recipe.locate("nothing.like.it") == "top.yaml:1"


def test_mistakes_found_later_get_their_place(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL))
    later = [Mistake("tasks.rating.label", "no column 'score'"), Mistake("x", "known", where="elsewhere:1")]
    assert [item.where for item in recipe.with_places(later)] == ["recipe.yaml:10", "elsewhere:1"]


def test_a_changed_copy_is_dumped_as_changed(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL))
    task = Regression(label="x", dataset=recipe.tasks["rating"].dataset)
    changed = recipe.model_copy(update={"tasks": {"only": task}})
    again = load_recipe(write(changed.to_yaml(), "changed.yaml"))
    assert again.tasks == {"only": Regression(label="x", dataset=recipe.tasks["rating"].dataset)}
