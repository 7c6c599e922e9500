"""The sections of a Trainer, read once, and checked against its model and its run."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from transformers import TrainingArguments

import hf_mtl.balancing as of_balancing
import hf_mtl.data.mixture as of_mixture
import hf_mtl.data.section as of_data
import hf_mtl.schedules as of_schedules
from hf_mtl.argument_sharding import sharing
from hf_mtl.data.streams import Streams
from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.evaluation import headline_keys
from hf_mtl.gradients import shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.freezing import upper_parameters
from hf_mtl.signatures import Options
from hf_mtl.tasks import Task
from hf_mtl.training.schedules.frozen_groups import FrozenGroups


@dataclass(frozen=True)
class Sections:
    """Hold what a Trainer is told beside its arguments.

    Args:
        data: What is done with the rows of all tasks.
        mixture: How often each task is drawn.
        balancing: How many losses become one update.
        schedules: What changes in the course of the run.
    """

    data: of_data.Spec
    mixture: Options
    balancing: of_balancing.Spec
    schedules: of_schedules.Spec


def read_sections(
    data: object, mixture: object, balancing: object, schedules: object, mistakes: list[Mistake]
) -> Sections:
    """Read the sections as they were given: in plain values, or as a recipe has read them before.

    Args:
        data: What is done with the rows of all tasks; None: the defaults.
        mixture: Options of `hf_mtl.data.Mixture`; None: the defaults.
        balancing: The methods and their options; None: equal weighting.
        schedules: A list of schedules.
        mistakes: Receives everything that is wrong.

    Returns:
        The sections, without the parts that are wrong.
    """
    if not isinstance(data, of_data.Spec):
        mistakes += [
            Mistake(f"data.{key}", "is of recipes: a Trainer's rows have been read", "Give the rows themselves.")
            for key in of_data.OF_RECIPES
            if isinstance(data, Mapping) and key in data
        ]
    return Sections(
        of_data.parse(data, mistakes),
        of_mixture.parse(mixture, mistakes),
        of_balancing.parse(balancing, mistakes),
        of_schedules.parse(schedules, mistakes),
    )


def check_methods(sections: Sections, model: MultiTaskModel, args: TrainingArguments, streams: Streams) -> None:
    """Refuse a mixture and balancing methods that cannot work with the model or the arguments.

    Args:
        sections: The sections.
        model: The model, as it will be trained.
        args: The training arguments.
        streams: The tasks that are trained, by what is drawn.

    Raises:
        UserError: With everything that is wrong.
    """
    parts, shared = _parts(model), sharing(vars(args))
    alone = bool(sections.mixture.settled()["one_task_per_step"])
    facts = of_balancing.Facts(streams.tasks, bool(args.torch_compile), parts, model.dtype, shared, alone)
    drawn = of_mixture.Facts.of(streams.names, None, shared, parts["all"] == "trained")
    wrong = of_mixture.mistakes(sections.mixture, drawn)
    if wrong := [*wrong, *of_balancing.mistakes(sections.balancing, facts)]:
        raise UserError(wrong)


def check_course(
    sections: Sections,
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    streams: Streams,
    evaluated: Collection[str],
    run: of_schedules.Run,
) -> None:
    """Refuse schedules and learners that would do nothing in a run, or fail in the middle of it.

    Args:
        sections: The sections.
        model: The model, as it will be trained.
        tasks: The tasks that are trained.
        streams: The same, by what is drawn.
        evaluated: Those of which there are evaluations while training.
        run: How long the run is.

    Raises:
        UserError: With everything that is wrong.
    """
    scored = [name for name in evaluated if name in tasks and headline_keys(tasks[name])]
    wrong = of_mixture.mistakes(sections.mixture, of_mixture.Facts.of(streams.names, scored))
    groups = FrozenGroups(model)
    facts = of_schedules.Facts(list(tasks), evaluated, groups.trained(["encoder"]) > 0, groups, run)
    if wrong := [*of_schedules.mistakes(sections.schedules, facts), *wrong]:
        raise UserError(wrong)


def _parts(model: MultiTaskModel) -> dict[str, of_balancing.State]:
    """Say which of the parameters that a method's scope may name are trained, and which there are not."""
    parts: dict[str, of_balancing.State] = {"all": "trained" if shared_parameters(model) else "frozen"}
    for scope in of_balancing.UPPER:
        try:
            parts[scope] = "trained" if upper_parameters(model.encoder, scope) else "frozen"
        except ModelError:
            parts[scope] = "absent"
    return parts
