"""The plan of a recipe: what it would do, without training it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hf_mtl.argument_sharding import sharing
from hf_mtl.data.collate import Collator
from hf_mtl.data.dealing import Deal
from hf_mtl.data.plan import StepPlan
from hf_mtl.data.token_checks import unknown_share
from hf_mtl.errors import Mistake, RunError
from hf_mtl.launched import of_whoever_trains
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.row_features import BY_ONEDNN
from hf_mtl.progress import no_bars
from hf_mtl.recipe import Recipe
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.figures import mixture_figure
from hf_mtl.reporting.plan import PlanSummary, StreamPlan, TaskPlan
from hf_mtl.reporting.style import is_drawn
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import shares_in_words
from hf_mtl.training.folder.output_place import refuse_place
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run.census import take_census
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare
from hf_mtl.training.schedules.scheduling import roster_of
from hf_mtl.training.step.optimizer import own_head_rates
from hf_mtl.training.trainer.argument_effects import CHECKPOINTING
from hf_mtl.training.trainer.trainer import MultiTaskTrainer

_OF_RUN = "mixture.png"
_MOST_WINDOWS = 10_000  # that are followed one by one
_MOST_DRAWN = 300  # that are followed one by one, and drawn step by step


@dataclass(frozen=True)
class MixtureOverTime:
    """The mixture over a whole run, window by window; of a very long run, a window stands for several.

    Args:
        steps: First step of each window, [W].
        rows: Expected rows of each stream in each window, and in those that it stands for, [W, S].
        labels: The same of each task: those of its stream's rows that have a label of it, [W, T].
        sizes: Training rows of each stream, [S].
    """

    steps: NDArray[np.int64]
    rows: NDArray[np.float64]
    labels: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each stream in each window, [W, S]."""
        return np.asarray(self.rows / self.rows.sum(axis=1, keepdims=True))

    @property
    def passes(self) -> NDArray[np.float64]:
        """Expected passes over each stream until the end of each window, [W, S]."""
        return np.asarray(np.cumsum(self.rows, axis=0) / self.sizes)


def plan_recipe(recipe: Recipe) -> tuple[PlanSummary, Path | None]:
    """Work out what training a recipe would do.

    Returns:
        The summary, and where the figure of the mixture over time is; None if it could not be drawn.

    Raises:
        UserError: As `run_recipe` would.
    """
    args = make_arguments(recipe, report_to="none", push_to_hub=False, **of_whoever_trains())
    folder = RunFolder(str(args.output_dir))
    folder.refuse_file()
    folder.refuse_unwritable()
    # What lies beside a run tells of that run: a later plan, maybe of another recipe, goes into a file of its own.
    figure = folder.figures / ("plan.png" if folder.exists else _OF_RUN)
    _check_figure(figure)
    refuse_place(recipe, folder)
    with no_bars(args.disable_tqdm):
        prepared = prepare(recipe, args, tokenizer_folder=None)
        model = prepared.new_model()
        prepared.check_rows("test", model)
        trainer = prepared.trainer(model)
    layout = _planned_layout(trainer, shared=sharing(recipe.training.options()) is not None)
    over_time = follow_mixture(trainer)
    there = not trainer.is_world_process_zero() or _draw(figure, trainer, over_time)
    data = tuple(take_census(name, item) for name, item in prepared.data.items())
    summary = replace(
        summarise(trainer, over_time),
        encoder_layout=layout,
        data=data,
        overlaps=prepared.overlaps,
        kept=_kept(trainer, prepared),
        draws={name: item.draws for name, item in prepared.data.items() if item.draws},
        imbalance=prepared.imbalance,
    )
    return summary, figure if there else None


def _kept(trainer: MultiTaskTrainer, prepared: Prepared) -> str:
    """Say what becomes of the tasks that are kept and have no rows to train on."""
    resting = prepared.resting
    if not resting:
        return ""
    moves = any(parameter.requires_grad for parameter in trainer.model.encoder.parameters())
    change = "the encoder under them is trained, so that their scores may change"
    scored = [name for name in resting if name in prepared.split("validation")]
    found = f"{', '.join(resting)}: the heads stay as they are; {change if moves else 'so does the encoder'}"
    return f"{found}; scored before and after: {', '.join(scored) or 'none, as none has rows'}"


def _planned_layout(trainer: MultiTaskTrainer, shared: bool) -> str:
    """Return how rows will reach the encoder, in words.

    Groups become one rectangle where processes share the model, which a plan's one process does not. Nor does it
    compile or run layers again, which leaves products to torch.
    """
    trainer.train_collator()  # settles it
    words, args = trainer.model.layout_words, trainer.args
    if args.torch_compile or getattr(args, CHECKPOINTING):
        words = words.removesuffix(BY_ONEDNN)
    if not shared or trainer.model.packs or args.encoder_layout == "padded":
        return words
    args.encoder_layout = "padded"
    return f"padded, as processes share the model, in place of {words.removesuffix(BY_ONEDNN)}"


def _draw(figure: Path, trainer: MultiTaskTrainer, over_time: MixtureOverTime) -> bool:
    """Draw the mixture over time, if that can be done."""
    # From the first step to the end of the last window: a run of one window is a line too.
    steps = np.append(over_time.steps, trainer.course.total_steps)
    shares = np.vstack([over_time.shares, over_time.shares[-1:]])
    passes = np.vstack([np.zeros_like(over_time.passes[:1]), over_time.passes])
    columns = {name: index for index, name in enumerate(trainer.mixture.sizes)}
    return drawn(
        figure,
        mixture_figure,
        steps,
        {name: shares[:, index] for name, index in columns.items()},
        {name: passes[:, index] for name, index in columns.items()},
    )


def redraw_mixture(folder: RunFolder, trainer: MultiTaskTrainer) -> None:
    """Draw the mixture of a run where a plan has drawn one, which may have been of other steps or another recipe.

    Args:
        folder: The run's folder.
        trainer: Its Trainer, before its first step.
    """
    figure = folder.figures / _OF_RUN
    if trainer.is_world_process_zero() and figure.is_file() and is_drawn(figure):
        _draw(figure, trainer, follow_mixture(trainer))


def _check_figure(figure: Path) -> None:
    if figure.exists() and not (figure.is_file() and is_drawn(figure)):
        remedy = "Move it away, or choose another folder with training.output_dir=FOLDER"
        raise RunError(
            Mistake("training.output_dir", f"{figure}: the plan would be drawn here; hf_mtl did not draw it", remedy)
        )


def follow_mixture(trainer: MultiTaskTrainer) -> MixtureOverTime:
    """Follow the mixture through the run; what is learned, or follows evaluations, stays as it begins."""
    window, total = trainer.args.window_steps, trainer.course.total_steps
    most = _MOST_DRAWN if trainer.schedules else _MOST_WINDOWS
    apart = window * max(1, math.ceil(total / window / most))
    steps = np.arange(0, max(total, 1), apart)
    lengths = np.minimum(steps + apart, total) - steps
    moves = steps if trainer.mixture.anneal is not None else steps[:1]
    probabilities = [np.array(list(trainer.mixture.probabilities(at / max(total, 1)).values())) for at in moves]
    probabilities *= len(steps) // len(probabilities)
    if trainer.schedules:
        rows, labels = _drawn(trainer, probabilities, steps, lengths)
    else:
        planner = trainer.steps.planner
        of_step = [
            planner.rows_per_step * p if planner.one_task_per_step else planner.expected_rows(p)
            for p in probabilities
        ]
        rows = np.stack(of_step) * lengths[:, None]
        labels = trainer.streams.per_task(rows)
    return MixtureOverTime(steps, rows, labels, np.array(list(trainer.mixture.sizes.values())))


def _drawn(
    trainer: MultiTaskTrainer,
    probabilities: Sequence[NDArray[np.float64]],
    steps: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the rows of streams, and of tasks, in each window as training will: who sits out a step is a draw too."""
    planner, streams, rows, labels = trainer.steps.planner, trainer.streams, [], []
    first = planner.first_window(probabilities[0])
    for start, length, its in zip(steps.tolist(), lengths.tolist(), probabilities, strict=True):
        roster = roster_of(trainer.schedules, start, planner.window_steps)
        state = replace(first, start=start, probabilities=its)
        counts, _ = planner.window_counts(state, streams.roster(roster, planner.seed, start))
        drawn = counts[:length]
        rows.append(drawn.sum(axis=0) * (length / len(drawn)))
        present = roster.present(planner.seed, start)[:length]
        labels.append((streams.per_task(drawn.astype(np.float64)) * present).sum(axis=0) * (length / len(drawn)))
    return np.array(rows, dtype=np.float64), np.array(labels, dtype=np.float64)


def _streams(trainer: MultiTaskTrainer, over_time: MixtureOverTime) -> tuple[StreamPlan, ...]:
    """Say which tasks share rows, and what gradients of single tasks cost there."""
    rows, steps = over_time.rows.sum(axis=0), max(trainer.course.total_steps, 1)
    apart = trainer.task_gradients is not None
    return tuple(
        StreamPlan(stream, tuple(tasks), size, float(drawn) / steps, apart)
        for (stream, tasks), size, drawn in zip(
            trainer.streams.names.items(), trainer.streams.sizes.values(), rows.tolist(), strict=True
        )
        if len(tasks) > 1
    )


def summarise(trainer: MultiTaskTrainer, over_time: MixtureOverTime) -> PlanSummary:
    """Put the plan of a trainer in numbers."""
    assert trainer.train_dataset is not None
    total = trainer.course.total_steps
    rows = over_time.labels.sum(axis=0)
    tasks = [
        TaskPlan(
            name=name,
            rows=len(split),
            share=float(rows[index] / rows.sum()),
            rows_per_step=float(rows[index]) / max(total, 1),
            passes=float(rows[index] / len(split)),
            truncated_rows=split.truncated,
            mean_tokens=split.tokens.total_tokens / len(split),
            unknown_share=unknown_share(split.tokens, trainer.processing_class),
            cut=_own_cut(trainer.tasks[name]),
        )
        for index, (name, split) in enumerate(trainer.train_dataset.items())
    ]
    real, padded, micro_batches = first_window(trainer)
    parameters = list(trainer.model.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    run = trainer.schedules.run
    return PlanSummary(
        tasks=tuple(tasks),
        streams=_streams(trainer, over_time),
        rows_per_step=trainer.course.rows_per_step,
        steps=total,
        epochs=total / trainer.course.steps_per_epoch,
        trainable_parameters=_size(trainable),
        total_parameters=_size(parameters),
        real_tokens=real,
        padded_tokens=padded,
        encoder_layout=trainer.model.layout_words,
        micro_batches=micro_batches,
        heads=tuple(_heads(trainer.model)),
        schedules=tuple(f"{item.name}: {item.summary(run)}" for item in trainer.schedules.schedules),
        looks=_looks(trainer),
    )


def _heads(model: MultiTaskModel) -> Iterator[str]:
    """Say what tasks ask of their heads beside the kind."""
    yield from shares_in_words(model.tasks)
    for name, rate in own_head_rates(model).items():
        yield f"{name}: learning rate {rate:g}"


def _own_cut(task: Task) -> str:
    """Say how a task cuts its texts; empty where the model and its tokenizer say it."""
    asked = [] if task.max_length is None else [f"cut to {task.max_length:,} tokens"]
    if task.truncation_side is not None:
        asked.append(f"cut at their {'beginning' if task.truncation_side == 'left' else 'end'}")
    return ", ".join(asked).replace(", cut", "")


def _looks(trainer: MultiTaskTrainer) -> str:
    """Say what looking at the tasks' gradients for the mixture costs, in rows forward and backward."""
    learner, total = trainer.mixture.learner, trainer.course.total_steps
    if learner is None or not learner.rows_of_look:
        return ""
    looks = sum(learner.looks_before(step) for step in range(total + 1))
    rows = looks * sum(min(size, learner.rows_of_look) // 2 * 2 for size in trainer.mixture.sizes.values())
    trained = total * trainer.course.rows_per_step
    on_each = " on each process" if trainer.processes.world > 1 else ""
    return (
        f"{learner.name}: {looks:,} looks at the tasks' gradients, {rows:,} rows forward and backward{on_each} "
        f"beside {trained:,} of training ({rows * trainer.processes.world / max(trained, 1):.1%} more)"
    )


def _size(parameters: Sequence[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def first_window(trainer: MultiTaskTrainer) -> tuple[int, int, tuple[int, int]]:
    """Count what the first window's steps have, as they would be dealt and grouped.

    Returns:
        Real tokens, padded tokens, and the fewest and most micro-batches of each process in a step.
    """
    collator, deal = trainer.train_collator(), trainer.deal()
    steps = range(min(trainer.args.window_steps, trainer.course.total_steps))
    counts = [_of_step(trainer.steps.plan(step), collator, deal) for step in steps]
    real, padded = sum(one.real for one in counts), sum(one.padded for one in counts)
    micro_batches = [one.micro_batches for one in counts] or [1]
    return real, real if trainer.model.packs else padded, (min(micro_batches), max(micro_batches))


class _Counts(NamedTuple):
    """What a step has: tokens, tokens with padding, and micro-batches of each process."""

    real: int
    padded: int
    micro_batches: int


def _of_step(plan: StepPlan, collator: Collator, deal: Deal) -> _Counts:
    lengths, padded = collator.lengths(plan.tasks, plan.rows).astype(np.int64), 0
    parts = deal.parts(plan, lengths, collator.group_cost is not None)
    for mine in (lengths[np.intersect1d(part, plan.encoded)] for part in parts if len(part)):
        padded += sum(len(group) * int(mine[group].max()) for group in collator.by_length(mine))
    return _Counts(int(lengths[plan.encoded].sum()), padded, len(parts) // deal.world)
