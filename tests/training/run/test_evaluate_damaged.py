"""What is no trained run, or not as the run left it, is refused by name before it is scored."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_mtl.errors import CheckpointError, RecipeError, RunError
from hf_mtl.inference.manifest import MANIFEST, seal
from hf_mtl.inference.runs import load_model
from hf_mtl.training import evaluate_run
from hf_mtl.training.folder.run_folder import RunFolder
from tests.training import runs

INDEX = "model.safetensors.index.json"
Weights = dict[str, torch.Tensor]


def test_a_place_without_a_model_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"nowhere: no such file or folder\. Give a run's folder, a checkpoint in it, or"
    ):
        evaluate_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no trained model \(config.json is missing\); train it first"):
        evaluate_run(tmp_path)
    with pytest.raises(RunError, match=f"{tmp_path / 'new'}: holds no trained model"):
        evaluate_run(world / "recipe.yaml", [f"training.output_dir={tmp_path / 'new'}"])
    assert not (tmp_path / "new").exists()


def test_a_model_without_its_recipe_is_refused(finished: Path) -> None:
    (finished / "recipe.yaml").unlink()
    with pytest.raises(RunError, match="has no recipe.yaml that says .* A joined model has none: "):
        evaluate_run(finished)


def test_a_file_that_is_no_recipe_is_refused(world: Path) -> None:
    with pytest.raises(RecipeError):
        evaluate_run(world / "run" / "model.safetensors")


def test_a_damaged_checkpoint_is_refused_by_name(finished: Path) -> None:
    runs.damage(finished / "checkpoint-10" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"checkpoint-10/model\.safetensors: damaged"):
        evaluate_run(finished / "checkpoint-10")


def part(weights: Weights, prefix: str) -> Weights:
    return {name: value for name, value in weights.items() if name.startswith(prefix)}


def rewrite(change: Callable[[Weights], Weights]) -> Callable[[Path], None]:
    """Harm that changes a model's weights."""

    def harm(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return harm


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def other_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"w1"', '"swap"').replace('"w2"', '"w1"').replace('"swap"', '"w2"'))


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "foreign tensors": (rewrite(lambda weights: {"other": torch.ones(1)}), "model.safetensors: damaged"),
    "no encoder": (rewrite(lambda weights: part(weights, "heads.")), "model.safetensors: damaged"),
    "no heads": (rewrite(lambda weights: part(weights, "encoder.")), "model.safetensors: damaged"),
    "NaN": (rewrite(lambda weights: {name: value * math.nan for name, value in weights.items()}), "model.safe"),
    "prefixed": (rewrite(lambda weights: {f"x.{name}": value for name, value in weights.items()}), "model.safe"),
    "truncated": (truncate, "model.safetensors: damaged"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json: missing"),
    "another tokenizer": (other_tokenizer, "tokenizer.json: damaged"),
    "another config": (lambda folder: (folder / "config.json").write_text("{}"), "config.json: damaged"),
    "another's index": (lambda folder: (folder / INDEX).write_text("{}"), f"{INDEX}: was not written with the"),
    "added tokens": (lambda folder: (folder / "added_tokens.json").write_text("{}"), "added_tokens.json: was not"),
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST}: not found"),
}


@pytest.mark.parametrize("case", HARM)
def test_a_root_that_is_not_as_the_run_left_it_is_refused_by_name(finished: Path, case: str) -> None:
    harm, problem = HARM[case]
    harm(finished)
    with pytest.raises(CheckpointError, match=f"^{finished}/{problem}"):
        evaluate_run(finished)


def test_weights_that_are_not_finite_are_not_scored(finished: Path) -> None:
    folder = finished / "checkpoint-10"
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("bias") and name.startswith("heads."))
    weights[name][0] = math.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    seal(folder)
    expected = f"{folder}/model.safetensors: {name} holds numbers that are not finite, .*; score an earlier"
    with pytest.raises(CheckpointError, match=expected):
        evaluate_run(folder)


def test_shards_of_a_root_are_sealed_too(finished: Path) -> None:
    staged = finished / "staging"
    load_model(finished).save_pretrained(staged, max_shard_size="20KB")
    seal(staged)
    RunFolder(finished).publish_model(staged)
    assert not (finished / "model.safetensors").exists()
    load_model(finished)
    shard = sorted(finished.glob("model-*.safetensors"))[1]
    runs.damage(shard)
    with pytest.raises(CheckpointError, match=f"^{shard}: damaged"):
        load_model(finished)
