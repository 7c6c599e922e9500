"""The adapters of a model, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.modeling.peft_kinds import per_task_spec, shared_spec
from hf_mtl.plain import describe
from hf_mtl.reporting.card.text import code

_NAMES = {"ia3": "IA3", "loha": "LoHa", "lokr": "LoKr", "hra": "HRA"}


def adapter_words(peft: Mapping[str, Any] | str | None) -> Iterator[str]:
    """Say through which adapters the texts of tasks go; nothing where a model has none.

    Args:
        peft: Those of the model's config: a type, an adapter with its options, or ``shared`` and ``per_task``.
    """
    if not peft:
        return
    shared, own = shared_spec(peft), per_task_spec(peft)
    parts = []
    if shared:
        parts.append(f"{_one(shared)}, which all tasks share")
    if own:
        parts.append(f"{_one(own)} of each task alone")
    yield f"The encoder's own weights stayed as they were. Beside them the files hold {', and '.join(parts)}."


def _one(spec: Any) -> str:
    """Name an adapter, with its options."""
    given = {"type": spec} if isinstance(spec, str) else dict(spec)
    name = _name(given.pop("type"), bool(given.pop("use_dora", False)), bool(given.pop("use_rslora", False)))
    options = ", ".join(f"{key} {_plain(value)}" for key, value in given.items() if value is not None)
    return f"{name} ({code(options)})" if options else name


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else describe(value)


def _name(kind: str, dora: bool, rslora: bool) -> str:
    """Return the name that an adapter's paper gives it."""
    if kind != "lora":
        return _NAMES.get(kind, kind)
    low_rank = "rsLoRA" if rslora else "LoRA"
    if not dora:
        return low_rank
    return "DoRA, scaled as in rsLoRA" if rslora else "DoRA"
