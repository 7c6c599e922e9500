import copy
import json
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from hf_mtl import MultipleChoice, SequenceClassification, SpanExtraction, TokenClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel

from .families import EXPORTED, FAMILIES, TASKS, make_model, make_texts, make_tokenizer, padding_of


@pytest.mark.parametrize("family", FAMILIES)
def test_exported_model_gives_the_same_logits(family: str, tmp_path: Path) -> None:
    model = make_model(family, "native")
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    logits = model(ids, mask).logits
    for task in model.tasks:
        model.export_task(task, tmp_path / task, make_tokenizer())
        # Copied to aligned memory: what is read from a file may differ in the last bit on CPU.
        plain = copy.deepcopy(AutoModelForSequenceClassification.from_pretrained(tmp_path / task)).eval()
        found = plain(ids, attention_mask=mask).logits
        if task == "train" and family != "modernbert-mean":  # whose mean adds tokens up in another order
            assert torch.equal(found, logits[task])
        else:
            torch.testing.assert_close(found, logits[task], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_a_pooler_that_other_tasks_read_does_not_keep_a_task_from_export(family: str, tmp_path: Path) -> None:
    tasks = {
        "class": SequenceClassification(labels=["a", "b"]),
        "tags": TokenClassification(labels=["O", "B-X", "I-X"]),
        "choice": MultipleChoice(labels="index"),
        "answer": SpanExtraction(),
    }
    model = make_model(family, "native", tasks=tasks)
    ids, mask = make_texts([9, 4], padding=padding_of(family))
    for name, task in tasks.items():
        model.export_task(name, tmp_path / name, make_tokenizer())
        plain = getattr(transformers, str(task.auto_model)).from_pretrained(tmp_path / name).eval()
        given = (ids[None], mask[None]) if name == "choice" else (ids, mask)
        found = plain(given[0], attention_mask=given[1])
        logits = torch.stack([found.start_logits, found.end_logits], -1) if name == "answer" else found.logits
        ours = model(*given, task=name).logits[name].reshape(logits.shape)
        there = mask.bool() if name in ("tags", "answer") else torch.ones(logits.shape[:1], dtype=torch.bool)
        torch.testing.assert_close(logits[there], ours[there], rtol=1e-4, atol=1e-5)


def test_native_loss_is_that_of_transformers_to_the_bit(tmp_path: Path) -> None:
    model = make_model("bert", "native")
    ids, mask = make_texts([9] * 37)
    labels = torch.arange(37) % 3
    model.export_task("train", tmp_path, make_tokenizer())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    expected = plain(ids, attention_mask=mask, labels=labels).loss
    found = model(ids, mask, task="train", labels=labels).loss
    assert torch.equal(found, expected)
    expected.backward()
    found.backward()
    ours = model.get_input_embeddings().weight.grad
    assert torch.equal(ours, plain.get_input_embeddings().weight.grad)


def test_an_export_replaces_an_older_one_but_no_model_of_all_tasks(tmp_path: Path) -> None:
    model = make_model("bert")
    for task in ("train", "emo.bank"):
        model.export_task(task, tmp_path / "out", make_tokenizer())
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.problem_type == "regression"
    model.save_pretrained(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(ModelError, match="directory: .*run holds a model of all tasks, .* Give another folder"):
        model.export_task("train", tmp_path / "run", make_tokenizer())
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="directory: .*file is a file"):
        model.export_task("train", tmp_path / "file", make_tokenizer())


def test_an_exported_tokenizer_has_nothing_of_its_last_call_nor_of_where_it_was_read(tmp_path: Path) -> None:
    called = make_tokenizer()
    called("a", "b " * 30, truncation="only_second", max_length=8, padding="max_length")
    called.save_pretrained(tmp_path / "run")
    read = AutoTokenizer.from_pretrained(tmp_path / "run", local_files_only=True)
    make_model("bert").export_task("train", tmp_path / "out", read)
    rules, options = (
        json.loads((tmp_path / "out" / name).read_text()) for name in ("tokenizer.json", "tokenizer_config.json")
    )
    assert (rules["truncation"], rules["padding"]) == (None, None)
    assert not {"max_length", "stride", "truncation_strategy", "is_local", "local_files_only"} & set(options)


def test_exported_config_names_labels_and_targets(tmp_path: Path) -> None:
    model = make_model("roberta")
    model.export_task("train", tmp_path / "c", make_tokenizer())
    model.export_task("emo.bank", tmp_path / "r", make_tokenizer())
    classes = AutoModelForSequenceClassification.from_pretrained(tmp_path / "c").config
    assert classes.id2label == {0: "anger", 1: "joy", 2: "sadness"}
    assert classes.label2id["joy"] == 1
    assert classes.problem_type == "single_label_classification"
    targets = AutoModelForSequenceClassification.from_pretrained(tmp_path / "r").config
    assert list(targets.id2label.values()) == ["valence", "arousal", "dominance"]
    assert targets.problem_type == "regression"


def test_the_exported_tokenizer_cuts_as_the_task_is_cut(tmp_path: Path) -> None:
    own = TASKS["train"].model_copy(update={"max_length": 5, "truncation_side": "left"})
    model = make_model("bert", "native", tasks={**TASKS, "train": own}, max_length=7)
    tokenizer, text = make_tokenizer(), "a b c d e f g h i"
    for task in ("train", "emo.bank"):
        model.export_task(task, tmp_path / task, tokenizer)
    first, last = (AutoTokenizer.from_pretrained(tmp_path / task) for task in ("emo.bank", "train"))
    assert (first.model_max_length, first.truncation_side) == (7, "right")
    assert (last.model_max_length, last.truncation_side) == (5, "left")
    assert len(last(text, truncation=True)["input_ids"]) == 5
    assert tokenizer.model_max_length != 5  # the user's own stays as it was
    assert tokenizer.truncation_side == "right"


def test_exported_files_do_not_mention_hf_mtl(tmp_path: Path) -> None:
    make_model("distilbert").export_task("train", tmp_path, make_tokenizer())
    assert {path.name for path in tmp_path.iterdir()} == EXPORTED
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForSequenceClassification"]
    assert all(b"hf_mtl" not in path.read_bytes() for path in tmp_path.iterdir())


def test_export_leaves_random_numbers_alone(tmp_path: Path) -> None:
    model = make_model("bert")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model.export_task("train", tmp_path, make_tokenizer())
    assert torch.equal(torch.rand(3), expected)


def test_what_no_model_of_transformers_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tasks\.train\.head: found 'mlp'.*Albert.*Head 'native' can be exported"):
        make_model("albert", "mlp").export_task("train", tmp_path, make_tokenizer())
    with pytest.raises(ModelError, match=r"no task 'trane'.*Did you mean 'train'"):
        make_model("bert").export_task("trane", tmp_path, make_tokenizer())
    assert not list(tmp_path.iterdir())


TEXTS = ["a b c", "h", "d e f g a a b"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pipeline_on_the_export_gives_the_models_probabilities(family: str, tmp_path: Path) -> None:
    model, tokenizer = make_model(family, "native"), make_tokenizer()
    tokenizer.padding_side = "left"  # of the user's own use; training never pads there
    model.export_task("train", tmp_path, tokenizer)
    classify = pipeline("text-classification", model=str(tmp_path), device="cpu", top_k=None)
    expected = model(**tokenizer(TEXTS, padding=True, return_tensors="pt"), task="train").logits["train"].softmax(-1)
    for found, row in zip(classify(TEXTS, batch_size=3), expected, strict=True):
        scores = {item["label"]: item["score"] for item in found}
        assert list(scores) == [["anger", "joy", "sadness"][index] for index in row.argsort(descending=True)]
        assert [scores[name] for name in ("anger", "joy", "sadness")] == pytest.approx(row.tolist(), abs=1e-5)
    assert tokenizer.padding_side == "left"


def test_a_loaded_model_exports_the_tokenizer_that_lies_beside_it(tmp_path: Path) -> None:
    make_model("bert").save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    MultiTaskModel.from_pretrained(tmp_path / "model").export_task("train", tmp_path / "plain")
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").get_vocab() == make_tokenizer().get_vocab()


def test_a_new_model_exports_its_backbones_tokenizer(tmp_path: Path) -> None:
    make_model("bert").encoder.save_pretrained(tmp_path / "bert")
    make_tokenizer().save_pretrained(tmp_path / "bert")
    MultiTaskModel.from_backbone(tmp_path / "bert", TASKS, "native").export_task("train", tmp_path / "plain")
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").get_vocab() == make_tokenizer().get_vocab()


def test_an_export_without_a_tokenizer_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    model = make_model("bert")
    with pytest.raises(ModelError, match="processing_class: no tokenizer is known. Give the tokenizer that"):
        model.export_task("train", tmp_path / "plain")
    with pytest.raises(ModelError, match="processing_class: is a str"):
        model.export_task("train", tmp_path / "plain", "roberta-base")
    model.save_pretrained(tmp_path / "model")
    model.encoder.save_pretrained(tmp_path / "bert")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "model")
    for other in (loaded, MultiTaskModel.from_backbone(tmp_path / "bert", TASKS, "native")):
        with pytest.raises(ModelError, match="no tokenizer .*processing_class"):
            other.export_task("train", tmp_path / "plain")
    assert not (tmp_path / "plain").exists()
    loaded.export_task("train", tmp_path / "plain", make_tokenizer())
    assert {path.name for path in (tmp_path / "plain").iterdir()} == EXPORTED
