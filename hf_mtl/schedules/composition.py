"""Several schedules as one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hf_mtl.errors import CheckpointError, Mistake
from hf_mtl.schedules.base import Effect, Group, Run, Schedule

_STEPS_LOOKED_AT = 200_000  # a few seconds


class Schedules:
    """The schedules of a run: their effects together.

    Args:
        schedules: The schedules, in the recipe's order.
        run: Answers what they may know of the run.
    """

    def __init__(self, schedules: Sequence[Schedule], run: Callable[[], Run]):
        self.schedules = list(schedules)
        self._run = run

    def __bool__(self) -> bool:
        return bool(self.schedules)

    @property
    def run(self) -> Run:
        """What they may know of the run."""
        return self._run()

    @property
    def groups(self) -> list[Group]:
        """The parameter groups that any of them freezes in some steps."""
        return list(dict.fromkeys(group for schedule in self.schedules for group in schedule.groups()))

    def effect(self, step: int) -> Effect:
        """All effects on an optimizer step."""
        run = self._run()
        effect = Effect.none(len(run.tasks))
        for schedule in self.schedules:
            effect = effect & schedule.effect(step, run)
        return effect

    def steps_to_look_at(self) -> Sequence[int]:
        """Every step; of a very long run, some that are spread evenly, with the first and the last."""
        total = self.run.total_steps
        if total <= _STEPS_LOOKED_AT:
            return range(total)
        return [place * (total - 1) // (_STEPS_LOOKED_AT - 1) for place in range(_STEPS_LOOKED_AT)]

    def begin_window(self, step: int) -> None:
        """Let what was observed take effect."""
        for schedule in self.schedules:
            schedule.begin_window(step, self._run())

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Tell all of them the training losses of the tasks that a step had."""
        for schedule in self.schedules:
            schedule.observe_losses(step, losses)

    def observe_evaluation(self, step: int, losses: Mapping[str, float]) -> None:
        """Tell all of them the validation losses of the tasks."""
        for schedule in self.schedules:
            schedule.observe_evaluation(step, losses)

    def probes(self, step: int) -> list[tuple[Schedule, list[str]]]:
        """The schedules that want something measured before a step, and of which tasks."""
        due = [(schedule, list(schedule.probe_due(step, self._run()))) for schedule in self.schedules]
        return [(schedule, tasks) for schedule, tasks in due if tasks]

    def state_dict(self) -> dict[str, Any]:
        """The state of each, in order."""
        return {"schedules": [[schedule.name, schedule.state_dict()] for schedule in self.schedules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off.

        Raises:
            CheckpointError: If the checkpoint is of a run with other schedules.
        """
        saved, here = [entry[0] for entry in state["schedules"]], [schedule.name for schedule in self.schedules]
        if saved != here:
            raise CheckpointError(f"the checkpoint belongs to another run: schedules are {here}, it has {saved}")
        for schedule, (_, values) in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(values)


def unwatched(schedules: Sequence[Schedule], evaluated: Collection[str]) -> list[Mistake]:
    """The schedules that wait for validation losses which never come.

    Args:
        schedules: The schedules, in the recipe's order.
        evaluated: The tasks that are evaluated while training.
    """
    return [
        Mistake(
            f"schedules.{place}",
            f"'{schedule.name}' follows the validation loss of '{task}', which is never evaluated",
            "Set training.eval_strategy, and give the task a validation split; or set signal: training",
        )
        for place, schedule in enumerate(schedules)
        for task in schedule.tasks_watched()
        if task not in evaluated
    ]


def frozen_out(schedules: Sequence[Schedule]) -> list[Mistake]:
    """The schedules that have steps for the encoder, where nothing of the encoder is trained.

    Args:
        schedules: The schedules, in the recipe's order.
    """
    remedy = "Leave the schedule out, or model.freeze and the heads that freeze the encoder"
    return [
        Mistake(f"schedules.{place}", f"'{item.name}' alternates, and nothing of the encoder is trained", remedy)
        for place, item in enumerate(schedules)
        if "encoder" in item.groups()
    ]
