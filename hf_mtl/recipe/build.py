"""Construction of a `Recipe` from plain values, with everything that is wrong on the way."""

from dataclasses import replace
from typing import Any

import hf_mtl.balancing as of_balancing
import hf_mtl.data.mixture as of_mixture
import hf_mtl.data.section as of_data
import hf_mtl.evaluation.section as of_baselines
import hf_mtl.schedules as of_schedules
from hf_mtl.argument_conflicts import conflicts
from hf_mtl.argument_fields import FORMER, instead_of, refused_keys
from hf_mtl.data.stream_names import carving_mistakes, in_streams, streams_of_recipe
from hf_mtl.errors import Mistake, known
from hf_mtl.plain import KeyPath, describe, dotted
from hf_mtl.recipe import sections
from hf_mtl.recipe.callbacks import parse_callbacks
from hf_mtl.recipe.checks import (
    check_adapters,
    check_frozen,
    check_heads_only,
    check_recipe,
    check_shares,
    empty_texts,
    foreign_code,
)
from hf_mtl.recipe.facts import RecipeFacts
from hf_mtl.recipe.homes import with_home
from hf_mtl.recipe.keeping import keeping_mistakes
from hf_mtl.recipe.plugins import Code, load_plugins
from hf_mtl.recipe.schema import ModelSection, Recipe
from hf_mtl.recipe.task_types import unknown_type
from hf_mtl.signatures import Options
from hf_mtl.tasks import Task, task_types
from hf_mtl.tasks.head_shares import without_share
from hf_mtl.validation import MOST_MISTAKES, unknown_key, validate, without_mistakes

SECTIONS = (
    "plugins",
    "model",
    "tasks",
    "data",
    "mixture",
    "balancing",
    "schedules",
    "callbacks",
    "baselines",
    "training",
)
_LISTS = ("plugins", "schedules", "callbacks")


def build_recipe(
    data: dict[str, Any], mistakes: list[Mistake], code: Code = "refused", to_score: bool = False
) -> Recipe | None:
    """Validate a whole recipe; None if anything is wrong.

    Args:
        data: Plain values, with nothing left to inherit and absolute paths.
        mistakes: Receives everything that is wrong.
        code: Whether code that the recipe names may be run, or only named.
        to_score: As for `load_recipe`.
    """
    mistakes.extend(_unknown_section(key) for key in data if key not in SECTIONS)
    # An empty section is no section: its keys may all be commented out.
    sections = [name for name in SECTIONS if name not in _LISTS]
    given: dict[str, Any] = {name: {} if data.get(name) is None else data[name] for name in sections}
    plugins = load_plugins(data.get("plugins"), code, mistakes)
    if plugins is None:  # whatever they register would be unknown
        return None
    model = _model(given["model"], mistakes)
    if given["tasks"] == {}:
        mistakes.append(Mistake("tasks", "missing", "Give at least one task."))
    tasks = _tasks(given["tasks"], ("tasks",), mistakes)
    of_rows = _of_rows(given["data"], mistakes)
    mixture = of_mixture.parse(given["mixture"], mistakes)
    trained = {name: task for name, task in tasks.items() if task is None or not task.is_scored_only}
    balancing = of_balancing.parse(given["balancing"], mistakes, list(trained))
    schedules = of_schedules.parse(data.get("schedules"), mistakes)
    callbacks = parse_callbacks(data.get("callbacks"), mistakes)
    baselines = of_baselines.parse(given["baselines"], mistakes)
    training = _training(given["training"], mistakes)
    mistakes.extend(
        check_recipe(tasks, training, complete=not any(item.key.startswith("tasks") for item in mistakes))
    )
    mistakes.extend(foreign_code(tasks, code != "refused"))
    mistakes.extend(of_data.mistakes(of_rows, list(trained)))
    if model is not None:
        mistakes.extend(check_frozen(tasks, model))
        mistakes.extend(check_adapters(model, training))
        mistakes.extend(check_heads_only(tasks, model, training))
    mistakes.extend([] if to_score else carving_mistakes(tasks))
    mistakes.extend(keeping_mistakes(model, tasks))
    mistakes.extend(check_shares(tasks))
    mixture = in_streams(mixture, streams_of_recipe(trained))
    facts = RecipeFacts.of(trained, model, training, mixture)
    mistakes.extend([] if to_score else of_mixture.mistakes(mixture, facts.of_mixture))
    mistakes.extend(of_schedules.mistakes(schedules, facts.of_schedules))
    mistakes.extend(of_balancing.mistakes(balancing, facts.of_balancing))
    mistakes[:] = [with_home(mistake, data) for mistake in mistakes]
    said = {mistake.key for mistake in mistakes}
    mistakes.extend(mistake for mistake in empty_texts(data) if mistake.key not in said)
    if mistakes or model is None or training is None:
        return None
    valid = {name: task for name, task in tasks.items() if task is not None}
    return Recipe(
        plugins=plugins,
        model=model,
        tasks=valid,
        data=of_rows,
        mixture=mixture,
        balancing=balancing,
        schedules=[item for item in schedules if item is not None],
        callbacks=callbacks,
        baselines=baselines,
        training=training,
    )


def _unknown_section(key: str) -> Mistake:
    if key == "extends":  # those of files have been followed
        return Mistake(key, "is given on the command line", "Write it in the recipe.")
    return unknown_key(key, key, (*SECTIONS, "extends"))


def _model(data: Any, mistakes: list[Mistake]) -> ModelSection | None:
    if data == {}:
        mistakes.append(Mistake("model", "missing", "Give at least model: {backbone: ...}."))
        return None
    if isinstance(data, dict) and "lora" in data:
        from hf_mtl.modeling.peft_refusals import retired_lora

        mistakes.append(retired_lora(data["lora"]))
        data = {name: value for name, value in data.items() if name != "lora"}
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
    if data.get("head") is not None:
        _head(data["head"], "model.head", mistakes)
    if data.get("peft") is not None:
        from hf_mtl.modeling.peft_options import parse_peft  # takes seconds, and not every recipe has adapters

        parse_peft(data["peft"], mistakes)
    return model


def _head(spec: Any, key: str, mistakes: list[Mistake]) -> None:
    from hf_mtl.modeling.heads import HEADS  # takes seconds, and not every recipe names one

    HEADS.parse(spec, mistakes, key)


def _of_rows(data: Any, mistakes: list[Mistake]) -> of_data.Spec:
    """Read what is done with the rows, and the tasks that are beside as others are read."""
    if not isinstance(data, dict) or data.get("beside") is None:
        return of_data.parse(data, mistakes)
    section = of_data.parse({key: value for key, value in data.items() if key != "beside"}, mistakes)
    beside = _tasks(data["beside"], ("data", "beside"), mistakes)
    valid = {name: task for name, task in beside.items() if task is not None}
    return section.model_copy(update={"beside": valid} if valid else {})


def _tasks(data: Any, key: KeyPath, mistakes: list[Mistake]) -> dict[str, Task | None]:
    """Return the tasks by name, None for one of which nothing can be said."""
    if not isinstance(data, dict):
        mistakes.append(Mistake(dotted(key), f"found {describe(data)}", "Allowed: a mapping from names to tasks."))
        return {}
    typed = [name for name, value in data.items() if isinstance(value, dict) and "type" in value]
    return {
        name: _task(value, (*key, name), mistakes)
        for name, value in data.items()
        if not _misspelt(value, (*key, name), typed, mistakes)
    }


def _misspelt(data: Any, key: KeyPath, others: list[str], mistakes: list[Mistake]) -> bool:
    """Tell whether a task without type and dataset is no task but the name of another, as in a key to replace."""
    if not isinstance(data, dict) or {"type", "dataset"} & data.keys() or not others:
        return False
    if len(mistakes) <= MOST_MISTAKES:  # looking up what was meant takes long
        name = str(key[-1])
        remedy = f"{known(others, name)} A new task needs a type and a dataset."
        mistakes.append(Mistake(dotted(key), f"no task '{name}' has a type and a dataset", remedy))
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
    """Return what is wrong with a task whatever its type was meant to be."""
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
    if isinstance(data.get("head"), (str, dict)):  # of what is neither the section has told
        said = without_share(data["head"])
        if said is not None:
            _head(said, dotted((*key, "head")), mistakes)


def _training(data: Any, mistakes: list[Mistake]) -> Options | None:
    found: list[Mistake] = []
    section = sections.training_section()
    training = validate(section, data, ("training",), found)
    for mistake in found:
        name, unknown = mistake.key.removeprefix("training."), mistake.problem.startswith("unknown key")
        if name not in FORMER and with_home(mistake, {}) != mistake:  # which is surer than a name that is near
            unknown = False
        instead = instead_of(name, section.model_fields) if unknown else None
        mistakes.append(replace(mistake, remedy=f"{instead}.") if instead else mistake)
    if isinstance(data, dict):
        mistakes.extend(refused_keys(data))
    if training is not None:
        mistakes.extend(conflicts(dict(training)))
    return training
