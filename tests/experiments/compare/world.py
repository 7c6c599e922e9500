"""Studies of the tiny world, in files."""

from pathlib import Path
from typing import Any

import yaml

from tests.training import runs

ARMS: dict[str, Any] = {"single_task": "single_task", "ew": {"balancing.weighting": "ew"}, "uw": {}}


def write_study(folder: Path, recipe: dict[str, Any] | None = None, **keys: Any) -> Path:
    """A base recipe of two tasks with test rows, and a study of it.

    Args:
        folder: Takes both.
        recipe: Sections to put in the place of the recipe's.
        keys: Keys of the study.
    """
    path = runs.write_recipe(
        folder, max_steps=6, eval_steps=3, save_steps=3, logging_steps=1, load_best_model_at_end=True
    )
    base = yaml.safe_load(path.read_text())
    del base["tasks"]["score"], base["mixture"]
    for task in base["tasks"].values():
        task["test_fraction"] = 0.2
    path.write_text(yaml.safe_dump({**base, **(recipe or {})}, sort_keys=False))
    study = {"base": "recipe.yaml", "arms": ARMS, "seeds": 1, "output_dir": str(folder / "out"), **keys}
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    return file
