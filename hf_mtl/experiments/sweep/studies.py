"""The studies of a sweep, one for each arm, which any number of workers share."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.results import Record, Results
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.file import Sweep
from hf_mtl.experiments.sweep.pruning import make_pruner
from hf_mtl.experiments.sweep.sampling import Stage, sampler_of, stage_of
from hf_mtl.experiments.sweep.storage import (
    IDENTITY,
    RESULTS,
    name_of,
    open_storage,
    refuse_lost,
    refuse_other_study,
)

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

_PAUSE_S = 0.05


@dataclass(frozen=True)
class Job:
    """A trial that this process alone may run.

    Args:
        arm: Its arm.
        trial: The trial of the study.
        drawn: What was drawn, by key; of the default only the keys whose values the space has.
        stage: How it was drawn.
        folder: The folder of its run, which a worker that was killed may have begun.
    """

    arm: Arm
    trial: "Trial"
    drawn: dict[str, Any]
    stage: Stage
    folder: Path

    @property
    def number(self) -> int:
        """Return the trial's number in its arm, from 0."""
        return int(self.trial.number)

    @property
    def values(self) -> dict[str, Any]:
        """Return the values of the recipe's keys, as the results have them."""
        return {item.key: item.value(self.drawn[item.key]) for item in self.arm.space if item.key in self.drawn}


class Studies:
    """The studies of a sweep, and the file of what their trials have come to.

    A trial is asked for, and told of, under one lock that all workers share; who runs one holds a lock of its own,
    which ends with its process. A trial that is running and that nobody holds is therefore one whose worker has
    ended: the next worker goes on with its run. So there are never more trials than were asked for, and none is
    lost.

    Args:
        sweep: The sweep.
        identity: What the sweep is, which a study of another one is not.
    """

    def __init__(self, sweep: Sweep, identity: str):
        self.sweep = sweep
        self.results = Results(sweep.output_dir / RESULTS)
        self.claims = sweep.output_dir / "claims"
        self._identity = identity
        self._storage = open_storage(sweep)
        self._studies = {arm.name: self._open(arm) for arm in sweep.arms}
        with self.alone():
            for arm in sweep.arms:
                self._refuse_other_results(arm)

    def _refuse_other_results(self, arm: Arm) -> None:
        """Refuse results that are not those of the study: one of the two files was lost, or is of another time."""
        recorded = {
            int(item["trial"]) for item in self.results.all() if item["kind"] == "trial" and item["arm"] == arm.name
        }
        refuse_lost(self.sweep, arm.name, self.trials(arm.name), recorded)

    def _open(self, arm: Arm) -> "Study":
        import optuna

        name = name_of(self.sweep, arm)
        direction = "maximize" if self.sweep.maximize else "minimize"
        with self.alone():
            study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction=direction,
                pruner=make_pruner(self.sweep.pruning),
                load_if_exists=True,
            )
            known = study.user_attrs.get(IDENTITY)
            if known is None:
                study.set_user_attr(IDENTITY, self._identity)
            else:
                refuse_other_study(name, known, self._identity)
        return study

    def study(self, arm: str) -> "Study":
        """Return the study of an arm."""
        return self._studies[arm]

    def trials(self, arm: str) -> "list[FrozenTrial]":
        """Return all trials of an arm, as they are now."""
        found: list[FrozenTrial] = self._studies[arm].get_trials(deepcopy=False)
        return found

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other workers from asking and telling while the block runs."""
        while True:
            with claim(self.claims / "study") as mine:
                if mine:
                    yield
                    return
            time.sleep(_PAUSE_S)

    @contextmanager
    def next(self) -> Iterator[Job | None]:
        """Yield a trial to run, which nobody else takes meanwhile; None: all are finished, or others run them."""
        with ExitStack() as held:
            with self.alone():
                job = self._left_behind(held) or self._new(held)
            yield job

    def finish(self, job: Job, record: Record) -> None:
        """Keep what a trial has come to."""
        with self.alone():
            self.results.add(record)
            self._tell(job.arm.name, record)

    def is_done(self) -> bool:
        """Tell whether every trial that was asked for has ended."""
        counts = [sum(trial.state.is_finished() for trial in self.trials(arm.name)) for arm in self.sweep.arms]
        return bool(min(counts) >= self.sweep.trials)

    def _held(self, arm: Arm, number: int, held: ExitStack) -> bool:
        mine: bool = held.enter_context(claim(self.claims / f"{arm.name}-trial-{number}"))
        return mine

    def _left_behind(self, held: ExitStack) -> Job | None:
        """Return a trial whose worker has ended before it."""
        import optuna

        for arm in self.sweep.arms:
            for found in self.trials(arm.name):
                if found.state != optuna.trial.TrialState.RUNNING or not self._held(arm, found.number, held):
                    continue
                record = self.results.find(kind="trial", arm=arm.name, trial=found.number)
                if record is None:
                    study = self._sampling(arm, found.number)
                    return self._job(arm, found.number, optuna.trial.Trial(study, found._trial_id))
                self._tell(arm.name, record)  # its worker ended between the two files
        return None

    def _new(self, held: ExitStack) -> Job | None:
        """Return a trial of the arm that has fewest, until all arms have as many as were asked for."""
        import optuna

        waiting = optuna.trial.TrialState.WAITING
        states = {arm.name: [trial.state for trial in self.trials(arm.name)] for arm in self.sweep.arms}
        begun = {name: sum(state != waiting for state in found) for name, found in states.items()}
        arm = min(self.sweep.arms, key=lambda item: begun[item.name])
        number = begun[arm.name]
        if number >= self.sweep.trials or not self._held(arm, number, held):
            return None
        study = self._sampling(arm, number)
        if number == 0 and waiting not in states[arm.name]:  # there is one if a worker has ended just here
            study.enqueue_trial(arm.default())
        return self._job(arm, number, study.ask())

    def _sampling(self, arm: Arm, number: int) -> "Study":
        study = self._studies[arm.name]
        study.sampler = sampler_of(number, self.sweep.startup, self.sweep.seed)
        return study

    def _job(self, arm: Arm, number: int, trial: "Trial") -> Job:
        given = arm.default() if number == 0 else None
        space = [item for item in arm.space if given is None or item.key in given]
        drawn = {item.key: item.suggest(trial) for item in space}
        stage = stage_of(number, self.sweep.startup)
        return Job(arm, trial, drawn, stage, self.sweep.folder(arm.name, number))

    def _tell(self, arm: str, record: Record) -> None:
        import optuna

        state = optuna.trial.TrialState[_STATES[record["state"]]]
        value = record["value"] if record["state"] == "complete" else None
        self._studies[arm].tell(record["trial"], value, state, skip_if_finished=True)


_STATES = {"complete": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}
"""Ends of a trial, as the results name them, and optuna's words."""
