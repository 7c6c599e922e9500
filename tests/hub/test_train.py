import json
from pathlib import Path
from typing import Any

import pytest

from hf_mtl import MultiTaskModel
from tests.hub import world


def train(machine: world.Machine, recipe: Path, output: Path) -> dict[str, Any]:
    """Train without a mistake."""
    before = list(machine.hub.unknown)  # the Hub is one for many tests
    done = machine.train(recipe, output)
    assert done.returncode == 0, done.stderr
    assert machine.hub.unknown == before
    assert world.TOKEN not in done.stdout + done.stderr
    results: dict[str, Any] = json.loads((output / "results.json").read_text())
    return results


def check_provenance(requests: list[str], sha: str, output: Path) -> None:
    """The revisions of the recipe were used, and the model knows where it comes from."""
    assert f"GET /datasets/org/topics/resolve/{sha}/early/train.parquet" in requests
    assert f"GET /datasets/org/topics/resolve/{sha}/late/dev.parquet" in requests
    config = json.loads((output / "config.json").read_text())
    assert config["backbone"] == world.BACKBONE
    assert config["tasks"]["topic"]["labels"] == ["art", "bio", "car"]


@pytest.mark.slow
def test_the_hub_is_needed_once(machine: world.Machine, tmp_path: Path) -> None:
    recipe = world.write(tmp_path, world.recipe(machine.hub))
    before = len(machine.hub.requests)
    online = train(machine, recipe, tmp_path / "out")
    assert online["step"] == 3
    assert list(online["tasks"]) == ["topic", "mood", "score"]
    sha = machine.hub.repos["datasets/org/topics"].tags["v1"]
    check_provenance(machine.hub.requests[before:], sha, tmp_path / "out")

    before = len(machine.hub.requests)
    machine.offline = True
    assert train(machine, recipe, tmp_path / "again") == online
    assert machine.hub.requests[before:] == []


@pytest.mark.slow
def test_a_backbone_and_a_dataset_come_from_the_hub(machine: world.Machine, tmp_path: Path) -> None:
    results = train(machine, world.write(tmp_path, world.small_recipe("org/scores")), tmp_path / "out")
    assert results["step"] == 2
    assert list(MultiTaskModel.from_pretrained(tmp_path / "out").tasks) == ["score"]


@pytest.mark.slow
def test_a_folder_beside_the_recipe_goes_before_the_hub(machine: world.Machine, tmp_path: Path) -> None:
    world.save_backbone(tmp_path / world.BACKBONE, hidden_size=8)
    world.save_scores(tmp_path / "org" / "scores")
    recipe = world.write(tmp_path, world.small_recipe("org/scores"))
    before = len(machine.hub.requests)
    train(machine, recipe, tmp_path / "out")
    assert not [request for request in machine.hub.requests[before:] if "/org/" in request]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["encoder_config"]["hidden_size"] == 8
    assert config["backbone"] is None
    assert str(tmp_path) not in json.dumps(config)


LOAD = """
import sys
from hf_mtl.data.sources import load_source
from hf_mtl.tasks import DatasetSource

for revision in sys.argv[1:]:
    try:
        rows = load_source(DatasetSource(path="org/topics", name="early", revision=revision or None)).splits["train"]
        print(len(rows), rows.column_names)
    except Exception as error:
        print(error)
"""


@pytest.mark.slow
def test_offline_a_revision_is_still_that_revision(machine: world.Machine) -> None:
    sha = machine.hub.repos["datasets/org/topics"].tags["v1"]
    old, new = "30 ['text', 'label']", "1 ['text']"

    def load(*revisions: str) -> list[str]:
        done = machine.python("-c", LOAD, *revisions)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert load("v1") == [old]
    machine.offline = True
    assert load("v1", sha, "") == [old, old, old]  # no revision: what there is
    (text,) = load("main")
    assert "dataset.revision: 'org/topics' is not in the cache at revision 'main'" in text
    assert sha in text
    machine.offline = False
    assert load("", "v1") == [new, old]
    machine.offline = True
    assert load("v1", sha, "", "main") == [old, old, new, new]


SPELLED = """
import sys
from datasets import load_dataset
from hf_mtl.data.sources import load_source
from hf_mtl.tasks import DatasetSource

if "datasets" in sys.argv:
    load_dataset("org/spelled")
if "ours" in sys.argv:
    loaded = load_source(DatasetSource(path="org/spelled"))
    print([part[:2] for part in loaded.splits.values()], loaded.spelled, *loaded.notes)
"""


@pytest.mark.slow
def test_csv_files_of_the_hub_are_read_as_they_are_spelled(machine: world.Machine) -> None:
    def run(*who: str) -> str:
        done = machine.python("-c", SPELLED, *who)
        assert done.returncode == 0, done.stderr
        return done.stdout

    train = {"text": ["007", "NA"], "label": ["None", "null"]}
    expected = f"{[train, {'text': ['nan'], 'label': ['None']}]} True\n"
    run("datasets")
    machine.offline = True
    text = run("ours")  # all there is; said, because it cannot be mended
    assert "None, NA and null are missing values and 007 is 7" in text
    machine.offline = False
    assert run("ours") == expected
    machine.offline = True
    assert run("ours") == expected
