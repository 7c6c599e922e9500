"""A model that is saved and loaded is the same model."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from hf_mtl import SequenceClassification
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel

from .families import FAMILIES, OTHERS, TASKS, make_model, make_texts, make_tokenizer, padding_of

HEADS = ["native", "linear", {"type": "mlp", "hidden": 7}]


def _assert_same(model: MultiTaskModel, loaded: MultiTaskModel, family: str) -> None:
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    ids = ids.clamp(max=len(model.get_input_embeddings().weight) - 1)
    expected, found = model(ids, mask).logits, loaded.eval()(ids, mask).logits
    assert list(found) == list(TASKS)
    for task in TASKS:
        assert torch.equal(expected[task], found[task]), task
    assert model.state_dict().keys() == loaded.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


@pytest.mark.parametrize("head", HEADS, ids=["native", "linear", "mlp"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_same_bits_after_save_and_load(family: str, head: str | dict, tmp_path: Path) -> None:
    model = make_model(family, head)
    model.save_pretrained(tmp_path)
    _assert_same(model, MultiTaskModel.from_pretrained(tmp_path), family)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_same_bits_after_sharding_and_auto_model(family: str, tmp_path: Path) -> None:
    model = make_model(family)
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    _assert_same(model, AutoModel.from_pretrained(tmp_path), family)


@pytest.mark.parametrize("family", OTHERS)
def test_backbones_without_native_head_round_trip(family: str, tmp_path: Path) -> None:
    model = make_model(family)
    assert model.config.head == {"type": "native" if family == "llama" else "linear"}
    model.save_pretrained(tmp_path)
    _assert_same(model, MultiTaskModel.from_pretrained(tmp_path), family)


def test_mean_pooled_bert_round_trips(tmp_path: Path) -> None:
    model = make_model("bert", "linear", pooling="mean")
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert loaded.config.pooling == "mean"
    _assert_same(model, loaded, "bert")


def test_statistics_are_remembered(tmp_path: Path) -> None:
    tasks = {"a": SequenceClassification(labels=2, class_weights="balanced"), **TASKS}
    model = make_model("bert", tasks=tasks)
    assert not model.has_statistics("a")
    assert model.has_statistics("train")
    model.set_statistics("a", weights=[0.5, 1.5])
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert all(loaded.has_statistics(name) for name in tasks)
    assert loaded.heads.of("a").statistics.weights.tolist() == [0.5, 1.5]
    assert loaded.heads.of("emo.bank").statistics.mean.tolist() == [3.0, 2.0, -1.0]


def test_statistics_stay_float32_in_a_bfloat16_model(tmp_path: Path) -> None:
    model = make_model("bert")
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert loaded.encoder.embeddings.word_embeddings.weight.dtype == torch.bfloat16
    assert loaded.heads.of("train").head.model.classifier.weight.dtype == torch.bfloat16
    statistics = loaded.heads.of("intensity").statistics
    assert statistics.mean.dtype == torch.float32
    assert torch.equal(statistics.mean, torch.tensor([0.4]))


def test_order_of_tasks_survives_json(tmp_path: Path) -> None:
    config = MultiTaskConfig(tasks={"zebra": TASKS["train"], "ant": TASKS["intensity"]})
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, MultiTaskConfig)
    assert list(loaded.task_objects) == ["zebra", "ant"]
    assert loaded.task_objects == {"zebra": TASKS["train"], "ant": TASKS["intensity"]}


def test_config_holds_what_was_settled(tmp_path: Path) -> None:
    model = make_model("roberta", max_length=32)
    model.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == "hf_mtl"
    assert (written["head"], written["pooling"], written["max_length"]) == ({"type": "native"}, "cls", 32)


@pytest.mark.parametrize(
    ("family", "lora", "tokens"),
    [("bert", None, 67), ("bert", None, 53), ("bert", "lora", 67), ("deberta-v3", None, 67), ("t5", "lora", 67)],
)
def test_a_resized_vocabulary_is_saved_loaded_and_exported(
    family: str, lora: str | None, tokens: int, tmp_path: Path
) -> None:
    model = make_model(family, peft=lora)
    embeddings = model.resize_token_embeddings(tokens)
    assert embeddings is model.get_input_embeddings()
    assert len(embeddings.weight) == tokens == model.config.encoder_config.vocab_size
    assert embeddings.weight.requires_grad is (lora is None)
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    _assert_same(model, loaded, family)
    if family in FAMILIES:
        ids, _ = make_texts([9, 9])
        for place, source in {"made": model, "loaded": loaded.eval()}.items():
            source.export_task("train", tmp_path / place, make_tokenizer())
            plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / place).eval()
            assert plain.config.vocab_size == tokens
            torch.testing.assert_close(plain(ids.clamp(max=52)).logits, model(ids.clamp(max=52)).logits["train"])
