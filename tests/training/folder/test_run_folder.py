"""A run's folder: what is written there, what is refused, and what is never touched."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError, RunError, UserError
from hf_mtl.inference.manifest import verify
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training import runs
from tests.training.folders import add_checkpoint, add_model, begin, dying, finish

USERS = (
    *("notes.md", "checkpoint-old/a", "checkpoint-2-best/weights", "data/train.csv", "recipe.yaml.bak"),
    *("staging/a", "outbox/letter", "recipe.partial", "best.safetensors", "a.json"),
    *("figures/mine.png", "tokenizer/notes"),
)


def add_files(path: Path, *names: str) -> None:
    """Files that somebody else has in the folder."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("mine")


def test_a_run_makes_its_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "new")
    assert not folder.exists
    folder.open(resume=False, overwrite=False)
    assert [path.name for path in folder.path.iterdir()] == ["run.json"]
    assert folder.exists
    assert not folder.is_finished


@pytest.mark.parametrize("wish", [{}, {"resume": True}, {"overwrite": True}])
def test_files_that_are_in_nobodys_way_stay(tmp_path: Path, wish: dict[str, bool]) -> None:
    add_files(tmp_path, *USERS)
    before = runs.content(tmp_path)
    folder = RunFolder(tmp_path)
    assert not folder.exists
    folder.open(**{"resume": False, "overwrite": False, **wish})
    finish(tmp_path, overwrite=True)
    assert runs.content(tmp_path).items() >= before.items()


IN_THE_WAY = (
    *("config.json", "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "merges.txt", "special_tokens_map.json"),
    *("log.jsonl", "recipe.yaml", "results.json", "data.json", "trained_texts.safetensors", "manifest.json"),
    *("training_args.bin", "adapter_config.json", "pytorch_model.bin", "checkpoint-5/weights"),
    *("figures/training.png", "figures/gradients.png", "checkpoint-7", "config.json/a", ".hf_mtl"),
)


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_lies_where_a_first_run_would_write_is_refused_by_name(tmp_path: Path, name: str) -> None:
    add_files(tmp_path, name, "notes.md")
    before = runs.content(tmp_path)
    said = name.split("/")[0] if name.split("/")[-1] in ("weights", "a") else name
    for wish in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(RunError) as caught:
            RunFolder(tmp_path).check(**{"resume": False, "overwrite": False, **wish})
        assert str(caught.value) == (
            f"training.output_dir: {tmp_path} holds {said}, where the run would write, and no run.json says that a "
            "run of hf_mtl wrote it. Move it away, or choose another folder with training.output_dir=FOLDER"
        )
        assert caught.value.exit_code == 2
    assert runs.content(tmp_path) == before


@pytest.mark.parametrize("wish", [{}, {"resume": True}, {"overwrite": True}])
def test_a_file_in_the_place_of_the_record_is_said_to_be_none(tmp_path: Path, wish: dict[str, bool]) -> None:
    add_files(tmp_path, "run.json", "notes.md")
    before = runs.content(tmp_path)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/run.json: damaged .*not JSON.* move it away"):
        RunFolder(tmp_path).check(**{"resume": False, "overwrite": False, **wish})
    assert runs.content(tmp_path) == before


def test_all_that_is_in_the_way_is_named_at_once(tmp_path: Path) -> None:
    add_files(tmp_path, "config.json", "model.safetensors", "log.jsonl", "checkpoint-5/a", "notes.md")
    with pytest.raises(RunError, match=r"holds checkpoint-5, config\.json, log\.jsonl, model\.safetensors, where"):
        RunFolder(tmp_path).check(resume=False, overwrite=False)


def test_a_finished_run_that_was_edited_can_still_be_asked_for(tmp_path: Path) -> None:
    folder = finish(tmp_path)
    folder.recipe.write_text("mine")
    folder.check(resume=True, overwrite=False)


def change_recipe(folder: RunFolder) -> str:
    folder.recipe.write_text("# mine\n" + folder.recipe.read_text())
    return "recipe.yaml"


def change_results(folder: RunFolder) -> str:
    (folder.path / "results.json").write_text("{}")
    return "results.json"


def replace_weights(folder: RunFolder) -> str:
    content = (folder.path / "weights.json").read_bytes()
    (folder.path / "weights.json").write_bytes(content[::-1])  # as many bytes as before
    return "weights.json"


def draw_over(folder: RunFolder) -> str:
    (folder.figures / "training.png").write_text("mine")
    return "figures/training.png"


def add_log(folder: RunFolder) -> str:
    folder.log.write_text("mine")
    return "log.jsonl"


def annotate(folder: RunFolder) -> str:
    add_files(folder.path, "checkpoint-5/notes.md")
    return "checkpoint-5/notes.md"


def add_a_checkpoint(folder: RunFolder) -> str:
    add_files(folder.path, "checkpoint-6/pytorch_model.bin")
    return "checkpoint-6"


def add_a_tokenizer(folder: RunFolder) -> str:
    add_files(folder.path, "vocab.txt")
    return "vocab.txt"


CHANGES = [change_recipe, change_results, replace_weights, draw_over, add_log, annotate]
CHANGES += [add_a_checkpoint, add_a_tokenizer]


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_user_changed_or_added_since_is_not_overwritten(
    tmp_path: Path, change: Callable[[RunFolder], str]
) -> None:
    folder = finish(tmp_path)
    name = change(folder)
    before = runs.content(tmp_path)
    with pytest.raises(RunError) as caught:
        folder.open(resume=False, overwrite=True)
    edited = ", and train it from there if you edited it" if name == "recipe.yaml" else ""
    assert str(caught.value) == (
        f"training.output_dir: {tmp_path} holds {name}, where the run would write: changed since the run here wrote "
        f"it, or put there by others. Move it away{edited}, or choose another folder with training.output_dir=FOLDER"
    )
    assert runs.content(tmp_path) == before


@pytest.mark.parametrize("name", ["config.json", "data.json", "tokenizer.json", "figures/training.png"])
def test_what_the_user_put_in_the_way_of_an_unfinished_run_stops_its_resume(tmp_path: Path, name: str) -> None:
    folder = begin(tmp_path)
    add_files(tmp_path, name, "notes.md")
    with pytest.raises(RunError, match=f"holds {name}, where the run would write: changed since"):
        folder.check(resume=True, overwrite=False)


def test_a_copied_run_is_still_known_for_a_run(tmp_path: Path) -> None:
    finish(tmp_path / "here")
    there = Path(shutil.copytree(tmp_path / "here", tmp_path / "there"))
    RunFolder(there).open(resume=False, overwrite=True)
    assert {path.name for path in there.iterdir()} == {"run.json", ".hf_mtl"}


def test_a_run_without_its_record_can_be_resumed_but_not_overwritten(tmp_path: Path) -> None:
    folder = finish(tmp_path)
    for name in ("run.json", "results.json"):
        (tmp_path / name).unlink()
    add_files(tmp_path, "notes.md", "checkpoint-6/pytorch_model.bin")
    assert folder.exists
    with pytest.raises(RunError, match=r"holds checkpoint-5, .*; --resume goes on with the run that is here"):
        folder.check(resume=False, overwrite=True)
    folder.open(resume=True, overwrite=False)
    assert list(folder.record.checkpoints) == ["checkpoint-5"]
    assert set(folder.record.files) == {
        *("log.jsonl", "config.json", "manifest.json", "vocab.json", "figures/training.png")
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"program": "hf_mtl", "format": 1}', '{"program": "hf_mtl"}', "{}"])
def test_a_record_that_is_none_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json"):
        RunFolder(tmp_path).check(resume=False, overwrite=True)
    assert (tmp_path / "run.json").read_text() == text


@pytest.mark.parametrize(("finished", "state"), [(True, "a finished run"), (False, "an unfinished run")])
def test_an_existing_run_is_refused_and_left_alone(tmp_path: Path, finished: bool, state: str) -> None:
    folder = finish(tmp_path) if finished else begin(tmp_path)
    before = runs.content(tmp_path)
    with pytest.raises(RunError, match=f"{tmp_path} holds {state}. .*--resume.*--overwrite.*training.output_dir"):
        folder.open(resume=False, overwrite=False)
    assert runs.content(tmp_path) == before


def test_both_wishes_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume continues a run and --overwrite starts it anew; give one"):
        finish(tmp_path).open(resume=True, overwrite=True)
    assert (tmp_path / "results.json").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    add_files(tmp_path, "new/figures")
    with pytest.raises(RunError, match=r"new/figures is a file, not a folder"):
        RunFolder(tmp_path / "new").open(resume=False, overwrite=False)
    for path in (tmp_path / "runs", tmp_path / "runs" / "first"):
        with pytest.raises(RunError, match=r"training\.output_dir: .*runs is a file, not a folder"):
            RunFolder(path).open(resume=False, overwrite=True)
    assert (tmp_path / "runs").read_text() == "a file"


def test_checking_a_folder_writes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "new").check(resume=False, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    finish(tmp_path).check(resume=False, overwrite=True)
    assert RunFolder(tmp_path).is_finished


def test_resuming_keeps_everything_but_half_written_files(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_checkpoint(folder, 5)
    before = runs.content(tmp_path)
    add_files(folder.staging, "checkpoint-10/model.safetensors")
    folder.open(resume=True, overwrite=False)
    assert runs.content(tmp_path) == before
    assert not (tmp_path / ".hf_mtl").exists()


def test_a_published_model_replaces_files_of_the_same_name_and_its_config_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(tmp_path)
    add_model(folder, model="old", added_tokens="old")
    moved: list[str] = []
    replace = os.replace

    def noting(source: Path, destination: Path) -> None:
        if source.parent == folder.staging:
            moved.append(source.name)
        replace(source, destination)

    monkeypatch.setattr(os, "replace", noting)
    add_model(folder, config="new", model="new", added_tokens="new")
    assert not folder.staging.exists()
    assert moved[-2:] == ["config.json", "manifest.json"]
    assert [(tmp_path / name).read_text() for name in moved[:-1]] == ["new"] * 3


def test_a_file_that_came_in_the_way_of_a_model_is_not_replaced(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_files(tmp_path, "spiece.json")
    with pytest.raises(RunError, match=rf"{tmp_path}/spiece.json: the run would write here, and did not write"):
        add_model(folder, model="new", spiece="new")
    assert (tmp_path / "spiece.json").read_text() == "mine"
    assert not (tmp_path / "config.json").exists()
    assert (folder.staging / "model.json").read_text() == "new"


def test_a_publishing_that_breaks_off_leaves_nothing_that_is_called_whole(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for moment in range(100):
        add_model(folder, model="old", vocab="old")
        with suppress(KeyboardInterrupt), dying(moment) as made:
            add_model(folder, model="new", vocab="new")
        with suppress(CheckpointError):
            verify(tmp_path, needs="config.json")
            assert (tmp_path / "model.json").read_text() == (tmp_path / "vocab.json").read_text()
        # Whatever was left is known for the run's.
        RunFolder(tmp_path).open(resume=True, overwrite=False)
        add_model(folder, model="new", vocab="new")
        verify(tmp_path, needs="config.json")
        if len(made) < moment:
            break
    assert 10 < moment < 99


def test_files_of_the_model_before_do_not_stay_beside_the_new_one(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    add_model(folder, model="old", vocab="old")
    add_files(tmp_path, "notes.json")
    add_model(folder, model="new")
    assert {path.name for path in tmp_path.glob("*.json")} == {
        *("config.json", "model.json", "manifest.json", "notes.json", "run.json")
    }


def test_the_recipe_is_kept_word_for_word(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_recipe("labels: [Ärger, 喜び]\n")
    assert folder.recipe.read_text("utf-8") == "labels: [Ärger, 喜び]\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "run.json"]


def test_a_recipe_that_the_user_edited_stays(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    folder.recipe.write_text("# mine")
    folder.write_recipe("model: {}")
    assert folder.recipe.read_text() == "# mine"


def test_results_come_back_and_end_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.is_finished
    folder.write_results({"tasks": {"a": {"accuracy": 0.5}}, "average": float("nan")})
    assert folder.is_finished
    assert folder.results() == {"tasks": {"a": {"accuracy": 0.5}}, "average": None}


@pytest.mark.parametrize(
    ("text", "found"),
    [("{", "damaged .*Remove it, and --resume"), ("null", "damaged .holds null"), ("{}", "holds no")],
)
def test_damaged_results_are_named(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'results.json'}: {found}"):
        RunFolder(tmp_path).results()
