"""Comparison of trained models whose heads are to stand on one encoder: nothing but heads and tasks may differ."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.inference.manifest import MANIFEST, MODEL_CONFIG, verify
from hf_mtl.inference.runs import local_folder
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
from hf_mtl.modeling.config_values import shown
from hf_mtl.modeling.dropout import dropout_fields
from hf_mtl.modeling.frozen_encoder import EncoderSource
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.modeling.weight_files import Weights, read_weights

ENCODER = "encoder."
_POOLER = f"{ENCODER}pooler."  # only in a model with a head that reads it
_APART = (
    "Heads are joined that were trained apart on one encoder that stayed as it was: model.freeze: encoder, with the "
    "same model.backbone"
)
# Of an encoder's config; what stands there changes no state of a token.
_NAMES = (
    *("_name_or_path", "architectures", "transformers_version", "_attn_implementation", "attn_implementation"),
    *("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "use_cache", "dtype", "torch_dtype"),
)


@dataclass(frozen=True)
class Trained:
    """A trained model, of which nothing is loaded but its config and the headers of its weights.

    Args:
        name: As the user calls it.
        config: Its config.
        weights: Its weights.
        tokenizer: Its tokenizer.
    """

    name: str
    config: MultiTaskConfig
    weights: Weights
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def read(cls, name: str) -> "Trained":
        """Look at a model.

        Args:
            name: Folder of a run, of a checkpoint or of a model, or a Hub id.

        Raises:
            UserError: If there is none, or it is damaged, or not hf_mtl's.
        """
        folder = local_folder(name)
        path = str(folder)
        if (folder / MANIFEST).exists():
            verify(folder, needs=MODEL_CONFIG)
        config: MultiTaskConfig = MultiTaskConfig.from_pretrained(path)
        weights = read_weights(path, {})
        if weights is None:
            remedy = "Adapters of peft alone are no model: merge them, and save the model with save_pretrained"
            raise ModelError(Mistake("", f"{name}: there is no model.safetensors", remedy))
        return cls(name, config, weights, read_tokenizer(path, name))

    @cached_property
    def fetched(self) -> Mapping[str, Tensor]:
        """The encoder's weights where the files hold the heads alone; empty where they hold it.

        Raises:
            ModelError: If the backbone cannot be had, or is not that of training.
        """
        source = EncoderSource.of(self.config)
        if source is None:
            return {}
        weights = source.weights(self.config, MultiTaskModel.from_pretrained)
        return {f"{ENCODER}{name}": value for name, value in weights.items()}

    @property
    def names(self) -> list[str]:
        """Name all weights."""
        return [*self.weights.files, *self.fetched]

    @property
    def encoder(self) -> list[str]:
        """Name the encoder's weights, the lowest layer first, without those of its pooler."""
        names = [name for name in self.names if name.startswith(ENCODER) and not name.startswith(_POOLER)]
        return sorted(names, key=_by_number)

    @property
    def pooler(self) -> list[str]:
        """Name the weights of the encoder's pooler; none where no head reads it."""
        return sorted(name for name in self.names if name.startswith(_POOLER))


class Reader:
    """Reads single tensors of safetensors files, each of which is opened once."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._open: dict[Path, Any] = {}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._stack.close()

    def read(self, model: Trained, name: str) -> Tensor:
        """Return a weight of a model."""
        if name not in model.weights.files:
            return model.fetched[name]
        path = model.weights.files[name]
        if path not in self._open:
            self._open[path] = self._stack.enter_context(safe_open(path, framework="pt"))
        found: Tensor = self._open[path].get_tensor(name)
        return found


def check_same_encoder(models: Sequence[Trained]) -> None:
    """Refuse models that make other states of the same text, to the bit. Weights are read one at a time.

    Raises:
        ModelError: With all that differs; of the weights with the lowest one.
    """
    first, *others = models
    mistakes: list[Mistake] = []
    for other in others:
        mistakes += other_kind(first, other)
    if mistakes:
        raise ModelError(mistakes)
    with Reader() as reader:
        mistakes = [item for other in others if (item := _other_weights(first, other, reader)) is not None]
        mistakes += _other_poolers(models, reader)
    if mistakes:
        raise ModelError(mistakes)


def other_kind(
    first: Trained,
    other: Trained,
    same: Sequence[str] = ("pooling", "max_length", "peft"),
    remedy: str = _APART,
) -> Iterator[Mistake]:
    """Find what makes other tokens of the same text, or other states of them, whatever the weights are.

    Args:
        first: A model.
        other: The model that is compared with it.
        same: Fields of their configs that must be the same.
        remedy: What to do where the encoders are not built alike.
    """
    for name in same:
        here, there = getattr(other.config, name), getattr(first.config, name)
        if here != there:
            values = f"{shown(here)}, and {shown(there)} in {first.name}"
            yield Mistake("", f"{other.name}: {name} is {values}", "Train them with the same")
    here, there = _encoder_fields(other.config), _encoder_fields(first.config)
    for name in sorted({*here, *there}):
        if here.get(name) != there.get(name):
            values = f"{shown(here.get(name))}, and {shown(there.get(name))} in {first.name}"
            yield Mistake("", f"{other.name}: {name} of the encoder is {values}", remedy)
    yield from _other_tokenizers(first, other)


def _encoder_fields(config: MultiTaskConfig) -> dict[str, Any]:
    """Return what an encoder's config says of its states; dropout is for training alone."""
    encoder: Any = config.encoder_config
    left_out = {*_NAMES, *dropout_fields(encoder)}
    return {name: value for name, value in encoder.to_dict().items() if name not in left_out}


def _other_tokenizers(first: Trained, other: Trained) -> Iterator[Mistake]:
    here, there = (_facts(item.tokenizer) for item in (other, first))
    for name in here:
        if here[name] != there.get(name):
            problem = f"{other.name}: its tokenizer has another {name} than that of {first.name}"
            yield Mistake("", problem, "A joined model has one tokenizer: train with the same")


def _facts(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what decides which token ids a tokenizer makes of a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: Any = type(tokenizer).__name__ if backend is None else json.loads(backend.to_str())
    if isinstance(rules, dict):  # how it was last called
        rules = {key: value for key, value in rules.items() if key not in ("truncation", "padding", "added_tokens")}
        rules.get("model", {}).pop("vocab", None)
    return {
        "vocabulary": tokenizer.get_vocab(),
        "set of special tokens": {key: str(value) for key, value in tokenizer.special_tokens_map.items()},
        "set of rules": rules,
        "model_max_length": tokenizer.model_max_length,
        "truncation_side": tokenizer.truncation_side,
    }


def _other_weights(first: Trained, other: Trained, reader: Reader) -> Mistake | None:
    """Find the lowest weight of the encoder that differs in name, type, shape or any bit."""
    sources = [EncoderSource.of(model.config) for model in (first, other)]
    if sources[0] is not None and sources[0] == sources[1]:  # of which the first is looked at, and no other fetched
        return None
    here, there = set(other.encoder), set(first.encoder)
    for name in sorted(here | there, key=_by_number):
        if name not in here or name not in there:
            which = first.name if name not in here else other.name
            problem = f"{other.name}: another encoder than that of {first.name}: only {which} has {name}"
            return Mistake("", problem, _APART)
        if not _same(reader.read(first, name), reader.read(other, name)):
            return Mistake("", f"{other.name}: {name} is not that of {first.name}, to the bit", _APART)
    return None


def _other_poolers(models: Sequence[Trained], reader: Reader) -> Iterator[Mistake]:
    """Compare the poolers of the models that have one."""
    pooled = [model for model in models if model.pooler]
    for other in pooled[1:]:
        for name in pooled[0].pooler:
            same = name in other.pooler and _same(reader.read(pooled[0], name), reader.read(other, name))
            if not same:
                yield Mistake("", f"{other.name}: {name} is not that of {pooled[0].name}, to the bit", _APART)
                break


def _same(one: Tensor, other: Tensor) -> bool:
    """Compare bits, so that 0 is not -0, and a number that is none is itself."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*(value.reshape(-1).contiguous().view(torch.uint8) for value in (one, other)))


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sort layer 2 before layer 10, and embeddings before layers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def encoder_weights(models: Sequence[Trained], reader: Reader) -> Mapping[str, Tensor]:
    """Return the weights of the encoder of models that have the same one.

    Raises:
        UserError: If no model has any.
    """
    first = models[0]
    found = {name: reader.read(first, name) for name in first.encoder}
    pooled = next((model for model in models if model.pooler), None)
    if not found:
        raise UserError(f"{first.name}: has no weights of an encoder")
    return found if pooled is None else {**found, **{name: reader.read(pooled, name) for name in pooled.pooler}}
