"""The importance of searched keys: how much of the score's variance over the space each accounts for."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_mtl.errors import one_line
from hf_mtl.experiments.sweep.space import Dimension

if TYPE_CHECKING:
    from optuna.study import Study

_FEW_PER_KEY = 10
"""So many trials for each key are what makes the shares worth more than a glance."""


def importances(study: "Study", space: Sequence[Dimension], seed: int) -> tuple[dict[str, float] | None, list[str]]:
    """Return the share of each key, which sum to 1, and what a reader should know beside them.

    Source: fANOVA, Hutter et al., ICML 2014, as in optuna. TPE draws more where scores are good, so that the shares
    describe that region best.

    Args:
        study: The study of an arm.
        space: What is searched; a default outside it is left out.
        seed: Seed of fANOVA's forest.

    Returns:
        None in place of the shares, and why, where too few trials were completed or all have one score.
    """
    import optuna

    keys = [item.key for item in space]
    states = (optuna.trial.TrialState.COMPLETE,)
    complete = [trial for trial in study.get_trials(deepcopy=False, states=states) if set(keys) <= set(trial.params)]
    if len({trial.value for trial in complete}) < 2:
        return None, [f"importance: {len(complete)} completed trials have no differences to explain."]
    made: Any = optuna.importance
    evaluator = made.FanovaImportanceEvaluator(seed=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = made.get_param_importances(study, evaluator=evaluator, params=keys)
    except (ValueError, RuntimeError) as error:
        return None, [f"importance: {one_line(error)}."]
    enough = _FEW_PER_KEY * len(keys)
    notes = [f"importance: from {len(complete)} trials of {len(keys)} keys, a rough guess below {enough}."]
    return {key: float(found[key]) for key in found}, notes if len(complete) < enough else []
