"""A temperature divides the logits of a classification, at evaluation only."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel

from .families import make_model, make_texts, make_tokenizer

IDS, MASK = make_texts([9, 4, 7])
LABELS = {"train": torch.tensor([0, 2, 1]), "intensity": torch.tensor([0.1, 0.5, 0.3])}


def test_only_the_logits_of_the_task_are_divided() -> None:
    model = make_model("bert", "linear")
    before = model(IDS, MASK).logits
    model.set_calibration_temperature("train", 2.5)
    after = model(IDS, MASK).logits
    torch.testing.assert_close(after["train"], before["train"] / 2.5)
    assert all(torch.equal(after[name], before[name]) for name in ("emo.bank", "intensity"))
    assert torch.equal(after["train"].argmax(-1), before["train"].argmax(-1))


def test_losses_at_evaluation_are_those_of_the_divided_logits() -> None:
    model = make_model("bert", "linear")
    model.set_calibration_temperature("train", 0.4)
    output = model(IDS, MASK, labels=LABELS)
    expected = torch.nn.functional.cross_entropy(output.logits["train"], LABELS["train"], reduction="none")
    torch.testing.assert_close(output.row_losses["train"], expected)


@pytest.mark.parametrize("head", ["linear", "vip"])
def test_training_does_not_see_it(head: str) -> None:
    outputs = []
    for temperature in (None, 3.0):
        model = make_model("bert", head, dropout=0.0)
        model.set_calibration_temperature("train", temperature)
        keys = {"rows": torch.arange(3), "step": 1}
        outputs.append(model.train()(IDS, MASK, labels=LABELS, noise=keys, uncertainty=True))
    plain, scaled = outputs
    assert torch.equal(plain.logits["train"], scaled.logits["train"])
    assert torch.equal(plain.loss, scaled.loss)
    for name in plain.variances:
        assert torch.equal(plain.variances[name], scaled.variances[name])


def test_variances_are_divided_by_its_square() -> None:
    model = make_model("bert", "vip")
    before = model(IDS, MASK, uncertainty=True).variances
    model.set_calibration_temperature("train", 2.0)
    after = model(IDS, MASK, uncertainty=True).variances
    torch.testing.assert_close(after["train"], before["train"] / 4)
    assert torch.equal(after["intensity"], before["intensity"])


def test_it_survives_save_and_load(tmp_path: Path) -> None:
    model = make_model("bert", "linear")
    model.set_calibration_temperature("train", 1.7)
    model.save_pretrained(tmp_path)
    for cls in (MultiTaskModel, AutoModel):
        loaded = cls.from_pretrained(tmp_path).eval()
        assert loaded.config.calibration_temperatures == {"train": 1.7}
        assert torch.equal(loaded(IDS, MASK).logits["train"], model(IDS, MASK).logits["train"])


def test_a_forgotten_temperature_leaves_nothing_behind() -> None:
    model = make_model("bert", "linear")
    before = model(IDS, MASK).logits["train"]
    model.set_calibration_temperature("train", 1.7)
    model.set_calibration_temperature("train", None)
    assert model.config.calibration_temperatures is None
    assert torch.equal(model(IDS, MASK).logits["train"], before)


def test_it_is_applied_in_float32_to_a_bfloat16_model() -> None:
    model = make_model("bert", "linear").to(torch.bfloat16)
    before = model(IDS, MASK).logits["train"]
    model.set_calibration_temperature("train", 1.3)
    after = model(IDS, MASK).logits["train"]
    assert torch.equal(after, before.float() / 1.3)
    assert torch.equal(after.argmax(-1), before.argmax(-1))


def test_export_folds_it_into_the_last_layer(tmp_path: Path) -> None:
    model = make_model("roberta", "native")
    ids, mask = make_texts([9, 4, 7], padding=1)
    model.set_calibration_temperature("train", 2.5)
    model.export_task("train", tmp_path, make_tokenizer())
    plain = copy.deepcopy(AutoModelForSequenceClassification.from_pretrained(tmp_path)).eval()
    found, expected = plain(ids, attention_mask=mask).logits, model(ids, mask).logits["train"]
    torch.testing.assert_close(found, expected)  # to float32 rounding: the weights were divided, not the logits


def test_what_has_no_temperature_is_refused() -> None:
    model = make_model("bert", "linear")
    with pytest.raises(ModelError, match=r"tasks\.intensity: a temperature for a task of type regression"):
        model.set_calibration_temperature("intensity", 2.0)
    with pytest.raises(ModelError, match="no task 'trane'.*Did you mean 'train'"):
        model.set_calibration_temperature("trane", 2.0)
    assert model.config.calibration_temperatures is None


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_numbers_that_are_not_positive_are_refused(value: float) -> None:
    model = make_model("bert", "linear")
    with pytest.raises(ModelError, match="Allowed: positive numbers"):
        model.set_calibration_temperature("train", value)


def test_a_config_with_a_temperature_for_a_regression_is_refused() -> None:
    config = make_model("bert", "linear").config
    config.calibration_temperatures = {"intensity": 2.0}
    with pytest.raises(ModelError, match=r"tasks\.intensity"):
        MultiTaskModel(config)


def test_a_config_with_a_temperature_for_an_unknown_task_is_refused(tmp_path: Path) -> None:
    model = make_model("bert")
    model.config.calibration_temperatures = {"intensty": 2.0}
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"temperatures\.intensty: unknown task .* Did you mean 'intensity'\?"):
        MultiTaskModel.from_pretrained(tmp_path)
