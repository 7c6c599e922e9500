"""The types of adapters and the options of peft's configs that are taken, and why others are not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

from pydantic import Field

if TYPE_CHECKING:
    from peft import PeftConfig

PeftSpec: TypeAlias = Union[str, Mapping[str, Any], "PeftConfig"]
"""What `model.peft` is: a type, ``{type: ..., its options}``, or ``{shared: ..., per_task: ...}`` of these. In Python
also a config of peft, such as ``LoraConfig(r=16)``, in place of any of them."""

KEY = "model.peft"
PLACES = {
    "shared": "The adapter through which the rows of all tasks go.",
    "per_task": "The LoRA of which each task has one of its own, with peft's `r`, `lora_alpha`, `lora_dropout`, "
    "`use_rslora`, `target_modules`, `exclude_modules`.",
}

_LAYERS = ("target_modules", "exclude_modules")
_NUMBERED = ("layers_to_transform", "layers_pattern")
_RANKS = ("rank_pattern", "alpha_pattern")
_LORA = ("r", "lora_alpha", "lora_dropout", "use_rslora")
TAKEN: dict[str, tuple[str, ...]] = {
    "lora": (*_LORA, "use_dora", "init_lora_weights", *_LAYERS, *_NUMBERED, *_RANKS),
    "ia3": ("feedforward_modules", "init_ia3_weights", *_LAYERS),
    "loha": ("r", "alpha", "rank_dropout", "module_dropout", "init_weights", *_LAYERS, *_NUMBERED, *_RANKS),
    "lokr": (
        *("r", "alpha", "rank_dropout", "module_dropout", "rank_dropout_scale", "decompose_both"),
        *("decompose_factor", "init_weights", *_LAYERS, *_NUMBERED, *_RANKS),
    ),
    "hra": ("r", "apply_GS", "init_weights", *_LAYERS, *_NUMBERED),
}
"""The options of peft's configs that are taken, by type. Each of these types adds to the layers of an encoder, comes
back from a checkpoint to the bit, and can be merged into the layers' weights."""
KINDS = {
    "lora": "Low-rank products added to layers; the options of peft's `LoraConfig`, `use_dora` and `use_rslora` too.",
    "ia3": "Factors of the outputs or inputs of layers; the options of peft's `IA3Config`.",
    "loha": "Hadamard products of low-rank products; the options of peft's `LoHaConfig`.",
    "lokr": "Kronecker products; the options of peft's `LoKrConfig`.",
    "hra": "Householder reflections; the options of peft's `HRAConfig`.",
}
"""What each type is, in a sentence."""

PER_TASK = (*_LORA, *_LAYERS)
"""Those of an adapter of which each task has its own."""

_BEFORE_TEXTS = "puts tokens or keys of its own before a text, for which rows of an encoder's states have no place"
_WHOLE_BATCHES = "weighs several adapters against each other by wrapping the whole model"
OTHER_TYPES = {
    "prompt_tuning": _BEFORE_TEXTS,
    "multitask_prompt_tuning": _BEFORE_TEXTS,
    "p_tuning": _BEFORE_TEXTS,
    "prefix_tuning": _BEFORE_TEXTS,
    "cpt": _BEFORE_TEXTS,
    "adaption_prompt": _BEFORE_TEXTS,
    "cartridge": _BEFORE_TEXTS,
    "xlora": _WHOLE_BATCHES,
    "poly": _WHOLE_BATCHES,
    "adalora": "prunes its ranks by calls that a training loop of its own makes",
    "trainable_tokens": "trains rows of the embeddings, which no layer's adapter is",
    "ln_tuning": "trains the norms themselves, and adds no adapter to a layer",
}
"""Why other types of peft do not work here."""

UNTRIED = "has not been tried here: its weights may be lost in a checkpoint or an export"
OTHER_OPTIONS = {
    "modules_to_save": "the heads are trained and saved in any case",
    "task_type": "the tasks say what the heads are",
    "bias": "what is no adapter stays as it was",
    "inference_mode": "adapters are there to be trained",
    "fan_in_fan_out": "the layers themselves say how their weights lie",
}
"""Why other options of these configs are not taken."""

METADATA = ("peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision")
"""What peft's configs say of themselves, which changes no adapter."""

RANGES: dict[str, dict[str, float]] = {
    "r": {"ge": 1},
    "lora_alpha": {"gt": 0},
    "alpha": {"gt": 0},
    **{name: {"ge": 0, "lt": 1} for name in ("lora_dropout", "rank_dropout", "module_dropout")},
}
"""Limits of options that peft's configs do not say."""

# Those that change the layers' own weights would start from another encoder than the backbone.
HINTS: dict[str, Any] = {
    "init_lora_weights": bool | Literal["gaussian", "orthogonal"],
    "target_modules": Annotated[list[str], Field(min_length=1)] | str | None,
}
"""Types of options that peft's configs say otherwise than is taken here."""


def shared_spec(spec: object) -> object:
    """Return the adapter through which all tasks go, of adapters that may have mistakes; None: there is none."""
    return spec.get("shared") if isinstance(spec, Mapping) and set(spec) & set(PLACES) else spec


def per_task_spec(spec: object) -> object:
    """Return the adapter of which each task has its own, of adapters that may have mistakes; None: there is none."""
    return spec.get("per_task") if isinstance(spec, Mapping) else None
