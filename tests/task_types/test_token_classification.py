"""Tags of words: loss and mass by words, windows, export, and scores that a broken alignment could not reach."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset, concatenate_datasets
from pydantic import ValidationError

from hf_mtl import TokenClassification
from hf_mtl.data.words import split_words
from hf_mtl.errors import DataError, ModelError
from hf_mtl.inference.encode import encode_splits
from hf_mtl.modeling.statistics import ClassWeights
from hf_mtl.tasks import Task
from tests import tiny
from tests.task_types.sample import Sample, texts
from tests.training.trainers import make

LABELS = ["O", "B-HIGH", "I-HIGH", "B-MID", "I-MID"]
TASK = TokenClassification(text="text", label="label", labels=LABELS)


def tags_of(words: list[str]) -> list[str]:
    """A type for each word by the number that it begins with; words of one type beside each other are an entity."""
    numbers = [int(word[1:].split("-")[0]) for word in words]
    types = [None if number < 30 else "MID" if number < 45 else "HIGH" for number in numbers]
    return [
        "O" if kind is None else f"{'I' if place and types[place - 1] == kind else 'B'}-{kind}"
        for place, kind in enumerate(types)
    ]


def sample_rows(count: int) -> Dataset:
    words = [text.split() for text in texts(count)[0]]
    return Dataset.from_dict({"text": words, "label": [tags_of(row) for row in words]})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    total = np.log(np.exp(outputs).sum(axis=-1))
    chosen = np.take_along_axis(outputs, np.maximum(labels, 0).astype(int)[..., None], axis=-1)[..., 0]
    return np.where(labels == -100, 0.0, total - chosen).sum(axis=1)


def all_outside(outputs: np.ndarray) -> np.ndarray:
    return np.where((outputs == -100).all(axis=-1, keepdims=True), -100, np.eye(5)[0]).astype(np.float32)


SAMPLE = Sample(TASK, sample_rows, sample_loss, same=all_outside)


def long_words(count: int, least: int, most: int, seed: int) -> Dataset:
    """Rows of words of up to seven pieces, of which only the first says what the word is: an entity or none."""
    random = np.random.default_rng(seed)

    def word() -> str:
        return f"w{random.integers(59)}" + "-w59" * random.integers(4)

    rows = [[word() for _ in range(length)] for length in random.integers(least, most, count)]
    tags = [[tag.replace("I-", "B-") for tag in tags_of(row)] for row in rows]
    return Dataset.from_dict({"text": rows, "label": tags})


def encoded(task: Task, rows: Dataset, split: str = "train") -> Any:
    return encode_splits({"t": rows}, {"t": task}, tiny.tokenizer(), None, split)["t"]


def test_the_mass_of_a_row_is_its_words_with_a_known_tag() -> None:
    rows = Dataset.from_dict(
        {"text": [["w1-w2", "w3"], ["w40", "w41", "w2"]], "label": [["O", "O"], [None, "I-MID", "O"]]}
    )
    first, pieces = encoded(TASK, rows), encoded(TASK.model_copy(update={"word_pieces": "all"}), rows)
    assert first.masses.tolist() == [2, 2]
    assert pieces.masses.tolist() == [4, 2]
    outputs = torch.zeros(2, 3, 5)
    np.testing.assert_allclose(TASK.row_losses(outputs, torch.from_numpy(first.labels)), [2 * np.log(5)] * 2)


def test_words_that_are_not_known_have_no_gradient_even_where_their_output_is_infinite() -> None:
    outputs = torch.zeros(1, 3, 5)
    outputs[0, 1] = torch.inf
    outputs.requires_grad_()
    loss = TASK.row_losses(outputs, torch.tensor([[1, -100, -100]], dtype=torch.int16))
    assert loss.item() == pytest.approx(np.log(5))
    loss.sum().backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 0].any()
    assert not outputs.grad[0, 2].any()


def test_class_weights_have_a_mean_of_one_over_words_and_multiply_their_losses() -> None:
    task = TokenClassification(labels=["O", "B-X", "I-X"], class_weights="balanced", label_smoothing=0.1)
    labels = np.array([[0, 0, 0, 0, 1], [0, 0, 1, 2, -100]], dtype=np.int16)
    statistics = task.new_statistics()
    assert isinstance(statistics, ClassWeights)
    assert task.fit_statistics("t", statistics, labels, keep=False) == []
    weights = statistics.loss_weights
    assert weights is not None
    np.testing.assert_allclose(weights * torch.tensor([6.0, 2.0, 1.0]), 3, rtol=1e-6)
    raw = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, 3)))
    found = task.row_losses(raw, torch.from_numpy(labels), weights)
    plain = torch.log_softmax(raw, dim=-1).numpy()
    target = 0.9 * np.eye(3)[np.maximum(labels, 0)] + 0.1 / 3
    expected = np.where(labels == -100, 0, -(target * plain).sum(-1) * weights.numpy()[np.maximum(labels, 0)]).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert task.fit_statistics("t", statistics, labels, keep=True) == []
    with pytest.raises(ModelError, match=r"class_weights: found 1 weights for 3 classes"):
        tiny.model(tasks={"t": task.model_copy(update={"class_weights": [1.0]})})


def test_rows_are_counted_and_grouped_by_their_rarest_tag() -> None:
    labels = np.array([[0, 0, 1, 2], [0, 3, -100, -100], [0, 0, 0, 0], [0, 1, 0, 1]], dtype=np.int16)
    assert TASK.class_counts(labels).tolist() == [4, 2, 1, 1, 0]
    assert TASK.strata(labels).tolist() == [3, 4, 1, 2]
    assert TASK.train_notes(labels) == ["train has no row of class 'I-MID', which cannot be learned."]


@pytest.mark.parametrize(
    "keys",
    [{"text": ["a", "b"]}, {"label": ["a", "b"]}, {"scheme": "iob"}, {"word_pieces": "last"}, {"labels": ["O", "O"]}],
)
def test_keys_out_of_range_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TokenClassification(**keys)


def test_metrics_that_were_not_given_fit_the_tags() -> None:
    assert [spec.name for spec in TASK.metrics] == ["entity_f1"]
    plain = TokenClassification(labels=["NOUN", "VERB"])
    assert [spec.name for spec in plain.metrics] == ["accuracy", "f1_macro"]
    given = TokenClassification(labels=["NOUN", "VERB"], metrics=["f1_micro"])
    assert [spec.name for spec in given.metrics] == ["f1_micro"]
    assert TokenClassification.model_validate(plain.for_config()) == plain


def test_a_trainer_gives_outputs_of_every_word_also_of_rows_that_are_longer_than_the_model(tmp_path: Path) -> None:
    rows = concatenate_datasets([long_words(4, 1, 7, seed=2), long_words(3, 30, 60, seed=2)])
    trainer = make(tmp_path, model=tiny.model(tasks={"t": TASK}), train={"t": rows}, evaluation={"t": rows})
    found = trainer.predict({"t": rows})
    logits, labels = found.predictions["t"], found.label_ids["t"]
    lengths = [len(words) for words in rows["text"]]
    assert logits.shape == (7, max(lengths), 5)
    assert ((logits != -100).any(axis=-1).sum(axis=1) == lengths).all()
    predicted = TASK.predictions(logits)
    assert [(row != -100).sum() for row in predicted] == lengths
    assert [[LABELS[tag] for tag in row[row != -100]] for row in labels] == rows["label"]
    alone = trainer.predict({"t": rows.select(range(4))}).predictions["t"]
    np.testing.assert_allclose(alone, logits[:4, : alone.shape[1]], atol=1e-5)


def test_spans_are_trained_and_predicted_by_the_words_of_their_texts(tmp_path: Path) -> None:
    rows = [" ".join(words) for words in sample_rows(24)["text"]]
    spans = [
        [
            {"start": start, "end": end, "label": "HIGH" if int(text[start + 1 : end]) >= 45 else "MID"}
            for start, end in split_words(text)
            if int(text[start + 1 : end]) >= 30
        ]
        for text in rows
    ]
    data = {"t": Dataset.from_dict({"text": rows, "label": spans})}
    trainer = make(tmp_path, model=tiny.model(tasks={"t": TASK}), train=data, evaluation=data, max_steps=2)
    trainer.train()
    found = trainer.predict(data)
    assert found.predictions["t"].shape == (24, max(len(split_words(text)) for text in rows), 5)
    assert "test_t_entity_f1_HIGH" in found.metrics
    assert set(np.unique(found.label_ids["t"])) == {-100, 0, 1, 3}, "each word is an entity of its own"


def test_input_ids_in_place_of_words_are_refused() -> None:
    rows = Dataset.from_dict({"input_ids": [[2, 7, 3]], "label": [["O"]]})
    with pytest.raises(DataError, match="has input_ids and no column 'text'"):
        encoded(TASK, rows)
    with pytest.raises(DataError, match="has input_ids and no column 'text'"):
        encoded(TASK, rows.select_columns(["input_ids"]), "test")


def test_the_pipeline_of_transformers_finds_the_same_entities_in_an_export(tmp_path: Path) -> None:
    rows = sample_rows(32)
    model = tiny.model(tasks={"t": TASK}, head="native")
    trainer = make(tmp_path / "run", model=model, train={"t": rows}, evaluation={"t": rows}, max_steps=30)
    trainer.train()
    logits = trainer.predict({"t": rows}).predictions["t"]
    trainer.model.set_calibration_temperature("t", 2.0)
    trainer.model.export_task("t", tmp_path / "plain", tiny.tokenizer())
    tagger = transformers.pipeline("token-classification", str(tmp_path / "plain"), aggregation_strategy="none")
    whole = transformers.pipeline("token-classification", str(tmp_path / "plain"), aggregation_strategy="simple")
    entities = 0
    for row, words in enumerate(rows["text"]):
        found = {item["index"] - 1: item for item in tagger(" ".join(words))}  # without O
        predicted = logits[row, : len(words)]
        assert {place for place, tag in enumerate(predicted.argmax(-1)) if tag} == set(found)
        for place, item in found.items():
            assert item["entity"] == LABELS[predicted[place].argmax()]
            shares = np.exp(predicted[place] / 2) / np.exp(predicted[place] / 2).sum()
            assert item["score"] == pytest.approx(shares.max(), abs=1e-4)
        for entity in whole(" ".join(words)):
            assert entity["entity_group"] in ("HIGH", "MID")
            entities += 1
    assert entities > 0


@pytest.mark.slow
@pytest.mark.parametrize("word_pieces", ["first", "all"])
def test_entities_are_found_in_rows_that_are_longer_than_the_model(tmp_path: Path, word_pieces: str) -> None:
    task = TASK.model_copy(update={"word_pieces": word_pieces})
    train, long = long_words(1000, 1, 9, seed=0), long_words(60, 20, 60, seed=1)
    config = {"num_hidden_layers": 1, "hidden_size": 128, "initializer_range": 0.02}
    trainer = make(
        tmp_path,
        # Frozen at random, a state tells little but its own token: trained layers would find the right one from any.
        model=tiny.model(tasks={"t": task}, config=config, head="linear", freeze="encoder"),
        train={"t": train},
        evaluation={"t": long},
        max_steps=300,
        per_device_train_batch_size=32,
        learning_rate=2e-2,
        lr_scheduler_type="linear",
        logging_steps=100,
    )
    trainer.train()
    scores = trainer.evaluate()
    print(word_pieces, scores["eval_t_entity_f1"])
    # From the token before or behind the right one it is below 0.05.
    assert scores["eval_t_entity_f1"] > 0.97
