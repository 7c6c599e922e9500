"""Losses, outputs and notes of one of several choices, and what a wrong place of a choice would change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from torch.nn import functional as F
from transformers import AutoModelForMultipleChoice

from hf_mtl import MultipleChoice, MultiTaskModel, SequenceClassification
from hf_mtl.data.collate import Collator
from hf_mtl.errors import ModelError
from hf_mtl.evaluation import score_task
from hf_mtl.inference.encode import encode_splits
from hf_mtl.tasks.learning import NO_SITE
from tests import tiny
from tests.modeling.families import FAMILIES, make_tokenizer
from tests.task_types.sample import Sample, texts
from tests.training.trainers import make

TASK = MultipleChoice(labels="index")


def sample_rows(count: int) -> Dataset:
    """Texts whose first word stands in the right one of two to four choices, wherever that is."""
    found, share = texts(count)
    random, choices, labels = np.random.default_rng(5), [], []
    for row, (text, value) in enumerate(zip(found, share, strict=True)):
        wide = 2 + row % 3
        others = random.choice(tiny.WORDS[:30], size=(wide, 2))
        choices.append([" ".join(words) for words in others])
        labels.append(int(value * wide))
        choices[-1][labels[-1]] = f"{text.split()[0]} {tiny.WORDS[30 + row % 30]}"
    return Dataset.from_dict({"text": found, "choices": choices, "label": labels})


def sample_loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = []
    for row, label in zip(outputs[..., 0], labels, strict=True):
        there = row[row > NO_SITE / 2]
        found.append(np.log(np.exp(there).sum()) - there[label])
    return np.array(found)


SAMPLE = Sample(TASK, sample_rows, sample_loss)


def matching(count: int, seed: int, names: int = 24) -> Dataset:
    """Rows that only a match solves: a context names two words, and the right choice has one of them.

    Every word is as often right as wrong, the place of the right choice is drawn, and so is the number of choices.
    """
    random = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"text": [], "choices": [], "label": []}
    for _ in range(count):
        wide = int(random.integers(2, 5))
        words = random.permutation(tiny.WORDS[:names])[: wide + 1].tolist()
        label = int(random.integers(wide))
        rows["text"].append(" ".join(random.permutation([words[label], words[wide]])))
        rows["choices"].append(words[:wide])
        rows["label"].append(label)
    return Dataset.from_dict(rows)


def batch_of(rows: Dataset, task: MultipleChoice = TASK, order: list[int] | None = None) -> Any:
    splits = encode_splits({"t": rows}, {"t": task}, tiny.tokenizer(), None, "train")
    places = np.arange(len(rows)) if order is None else np.array(order)
    return Collator(splits, 0, 64)(np.zeros(len(places), dtype=np.int64), places)


def test_cross_entropy_is_over_the_choices_that_a_row_has() -> None:
    outputs = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, NO_SITE]])[..., None]
    found = TASK.row_losses(outputs, torch.tensor([0, 1]))
    expected = [
        F.cross_entropy(outputs[:1, :, 0], torch.tensor([0])),
        F.cross_entropy(outputs[1:, :2, 0], torch.tensor([1])),
    ]
    torch.testing.assert_close(found, torch.stack(expected))


def test_label_smoothing_is_that_of_torch_over_the_choices_that_a_row_has() -> None:
    outputs = torch.tensor([[2.0, 0.0, NO_SITE]])[..., None]
    task = MultipleChoice(label_smoothing=0.2)
    expected = F.cross_entropy(outputs[:, :2, 0], torch.tensor([1]), label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(task.row_losses(outputs, torch.tensor([1])), expected)
    outputs.requires_grad_()
    task.row_losses(outputs, torch.tensor([1])).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 2] == 0
    assert torch.isfinite(outputs.grad).all()


def test_a_choice_that_is_not_there_has_no_share_and_is_never_predicted() -> None:
    task = MultipleChoice(metrics=["accuracy", "ece"])
    raw = np.array([[-50.0, -60.0, NO_SITE], [-1.0, -2.0, 3.0]], dtype=np.float32)[..., None]
    assert task.predictions(raw).tolist() == [0, 2]
    assert task.compact((3,)) is None
    scores = score_task(task, "t", raw, np.array([0, 0]))
    sure = [np.exp(-50) / (np.exp(-50) + np.exp(-60)), np.exp(3) / np.exp([-1.0, -2.0, 3.0]).sum()]
    assert scores == pytest.approx({"accuracy": 0.5, "ece": np.mean(sure) - 0.5})  # both are in the last bin


def test_logits_follow_their_choices_whatever_their_order_and_their_neighbours() -> None:
    rows = matching(12, seed=1)
    model = tiny.model(tasks={"t": TASK}).eval()
    whole = model(**batch_of(rows)).logits["t"][..., 0]
    turned = rows.map(lambda row: {"choices": row["choices"][::-1]})
    backwards = model(**batch_of(turned)).logits["t"][..., 0]
    for row, choices in enumerate(rows["choices"]):
        there = slice(len(choices))
        torch.testing.assert_close(backwards[row, there].flip(0), whole[row, there], rtol=1e-5, atol=1e-5)
        alone = model(**batch_of(rows, order=[row])).logits["t"]
        assert alone.shape == (1, len(choices), 1)
        torch.testing.assert_close(alone[0, :, 0], whole[row, there], rtol=1e-5, atol=1e-5)
        assert (whole[row, len(choices) :] == NO_SITE).all()


def test_a_rectangle_of_choices_gives_what_the_packed_rows_give() -> None:
    rows = matching(6, seed=2)
    model, tokenizer = tiny.model(tasks={"t": TASK}).eval(), tiny.tokenizer()
    packed = model(**batch_of(rows))
    pairs = [
        [[text, choice] for choice in choices] for text, choices in zip(rows["text"], rows["choices"], strict=True)
    ]
    wide = max(map(len, pairs))
    flat = tokenizer([pair for row in pairs for pair in [*row, *[row[0]] * (wide - len(row))]], padding=True)
    inputs = {name: torch.tensor(value).view(len(rows), wide, -1) for name, value in flat.items()}
    for row, choices in enumerate(rows["choices"]):
        inputs["attention_mask"][row, len(choices) :] = 0
    found = model(**inputs, labels={"t": torch.tensor(rows["label"])})
    torch.testing.assert_close(found.logits["t"], packed.logits["t"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.loss, packed.loss)


def test_a_rectangle_of_choices_is_refused_for_heads_that_do_not_choose() -> None:
    model = tiny.model(tasks={"t": TASK, "mood": SequenceClassification(labels=2)}).eval()
    ids = torch.full((2, 3, 5), 7)
    with pytest.raises(ModelError, match="a row for each choice .* and mood takes rows of one text"):
        model(ids)
    assert model(ids, task="t").logits["t"].shape == (2, 3, 1)


HAVING = sorted(set(FAMILIES) - {"deberta"})


@pytest.mark.parametrize("family", HAVING)
def test_an_export_has_the_logits_of_every_family_that_has_such_a_model(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MultiTaskModel.from_backbone(FAMILIES[family], tasks={"t": TASK}, head="native").eval()
    model.set_calibration_temperature("t", 2.0)
    model.export_task("t", tmp_path, make_tokenizer())
    plain = AutoModelForMultipleChoice.from_pretrained(tmp_path).eval()
    ids = torch.randint(5, 30, (2, 3, 7))
    mask = torch.ones_like(ids)
    mask[0, 1, 4:] = 0
    found = model(ids, mask).logits["t"][..., 0]
    torch.testing.assert_close(plain(input_ids=ids, attention_mask=mask).logits, found, rtol=1e-4, atol=1e-5)
    assert found.std() > 0


def test_a_family_without_such_a_model_gets_another_head() -> None:
    with pytest.raises(ModelError, match="AutoModelForMultipleChoice of transformers has no 'deberta'"):
        MultiTaskModel.from_backbone(FAMILIES["deberta"], tasks={"t": TASK}, head="native")
    model = MultiTaskModel.from_backbone(FAMILIES["deberta"], tasks={"t": TASK})
    assert model.heads.of("t").head.name == "linear"


def test_predictions_are_logits_of_choices_as_transformers_gives_them(tmp_path: Path) -> None:
    rows, seen = sample_rows(20), []

    def own(prediction: transformers.EvalPrediction) -> dict[str, float]:
        seen.append(prediction.predictions.shape)
        return {"right": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}

    model = tiny.model(tasks={"t": TASK}, head="linear")
    trainer = make(tmp_path, model=model, train={"t": rows}, evaluation={"t": rows}, compute_metrics=own)
    found = trainer.predict({"t": rows})
    assert found.predictions["t"].shape == (20, 4)
    assert (found.predictions["t"][0, 2:] == NO_SITE).all()
    assert seen == [(20, 4)]
    assert found.metrics["test_t_right"] == found.metrics["test_t_accuracy"]


def test_a_temperature_divides_the_logits_of_choices_and_leaves_absent_ones_absent(tmp_path: Path) -> None:
    rows = sample_rows(24)
    trainer = make(
        tmp_path, model=tiny.model(tasks={"t": TASK}, head="linear"), train={"t": rows}, evaluation={"t": rows}
    )
    before = trainer.predict({"t": rows})
    [temperature] = trainer.calibrate().values()
    after = trainer.predict({"t": rows})
    there = before.predictions["t"] > NO_SITE / 2
    assert temperature != 1
    np.testing.assert_allclose(
        after.predictions["t"][there], before.predictions["t"][there] / temperature, rtol=1e-4, atol=1e-6
    )
    assert (after.predictions["t"][~there] < NO_SITE / 1e3).all()
    assert after.metrics["test_t_loss"] < before.metrics["test_t_loss"]


def test_a_right_choice_that_is_always_at_one_place_is_said() -> None:
    [said] = TASK.train_notes(np.array([0, 0, 0]))
    assert said.startswith("the right one is choice 1 in all training rows")
    assert not TASK.train_notes(np.array([0, 1]))


def test_one_place_predicted_for_all_rows_is_said() -> None:
    outputs = TASK.outputs_of(np.array([[[0.0], [1.0]], [[0.0], [2.0]]]))
    assert list(TASK.sameness(outputs, np.array([0, 1]))) == ["choice 2 is predicted for all 2 rows."]
    assert not list(TASK.sameness(outputs, np.array([1, 1])))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": ["a", "b", "c"]}, "a context, or a context and a question"),
        ({"choices": ["a"]}, "two columns or more"),
        ({"labels": ["a", "a"]}, "two or more different names"),
        ({"template": "choice"}, "a text with {choice} in it; {question} is the second"),
        ({"template": "{choice"}, "no template: "),
        ({"text": ["a", "b"], "template": "{choice}"}, "a text with {choice} and {question} in it"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}")):
        MultipleChoice(**options)


@pytest.mark.slow
def test_a_small_model_learns_to_match_choices_with_contexts(tmp_path: Path) -> None:
    model = tiny.model(
        tasks={"t": TASK},
        config={"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "initializer_range": 0.1},
    )
    train, test = matching(3000, seed=10), matching(400, seed=11)
    trainer = make(
        tmp_path,
        model=model,
        train={"t": train},
        evaluation={"t": test},
        max_steps=500,
        learning_rate=2e-3,
        per_device_train_batch_size=32,
    )
    trainer.train()
    assert trainer.evaluate()["eval_t_accuracy"] > 0.95
    # The same rows with every choice one place on, and the old labels: what a wrong order would come to.
    moved = test.map(lambda row: {"choices": row["choices"][1:] + row["choices"][:1]})
    assert trainer.predict({"t": moved}).metrics["test_t_accuracy"] < 0.05
