"""A checkpoint whose files are whole and nonsense is one message: also where its manifest says that all is well."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_mtl.errors import CheckpointError, UserError
from hf_mtl.inference.manifest import STATE_FILE, seal
from hf_mtl.training.checkpoint import load_state
from tests.training import runs


def _nothing(path: Path) -> None:
    path.write_bytes(b"nonsense")


def _other_tensors(path: Path) -> None:
    torch.save({"a": torch.ones(2)}, path)


def _a_list(path: Path) -> None:
    path.write_text("[]")


def _no_step(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"global_step": "ten"}))


def _without_steps(path: Path) -> None:
    state = load_state(path)
    save_file({}, path, metadata={"state": json.dumps({name: {} for name in state})})


def _other_shape(path: Path) -> None:
    weights = load_file(path)
    name = next(key for key in weights if key.endswith("word_embeddings.weight"))
    save_file({**weights, name: weights[name][:3].clone()}, path, metadata={"format": "pt"})


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "optimizer, nonsense": ("optimizer.pt", _nothing),
    "optimizer, another": ("optimizer.pt", _other_tensors),
    "schedule": ("scheduler.pt", _nothing),
    "random state": ("rng_state.pth", _nothing),
    "random state, another": ("rng_state.pth", _other_tensors),
    "state, nonsense": ("trainer_state.json", _nothing),
    "state, a list": ("trainer_state.json", _a_list),
    "state, a word": ("trainer_state.json", _no_step),
    "our state, nonsense": (STATE_FILE, _nothing),
    "our state, empty": (STATE_FILE, _without_steps),
    "weights, nonsense": ("model.safetensors", _nothing),
    "weights, other shape": ("model.safetensors", _other_shape),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_resume_from_nonsense_names_the_checkpoint(unfinished: Path, recipe: Path, case: str) -> None:
    name, change = DAMAGE[case]
    checkpoint = unfinished / "checkpoint-10"
    change(checkpoint / name)
    seal(checkpoint)
    with pytest.raises(CheckpointError, match=f"{checkpoint}"):
        runs.train(recipe, unfinished, "training.max_steps=12", resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tasks": 3}', '{"tasks": {"mood": {"accuracy": "x"}}}'])
def test_a_finished_run_with_damaged_results_is_one_message(finished: Path, recipe: Path, text: str) -> None:
    (finished / "results.json").write_text(text)
    with pytest.raises(UserError, match=f"{finished / 'results.json'}: "):
        runs.train(recipe, finished, resume=True)
