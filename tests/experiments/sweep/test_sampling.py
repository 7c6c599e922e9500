"""The stages of a trial, and that what is drawn depends on the seed and the number alone."""

import optuna

from hf_mtl.experiments.sweep.sampling import sampler_of, stage_of


def draw(number: int, seed: int, ended: int = 0) -> float:
    study = optuna.create_study(direction="maximize")
    for place in range(ended):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, -abs(trial.params["x"] - 0.2) + 0.001 * place)
    study.sampler = sampler_of(number, startup=3, seed=seed)
    return study.ask().suggest_float("x", 0, 1)


def test_the_default_comes_first_then_random_trials_then_tpe() -> None:
    assert [stage_of(number, startup=3) for number in range(5)] == ["default", "random", "random", "tpe", "tpe"]
    assert isinstance(sampler_of(2, 3, 0), optuna.samplers.RandomSampler)
    assert isinstance(sampler_of(3, 3, 0), optuna.samplers.TPESampler)


def test_a_random_trial_depends_on_seed_and_number_alone() -> None:
    assert draw(1, seed=5) == draw(1, seed=5, ended=2)
    assert len({draw(1, seed=5), draw(2, seed=5), draw(1, seed=6)}) == 3


def test_tpe_is_random_until_so_many_trials_have_ended() -> None:
    assert draw(7, seed=5, ended=0) == draw(7, seed=5, ended=0)
    assert draw(7, seed=5, ended=0) != draw(7, seed=5, ended=8)
