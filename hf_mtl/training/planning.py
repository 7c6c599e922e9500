"""What a recipe would do, without training it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.collate import Collator, length_groups
from hf_mtl.data.plan import StepPlan, partition
from hf_mtl.recipe import Recipe
from hf_mtl.reporting.figures import mixture_figure
from hf_mtl.reporting.plan import PlanSummary, TaskPlan
from hf_mtl.training.prepare import make_arguments, prepare
from hf_mtl.training.trainer import MultiTaskTrainer


@dataclass(frozen=True)
class Course:
    """The mixture over a whole run, window by window.

    Args:
        steps: First step of each window, [S].
        shares: Expected share of each task, [S, T].
        passes: Expected passes over each task until the end of each window, [S, T].
    """

    steps: NDArray[np.int64]
    shares: NDArray[np.float64]
    passes: NDArray[np.float64]


def plan_recipe(recipe: Recipe) -> tuple[PlanSummary, Path]:
    """Work out what training a recipe would do.

    Returns:
        The summary, and where the figure of the mixture over time was drawn.

    Raises:
        UserError: As `run_recipe` would.
    """
    args = make_arguments(recipe, report_to="none", push_to_hub=False)
    prepared = prepare(recipe, args, tokenizer_folder=None)
    trainer = prepared.trainer(prepared.new_model())
    course = mixture_course(trainer)
    figure = Path(str(args.output_dir)) / "figures" / "mixture.png"
    if trainer.is_world_process_zero():
        figure.parent.mkdir(parents=True, exist_ok=True)
        # From the first step to the end of the last window: a run of one window is a line too.
        steps = np.append(course.steps, trainer.total_steps)
        shares = np.vstack([course.shares, course.shares[-1:]])
        passes = np.vstack([np.zeros_like(course.passes[:1]), course.passes])
        columns = {name: index for index, name in enumerate(trainer.mixture.sizes)}
        mixture_figure(
            figure,
            steps,
            {name: shares[:, index] for name, index in columns.items()},
            {name: passes[:, index] for name, index in columns.items()},
        )
    return summarise(trainer, course), figure


def mixture_course(trainer: MultiTaskTrainer) -> Course:
    """Follow the mixture through the run; learned parts stay as they begin."""
    window, total = trainer.args.window_steps, trainer.total_steps
    steps = np.arange(0, max(total, 1), window)
    planner, rows = trainer.steps.planner, trainer.rows_per_step
    probabilities = [list(trainer.mixture.probabilities(step / max(total, 1)).values()) for step in steps]
    if planner.one_task_per_step:
        expected = rows * np.array(probabilities)
    else:
        expected = np.stack([planner.expected_rows(np.array(p)) for p in probabilities])
    lengths = np.minimum(steps + window, total) - steps
    sizes = np.array(list(trainer.mixture.sizes.values()))
    passes = np.cumsum(expected * lengths[:, None], axis=0) / sizes
    return Course(steps, expected / rows, passes)


def summarise(trainer: MultiTaskTrainer, course: Course) -> PlanSummary:
    """Put the plan of a trainer in numbers."""
    assert trainer.train_dataset is not None
    total = trainer.total_steps
    weights = np.minimum(course.steps + trainer.args.window_steps, total) - course.steps
    shares = (course.shares * weights[:, None]).sum(axis=0) / max(weights.sum(), 1)
    tasks = []
    for index, (name, split) in enumerate(trainer.train_dataset.items()):
        tasks.append(
            TaskPlan(
                name=name,
                rows=len(split.tokens),
                share=float(shares[index]),
                rows_per_step=float(shares[index]) * trainer.rows_per_step,
                passes=float(course.passes[-1, index]),
                truncated_rows=split.tokens.truncated,
                mean_tokens=split.tokens.total_tokens / len(split.tokens),
            )
        )
    real, padded = tokens_of_first_window(trainer)
    parameters = list(trainer.model.parameters())
    return PlanSummary(
        tasks=tuple(tasks),
        rows_per_step=trainer.rows_per_step,
        steps=total,
        epochs=total / trainer.steps_per_epoch,
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        total_parameters=sum(p.numel() for p in parameters),
        real_tokens=real,
        padded_tokens=padded,
    )


def tokens_of_first_window(trainer: MultiTaskTrainer) -> tuple[int, int]:
    """Real and padded tokens of the first window's steps, as they would be dealt and grouped."""
    collator = trainer.train_collator()
    parts = trainer.processes.world * trainer.args.gradient_accumulation_steps
    steps = range(min(trainer.args.window_steps, trainer.total_steps))
    counts = [_tokens(trainer.steps.plan(step), collator, parts) for step in steps]
    return sum(real for real, _ in counts), sum(padded for _, padded in counts)


def _tokens(plan: StepPlan, collator: Collator, parts: int) -> tuple[int, int]:
    lengths = collator.lengths(plan.tasks, plan.rows).astype(np.int64)
    padded = 0
    for part in partition(plan, lengths, parts, collator.length_grouping):
        mine = lengths[part]
        groups = length_groups(mine, collator.group_cost) if collator.length_grouping else [np.arange(len(mine))]
        padded += sum(len(group) * int(mine[group].max()) for group in groups)
    return int(lengths.sum()), padded
