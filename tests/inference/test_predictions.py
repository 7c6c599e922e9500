"""Predictions by name in Python, of every head and from every form of rows."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_mtl import MultipleChoice, MultiTaskModel, Regression, SequenceClassification, SpanExtraction
from hf_mtl.errors import DataError, ModelError
from hf_mtl.modeling.heads import HEADS
from hf_mtl.tasks.predicting import RowOutputs
from tests import tiny
from tests.close import close
from tests.task_types.test_span_extraction import key_values
from tests.training.trainers import make

TEXTS = tiny.rows("mood", 20, seed=5)["text"][:]
LORA = {"peft": {"type": "lora", "r": 2}}
KINDS: dict[str, Any] = {**{head: {} for head in HEADS.names()}, "lora": LORA, "shared": {}}


@pytest.fixture
def model() -> MultiTaskModel:
    found = tiny.model(dropout=0.5)
    found.set_statistics("score", mean=[10.0, -5.0], std=[2.0, 3.0])
    found.remember_tokenizer(tiny.tokenizer())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_predicts_by_name_what_a_trainer_predicts(kind: str, tmp_path: Path) -> None:
    tasks, head = tiny.TASKS, None if kind in ("lora", "shared") else kind
    if kind == "shared":
        two = SequenceClassification(labels=["good", "bad"], head={"share": "x"})
        tasks = {"topic": tiny.TASKS["topic"], "mood": two, "mood_2": two}
    freeze = "encoder" if kind == "stl_cnn" else None
    model = tiny.model(tasks=tasks, head=head, freeze=freeze, **KINDS[kind])
    data = {name: tiny.rows("mood" if name == "mood_2" else name, 16) for name in tasks}
    trainer = make(tmp_path, model=model, train=data, evaluation=data, max_steps=1)
    trainer.train()
    if "mood" in tasks:
        model.set_calibration_temperature("mood", 2.5)
    rows = Dataset.from_dict({"text": TEXTS})
    raw = trainer.predict(dict.fromkeys(tasks, rows)).predictions
    model.train()
    found = model.predict(TEXTS)
    assert model.training
    for name, task in model.tasks.items():
        mine: Any = [row[name] for row in found]
        stds = [[item.pop("std", None) for item in row] for row in mine] if name == "score" else []
        assert mine == close(task.predicted(RowOutputs(raw[name], rows)))
        probabilistic = kind in ("vip", "mt_vib", "vmtl", "hierarchical")
        assert all((std is not None and std > 0) == probabilistic for row in stds for std in row)


def test_a_standard_deviation_is_in_the_units_of_its_target(model: MultiTaskModel) -> None:
    own = tiny.model(tasks={"score": tiny.TASKS["score"]}, head="vip")
    plain = {}
    for std in (1.0, 100.0):
        own.set_statistics("score", mean=[0.0, 0.0], std=[std, std])
        [row] = own.predict(TEXTS[:1], "score", processing_class=tiny.tokenizer())
        plain[std] = row[0]
    assert plain[100.0]["std"] == pytest.approx(100 * plain[1.0]["std"], rel=1e-4)
    assert plain[100.0]["value"] == pytest.approx(100 * plain[1.0]["value"], rel=1e-4)


def test_rows_in_every_form_have_the_same_predictions(model: MultiTaskModel) -> None:
    expected = model.predict(TEXTS)
    assert list(expected[0]) == ["topic", "mood", "score"]
    forms: list[Any] = [{"text": TEXTS}, Dataset.from_dict({"text": TEXTS, "label": [0] * 20})]
    forms += [[{"text": text, "other": 1} for text in TEXTS], tiny.rows("mood", 20, seed=5).with_format("numpy")]
    for rows in forms:
        assert model.predict(rows) == close(expected)
    assert model.predict(TEXTS[3]) == close(expected[3])
    assert model.predict({"text": TEXTS[3]}, ["mood"]) == close({"mood": expected[3]["mood"]})
    assert model.predict(TEXTS, "mood", top_k=2)[3][0] == close(expected[3]["mood"])
    assert model.predict([]) == []


def test_texts_of_several_tasks_are_encoded_once(model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    kept = model.encoder.forward
    monkeypatch.setattr(
        model.encoder,
        "forward",
        lambda *args, **kwargs: seen.append(kwargs["input_ids"].numel()) or kept(*args, **kwargs),
    )
    tokens = sum(len(ids) for ids in tiny.tokenizer()(TEXTS)["input_ids"])
    model.predict("w1")  # which settles the layout
    seen.clear()
    model.predict(TEXTS)
    assert sum(seen) == tokens


def test_pairs_and_columns_go_to_the_tasks_that_read_them(caplog: pytest.LogCaptureFixture) -> None:
    tasks = {
        "nli": SequenceClassification(text=["premise", "hypothesis"], labels=["yes", "no"]),
        "qa": SpanExtraction(),
        "choice": MultipleChoice(text="context", choices=["a", "b"]),
        "mood": tiny.TASKS["mood"],
    }
    model = tiny.model(tasks=tasks, head="linear")
    model.remember_tokenizer(tiny.tokenizer())
    with caplog.at_level(logging.WARNING):
        pair = model.predict(("w1 w2", "w3 w4"))
    assert list(pair) == ["nli", "qa"]
    assert "choice, mood read other columns than text, text_pair, and are left out" in caplog.text
    assert pair == close(model.predict({"text": "w1 w2", "text_pair": "w3 w4"}, ["nli", "qa"]))
    named = {"premise": ["w1 w2"], "hypothesis": ["w3 w4"], "question": ["w1 w2"], "context": ["w3 w4"]}
    [row] = model.predict({**named, "a": ["w5"], "b": ["w6"], "text": ["w7"]})
    assert list(row) == list(tasks)
    assert {name: row[name] for name in ("nli", "qa")} == close(pair)
    assert row["choice"]["label"] in ("w5", "w6")
    with pytest.raises(DataError, match=r"tasks\.choice: reads the columns 'context', 'a', 'b', and the rows have"):
        model.predict("w1", ["choice"])
    with pytest.raises(ModelError, match=r"no task 'moods'.*Did you mean 'mood'"):
        model.predict("w1", "moods")


def test_the_best_answers_are_those_of_a_trainers_predictions(tmp_path: Path) -> None:
    rows = key_values(30)
    model = tiny.model(tasks={"qa": SpanExtraction(), "mood": tiny.TASKS["mood"]}, dropout=0.5)
    trainer = make(tmp_path, model=model, train={"qa": rows}, evaluation={"qa": rows})
    predicted = trainer.predict({"qa": rows})
    expected = model.tasks["qa"].answers(predicted.predictions["qa"], predicted.label_ids["qa"], n_best=3)
    found = model.predict(rows.remove_columns("answers"), "qa", top_k=3)
    assert [len(row) for row in found] == [3] * 30
    assert found == close([[dict(answer) for answer in row] for row in expected], 1e-3)
    always = tiny.model(tasks={"qa": SpanExtraction(no_answer=False)})
    assert all(row["answer"] for row in always.predict(rows, "qa", processing_class=tiny.tokenizer()))


def test_rows_that_cannot_be_read_have_no_prediction_and_are_said(
    model: MultiTaskModel, caplog: pytest.LogCaptureFixture
) -> None:
    odd = ["w1", "", None, "  ", 7, "w2"]
    with caplog.at_level(logging.WARNING):
        found = model.predict(odd, "mood")
    assert [row is None for row in found] == [False, True, True, True, True, False]
    assert "mood: 4 rows without a prediction: rows 1, 2, 3 and 4" in caplog.text
    assert [found[0], found[5]] == close(model.predict(["w1", "w2"], "mood"))
    choices = tiny.model(tasks={"c": MultipleChoice(text=[], choices="choices")}, head="linear")
    rows = [{"choices": item} for item in (["w1", "w2"], ["w1"], ["w1", None], "w1", None, ["w3", "w4"])]
    with caplog.at_level(logging.WARNING):
        found = choices.predict(rows, "c", processing_class=tiny.tokenizer())
    assert [row is None for row in found] == [False, True, True, True, True, False]
    assert "(with fewer than two choices)" in caplog.text


def test_a_prediction_that_fails_leaves_model_and_gradients_as_they_were(
    model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SequenceClassification, "predicted", lambda self, found: 1 / 0)
    model.train()
    with pytest.raises(ZeroDivisionError) as caught:
        model.predict(TEXTS)
    assert torch.is_grad_enabled()
    assert model.training
    assert caught.tb is not None  # which holds what has failed alive


def test_outputs_that_are_not_finite_are_no_prediction(model: MultiTaskModel) -> None:
    with np.errstate(all="ignore"):
        weight = next(model.heads.of("mood").parameters())
        weight.data[:] = float("nan")
        found = model.predict(TEXTS[:2])
    assert [row["mood"] for row in found] == [None, None]
    assert found[0]["topic"] is not None


def test_a_long_text_is_cut_and_said_or_read_in_windows(
    model: MultiTaskModel, caplog: pytest.LogCaptureFixture
) -> None:
    words = [f"w{number % 60}" for number in range(100)]
    long = " ".join(words)
    with caplog.at_level(logging.WARNING):
        cut = model.predict([long, "w1"])
    assert "mood: 1 row longer than the model reads, and cut." in caplog.text
    assert cut[0] == close(model.predict(" ".join(words[:30])))
    whole = model.predict([long, "w1"], long="chunk")
    assert whole[1] == close(cut[1])
    # 32 tokens with two special ones leave 30 words, of which windows share 7.
    parts = [" ".join(words[start : start + 30]) for start in range(0, 100, 23)]
    values = [[item["value"] for item in model.predict(part, "score")] for part in parts]
    found = [item["value"] for item in whole[0]["score"]]
    assert found == pytest.approx(np.mean(values, axis=0).tolist(), rel=1e-4)


def test_pairs_are_read_in_windows_of_their_longer_text() -> None:
    task = Regression(text=["a", "b"], label="y", standardize=False)
    model = tiny.model(tasks={"t": task}, head="linear")
    model.remember_tokenizer(tiny.tokenizer())
    long = [f"w{number}" for number in range(40)]
    for pair, place in (((" ".join(long), "w50 w51 w52"), 0), (("w50 w51 w52", " ".join(long)), 1)):
        found = model.predict(pair, "t", long="chunk")["value"]
        # 32 tokens with three special ones and three words leave 26, of which windows share 6.
        parts = [long[:26], long[20:]]
        pairs = [tuple(" ".join(part) if at == place else pair[at] for at in (0, 1)) for part in parts]
        values = [row["value"] for row in model.predict(pairs, "t")]
        assert found == pytest.approx(np.mean(values), rel=1e-4)
        assert found != pytest.approx(values[0], rel=1e-4)


@pytest.mark.parametrize("rows", [5, None, ("a", "b", "c"), {"text": ["a"], "other": ["a", "b"]}])
def test_what_are_no_rows_is_refused(model: MultiTaskModel, rows: object) -> None:
    with pytest.raises(DataError, match=r"rows: (found a|columns of different lengths)"):
        model.predict(rows)


def test_a_model_whose_tokenizer_nobody_knows_asks_for_one() -> None:
    with pytest.raises(ModelError, match="no tokenizer is known"):
        tiny.model().predict("w1")
