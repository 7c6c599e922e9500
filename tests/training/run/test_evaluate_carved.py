"""A run whose tasks are carved together is scored on the rows that it was, whichever of its tasks are asked."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl import run_recipe
from hf_mtl.training import evaluate_run
from hf_mtl.training.run.evaluate import logger
from tests import tiny
from tests.training import runs


def write_recipe(folder: Path) -> Path:
    """Three tasks: two read the same texts, and one of them says that these are carved by class."""
    recipe = runs.write_recipe(folder, output_dir=str(folder / "run"), max_steps=2, eval_steps=2, save_steps=2)
    given: dict[str, Any] = yaml.safe_load(recipe.read_text())
    rows = [
        {**row, "kind": "rare" if number % 12 == 0 else "often", "label": number % 2}
        for number, row in enumerate(tiny.rows("mood", 120))
    ]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = {
        "type": "sequence_classification",
        "dataset": {"path": "json", "data_files": "./texts.jsonl"},
        "validation_fraction": 0.2,
    }
    given["tasks"] = {
        "kind": {**shared, "label": "kind", "stratify": True, "metrics": ["accuracy"]},
        "side": {**shared, "label": "label", "metrics": ["accuracy"]},
        "topic": given["tasks"]["topic"],
    }
    del given["mixture"]
    recipe.write_text(yaml.safe_dump(given, sort_keys=False))
    return recipe


def test_a_task_alone_is_scored_on_the_rows_that_were_carved_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(logger, "warning", said.append)
    with runs.own_cache(tmp_path):
        ran = run_recipe(write_recipe(tmp_path))["tasks"]
        asked = {
            "without the one that is stratified": ["tasks.kind=null", "tasks.topic=null"],
            "without the other": ["tasks.side=null"],
            "with other rows of that one": [f"tasks.kind.dataset.data_files={tmp_path}/other.jsonl"],
        }
        (tmp_path / "other.jsonl").write_bytes((tmp_path / "texts.jsonl").read_bytes())
        for case, overrides in asked.items():
            found = evaluate_run(tmp_path / "run", overrides)["tasks"]
            name = "kind" if case == "without the other" else "side"
            assert found[name] == ran[name], case
    assert not [note for note in said if "not those of the run" in note]
