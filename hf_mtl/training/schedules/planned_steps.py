"""The plan of a run: the mixture and the schedules say which rows make each step."""

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.course import Course
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import Planner
from hf_mtl.data.roster import Roster
from hf_mtl.data.steps import StepSource
from hf_mtl.data.streams import Streams
from hf_mtl.schedules import Schedules
from hf_mtl.training.schedules.scheduling import roster_of


def plan_steps(
    mixture: Mixture,
    schedules: Schedules,
    course: Course,
    args: MultiTaskTrainingArguments,
    streams: Streams | None = None,
) -> StepSource:
    """Make the plans of a run, from its first step on.

    Args:
        mixture: The mixture.
        schedules: The schedules; what they, or a learned temperature, have seen takes effect when a window begins.
        course: Knows the lengths of the run.
        args: The training arguments.
        streams: The tasks of each stream that the mixture speaks of; None: each task is one.
    """

    def roster(start: int) -> Roster:
        return roster_of(schedules, start, args.window_steps)

    def begin_window(step: int) -> None:
        schedules.begin_window(step)
        if mixture.learner is not None:
            mixture.learner.begin_window(step)

    planner = Planner(
        mixture.sizes,
        course.rows_per_step,
        seed=args.data_seed if args.data_seed is not None else args.seed,
        window_steps=args.window_steps,
        min_per_task=mixture.min_per_task,
        one_task_per_step=mixture.one_task_per_step,
    )
    return StepSource(mixture, planner, course, roster, begin_window, streams)
