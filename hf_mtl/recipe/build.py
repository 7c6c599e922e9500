"""From plain values to a `Recipe`, with everything that is wrong on the way."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hf_mtl.argument_conflicts import conflicts
from hf_mtl.argument_fields import FORMER, refused_keys
from hf_mtl.errors import Mistake, UserError, by_task_mistakes, known
from hf_mtl.recipe import sections
from hf_mtl.recipe.balancing import build_balancing, check_balancing
from hf_mtl.recipe.bounds import MOST_MISTAKES
from hf_mtl.recipe.checks import check_frozen, check_recipe, check_schedules, empty_texts, foreign_metrics
from hf_mtl.recipe.named import named
from hf_mtl.recipe.schema import ModelSection, Recipe
from hf_mtl.recipe.signatures import Options
from hf_mtl.recipe.task_types import unknown_type
from hf_mtl.recipe.translate import unknown_key, validate, without_mistakes
from hf_mtl.recipe.yaml_source import KeyPath, describe, dotted
from hf_mtl.tasks import Task, task_types

if TYPE_CHECKING:
    from hf_mtl.schedules import Schedule

SECTIONS = ("model", "tasks", "mixture", "balancing", "schedules", "training")


def build_recipe(data: dict[str, Any], mistakes: list[Mistake], allow_code: bool = False) -> Recipe | None:
    """Validate a whole recipe; None if anything is wrong.

    Args:
        data: Plain values, with nothing left to inherit and absolute paths.
        mistakes: Receives everything that is wrong.
        allow_code: Whether code that the recipe names may be run.
    """
    mistakes.extend(_unknown_section(key) for key in data if key not in SECTIONS)
    # An empty section is no section: its keys may all be commented out.
    given: dict[str, Any] = {name: {} if data.get(name) is None else data[name] for name in SECTIONS}
    model = _model(given["model"], mistakes)
    tasks = _tasks(given["tasks"], mistakes)
    mixture = _mixture(given["mixture"], list(tasks), mistakes)
    balancing, methods = build_balancing(given["balancing"], list(tasks), mistakes)
    schedules, built = _schedules([] if data.get("schedules") is None else data["schedules"], list(tasks), mistakes)
    training = _training(given["training"], mistakes)
    mistakes.extend(
        check_recipe(tasks, training, complete=not any(item.key.startswith("tasks") for item in mistakes))
    )
    mistakes.extend(foreign_metrics(tasks, allow_code))
    if model is not None:
        mistakes.extend(check_frozen(tasks, model))
        mistakes.extend(check_schedules(built, mixture, training, tasks, model))
        mistakes.extend(check_balancing(methods, balancing, training, model, tasks))
    said = {mistake.key for mistake in mistakes}
    mistakes.extend(mistake for mistake in empty_texts(data) if mistake.key not in said)
    if mistakes or model is None or mixture is None or balancing is None or training is None:
        return None
    valid = {name: task for name, task in tasks.items() if task is not None}
    return Recipe(
        model=model, tasks=valid, mixture=mixture, balancing=balancing, schedules=schedules, training=training
    )


def _unknown_section(key: str) -> Mistake:
    if key == "extends":  # those of files have been followed
        return Mistake(key, "is given on the command line", "Write it in the recipe.")
    inner: dict[str, type[BaseModel]] = {"model": ModelSection, "training": sections.training_section()}
    return unknown_key(key, key, (*SECTIONS, "extends"), inner)


def _model(data: Any, mistakes: list[Mistake]) -> ModelSection | None:
    if data == {}:
        mistakes.append(Mistake("model", "missing", "Give at least model: {backbone: ...}."))
        return None
    model = validate(ModelSection, data, ("model",), mistakes)
    if not isinstance(data, dict):
        return None
    backbone, tokenizer = data.get("backbone"), data.get("tokenizer")
    if isinstance(tokenizer, dict):
        validate(sections.tokenizer_section(), tokenizer, ("model", "tokenizer"), mistakes)
    if isinstance(backbone, dict):
        if "model_type" not in backbone:
            mistakes.append(Mistake("model.backbone.model_type", "missing", "Say which architecture, such as bert."))
        if tokenizer is None:
            remedy = "Give model.tokenizer: a Hub id, a folder, or {train: wordpiece}."
            mistakes.append(Mistake("model.tokenizer", "missing, and an inline config has no tokenizer", remedy))
    _head(data, ("model",), mistakes)
    if isinstance(data.get("lora"), dict):
        validate(sections.lora_section(), data["lora"], ("model", "lora"), mistakes)
    return model


def _tasks(data: Any, mistakes: list[Mistake]) -> dict[str, Task | None]:
    """The tasks by name, None for one of which nothing can be said."""
    if not isinstance(data, dict):
        mistakes.append(Mistake("tasks", f"found {describe(data)}", "Allowed: a mapping from names to tasks."))
        return {}
    if not data:
        mistakes.append(Mistake("tasks", "missing", "Give at least one task."))
    typed = [name for name, value in data.items() if isinstance(value, dict) and "type" in value]
    return {
        name: _task(value, ("tasks", name), mistakes)
        for name, value in data.items()
        if not _misspelt(name, value, typed, mistakes)
    }


def _misspelt(name: str, data: Any, others: list[str], mistakes: list[Mistake]) -> bool:
    """Whether a task without type and dataset is no task but the name of another, as in a key to replace."""
    if not isinstance(data, dict) or {"type", "dataset"} & data.keys() or not others:
        return False
    if len(mistakes) <= MOST_MISTAKES:  # looking up what was meant takes long
        remedy = f"{known(others, name)} A new task needs a type and a dataset."
        mistakes.append(Mistake(f"tasks.{name}", f"no task '{name}' has a type and a dataset", remedy))
    return True


def _task(data: Any, key: KeyPath, mistakes: list[Mistake]) -> Task | None:
    if not isinstance(data, dict):
        mistakes.append(Mistake(dotted(key), f"found {describe(data)}", "A task is a mapping."))
        return None
    kind = data.get("type")
    task_type = task_types().get(kind) if isinstance(kind, str) else None
    if task_type is None:
        mistakes.append(unknown_type(kind, dotted((*key, "type"))))
        mistakes.extend(_of_any_type(data, key))
        _dataset_and_head(data, key, mistakes)
        return None
    task = validate(task_type, data, key, mistakes)
    _dataset_and_head(data, key, mistakes)
    return task or without_mistakes(task_type, data)


def _of_any_type(data: dict[str, Any], key: KeyPath) -> list[Mistake]:
    """What is wrong with a task whatever its type was meant to be."""
    found: list[list[Mistake]] = []
    for name, task_type in task_types().items():
        found.append([])
        validate(task_type, {**data, "type": name}, key, found[-1])
    first, *others = found
    places = [{(item.key, item.problem) for item in other} for other in others]
    return [item for item in first if all((item.key, item.problem) in other for other in places)]


def _dataset_and_head(data: dict[str, Any], key: KeyPath, mistakes: list[Mistake]) -> None:
    if "dataset" not in data:
        remedy = "Give dataset: {path: ...}: a Hub id, a folder, or csv, json, parquet, arrow, text with data_files."
        mistakes.append(Mistake(dotted((*key, "dataset")), "missing", remedy))
    _head(data, key, mistakes)


def _head(data: dict[str, Any], key: KeyPath, mistakes: list[Mistake]) -> None:
    """Check the head of a model or task, as it is written, against the head's signature."""
    spec = data.get("head")
    # Neither a name nor a mapping: the section has said so.
    if isinstance(spec, (str, dict)):
        named(spec, "type", "head", sections.head_names(), sections.head_section, (*key, "head"), mistakes)


def _mixture(data: Any, tasks: list[str], mistakes: list[Mistake]) -> Options | None:
    mixture = validate(sections.mixture_section(), data, ("mixture",), mistakes)
    if not isinstance(data, dict) or not tasks:
        return mixture
    wrong = by_task_mistakes(data.get("temperature"), "mixture.temperature", tasks)
    for key in ("anneal", "learn"):
        if data.get("temperature") is not None and data.get(key) is not None:
            wrong.append(Mistake(f"mixture.{key}", "takes the place of mixture.temperature", "Give one of them."))
    if mixture is not None and not wrong:
        try:
            sections.try_mixture(mixture.options(), tasks)
        except UserError as error:
            wrong = [_keyed(item, "mixture") for item in error.mistakes]
    mistakes.extend(wrong)
    return mixture


def _schedules(data: Any, tasks: list[str], mistakes: list[Mistake]) -> "tuple[list[Options], dict[int, Schedule]]":
    """The schedules as they are written, and those that could be built, by their place."""
    found: list[Options] = []
    built: dict[int, Schedule] = {}
    if not isinstance(data, list):
        mistakes.append(Mistake("schedules", f"found {describe(data)}", "Allowed: a list of schedules."))
        return found, built
    for place, spec in enumerate(data):
        key = ("schedules", place)
        schedule = named(
            spec, "type", "schedule", sections.schedule_names(), sections.schedule_section, key, mistakes
        )
        if schedule is not None and tasks:
            try:
                built[place] = sections.try_schedule(schedule.model_dump(exclude_unset=True), tasks, dotted(key))
            except UserError as error:
                mistakes.extend(error.mistakes)
        if schedule is not None:
            found.append(schedule)
    return found, built


def _training(data: Any, mistakes: list[Mistake]) -> Options | None:
    found: list[Mistake] = []
    training = validate(sections.training_section(), data, ("training",), found)
    for mistake in found:
        former = (
            FORMER.get(mistake.key.removeprefix("training.")) if mistake.problem.startswith("unknown key") else None
        )
        mistakes.append(replace(mistake, remedy=f"{former}.") if former else mistake)
    if isinstance(data, dict):
        mistakes.extend(refused_keys(data))
    if training is not None:
        mistakes.extend(conflicts(dict(training)))
    return training


def _keyed(mistake: Mistake, section: str) -> Mistake:
    """A mistake whose text begins with its key, with the key where it belongs."""
    first, colon, rest = mistake.problem.partition(": ")
    if not mistake.key and colon and first.split(".")[0] == section:
        return Mistake(first, rest, mistake.remedy)
    return mistake if mistake.key else Mistake(section, mistake.problem, mistake.remedy)
