"""Keys of a recipe that can be others when a trained checkpoint is scored: those of rows, and of how to score."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hf_mtl.errors import Mistake, RunError, is_or_are, known
from hf_mtl.recipe import Recipe
from hf_mtl.tasks import Task

_ARGUMENTS = (
    "bf16",
    "bf16_full_eval",
    "data_seed",
    "ddp_backend",
    "ddp_timeout",
    "disable_tqdm",
    "fp16",
    "fp16_full_eval",
    "full_determinism",
    "group_cost",
    "encoder_layout",
    "log_level",
    "log_level_replica",
    "log_on_each_node",
    "per_device_eval_batch_size",
    "eval_tokens_per_batch",
    "seed",
    "tf32",
    "torch_compile",
    "torch_compile_backend",
    "torch_compile_mode",
    "use_cpu",
)
_REMEDY = (
    "For scoring, {keys} of a task, data.imbalance, model.max_length, baselines, and of training what computes "
    "(per_device_eval_batch_size, eval_tokens_per_batch, use_cpu, bf16 and so on) can be others. "
    "Leave it out, or train a run with it."
)


def check_overrides(run: Recipe, asked: Recipe, tasks: Mapping[str, Task], to_find: bool) -> None:
    """Refuse overrides that a trained checkpoint cannot follow.

    Args:
        run: The recipe of the run.
        asked: The same with the overrides.
        tasks: The tasks of the model.
        to_find: Whether ``training.output_dir`` says where the run is.

    Raises:
        RunError: With every override that would change nothing, or would need another model.
    """
    before, after = _flat(run.to_dict()), _flat(asked.to_dict())
    keys = [*Task.row_keys, *dict.fromkeys(key for task in asked.tasks.values() for key in _keys(task))]
    remedy = _REMEDY.format(keys=", ".join(keys))
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    new = [name for name in asked.tasks if name not in tasks]
    mistakes = [Mistake(f"tasks.{name}", "the model of the run has no such task", known(tasks, name)) for name in new]
    # A kept task that the run's recipe did not name: all of it is new here, and the model knows its outputs.
    kept = [name for name in asked.tasks if name in tasks and name not in run.tasks]
    mistakes += [item for name in kept for item in _unlike(name, asked.tasks[name], tasks[name])]
    apart = {*new, *kept, *(name for name in run.tasks if name not in asked.tasks)}
    mistakes += [
        Mistake(".".join(path), f"{_told(path, after)} changes nothing about a model that is trained", remedy)
        for path in changed
        if not _is_followed(path, keys, to_find) and not (path[0] == "tasks" and path[1] in apart)
    ]
    for name in dict.fromkeys(path[1] for path in changed if path[0] == "tasks" and path[1] not in apart):
        mistakes += _outputs(name, asked.tasks[name], tasks[name])
        mistakes += _tuning(name, asked.tasks[name], run.tasks[name])
    for name in kept:
        mistakes += _outputs(name, asked.tasks[name], tasks[name])
    if not mistakes:
        scored = scoring_tasks(run, asked, tasks)
        mistakes += [item for name in asked.tasks for item in scored[name].unknown_outputs(name)]
    if mistakes:
        raise RunError(asked.with_places(mistakes))


def scoring_tasks(run: Recipe, asked: Recipe, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return the model's tasks, with the columns, class names and metrics that were asked for.

    Args:
        run: The recipe of the run.
        asked: The same with overrides that have been checked.
        tasks: The tasks of the model.
    """
    found = dict(tasks)
    for name, task in asked.tasks.items():
        if name in tasks and name not in run.tasks:
            asked_for = [field for field in _keys(task) if field in task.model_fields_set]
            found[name] = tasks[name].model_copy(update={field: getattr(task, field) for field in asked_for})
        elif name in tasks:
            was = run.tasks[name]
            asks = {field: getattr(task, field, None) for field in task.scoring_keys}
            # Of a script the model knows the name alone; its path is in the recipe.
            asks_code = any(spec.is_script for spec in task.metrics)
            # Classes that are left to the data are those that the model knows.
            update = {field: value for field, value in asks.items() if value not in (None, getattr(was, field, None))}
            update |= {"metrics": task.metrics} if asks_code else {}
            update |= {field: getattr(task, field) for field in task.length_keys}
            found[name] = tasks[name].model_copy(update=update)
    return found


def _keys(task: Task) -> tuple[str, ...]:
    return (*task.scoring_keys, *task.length_keys)


def _unlike(name: str, asked: Task, task: Task) -> Iterator[Mistake]:
    """Find keys that say how a task is trained, with other values than that of the model."""
    if asked.type != task.type:
        yield Mistake(f"tasks.{name}.type", f"is {asked.type}, and the model has a {task.type}", "Give that type.")
        return
    for key in asked.model_fields_set - {"type", *Task.row_keys, *_keys(asked)}:
        if getattr(asked, key) != getattr(task, key):
            yield Mistake(f"tasks.{name}.{key}", "changes nothing about a model that is trained", "Leave it out.")


def _flat(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Flatten a recipe to its values by key; the value of a field of a task is one."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, Mapping) and len(here) < (3 if here[0] == "tasks" else 2):
            found |= _flat(value, here)
        else:
            found[here] = value
    return found


def _is_followed(path: tuple[str, ...], task_keys: Collection[str], to_find: bool) -> bool:
    section, key = path[0], path[-1]
    if section == "tasks":
        return key in task_keys
    if section == "training":
        return key in _ARGUMENTS or (to_find and key == "output_dir")
    return path in (("model", "max_length"), ("data", "imbalance"), ("baselines", "llm"))


def _told(path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> str:
    return f"{values[path]!r}" if path in values else "leaving it out"


def _tuning(name: str, asked: Task, was: Task) -> Iterator[Mistake]:
    """Find a wish for something that training alone does."""
    if asked.tuned_by is not None and was.tuned_by is None:
        verb, others = is_or_are(asked.tuned_by), "others" if asked.tuned_by.endswith("s") else "another"
        problem = f"{verb} tuned at the end of training, and the run was trained with {others}"
        yield Mistake(f"tasks.{name}.{asked.tuned_by}", problem, "Give numbers, or train a run with it.")


def _outputs(name: str, asked: Task, task: Task) -> Iterator[Mistake]:
    """Class names or target columns that are not what the model's outputs are."""
    if type(asked) is not type(task):
        return  # said: the type is no key that can be another
    counted = not list(asked.unknown_outputs(name))
    if counted and asked.num_outputs != task.num_outputs:
        found = f"gives {asked.num_outputs}, and the model of the run has {task.num_outputs} outputs"
        yield Mistake(f"tasks.{name}.{asked.outputs_key}", found, "Name one for each output, in the model's order.")
        return
    names, ours = asked.label_names or [], task.label_names or []
    moved = [label for index, label in enumerate(names) if label in ours and ours.index(label) != index]
    if moved:
        problem = f"puts {', '.join(repr(label) for label in moved)} at another place than the model of the run"
        remedy = f"Its classes are, in this order: {', '.join(ours)}."
        yield Mistake(f"tasks.{name}.{asked.outputs_key}", problem, remedy)
