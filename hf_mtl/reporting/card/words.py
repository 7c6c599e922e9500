"""A recipe's mixture, balancing, schedules and training in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hf_mtl.balancing.catalogue import method_facts
from hf_mtl.errors import UserError
from hf_mtl.plain import describe
from hf_mtl.schedules.base import SCHEDULES

_FROZEN = {"encoder": "the whole encoder", "embeddings": "the embeddings"}


def mixture_words(section: Mapping[str, Any]) -> str:
    """Say how often the tasks were drawn."""
    given = {key: value for key, value in section.items() if value not in (None, 0, False)}
    if "learn" in given:
        said = f"learned while training ({_plain(given.pop('learn'))})"
    elif "proportions" in given:
        said = f"in the proportions {_plain(given.pop('proportions'))}"
    elif "anneal" in given:
        said = f"with a temperature that moved ({_plain(given.pop('anneal'))})"
    else:
        said = _temperature(given.pop("temperature", "proportional"))
    given.pop("temperature", None)
    extras = [f"{key} {_plain(value)}" for key, value in given.items()]
    return f"Tasks were drawn {said}{'; ' if extras else ''}{', '.join(extras)}."


def _temperature(value: Any) -> str:
    if isinstance(value, dict):
        return f"with a temperature each ({_plain(value)})"
    if value in ("proportional", 1, 1.0):
        return "in proportion to their training rows"
    if value == "uniform":
        return "equally often, whatever their sizes"
    return f"with temperature {value:g}: in proportion to (training rows)^(1/{value:g})"


def balancing_words(section: Mapping[str, Any]) -> Iterator[str]:
    """Say how the losses, or the gradients, became one update; a sentence each."""
    weighting = section.get("weighting") or {"name": "ew"}
    yield _method("Losses were weighted by", weighting)
    if section.get("aggregator"):
        yield _method("Task gradients were combined by", section["aggregator"])
    if section.get("exposure"):
        yield f"What counts once: {section['exposure']}."


def _method(start: str, given: Any) -> str:
    options = {"name": given} if isinstance(given, str) else dict(given)
    name = options.pop("name")
    try:
        facts = method_facts(name)
    except UserError:  # a class of the user's own
        return f"{start} `{name}`{_options(options)}."
    first = facts.doc.partition("\n")[0].rstrip(".")
    source = "" if facts.source == "-" else f" ({facts.source.rstrip('.')})"
    doc = f": {first[0].lower()}{first[1:]}" if first else ""
    return f"{start} `{name}`{_options(options)}{doc}{source}."


def schedule_words(section: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what each schedule did; a sentence each."""
    for given in section:
        options = dict(given)
        name = options.pop("type")
        doc = (SCHEDULES[name].__doc__ or "").strip().splitlines()[0].rstrip(".") if name in SCHEDULES else ""
        yield f"`{name}`{_options(options)}{': ' if doc else ''}{doc[:1].lower()}{doc[1:]}."


def model_words(section: Mapping[str, Any]) -> Iterator[str]:
    """Say what was trained of the encoder."""
    freeze = section.get("freeze")
    if freeze is not None:
        part = _FROZEN.get(freeze, f"the embeddings and {freeze} layers from the bottom")
        yield f"Of the encoder, {part} stayed as pretrained."


def _options(options: Mapping[str, Any]) -> str:
    return f" ({_plain(options)})" if options else ""


def _plain(value: Any) -> str:
    """Return a value of a recipe without the braces around it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value) if isinstance(value, (str, int, float)) else describe(value)
