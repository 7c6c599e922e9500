"""Probabilities with which tasks are drawn: given, proportional, uniform, tempered, capped, annealed, learned."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializeAsAny

from hf_mtl.data.annealing import Positive, annealed_temperature
from hf_mtl.data.learners.base import LEARNERS, Learner
from hf_mtl.errors import EVALUATE, Mistake, UserError
from hf_mtl.options import by_task_mistakes, parse_options, parse_partly
from hf_mtl.signatures import Options, model_from_signature

DEFAULT_TEMPERATURE = 2.0

_NAMED = {"proportional": 1.0, "uniform": math.inf}
_PARTS = ("anneal", "learn")
"""Options that have options of their own."""
_INSTEAD = ("proportions", *_PARTS)
"""Options that take the place of a fixed temperature."""


class Mixture:
    """Probability of each task, p_t proportional to min(n_t, cap)^(1/temperature).

    Temperature 1 is proportional to size, larger is more uniform, smaller favours the large tasks. (The
    few-task paper states the opposite direction; its formula is the one used here.)

    Args:
        sizes: Training rows of each task.
        temperature: A positive number, ``proportional`` (1), ``uniform`` (infinite), or one number per task:
            lowering a task's own temperature raises that task's share.
        cap: Count at most this many rows of a task.
        proportions: Share of each task in what is drawn, whatever its rows, in place of ``temperature``: a positive
            number for every task, of which only the ratios count.
        anneal: Move the temperature from one value to another while training, in place of ``temperature``:
            ``{start, end, shape, begin, stop}``.
        learn: Learn the mixture while training, in place of ``temperature``: one temperature per task
            (``temperature``, or its options ``{objective, penalty, lr, every}``; ``{}``: its defaults), or by the
            tasks' gradients (``pike``, or ``{objective: pike, every, zeta1, zeta2, pull, floor}``). Another learner
            is named by ``type``.
        min_per_task: Rows that every task gets in every step.
        one_task_per_step: Draw one task per optimizer step, with its probability, in place of a mixed batch.

    Raises:
        UserError: If a size is not positive, or with everything that is wrong with the options.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        temperature: Positive | Literal["proportional", "uniform"] | dict[str, Positive] = DEFAULT_TEMPERATURE,
        cap: Annotated[int, Field(ge=1)] | None = None,
        proportions: dict[str, Positive] | None = None,
        anneal: Mapping[str, Any] | Options | None = None,
        learn: str | Mapping[str, Any] | Options | None = None,
        min_per_task: Annotated[int, Field(ge=0)] = 0,
        one_task_per_step: bool = False,
    ):
        empty = [name for name, size in sizes.items() if size < 1]
        if not sizes or empty:
            raise UserError(f"mixture: every task needs at least one training row; none in {empty or 'any task'}")
        given = {
            "temperature": temperature,
            "cap": cap,
            "proportions": proportions,
            "anneal": anneal,
            "learn": learn,
            "min_per_task": min_per_task,
            "one_task_per_step": one_task_per_step,
        }
        options = _checked(given, list(sizes))
        self.sizes = dict(sizes)
        self.temperature: float | str | dict[str, float] = options["temperature"]
        self.cap: int | None = options["cap"]
        self.proportions: dict[str, float] | None = options["proportions"]
        self.anneal: Options | None = options["anneal"]
        self.min_per_task: int = options["min_per_task"]
        self.one_task_per_step: bool = options["one_task_per_step"]
        self.learner = _make_learner(options["learn"], self.sizes, self.cap)

    def _temperatures(self, progress: float) -> NDArray[np.float64]:
        if self.anneal is not None:
            return np.full(len(self.sizes), annealed_temperature(progress, **self.anneal.options()))
        if isinstance(self.temperature, Mapping):
            return np.array([self.temperature[name] for name in self.sizes], dtype=np.float64)
        named = isinstance(self.temperature, str)
        return np.full(len(self.sizes), _NAMED[str(self.temperature)] if named else float(self.temperature))

    def temperature_at(self, progress: float) -> float:
        """Return the annealed temperature at a point of training; without annealing, the largest."""
        return float(self._temperatures(progress).max())

    def probabilities(self, progress: float = 0.0) -> dict[str, float]:
        """Return the probability of each task at a point of training; they sum to 1.

        Args:
            progress: Optimizer step / total steps, in [0, 1].
        """
        if self.learner is not None:
            return dict(zip(self.sizes, self.learner.probabilities().tolist(), strict=True))
        if self.proportions is not None:
            shares = np.array([self.proportions[name] for name in self.sizes])
            shares /= shares.max()  # the sum of very large numbers is infinite
            return dict(zip(self.sizes, (shares / shares.sum()).tolist(), strict=True))
        counts = np.array(list(self.sizes.values()), dtype=np.float64)
        if self.cap is not None:
            counts = np.minimum(counts, self.cap)
        # In log space: direct powers overflow for small temperatures.
        logits = np.log(counts) / self._temperatures(progress)
        weights = np.exp(logits - logits.max())
        return dict(zip(self.sizes, (weights / weights.sum()).tolist(), strict=True))


# ---- The section of a recipe and of a Trainer ----


@cache
def section() -> type[Options]:
    """Return the model of the section ``mixture``: the options of `Mixture`."""
    part: Any = SerializeAsAny[Options] | None
    return model_from_signature(Mixture, exclude=("sizes",), annotations=dict.fromkeys(_PARTS, part))


@cache
def anneal_section() -> type[Options]:
    """Return the model of ``mixture.anneal``: the options of `annealed_temperature`."""
    return model_from_signature(annealed_temperature, exclude=("progress",))


def parse(data: object, mistakes: list[Mistake]) -> Options:
    """Read the section.

    Args:
        data: The section, as a recipe or Python gives it; None: nothing; one that was read before comes back.
        mistakes: Receives everything that is wrong.

    Returns:
        The section, without the parts that are wrong.
    """
    if isinstance(data, section()):
        return data
    given: object = {} if data is None else data
    others, parts = given, dict[str, Options | None]()
    if isinstance(given, Mapping):
        others = {key: value for key, value in given.items() if key not in _PARTS}
        if given.get("anneal") is not None:
            parts["anneal"] = parse_options(
                anneal_section(), given["anneal"], mistakes, "mixture.anneal", "{end: 5.0}"
            )
        if given.get("learn") is not None:
            parts["learn"] = LEARNERS.parse(_named_learner(given["learn"]), mistakes)
    spec = parse_partly(section(), others, mistakes, "mixture", "{temperature: 2.0}")
    return spec.model_copy(update={name: part for name, part in parts.items() if part is not None})


def _named_learner(given: object) -> object:
    """Name the learner of a mapping without ``type`` whose objective is a learner's own name: that is meant."""
    if not isinstance(given, Mapping) or LEARNERS.field in given:
        return given
    objective = given.get("objective")
    named = isinstance(objective, str) and objective in LEARNERS
    return {LEARNERS.field: objective, **given} if named else given


@dataclass(frozen=True)
class Facts:
    """Facts of the run that a section is for. A recipe knows fewer than a Trainer.

    Args:
        tasks: The tasks; empty: not known. Those that share rows count as one, their stream.
        scored: The tasks whose validation metrics will be known while training; None: not known.
        shared: The argument by which processes share the model; None: each holds the whole of it.
        encoder_trained: Whether anything of what the tasks share is trained; None: not known.
        streams: The streams of several tasks, see `hf_mtl.data.streams`.
    """

    tasks: Sequence[str]
    scored: Collection[str] | None = None
    shared: str | None = None
    encoder_trained: bool | None = None
    streams: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        streams: Mapping[str, Sequence[str]],
        scored: Collection[str] | None = None,
        shared: str | None = None,
        encoder_trained: bool | None = None,
    ) -> "Facts":
        """Collect the facts, given the tasks of each stream."""
        several = [stream for stream, tasks in streams.items() if len(tasks) > 1]
        return cls(list(streams), scored, shared, encoder_trained, several)


def _by_stream_mistakes(value: object, key: str, facts: Facts) -> list[Mistake]:
    """Find what is wrong with an option by task; of tasks that are drawn together, it names their stream."""
    if not isinstance(value, Mapping):
        return []
    streams = {task: stream for stream in facts.streams for task in stream.split("+")}
    parts = {name: streams[name] for name in value if name not in facts.tasks and name in streams}
    wrong = [
        Mistake(
            f"{key}.{name}",
            f"'{name}' has no share of its own: its rows are drawn as '{stream}', once for all tasks that read them",
            f"Name '{stream}' instead, or write stream: false for these tasks.",
        )
        for name, stream in parts.items()
    ]
    others = {name: share for name, share in value.items() if name not in parts}
    said = set(parts.values()) - others.keys()  # their streams need not be missed too
    return [*wrong, *by_task_mistakes(others, key, [task for task in facts.tasks if task not in said])]


def mistakes(spec: Options, facts: Facts) -> list[Mistake]:
    """Find what cannot work together in a section, or with its run.

    Args:
        spec: The section.
        facts: What is known of the run.
    """
    options = spec.settled()
    wrong = [*_instead(spec), *_at_odds(options)]
    if facts.tasks:
        for name in ("temperature", "proportions"):
            wrong += _by_stream_mistakes(options[name], f"mixture.{name}", facts)
    if options["learn"] is not None and facts.streams:
        found = f"learns a share of each task, and the tasks of {', '.join(facts.streams)} share their rows"
        remedy = "Leave it out, or write stream: false for these tasks, whose rows are then drawn and encoded apart."
        return [*wrong, Mistake("mixture.learn", found, remedy)]
    if options["learn"] is not None and facts.tasks:
        try:
            # Rows enough for every task, so that no size is at fault.
            learner = _make_learner(options["learn"], dict.fromkeys(facts.tasks, 1_000_000), None)
        except UserError as error:
            return [*wrong, *error.mistakes]
        wrong += [*_unscored(learner, facts.scored), *_without_gradients(learner, facts)]
    return wrong


def _instead(spec: Options) -> Iterator[Mistake]:
    """Find several of those that take each other's place."""
    given = [name for name in ("temperature", *_INSTEAD) if getattr(spec, name) is not None]
    given = [name for name in given if name in spec.model_fields_set]
    for name in given[1:]:
        yield Mistake(f"mixture.{name}", f"takes the place of mixture.{given[0]}", "Give one of them.")


def _at_odds(options: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find options that leave others without effect or room."""
    if options["cap"] is not None and options["temperature"] == "uniform":
        yield Mistake("mixture.cap", "does nothing where temperature draws all tasks alike", "Leave it out.")
    if options["cap"] is not None and options["proportions"] is not None:
        yield Mistake("mixture.cap", "does nothing beside proportions, which count no rows", "Leave it out.")
    if options["min_per_task"] and options["one_task_per_step"]:
        problem = f"found {options['min_per_task']}, with one_task_per_step"
        yield Mistake("mixture.min_per_task", problem, "Allowed: 0.")
    if options["anneal"] is not None:
        anneal = options["anneal"].settled()
        if not anneal["begin"] < anneal["stop"]:
            remedy = f"Allowed: more than begin, which is {anneal['begin']:g}."
            yield Mistake("mixture.anneal.stop", f"found {anneal['stop']:g}", remedy)


def _unscored(learner: Learner | None, scored: Collection[str] | None) -> Iterator[Mistake]:
    """Find the metrics that a learner waits for and that never come."""
    if learner is None or not learner.follows_metrics or scored is None:
        return
    key, start = "mixture.learn.objective", "'worst' follows"
    if not scored:
        yield Mistake(key, f"{start} validation metrics, and nothing is evaluated", f"{EVALUATE}.")
        return
    remedy = "Give the task a validation split and a metric."
    for task in learner.tasks:
        if task not in scored:
            yield Mistake(key, f"{start} a validation metric of '{task}', which is never evaluated", remedy)


def _without_gradients(learner: Learner | None, facts: Facts) -> Iterator[Mistake]:
    """Find why a learner that looks at the tasks' gradients finds none."""
    if learner is None or not learner.rows_of_look:
        return
    start = f"'{learner.name}' looks at the tasks' gradients of what they share"
    if facts.encoder_trained is False:
        yield Mistake("mixture.learn", f"{start}, and none of it is trained", "Leave it out, or freeze less.")
    if facts.shared:
        problem = f"{start}, and {facts.shared} has parts of their sum"
        yield Mistake("mixture.learn", problem, f"Leave out {facts.shared}, or use learn: temperature")


def _checked(given: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
    """Return all options, as the section has them.

    Raises:
        UserError: With everything that is wrong.
    """
    fields, wrong = section().model_fields, list[Mistake]()
    spec = parse({name: value for name, value in given.items() if value != fields[name].default}, wrong)
    if wrong := wrong or mistakes(spec, Facts(tasks)):
        raise UserError(wrong)
    return spec.settled()


def _make_learner(choice: Options | None, sizes: Mapping[str, int], cap: int | None) -> Learner | None:
    if choice is None:
        return None
    capped = {name: size if cap is None else min(size, cap) for name, size in sizes.items()}
    return LEARNERS.build(choice, sizes=capped, rows=sizes)
