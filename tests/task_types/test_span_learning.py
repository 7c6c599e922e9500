"""A small model learns to find answers, which a broken alignment, mask or order of windows would not let it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from hf_mtl import MultiTaskModel, SpanExtraction
from hf_mtl.data.asked_contexts import AskedContext, asked_contexts, window_places
from hf_mtl.evaluation import score_task
from tests import tiny
from tests.task_types.test_span_extraction import key_values
from tests.training.trainers import make

pytestmark = pytest.mark.slow
WIDER = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "initializer_range": 0.05}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    task = SpanExtraction(no_answer=True, null_threshold="tuned")
    trainer = make(
        tmp_path_factory.mktemp("spans"),
        model=tiny.model(tasks={"t": task}, head="native", config=WIDER),
        train={"t": key_values(2000)},
        evaluation={"t": key_values(200, seed=1)},
        max_steps=320,
        learning_rate=4e-3,
        per_device_train_batch_size=32,
        lr_scheduler_type="linear",
        warmup_steps=32,
    )
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def rows() -> Dataset:
    return key_values(400, seed=2)


@pytest.fixture(scope="module")
def predicted(trained: Any, rows: Dataset) -> Any:
    return trained.predict({"t": rows})


def exact(trained: Any, raw: np.ndarray, asked: np.ndarray) -> float:
    return score_task(trained.tasks["t"], "t", raw, asked)["squad_exact_match"]


def test_rows_that_were_not_trained_on_are_answered(predicted: Any) -> None:
    assert predicted.metrics["test_t_squad_exact_match"] > 0.97
    assert predicted.metrics["test_t_squad_exact_match_has_answer"] > 0.97
    assert predicted.metrics["test_t_squad_exact_match_no_answer"] > 0.97


def test_answers_that_only_the_second_window_has_are_found(trained: Any) -> None:
    found = trained.predict({"t": key_values(300, seed=3, least=10)})
    raw, asked = found.predictions["t"], found.label_ids["t"]
    places = window_places(asked)
    second = np.flatnonzero((places[:, 0, 0] == 0) & (places[:, 1:, 0] > 0).any(axis=1))
    assert len(second) > 20
    assert exact(trained, raw[second], asked[second]) > 0.95


def test_a_broken_alignment_or_order_of_windows_could_not_score(trained: Any, predicted: Any) -> None:
    raw, asked = predicted.predictions["t"], predicted.label_ids["t"]
    answered = np.flatnonzero([bool(row.spans) for row in asked])

    def with_windows(change: Any) -> np.ndarray:
        found = np.empty(len(answered), dtype=object)
        found[:] = [AskedContext(row.context, row.spans, change(row.windows)) for row in asked[answered]]
        return found

    assert exact(trained, raw[answered], with_windows(lambda windows: windows)) > 0.97
    shifted = with_windows(lambda windows: tuple(np.roll(tokens, 1, axis=0) for tokens in windows))
    assert exact(trained, raw[answered], shifted) < 0.03
    several = [len(row.windows) > 1 for row in asked[answered]]
    turned = with_windows(lambda windows: tuple(windows[0] for _ in windows))  # of the first window, whichever it is
    assert exact(trained, raw[answered][several], turned[several]) < 0.75


def test_the_threshold_is_tuned_kept_and_read_again(trained: Any, rows: Dataset, tmp_path: Path) -> None:
    threshold = trained.tuned["t"]
    assert trained.model.config.decisions == {"t": threshold}
    assert trained.tasks["t"].null_threshold == threshold
    trained.model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert loaded.tasks["t"].null_threshold == threshold
    some = rows.select(range(40)).remove_columns("answers")
    found = loaded.predict(some, "t", processing_class=tiny.tokenizer())
    texts = [[*row["text"], ""][0] for row in rows.select(range(40))["answers"]]
    assert np.mean([item["answer"] == text for item, text in zip(found, texts, strict=True)]) > 0.95


def test_a_temperature_is_fitted_and_answers_stay_right(trained: Any, predicted: Any, rows: Dataset) -> None:
    found = trained.calibrate({"t": rows})
    try:
        assert 0.05 <= found["t"] < 1, "the model is right, and surer than it says"
        again = trained.predict({"t": rows})
        assert again.metrics["test_t_squad_exact_match"] > 0.97
        assert again.metrics["test_t_loss"] <= predicted.metrics["test_t_loss"] + 1e-6
    finally:
        trained.model.set_calibration_temperature("t", None)


def test_an_exported_model_answers_the_same(trained: Any, predicted: Any, rows: Dataset, tmp_path: Path) -> None:
    trained.model.export_task("t", tmp_path, tiny.tokenizer())
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    assert plain.config.null_threshold == trained.tuned["t"]
    tokenizer, task = AutoTokenizer.from_pretrained(tmp_path), trained.tasks["t"]
    right = []
    for number in range(20):
        row = rows[number]
        encoded = tokenizer(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=32,
            stride=7,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=True,
            return_tensors="pt",
        )
        looked = [[place == 0 or part == 1 for place, part in enumerate(e.sequence_ids)] for e in encoded.encodings]
        with torch.no_grad():
            inputs = {key: encoded[key] for key in ("input_ids", "token_type_ids", "attention_mask")}
            output = plain(**inputs)
        both = torch.stack([output.start_logits, output.end_logits], dim=-1)
        for window, sites in enumerate(looked):
            ours = predicted.predictions["t"][number, window, : sum(sites)]
            torch.testing.assert_close(both[window][sites], torch.from_numpy(ours), rtol=1e-3, atol=1e-3)
        raw = np.full((1, len(looked), max(map(sum, looked)), 2), task.absent_output, dtype=np.float32)
        for window, sites in enumerate(looked):
            raw[0, window, : sum(sites)] = both[window][sites].numpy()
        characters = [
            encoded["offset_mapping"][window][np.array(sites) & (np.arange(len(sites)) > 0)].numpy().astype(np.int32)
            for window, sites in enumerate(looked)
        ]
        [[found]] = task.answers(raw, asked_contexts([row["context"]], None, [tuple(characters)]))
        right.append(found["answer"] == [*row["answers"]["text"], ""][0])
    assert np.mean(right) > 0.9
