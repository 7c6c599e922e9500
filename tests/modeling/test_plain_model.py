import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.plain_head import plain_outputs
from tests.modeling.families import make_model, make_texts, make_tokenizer, padding_of
from tests.task_types.sample import samples

TASKS = {name: sample.task for name, sample in samples().items() if "," not in name}
ROW = ("multi_label_classification", "regression", "sequence_classification")
EACH = ("span_extraction", "token_classification")
CHOICE = ("multiple_choice",)

NO_BIAS = {"type": "linear", "bias": False}
NARROW = {"type": "mlp", "hidden": 7}
# By family, the class that holds affine maps, and maps with one hidden layer, of rows and choices; None: none does.
HOLDS: dict[str, tuple[str | None, str | None]] = {
    "bert": ("Electra", "Electra"),
    "roberta": ("Electra", "Electra"),
    "xlm-roberta": ("Electra", "Electra"),
    "camembert": ("Electra", "Electra"),
    "electra": ("Electra", "Electra"),
    "distilbert": ("DistilBert", None),
    "deberta": ("Deberta", "Deberta"),
    "deberta-v2": ("DebertaV2", "DebertaV2"),
    "deberta-v3": ("DebertaV2", "DebertaV2"),
    "albert": (None, None),
    "modernbert": (None, None),
    "modernbert-mean": (None, None),
    "t5": (None, None),
    "llama": ("Llama", None),
}
NAMES = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert"}
NAMES |= {"albert": "Albert", "t5": "T5"}
AFFINE = {"linear": "linear", "nobias": NO_BIAS, "vmtl": "vmtl", "mt_vib": "mt_vib", "hierarchical": "hierarchical"}
HIDDEN = {"mlp": "mlp", "narrow": NARROW, "vip": "vip"}
FAST = {("bert", "linear"), ("bert", "vip"), ("distilbert", "linear"), ("deberta-v2", "narrow"), ("llama", "nobias")}


def expected(family: str, head: str, task: str) -> str | None:
    """Name the class of transformers that holds a head, without what it is for; None: none does."""
    affine, hidden = HOLDS[family]
    if task in EACH:
        if head in HIDDEN or family.startswith("modernbert") or (family, task) == ("t5", "span_extraction"):
            return None
        return NAMES.get(family, affine)
    if task in CHOICE and family in ("deberta", "llama", "t5"):
        return None
    if family == "llama" and head != "nobias":
        return None  # its layer has no bias
    return hidden if head in HIDDEN else affine


def cases() -> Iterator[Any]:
    for family in HOLDS:
        for head in {**AFFINE, **HIDDEN}:
            marks = [] if (family, head) in FAST else [pytest.mark.slow]
            yield pytest.param(family, head, marks=marks)


def enlarge(model: MultiTaskModel) -> None:
    """Let heads have outputs far from 0, and shifts: a fresh one has neither."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.heads.named_parameters():
            if parameter.is_floating_point() and "log" not in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)


@pytest.mark.parametrize(("family", "head"), cases())
def test_each_head_is_held_exactly_or_refused(family: str, head: str, tmp_path: Path) -> None:
    model = make_model(family, {**AFFINE, **HIDDEN}[head], tasks=TASKS)
    enlarge(model)
    model.set_statistics("regression", mean=[3.0, -2.0], std=[0.5, 2.0]) if head != "nobias" else None
    model.set_calibration_temperature("sequence_classification", 1.7)
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    for name, task in TASKS.items():
        wanted = None if task.auto_model is None else expected(family, head, name)
        if wanted is None:
            with pytest.raises(ModelError, match=rf"tasks\.{name}.*--format onnx"):
                model.export_task(name, tmp_path / name, make_tokenizer())
            assert not (tmp_path / name).exists()
            continue
        kind = model.export_task(name, tmp_path / name, make_tokenizer())
        assert kind == wanted + str(task.auto_model).removeprefix("AutoModel")
        plain = getattr(transformers, kind).from_pretrained(tmp_path / name).eval()
        with torch.no_grad():
            found = plain_outputs(plain, ids, mask)
            logits = model(ids, mask, task=name).logits[name].reshape(found.shape)
        seen = mask.bool() if name in EACH else torch.ones(len(found), dtype=torch.bool)
        assert float(logits[seen].abs().max()) > 0.05
        torch.testing.assert_close(found[seen], logits[seen], rtol=1e-5, atol=1e-5)
        assert plain.config.num_labels == task.num_outputs


@pytest.mark.parametrize(
    ("family", "head", "options", "said"),
    [
        ("bert", "linear", {"pooling": "mean"}, "reads other states than pooling 'mean'. Head 'native' can be"),
        ("albert", "linear", {}, "AlbertForSequenceClassification has other layers in its head"),
        ("modernbert", NO_BIAS, {}, "has weights that the encoder lacks, such as head.norm.weight"),
        ("electra", {"type": "mlp", "hidden": 17}, {}, "it has 17 hidden units, and that has 16"),
        ("llama", "mlp", {}, "that has one layer. Head 'native' can be exported"),
        ("llama", "linear", {"pooling": "mean"}, "it adds a shift, and that has no bias"),
        ("llama", NO_BIAS, {"pooling": "mean"}, "reads other states than pooling 'mean'. Head 'native' can be"),
        ("bert", "stl_cnn", {"freeze": "encoder"}, "no AutoModel of transformers has such layers. Head 'native'"),
    ],
)
def test_a_refusal_says_why_and_what_would_work(
    family: str, head: Any, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    model = make_model(family, head, tasks={"t": SequenceClassification(labels=["a", "b", "c"])}, **options)
    enlarge(model)
    with pytest.raises(ModelError, match=re.escape(said)):
        model.export_task("t", tmp_path / "t", make_tokenizer())
    assert not (tmp_path / "t").exists()


def test_an_affine_map_of_too_many_outputs_is_refused(tmp_path: Path) -> None:
    model = make_model("distilbert", "linear", tasks={"t": SequenceClassification(labels=list("abcdefghi"))})
    with pytest.raises(ModelError, match="16 units holds an affine map of 8 outputs at most"):
        model.export_task("t", tmp_path, make_tokenizer())


def test_targets_of_a_decoder_must_not_be_shifted(tmp_path: Path) -> None:
    tasks = {"plain": Regression(label="v", standardize=False), "moved": Regression(label="v")}
    model = make_model("llama", NO_BIAS, tasks=tasks)
    model.set_statistics("moved", mean=3.0, std=2.0)
    assert model.export_task("plain", tmp_path / "plain", make_tokenizer()) == "LlamaForSequenceClassification"
    with pytest.raises(ModelError, match="standardize: false"):
        model.export_task("moved", tmp_path / "moved", make_tokenizer())


def test_a_decoder_whose_texts_end_with_padding_is_refused(tmp_path: Path) -> None:
    model, tokenizer = make_model("llama", NO_BIAS), make_tokenizer()
    tokenizer.pad_token = "[SEP]"  # as who has none takes the end of a text
    model.encoder.config.pad_token_id = tokenizer.pad_token_id
    enlarge(model)
    with pytest.raises(ModelError, match="reads other states than pooling 'last'"):
        model.export_task("train", tmp_path, tokenizer)


def test_adapters_are_merged_and_shared_heads_exported_for_each_task(tmp_path: Path) -> None:
    share = {"share": "both", "type": "mlp"}
    tasks = {name: SequenceClassification(labels=["a", "b"], head=share) for name in ("one", "two")}
    model = make_model("electra", tasks=tasks, peft={"type": "lora", "r": 2})
    for name, parameter in model.encoder.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    model.set_calibration_temperature("two", 2.0)
    ids, mask = make_texts([9, 4])
    for name in tasks:
        model.export_task(name, tmp_path / name, make_tokenizer())
        plain = transformers.ElectraForSequenceClassification.from_pretrained(tmp_path / name).eval()
        found = plain(ids, attention_mask=mask).logits
        torch.testing.assert_close(found, model(ids, mask, task=name).logits[name], rtol=1e-5, atol=1e-5)


def test_a_model_in_bfloat16_is_exported_in_float32(tmp_path: Path) -> None:
    model = make_model("electra", "linear").to(torch.bfloat16)
    model.export_task("train", tmp_path, make_tokenizer())
    assert transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).dtype == torch.float32


def test_finding_leaves_random_numbers_alone(tmp_path: Path) -> None:
    model = make_model("electra", "linear")
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    model.export_task("train", tmp_path, make_tokenizer())
    assert torch.equal(torch.rand(3), before)
