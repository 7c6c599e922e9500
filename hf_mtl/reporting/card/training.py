"""The parts of a card on how the model was trained, and on what."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.reporting.card.facts import CardFacts
from hf_mtl.reporting.card.text import bullets, code, heading
from hf_mtl.reporting.card.words import balancing_words, mixture_words, model_words, schedule_words
from hf_mtl.reporting.markdown import table

PICTURE = "figures/training.png"

_FIGURES = {
    "share": "share of rows",
    "passes": "passes over its rows",
    "weight": "weight of its loss",
    "loss": "loss",
}
_ARGUMENTS = (
    *("learning_rate", "head_learning_rate", "balancing_learning_rate", "lr_scheduler_type", "warmup_steps"),
    *("optim", "weight_decay", "max_grad_norm", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("num_train_epochs", "max_steps", "bf16", "fp16", "seed", "data_seed"),
)
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(MultiTaskTrainingArguments)
    if field.name in ("learning_rate", "lr_scheduler_type", "optim", "per_device_train_batch_size", "seed")
}
_UNITS = (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9))


def training_section(facts: CardFacts) -> Iterator[str]:
    """Yield what was done, in words, in figures and as a picture."""
    if facts.recipe.keys() <= {"model"}:  # not trained yet
        return
    yield heading(2, "Training")
    recipe = facts.recipe
    said = [
        *_steps(facts.results),
        *model_words(recipe.get("model", {})),
        mixture_words(recipe.get("mixture", {})),
        *balancing_words(recipe.get("balancing", {})),
        *schedule_words(recipe.get("schedules", ())),
    ]
    yield bullets(said)
    if (figures := _figures(facts)) is not None:
        yield "At the last logged step of training:"
        yield figures
    given = {**_DEFAULTS, **recipe.get("training", {})}
    rows = [
        [code(name), code(getattr(given[name], "value", given[name]))]
        for name in _ARGUMENTS
        if given.get(name) is not None
    ]
    if rows:
        yield table([["argument", "value"], *rows])
    if facts.picture:
        yield f"![Losses, weights, shares and scores while training]({PICTURE})"


def _steps(results: Mapping[str, Any]) -> Iterator[str]:
    if "trained_steps" not in results:
        return
    trained, planned = results["trained_steps"], results["planned_steps"]
    said = f"{trained:,} optimizer steps"
    if trained < planned:
        said += f" of {planned:,} planned"
    elif trained > planned:
        said += f", more than the {planned:,} that were asked for last"
    kept = f"; the model is that of step {results['step']:,}" if results["step"] != trained else ""
    yield f"{said}{kept}."


def _figures(facts: CardFacts) -> str | None:
    """Return what the log says of each task in the end."""
    record: dict[str, Any] = {}
    for item in facts.log:
        if any(key.startswith("loss/") for key in item):
            record = dict(item)
    kinds = [kind for kind in _FIGURES if any(f"{kind}/{name}" in record for name in facts.tasks)]
    if not kinds:
        return None
    body = [[code(name), *(_figure(kind, record.get(f"{kind}/{name}")) for kind in kinds)] for name in facts.tasks]
    return table([["task", *(_FIGURES[kind] for kind in kinds)], *body])


def _figure(kind: str, value: Any) -> str:
    if not isinstance(value, (int, float)):
        return ""
    return f"{value:.1%}" if kind == "share" else f"{value:.3g}"


def making_section(facts: CardFacts) -> Iterator[str]:
    """Yield hardware, time, operations and versions."""
    said = []
    machine = facts.machine
    if machine.get("hardware"):
        count = machine.get("processes", 1)
        said.append(f"Hardware: {machine['hardware']}, {count} process{'' if count == 1 else 'es'}.")
    if seconds := sum(item.get("train_runtime", 0) for item in facts.log):
        part = " of the last process that trained it" if machine.get("begun", 1) > 1 else ""
        said.append(f"Training time{part}: {_duration(seconds)}, evaluations during training included.")
    operations = [item[key] for item in facts.log for key in ("flops", "total_flos") if item.get(key)]
    if operations:
        said.append(f"Operations executed in training: {_operations(max(operations))}.")
    if machine.get("versions"):
        said.append(f"Versions: {', '.join(f'{name} {version}' for name, version in machine['versions'].items())}.")
    if said:
        yield heading(2, "Hardware, time and versions")
        yield bullets(said)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _operations(count: float) -> str:
    unit, size = next(((unit, size) for unit, size in _UNITS if count >= size), _UNITS[-1])
    return f"{count / size:.3g} {unit}"
