"""Every recipe in the repository loads, without its data."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.balancing import available
from hf_mtl.data import Mixture
from hf_mtl.recipe import Recipe, json_schema, load_recipe
from hf_mtl.recipe.yaml_source import read_yaml
from hf_mtl.schedules import build_schedule

FOLDER = Path(__file__).parents[2] / "recipes"
PLUGINS = "downstream"  # whose recipe needs its package, and the user's word: tests/test_downstream.py
NO_RECIPE = ("study.yaml", "sweep.yaml")  # tests/recipe/test_studies.py
RECIPES = sorted(
    path for path in FOLDER.rglob("*.yaml") if path.parent.name != PLUGINS and path.name not in NO_RECIPE
)
NAMES = [f"{path.parent.name}/{path.name}" for path in RECIPES]

TASKS = {
    "tweeteval": ["emotion", "hate", "irony", "offensive", "sentiment", "stance"],
    "affecteval": ["goemotions", "emotion", "emobank", "ei_reg"],
    "few_task": ["sentiment", "emotion", "irony"],
    "mt2st": ["nli", "sst2", "qqp"],
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
    assert ablation.balancing.options()["exposure"] == "tasks"
    assert ablation.training.options()["output_dir"] != recipe.training.options()["output_dir"]


@pytest.mark.parametrize("name", ["support-desk", "base", "local-base"])
def test_mixed_recipes_have_a_task_of_each_type(name: str) -> None:
    recipe = load_recipe(FOLDER / "mixed" / f"{name}.yaml")
    types = [kind.stem for kind in (FOLDER.parent / "hf_mtl/task_types").glob("*.py") if kind.stem != "__init__"]
    assert sorted(task.type for task in recipe.tasks.values()) == sorted(types)


FEW_TASK = {
    "joint": ("proportional", None, False),
    "alt": ("uniform", None, True),
    "alt-temp": (2.5, None, True),
    "alt-temp-uw": (2.5, "uw", True),
    "alt-temp-learned": (None, None, True),
    "alt-temp-learned-dro": (None, None, True),
}


def few_task(name: str) -> Recipe:
    return load_recipe(FOLDER / "few_task" / f"{name}.yaml")


@pytest.mark.parametrize("name", FEW_TASK)
def test_few_task_methods_differ_in_sampling_weighting_and_phases_alone(name: str) -> None:
    temperature, weighting, phases = FEW_TASK[name]
    recipe, base = few_task(name), few_task("base")
    assert recipe.mixture.options().get("temperature") == temperature
    assert recipe.balancing.options().get("weighting") == (None if weighting is None else {"name": weighting})
    found = [item.model_dump(exclude_unset=True) for item in recipe.schedules]
    assert found == ([{"type": "alternating", "period": 50}] if phases else [])
    assert (recipe.model, recipe.tasks) == (base.model, base.tasks)
    options, shared = recipe.training.options(), base.training.options()
    assert options.pop("output_dir") != shared.pop("output_dir")
    assert options == shared


def test_few_task_has_the_papers_settings() -> None:
    options = few_task("base").training.options()
    assert (options["optim"], options["optim_args"]) == ("sgd", "momentum=0.9")
    assert (options["learning_rate"], options["weight_decay"]) == (0.05, 5e-4)
    assert (options["per_device_train_batch_size"], options["num_train_epochs"], options["seed"]) == (64, 20, 42)
    rows = [task.max_rows for task in few_task("base").tasks.values()]
    assert rows == [8 * 2862, 2862, 2862]


def test_few_task_learned_temperatures_are_the_papers_and_dro() -> None:
    assert few_task("alt-temp-learned").mixture.options() == {"learn": {"objective": "expected_loss"}}
    assert few_task("alt-temp-learned-dro").mixture.options() == {"learn": {"objective": "dro"}}


def test_few_task_pike_differs_in_the_mixture_alone() -> None:
    recipe, base = few_task("pike"), few_task("base")
    assert recipe.mixture.options() == {"learn": {"type": "pike", "objective": "pike"}}
    assert (recipe.model, recipe.tasks, recipe.balancing, recipe.schedules) == (
        *(base.model, base.tasks, base.balancing, base.schedules),
    )


def test_a_fixed_temperature_lies_between_proportional_and_balanced() -> None:
    sizes = {name: task.max_rows or 0 for name, task in few_task("alt-temp").tasks.items()}
    shares = [
        Mixture(sizes, **few_task(name).mixture.options()).probabilities()["sentiment"]
        for name in ("joint", "alt-temp", "alt")
    ]
    assert shares == pytest.approx([0.8, 8**0.4 / (8**0.4 + 2), 1 / 3])


MT2ST = ["mt2st-diminish", "mt2st-diminish-sampling", "mt2st-switch", "mt2st-feedback", "mt2st-adaptive"]


@pytest.mark.parametrize("name", MT2ST)
def test_mt2st_methods_are_one_schedule_each_around_the_primary_task(name: str) -> None:
    recipe, base = (load_recipe(FOLDER / "mt2st" / f"{file}.yaml") for file in (name, "base"))
    [item] = recipe.schedules
    schedule = build_schedule(item, list(recipe.tasks))
    assert name.startswith(schedule.name.replace("_", "-"))
    assert schedule.tasks_named() == ["nli"]
    assert (recipe.model, recipe.tasks, recipe.mixture) == (base.model, base.tasks, base.mixture)
    assert recipe.training.options()["output_dir"] != base.training.options()["output_dir"]


@pytest.mark.parametrize("name", ["base", "local-base"])
def test_mt2st_adds_up_the_losses_of_as_many_rows_of_each_task(name: str) -> None:
    recipe = load_recipe(FOLDER / "mt2st" / f"{name}.yaml")
    assert recipe.mixture.options() == {"temperature": "uniform"}
    assert recipe.balancing.options() == {"weighting": {"name": "ew", "weight_sum": 3}, "exposure": "tasks"}
    assert recipe.training.options()["per_device_train_batch_size"] % 3 == 0


def test_mt2st_has_the_papers_settings() -> None:
    options = load_recipe(FOLDER / "mt2st" / "base.yaml").training.options()
    assert (options["learning_rate"], options["lr_scheduler_type"]) == (3e-5, "cosine")
    assert options["per_device_train_batch_size"] == 3 * 64
    assert (options["metric_for_best_model"], options["greater_is_better"]) == ("nli_loss", False)


METHODS = {
    **{name.replace("_", "-"): (name, None) for name, family in available().items() if family == "weighting"},
    **{name.replace("_", "-"): ("ew", name) for name, family in available().items() if family == "aggregator"},
    "uw-pcgrad": ("uw", "pcgrad"),
    "pcgrad-last-layer": ("ew", "pcgrad"),
}
# Equal weighting is base.yaml; weights, signs and sizes are the user's to choose; cost is experimental.
WITHOUT_RECIPE = {"ew", "fixed", "tw", "uw-o", "sum", "mean", "ngdiff", "cost"}


def test_balancing_methods_have_a_recipe_each() -> None:
    others = ("base", "local-", "vip")
    found = {path.stem for path in (FOLDER / "tweeteval").glob("*.yaml") if not path.stem.startswith(others)}
    assert found == set(METHODS) - WITHOUT_RECIPE


@pytest.mark.parametrize("name", sorted(set(METHODS) - WITHOUT_RECIPE))
def test_balancing_recipes_differ_in_the_method_alone(name: str) -> None:
    recipe, base = (load_recipe(FOLDER / "tweeteval" / f"{file}.yaml") for file in (name, "base"))
    aggregator = recipe.balancing.aggregator
    assert (recipe.balancing.weighting.chosen, aggregator and aggregator.chosen) == METHODS[name]
    assert recipe.balancing.exposure == base.balancing.exposure == "tasks"
    assert (recipe.model, recipe.tasks, recipe.mixture) == (base.model, base.tasks, base.mixture)
    options, shared = recipe.training.options(), base.training.options()
    assert options.pop("output_dir") == f"{shared.pop('output_dir')}-{name}"
    assert options == shared
    comment = (FOLDER / "tweeteval" / f"{name}.yaml").read_text().partition("extends:")[0]
    assert " For " in comment.replace("\n", " ")  # when one would use it


@pytest.mark.parametrize(("study", "method"), [("mt2st", "mt2st-switch"), ("few_task", "alt-temp-uw")])
def test_a_method_runs_on_local_files_by_extending_both(study: str, method: str, tmp_path: Path) -> None:
    folder = FOLDER / study
    path = tmp_path / "recipe.yaml"
    path.write_text(f"extends: [{folder / method}.yaml, {folder}/local-base.yaml]\n")
    recipe, local = load_recipe(path), load_recipe(folder / "local-base.yaml")
    assert recipe.schedules == load_recipe(folder / f"{method}.yaml").schedules != ()
    assert (recipe.model, recipe.tasks, recipe.training) == (local.model, local.tasks, local.training)
