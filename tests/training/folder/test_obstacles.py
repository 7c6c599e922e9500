"""Files in a run's way are refused by name, and stay as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.errors import RunError
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training import runs
from tests.training.folders import add_files, begin, finish

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


def test_all_that_is_in_the_way_is_named_at_once(tmp_path: Path) -> None:
    add_files(tmp_path, "config.json", "model.safetensors", "log.jsonl", "checkpoint-5/a", "notes.md")
    with pytest.raises(RunError, match=r"holds checkpoint-5, config\.json, log\.jsonl, model\.safetensors, where"):
        RunFolder(tmp_path).check(resume=False, overwrite=False)


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
