"""Mutated configs of checkpoints, through every door that reads one.

Each input is a small model that was saved, with its config changed in one to three places, or in its bytes. A number,
a word or a list stands where another was, a key is gone, or one of transformers' own joins.
"""

import copy
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from transformers import AutoConfig, set_seed
from transformers.utils import logging

from hf_mtl import (
    MultiLabelClassification,
    MultiTaskConfig,
    MultiTaskModel,
    OrdinalClassification,
    Regression,
    SequenceClassification,
)
from hf_mtl.errors import UserError
from hf_mtl.inference.manifest import seal
from hf_mtl.inference.runs import load_model
from hf_mtl.modeling.backbone import load_encoder_config

_SIZES = {"vocab_size": 66, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_SIZES |= {"intermediate_size": 24, "max_position_embeddings": 40, "pad_token_id": 0}
_KINDS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "native": ("bert", None, {}),
    "mlp": ("roberta", {"type": "mlp", "hidden": 7}, {"freeze": 1, "max_length": 30}),
    "vip": ("bert", {"type": "vip"}, {"pooling": "mean", "dropout": 0.1}),
    "lora": ("bert", "linear", {"peft": "lora"}),
    "cnn": ("modernbert", {"type": "stl_cnn"}, {}),
}
_SMALL = (0, 1, -1, 2, 3, 0.5, -0.0, "", "abc", "1", None, True, False, [], {}, [[]], {"": None}, [None], "ä\0\n")
_LARGE = (10**9, 10**12, -(10**12), 2**31, 2**63, 10**400, 1e308, 1e12, float("nan"), float("inf"), "x" * 10_000)
_WORDS = ("hf_mtl", "bert", "gpt2", "t5", "native", "linear", "mt_vib", "encoder", "cls", "auto", "float16", "../x")
_FOREIGN = (
    "quantization_config",
    "auto_map",
    "num_labels",
    "id2label",
    "dtype",
    "attn_implementation",
    "architectures",
)
_FOREIGN += (
    "transformers_weights",
    "tie_word_embeddings",
    "is_encoder_decoder",
    "use_cache",
    "return_dict",
    "torch_dtype",
)
_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda text, draw: text[: draw.randrange(len(text))],
    lambda text, draw: bytes(byte ^ (draw.random() < 0.01) << draw.randrange(8) for byte in text),
    lambda text, draw: b"<!DOCTYPE html><html><body>429</body></html>",
    lambda text, draw: draw.choice([b"", b"null", b"[]", b"3", b'"text"', b"\xff\xfe", b"{}", b"[" * 100_000]),
)


class Configs:
    """The configs of a few small models.

    Args:
        folder: Gets the models, and a copy of one for each attempt.
    """

    count = 10_000

    def __init__(self, folder: Path):
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        self._folder = folder
        self._models = {path.name: path for path in _save_models(folder)}
        self._ends: Counter[str] = Counter()

    def draw(self, draw: random.Random) -> bytes:
        """Return a first line that names a model and a way to load it, and a mutated config."""
        model, door = draw.choice(list(self._models)), draw.choice(list(_DOORS))
        text = (self._models[model] / "config.json").read_bytes()
        return f"{model} {door}\n".encode() + _mutated(text, draw, door)

    def attempt(self, data: bytes) -> None:
        """Load the model, or its config."""
        first, _, text = data.partition(b"\n")
        try:
            model, door = first.decode().split(" ")
            original, read = self._models[model], _DOORS[door]
        except (ValueError, KeyError):  # while shrinking
            return
        folder = self._folder / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        (folder / "config.json").write_bytes(text)
        try:
            read(folder)
        except UserError:
            self._ends["refused"] += 1
            raise
        self._ends["taken"] += 1

    def summary(self) -> str:
        """Say how many were taken and how many refused."""
        return f"{self._ends['taken']:,} taken, {self._ends['refused']:,} refused."


def inputs(folder: Path) -> Configs:
    """Return this kind of inputs."""
    return Configs(folder)


def _save_models(folder: Path) -> Iterator[Path]:
    tasks = {
        "topic": SequenceClassification(labels=["a", "b"], class_weights="balanced"),
        "score": Regression(label="x"),
        "stars": OrdinalClassification(labels=3),
        "tags": MultiLabelClassification(label=["a", "b"], positive_weight=2.0, thresholds="tuned"),
    }
    for name, (backbone, head, options) in _KINDS.items():
        set_seed(0)
        model = MultiTaskModel.from_backbone({"model_type": backbone, **_SIZES}, tasks, head, **options)
        model.set_decision("tags", [0.3, 0.6])
        model.save_pretrained(folder / name)
        yield folder / name


def _mutated(text: bytes, draw: random.Random, door: str) -> bytes:
    if draw.random() < 0.1:
        return draw.choice(_BYTES)(text, draw)
    config = json.loads(text)
    if door == "backbone":
        config = config["encoder_config"]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        _change(config, draw)
    return json.dumps(config).encode()


def _change(config: Any, draw: random.Random) -> None:
    """Change one place of a JSON value."""
    places = list(_places(config))
    where, key = draw.choice(places) if places else (config, None)
    if isinstance(where, dict) and (key is None or draw.random() < 0.1):
        key = draw.choice(_FOREIGN)
    if draw.random() < 0.1 and key in where:
        del where[key]
        return
    where[key] = _value(draw, places)


def _value(draw: random.Random, places: list[tuple[Any, Any]]) -> Any:
    kind = draw.random()
    if kind < 0.4:
        return copy.deepcopy(draw.choice(_SMALL))
    if kind < 0.7:
        return draw.choice(_LARGE)
    if kind < 0.85:
        return draw.choice(_WORDS)
    if kind < 0.95 and places:  # a value from elsewhere in the config
        where, key = draw.choice(places)
        return copy.deepcopy(where[key])
    value: Any = 1
    for _ in range(draw.choice((3, 30, 300))):
        value = [value] if draw.random() < 0.5 else {"model_type": value}
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _auto(folder: Path) -> None:
    """Load by `AutoConfig`; where the file no longer says that it is ours, the message is transformers' own."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        ours = config["model_type"] == MultiTaskConfig.model_type and "auto_map" not in config
    except (ValueError, TypeError, KeyError, RecursionError):
        ours = False
    if ours:
        AutoConfig.from_pretrained(folder)


def _evaluated(folder: Path) -> None:
    seal(folder)
    load_model(folder)


def _inline(folder: Path) -> None:
    """Load the backbone's config as a recipe writes it."""
    try:
        fields = json.loads((folder / "config.json").read_bytes())["encoder_config"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    if isinstance(fields, dict):
        load_encoder_config(fields)


_DOORS: dict[str, Callable[[Path], Any]] = {
    "config": MultiTaskConfig.from_pretrained,
    "model": MultiTaskModel.from_pretrained,
    "evaluate": _evaluated,
    "auto": _auto,
    "backbone": lambda folder: load_encoder_config(str(folder)),
    "inline": _inline,
}
