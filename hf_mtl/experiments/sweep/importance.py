"""The importance of searched keys: how much of the score's variance over the space each accounts for."""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hf_mtl.errors import one_line
from hf_mtl.experiments.sweep.space import Dimension

if TYPE_CHECKING:
    from optuna.study import Study

_FEW_PER_KEY = 10
"""So many trials for each key are what makes the shares worth more than a glance."""


def importances(
    study: "Study", space: Sequence[Dimension], seed: int
) -> tuple[dict[str, float] | None, str, list[str]]:
    """Return the share of each key, which sum to 1, by what method, and what a reader should know beside them.

    Source: fANOVA, Hutter et al., ICML 2014; without scikit-learn PED-ANOVA, Watanabe et al., IJCAI 2023,
    arXiv:2304.10255. Both as in optuna. TPE draws more where scores are good, so that they describe that region best.

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
    by = "fanova" if find_spec("sklearn") is not None else "ped_anova"
    if len({trial.value for trial in complete}) < 2:
        return None, by, [f"importance: {len(complete)} completed trials have no differences to explain."]
    made: Any = optuna.importance
    evaluator = made.FanovaImportanceEvaluator(seed=seed) if by == "fanova" else made.PedAnovaImportanceEvaluator()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = made.get_param_importances(study, evaluator=evaluator, params=keys)
    except (ValueError, RuntimeError) as error:
        return None, by, [f"importance: {one_line(error)}."]
    enough = _FEW_PER_KEY * len(keys)
    notes = [f"importance: from {len(complete)} trials of {len(keys)} keys, a rough guess below {enough}."]
    return {key: float(found[key]) for key in found}, by, notes if len(complete) < enough else []
