"""The balancing methods of a run, built and told what they need to know."""

from collections.abc import Mapping, Sequence

from hf_mtl.balancing import (
    AGGREGATORS,
    DEFAULT_WEIGHTING,
    WEIGHTINGS,
    GradientAggregator,
    LossWeighting,
    Spec,
    make,
)
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.processes import is_main_process
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


def make_weighting(
    spec: Spec,
    tasks: Mapping[str, Task],
    mixture: Mixture,
    sizes: Mapping[str, int] | None = None,
    steps_per_epoch: int = 1,
    total_steps: int | None = None,
    seed: int = 0,
) -> LossWeighting:
    """Build the loss weighting of a run and tell it what it needs to know of the run.

    Args:
        spec: The balancing section. Beside an aggregator equal weighting, whether it is named or not, has weights of
            1 unless ``weight_sum`` says otherwise.
        tasks: The model's tasks.
        mixture: The mixture.
        sizes: Training rows of each task, in task order; None: the mixture draws tasks, and has them.
        steps_per_epoch: Optimizer steps of an epoch.
        total_steps: Optimizer steps of the run, where known.
        seed: Seed of the method's own draws.

    Raises:
        UserError: If the method refuses its options.
    """
    sizes = mixture.sizes if sizes is None else sizes
    names, choice = list(sizes), spec.weighting
    if choice.chosen == DEFAULT_WEIGHTING and spec.aggregator is not None and "weight_sum" not in choice.options():
        # An aggregator's rows are the gradients of the L_t.
        choice = choice.model_copy(update={"weight_sum": float(len(names))})
    kinds = [tasks[task].family for task in names]
    weighting = make(WEIGHTINGS, choice, names, task_types=kinds)
    _say_twice(choice.chosen, choice.settled().get("mode"), mixture)
    known_facts = {} if total_steps is None else {"total_steps": total_steps}
    weighting.observe(sizes=list(sizes.values()), steps_per_epoch=steps_per_epoch, seed=seed, **known_facts)
    return weighting


def make_aggregator(spec: Spec, names: Sequence[str], mixture: Mixture, seed: int) -> GradientAggregator | None:
    """Build the gradient aggregator of a run; None: it has none.

    Args:
        spec: The balancing section.
        names: The tasks, in task order.
        mixture: The mixture.
        seed: Seed of the method's own draws.

    Raises:
        UserError: If the method refuses its options.
    """
    if spec.aggregator is None:
        return None
    aggregator = make(AGGREGATORS, spec.aggregator, names)
    aggregator.observe(seed=seed, names=names)
    if mixture.one_task_per_step and is_main_process():
        logger.warning(
            f"Aggregator '{aggregator.name}' has one task in every step (mixture.one_task_per_step): nothing is left "
            "to balance."
        )
    return aggregator


def _say_twice(name: str, mode: str | None, mixture: Mixture) -> None:
    """Say that the size of a task counts in its weight and in its rows."""
    proportional = mixture.temperature in (1, "proportional")
    if name == "tw" and mode == "proportional" and proportional and is_main_process():
        logger.warning("Weighting 'tw' with proportional sampling counts size twice; consider mixture.temperature.")
