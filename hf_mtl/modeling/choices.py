"""The choices of a config, filled in and checked before anything is built."""

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedConfig

from hf_mtl.errors import Mistake, known, one_line
from hf_mtl.modeling.config_values import shown
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.freezing import freeze_mistakes
from hf_mtl.modeling.head_sharing import share_mistakes
from hf_mtl.modeling.heads import HEADS, HeadSpec, default_head, head_class, head_mistakes, settled_options
from hf_mtl.modeling.heads.base import FeatureSource, Head
from hf_mtl.modeling.peft_options import peft_mistakes, settled_peft
from hf_mtl.modeling.pooling import POOLINGS, default_pooling
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import heads_of, share_of, with_share, without_share


def head_specs(config: MultiTaskConfig) -> dict[str, str | Mapping[str, Any]]:
    """Return every task's head: its own or the shared one, else the model's, else the backbone's default."""
    tasks = config.task_objects
    chosen = heads_of(tasks, config.head)
    return {name: head if head is not None else _default_of(config, tasks[name]) for name, head in chosen.items()}


def _default_of(config: MultiTaskConfig, task: Task) -> HeadSpec:
    """Return the head of a task for which nobody chose one: the model's default, or ``linear`` where that cannot."""
    found = default_head(config.encoder_config, config.pooling)
    return "linear" if head_class(found).unsuited(task, config.encoder_config) else found


def head_groups(config: MultiTaskConfig) -> list[list[str]]:
    """Return the tasks with different heads of equal specification and of one origin, which may share layers.

    A head that several tasks have is there once, by the first of them.
    """
    groups: dict[str, list[str]] = {}
    specs = head_specs(config)
    for name, *_ in tasks_by_head(config):
        spec = specs[name]
        # The options as text, since lists among them cannot be keys.
        options = sorted(settled_options(spec, config.dropout).items())
        origin = (config.origins or {}).get(name, 0)
        groups.setdefault(f"{origin} {head_class(spec).name} {options}", []).append(name)
    return list(groups.values())


def tasks_by_head(config: MultiTaskConfig) -> list[list[str]]:
    """Return the tasks of each head: one, or those that share it, in task order."""
    found: dict[tuple[bool, str], list[str]] = {}
    for name, task in config.task_objects.items():
        share = share_of(task.head)
        found.setdefault((share is not None, share or name), []).append(name)
    return list(found.values())


def settle(config: MultiTaskConfig) -> None:
    """Write what was left open into the config, so that a checkpoint does not follow later defaults."""
    if config.head is None:
        specs = head_specs(config)
        config.head = default_head(config.encoder_config, config.pooling)
        # From now on tasks that say nothing of their heads have that one, which may not serve them.
        others = {name: specs[name] for name, spec in head_specs(config).items() if spec != specs[name]}
        for name, own in others.items():
            share = share_of(config.task_objects[name].head)
            tasks = config.tasks or {}
            config.tasks = {**tasks, name: {**tasks[name], "head": with_share(own, share)}}
    config.pooling = choose_pooling(config)
    config.peft = settled_peft(config.peft, config.encoder_config.model_type)  # type: ignore[union-attr]
    if any(head_class(spec).frozen_encoder for spec in head_specs(config).values()):
        config.freeze = "encoder"


def inherit_pooling(config: MultiTaskConfig, trained: str | None) -> None:
    """Keep the pooling that an encoder was trained with, where nobody asked for one and no head needs another.

    Args:
        config: A config without mistakes.
        trained: The pooling of the model that the encoder is taken from.
    """
    if config.pooling is not None:
        return
    config.pooling = trained
    if any(needed != trained for needed in _forced_poolings(config).values()):
        config.pooling = None


def choose_pooling(config: MultiTaskConfig) -> str:
    """Return the model's pooling: as asked for, else what a head needs, else what suits the backbone."""
    if config.pooling is not None:
        return config.pooling
    forced = _forced_poolings(config)
    return next(iter(forced.values()), default_pooling(config.encoder_config))


def feature_sources(config: MultiTaskConfig) -> list[FeatureSource]:
    """Tell which features to make: those that the heads read, first one vector per row, even where no head reads
    any.
    """
    tasks, encoder = config.task_objects, config.encoder_config
    sources = {feature_source(spec, tasks[name], encoder) for name, spec in head_specs(config).items()}
    if sources == {"tokens"}:
        sources.add("pooled")
    return [source for source in ("pooled", "pooler", "tokens") if source in sources]


def feature_source(head: HeadSpec | Head, task: Task, config: PreTrainedConfig) -> FeatureSource:
    """Tell which features a task's head is given: those that it reads, or the states where it looks at tokens.

    Args:
        head: The head, or its specification.
        task: The task.
        config: The backbone's config.
    """
    if task.outputs_per in ("token", "window"):
        return "tokens"
    return (type(head) if isinstance(head, Head) else head_class(head)).source(config, task)


def config_mistakes(config: MultiTaskConfig) -> list[Mistake]:
    """Find everything that keeps a config from becoming a model."""
    mistakes = [] if config.tasks else [Mistake("tasks", "a model needs at least one task")]
    mistakes += _width_mistakes(config)
    if config.dropout is not None and not 0 <= config.dropout < 1:
        mistakes.append(Mistake("model.dropout", f"found {config.dropout}", "A probability in [0, 1)"))
    for name, task in config.task_objects.items():
        mistakes += task.unknown_outputs(name)
        if (head := without_share(task.head)) is not None:
            mistakes += head_mistakes(head, config.encoder_config, f"tasks.{name}.head", [task])
    mistakes += share_mistakes(config.task_objects)
    if config.head is not None:
        theirs = [task for task in config.task_objects.values() if task.head is None]
        mistakes += head_mistakes(config.head, config.encoder_config, tasks=theirs)
    if config.pooling is not None and config.pooling not in POOLINGS:
        mistakes.append(
            Mistake("model.pooling", f"unknown pooling '{config.pooling}'", known(POOLINGS, config.pooling))
        )
    mistakes += [
        Mistake(f"{field}.{name}", f"unknown task '{name}'", known(config.tasks or (), name))
        for field in ("calibration_temperatures", "origins")
        for name in getattr(config, field) or ()
        if name not in (config.tasks or ())
    ]
    mistakes += _decision_mistakes(config)
    mistakes += peft_mistakes(config.peft)
    adapters = config.peft is not None
    mistakes += freeze_mistakes(config.freeze, config.encoder_config, adapters)
    return mistakes or [
        *_pooling_conflicts(config),
        *frozen_head_mistakes(head_specs(config), config.freeze, adapters),
    ]


def _decision_mistakes(config: MultiTaskConfig) -> Iterator[Mistake]:
    """Find decisions for tasks that there are not, or that are none of their tasks'."""
    tasks = config.task_objects
    for name, value in (config.decisions or {}).items():
        if name not in tasks:
            yield Mistake(f"decisions.{name}", f"unknown task '{name}'", known(tasks, name))
            continue
        try:
            yield from tasks[name].decided(value).unknown_outputs(name)
        except ValueError as error:
            yield Mistake(f"decisions.{name}", f"is {shown(value)}: {one_line(error)}")


def _width_mistakes(config: MultiTaskConfig) -> list[Mistake]:
    found = getattr(config.encoder_config, "hidden_size", None)
    if isinstance(found, int):
        return []
    problem = f"'{config.encoder_config.model_type}' has no hidden_size, as it is more than an encoder of text"  # type: ignore[union-attr]
    return [Mistake("model.backbone", problem, "Give one, such as bert, roberta, distilbert or modernbert")]


def keeps_encoder_frozen(spec: HeadSpec | None) -> bool:
    """Tell whether a head is one that is defined on an encoder that is not trained; False for a wrong
    specification.
    """
    choice = None if spec is None else HEADS.parse(spec, [])
    return choice is not None and HEADS[choice.chosen].frozen_encoder


def frozen_head_mistakes(
    heads: Mapping[str, str | Mapping[str, Any] | None], freeze: str | int | None, adapters: bool
) -> list[Mistake]:
    """Tell why heads that are defined on a frozen encoder do not go with the rest of a model; empty where they do.

    Args:
        heads: Each task's head, without mistakes; None: the backbone's default.
        freeze: The part of the encoder that is frozen; None: what the heads want.
        adapters: Whether the encoder has adapters.
    """
    kinds = {name: None if spec is None else head_class(spec) for name, spec in heads.items()}
    frozen = {name: kind.name for name, kind in kinds.items() if kind is not None and kind.frozen_encoder}
    if not frozen or freeze == "encoder":
        return []
    task, head = next(iter(frozen.items()))
    reason = f"task '{task}' has head '{head}', which keeps the encoder frozen"
    if freeze is not None:
        return [Mistake("model.freeze", f"found {freeze}, but {reason}", "Write encoder or leave it out")]
    if adapters:
        return [Mistake("model.peft", f"has adapters to train, but {reason}", "Leave it out or choose another head")]
    others = [name for name in heads if name not in frozen]
    if not others:
        return []
    found = f"head '{head}' keeps the encoder frozen, and the heads of {', '.join(others)} train it"
    remedy = f"Give every task '{head}', or none, or keep it frozen for all with model.freeze: encoder"
    return [Mistake(f"tasks.{task}.head", found, remedy)]


def _pooling_conflicts(config: MultiTaskConfig) -> list[Mistake]:
    pooling = choose_pooling(config)
    specs = head_specs(config)
    return [
        Mistake(
            "model.pooling",
            f"'{pooling}', but task '{name}' has head '{head_class(specs[name]).name}', which needs '{needed}'",
            f"Leave pooling out or write '{needed}', or choose another head, such as linear",
        )
        for name, needed in _forced_poolings(config).items()
        if needed != pooling
    ]


def _forced_poolings(config: MultiTaskConfig) -> dict[str, str]:
    forced = {
        name: head_class(spec).forced_pooling(config.encoder_config)
        for name, spec in head_specs(config).items()
        if config.task_objects[name].outputs_per in ("row", "sequence")  # others are not pooled
    }
    return {name: pooling for name, pooling in forced.items() if pooling is not None}
