import copy
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from hf_mtl.errors import ModelError

from .families import FAMILIES, make_model, make_texts, padding_of


@pytest.mark.parametrize("family", FAMILIES)
def test_exported_model_gives_the_same_logits(family: str, tmp_path: Path) -> None:
    model = make_model(family, "native")
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    logits = model(ids, mask).logits
    for task in model.tasks:
        model.export_task(task, tmp_path / task)
        # Copied to aligned memory: what is read from a file may differ in the last bit on CPU.
        plain = copy.deepcopy(AutoModelForSequenceClassification.from_pretrained(tmp_path / task)).eval()
        found = plain(ids, attention_mask=mask).logits
        if task == "train":
            assert torch.equal(found, logits[task])
        else:
            torch.testing.assert_close(found, logits[task], rtol=1e-4, atol=1e-5)


def test_native_loss_is_that_of_transformers_to_the_bit(tmp_path: Path) -> None:
    model = make_model("bert", "native")
    ids, mask = make_texts([9] * 37)
    labels = torch.arange(37) % 3
    model.export_task("train", tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    expected = plain(ids, attention_mask=mask, labels=labels).loss
    found = model(ids, mask, task="train", labels=labels).loss
    assert torch.equal(found, expected)
    expected.backward()
    found.backward()
    ours = model.get_input_embeddings().weight.grad
    assert torch.equal(ours, plain.get_input_embeddings().weight.grad)


def test_exported_config_names_labels_and_targets(tmp_path: Path) -> None:
    model = make_model("roberta")
    model.export_task("train", tmp_path / "c")
    model.export_task("emo.bank", tmp_path / "r")
    classes = AutoModelForSequenceClassification.from_pretrained(tmp_path / "c").config
    assert classes.id2label == {0: "anger", 1: "joy", 2: "sadness"}
    assert classes.label2id["joy"] == 1
    assert classes.problem_type == "single_label_classification"
    targets = AutoModelForSequenceClassification.from_pretrained(tmp_path / "r").config
    assert list(targets.id2label.values()) == ["valence", "arousal", "dominance"]
    assert targets.problem_type == "regression"


def test_exported_files_do_not_mention_hf_mtl(tmp_path: Path) -> None:
    make_model("distilbert").export_task("train", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForSequenceClassification"]
    assert all(b"hf_mtl" not in path.read_bytes() for path in tmp_path.iterdir())


def test_export_leaves_random_numbers_alone(tmp_path: Path) -> None:
    model = make_model("bert")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model.export_task("train", tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_other_heads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tasks\.train\.head: its head is 'mlp'.*'native'"):
        make_model("bert", "mlp").export_task("train", tmp_path)
    with pytest.raises(ModelError, match=r"no task 'trane'.*Did you mean 'train'"):
        make_model("bert").export_task("trane", tmp_path)
    assert not list(tmp_path.iterdir())
