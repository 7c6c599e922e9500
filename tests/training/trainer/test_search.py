"""`hyperparameter_search`: each trial is a Trainer of its own, with a model of `model_init`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import EarlyStoppingCallback

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.errors import UserError
from tests import tiny

optuna = pytest.importorskip("optuna", reason="optuna searches")
ROWS = tiny.datasets({"topic": 24, "mood": 16, "score": 16})


class Doubling(MultiTaskTrainer):
    """A subclass with an argument of its own, and an own loss."""

    def __init__(self, *args: Any, factor: float = 1.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.factor = factor

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        return self.factor * loss


def make(folder: Path, cls: type[MultiTaskTrainer] = MultiTaskTrainer, **given: Any) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        str(folder),
        max_steps=2,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    usual = {"args": args, "train_dataset": ROWS, "eval_dataset": ROWS, "processing_class": tiny.tokenizer()}
    return cls(**{"model_init": tiny.model, **usual, **given})


def space(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "mixture.temperature": trial.suggest_categorical("mixture.temperature", [1.0, 5.0]),
    }


def test_trials_differ_in_what_is_searched_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Any] = []
    ordinary = MultiTaskTrainer.train

    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        weights = torch.cat([part.detach().reshape(-1).clone() for part in self.model.parameters()])
        trained.append((self, weights, self.args.learning_rate, self.mixture.temperature))
        return ordinary(self, *args, **kwargs)

    monkeypatch.setattr(MultiTaskTrainer, "train", train)
    asked = make(tmp_path, Doubling, factor=2.0)
    model = asked.model
    best = asked.hyperparameter_search(hp_space=space, n_trials=3, sampler=optuna.samplers.RandomSampler(seed=0))
    assert best.hyperparameters.keys() == {"learning_rate", "mixture.temperature"}
    assert len(trained) == 3
    # The same first weights, each model its own, and what was asked of each.
    assert len({id(item.model) for item, *_ in trained} | {id(model)}) == 4
    assert all(torch.equal(weights, trained[0][1]) for _, weights, *_ in trained)
    assert len({rate for *_, rate, _ in trained}) == 3
    assert {temperature for *_, temperature in trained} <= {1.0, 5.0}
    assert [Path(item.args.output_dir).name for item, *_ in trained] == ["run-0", "run-1", "run-2"]
    assert all(item.factor == 2.0 for item, *_ in trained)
    scores = [item.evaluate()["eval_average"] for item, *_ in trained]
    assert best.objective == pytest.approx(max(scores))
    assert asked.model is model
    assert asked.state.global_step == 0


def test_a_trial_is_the_run_that_its_hyperparameters_make_alone(tmp_path: Path) -> None:
    losses: list[float] = []

    def objective(scores: dict[str, float]) -> float:
        losses.append(scores["eval_loss"])
        return scores["eval_loss"]

    asked = make(tmp_path, balancing={"weighting": "uw"})
    fixed = {"learning_rate": 1e-2, "balancing.weighting": "rlw"}
    best = asked.hyperparameter_search(lambda trial: fixed, objective, n_trials=1)
    alone = make(tmp_path / "alone", balancing={"weighting": "rlw"})
    alone.args.learning_rate = 1e-2
    alone.train()
    assert best.objective == losses[-1] == alone.evaluate()["eval_loss"]


def test_trials_are_pruned_and_early_stopping_begins_anew(tmp_path: Path) -> None:
    patience = EarlyStoppingCallback(1)
    patience.early_stopping_patience_counter = 7
    asked = make(tmp_path, callbacks=[])
    asked._made.given["callbacks"] = [patience]  # type: ignore[index]
    asked._made.args.metric_for_best_model = "average"
    study: dict[str, Any] = {"study_name": "s", "storage": f"sqlite:///{tmp_path / 'study.db'}"}
    pruner = optuna.pruners.ThresholdPruner(lower=10.0)
    with pytest.raises(UserError, match="no trial was completed: all were pruned"):
        asked.hyperparameter_search(lambda trial: {}, n_trials=1, pruner=pruner, **study)
    trials = optuna.load_study(**study).trials
    assert [trial.state.name for trial in trials] == ["PRUNED"]
    assert [list(trial.intermediate_values) for trial in trials] == [[1]]
    assert patience.early_stopping_patience_counter == 7


@pytest.mark.parametrize(
    ("given", "asked", "said"),
    [
        (
            {"model_init": None, "model": tiny.model()},
            {},
            "there is no model_init. Give MultiTaskTrainer",
        ),
        ({}, {"backend": "ray"}, "hyperparameter_search.backend: 'ray' is not supported. Use optuna"),
        ({}, {"direction": "minimize"}, "direction: 'minimize' of the average of all scores"),
        ({}, {"n_jobs": 2}, "n_jobs: trials in threads would share"),
        ({"optimizers": (None, object())}, {}, "optimizers: belong to one model"),
        (
            {},
            {"hp_space": lambda trial: {"learning_rte": 1}},
            "hp_space.learning_rte: is no hyperparameter.*Did you mean 'learning_rate'",
        ),
    ],
)
def test_what_cannot_be_searched_says_what_to_do(
    given: dict[str, Any], asked: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        make(tmp_path, **given).hyperparameter_search(n_trials=1, **asked)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": tiny.model()}, "model_init: is given, and a model too"),
        ({"model_init": lambda a, b: tiny.model()}, "model_init: takes 2 arguments"),
        ({"model_init": lambda: None}, "model: is a NoneType. Give a MultiTaskModel"),
    ],
)
def test_a_model_init_that_makes_no_model_is_refused(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        make(tmp_path, **given)
