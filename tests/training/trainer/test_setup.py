from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn

from hf_mtl import MultiTaskTrainingArguments, Regression, SequenceClassification
from hf_mtl.data import check, load
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import DataError, UserError
from hf_mtl.inference import encode as encoding
from hf_mtl.inference.encode import encode_splits
from hf_mtl.training.trainer import setup
from hf_mtl.training.trainer.argument_checks import check_arguments
from hf_mtl.training.trainer.setup import fit_statistics, metric_statistics
from tests import tiny
from tests.training.trainers import make

MODEL = tiny.model()
SIZES = {"topic": 101, "mood": 37, "score": 53}


def arguments(tmp_path: Any, **options: Any) -> MultiTaskTrainingArguments:
    return MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none", **options)


# ---- Arguments ----


def test_ordinary_arguments_are_accepted(tmp_path: Any) -> None:
    watching = {"early_stopping_patience": 2, "eval_strategy": "epoch", "metric_for_best_model": "average"}
    check_arguments(MODEL, arguments(tmp_path), {"callbacks": [], "data_collator": None})
    check_arguments(MODEL, arguments(tmp_path, **watching), {})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"auto_find_batch_size": True}, "training.auto_find_batch_size: is on. .*gradient_accumulation_steps"),
    ({"train_sampling_strategy": "sequential"}, "training.train_sampling_strategy: is 'sequential'. .*mixture"),
    ({"train_sampling_strategy": "group_by_length"}, "is 'group_by_length'. .*encoder_layout"),
    ({"label_smoothing_factor": 0.1}, "training.label_smoothing_factor: is 0.1. Set label_smoothing on the tasks"),
    ({"early_stopping_patience": 2}, "training.early_stopping_patience: is set, but there is nothing to watch"),
    ({"early_stopping_patience": 2, "eval_strategy": "epoch"}, "nothing to watch. Set eval_strategy"),
    ({"ignore_data_skip": True}, "training.ignore_data_skip: is on. A resumed run seeks"),
    ({"per_device_eval_batch_size": 0}, "training.per_device_eval_batch_size: is 0. Allowed: at least 1"),
    ({"head_learning_rate": -1.0}, "training.head_learning_rate: is -1.0. Allowed: 0 or more"),
    ({"num_train_epochs": 0}, "training.num_train_epochs: is 0, and max_steps is not set"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_a_training_argument_that_cannot_work_is_refused(tmp_path: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        check_arguments(MODEL, arguments(tmp_path, **options), {})
    assert len(caught.value.mistakes) == 1


def test_several_gpus_in_one_process_are_refused(tmp_path: Any) -> None:
    args = arguments(tmp_path)
    args._n_gpu = 2
    with pytest.raises(UserError, match=r"training\.n_gpu: this one process sees 2 GPUs\. .*accelerate launch"):
        check_arguments(MODEL, args, {})


def test_an_accelerator_without_float64_is_refused_with_the_way(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultiTaskTrainingArguments, "device", property(lambda self: torch.device("mps")))
    with pytest.raises(UserError, match=r"training\.use_cpu: is false, and this machine's accelerator is mps"):
        check_arguments(MODEL, arguments(tmp_path), {})


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("data_collator", "hf_mtl plans and collates its own batches"),
        ("compute_loss_func", "set `loss` on the task"),
        ("preprocess_logits_for_metrics", "use compute_metrics"),
    ],
)
def test_what_the_trainer_does_itself_is_refused(tmp_path: Any, key: str, remedy: str) -> None:
    with pytest.raises(UserError, match=f"{key}: is not used by MultiTaskTrainer. {remedy}"):
        check_arguments(MODEL, arguments(tmp_path), {key: print})


def test_another_model_and_other_arguments_are_refused_together(tmp_path: Any) -> None:
    with pytest.raises(UserError) as caught:
        check_arguments(nn.Linear(1, 1), {"output_dir": "x"}, {"data_collator": print})
    text = str(caught.value)
    assert "model: is a Linear. Give a MultiTaskModel" in text
    assert "args: are dict. Give MultiTaskTrainingArguments" in text
    assert len(caught.value.mistakes) == 3


def test_a_model_that_is_split_over_processes_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(MODEL), "tp_size", 2)
    with pytest.raises(UserError, match=r"^model: is split over 2 processes \(tp_plan\)\. Leave it out"):
        check_arguments(MODEL, arguments(tmp_path), {})


@pytest.mark.parametrize("places", [{"": "disk"}, {"encoder": 0, "heads": "cpu"}])
def test_a_model_that_lies_in_several_places_is_refused(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, places: dict[str, Any]
) -> None:
    monkeypatch.setattr(MODEL, "hf_device_map", places, raising=False)
    with pytest.raises(UserError, match=r"^model: lies on .*disk|^model: lies on 0, cpu \(device_map\)\. Load it"):
        check_arguments(MODEL, arguments(tmp_path), {})
    monkeypatch.setattr(MODEL, "hf_device_map", {"": "cpu"})
    check_arguments(MODEL, arguments(tmp_path), {})


def test_all_wrong_training_arguments_are_said_at_once(tmp_path: Any) -> None:
    args = arguments(tmp_path, auto_find_batch_size=True, label_smoothing_factor=0.2, early_stopping_patience=1)
    with pytest.raises(UserError) as caught:
        check_arguments(MODEL, args, {})
    keys = [mistake.key for mistake in caught.value.mistakes]
    assert keys == [
        f"training.{key}" for key in ("auto_find_batch_size", "label_smoothing_factor", "early_stopping_patience")
    ]


# ---- Data ----


def encode(datasets: Any, tasks: Any = tiny.TASKS) -> dict[str, EncodedSplit]:
    return encode_splits(datasets, tasks, tiny.tokenizer(), None, split="train")


def test_splits_come_back_in_the_models_task_order() -> None:
    data = tiny.datasets({"score": 4, "topic": 5})
    found = encode(data)
    assert list(found) == ["topic", "score"]
    assert (len(found["topic"]), found["score"].labels.shape) == (5, (4, 2))


def test_encoded_splits_are_taken_as_they_are() -> None:
    encoded = encode(tiny.datasets({"mood": 4}))
    assert encode(encoded)["mood"] is encoded["mood"]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_rows_are_checked_once_however_many_trainers_take_them(split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets, asked = tiny.datasets({"topic": 9, "score": 5}), []
    for module in (load, check, encoding):
        for name in {"encode_labels", "check_texts"} & set(vars(module)):
            mock = Mock(wraps=getattr(module, name))
            monkeypatch.setattr(module, name, mock)
            asked.append(mock)
    first = encode_splits(datasets, tiny.TASKS, tiny.tokenizer(), None, split)
    count = sum(mock.call_count for mock in asked)
    again = encode_splits(datasets, tiny.TASKS, tiny.tokenizer(), None, split)
    assert count
    assert count == sum(mock.call_count for mock in asked)
    assert again["topic"].labels.tolist() == first["topic"].labels.tolist()
    other = SequenceClassification(labels=["a", "b"])
    with pytest.raises(DataError, match="labels outside 0..1"):
        encode_splits(datasets, {**tiny.TASKS, "topic": other}, tiny.tokenizer(), None, split)


def test_rows_without_a_label_are_left_out_and_said_by_every_trainer(caplog: pytest.LogCaptureFixture) -> None:
    rows = Dataset.from_dict({"text": ["w1", "w2", "w3"], "label": [0, None, 1]})
    task = SequenceClassification(labels=["a", "b"])
    for _ in range(2):
        caplog.clear()
        assert encode_splits(rows, {"t": task}, tiny.tokenizer(), None, "train")["t"].labels.tolist() == [0, 1]
        assert "1 of 3 train rows has no label and was dropped" in caplog.text
    encoded = encode_splits(rows, {"t": task}, tiny.tokenizer(), None, "test")["t"]
    assert encoded.missing is not None
    assert encoded.missing.tolist() == [False, True, False]


class Counted(SequenceClassification):
    def masses(self, labels: Any) -> Any:
        return (labels + 1) * (labels >= 0)


def test_a_split_carries_the_masses_that_its_task_gives(caplog: pytest.LogCaptureFixture) -> None:
    rows = Dataset.from_dict({"text": ["w1", "w2", "w3"], "label": [0, None, 1]})
    for split, masses in (("train", [1, 2]), ("test", [1, 0, 2])):
        found = encode_splits(rows, {"t": Counted(labels=["a", "b"])}, tiny.tokenizer(), None, split)["t"]
        assert found.masses is not None
        assert found.masses.tolist() == masses
    plain = SequenceClassification(labels=["a", "b"])
    assert encode_splits(rows, {"t": plain}, tiny.tokenizer(), None, "train")["t"].masses is None


def test_a_plain_dataset_is_enough_for_one_task() -> None:
    found = encode(tiny.rows("mood", 4), {"mood": tiny.TASKS["mood"]})
    assert len(found["mood"]) == 4


def test_a_plain_dataset_for_several_tasks_is_refused() -> None:
    with pytest.raises(DataError, match=r"3 tasks \(topic, mood, score\): give a dictionary"):
        encode(tiny.rows("mood", 4))


def test_unknown_tasks_are_refused_together() -> None:
    with pytest.raises(
        DataError, match=r"tasks\.mod: the model has no such task\. .*Did you mean 'mood'\?"
    ) as caught:
        encode({"mod": tiny.rows("mood", 4), "other": tiny.rows("mood", 4)})
    assert len(caught.value.mistakes) == 2


def test_the_mistakes_of_all_tasks_come_together() -> None:
    wrong = {"topic": Dataset.from_dict({"text": ["w1"], "lable": [0]}), "mood": tiny.rows("mood", 4)}
    wrong["score"] = Dataset.from_dict({"texts": ["w1"], "x": [0.0], "y": [0.0]})
    with pytest.raises(DataError) as caught:
        encode(wrong)
    keys = {mistake.key for mistake in caught.value.mistakes}
    assert {"tasks.topic.label", "tasks.score.text"} <= keys
    assert not any(key.startswith("tasks.mood") for key in keys)


def test_a_limit_without_room_for_text_is_said_once_for_all_tasks() -> None:
    with pytest.raises(DataError, match="model.max_length: 2 leaves no room for text") as caught:
        encode_splits(tiny.datasets({"mood": 5, "score": 5}), tiny.TASKS, tiny.tokenizer(), 2, split="train")
    assert len(caught.value.mistakes) == 1


# ---- Training statistics ----


def split(labels: Any) -> EncodedSplit:
    data = tiny.rows("mood", len(labels))
    return EncodedSplit(encode({"mood": data})["mood"].tokens, np.asarray(labels))


def test_statistics_are_fitted_once() -> None:
    model = tiny.model()
    first, second = (split(np.array([[1.0, 10.0], [3.0, 10.0]]) * factor) for factor in (1, 100))
    assert not model.has_statistics("score")
    fit_statistics(model, {"score": first})
    expected = {"score": {"mean": [2.0, 10.0], "std": [1.0, 1.0]}}  # a constant target is only centred
    assert metric_statistics(model) == expected
    fit_statistics(model, {"score": second})
    assert metric_statistics(model) == expected


def test_a_constant_that_no_float_is_equal_to_is_only_centred_too() -> None:
    model = tiny.model()
    fit_statistics(model, {"score": split(np.array([[6.9, 1.0], [6.9, 2.0], [6.9, 3.0]]))})
    assert metric_statistics(model)["score"]["std"][0] == 1.0


def test_a_saved_model_keeps_its_statistics(tmp_path: Any) -> None:
    model = tiny.model()
    fit_statistics(model, {"score": split([[1.0, 0.0], [3.0, 4.0]])})
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    fit_statistics(loaded, {"score": split([[0.0, 0.0], [9.0, 9.0]])})
    assert metric_statistics(loaded) == {"score": {"mean": [2.0, 2.0], "std": [1.0, 2.0]}}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(setup.logger, "warning", messages.append)
    return messages


ROWS = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 10.0]])  # means 3 and 10; deviations 1.63 and, of a constant, 1
CENTRE = np.array([3.0, 10.0])


def moved(by: list[float], times: float = 1.0, spread: float = 0.0) -> np.ndarray:
    """These rows with other means and deviations."""
    return (
        (ROWS - CENTRE) * [times, 1.0] + CENTRE + np.array(by) + np.array([[0.0, 0.0], [0.0, -spread], [0.0, spread]])
    )


NEAR = [ROWS, moved([4.8, 2.9]), moved([0.0, 0.0], times=2.9), moved([1.0, 1.0], times=0.0)]
FAR = [
    (moved([5.0, 0.0]), "mean 3 and the standard deviation 1.63299 of 'x' from"),
    (moved([0.0, -3.1]), "mean 10 and the standard deviation 1 of 'y' from"),
    (moved([0.0, 0.0], times=3.1), "these rows have 3 and 5.06228. Set training.refit_statistics"),
    (moved([0.0, 0.0], times=0.3), "these rows have 3 and 0.489898"),
    (moved([0.0, 0.0], spread=4.0), "these rows have 10 and 3.26599"),
]


@pytest.mark.parametrize(("labels", "expected"), [*((rows, None) for rows in NEAR), *FAR])
def test_statistics_of_other_rows_that_are_far_off_are_said(said: list[str], labels: Any, expected: str) -> None:
    model = tiny.model()
    fit_statistics(model, {"score": split(ROWS)})
    kept = metric_statistics(model)
    fit_statistics(model, {"score": split(labels)})
    assert metric_statistics(model) == kept
    assert len(said) == (expected is not None)
    assert not said or (said[0].startswith("score: the model keeps the ") and expected in said[0])
    fit_statistics(model, {"score": split(labels)}, refit=True)
    assert metric_statistics(model)["score"]["mean"] == pytest.approx(np.mean(labels, axis=0).tolist())
    assert len(said) == (expected is not None)


@pytest.mark.parametrize(("offset", "warned"), [(1995.0, False), (1e5, False), (1.7e9, True)])
def test_targets_with_more_digits_than_float32_are_said(said: list[str], offset: float, warned: bool) -> None:
    fit_statistics(tiny.model(), {"score": split(ROWS + np.array([offset, 0.0]))})
    assert len(said) == warned
    assert not said or "the targets 'x' are around 1.7e+09 with a standard deviation of 1.63299" in said[0]
    assert not said or "float32 has steps of 128 there" in said[0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 0, 1, 1], []),
        ([0, 0, 0, 0, 1, 1], []),
        ([0, 0, 0, 0], []),  # of 'bad' nothing is known here
        ([0] * 9 + [1], ["loss weight 1 of the class 'bad' from the rows", "these rows have 5"]),
    ],
)
def test_class_weights_of_other_rows_that_are_far_off_are_said(said: list[str], labels: Any, expected: Any) -> None:
    model = tiny.model(tasks={"mood": SequenceClassification(labels=["good", "bad"], class_weights="balanced")})
    fit_statistics(model, {"mood": split([0, 1, 0, 1])})
    fit_statistics(model, {"mood": split(labels)})
    assert model.heads.of("mood").statistics.weights.tolist() == [1.0, 1.0]
    assert len(said) == bool(expected)
    assert all(part in said[0] for part in expected)


def test_a_class_that_had_no_rows_before_goes_on_with_the_mean_weight(said: list[str]) -> None:
    model = tiny.model(tasks={"mood": SequenceClassification(labels=["good", "bad"], class_weights="balanced")})
    fit_statistics(model, {"mood": split([0, 0, 0, 0])})
    assert model.heads.of("mood").statistics.weights.tolist() == [1.0, 1.0]
    fit_statistics(model, {"mood": split([0, 1, 0, 1])})
    assert said == []
    fit_statistics(model, {"mood": split([0] * 9 + [1])})
    assert any("loss weight 1 of the class 'bad'" in message for message in said)


def test_a_loaded_model_goes_on_with_new_rows_in_their_units(tmp_path: Any) -> None:
    def losses(refit: bool) -> float:
        model = tiny.model(tasks={"score": tiny.TASKS["score"]})
        model.set_statistics("score", mean=[-5000.0, 2.0], std=[1.0, 1.0])
        rows = {"score": tiny.rows("score", 16)}
        trainer = make(tmp_path, model=model, train=rows, evaluation=rows, max_steps=1, refit_statistics=refit)
        trainer.train()
        return float(trainer.state.log_history[0]["loss/score"])

    assert losses(refit=False) > 1e6
    assert losses(refit=True) < 10


def test_raw_targets_have_no_statistics() -> None:
    model = tiny.model(tasks={"raw": Regression(standardize=False)})
    fit_statistics(model, {"raw": split([[1.0], [3.0]])})
    assert metric_statistics(model) == {}


def test_class_weights_are_fitted_once() -> None:
    model = tiny.model(tasks={"mood": SequenceClassification(labels=["good", "bad"], class_weights="balanced")})
    fit_statistics(model, {"mood": split([0, 0, 0, 1])})
    fit_statistics(model, {"mood": split([0, 1, 1, 1])})
    weights = model.heads.of("mood").statistics.loss_weights
    assert weights is not None
    assert torch.allclose(weights, torch.tensor([2 / 3, 2.0]))
