"""Temperature scaling at the end of training, and on its own."""

import json
from pathlib import Path

import pytest
import torch

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.evaluation import calibration_temperature
from hf_mtl.training.run.evaluate import evaluate_run
from hf_mtl.training.scoring import calibration
from tests import tiny
from tests.training import runs, trainers

TASKS = {
    "topic": SequenceClassification(labels=["a", "b", "c"], metrics=["f1_macro", "ece"]),
    "mood": SequenceClassification(labels=["good", "bad"], metrics=["f1_macro", "ece"]),
    "score": Regression(label=["x", "y"]),
}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was warned of."""
    lines: list[str] = []
    monkeypatch.setattr(calibration.logger, "warning", lines.append)
    return lines


def _model() -> MultiTaskModel:
    """A model whose logits are large, so that there is something to mend."""
    model = tiny.model(tasks=TASKS)
    with torch.no_grad():
        for name in ("topic", "mood"):
            for parameter in model.heads.of(name).head.parameters():
                parameter.mul_(8)
    return model


def test_every_classification_gets_the_temperature_of_its_raw_logits(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path, model=_model())
    raw = trainer.predict(trainer.eval_dataset)
    found = trainer.calibrate()
    assert set(found) == {"topic", "mood"}
    assert trainer.model.config.calibration_temperatures == found
    for name, value in found.items():
        assert value == calibration_temperature(raw.predictions[name], raw.label_ids[name])
    assert [trainers.records(trainer, f"calibration_temperature/{name}") for name in found] == [
        [v] for v in found.values()
    ]


def test_losses_and_calibration_are_better_and_other_scores_the_same(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path, model=_model())
    before = trainer.evaluate()
    trainer.calibrate()
    after = trainer.evaluate()
    for name in ("topic", "mood"):
        assert after[f"eval_{name}_loss"] < before[f"eval_{name}_loss"]
        assert after[f"eval_{name}_ece"] < before[f"eval_{name}_ece"]
        assert after[f"eval_{name}_f1_macro"] == before[f"eval_{name}_f1_macro"]
    assert after["eval_score_loss"] == before["eval_score_loss"]


def test_fitting_again_starts_from_the_raw_logits(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path, model=_model())
    assert trainer.calibrate() == trainer.calibrate()


def test_given_rows_are_used_and_other_tasks_keep_what_they_have(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path, model=_model())
    trainer.model.set_calibration_temperature("mood", 7.0)
    found = trainer.calibrate({"topic": tiny.rows("topic", 40, seed=5)})
    assert trainer.model.config.calibration_temperatures == {"mood": 7.0, "topic": found["topic"]}


def test_no_rows_of_a_classification_are_a_mistake(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path)
    with pytest.raises(UserError, match="need evaluation rows of a classification"):
        trainer.calibrate({"score": tiny.rows("score", 4)})


def test_it_follows_training_when_asked_and_changes_no_weight(tmp_path: Path) -> None:
    plain, scaled = (trainers.make(tmp_path, temperature_scaling=asked) for asked in (False, True))
    for trainer in (plain, scaled):
        trainer.train()
    assert plain.model.config.calibration_temperatures is None
    assert set(scaled.model.config.calibration_temperatures) == {"topic", "mood"}
    assert trainers.same(trainers.parameters(plain), trainers.parameters(scaled))


def test_training_forgets_the_temperatures_of_the_weights_it_changes(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path)
    trainer.model.set_calibration_temperature("topic", 5.0)
    trainer.train()
    assert trainer.model.config.calibration_temperatures is None


def test_a_model_that_is_evaluated_in_bfloat16_is_still_saved_in_float32(tmp_path: Path) -> None:
    trainer = trainers.make(tmp_path, temperature_scaling=True, bf16_full_eval=True)
    trainer.train()
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


def test_a_task_that_has_diverged_gets_none_and_says_so(tmp_path: Path, said: list[str]) -> None:
    trainer = trainers.make(tmp_path)
    with torch.no_grad():
        next(trainer.model.heads.of("mood").head.parameters()).fill_(torch.nan)
    assert set(trainer.calibrate()) == {"topic"}
    assert said == ["mood: its logits are not finite; it gets no temperature."]


def test_a_temperature_at_the_end_of_its_range_is_doubtful(tmp_path: Path, said: list[str]) -> None:
    trainer = trainers.make(tmp_path, model=_model())
    texts = tiny.rows("topic", 12).remove_columns("label")
    right = trainer.predict({"topic": texts}).predictions["topic"].argmax(axis=1).tolist()
    trainer.calibrate({"topic": texts.add_column("label", right)})
    assert len(said) == 1
    assert "end of its range, 0.05: all of the 12 rows are right" in said[0]


@pytest.mark.parametrize("missing", ["topic", "mood"])
def test_missing_rows_are_noticed_before_training(tmp_path: Path, missing: str) -> None:
    rows = {name: tiny.rows(name, 8) for name in TASKS if name != missing}
    with pytest.raises(
        UserError, match=rf"temperature_scaling: is on, and there are no evaluation rows of {missing}"
    ):
        trainers.make(tmp_path, evaluation=rows, temperature_scaling=True)


def test_tasks_without_classes_are_noticed_before_training(tmp_path: Path) -> None:
    model = tiny.model(tasks={"score": TASKS["score"]})
    rows = {"score": tiny.rows("score", 8)}
    with pytest.raises(UserError, match=r"no task is a classification with one softmax \(regression\). Leave it off"):
        trainers.make(tmp_path, model=model, train=rows, evaluation=rows, temperature_scaling=True)


# ---- Runs ----


def _temperatures(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "config.json").read_text())["calibration_temperatures"]
    return found


@pytest.fixture(scope="module")
def scaled(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and its finished run."""
    folder = tmp_path_factory.mktemp("scaled")
    recipe = runs.write_recipe(folder, temperature_scaling=True, load_best_model_at_end=True)
    runs.train(recipe, folder / "run")
    return recipe, folder / "run"


def test_the_final_model_of_a_run_has_them_and_its_checkpoints_do_not(scaled: tuple[Path, Path]) -> None:
    _, run = scaled
    assert set(_temperatures(run)) == {"topic", "mood"}
    assert json.loads((run / "checkpoint-10" / "config.json").read_text()).get("calibration_temperatures") is None
    logged = [record for record in runs.log(run) if "calibration_temperature/topic" in record]
    assert [record["calibration_temperature/topic"] for record in logged] == [_temperatures(run)["topic"]]


def test_a_run_is_scored_with_them(scaled: tuple[Path, Path]) -> None:
    _, run = scaled
    found, again = runs.results(run), evaluate_run(run)
    assert again["tasks"] == found["tasks"]


def test_a_run_that_was_cut_off_before_its_model_was_written_comes_to_the_same(scaled: tuple[Path, Path]) -> None:
    recipe, run = scaled
    before = runs.results(run), _temperatures(run), (run / "model.safetensors").read_bytes()
    for name in ("results.json", "model.safetensors", "config.json"):
        (run / name).unlink()
    runs.train(recipe, run, resume=True)
    assert (runs.results(run), _temperatures(run), (run / "model.safetensors").read_bytes()) == before
