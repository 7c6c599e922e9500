"""The parts of a recipe whose keys are somebody's keyword arguments.

Imports happen inside the functions: what is configured is heavy, and not every recipe uses all of it.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from hf_mtl.recipe.signatures import Options, model_from_signature

if TYPE_CHECKING:
    from hf_mtl.balancing import GradientAggregator, LossWeighting
    from hf_mtl.schedules import Schedule

    Method = LossWeighting | GradientAggregator

# What a component is told by the run, not by the recipe.
_HEAD_CONTEXT = ("features", "task", "config")


@cache
def training_section() -> type[Options]:
    """The fields of `MultiTaskTrainingArguments`."""
    from hf_mtl.argument_ranges import ranges
    from hf_mtl.arguments import MultiTaskTrainingArguments

    # Types that YAML cannot say (ParallelismConfig) are left to TrainingArguments itself.
    words = {"optim": ("adamax",)}
    return model_from_signature(MultiTaskTrainingArguments, lenient=True, words=words, ranges=ranges())


@cache
def mixture_section() -> type[Options]:
    """The options of `Mixture`."""
    from hf_mtl.data.learned_temperature import LearnedTemperature
    from hf_mtl.data.mixture import Mixture, annealed_temperature

    anneal = model_from_signature(annealed_temperature, exclude=("progress",))
    learn = model_from_signature(LearnedTemperature, exclude=("sizes",))
    return model_from_signature(Mixture, exclude=("sizes",), nested={"anneal": anneal, "learn": learn})


@cache
def tokenizer_section() -> type[Options]:
    """A tokenizer to train: ``{train: wordpiece, ...}``."""
    from hf_mtl.data.vocabulary import train_wordpiece

    return model_from_signature(train_wordpiece, exclude=("texts",), name=("train", "wordpiece"))


def head_names() -> list[str]:
    """The registered heads."""
    from hf_mtl.modeling.heads import available_heads

    return sorted(available_heads())


@cache
def head_section(name: str) -> type[Options]:
    """A head with options: ``{type: mlp, ...}``."""
    from hf_mtl.modeling.heads import head_class

    return model_from_signature(head_class(name), exclude=_HEAD_CONTEXT, name=("type", name))


@cache
def lora_section() -> type[Options]:
    """Low-rank adapters with options: ``{rank: 16, ...}``."""
    from hf_mtl.modeling.lora import add_lora

    return model_from_signature(add_lora, exclude=("encoder",))


def method_names(family: str) -> list[str]:
    """The registered methods of ``weighting`` or ``aggregator``."""
    from hf_mtl.balancing import available

    return sorted(name for name, found in available().items() if found == family)


@cache
def method_section(family: str, name: str) -> type[Options]:
    """A weighting or an aggregator with options: ``{name: uw, ...}``.

    Raises:
        UserError: If the family has no such method; says whether the other one has.
    """
    from hf_mtl.balancing.catalogue import TOLD_BY_THE_RUN

    return model_from_signature(_method_class(family, name), exclude=TOLD_BY_THE_RUN, name=("name", name))


@cache
def gradients_section() -> type[Options]:
    """The fields of `GradientOptions`."""
    from hf_mtl.gradients.options import GradientOptions

    return model_from_signature(GradientOptions)


def schedule_names() -> list[str]:
    """The registered schedules."""
    from hf_mtl.schedules import available_schedules

    return list(available_schedules())


@cache
def schedule_section(name: str) -> type[Options]:
    """A schedule with options: ``{type: mt2st_switch, main: emotion, ...}``."""
    from hf_mtl.schedules import schedule_class

    return model_from_signature(schedule_class(name), name=("type", name))


def try_schedule(options: dict[str, Any], tasks: list[str], key: str) -> "Schedule":
    """Build a schedule, which checks the tasks that it names.

    Raises:
        UserError: If there is no such task.
    """
    from hf_mtl.schedules import build_schedule

    return build_schedule(options, tasks, key)


def try_mixture(options: dict[str, Any], tasks: list[str]) -> None:
    """Build a mixture with stand-in sizes, which checks the ranges of its options.

    Raises:
        UserError: If an option is out of range.
    """
    from hf_mtl.data.mixture import Mixture

    # Large, so that no size is at fault.
    Mixture(sizes=dict.fromkeys(tasks, 1_000_000), **options)


def try_method(family: str, name: str, options: dict[str, Any], num_tasks: int) -> "Method":
    """Build a weighting or an aggregator, which checks the ranges of its options.

    Raises:
        ValueError: If an option is out of range.
    """
    return _method_class(family, name)(num_tasks=num_tasks, **options)


def _method_class(family: str, name: str) -> "type[Method]":
    from hf_mtl.balancing import aggregator_class, weighting_class

    return weighting_class(name) if family == "weighting" else aggregator_class(name)
