import json
from pathlib import Path

import pytest
import yaml

from hf_mtl import load_recipe
from hf_mtl.experiments.compare.cost import cost_of
from tests.experiments.compare.world import write_study
from tests.training import runs


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("world")).with_name("recipe.yaml")


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["balancing.weighting=ew", "balancing.gradients.log_every=25"], marks=pytest.mark.slow),
        ["schedules=[{type: alternating, period: 5}]", "training.gradient_accumulation_steps=2"],
        pytest.param(
            ["balancing={weighting: ew, aggregator: pcgrad}", "mixture={temperature: 1}"], marks=pytest.mark.slow
        ),
    ],
)
def test_operations_are_foreseen_within_three_percent(recipe: Path, tmp_path: Path, keys: list[str]) -> None:
    keys = [*keys, "training.max_steps=40", "training.eval_strategy=no", "training.load_best_model_at_end=false"]
    cost = cost_of(load_recipe(recipe, keys), True, tmp_path / "try")
    assert not (tmp_path / "try").exists()
    runs.train(recipe, tmp_path / "run", *keys, "training.save_strategy=no")
    spent = next(record["total_flos"] for record in runs.log(tmp_path / "run") if "train_runtime" in record)
    assert cost.flops_per_step is not None
    assert cost.flops_per_step * 40 == pytest.approx(spent, rel=0.03)
    assert cost.passes_per_step == (2 if "accumulation" in keys[1] else 1)
    assert cost.seconds_per_step


def test_a_look_says_steps_rows_and_who_has_test_rows(recipe: Path, tmp_path: Path) -> None:
    cost = cost_of(load_recipe(recipe, ["training.max_steps=-1", "training.num_train_epochs=2"]), False, tmp_path)
    assert cost.epochs == pytest.approx(2, abs=0.1)
    assert sum(cost.rows.values()) == pytest.approx(8 * cost.steps)
    assert cost.rows["topic"] > cost.rows["mood"]
    assert cost.tested == ["topic", "mood"]
    assert (cost.flops_per_step, cost.seconds_per_step) == (None, None)
    assert cost.share("topic", "rows") + cost.share("mood", "rows") == pytest.approx(1)


def stream_recipe(folder: Path) -> Path:
    """Three tasks, two of which read the same rows, one of them with labels of a part of these."""
    path = write_study(folder).with_name("recipe.yaml")
    recipe = yaml.safe_load(path.read_text())
    lines = [json.loads(line) for line in (folder / "topic.train.jsonl").read_text().splitlines()]
    label = recipe["tasks"]["topic"].get("label", "label")
    rows = [
        {**row, "again": row[label], "some": row[label] if place % 3 else None} for place, row in enumerate(lines)
    ]
    (folder / "shared.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = {**recipe["tasks"]["topic"], "dataset": {"path": "json", "data_files": "./shared.jsonl"}}
    recipe["tasks"] |= {"topic": shared, "again": {**shared, "label": "again"}, "some": {**shared, "label": "some"}}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.mark.parametrize("balancing", ["{weighting: uw}", "{aggregator: pcgrad}"])
def test_operations_of_rows_that_tasks_share_are_foreseen(tmp_path: Path, balancing: str) -> None:
    keys = [f"balancing={balancing}", "training.max_steps=40", "training.eval_strategy=no"]
    keys += ["training.load_best_model_at_end=false", "mixture={temperature: 1}"]
    path = stream_recipe(tmp_path)
    cost = cost_of(load_recipe(path, keys), True, tmp_path / "try")
    runs.train(path, tmp_path / "run", *keys, "training.save_strategy=no")
    spent = next(record["total_flos"] for record in runs.log(tmp_path / "run") if "train_runtime" in record)
    assert cost.flops_per_step is not None
    assert cost.flops_per_step * 40 == pytest.approx(spent, rel=0.05)
    # Every row is one of each task that has a label of it.
    assert cost.rows["again"] == pytest.approx(cost.rows["topic"])
    assert cost.rows["some"] == pytest.approx(cost.rows["topic"] * 2 / 3, rel=0.1)
