"""The balancing methods of a run, with everything that carries them out in its steps."""

from collections.abc import Mapping
from dataclasses import dataclass

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.balancing import OF_GRADIENTS, GradientAggregator, LossWeighting, Spec, Teleporting
from hf_mtl.data.course import Course
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.streams import Streams
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from hf_mtl.tasks import Task
from hf_mtl.training.step.balancing import make_aggregator, make_weighting
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.task_gradients import TaskGradients
from hf_mtl.training.step.teleportation import Teleportation
from hf_mtl.training.watch.conflicts import ConflictLog, SampledConflicts


@dataclass(frozen=True)
class Setting:
    """Everything that the parts of a training are built from.

    Args:
        model: The model.
        args: The training arguments.
        tasks: The tasks that are trained, in task order.
        streams: Which of them share rows.
        mixture: How often each stream is drawn.
        course: How long the run is.
        rows: The training rows.
        processes: This process among the others.
        flops: The count of floating point operations.
    """

    model: MultiTaskModel
    args: MultiTaskTrainingArguments
    tasks: Mapping[str, Task]
    streams: Streams
    mixture: Mixture
    course: Course
    rows: TrainRows
    processes: Processes
    flops: Flops


@dataclass(frozen=True)
class Methods:
    """The balancing methods of a run, and what carries them out.

    Args:
        weighting: The loss weighting.
        objective: Makes one scalar of the losses of a step.
        conflicts: Collects what is logged of task gradients.
        gradients: Forms the gradients of single tasks; None: no method wants any.
        teleportation: Searches other points; None: the aggregator does not.
        samples: Measures conflicts; None: they are known anyhow, or nobody asked.
    """

    weighting: LossWeighting
    objective: Objective
    conflicts: ConflictLog
    gradients: TaskGradients | None
    teleportation: Teleportation | None
    samples: SampledConflicts | None


def build_methods(spec: Spec, setting: Setting) -> Methods:
    """Build the balancing methods, and what measures conflicts where none of them does.

    Args:
        spec: The balancing section.
        setting: What they are built from.

    Raises:
        UserError: If a method refuses its options.
    """
    names, args, course = list(setting.tasks), setting.args, setting.course
    weighting = make_weighting(
        spec,
        setting.tasks,
        setting.mixture,
        setting.streams.task_sizes,
        steps_per_epoch=course.steps_per_epoch,
        total_steps=course.total_steps,
        seed=args.seed,
    ).to(args.device)
    aggregator = make_aggregator(spec, list(setting.tasks), setting.mixture, args.seed)
    objective = Objective(
        names,
        weighting,
        setting.processes,
        [item for item in setting.model.heads.penalty_names if item[0] in setting.tasks],
        spec.exposure,
        spec.exact_accumulation,
    )
    gradients = _gradients(spec, weighting, aggregator, setting)
    teleportation = _teleportation(aggregator, setting)
    conflicts = ConflictLog(names)
    samples = None
    in_parts = bool(args.fsdp or args.deepspeed)  # no process has a whole gradient to sample
    if aggregator is None and len(names) > 1 and spec.gradients.log_every and not in_parts:
        of_model = (setting.model, setting.rows, args)
        samples = SampledConflicts(*of_model, conflicts, spec.gradients, setting.flops)
    return Methods(weighting, objective, conflicts, gradients, teleportation, samples)


def _gradients(
    spec: Spec, weighting: LossWeighting, aggregator: GradientAggregator | None, setting: Setting
) -> TaskGradients | None:
    """Build what forms the gradients of single tasks, where a method wants them."""
    # One task has no other to be balanced against; an aggregator of one row may still change it.
    wanted = len(setting.tasks) > 1 and bool(weighting.needs & OF_GRADIENTS)
    if aggregator is None and not wanted:
        return None
    methods = (weighting, aggregator, spec.gradients)
    return TaskGradients(setting.model, *methods, setting.rows, setting.processes, setting.flops)


def _teleportation(aggregator: GradientAggregator | None, setting: Setting) -> Teleportation | None:
    if not isinstance(aggregator, Teleporting):
        return None
    of_run = (setting.rows, setting.course, setting.processes, setting.flops)
    return Teleportation(setting.model, aggregator, *of_run)
