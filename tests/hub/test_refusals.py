from pathlib import Path

import pytest

from tests.hub import world
from tests.hub.repositories import Hub


def write(folder: Path, case: str, path: str, backbone: str = world.BACKBONE, **dataset: object) -> Path:
    content = world.small_recipe(path, backbone, output_dir=str(folder / "out"))
    content["tasks"]["score"]["dataset"] |= dataset
    return world.write(folder / case, content)


def clear(text: str, where: str, found: str) -> bool:
    """One mistake: where in the recipe, and what was found."""
    assert "hf-mtl train: 1 mistake\n" in text, text
    assert "Traceback" not in text
    assert world.TOKEN not in text
    assert text.count("recipe.yaml:") == 1, text
    assert f": {where}: " in text, text
    assert found in text, text
    return True


@pytest.mark.slow
def test_what_the_hub_does_not_have_or_give_is_one_clear_mistake(machine: world.Machine, tmp_path: Path) -> None:
    answers = machine.fail(
        write(tmp_path, "unknown-data", "org/nothing"),
        write(tmp_path, "gated-data", "org/gated"),
        write(tmp_path, "revision", "org/scores", revision="v9"),
        write(tmp_path, "configuration", "org/moods", name="englsih"),
        write(tmp_path, "no-configuration", "org/moods"),
        write(tmp_path, "unknown-backbone", "org/scores", "org/no-bert"),
        write(tmp_path, "gated-backbone", "org/scores", "org/gated"),
        write(tmp_path, "files", "org/scores", data_files={"train": "none.csv"}),
    )
    data = "tasks.score.dataset"
    assert clear(answers[0], data, "no dataset 'org/nothing' on the Hub")
    assert clear(answers[1], data, "no access to 'org/gated', a gated dataset of the Hub. Ask for access")
    assert clear(answers[2], data, "no dataset 'org/scores' at revision 'v9' on the Hub")
    assert clear(answers[3], f"{data}.name", "unknown configuration 'englsih' of 'org/moods'. Known: english, french")
    assert clear(answers[4], f"{data}.name", "no configuration given for 'org/moods'. Known: english, french")
    assert clear(answers[5], "model.backbone", "cannot load 'org/no-bert'")
    assert "Check the spelling" in answers[5]
    assert clear(answers[6], "model.backbone", "cannot load 'org/gated': You are trying to access a gated repo")
    assert clear(answers[7], f"{data}.data_files", "no such data files of 'org/scores' could be found")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_offline_with_empty_caches_says_so(machine: world.Machine, tmp_path: Path) -> None:
    machine.offline = True
    world.save_scores(tmp_path / "data")
    data, backbone = machine.fail(
        write(tmp_path, "data-offline", "org/scores"),
        write(tmp_path, "backbone-offline", str(tmp_path / "data")),
    )
    assert clear(data, "tasks.score.dataset", "cannot load 'org/scores': offline, and not in the cache")
    assert "Unset HF_HUB_OFFLINE" in data
    assert clear(backbone, "model.backbone", f"cannot load '{world.BACKBONE}'")
    assert "in the cache. Unset HF_HUB_OFFLINE" in backbone


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nobody = Hub()
    nobody.url = "http://127.0.0.1:1"
    machine = world.Machine(nobody, tmp_path / "home", tmp_path / "cwd")
    world.save_scores(tmp_path / "data")
    data, backbone = machine.fail(
        write(tmp_path, "data", "org/scores"),
        write(tmp_path, "backbone", str(tmp_path / "data")),
    )
    assert clear(data, "tasks.score.dataset", "cannot reach http://127.0.0.1:1 for 'org/scores'")
    assert clear(backbone, "model.backbone", f"cannot load '{world.BACKBONE}'")
    assert "connect" in backbone.lower()
