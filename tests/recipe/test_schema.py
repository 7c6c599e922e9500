import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe import load_recipe
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
    assert recipe.balancing.weighting.chosen == "fixed"
    assert recipe.balancing.options() == {
        "weighting": {"name": "fixed", "weights": {"rating": 2.0, "emotion": 1.0}},
        "exposure": "tasks",
    }


def test_weights_by_task_are_in_the_order_of_the_tasks(write: Write) -> None:
    weights = load_recipe(write(FULL)).balancing.weighting.options()["weights"]
    assert list(weights.items()) == [("rating", 2.0), ("emotion", 1.0)]


def test_defaults_are_those_of_the_signatures(write: Write) -> None:
    from hf_mtl.data.mixture import Mixture

    recipe = load_recipe(write(MINIMAL))
    assert recipe.balancing.weighting.chosen == "ew"
    assert recipe.balancing.exposure == "rows"
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


@pytest.mark.parametrize(
    "word", ["0o17", "tRue", "a\u0085b", "1_000", "1e3", "~", "0x1F", "12:30", "=", "<<", "a ", "😀"]
)
def test_names_come_back_from_a_run_as_they_were_written(write: Write, word: str) -> None:
    filters = {"column": word, "one_of": [word, 1, True]}
    source = {"path": "csv", "data_files": "a.csv", "splits": {"train": word}, "header": [word], "filter": filters}
    weights = {"x": 1.0, word: 2.0}
    task = {"type": "sequence_classification", "text": word, "label": f"{word}2", "labels": ["x", word]}
    # JSON is YAML too, so the recipe itself is not in question.
    tasks = {"t": {**task, "class_weights": weights, "dataset": source}}
    recipe = load_recipe(write(json.dumps({"model": {"backbone": "x"}, "tasks": tasks})))
    again = load_recipe(write(recipe.to_yaml(), "again.yaml"))
    assert again == recipe
    assert again.tasks["t"].labels == ["x", word]
    assert again.tasks["t"].class_weights == {"x": 1.0, word: 2.0}


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "b", "a"], ["a", " "]])
def test_classes_are_two_or_more_different_names_in_python_too(labels: list[str]) -> None:
    with pytest.raises(ValidationError, match="two or more different names, none of them blank"):
        SequenceClassification(labels=labels)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sep=abc", "sep: found 'abc'. Allowed: one character, such as ';' or '|', or tab."),
        ("quoting=all", "quoting: unknown value 'all'. Known: minimal, none."),
        ("encoding=latin-l", "encoding: found 'latin-l'. Allowed: an encoding that Python knows, such as utf-8"),
        ("encoding=latin-l", "did you mean 'latin'."),
        ("header=[a, a]", "header: found [a, a]. Allowed: true, false, or a list of different column names."),
        ("header=1", "header: found 1. Allowed: "),
        ("seperator=x", "unknown key 'seperator'. "),
    ],
)
def test_options_of_csv_files_are_checked_with_the_recipe(write: Write, override: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(MINIMAL), [f"tasks.emotion.dataset.{override}"])
    assert expected in str(caught.value)


@pytest.mark.parametrize("sep", ['"\\t"', "tab", "'\\t'"])
def test_a_tab_may_be_written_in_three_ways(write: Write, sep: str) -> None:
    recipe = load_recipe(write(MINIMAL), [f"tasks.emotion.dataset.sep={sep}"])
    assert recipe.tasks["emotion"].dataset.sep == "\t"
