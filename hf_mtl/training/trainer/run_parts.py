"""The parts that a Trainer trains with, built and checked in the order in which they need each other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hf_mtl.data.collate import Collator
from hf_mtl.data.course import Course
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.steps import StepSource
from hf_mtl.data.stream_names import in_streams
from hf_mtl.data.streams import Streams
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.schedules import Schedules, build_schedules, run_of
from hf_mtl.training.schedules.doubts import MainTask, say_doubts
from hf_mtl.training.schedules.planned_steps import plan_steps
from hf_mtl.training.schedules.schedule_checks import follows_evaluations, planned_evaluations
from hf_mtl.training.step.beside_optimizer import BesideOptimizer
from hf_mtl.training.step.flops import Flops
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.trainer.argument_checks import check_length
from hf_mtl.training.trainer.ddp_checks import check_ddp
from hf_mtl.training.trainer.feed import Feed
from hf_mtl.training.trainer.methods import Methods, Setting, build_methods
from hf_mtl.training.trainer.own_optimizer import check_fused, check_own_optimizer
from hf_mtl.training.trainer.run_identity import RunIdentity, identity_of
from hf_mtl.training.trainer.scoring_trainer import ScoringTrainer
from hf_mtl.training.trainer.sections import Sections, check_course, check_methods
from hf_mtl.training.trainer.setup import fit_statistics
from hf_mtl.training.trainer.sharding import check_device, check_sharded
from hf_mtl.training.trainer.step_parts import StepParts, build_step_parts
from hf_mtl.training.trainer.stub_builds import check_builds


@dataclass(frozen=True)
class RunParts:
    """Everything that a Trainer trains with.

    Args:
        streams: Which tasks share rows.
        mixture: How often each stream is drawn.
        course: How long the run is.
        feed: Deals the planned steps to this process.
        methods: The balancing methods.
        schedules: What changes in the course of the run.
        identity: What must stay as it is when the run is resumed.
        steps: The plan of the run.
        of_steps: Runs and watches the steps.
        beside: Trains what the weighting learns, where the model's optimizer cannot; None: there it can.
    """

    streams: Streams
    mixture: Mixture
    course: Course
    feed: Feed
    methods: Methods
    schedules: Schedules
    identity: RunIdentity
    steps: StepSource
    of_steps: StepParts
    beside: BesideOptimizer | None


def build_run_parts(
    trainer: ScoringTrainer,
    train: Mapping[str, EncodedSplit],
    sections: Sections,
    collator: Collator,
    flops: Flops,
) -> RunParts:
    """Build what training needs, and refuse at once what would fail later.

    Args:
        trainer: The Trainer; its model gets the statistics that losses need.
        train: The rows to train on, by task.
        sections: What the Trainer was told beside its arguments.
        collator: Makes batches of the rows.
        flops: The count of floating point operations.

    Raises:
        UserError: If the parts do not fit together, the model, or the arguments.
    """
    args, model, processes = trainer.args, trainer.model, trainer.processes
    sizes = {name: len(split) for name, split in train.items()}
    fit_statistics(model, train, args.refit_statistics)
    streams = Streams.of(train)
    sections = replace(sections, mixture=in_streams(sections.mixture, streams.names))
    check_methods(sections, model, args, streams)
    mixture = Mixture(streams.sizes, **sections.mixture.options())
    course = Course(args, sizes, processes, rows=sum(streams.sizes.values()))
    check_length(course.total_steps)
    rows = TrainRows(collator, args.seed, args.device)
    tasks = {name: trainer.tasks[name] for name in sizes}
    setting = Setting(model, args, tasks, streams, mixture, course, rows, processes, flops)
    methods = build_methods(sections.balancing, setting)
    check_fused(args, methods.weighting, model)
    check_own_optimizer(trainer.optimizer, trainer.lr_scheduler, methods.weighting, model, args)
    schedules, identity = _schedules(trainer, train, sections, setting)
    check_ddp(args, len(sizes), methods.gradients is None and not trainer.is_sharded, schedules)
    check_device(trainer)
    if trainer.is_sharded:
        check_sharded(trainer, schedules)
    check_builds(trainer, course.total_steps)
    steps = plan_steps(mixture, schedules, course, args, streams)
    if trainer.is_world_process_zero():
        say_doubts(mixture, schedules, model, args, args.window_steps, _main(methods, setting))
    beside = BesideOptimizer(methods.weighting, args) if trainer.is_sharded else None
    of_steps = build_step_parts(setting, methods, schedules, LossScaler(trainer.accelerator), beside)
    feed = Feed(args, course, processes)
    return RunParts(streams, mixture, course, feed, methods, schedules, identity, steps, of_steps, beside)


def _main(methods: Methods, setting: Setting) -> MainTask | None:
    """Return the task that the aggregator holds the others against; None: it holds none."""
    aggregator = None if methods.gradients is None else methods.gradients.aggregator
    if aggregator is None or aggregator.main is None:
        return None
    name, rows, streams = list(setting.tasks)[aggregator.main], setting.course.rows_per_step, setting.streams
    stream = list(streams.members)[streams.of_task[aggregator.main]]
    return MainTask(name, stream, rows * streams.task_sizes[name] / streams.sizes[stream])


def _schedules(
    trainer: ScoringTrainer, train: Mapping[str, EncodedSplit], sections: Sections, setting: Setting
) -> tuple[Schedules, RunIdentity]:
    """Build the schedules; with them it is known what makes the run this one."""
    run, evaluation = run_of(setting.course), trainer.eval_dataset or {}
    evaluated = list(evaluation) if planned_evaluations(setting.args, run) else []
    check_course(sections, setting.model, setting.tasks, setting.streams, evaluated, run)
    schedules = build_schedules(sections.schedules, list(setting.tasks), setting.course)
    follows = follows_evaluations(schedules, setting.mixture.learner)
    splits = {"train": train, "eval": evaluation}
    return schedules, identity_of(setting.args, setting.model.config, sections, splits, follows)
