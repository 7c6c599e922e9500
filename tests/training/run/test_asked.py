"""The command that goes on with a run has the same wishes."""

from pathlib import Path

from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run.asked import Asked


def test_the_command_names_the_wishes_that_were_asked_for(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "my run")
    recipe = f"'{tmp_path}/my run/recipe.yaml'"
    every = Asked(False, True, test=True, baselines=True, allow_code=True, on_results=lambda _: None)
    said = every.how_to_go_on(folder)
    assert said == f"Go on with: hf-mtl train {recipe} --resume --test --baselines --allow-code"
    none = Asked(True, False, test=False, baselines=False, allow_code=False, on_results=lambda _: None)
    assert none.how_to_go_on(folder) == f"Go on with: hf-mtl train {recipe} --resume"
