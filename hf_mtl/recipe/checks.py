"""Checks that need several keys of a recipe at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.data.function_gate import function_mistakes, sources_of
from hf_mtl.data.secret_urls import secret_mistakes
from hf_mtl.errors import Mistake, known
from hf_mtl.plain import KeyPath, dotted
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.signatures import Options
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import SHARE, heads_of

# Keys of the results beside the tasks, or of the loss.
RESERVED_NAMES = ("average", "loss", "macro", "worst")
# Exports, and trials of one task, lie in folders of the task's name.
LONGEST_NAME = 100

Tasks = Mapping[str, Task | None]


def check_recipe(tasks: Tasks, training: Options | None, complete: bool) -> list[Mistake]:
    """Check tasks and training against each other.

    Args:
        tasks: The tasks by name; None for one of which nothing can be said.
        training: The training section, if it is valid.
        complete: Whether the tasks are valid as they were written.
    """
    from hf_mtl.data.check import column_mistakes
    from hf_mtl.evaluation import check_metrics

    valid = {name: task for name, task in tasks.items() if task is not None}
    mistakes = [mistake for name in tasks for mistake in name_mistakes(name)]
    for name, task in valid.items():
        mistakes.extend(column_mistakes(name, task))
        mistakes.extend(_secrets(name, task))
        mistakes.extend(task.key_mistakes(name))
    mistakes.extend(check_metrics(valid))
    if training is not None and complete:
        mistakes.extend(_best_metric(valid, training))
    return mistakes


def foreign_code(tasks: Tasks, allow_code: bool) -> list[Mistake]:
    """Find the metrics and the functions of datasets whose code may not be run.

    Args:
        tasks: The tasks by name; None for one of which nothing can be said.
        allow_code: Whether the user allows code.
    """
    from hf_mtl.evaluation import Trust, foreign_mistakes

    valid = {name: task for name, task in tasks.items() if task is not None}
    meant = {name: _without_misspelt(task) for name, task in valid.items()}
    return [*function_mistakes(valid, allow_code), *foreign_mistakes(meant, Trust.of(allow_code))]


def _without_misspelt(task: Task) -> Task:
    """Return the task without the metrics of which it is said elsewhere that they are unknown."""
    meant = [spec for spec in task.metrics if spec.greater_is_better is not None or "/" in spec.name]
    return task.model_copy(update={"metrics": meant})


def check_frozen(tasks: Tasks, model: ModelSection) -> list[Mistake]:
    """Check that the heads, the adapters and the frozen part of the encoder go together.

    Args:
        tasks: The tasks by name; None for one of which nothing can be said.
        model: The model section.
    """
    valid = {name: task for name, task in tasks.items() if task is not None}
    heads = heads_of(valid, model.head)
    if model.freeze is None and not any(heads.values()):
        return []
    from hf_mtl.modeling.choices import frozen_head_mistakes
    from hf_mtl.modeling.freezing import freeze_mistakes
    from hf_mtl.modeling.heads import head_mistakes

    adapters = model.peft is not None
    mistakes = freeze_mistakes(model.freeze, None, adapters)
    if any(spec is not None and head_mistakes(spec) for spec in heads.values()):
        return mistakes  # of the heads' own mistakes their keys have been told
    return mistakes + frozen_head_mistakes(heads, model.freeze, adapters)


def check_adapters(model: ModelSection, training: Options | None) -> list[Mistake]:
    """Check the adapters against the training arguments.

    Args:
        model: The model section.
        training: The training section; None: nothing is known of it.
    """
    if model.peft is None or training is None:
        return []
    from hf_mtl.modeling.peft_refusals import run_mistakes  # takes seconds, and not every recipe has adapters

    return list(run_mistakes(model.peft, training.options()))


def check_heads_only(tasks: Tasks, model: ModelSection, training: Options | None) -> list[Mistake]:
    """Check whether the heads alone can be saved.

    Args:
        tasks: The tasks by name; None for one of which nothing can be said.
        model: The model section.
        training: The training section; None: nothing is known of it.
    """
    if not model.save_heads_only:
        return []
    from hf_mtl.modeling.frozen_encoder import heads_only_mistakes
    from hf_mtl.modeling.heads import head_class, head_mistakes

    heads = heads_of({name: task for name, task in tasks.items() if task is not None}, model.head).values()
    known_heads = [spec for spec in heads if spec is not None and not head_mistakes(spec)]
    frozen = any(head_class(spec).frozen_encoder for spec in known_heads)
    freeze = "encoder" if frozen and model.freeze is None else model.freeze
    return list(heads_only_mistakes(freeze, model.backbone, bool(getattr(training, "push_to_hub", False))))


def check_shares(tasks: Tasks) -> list[Mistake]:
    """Check the tasks that share a head against each other.

    Args:
        tasks: The tasks by name; None for one of which nothing can be said.
    """
    valid = {name: task for name, task in tasks.items() if task is not None}
    if not any(isinstance(task.head, Mapping) and SHARE in task.head for task in valid.values()):
        return []
    from hf_mtl.modeling.head_sharing import share_mistakes  # takes seconds, and few recipes share one

    return list(share_mistakes(valid))


def empty_texts(data: Any, path: KeyPath = ()) -> Iterator[Mistake]:
    """Find keys with nothing between their quotes, which name no column, file or folder.

    Args:
        data: The recipe, or a part of it, plain.
        path: Key path of the part.
    """
    if data == "":
        yield Mistake(dotted(path), "found ''", "Leave the key out, or write null, if nothing is meant.")
    children: Any = ()
    if isinstance(data, dict):
        children = data.items()
    elif isinstance(data, list):
        children = enumerate(data)
    for key, value in children:
        if not _means_itself((*path, key), value):
            yield from empty_texts(value, (*path, key))


def _means_itself(path: KeyPath, value: Any) -> bool:
    """Tell whether a place holds values that may be empty: classes, filters, and what is handed on as it is."""
    if path[0] == "tasks":
        return path[-1] in ("labels", "filter")
    return isinstance(value, dict) and (path == ("model", "backbone") or (path[0] == "training" and len(path) == 2))


def name_mistakes(name: str, key: str | None = None) -> Iterator[Mistake]:
    """Find what keeps a word from being the name of a task.

    Args:
        name: The word.
        key: The key of the mistake; None: that of the task.
    """
    from torch import nn

    key = f"tasks.{name}" if key is None else key
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        yield Mistake(key, f"the task name '{name}'", "Allowed: letters, digits, '_' and '-'.")
    elif len(name) > LONGEST_NAME:
        allowed = f"Allowed: {LONGEST_NAME} letters, as the name of a task is also that of a folder."
        yield Mistake(key, f"a task name of {len(name)} letters, '{name[:20]}...'", allowed)
    elif name in RESERVED_NAMES:
        yield Mistake(key, f"the task name '{name}' is taken", "The results have a key of this name.")
    elif hasattr(nn.ModuleDict(), name):
        yield Mistake(key, f"the task name '{name}' is taken", "torch.nn.ModuleDict, which holds the heads, uses it.")


def _secrets(name: str, task: Task) -> Iterator[Mistake]:
    """Find URLs with a password: the run would keep them in its recipe.yaml."""
    for key, source in sources_of(name, task):
        yield from secret_mistakes(source, key)


def _best_metric(tasks: Mapping[str, Task], training: Options) -> Iterator[Mistake]:
    from hf_mtl.evaluation import score_keys

    metric = training.options().get("metric_for_best_model")
    if metric is None:
        return
    names = [*RESERVED_NAMES, *(f"{name}_{key}" for name, task in tasks.items() for key, _ in score_keys(task))]
    if metric.removeprefix("eval_") not in names:
        yield Mistake("training.metric_for_best_model", f"unknown score '{metric}'", known(names, metric))
