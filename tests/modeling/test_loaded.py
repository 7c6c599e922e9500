"""What is loaded is the whole model and nothing else."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModel

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel

from .families import FAMILIES, TASKS, make_model

Weights = dict[str, Tensor]


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> Path:
    """Change the weights of a saved model; all of them in its first file where there are several."""
    files = sorted(folder.glob("model*.safetensors"))
    weights = {name: value for file in files for name, value in load_file(file).items()}
    changed = change(weights)
    save_file(changed, files[0], metadata={"format": "pt"})
    for file in files[1:]:
        file.unlink()
    if len(files) > 1:
        index = folder / "model.safetensors.index.json"
        entries = json.loads(index.read_text()) | {"weight_map": dict.fromkeys(changed, files[0].name)}
        index.write_text(json.dumps(entries))
    return folder


def without(pattern: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: value for name, value in weights.items() if not re.search(pattern, name)}


def foreign(weights: Weights) -> Weights:
    return {f"other.{number}": torch.ones(2) for number in range(3)}


def prefixed(weights: Weights) -> Weights:
    return {f"module.{name}": value for name, value in weights.items()}


def added(weights: Weights) -> Weights:
    return {**weights, "heads.task_new.head.weight": torch.ones(2)}


CASES: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "a head": (without(r"task_train"), r"are missing: 4 of heads\.task_train\.head, the first is heads\.task_train"),
    "a weight of a head": (without(r"task_train.*\.bias"), r"are missing: 2 of heads\.task_train\.head"),
    "all heads": (without(r"^heads\."), r"are missing: .* of heads\.task_emo%2Ebank\.head.* and 2 more parts"),
    "the encoder": (without(r"^encoder\."), r"are missing: \d+ of encoder, the first is encoder\.embeddings"),
    "a layer": (without(r"layer\.1\."), r"are missing: 16 of encoder, the first is encoder\.encoder\.layer\.1\."),
    "statistics": (without(r"intensity\.statistics"), r"are missing: 3 of heads\.task_intensity\.statistics"),
    "everything, foreign": (foreign, r"are missing: .*\n.*has weights that the model lacks: 3 of other, the first"),
    "names": (prefixed, r"are missing: .*\n.*that the model lacks: \d+ of module, the first is module\.encoder"),
    "an unknown head": (added, r"has weights that the model lacks: 1 of heads\.task_new\.head"),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_that_are_not_the_models_are_refused(case: str, tmp_path: Path) -> None:
    change, problem = CASES[case]
    make_model("bert", "mlp").save_pretrained(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(ModelError, match=rf"^{tmp_path}: .*{problem}"):
        MultiTaskModel.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match=problem):
        AutoModel.from_pretrained(tmp_path, output_loading_info=True)


def test_shards_and_adapters_are_looked_through_too(tmp_path: Path) -> None:
    make_model("bert", peft="lora").save_pretrained(tmp_path, max_shard_size="5KB")
    rewrite(tmp_path, without(r"layer\.0\.attention\.self\.query\.lora_|task_intensity\.head"))
    with pytest.raises(ModelError, match=r"are missing: 2 of encoder, 2 of heads\.task_intensity\.head"):
        MultiTaskModel.from_pretrained(tmp_path)


def test_weights_in_hand_are_looked_through_too() -> None:
    model = make_model("bert")
    found = MultiTaskModel.from_pretrained(None, config=model.config, state_dict=model.state_dict())
    assert torch.equal(found.encoder.embeddings.word_embeddings.weight, model.get_input_embeddings().weight)
    weights = without("^heads")(model.state_dict())
    with pytest.raises(ModelError, match="the given weights: weights of the model are missing"):
        MultiTaskModel.from_pretrained(None, config=model.config, state_dict=weights)


@pytest.fixture
def adapter_only(tmp_path: Path) -> Path:
    """A folder of peft's own: adapters alone, and where their base lies."""
    from peft import LoraConfig, get_peft_model

    make_model("bert").save_pretrained(tmp_path / "base")
    base = MultiTaskModel.from_pretrained(tmp_path / "base")
    get_peft_model(base, LoraConfig(target_modules=["query"], r=2)).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_folder_of_adapters_is_loaded_with_its_base(adapter_only: Path) -> None:
    loaded = MultiTaskModel.from_pretrained(adapter_only)
    weight = loaded.encoder.encoder.layer[0].attention.self.query.base_layer.weight
    assert torch.equal(weight, make_model("bert").encoder.encoder.layer[0].attention.self.query.weight)


@pytest.mark.parametrize(
    ("folder", "file", "pattern", "problem"),
    [
        ("base", "model", "task_train", r"are missing: 2 of heads\.task_train"),
        ("adapter", "adapter_model", r"layer\.0", "are missing: 2 of encoder, .*lora_A"),
    ],
)
def test_a_folder_of_adapters_and_its_base_are_both_looked_through(
    adapter_only: Path, folder: str, file: str, pattern: str, problem: str
) -> None:
    path = adapter_only.parent / folder / f"{file}.safetensors"
    save_file(without(pattern)(load_file(path)), path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=problem):
        MultiTaskModel.from_pretrained(adapter_only)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    AutoModel.from_config(AutoConfig.for_model(**FAMILIES["bert"])).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="the config is that of a 'bert' model, which has no tasks.*from_backbone"):
        MultiTaskModel.from_pretrained(tmp_path)


def test_the_loading_info_is_given_to_those_who_ask(tmp_path: Path) -> None:
    make_model("distilbert").save_pretrained(tmp_path)
    loaded, info = MultiTaskModel.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(loaded, MultiTaskModel)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


@pytest.mark.parametrize("head", ["native", "linear"])
def test_an_encoder_alone_is_not_loaded_with_random_heads(head: str, tmp_path: Path) -> None:
    AutoModel.from_config(AutoConfig.for_model(**FAMILIES["modernbert"])).save_pretrained(tmp_path)
    config = MultiTaskConfig(encoder_config=FAMILIES["modernbert"], tasks=TASKS, head=head)
    with pytest.raises(ModelError, match="are missing: .*heads.*`from_backbone` puts new heads on an encoder"):
        MultiTaskModel.from_pretrained(tmp_path, config=config)


def test_other_sizes_are_refused_unless_asked_for_and_then_drawn_anew(tmp_path: Path) -> None:
    model = make_model("bert", "linear")
    model.save_pretrained(tmp_path)
    tasks: dict[str, Any] = {**TASKS, "train": type(TASKS["train"])(labels=["a", "b"])}
    config = MultiTaskConfig(**{**model.config.to_dict(), "tasks": tasks})
    with pytest.raises(ModelError, match=r"bias has the shape \[3\], and \[2\] by the config, and 1 more"):
        MultiTaskModel.from_pretrained(tmp_path, config=config)
    loaded = MultiTaskModel.from_pretrained(tmp_path, config=config, ignore_mismatched_sizes=True)
    drawn = loaded.heads.of("train").head.state_dict()
    assert all(len(value) == 2 and value.abs().max() < 1 for value in drawn.values())
    assert torch.equal(loaded.get_input_embeddings().weight, model.get_input_embeddings().weight)
    assert torch.equal(loaded.heads.of("emo.bank").statistics.mean, torch.tensor([3.0, 2.0, -1.0]))
