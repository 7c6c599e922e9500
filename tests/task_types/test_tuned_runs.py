"""A run whose thresholds are tuned: its results and baselines, and how it is scored again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.errors import RecipeError, RunError, UserError
from hf_mtl.training import evaluate_run
from hf_mtl.training.run.evaluate import logger
from tests import tiny
from tests.task_types.test_multi_label_classification import NAMES, holed
from tests.training.runs import own_cache

pytestmark = pytest.mark.slow
SAID = "t: thresholds are tuned on these rows, so that other rows will score less."


def write(folder: Path, **keys: Any) -> Path:
    for split, count in (("train", 60), ("validation", 48), ("test", 40)):
        holed(count, share=0.2).to_json(str(folder / f"{split}.jsonl"))
    recipe = {
        "model": {
            "backbone": {key: value for key, value in tiny.BERT.items() if key != "vocab_size"},
            "tokenizer": {"train": "wordpiece", "vocab_size": 120},
        },
        "tasks": {
            "t": {
                "type": "multi_label_classification",
                "label": NAMES,
                "dataset": {
                    "path": "json",
                    "data_files": {split: f"{split}.jsonl" for split in ("train", "validation", "test")},
                },
                **keys,
            }
        },
        "training": {
            "output_dir": str(folder / "run"),
            "max_steps": 6,
            "save_steps": 3,
            "learning_rate": 5e-3,
            "use_cpu": True,
            "report_to": "none",
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("tuned")
    with own_cache(folder):
        yield folder, run_recipe(write(folder, thresholds="tuned"), test=True, baselines=True)


def test_results_say_so_of_the_rows_that_thresholds_were_tuned_on(world: tuple[Path, dict[str, Any]]) -> None:
    folder, results = world
    assert SAID in results["notes"]
    assert SAID not in results["test"]["notes"]
    thresholds = MultiTaskModel.from_pretrained(folder / "run").tasks["t"].thresholds  # type: ignore[attr-defined]
    assert isinstance(thresholds, list)
    assert thresholds != [0.5] * 3
    assert load_recipe(folder / "run" / "recipe.yaml").tasks["t"].thresholds == "tuned"  # type: ignore[attr-defined]


def test_baselines_have_thresholds_of_their_own(world: tuple[Path, dict[str, Any]]) -> None:
    folder, results = world
    at_half = evaluate_run(folder / "run", ["tasks.t.thresholds=0.5"], baselines=True)["baselines"]
    for name in ("majority", "tfidf"):
        assert results["baselines"][name]["tasks"]["t"]["f1_macro"] > at_half[name]["tasks"]["t"]["f1_macro"]


def test_a_run_is_scored_again_with_its_thresholds_or_with_others(world: tuple[Path, dict[str, Any]]) -> None:
    folder, results = world
    run = folder / "run"
    again = evaluate_run(run, split="test")["tasks"]["t"]
    assert again == pytest.approx(results["test"]["tasks"]["t"])
    model = MultiTaskModel.from_pretrained(run)
    given = ",".join(map(repr, model.tasks["t"].thresholds))  # type: ignore[attr-defined]
    assert evaluate_run(run, [f"tasks.t.thresholds=[{given}]"], split="test")["tasks"]["t"] == pytest.approx(again)
    assert evaluate_run(run, ["tasks.t.thresholds=0.5"], split="test")["tasks"]["t"] != pytest.approx(again)
    with pytest.raises((RunError, RecipeError), match=r"tasks\.t\.thresholds: found 1 thresholds for 3 labels"):
        evaluate_run(run, ["tasks.t.thresholds=[0.5]"])


def test_a_checkpoint_from_before_the_end_says_that_it_has_none(
    world: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = world
    said: list[str] = []
    monkeypatch.setattr(logger, "warning", said.append)
    evaluate_run(folder / "run" / "checkpoint-3")
    assert "t: thresholds are not tuned yet, as this model is from before the end of training." in said
    said.clear()
    evaluate_run(folder / "run")
    assert not any("not tuned yet" in note for note in said)


def test_thresholds_are_tuned_by_training_alone(world: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = world
    run_recipe(write(tmp_path))
    with pytest.raises(RunError, match=r"tasks\.t\.thresholds: are tuned at the end of training"):
        evaluate_run(tmp_path / "run", ["tasks.t.thresholds=tuned"])
    with pytest.raises(RunError, match=r"tasks\.t\.thresholds: is 0\.4, in the run it is 'tuned'"):
        run_recipe(folder / "recipe.yaml", ["tasks.t.thresholds=0.4", "training.max_steps=9"], resume=True)


def test_a_recipe_without_validation_rows_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, thresholds="tuned", validation_fraction=0)
    overrides = ["tasks.t.dataset.splits={validation: null}"]
    with pytest.raises(UserError, match=r"tasks\.t\.thresholds: are tuned on evaluation rows, and there are none"):
        run_recipe(path, overrides)
    assert not (tmp_path / "run").exists()
    with pytest.raises(RecipeError, match=r"tasks\.t\.thresholds"):
        load_recipe(path, ["tasks.t.thresholds=tune"])


def test_what_was_chosen_is_read_from_a_config_or_refused(world: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = world
    model = MultiTaskModel.from_pretrained(folder / "run")
    config = model.config
    for wrong in ({"x": [0.5]}, {"t": [0.5]}, {"t": [0.5, 7.0, 0.5]}, {"t": "x"}):
        config.decisions = wrong
        with pytest.raises(UserError, match="decisions|thresholds"):
            MultiTaskModel(config)
    config.decisions = {"t": [0.3, 0.5, 0.6]}
    rebuilt = MultiTaskModel(config)
    assert np.allclose(rebuilt.tasks["t"].thresholds, [0.3, 0.5, 0.6])  # type: ignore[attr-defined]
