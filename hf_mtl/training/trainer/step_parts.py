"""The parts that run and watch the optimizer steps of a training, built from its balancing methods."""

from dataclasses import dataclass

from torch import nn

from hf_mtl.schedules import Schedules
from hf_mtl.training.schedules.probes import Prober
from hf_mtl.training.schedules.scheduling import Scheduling
from hf_mtl.training.step.absent_tasks import AbsentTasks
from hf_mtl.training.step.beside_optimizer import BesideOptimizer
from hf_mtl.training.step.loss_pass import LossPass
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.step_maker import StepMaker
from hf_mtl.training.trainer.methods import Methods, Setting
from hf_mtl.training.trainer.step_callback import StepCallback
from hf_mtl.training.watch.balance_watch import BalanceWatch
from hf_mtl.training.watch.budget import Budget
from hf_mtl.training.watch.finite import FiniteWatch
from hf_mtl.training.watch.records import Records
from hf_mtl.training.watch.signals import TaskSignals


@dataclass(frozen=True)
class StepParts:
    """The parts of a training that its Trainer hands its steps to.

    Args:
        signals: Collects what is logged of the tasks.
        budget: Counts what is spent.
        records: Puts together what a record of the log says beside the Trainer's own.
        finite: Watches whether numbers are numbers.
        scheduling: Carries out the schedules.
        step_maker: Begins each step as what it needs to be.
        callback: Lists what happens around a step.
    """

    signals: TaskSignals
    budget: Budget
    records: Records
    finite: FiniteWatch
    scheduling: Scheduling
    step_maker: StepMaker
    callback: StepCallback


def build_step_parts(
    setting: Setting, methods: Methods, schedules: Schedules, scaler: LossScaler, beside: BesideOptimizer | None
) -> StepParts:
    """Build the parts that run and watch the steps.

    Args:
        setting: What they are built from.
        methods: The balancing methods.
        schedules: The schedules.
        scaler: Runs the backward passes that the Trainer does not.
        beside: Trains what the weighting learns, where the model's optimizer cannot.
    """
    model, sizes, processes, flops = setting.model, setting.streams.task_sizes, setting.processes, setting.flops
    names, objective = list(sizes), methods.objective
    signals = TaskSignals(sizes)
    through = [part for part in (model.encoder, model.private_adapters) if part is not None]
    budget = Budget(nn.ModuleList(through), flops, processes)
    trained: dict[str, nn.Module] = {"": model, "weighting.": methods.weighting}
    finite = FiniteWatch(names, trained, processes, str(setting.args.output_dir))
    prober = Prober(model, setting.rows, processes, flops)
    scheduling = Scheduling(schedules, prober, setting.mixture.learner, setting.tasks, signals)
    loss_pass = LossPass(model, names, processes, flops)
    step_maker = StepMaker(model, objective, loss_pass, methods.gradients, scaler, processes)
    callback = StepCallback(
        course=setting.course,
        steps=step_maker,
        heads=model.heads,
        absent=AbsentTasks(objective),
        scheduling=scheduling,
        scaler=scaler,
        processes=processes,
        finite=finite,
        signals=signals,
        balance=BalanceWatch(names, methods.weighting, processes.rank == 0),
        conflicts=methods.conflicts,
        budget=budget,
        beside=beside,
        gradients=methods.gradients,
        teleportation=methods.teleportation,
        samples=methods.samples,
    )
    records = Records(signals, methods.conflicts, budget, methods.gradients)
    return StepParts(signals, budget, records, finite, scheduling, step_maker, callback)
