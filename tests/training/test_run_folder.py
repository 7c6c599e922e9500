import os
from pathlib import Path

import pytest

from hf_mtl.errors import CheckpointError, RunError
from hf_mtl.training.checkpoint import seal, verify
from hf_mtl.training.run_folder import RunFolder

OURS = [
    "recipe.yaml",
    "results.json",
    "log.jsonl",
    "config.json",
    "manifest.json",
    "model.safetensors",
    "model-00001-of-2.safetensors",
]
OUR_FOLDERS = ["figures", "tokenizer", "staging", "checkpoint-5"]
FOREIGN = ["notes.md", "checkpoint-old/a", "data/train.csv", "recipe.yaml.bak"]


def fill(path: Path, finished: bool = True) -> RunFolder:
    """A run's folder in which somebody else has left files too."""
    for name in [*OURS, *FOREIGN, *(f"{folder}/file" for folder in OUR_FOLDERS)]:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    if not finished:
        (path / "results.json").unlink()
    return RunFolder(path)


def test_a_run_makes_its_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "new")
    assert not folder.exists
    folder.open(resume=False, overwrite=False)
    assert folder.path.is_dir()
    assert not folder.exists


def test_a_folder_of_other_files_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "checkpoint-old").mkdir()
    folder = RunFolder(tmp_path)
    assert not folder.exists
    folder.open(resume=False, overwrite=False)
    assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("sign", ["recipe.yaml", "results.json", "checkpoint-7/model.safetensors"])
def test_each_sign_of_a_run_is_seen(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).parent.mkdir(exist_ok=True)
    (tmp_path / sign).write_text("{}")
    assert RunFolder(tmp_path).exists
    assert RunFolder(tmp_path).is_finished == (sign == "results.json")


@pytest.mark.parametrize(("finished", "state"), [(True, "a finished run"), (False, "an unfinished run")])
def test_an_existing_run_is_refused_and_left_alone(tmp_path: Path, finished: bool, state: str) -> None:
    folder = fill(tmp_path, finished)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=f"{tmp_path} holds {state}. .*--resume.*--overwrite.*training.output_dir"):
        folder.open(resume=False, overwrite=False)
    assert sorted(tmp_path.rglob("*")) == before


def test_both_wishes_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume continues a run and --overwrite starts it anew; give one"):
        fill(tmp_path).open(resume=True, overwrite=True)
    assert (tmp_path / "results.json").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    for path in (tmp_path / "runs", tmp_path / "runs" / "first"):
        with pytest.raises(RunError, match=r"training\.output_dir: .*runs is a file, not a folder"):
            RunFolder(path).open(resume=False, overwrite=True)
    assert (tmp_path / "runs").read_text() == "a file"


def test_checking_a_folder_writes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "new").check(resume=False, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    fill(tmp_path).check(resume=False, overwrite=True)
    assert RunFolder(tmp_path).is_finished


def test_resuming_keeps_everything_but_half_written_files(tmp_path: Path) -> None:
    folder = fill(tmp_path, finished=False)
    before = {path for path in tmp_path.rglob("*") if "staging" not in path.parts}
    folder.open(resume=True, overwrite=False)
    assert set(tmp_path.rglob("*")) == before


def test_overwriting_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    folder = fill(tmp_path)
    folder.open(resume=False, overwrite=True)
    assert not folder.exists
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(FOREIGN)


def test_everything_that_a_published_model_brings_is_removed_with_its_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    staged = tmp_path / "staging"
    staged.mkdir()
    names = ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "training_args.bin"]
    names += ["tokenizer.json", "tokenizer_config.json"]
    for name in names:
        (staged / name).write_text(name)
    folder.publish_model(staged)
    folder.open(resume=False, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_published_model_replaces_files_of_the_same_name_and_its_config_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = os.replace

    def noting(source: Path, destination: Path) -> None:
        moved.append(source.name)
        replace(source, destination)

    monkeypatch.setattr(os, "replace", noting)
    staged = tmp_path / "staging"
    staged.mkdir()
    for name in ("config.json", "model.safetensors", "added_tokens.json"):
        (staged / name).write_text("new")
    (tmp_path / "config.json").write_text("old")
    RunFolder(tmp_path).publish_model(staged)
    assert not staged.exists()
    assert moved[-1] == "config.json"
    assert [(tmp_path / name).read_text() for name in moved] == ["new"] * 3


def publish(path: Path, **files: str) -> None:
    """Seal and publish a model of these files."""
    staged = path / "staging"
    staged.mkdir(parents=True, exist_ok=True)
    for name, text in {"config": "config", **files}.items():
        (staged / f"{name}.json").write_text(text)
    seal(staged)
    RunFolder(path).publish_model(staged)


@pytest.mark.parametrize("moved", range(4))
def test_a_publishing_that_breaks_off_leaves_nothing_that_is_called_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    publish(tmp_path, model="old", vocab="old")
    verify(tmp_path, needs="config.json")
    replace = os.replace
    done: list[str] = []

    def breaking(source: Path, destination: Path) -> None:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(source.name)
        replace(source, destination)

    monkeypatch.setattr(os, "replace", breaking)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, model="new", vocab="new")
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(CheckpointError, match=r"manifest\.json: not found"):
        verify(tmp_path, needs="config.json")
    publish(tmp_path, model="new", vocab="new")
    verify(tmp_path, needs="config.json")


def test_files_of_the_model_before_do_not_stay_beside_the_new_one(tmp_path: Path) -> None:
    publish(tmp_path, model="old", vocab="old")
    (tmp_path / "notes.json").write_text("mine")
    publish(tmp_path, model="new")
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "model.json",
        "manifest.json",
        "notes.json",
    }
    RunFolder(tmp_path).open(resume=False, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_the_recipe_is_kept_word_for_word(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_recipe("labels: [Ärger, 喜び]\n")
    assert folder.recipe.read_text("utf-8") == "labels: [Ärger, 喜び]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


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
