"""The section ``balancing`` of a recipe and of a Trainer: read once, and checked against the rest of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from hf_mtl.balancing.aggregator import AGGREGATORS, GradientAggregator
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.balancing.exposure import DEFAULT_EXPOSURE, Exposure
from hf_mtl.balancing.gradient_options import GradientOptions
from hf_mtl.balancing.needs import LookAhead, Teleporting
from hf_mtl.components import Kind
from hf_mtl.errors import Mistake, UserError
from hf_mtl.options import below, by_task_mistakes, parse_options, parse_partly
from hf_mtl.shown import hide_secrets
from hf_mtl.signatures import Options

DEFAULT_WEIGHTING = "ew"
DEFAULT_EXACT_ACCUMULATION = True
"""Whether a weighting that needs the step's losses first gets those of all micro-batches, for one more forward."""

OF_GRADIENTS = frozenset({"norms", "jacobian"})
"""What weightings need that only the gradients of single tasks give."""

Method: TypeAlias = LossWeighting | GradientAggregator
Sharing: TypeAlias = Literal["fsdp", "deepspeed"]
State: TypeAlias = Literal["trained", "frozen", "absent"]
UPPER: tuple[Literal["last_layer", "adapters"], ...] = ("last_layer", "adapters")
"""Scopes that are parts of what all tasks share."""

T = TypeVar("T")

_PARTS = ("weighting", "aggregator", "gradients")


def _equal_weighting() -> Options:
    return WEIGHTINGS.options(DEFAULT_WEIGHTING).model_validate({WEIGHTINGS.field: DEFAULT_WEIGHTING})


class Spec(BaseModel):
    """Settings that make one update of several task losses."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    weighting: SerializeAsAny[Options] = Field(
        default_factory=_equal_weighting,
        description="A loss weighting, or {name: ..., its options}. Default: equal weighting.",
    )
    aggregator: SerializeAsAny[Options] | None = Field(
        None,
        description="A gradient aggregator, or {name: ..., its options}. Default: the weighted losses' gradient.",
    )
    exposure: Exposure = Field(
        DEFAULT_EXPOSURE, description="What counts once: every row of a step, or every task whatever its rows."
    )
    exact_accumulation: bool = Field(
        DEFAULT_EXACT_ACCUMULATION,
        description="With accumulation, give a weighting that needs the step's losses first those of all "
        "micro-batches, for one more forward; false: each micro-batch's own.",
    )
    gradients: GradientOptions = Field(
        default_factory=GradientOptions,
        description="How task gradients are formed, held and recorded; for aggregators, and for the log.",
    )

    def __repr__(self) -> str:
        return hide_secrets(super().__repr__())

    def __str__(self) -> str:
        return hide_secrets(super().__str__())

    def options(self) -> dict[str, Any]:
        """Return what was set, as plain values."""
        return self.model_dump(exclude_unset=True)


def parse(data: object, mistakes: list[Mistake], tasks: Sequence[str] = ()) -> Spec:
    """Read the section.

    Args:
        data: The section, as a recipe or Python gives it; None: nothing; one that was read before comes back.
        mistakes: Receives everything that is wrong.
        tasks: The tasks; options that are given by task are brought into their order, and those that are given
            in their order are named: a model that keeps tasks has them in another one.

    Returns:
        The section, without the parts that are wrong.
    """
    if isinstance(data, Spec):
        return data
    given: Mapping[str, Any] = {}
    if isinstance(data, Mapping):
        # What is null, as where a recipe takes out what it inherits, is not given.
        given = {key: value for key, value in data.items() if value is not None}
        data = {key: value for key, value in given.items() if key not in _PARTS}
    spec = parse_partly(Spec, {} if data is None else data, mistakes, "balancing", "{weighting: uw}")
    parts: dict[str, BaseModel | None] = {}
    for kind in (WEIGHTINGS, AGGREGATORS):
        if kind.word in given:
            choice = kind.parse(_in_task_order(given[kind.word], tasks), mistakes)
            parts[kind.word] = None if choice is None else _by_task(choice, tasks)
    if "gradients" in given:
        key = "balancing.gradients"
        parts["gradients"] = parse_options(GradientOptions, given["gradients"], mistakes, key, "{log_every: 10}")
    return spec.model_copy(update={name: part for name, part in parts.items() if part is not None})


def _in_task_order(method: object, tasks: Sequence[str]) -> object:
    """Bring the options of a method that name each task once into the order of the tasks."""
    if not isinstance(method, Mapping):
        return method
    ordered = dict(method)
    for option, value in method.items():
        if isinstance(value, Mapping) and set(value) == set(tasks):
            ordered[option] = {task: value[task] for task in tasks}
    return ordered


def _by_task(choice: Options, tasks: Sequence[str]) -> Options:
    """Name the tasks in options that may be given by task, and were given in the order of the tasks."""
    named: dict[str, Any] = {}
    for option, value in choice.options().items():
        kinds = get_args(type(choice).model_fields[option].annotation)
        if isinstance(value, list) and len(value) == len(tasks) and any(get_origin(kind) is dict for kind in kinds):
            named[option] = dict(zip(tasks, value, strict=True))
        elif type(value) is int and str in kinds and value < len(tasks):
            named[option] = tasks[value]
    return choice.model_copy(update=named)


# ---- Building ----


def make(kind: Kind[T], choice: Options, tasks: Sequence[str], **told: Any) -> T:
    """Build a weighting or an aggregator for some tasks.

    Args:
        kind: Which of the two.
        choice: The method, parsed.
        tasks: The tasks; an option that is given by task is handed over in their order.
        told: What the run says beside their number.

    Raises:
        UserError: If the method refuses its options, or one that is given by task names others.
    """
    options = choice.options()
    by_name: frozenset[str] = getattr(kind[choice.chosen], "by_name", frozenset())
    by_task = {name: value for name, value in options.items() if isinstance(value, Mapping) and name not in by_name}
    if wrong := [item for name in by_task for item in by_task_mistakes(by_task[name], f"{kind.key}.{name}", tasks)]:
        raise UserError(wrong)
    options |= {name: [value[task] for task in tasks] for name, value in by_task.items()}
    return kind.make(choice.chosen, options, num_tasks=len(tasks), tasks=tasks, **told)


# ---- What cannot work together ----


@dataclass(frozen=True)
class Facts:
    """Facts of the run that a section is for; a recipe knows fewer than a Trainer.

    Args:
        tasks: The tasks; empty: not known, and no method is built.
        compiled: Whether the forward is compiled.
        parts: Whether what a scope names is ``trained``, ``frozen`` or ``absent``; scopes of which that is not known
            are left out. ``all`` is what all tasks share.
        dtype: Precision of the model's weights; None: not known.
        shared: The argument by which processes share the model; None: each holds the whole of it.
        one_task_per_step: Whether the mixture gives all rows of a step to one task.
    """

    tasks: Sequence[str]
    compiled: bool = False
    parts: Mapping[str, State] = field(default_factory=dict)
    dtype: torch.dtype | None = None
    shared: Sharing | None = None
    one_task_per_step: bool = False


def mistakes(spec: Spec, facts: Facts) -> list[Mistake]:
    """Find what the methods of a section cannot work with.

    Args:
        spec: The section.
        facts: What is known of the run.
    """
    found: list[Mistake] = []
    if not facts.tasks:
        return found
    chosen: list[tuple[Kind[Any], Options | None]] = [(WEIGHTINGS, spec.weighting), (AGGREGATORS, spec.aggregator)]
    for kind, choice in chosen:
        try:
            method = None if choice is None else make(kind, choice, facts.tasks)
        except UserError as error:
            found += error.mistakes
            continue
        if method is not None:
            found += [below(item, kind.key) for item in _of_method(method, facts)]
            found += _of_others(method, spec, facts)
    if facts.shared and spec.gradients.log_every and "log_every" in spec.gradients.model_fields_set:
        problem = f"is {spec.gradients.log_every}, and {facts.shared} has no gradients of single tasks"
        found.append(Mistake("balancing.gradients.log_every", problem, "Leave it out"))
    return found


def _of_method(method: Method, facts: Facts) -> Iterator[Mistake]:
    """Find what is wrong with a method in this run, by the keys of its options."""
    if _of_gradients(method) and facts.parts.get("all") == "frozen":
        problem = f"'{method.name}' needs the gradients of what all tasks share, and none of it is trained"
        yield Mistake("", problem, "Use a loss weighting such as uw, or freeze less.")
        return
    scope = getattr(method, "scope", "all")
    state = facts.parts.get(scope)
    if scope == "adapters" and state == "absent":
        yield Mistake("scope", "'adapters', and the model has none", "Set model.peft, or another scope.")
    elif scope != "all" and state == "absent":
        yield Mistake("scope", f"'{scope}', and the encoder's layers are not known one by one", "Use scope: all.")
    elif scope != "all" and state == "frozen":
        yield Mistake("scope", f"'{scope}', and nothing of it is trained", "Use scope: all.")
    if isinstance(method, Teleporting) and facts.dtype not in (None, torch.float32):
        problem = f"'{method.name}' measures what very small noise does, which weights in {facts.dtype} cannot hold"
        yield Mistake("", problem, "Load the model in float32; training.bf16 may be on.")


def _of_others(method: Method, spec: Spec, facts: Facts) -> Iterator[Mistake]:
    """Find what a method cannot work with in other sections, by whole keys."""
    if isinstance(method, LookAhead) and spec.gradients.layout == "segments":
        problem = f"'segments', and '{method.name}' goes task by task, at parameters of each task's own"
        yield Mistake("balancing.gradients.layout", problem, "Use auto, or split.")
    if facts.one_task_per_step and getattr(method, "main", None) is not None:
        problem = f"is on, and '{method.name}' holds the other tasks of a step against the main one"
        yield Mistake("mixture.one_task_per_step", problem, "Leave it out, or leave out the aggregator.")
    if facts.compiled and _of_gradients(method):
        problem = f"is on, and '{method.name}' needs every task's gradient, which a compiled forward does not give"
        remedy = "Leave it out, or take a weighting of losses, such as famo or uw."
        yield Mistake("training.torch_compile", problem, remedy)
    if facts.shared and _of_gradients(method):
        key = AGGREGATORS.key if isinstance(method, GradientAggregator) else WEIGHTINGS.key
        problem = f"is '{method.name}', of gradients of single tasks, and {facts.shared} has parts of their sum"
        remedy = f"Leave out {facts.shared}, or use ew or a weighting that learns from losses, such as uw"
        yield Mistake(key, problem, remedy)


def _of_gradients(method: Method) -> bool:
    """Tell whether a method needs the gradients of single tasks."""
    return isinstance(method, GradientAggregator) or bool(method.needs & OF_GRADIENTS)
