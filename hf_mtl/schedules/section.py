"""The section ``schedules`` of a recipe and of a Trainer: read once, and checked against the rest of a run."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hf_mtl.data.course import Course
from hf_mtl.errors import EVALUATE, Mistake, ModelError, UserError, known
from hf_mtl.plain import describe, made_plain
from hf_mtl.schedules.base import SCHEDULES, ParameterGroup, Run, Schedule
from hf_mtl.schedules.composition import Schedules
from hf_mtl.signatures import Options

Spec: TypeAlias = tuple[Options | None, ...]
"""The schedules in their order; None in place of one that is wrong."""

_EXAMPLE = "[{type: alternating, period: 50}]"


def parse(data: object, mistakes: list[Mistake]) -> Spec:
    """Read the section.

    Args:
        data: A list of schedules, as a recipe or Python gives it; None: nothing; what was read before comes back.
        mistakes: Receives everything that is wrong.
    """
    if data is None:
        return ()
    if not isinstance(data, (list, tuple)):
        found = describe(made_plain(data))
        mistakes.append(Mistake("schedules", f"found {found}", f"Allowed: a list of schedules, such as {_EXAMPLE}."))
        return ()
    return tuple(SCHEDULES.parse(item, mistakes, f"schedules.{place}") for place, item in enumerate(data))


def build_schedule(spec: object, tasks: Sequence[str], key: str = "schedules") -> Schedule:
    """Build a schedule.

    Args:
        spec: A name, or a mapping with ``type`` and the schedule's options.
        tasks: The run's tasks, which its options may name.
        key: The recipe key that holds the specification.

    Raises:
        UserError: If the name, an option or a task is unknown, or a value is out of range.
    """
    schedule = SCHEDULES.build(spec, key)
    choice = SCHEDULES.parse(spec, [], key)
    if choice is not None and (wrong := list(_unknown_tasks(schedule, choice, tasks, key))):
        raise UserError(wrong)
    return schedule


def build_schedules(spec: Spec, tasks: Sequence[str], course: Course) -> Schedules:
    """Build the schedules of a run, from a section without mistakes.

    Args:
        spec: The section.
        tasks: The run's tasks.
        course: Knows the lengths of the run.
    """
    choices = enumerate(spec)
    built = [build_schedule(item, tasks, f"schedules.{place}") for place, item in choices if item is not None]
    return Schedules(built, course)


# ---- What cannot work together ----


class Parts(Protocol):
    """The parts of a model, which know how many of their parameters are trained."""

    def trained(self, groups: Collection[ParameterGroup]) -> int:
        """Count the parameters of some groups that are trained while nothing is frozen.

        Raises:
            ModelError: If the model does not have a group.
        """


@dataclass(frozen=True)
class Facts:
    """Facts of the run that a section is for; a recipe knows fewer than a Trainer.

    Args:
        tasks: The tasks; empty: not known, and nothing is checked.
        evaluated: The tasks whose validation losses will be known while training; None: not known.
        encoder_trained: Whether anything of the encoder is trained; None: not known.
        parts: The parts of the model; None: not known.
        run: The tasks and lengths of the run; None: not known.
    """

    tasks: Sequence[str]
    evaluated: Collection[str] | None = None
    encoder_trained: bool | None = None
    parts: Parts | None = None
    run: Run | None = None


def mistakes(spec: Spec, facts: Facts) -> list[Mistake]:
    """Find what the schedules of a section cannot do in a run, alone or together.

    Args:
        spec: The section.
        facts: What is known of the run.
    """
    found: list[Mistake] = []
    built: dict[str, Schedule] = {}
    for place, choice in enumerate(spec if facts.tasks else ()):
        key = f"schedules.{place}"
        try:
            if choice is not None:
                built[key] = build_schedule(choice, facts.tasks, key)
        except UserError as error:
            found += error.mistakes
    frozen = list(_frozen_out(built, facts.encoder_trained))
    found += [*_unwatched(built, facts.evaluated), *_stopped_twice(built, facts.tasks)]
    if facts.parts is None or facts.run is None:
        return [*found, *frozen]
    frozen += _absent(built, facts.parts)
    # Of groups that are not there, or not trained, it cannot be said what is left.
    return [*found, *(frozen or _left_over(built, facts.parts, facts.run))]


def _unknown_tasks(schedule: Schedule, choice: Options, tasks: Sequence[str], key: str) -> Iterator[Mistake]:
    for option, given in choice.options().items():
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, str) and value in schedule.tasks_named() and value not in tasks:
                yield Mistake(f"{key}.{option}", f"unknown task '{value}'", known(tasks, value))


def _unwatched(schedules: Mapping[str, Schedule], evaluated: Collection[str] | None) -> Iterator[Mistake]:
    """Find the schedules that wait for validation losses which never come."""
    for key, schedule in schedules.items():
        if schedule.stops_tasks and evaluated is not None and not evaluated:
            problem = f"'{schedule.name}' follows validation metrics, and nothing is evaluated"
            yield Mistake(key, problem, f"{EVALUATE}, and give the tasks validation splits.")
            continue
        others = "" if schedule.stops_tasks else "; or set signal: training"
        remedy = f"{EVALUATE}, and give the task a validation split{others}."
        what = "first metric" if schedule.stops_tasks else "validation loss"
        for task in schedule.tasks_watched() if evaluated is not None else ():
            if task not in (evaluated or ()):
                problem = f"'{schedule.name}' follows the {what} of '{task}', which is never evaluated"
                yield Mistake(key, problem, remedy)


def _stopped_twice(schedules: Mapping[str, Schedule], tasks: Sequence[str]) -> Iterator[Mistake]:
    """Find tasks that two schedules would stop, each by scores of its own."""
    owners: dict[str, str] = {}
    for key, schedule in schedules.items():
        for task in (schedule.tasks_named() or tasks) if schedule.stops_tasks else ():
            if owners.setdefault(task, key) != key:
                problem = f"'{schedule.name}' may stop '{task}', and so may {owners[task]}"
                yield Mistake(key, problem, "Name other tasks in each of them.")
                break


def _frozen_out(schedules: Mapping[str, Schedule], encoder_trained: bool | None) -> Iterator[Mistake]:
    """Find the schedules that have steps for the encoder, where nothing of the encoder is trained."""
    remedy = "Leave the schedule out, or model.freeze and the heads that freeze the encoder."
    for key, schedule in schedules.items():
        if encoder_trained is False and "encoder" in schedule.groups():
            yield Mistake(key, f"'{schedule.name}' alternates, and nothing of the encoder is trained", remedy)


def _absent(schedules: Mapping[str, Schedule], parts: Parts) -> Iterator[Mistake]:
    """Find the groups to freeze that the model does not have."""
    for key, schedule in schedules.items():
        for group in schedule.groups():
            try:
                parts.trained([group])
            except ModelError as error:
                found = error.mistakes[0]
                yield Mistake(f"{key}.freeze", found.problem, found.remedy)


def _left_over(built: Mapping[str, Schedule], parts: Parts, run: Run) -> Iterator[Mistake]:
    """Find the first step without any task, and the first without any parameter to train."""
    schedules = Schedules(list(built.values()), run)
    names = ", ".join(schedule.name for schedule in schedules.schedules)
    everything, seen = parts.trained(["encoder", "heads"]), set[frozenset[ParameterGroup]]()
    nobody = False
    for step in schedules.steps_to_look_at() if schedules else ():
        effect = schedules.effect(step)
        if not nobody and not (effect.coefficients > 0).any():
            nobody = True
            yield Mistake("schedules", f"no task takes part in step {step:,} ({names})", "Let one of them stay.")
        if effect.frozen not in seen:
            seen.add(effect.frozen)
            if effect.frozen and parts.trained(effect.frozen) == everything:
                what = " and ".join(sorted(str(group) for group in effect.frozen))
                problem = f"nothing is trained in step {step:,}: {names} freeze {what}"
                yield Mistake("schedules", problem, "Leave one of them out.")
