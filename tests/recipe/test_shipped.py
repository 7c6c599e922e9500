"""Every recipe in the repository loads, without its data."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.recipe import json_schema, load_recipe
from hf_mtl.recipe.yaml_source import read_yaml

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.yaml"))
NAMES = [f"{path.parent.name}/{path.name}" for path in RECIPES]

TASKS = {
    "tweeteval": ["emotion", "hate", "irony", "offensive", "sentiment", "stance"],
    "affecteval": ["goemotions", "emotion", "emobank", "ei_reg"],
}


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 4


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_it_loads_and_its_resolved_form_is_the_same(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_it_fits_the_json_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    data: Any = read_yaml(path, []).plain()
    errors = jsonschema.Draft202012Validator(json_schema()).iter_errors(data)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("study", sorted(TASKS))
@pytest.mark.parametrize("name", ["base.yaml", "local-base.yaml"])
def test_the_studies_have_the_papers_tasks(study: str, name: str) -> None:
    path = Path(__file__).parents[2] / "recipes" / study / name
    assert list(load_recipe(path).tasks) == TASKS[study]


def test_the_papers_settings() -> None:
    for study, dropout in (("tweeteval", 0.2), ("affecteval", 0.0)):
        recipe = load_recipe(Path(__file__).parents[2] / "recipes" / study / "base.yaml")
        options = recipe.training.options()
        assert recipe.model.dropout == dropout
        assert recipe.model.max_length == 256
        assert (options["optim"], options["learning_rate"]) == ("adamax", 5e-5)
        assert (options["per_device_train_batch_size"], options["num_train_epochs"]) == (128, 20)
        assert (options["early_stopping_patience"], options["max_grad_norm"]) == (3, 1.0)


@pytest.mark.parametrize(
    ("name", "backbone", "beta"),
    [
        ("tweeteval/vip", "roberta-base", 0.01),
        ("tweeteval/vip-bert", "bert-base-uncased", 0.001),
        ("affecteval/vip", "roberta-base", 0.001),
        ("affecteval/vip-bert", "bert-base-uncased", 0.1),
    ],
)
def test_vip_has_the_papers_settings_and_its_ablation(name: str, backbone: str, beta: float) -> None:
    folder = Path(__file__).parents[2] / "recipes"
    recipe = load_recipe(folder / f"{name}.yaml")
    assert recipe.model.backbone == backbone
    assert recipe.model.head == {"type": "vip", "preset": "paper", "beta": beta}
    ablation = load_recipe(folder / f"{name}-without-vi.yaml")
    assert ablation.model.head == {**recipe.model.head, "variance_normalization": False}
    assert ablation.balancing.options()["reduction"] == "tasks"
    assert ablation.training.options()["output_dir"] != recipe.training.options()["output_dir"]
