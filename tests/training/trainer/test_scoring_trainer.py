"""Evaluation and prediction, as a user of `transformers.Trainer` expects them."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from transformers import EvalPrediction

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.inference import encode
from tests import tiny
from tests.training.predict_worker import unlabelled
from tests.training.trainers import make

ROOT = Path(__file__).parents[3]
MOOD = Features(text=Value("string"), label=ClassLabel(names=["good", "bad"]))


def by_hand(model: MultiTaskModel, task: str, texts: list[str]) -> np.ndarray:
    """The head's outputs for one text at a time."""
    model.eval()
    tokenizer = tiny.tokenizer()
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt"), task=task).logits[task][0] for text in texts]
    return torch.stack(rows).numpy()


def test_predictions_are_in_dataset_order(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 23, "mood": 9, "score": 11}, seed=4)
    trainer = make(tmp_path, per_device_eval_batch_size=4)
    trainer.train()
    output = trainer.predict(data)
    assert list(output.predictions) == list(output.label_ids) == ["topic", "mood", "score"]
    for name, dataset in data.items():
        expected = by_hand(trainer.model, name, dataset["text"])
        np.testing.assert_allclose(output.predictions[name], expected, rtol=1e-4, atol=1e-5)
    assert output.label_ids["topic"].tolist() == list(data["topic"]["label"])
    assert output.label_ids["score"][:, 1].tolist() == list(data["score"]["y"])
    assert output.metrics["test_average"] == trainer.evaluate(data)["eval_average"]


def test_rows_without_labels_can_be_predicted(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 9, "mood": 6}, seed=4)
    trainer = make(tmp_path)
    labelled = trainer.predict(data)
    bare = trainer.predict({"topic": data["topic"].select_columns("text"), "mood": data["mood"]})
    np.testing.assert_array_equal(bare.predictions["topic"], labelled.predictions["topic"])
    assert list(bare.label_ids) == ["mood"]
    assert "test_mood_f1_macro" in bare.metrics
    assert not any(key.startswith("test_topic") for key in bare.metrics)


def test_nothing_labelled_gives_no_scores(tmp_path: Path) -> None:
    output = make(tmp_path).predict({"mood": tiny.rows("mood", 5).select_columns("text")})
    assert output.predictions["mood"].shape == (5, 2)
    assert output.label_ids == {}
    assert not [key for key in output.metrics if "mood" in key or "average" in key]


@pytest.mark.parametrize(
    "model",
    [
        tiny.model(),
        tiny.model(
            tasks={
                "topic": SequenceClassification(labels=["a", "b", "c"], class_weights=[1.0, 2.0, 3.0]),
                "mood": SequenceClassification(labels=["good", "bad"], loss="focal", label_smoothing=0.1),
                "score": Regression(label=["x", "y"], standardize=False, metrics=["pearson", "mae"]),
            }
        ),
    ],
)
def test_every_row_is_predicted_and_those_with_a_label_are_scored(
    tmp_path: Path, model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(encode.logger, "warning", said.append)
    whole = tiny.datasets({"topic": 20, "mood": 9, "score": 11}, seed=4)
    shapes = []

    def metrics(found: EvalPrediction) -> dict[str, float]:
        shapes.append((len(found.predictions), len(found.label_ids)))
        return {}

    trainer = make(tmp_path, model=model, per_device_eval_batch_size=4, compute_metrics=metrics)
    data, labelled = unlabelled(whole)
    output = trainer.predict(data)
    expected = trainer.predict(whole)
    for name in whole:
        np.testing.assert_allclose(output.predictions[name], expected.predictions[name], atol=1e-6)
        rows = labelled[name]
        np.testing.assert_array_equal(output.label_ids[name][rows], expected.label_ids[name][rows])
    assert output.label_ids["topic"].tolist().count(-100) == output.label_ids["mood"].tolist().count(-100) == 3
    assert np.isnan(output.label_ids["score"]).sum(axis=1).tolist() == [0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    scores = trainer.evaluate({name: whole[name].select(rows) for name, rows in labelled.items()})
    found = {key: value for key, value in output.metrics.items() if "_per_" not in key and "runtime" not in key}
    # In float32, and the rows of a batch are others: on a GPU the last digits differ.
    assert found == pytest.approx({key: scores[key.replace("test_", "eval_")] for key in found}, abs=1e-5)
    assert shapes == [(17, 17), (6, 6), (8, 8), (20, 20), (9, 9), (11, 11), (17, 17), (6, 6), (8, 8)]
    assert said[:3] == [
        f"{name}: 3 of {len(whole[name])} test rows have no label; they are predicted and not scored."
        for name in whole
    ]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("mood", {"label": [-1] * 4}),
        ("mood", {"label": [-100, -1, None, -1]}),
        ("mood", {"label": [None] * 4}),
        ("mood", {"label": [""] * 4}),
        ("score", {"x": [None] * 4, "y": [None] * 4}),
        ("score", {"x": [np.nan] * 4, "y": [np.nan, None, np.nan, None]}),
        ("score", {"y": [1.0] * 4}),
    ],
)
def test_rows_without_any_label_are_predicted_and_not_scored(
    tmp_path: Path, name: str, columns: dict[str, Any]
) -> None:
    trainer, bare = make(tmp_path), tiny.rows(name, 4, seed=5).select_columns("text")
    expected = trainer.predict({name: bare})
    rows = {"text": bare["text"][:], **columns}
    for data in [
        Dataset.from_dict(rows),
        *([Dataset.from_dict(rows, MOOD)] if columns.get("label") == [-1] * 4 else []),
    ]:
        output = trainer.predict({name: data})
        np.testing.assert_array_equal(output.predictions[name], expected.predictions[name])
        assert output.label_ids == {}
        assert not [key for key in output.metrics if name in key]
    assert trainer.score({name: data}).tasks == {}


def test_rows_to_evaluate_need_a_label_and_a_wrong_one_is_no_missing_one(tmp_path: Path) -> None:
    trainer, bare = make(tmp_path), tiny.rows("mood", 4).select_columns("text")
    for columns, found in [
        ({"label": [None] * 4}, "none of 4 validation rows has a label"),
        ({}, "no column 'label'"),
    ]:
        with pytest.raises(DataError, match=found):
            trainer.evaluate({"mood": Dataset.from_dict({"text": bare["text"][:], **columns})})
    for data, found in [
        ({"mood": Dataset.from_dict({"text": ["a", "b"], "label": [-2, 0]})}, "labels outside 0..1: -2"),
        ({"mood": Dataset.from_dict({"text": ["a", " "], "label": [None, None]})}, "1 row with empty text"),
        ({"score": Dataset.from_dict({"text": ["a"], "x": [np.inf], "y": [1.0]})}, "1 infinite target"),
    ]:
        with pytest.raises(DataError, match=found):
            trainer.predict(data)


def test_temperatures_are_fitted_on_the_rows_with_a_label(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    data, labelled = unlabelled(tiny.datasets({"mood": 30}))
    rows = {"mood": tiny.rows("mood", 30).select(labelled["mood"])}
    partly = trainer._encode(data, "test")
    assert trainer.calibrate(partly) == pytest.approx(trainer.calibrate(rows))


def work(folder: Path, processes: int, *words: str) -> Any:
    """What `predict_worker` writes."""
    output = folder / f"{processes}.npz"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    worker = [str(ROOT / "tests/training/predict_worker.py"), str(output), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(launcher if processes > 1 else []), *worker]
    subprocess.run(command, check=True, env=environment, cwd=folder)
    return np.load(output)


@pytest.mark.slow
def test_two_processes_predict_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    one, two = (work(tmp_path, processes) for processes in (1, 2))
    assert one.files == two.files
    for key in one.files:
        np.testing.assert_allclose(one[key], two[key], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_two_processes_give_a_run_up_in_the_same_step(tmp_path: Path) -> None:
    found = work(tmp_path, 2, "diverge")
    assert found["steps"].tolist() == [8, 2]
    assert "is not finite since step 2" in str(found["message"])


@pytest.mark.slow
def test_one_process_computes_the_metrics_and_the_others_wait_for_as_long_as_it_takes(tmp_path: Path) -> None:
    (called, scores, said), (elsewhere, same, heard) = map(ast.literal_eval, work(tmp_path, 2, "first")["everyone"])
    assert (called, elsewhere) == ([23, 23], [])
    assert scores == same
    assert said == "ValueError: no such class"
    assert heard == "LostProcessError: the first process of the run has failed (ValueError: no such class)."


def test_own_metrics_join_those_of_each_task(tmp_path: Path) -> None:
    shapes = []

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        shapes.append((prediction.predictions.shape, prediction.label_ids.shape))
        return {"mine": float(len(shapes))}

    trainer = make(tmp_path, compute_metrics=metrics)
    scores = trainer.evaluate()
    assert shapes == [((30, 3), (30,)), ((12, 2), (12,)), ((18, 2), (18, 2))]
    assert [scores[f"eval_{name}_mine"] for name in tiny.TASKS] == [1.0, 2.0, 3.0]
    assert "eval_topic_f1_macro" in scores


def test_own_metrics_with_the_name_of_another_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("hf_mtl.training.scoring.scoring.logger.warning_once", said.append)
    trainer = make(tmp_path, compute_metrics=lambda found: {"f1_macro": 7.0, "loss": 7.0, "mine": 7.0})
    scores = trainer.evaluate()
    assert scores["eval_topic_f1_macro"] == scores["eval_mood_f1_macro"] == 7.0 > scores["eval_average"]
    assert scores["eval_topic_loss"] != 7.0
    replaced = [text for text in said if "returns 'f1_macro'" in text]
    assert [text.split("of ")[1].split(":")[0] for text in replaced] == ["'topic'", "'mood'"]
    assert sum("compute_metrics returns 'loss'" in text for text in said) == 3
    assert len(said) == 5


def one_sided() -> tuple[MultiTaskModel, dict[str, Dataset]]:
    """A model, and rows on which some of its metrics say nothing."""
    mood = SequenceClassification(labels=["good", "bad"], metrics=["auroc_macro", "matthews", "accuracy"])
    rows = tiny.datasets({"topic": 12, "mood": 6, "score": 9})
    rows["mood"] = rows["mood"].filter(lambda row: row["label"] == 1)
    rows["score"] = rows["score"].map(lambda row: {"y": 2.5})
    rows["topic"] = rows["topic"].filter(lambda row: row["label"] < 2)
    return tiny.model(tasks={**tiny.TASKS, "mood": mood}), rows


def test_metrics_that_say_nothing_on_the_rows_to_evaluate_are_refused_before_training(tmp_path: Path) -> None:
    model, rows = one_sided()
    with pytest.raises(DataError) as caught:
        make(tmp_path, model=model, evaluation=rows)
    found = f"on the {len(rows['mood'])} validation rows: all are of class 'bad'. Give rows of two classes or more"
    assert [str(mistake).split(" to evaluate on, or use another metric")[0] for mistake in caught.value.mistakes] == [
        f"tasks.mood.metrics: auroc_macro is undefined {found}",
        f"tasks.mood.metrics: matthews is 0 whatever is predicted {found}",
        "tasks.score.metrics: pearson is 0 whatever is predicted on the 9 validation rows: every target in 'y' is "
        "2.5. Give rows with different targets",
    ]


def test_a_model_is_scored_on_such_rows_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = one_sided()
    trainer, said = make(tmp_path, model=model), []
    monkeypatch.setattr("hf_mtl.training.trainer.scoring_trainer.logger.warning", said.append)
    with pytest.warns(UserWarning, match="auroc_macro is undefined"):
        scores = trainer.evaluate(rows)
    assert np.isnan(scores["eval_mood_auroc_macro"])
    assert scores["eval_mood_matthews"] == 0.0
    assert np.isfinite(scores["eval_average"])
    count = len(rows["mood"])
    assert f"mood: auroc_macro is undefined on the {count} scored rows: all are of class 'bad'." in said
    assert "topic: no scored row is of class 'c', which counts 0 in the mean over classes." in said


def test_evaluation_while_training_equals_that_of_the_saved_model(tmp_path: Path) -> None:
    trainer = make(tmp_path, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4)
    trainer.train()
    during = next(record for record in trainer.state.log_history if "eval_average" in record)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "checkpoint-4")
    after = make(tmp_path / "again", model=loaded).evaluate()
    timeless = {k: v for k, v in after.items() if k != "epoch" and "runtime" not in k and "per_second" not in k}
    assert {key: during[key] for key in timeless} == timeless


def test_evaluation_does_not_depend_on_its_batches(tmp_path: Path) -> None:
    model = tiny.model()
    one, many = (make(tmp_path, model=model, per_device_eval_batch_size=size).evaluate() for size in (1, 64))
    for key in ("eval_average", "eval_topic_loss", "eval_score_pearson"):
        assert one[key] == pytest.approx(many[key], rel=1e-4)
