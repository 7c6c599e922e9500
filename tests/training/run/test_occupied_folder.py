"""A run in a folder where something is: another run, or files of the user's."""

from pathlib import Path

import pytest

from hf_mtl import MultiTaskTrainer, load_recipe
from hf_mtl.errors import DataError, ModelError, RunError
from tests.training import runs


def test_an_existing_run_is_refused_and_left_alone(recipe: Path, finished: Path) -> None:
    before = runs.content(finished)
    with pytest.raises(RunError) as caught:
        runs.train(recipe, finished)
    assert str(caught.value) == (
        f"{finished} holds a finished run. Continue it with --resume, start anew with --overwrite, "
        "or choose another folder with training.output_dir=FOLDER."
    )
    assert runs.content(finished) == before


def test_an_unfinished_run_is_refused_too(recipe: Path, unfinished: Path) -> None:
    with pytest.raises(RunError, match="holds an unfinished run"):
        runs.train(recipe, unfinished)


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_both_wishes_at_once_are_refused(recipe: Path, state: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(state)
    before = runs.content(folder)
    with pytest.raises(RunError, match="--resume continues a run and --overwrite starts it anew; give one of them"):
        runs.train(recipe, folder, resume=True, overwrite=True)
    assert runs.content(folder) == before


def test_overwriting_starts_anew_and_leaves_other_files(recipe: Path, finished: Path) -> None:
    (finished / "notes.md").write_text("mine")
    runs.train(recipe, finished, "training.max_steps=2", "training.save_steps=2", overwrite=True)
    assert {path.name for path in finished.iterdir()} == (runs.FOLDER | runs.MODEL | {"notes.md", "checkpoint-2"}) - {
        "checkpoint-5",
        "checkpoint-10",
    }
    assert {record["step"] for record in runs.log(finished)} == {1, 2}
    assert runs.results(finished)["step"] == 2


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("tasks.mood.label=lable", DataError),
        ("model.backbone={model_type: brt}", ModelError),
        ("model.backbone=./nowhere", ModelError),
    ],
)
@pytest.mark.parametrize("state", ["finished", "absent"])
def test_a_mistake_costs_no_run_and_makes_no_folder(
    recipe: Path, finished: Path, state: str, mistake: str, error: type[Exception], tmp_path: Path
) -> None:
    folder = finished if state == "finished" else tmp_path / "new"
    before = runs.content(finished)
    with pytest.raises(error):
        runs.train(recipe, folder, mistake, overwrite=True)
    assert runs.content(finished) == before
    assert not (tmp_path / "new").exists()


def test_a_file_where_the_folder_should_be_is_refused(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match=rf"training\.output_dir: {tmp_path / 'file'} is a file, not a folder"):
            runs.train(recipe, place)


@pytest.mark.parametrize("name", ["config.json", "log.jsonl", "checkpoint-5/weights", "recipe.yaml"])
def test_a_first_run_refuses_what_is_in_its_way_and_writes_nothing(recipe: Path, tmp_path: Path, name: str) -> None:
    for file in (name, "notes.md"):
        (tmp_path / "run" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / file).write_text("mine")
    before = runs.content(tmp_path)
    for wish in ("resume", "overwrite", "test"):
        with pytest.raises(
            RunError, match=f"training.output_dir: .* holds {name.split('/')[0]}, where the run would"
        ):
            runs.train(recipe, tmp_path / "run", "training.max_steps=1", **{wish: True})
    assert runs.content(tmp_path) == before


def test_a_run_into_its_own_backbone_is_refused_with_its_place(world: Path, tmp_path: Path) -> None:
    written = runs.write_recipe(tmp_path / "moved")
    words = [f"model.backbone={tmp_path}", "model.tokenizer=null"]
    with pytest.raises(RunError, match=rf"training\.output_dir: .*run lies in {tmp_path}, which the run reads"):
        runs.train(written, tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_run_is_trained_anew_from_the_recipe_that_it_keeps(finished: Path) -> None:
    found = runs.train(finished / "recipe.yaml", finished, "training.max_steps=1", overwrite=True)
    assert found["step"] == 1
    assert load_recipe(finished / "recipe.yaml").training.options()["max_steps"] == 1


def test_a_recipe_that_was_edited_in_its_run_is_not_overwritten(finished: Path) -> None:
    (finished / "recipe.yaml").write_text("# mine\n" + (finished / "recipe.yaml").read_text())
    before = runs.content(finished)
    with pytest.raises(RunError, match=r"holds recipe\.yaml, where the run would write: changed since the run here"):
        runs.train(finished / "recipe.yaml", finished, overwrite=True)
    assert runs.content(finished) == before


def test_an_overwriting_run_that_fails_at_once_gives_the_old_one_back(
    recipe: Path, finished: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished / "notes.md").write_text("mine")
    before = runs.content(finished)
    monkeypatch.setattr(MultiTaskTrainer, "training_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.train(recipe, finished, overwrite=True)
    assert runs.content(finished) == before
    assert warnings == [f"The run that was to be replaced is back in {finished}."]
