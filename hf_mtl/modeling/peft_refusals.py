"""What is said of adapters, their options and runs that do not go together, and what to write instead."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.errors import Mistake, known
from hf_mtl.modeling.peft_kinds import OTHER_OPTIONS, OTHER_TYPES, PER_TASK, TAKEN, UNTRIED, per_task_spec
from hf_mtl.plain import describe, made_plain


def other_type(kind: object, key: str, per_task: bool) -> Mistake:
    """Return why a type is none that can be had.

    Args:
        kind: The type.
        key: Its dotted key.
        per_task: Whether each task would have one of its own.
    """
    allowed = f"Allowed: {', '.join(sorted(TAKEN))}"
    if per_task and isinstance(kind, str) and kind in TAKEN:
        return Mistake(
            key, f"found '{kind}'", "Only lora can be added token by token, as rows of several tasks need it"
        )
    if not isinstance(kind, str):
        return Mistake(key, f"found {describe(kind)} in place of a type", allowed)
    if (meant := kind.lower()) in TAKEN:
        return Mistake(key, f"unknown type '{kind}'", f"{allowed}. Did you mean '{meant}'?")
    if kind in OTHER_TYPES:
        return Mistake(key, f"'{kind}' {OTHER_TYPES[kind]}", allowed)
    from peft import PeftType

    if kind.upper() in PeftType.__members__:
        return Mistake(key, f"'{kind}' {UNTRIED}", allowed)
    return Mistake(key, f"unknown type '{kind}'", known(TAKEN, kind))


def other_option(kind: str, name: str, key: str, per_task: bool) -> Mistake:
    """Return why an option of peft is not taken.

    Args:
        kind: The type of the adapter.
        name: The option.
        key: Dotted key of the adapter.
        per_task: Whether each task has one of its own.
    """
    if per_task and name in TAKEN[kind]:
        return Mistake(f"{key}.{name}", "is not for adapters of single tasks", f"Allowed: {', '.join(PER_TASK)}")
    reason = OTHER_OPTIONS.get(name, "it has not been tried here")
    return Mistake(f"{key}.{name}", f"is an option of peft that is not taken: {reason}", "Leave it out")


def run_mistakes(spec: object, arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find arguments of a run that do not go with adapters that tasks have for themselves.

    Args:
        spec: The adapters of the model.
        arguments: The training arguments.
    """
    if per_task_spec(spec) is None:
        return
    if arguments.get("torch_compile"):
        found = "is on, and model.peft.per_task adds to layers by whose tokens they see: each batch would be compiled"
        yield Mistake("training.torch_compile", found, "Leave one of them out")
    if arguments.get("deepspeed"):
        found = "is set, and model.peft.per_task has not been tried with it"
        yield Mistake("training.deepspeed", found, "Leave one of them out, or use fsdp: true")


def retired_lora(spec: object) -> Mistake:
    """Return what to write in place of ``model.lora``, as recipes had it before `model.peft`.

    Args:
        spec: What it says.
    """
    names = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "rslora": "use_rslora"}
    if spec is None or spec is False:
        return Mistake("model.lora", "is model.peft now", "Leave it out, or write peft: null")
    options: dict[str, Any] = {"type": "lora", "lora_alpha": 16}  # its default, which is not peft's
    if isinstance(spec, Mapping):
        options |= {names.get(str(name), str(name)): value for name, value in spec.items()}
    return Mistake("model.lora", "is model.peft now", f"Write peft: {as_written(options)}")


def as_written(options: Mapping[str, Any]) -> str:
    """Return options as a recipe has them in one line, however long it is."""
    plain = {
        name: value if isinstance(value, str) else describe(made_plain(value)) for name, value in options.items()
    }
    return f"{{{', '.join(f'{name}: {value}' for name, value in plain.items())}}}"
