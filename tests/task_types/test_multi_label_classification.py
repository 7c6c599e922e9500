"""Labels that are there or not: loss and scores of those that are known, weights, and thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, f1_score

from hf_mtl import MultiLabelClassification, MultiTaskModel
from hf_mtl.data.label_sets import UNKNOWN
from hf_mtl.errors import DataError, ModelError, UserError
from hf_mtl.evaluation import score_task
from hf_mtl.evaluation.loading import ExternalMetric
from hf_mtl.modeling.statistics import LabelWeights
from hf_mtl.tasks import MetricSpec
from tests import tiny
from tests.task_types.sample import Sample, texts, weighted
from tests.training.trainers import make, parameters

NAMES = ["high", "low", "even"]
TASK = MultiLabelClassification(label=NAMES)
# Row 0 knows all labels, row 1 two of them, row 2 one.
LABELS = np.array([[1, 0, 1], [0, UNKNOWN, 1], [UNKNOWN, UNKNOWN, 0]], dtype=np.int8)
RAW = np.array([[2.0, -1.0, 0.5], [0.1, 9.0, -0.3], [5.0, -5.0, 1.5]])


def sample_rows(count: int) -> Dataset:
    found, share = texts(count)
    there = {"high": share > 0.5, "low": share < 0.4, "even": np.floor(share * 10) % 2 == 0}
    names = [[name for name in NAMES if there[name][row]] for row in range(count)]
    return Dataset.from_dict({"text": found, "label": names})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    right = np.where(labels == 1, outputs, -outputs)
    return np.log1p(np.exp(-right)).mean(axis=1)


SAMPLE = Sample(MultiLabelClassification(labels=NAMES), sample_rows, sample_loss)
VARIANTS = {"weighted": weighted(SAMPLE)}


def holed(count: int, share: float = 0.4) -> Dataset:
    """Rows with a column for each label, some of which are not known."""
    rows, rng = sample_rows(count), np.random.default_rng(1)
    columns: dict[str, Any] = {"text": rows["text"]}
    for name in NAMES:
        hidden = rng.random(count) < share
        columns[name] = [None if hide else int(name in has) for hide, has in zip(hidden, rows["label"], strict=True)]
    return Dataset.from_dict(columns)


def test_the_loss_is_the_mean_over_the_known_labels_of_a_row() -> None:
    found = TASK.row_losses(torch.from_numpy(RAW), torch.from_numpy(LABELS))
    expected = [
        -(np.log(expit(2)) + np.log(expit(1)) + np.log(expit(0.5))) / 3,
        -(np.log(expit(-0.1)) + np.log(expit(-0.3))) / 2,
        -np.log(expit(-1.5)),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_labels_that_are_not_known_have_no_gradient_and_a_row_without_any_has_no_loss() -> None:
    outputs = torch.tensor(RAW, requires_grad=True)
    TASK.row_losses(outputs, torch.from_numpy(LABELS)).sum().backward()
    assert outputs.grad is not None
    assert ((outputs.grad == 0).numpy() == (LABELS == UNKNOWN)).all()
    nothing = torch.full((1, 3), UNKNOWN, dtype=torch.int8)
    assert TASK.row_losses(torch.tensor([[torch.inf, 0.0, 0.0]]), nothing).tolist() == [0.0]


def test_weights_have_a_mean_of_one_over_the_known_labels_and_multiply_the_loss() -> None:
    task = MultiLabelClassification(label=NAMES, positive_weight={"high": 3.0, "low": 1.0, "even": 0.5})
    labels = np.array([[1, 0, 1], [0, 0, 1], [UNKNOWN, 1, 0], [1, UNKNOWN, 1]], dtype=np.int8)
    statistics = task.new_statistics()
    assert task.fit_statistics("t", statistics, labels, keep=False) == []
    weights = statistics.loss_weights
    assert weights is not None
    known = labels != UNKNOWN
    each = np.where(labels == 1, weights[1].numpy(), weights[0].numpy())
    assert each[known].mean() == pytest.approx(1)
    np.testing.assert_allclose(weights[1] / weights[0], [3.0, 1.0, 0.5])
    raw = np.random.default_rng(0).normal(size=(4, 3))
    found = task.row_losses(torch.from_numpy(raw), torch.from_numpy(labels), weights)
    losses = np.log1p(np.exp(-np.where(labels == 1, raw, -raw))) * each
    np.testing.assert_allclose(found, np.where(known, losses, 0).sum(axis=1) / known.sum(axis=1), rtol=1e-6)


def test_balanced_weights_let_rows_with_a_label_weigh_as_much_as_those_without() -> None:
    task = MultiLabelClassification(label=["a", "b"], positive_weight="balanced")
    labels = np.array([[1, 0]] * 2 + [[0, 0]] * 6, dtype=np.int8)
    statistics = task.new_statistics()
    task.fit_statistics("t", statistics, labels, keep=False)
    assert isinstance(statistics, LabelWeights)
    negative, positive = statistics.loss_weights.numpy()
    assert 2 * positive[0] == pytest.approx(6 * negative[0])
    assert positive[1] == pytest.approx(negative[1]), "no row has it"
    assert task.fit_statistics("t", statistics, labels, keep=True) == []
    other = np.array([[1, 0]] + [[0, 0]] * 60, dtype=np.int8)
    [note] = task.fit_statistics("t", statistics, other, keep=True)
    assert note.startswith(
        "the model keeps the weight 2.4 of rows with 'a' from the rows that it was first trained on"
    )


@pytest.mark.parametrize("given", [[1.0], {"high": 1.0}, {"high": 1.0, "low": 1.0, "odd": 2.0, "even": 1.0}])
@pytest.mark.parametrize("key", ["positive_weight", "thresholds"])
def test_weights_and_thresholds_of_other_labels_are_mistakes_before_a_model_is_built(key: str, given: Any) -> None:
    given = {name: value / 4 for name, value in given.items()} if isinstance(given, dict) else [0.5]
    task = MultiLabelClassification(label=NAMES, **{key: given})
    assert all(item.key.startswith(f"tasks.t.{key}") for item in task.key_mistakes("t"))
    assert list(task.key_mistakes("t"))
    with pytest.raises(ModelError, match=key):
        tiny.model(tasks={"t": task})
    unknown = MultiLabelClassification(label="label", **{key: given})
    with pytest.raises(DataError, match=key):
        unknown.resolve("t", {"train": sample_rows(12)})


@pytest.mark.parametrize(
    "keys",
    [
        {"labels": ["a", "a"]},
        {"labels": []},
        {"labels": 0},
        {"label": ["a", "b"], "labels": ["x"]},
        {"label": ["a", "b"], "labels": 3},
        {"thresholds": 1.0},
        {"thresholds": "tune"},
        {"positive_weight": -1.0},
    ],
)
def test_keys_out_of_range_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MultiLabelClassification(**keys)


def test_scores_leave_out_what_is_not_known() -> None:
    metrics = ["f1_macro", "f1_micro", "f1_samples", "mean_average_precision", "label_ranking_average_precision"]
    rng = np.random.default_rng(0)
    raw, labels = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 3)).astype(np.int8)
    labels[rng.random((40, 3)) < 0.3] = UNKNOWN
    labels[(labels == UNKNOWN).all(axis=1), 0] = 1
    scores = score_task(MultiLabelClassification(label=NAMES, metrics=metrics), "t", raw, labels)
    known = labels != UNKNOWN
    columns = [(labels[rows, at], raw[rows, at]) for at, rows in enumerate(known.T)]
    assert scores["f1_macro"] == pytest.approx(np.mean([f1_score(y, z > 0) for y, z in columns]))
    assert scores["f1_micro"] == pytest.approx(f1_score(labels[known], raw[known] > 0))
    precisions = [average_precision_score(y, z) for y, z in columns]
    assert scores["mean_average_precision"] == pytest.approx(np.mean(precisions))
    ranks, by_row = [], []
    for answers, row, told in zip(labels, raw, known, strict=True):
        yes, of = answers[told] == 1, row[told]
        places = [(of >= one).sum() for one in of]
        hits = [(of[yes] >= one).sum() / place for one, place, there in zip(of, places, yes, strict=True) if there]
        ranks.append(np.mean(hits) if hits else 1.0)
        wrong = (yes != (of > 0)).sum()
        both = 2 * (yes & (of > 0)).sum()
        by_row.append(both / (both + wrong) if both + wrong else 1.0)
    assert scores["label_ranking_average_precision"] == pytest.approx(np.mean(ranks))
    assert scores["f1_samples"] == pytest.approx(np.mean(by_row))
    other = np.where(known, raw, rng.normal(scale=9, size=raw.shape))
    assert score_task(MultiLabelClassification(label=NAMES, metrics=metrics), "t", other, labels) == scores


def test_a_metric_of_others_sees_one_label_after_another_on_the_rows_that_tell() -> None:
    class Right(ExternalMetric):
        def __init__(self) -> None:
            self.key, self.wants_probabilities = "right", False

        def compute(self, *, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:  # type: ignore[override]
            assert set(references) <= {0, 1}
            return {"right": float((predictions == references).mean())}

    assert TASK.measure(Right(), TASK.outputs_of(RAW), LABELS) == {"right": pytest.approx((1 / 2 + 1 + 1 / 3) / 3)}


def test_f1_is_of_the_labels_that_are_named() -> None:
    task = MultiLabelClassification(label=NAMES, metrics=[{"name": "f1", "labels": ["even"]}])
    assert score_task(task, "t", RAW, LABELS) == {"f1": pytest.approx(2 * 1 / (2 * 1 + 1 + 1))}
    assert [str(item) for item in TASK.metric_mistakes("k", MetricSpec(name="f1"))] == [
        "k: f1 without labels. Write {name: f1, labels: [...]}, or use f1_macro"
    ]


def test_thresholds_decide_what_is_predicted() -> None:
    raw = logit(np.array([[0.2, 0.6, 0.95]]))
    assert TASK.predictions(raw).tolist() == [[0, 1, 1]]
    for given in ([0.1, 0.7, 0.9], {"high": 0.1, "even": 0.9, "low": 0.7}):
        assert MultiLabelClassification(label=NAMES, thresholds=given).predictions(raw).tolist() == [[1, 0, 1]]
    assert MultiLabelClassification(label=NAMES, thresholds=0.97).predictions(raw).tolist() == [[0, 0, 0]]
    assert MultiLabelClassification(label=NAMES, thresholds="tuned").predictions(raw).tolist() == [[0, 1, 1]]


def test_notes_name_labels_that_cannot_be_learned_and_groups_keep_rare_ones() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, UNKNOWN, 0], [1, 0, 0]], dtype=np.int8)
    assert TASK.train_notes(labels) == [
        "train has no row with the label 'even', which cannot be learned.",
        "every train row that tells has the label 'high'; there is nothing to learn.",
    ]
    assert TASK.strata(labels).tolist() == [2, 1, 1, 1]
    assert TASK.strata(np.zeros((2, 3), dtype=np.int8)).tolist() == [0, 0]
    assert TASK.class_counts(labels).tolist() == [4, 1, 0]
    assert TASK.unknown_counts(labels).tolist() == [0, 1, 0]


def test_what_no_row_has_is_said_of_scores() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 0]], dtype=np.int8)
    assert TASK.absent(labels) == ["low", "even"]
    nothing = np.zeros((2, 3), dtype=np.int8)
    for name in ("f1_macro", "f1_micro", "mean_average_precision"):
        assert [why for _, why, _ in TASK.undefined(MetricSpec(name=name), nothing)] == ["none has a label"]
        assert not list(TASK.undefined(MetricSpec(name=name), labels))
    [said] = TASK.undefined(MetricSpec(name="f1", labels=["even"]), labels)
    assert said[1] == "none has the label 'even'"
    same = TASK.outputs_of(np.tile([9.0, -9.0, 9.0], (2, 1)))
    assert list(TASK.sameness(same, labels)) == ["all 2 rows are predicted 'high', 'even'."]
    assert list(TASK.sameness(TASK.outputs_of(np.full((2, 3), -1.0)), labels)) == [
        "all 2 rows are predicted without labels."
    ]


def test_the_update_does_not_depend_on_how_a_step_with_unknown_labels_is_split(tmp_path: Path) -> None:
    task = MultiLabelClassification(label=NAMES, positive_weight="balanced")
    found = []
    for size, accumulation in ((8, 1), (2, 4)):
        trainer = make(
            tmp_path,
            model=tiny.model(tasks={"t": task}, head="linear"),
            train={"t": holed(32)},
            evaluation={"t": holed(16)},
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            optim="sgd",
            learning_rate=0.05,
            max_steps=3,
        )
        trainer.train()
        found.append(parameters(trainer))
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-5, msg=name)


def tuning(folder: Path, **options: Any) -> Any:
    task = MultiLabelClassification(label=NAMES, thresholds="tuned")
    model = options.pop("model", None) or tiny.model(tasks={"t": task}, head="linear")
    rows = {"train": {"t": holed(40)}, "evaluation": {"t": holed(40, share=0.2)}, **options}
    return make(folder, model=model, max_steps=6, learning_rate=5e-3, **rows)


def test_thresholds_are_tuned_after_training_and_kept_with_the_model(tmp_path: Path) -> None:
    trainer = tuning(tmp_path / "run")
    before = trainer.evaluate()
    trainer.train()
    found = trainer.tuned["t"]
    assert trainer.model.config.decisions == {"t": found}
    assert trainer.tasks["t"].thresholds == trainer.model.tasks["t"].thresholds == found != [0.5] * 3
    outputs = trainer.predict({"t": trainer_rows(trainer)}).predictions["t"]
    labels = trainer.eval_dataset["t"].labels
    at_half = score_task(trainer.tasks["t"].model_copy(update={"thresholds": 0.5}), "t", outputs, labels)
    tuned = trainer.evaluate()
    assert tuned["eval_t_f1_macro"] > max(at_half["f1_macro"], before["eval_t_f1_macro"])
    trainer.model.save_pretrained(tmp_path / "model")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert loaded.tasks["t"].thresholds == found
    again = tuning(tmp_path / "again", model=loaded)
    assert again.evaluate()["eval_t_f1_macro"] == pytest.approx(tuned["eval_t_f1_macro"])
    # A new training begins without them, and ends with its own.
    again.train()
    assert again.model.config.decisions == {"t": again.tuned["t"]}
    assert again.tuned["t"] != found
    again.forget_decisions(["t"])
    assert again.model.config.decisions is None
    assert again.tasks["t"].thresholds == again.model.tasks["t"].thresholds == "tuned"


def trainer_rows(trainer: Any) -> Dataset:
    return holed(40, share=0.2)


def test_thresholds_cannot_be_tuned_without_rows_nor_for_tasks_that_do_not_ask(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tasks\.t\.thresholds: are tuned on evaluation rows, and there are none"):
        tuning(tmp_path, evaluation={})
    fixed = tiny.model(tasks={"t": TASK})
    with pytest.raises(ModelError, match="nothing tuned"):
        fixed.set_decision("t", [0.5] * 3)
    asking = tiny.model(tasks={"t": MultiLabelClassification(label=NAMES, thresholds="tuned")})
    for value in ([0.5], [2.0, 0.5, 0.5], "x"):
        with pytest.raises(ModelError):
            asking.set_decision("t", value)
    with pytest.raises(UserError, match="tuning needs evaluation rows"):
        make(tmp_path, model=fixed, train={"t": holed(8)}, evaluation={"t": holed(8)}).tune()


def test_a_temperature_is_refused_by_name(tmp_path: Path) -> None:
    model = tiny.model(tasks={"t": TASK})
    with pytest.raises(ModelError, match=r"tasks\.t: a temperature for a task of type multi_label_classification"):
        model.set_calibration_temperature("t", 2.0)
    with pytest.raises(UserError, match="one softmax"):
        make(tmp_path, model=model, train={"t": holed(8)}, evaluation={"t": holed(8)}, temperature_scaling=True)


def test_an_exported_model_knows_the_thresholds(tmp_path: Path) -> None:
    model = tiny.model(tasks={"t": MultiLabelClassification(label=NAMES, thresholds="tuned")}, head="native")
    model.set_decision("t", [0.2, 0.5, 0.9])
    model.export_task("t", tmp_path, tiny.tokenizer())
    from transformers import AutoConfig

    assert AutoConfig.from_pretrained(tmp_path).thresholds == pytest.approx([0.2, 0.5, 0.9])
