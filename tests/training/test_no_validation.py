"""A run without any validation rows: trained, its test splits scored, its results written."""

from pathlib import Path

import pytest
import yaml

from hf_mtl.errors import UserError
from hf_mtl.reporting.tables import results_notes, results_table
from hf_mtl.training import evaluate_run
from tests.training import runs


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Two steps on tasks whose validation rows are test rows."""
    path = runs.write_recipe(tmp_path, max_steps=2, save_steps=2, eval_strategy="no", logging_steps=2)
    written = yaml.safe_load(path.read_text())
    del written["training"]["metric_for_best_model"], written["training"]["eval_steps"]
    for task in written["tasks"].values():
        files = task["dataset"]["data_files"]
        files["test"] = files.pop("validation")
        task["validation_fraction"] = 0
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


def test_a_run_without_validation_rows_is_scored_on_test_alone(recipe: Path, tmp_path: Path) -> None:
    with runs.own_cache(tmp_path):
        results = runs.train(recipe, tmp_path / "run", test=True, baselines=True)
        assert results["tasks"] == {}
        assert "average" not in results
        assert results["notes"] == [
            f"{name}: there are no validation rows with a label, so nothing can be scored."
            for name in ("topic", "mood", "score")
        ]
        assert results_table(results, results["baselines"]) == "no scores"
        assert "mean over" not in results_notes(results)
        assert results["test"]["tasks"].keys() == {"topic", "mood", "score"}
        assert runs.results(tmp_path / "run") == results
        assert runs.train(recipe, tmp_path / "run", resume=True) == results
        with pytest.raises(UserError, match="no task has a split 'validation' with rows that have a label"):
            evaluate_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["training.eval_strategy=epoch"], "training.eval_strategy: is 'epoch', and no task has rows to evaluate on"),
        (
            ["training.temperature_scaling=true"],
            "training.temperature_scaling: is on, and there are no evaluation rows of topic, mood. Give them "
            "(eval_dataset; in a recipe a validation split, or validation_fraction), or leave it off",
        ),
    ],
)
def test_what_needs_validation_rows_says_how_to_give_them(
    recipe: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    with runs.own_cache(tmp_path), pytest.raises(UserError) as error:
        runs.train(recipe, tmp_path / "run", *options)
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()
