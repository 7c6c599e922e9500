"""Pruners by name, and the callback that reports to them."""

from typing import Any

import optuna
import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from hf_mtl.errors import Mistake
from hf_mtl.experiments.sweep.pruning import PRUNERS, PruneCallback, Pruned, make_pruner, parse_pruning


def parsed(spec: Any) -> Any:
    mistakes: list[Mistake] = []
    found = parse_pruning(spec, mistakes)
    assert mistakes == []
    return found


def evaluated(callback: PruneCallback, step: int, value: float) -> None:
    state = TrainerState(global_step=step, max_steps=10)
    callback.on_evaluate(TrainingArguments(), state, TrainerControl(), metrics={"eval_average": value})


def study(**options: Any) -> optuna.Study:
    return optuna.create_study(direction="maximize", pruner=make_pruner(parsed(options["pruning"])))


def test_pruning_is_off_unless_it_is_asked_for() -> None:
    assert [parsed(spec) for spec in (None, False, "off")] == [None, None, None]
    assert isinstance(make_pruner(None), optuna.pruners.NopPruner)


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_pruners_have_the_options_of_optuna(name: str) -> None:
    needed = {"percentile": {"percentile": 25.0}, "threshold": {"lower": 0.1}}.get(name, {})
    spec = parsed({"name": name, **needed})
    assert spec == {"name": name, **needed}
    assert isinstance(make_pruner(spec), getattr(optuna.pruners, PRUNERS[name]))


def test_a_trial_below_the_median_is_given_up() -> None:
    made = study(pruning={"name": "median", "n_startup_trials": 1})
    first = PruneCallback(made.ask(), "eval_average")
    for step in (2, 4):
        evaluated(first, step, 0.5)
    made.tell(0, 0.5)
    second = PruneCallback(made.ask(), "eval_average")
    evaluated(second, 2, 0.6)
    third = PruneCallback(made.ask(), "eval_average")
    with pytest.raises(Pruned) as caught:
        evaluated(third, 2, 0.4)
    assert (caught.value.step, caught.value.value) == (2, 0.4)
    assert [trial.intermediate_values for trial in made.trials[1:]] == [{2: 0.6}, {2: 0.4}]


def test_the_default_and_a_run_at_its_last_step_are_not_given_up() -> None:
    made = study(pruning={"name": "threshold", "lower": 0.9})
    evaluated(PruneCallback(made.ask(), "eval_average", prunes=False), 2, 0.1)
    evaluated(PruneCallback(made.ask(), "eval_average"), 10, 0.1)
    assert made.trials[0].intermediate_values == {2: 0.1}


def test_a_step_is_reported_once_also_after_a_resume() -> None:
    made = study(pruning={"name": "median"})
    trial = made.ask()
    callback = PruneCallback(trial, "eval_average")
    evaluated(callback, 2, 0.1)
    evaluated(callback, 2, 0.3)
    resumed = PruneCallback(optuna.trial.Trial(made, trial._trial_id), "eval_average")
    evaluated(resumed, 2, 0.7)
    evaluated(resumed, 4, 0.2)
    assert made.trials[0].intermediate_values == {2: 0.1, 4: 0.2}


def test_a_trial_whose_worker_was_killed_before_the_pruners_answer_is_given_up_at_the_same_step() -> None:
    made = study(pruning={"name": "threshold", "lower": 0.9})
    trial = made.ask()
    trial.report(0.5, 2)  # and killed
    resumed = PruneCallback(optuna.trial.Trial(made, trial._trial_id), "eval_average")
    evaluated(resumed, 1, 0.1)
    with pytest.raises(Pruned) as caught:
        evaluated(resumed, 2, 0.5)
    assert caught.value.step == 2
    assert made.trials[0].intermediate_values == {2: 0.5}


def test_the_pruner_is_asked_once_of_a_step_and_not_of_a_run_that_has_ended() -> None:
    made = study(pruning={"name": "threshold", "lower": 0.5})
    callback = PruneCallback(made.ask(), "eval_average")
    evaluated(callback, 2, 0.6)
    made.pruner = make_pruner({"name": "threshold", "lower": 0.9})  # as other trials may have changed its mind
    evaluated(callback, 2, 0.6)
    callback.on_train_end(TrainingArguments(), TrainerState(), TrainerControl())
    evaluated(callback, 3, 0.6)


def test_an_undefined_score_is_not_reported() -> None:
    made = study(pruning={"name": "threshold", "lower": 0.9})
    evaluated(PruneCallback(made.ask(), "eval_average"), 2, float("nan"))
    assert made.trials[0].intermediate_values == {}
