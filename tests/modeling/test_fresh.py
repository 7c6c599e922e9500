"""A model with fresh heads: what is wrong with its choices is said before anything is built."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.fresh import Choices, FreshModel

from .families import FAMILIES, make_model

NOTHING = Choices(head=None, pooling=None, dropout=None, max_length=None, peft=None, freeze=None)


def test_without_weights_auto_is_the_precision_of_the_config() -> None:
    tasks = {"a": SequenceClassification(labels=2)}
    for given, found in ((None, torch.float32), ("bfloat16", torch.bfloat16)):
        fresh = FreshModel({**FAMILIES["bert"], "dtype": given}, tasks, NOTHING, {"dtype": "auto"})
        assert fresh.encoder(MultiTaskModel.from_pretrained).dtype == found
        assert fresh.tokenizer is None


def test_tasks_without_names_are_refused() -> None:
    with pytest.raises(ModelError, match="tasks: is a list.*a task for each name"):
        MultiTaskModel.from_backbone({"model_type": "bert"}, [SequenceClassification(labels=2)])  # type: ignore[arg-type]


def test_misspelt_arguments_and_fields_are_named_with_the_nearest() -> None:
    tiny: dict[str, Any] = {"model_type": "bert"}
    task = {"type": "sequence_classification", "labels": 2}
    for options in ({"max_len": 8}, {"droput": 0.1}):
        with pytest.raises(ModelError, match=r"is no argument of from_backbone\. Did you mean '[md]"):
            MultiTaskModel.from_backbone(tiny, {"a": SequenceClassification(labels=2)}, **options)
    with pytest.raises(ModelError, match=r"tasks\.a\.txt: unknown field 'txt'\. Known: .*Did you mean 'text'"):
        MultiTaskModel.from_backbone(tiny, {"a": {**task, "txt": "x"}})  # type: ignore[dict-item]
    with pytest.raises(ModelError, match=r"tasks\.a\.type: unknown task type 'regresion'.*Did you mean 'regression'"):
        MultiTaskModel.from_backbone(tiny, {"a": {**task, "type": "regresion"}})  # type: ignore[dict-item]


def test_everything_wrong_is_said_at_once() -> None:
    tasks = {"a": SequenceClassification(), "b": Regression(head="linaer")}
    with pytest.raises(ModelError) as caught:
        MultiTaskModel.from_backbone(FAMILIES["bert"], tasks, {"type": "mlp", "wide": 3}, pooling="men", dropout=2.0)
    keys = [mistake.key for mistake in caught.value.mistakes]
    assert keys == ["model.dropout", "tasks.a.labels", "tasks.b.head", "model.head.wide", "model.pooling"]
    assert "Did you mean 'linear'" in str(caught.value)
    assert "Did you mean 'mean'" in str(caught.value)


def test_pooling_against_a_native_head_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'mean', but task 'train' has head 'native', which needs 'cls'"):
        make_model("roberta", "native", pooling="mean")
    with pytest.raises(ModelError, match="which needs 'mean'"):
        make_model("modernbert-mean", "native", pooling="cls")


def test_the_pooling_of_a_trained_model_goes_on_unless_a_head_needs_another(tmp_path: Path) -> None:
    make_model("bert", "linear", pooling="mean").save_pretrained(tmp_path)
    tasks = {"a": SequenceClassification(labels=2)}

    def taken(head: str | None = None, pooling: str | None = None) -> tuple[str | None, object]:
        config = MultiTaskModel.from_backbone(tmp_path, tasks, head, pooling=pooling).config
        return config.pooling, config.head

    assert taken() == ("mean", {"type": "linear"})
    assert taken("mlp") == ("mean", "mlp")
    assert taken("native") == ("cls", "native")
    assert taken("linear", "max") == ("max", "linear")


def test_pooling_without_a_head_chooses_a_head_that_fits() -> None:
    assert make_model("bert", pooling="mean").config.head == {"type": "linear"}
    assert make_model("bert", pooling="cls").config.head == {"type": "native"}
