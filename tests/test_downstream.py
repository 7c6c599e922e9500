"""`recipes/downstream`: a user's package with components of its own, in whole runs; in processes of their own.

Its components are of the process that imports them: other tests look at all that are registered.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes" / "downstream"
SHORT = ["training.max_steps=2", "training.eval_steps=1", "training.save_steps=1"]
_COMMANDS = """
import contextlib, io, json, sys
from hf_mtl.cli.main import main

said = []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        said.append([main(words), errors.getvalue()])
from hf_mtl import MultiTaskModel
from hf_mtl.recipe import load_recipe

model = MultiTaskModel.from_pretrained(sys.argv[2])
recipe = load_recipe(f"{sys.argv[2]}/recipe.yaml", allow_code=True)
found = {
    "said": said,
    "classes": [type(model.heads.of("product").head).__name__, type(model.tasks["complaints"]).__name__],
    "recipe": [recipe.plugins, recipe.callbacks[0].options()],
}
print(json.dumps(found))
"""


def python(folder: Path, *words: str) -> str:
    """Run Python in the example's folder; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What commands on the recipe have said, and what they left."""
    folder = tmp_path_factory.mktemp("downstream")
    run, place = str(folder / "run"), f"training.output_dir={folder / 'run'}"
    refused = ["train", "recipe.yaml", *SHORT, "training.logging_steps=1", place]
    commands = [
        refused,
        [*refused, "--allow-code", "--baselines", "--test"],
        ["evaluate", run, "--split", "test"],
        ["evaluate", run, "--split", "test", "--allow-code"],
        ["predict", run, "urgent.csv", "-o", str(folder / "found.jsonl"), "--allow-code"],
        [*refused, "training.max_steps=9", "callbacks.0.score=-1", "--resume", "--allow-code"],
    ]
    output = python(folder, "-c", _COMMANDS, json.dumps(commands), run)
    results = json.loads((folder / "run" / "results.json").read_text())
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    return {**json.loads(output.splitlines()[-1]), "results": results, "log": log, "rows": rows}


def test_a_recipe_with_plugins_needs_the_users_word_in_every_command(found: dict[str, Any]) -> None:
    assert [code for code, _ in found["said"]] == [2, 0, 2, 0, 0, 0]
    assert all("plugins.0: 'tickets' is code of your own" in found["said"][place][1] for place in (0, 2))


def test_every_component_of_the_package_is_in_the_run(found: dict[str, Any]) -> None:
    assert found["classes"] == ["GatedHead", "Count"]
    assert found["recipe"] == [["tickets"], {"score": -1}]
    assert found["results"]["tasks"]["complaints"].keys() >= {"exact_count", "within_one"}
    weights = [line["weight/complaints"] for line in found["log"] if "weight/complaints" in line]
    assert weights
    assert all(weight != pytest.approx(1 / 3, abs=1e-4) for weight in weights)


def test_a_type_of_the_package_is_predicted(found: dict[str, Any]) -> None:
    assert len(found["rows"]) > 10
    assert all(json.loads(row["complaints.prediction"])["value"] > 0 for row in found["rows"])


def test_a_callback_of_the_package_ends_the_run(found: dict[str, Any]) -> None:
    assert found["results"]["trained_steps"] == 3


@pytest.mark.slow
def test_the_commands_of_its_page_run_and_learn(tmp_path: Path) -> None:
    words = ["-m", "hf_mtl", "train", "recipe.yaml", "--test", "--allow-code"]
    python(tmp_path, *words, f"training.output_dir={tmp_path / 'run'}")
    assert json.loads((tmp_path / "run" / "results.json").read_text())["macro"] > 0.8
    assert "best: " in python(tmp_path, "search.py", str(tmp_path / "search"))
