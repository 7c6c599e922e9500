"""Arguments that give every process a part of the model or of its optimizer: FSDP2, and ZeRO of DeepSpeed."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from hf_mtl.errors import Mistake, known

WRAPS = ("TRANSFORMER_BASED_WRAP", "NO_WRAP")
"""How FSDP may be told what is gathered together."""

_VERSION_1 = "FSDP1 is not used: leave it out, which is version 2"
_WHOLE = "Checkpoints are whole models, which from_pretrained reads; leave it out"
_EVERY_PROCESS = "Every process loads the weights; leave it out"
_NO_XLA = "Nothing is done for XLA; leave it out"
_OPTIONS: dict[str, tuple[tuple[Any, ...], str]] = {
    "version": ((2,), _VERSION_1),
    "reshard_after_forward": ((True, False), "Allowed: true or false"),
    "auto_wrap_policy": (WRAPS, f"Allowed: {', '.join(WRAPS)}; heads have to be gathered with the whole model"),
    "min_num_params": ((0,), "It belongs to SIZE_BASED_WRAP, which may wrap heads; leave it out"),
    "state_dict_type": (("FULL_STATE_DICT",), _WHOLE),
    "cpu_offload": ((False,), "Parameters stay on the device; leave it out"),
    "cpu_ram_efficient_loading": ((False,), _EVERY_PROCESS),
    "activation_checkpointing": (
        (False,),
        "accelerate's forgets what dropout drew; set training.activation_checkpointing (or gradient_checkpointing)",
    ),
    "xla": ((False,), _NO_XLA),
    "xla_fsdp_v2": ((False,), _NO_XLA),
    "xla_fsdp_grad_ckpt": ((False,), _NO_XLA),
}
"""Values of ``fsdp_config`` that are honoured, and what to do instead of another."""

_LAYERS = "transformer_layer_cls_to_wrap"
_AUTO = "auto"
_OF_ARGUMENTS = {
    "optimizer": "Set training.optim and its options",
    "scheduler": "Set training.lr_scheduler_type",
    "fp16": "Set training.fp16",
    "bf16": "Set training.bf16",
    "gradient_clipping": "Set training.max_grad_norm",
    "gradient_accumulation_steps": "Set training.gradient_accumulation_steps",
    "train_batch_size": "Set training.per_device_train_batch_size",
    "train_micro_batch_size_per_gpu": "Set training.per_device_train_batch_size",
}
"""Sections of a DeepSpeed config that the training arguments fill in."""


def sharing(values: Mapping[str, Any]) -> Literal["fsdp", "deepspeed"] | None:
    """Name the argument by which processes share the model; None: each of them holds the whole of it.

    Args:
        values: The training arguments.
    """
    if values.get("fsdp"):
        return "fsdp"
    return "deepspeed" if values.get("deepspeed") else None


def sharding_mistakes(values: Mapping[str, Any]) -> list[Mistake]:
    """Say of ``fsdp``, ``fsdp_config`` and ``deepspeed``, as they were given, what cannot be honoured.

    Args:
        values: The training arguments.
    """
    fsdp, deepspeed = values.get("fsdp"), values.get("deepspeed")
    found = []
    if fsdp not in (None, "", [], False, True):
        found.append(Mistake("training.fsdp", f"is {fsdp!r}", "Set fsdp: true, and options in fsdp_config"))
    found += _fsdp(values.get("fsdp_config"), bool(fsdp))
    if deepspeed:
        found += [*_deepspeed(deepspeed), *_unsaid(values, _read(deepspeed) or {})]
        if fsdp:
            found.append(Mistake("training.deepspeed", "is set, and so is fsdp", "Keep one of them"))
    if fsdp or deepspeed:
        found += _others(values, bool(deepspeed))
    return found


def _fsdp(given: Any, is_on: bool) -> Iterator[Mistake]:
    key = "training.fsdp_config"
    config = _read(given)
    if config is None:
        yield Mistake(key, f"is {given!r}", "Allowed: a mapping of options, or a JSON file of one")
        return
    if config and not is_on:
        yield Mistake(key, "is set, and fsdp is off", "Set fsdp: true, or leave it out")
        return
    for name, value in config.items():
        option = str(name).removeprefix("fsdp_")
        if option == _LAYERS:
            continue  # looked up in the model
        if option not in _OPTIONS:
            yield Mistake(f"{key}.{name}", f"unknown option '{name}'", known([*_OPTIONS, _LAYERS], option))
            continue
        allowed, remedy = _OPTIONS[option]
        plain = {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
        if plain not in allowed or (isinstance(plain, bool) and not isinstance(allowed[0], bool)):
            yield Mistake(f"{key}.{name}", f"is {value!r}", remedy)


def _deepspeed(given: Any) -> Iterator[Mistake]:
    key = "training.deepspeed"
    config = _read(given)
    if config is None:
        yield Mistake(key, f"is {given!r}", "Allowed: a mapping of DeepSpeed's options, or a JSON file of one")
        return
    if importlib.util.find_spec("deepspeed") is None:
        yield Mistake(key, "is set, and DeepSpeed is not installed", "Run `pip install deepspeed`, or use fsdp: true")
    zero = config.get("zero_optimization") or {}
    stage = zero.get("stage") if isinstance(zero, Mapping) else None
    if stage not in (1, 2):
        remedy = "Allowed: 1 or 2; to have the parameters in parts too, use fsdp: true"
        yield Mistake(f"{key}.zero_optimization.stage", f"is {stage!r}", remedy)
    elif offloads := [name for name in ("offload_optimizer", "offload_param", "cpu_offload") if zero.get(name)]:
        yield Mistake(f"{key}.zero_optimization.{offloads[0]}", "is set", "The optimizer stays on the device")
    for name, remedy in _OF_ARGUMENTS.items():
        value = config.get(name, _AUTO)
        filled = (
            isinstance(value, Mapping) and set(value.values()) <= {_AUTO} and name not in ("optimizer", "scheduler")
        )
        if value != _AUTO and not filled:
            yield Mistake(f"{key}.{name}", f"is {value!r}", f"{remedy}, and leave it out here")


def _unsaid(values: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find arguments that DeepSpeed follows only where its config says ``auto``, and would pass over."""
    for argument, section, wanted in (
        ("max_grad_norm", "gradient_clipping", "auto"),
        ("bf16", "bf16", "{enabled: auto}"),
        ("fp16", "fp16", "{enabled: auto}"),
    ):
        if values.get(argument) and section not in config:
            problem = f"says nothing of {section}, and training.{argument} is {values[argument]}"
            yield Mistake(
                "training.deepspeed", problem, f"Add `{section}: {wanted}`, or set {argument} to 0 or false"
            )


# Optimizers that treat every number of a parameter by itself, so that parts of it are as good as the whole.
_BY_NUMBER = ("adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "sgd", "adagrad", "rmsprop", "adamax")


def _others(values: Mapping[str, Any], deepspeed: bool) -> Iterator[Mistake]:
    """Find what does not go with parts of a model."""
    word = "deepspeed" if deepspeed else "fsdp"
    optim = str(getattr(values.get("optim"), "value", values.get("optim")))
    if optim not in _BY_NUMBER:
        problem = (
            f"is '{optim}', which is not known to do with parts of parameters ({word}) what it does with whole ones"
        )
        yield Mistake("training.optim", problem, f"Allowed: {', '.join(_BY_NUMBER)}")
    for name, why in (
        ("torch_compile", "what is compiled does not know of parts"),
        ("bf16_full_eval", "parts keep their precision"),
        ("fp16_full_eval", "parts keep their precision"),
        ("save_only_model", "a resumed run needs all parts of its optimizer"),
    ):
        if values.get(name):
            yield Mistake(f"training.{name}", f"is on, and so is {word}: {why}", "Leave it off")


def _read(given: Any) -> dict[str, Any] | None:
    """Return a mapping that was given as it is, or as a JSON file; None: it is neither."""
    if given is None or given == "":
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str | PathLike):
        return None
    try:
        found = json.loads(str(given) if str(given).lstrip().startswith("{") else Path(given).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
