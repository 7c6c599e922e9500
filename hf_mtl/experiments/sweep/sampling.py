"""What is drawn for a trial: the default, then at random, then by TPE."""

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Stage = Literal["default", "random", "tpe"]


def stage_of(number: int, startup: int) -> Stage:
    """Name the stage of a trial.

    Args:
        number: The trial, from 0.
        startup: How many trials come before TPE, of which the first is the default.
    """
    if number == 0:
        return "default"
    return "random" if number < startup else "tpe"


def sampler_of(number: int, startup: int, seed: int) -> "BaseSampler":
    """Make the sampler of one trial, with a generator of its own.

    What a random trial draws depends on the seed and on its number alone: on no worker, and on no arm, so that arms
    with one space see the same random points. TPE draws at random too until ``startup`` trials have an end to learn
    from (failed ones have none), and takes what others are running at to be bad, so as not to try it twice.

    Source: RandomSampler and TPESampler of optuna; Bergstra et al., NeurIPS 2011.

    Args:
        number: The trial, from 0.
        startup: How many trials come before TPE.
        seed: The seed of the sweep.
    """
    import optuna

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if stage_of(number, startup) != "tpe":
        return optuna.samplers.RandomSampler(seed=own)
    with warnings.catch_warnings():
        # Groups: the default trial may lack keys that the others have, which alone would make TPE forget them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=startup, seed=own, multivariate=True, group=True, constant_liar=True
        )
