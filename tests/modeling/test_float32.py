"""Statistics, temperatures and logarithms keep their bits in a model of any precision."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling.float32 import KeepsFloat32, cast_for_a_while, names_in_float32
from hf_mtl.modeling.heads import HEADS
from hf_mtl.tasks import Task
from tests import tiny

# Beyond float16's range, and with more digits than bfloat16 has; a name that is no regular expression.
MEAN, STD, YEAR = 70_001.37, 3.1, "year (c++)*"
TASKS: dict[str, Task] = {
    "topic": SequenceClassification(labels=["a", "b", "c"], class_weights="balanced"),
    "mood": SequenceClassification(labels=["good", "bad"], loss="focal"),
    YEAR: Regression(label="x"),
}
IDS = torch.randint(5, 60, (6, 9), generator=torch.Generator().manual_seed(1))
LABELS = {"topic": torch.tensor([0, 1, 2, 0, 1, 2]), "mood": torch.tensor([0, 1] * 3)} | {
    YEAR: torch.linspace(MEAN - 5, MEAN + 5, 6, dtype=torch.float64).unsqueeze(1)
}
NOISE = {"rows": torch.arange(6), "step": 3}
CASTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "to bfloat16": lambda module: module.to(torch.bfloat16),
    "to float16": lambda module: module.to("cpu", torch.float16),
    "bfloat16()": lambda module: module.bfloat16(),
    "half()": lambda module: module.half(),
    "double()": lambda module: module.double(),
    "there and back": lambda module: module.half().bfloat16().double().float(),
}


def _model(head: str | None = None) -> MultiTaskModel:
    """A model none of whose numbers that stay float32 is a number in fewer bits."""
    model = tiny.model(tasks=TASKS, head=head)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in _kept(model).values():
            tensor.copy_(0.3 + torch.rand(tensor.shape, generator=generator) / 3)
    model.set_statistics(YEAR, mean=MEAN, std=STD)
    model.set_statistics("topic", weights=[0.123, 1.7, 1.0001])
    model.set_calibration_temperature("mood", 1.2345)
    return model


def _kept(model: nn.Module) -> dict[str, Tensor]:
    parts = ((prefix, part) for prefix, part in model.named_modules() if isinstance(part, KeepsFloat32))
    return {
        f"{prefix}.{name}": tensor for prefix, part in parts for name, tensor in part.tensors_in_float32().items()
    }


def _bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in _kept(model).items()}


def _assert_kept(model: nn.Module, bits: dict[str, Tensor]) -> None:
    found = _bits(model)
    assert found.keys() == bits.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32, name
        assert torch.equal(tensor, bits[name]), name


def _answers(model: MultiTaskModel) -> dict[str, Tensor]:
    """Predictions in standardised units, and losses while evaluating and training."""
    evaluated = model.eval()(IDS, labels=LABELS)
    trained = model.train()(IDS, labels=LABELS, noise=NOISE)
    outputs = {f"logits {name}": values.float() for name, values in evaluated.logits.items()}
    outputs[f"logits {YEAR}"] = (outputs[f"logits {YEAR}"] - MEAN) / STD
    losses = {f"loss {name}": values for name, values in evaluated.row_losses.items()}
    training = {f"training {name}": values for name, values in trained.row_losses.items()}
    return {**outputs, **losses, **training, "all": trained.loss}


def _assert_close(model: MultiTaskModel, exact: dict[str, Tensor]) -> None:
    for key, value in _answers(model).items():
        # bfloat16 has 8 bits, and the layers before the last one lose some of them too.
        torch.testing.assert_close(value.float(), exact[key].float(), rtol=0.06, atol=0.06, msg=key)


@pytest.mark.parametrize("head", HEADS.names())
def test_every_cast_keeps_them_and_what_follows_from_them(head: str) -> None:
    model = _model(head)
    bits, exact = _bits(model), _answers(model)
    assert {name.rsplit(".", 1)[1] for name in bits} >= {"mean", "std", "weights"}
    for cast in CASTS.values():
        changed = copy.deepcopy(model)
        cast(changed)
        _assert_kept(changed, bits)
        _assert_close(changed, exact)


@pytest.mark.parametrize("head", HEADS.names())
def test_saving_and_loading_in_any_precision_keeps_them(head: str, tmp_path: Path) -> None:
    model = _model(head)
    bits, exact = _bits(model), _answers(model)
    model.save_pretrained(tmp_path)
    for dtype in (torch.float16, torch.float64, "bfloat16"):
        loaded = MultiTaskModel.from_pretrained(tmp_path, dtype=dtype)
        assert loaded.dtype == (torch.bfloat16 if dtype == "bfloat16" else dtype)
        _assert_kept(loaded, bits)
        _assert_close(loaded, exact)
    loaded.save_pretrained(tmp_path)
    for given in ({"dtype": "auto"}, {"dtype": torch.float32}):
        _assert_kept(MultiTaskModel.from_pretrained(tmp_path, **given), bits)


def test_a_gradient_of_theirs_stays_too_and_so_do_the_objects() -> None:
    model = _model("vip")
    log_tau = model.heads.of("topic").head.log_tau
    log_tau.grad = torch.tensor(0.1234567)
    model.to(torch.bfloat16)
    assert model.heads.of("topic").head.log_tau is log_tau
    assert log_tau.grad.dtype == torch.float32
    assert float(log_tau.grad) == pytest.approx(0.1234567, rel=1e-6)


def test_peft_around_the_model_keeps_them() -> None:
    peft = pytest.importorskip("peft")
    model = _model("vip")
    bits = _bits(model)
    config = peft.LoraConfig(target_modules=["query", "value"], modules_to_save=["heads"])
    wrapped = peft.get_peft_model(model, config).to(torch.bfloat16)
    copied = _bits(wrapped.base_model.model.heads.modules_to_save["default"])
    assert copied.keys() == {name.removeprefix("heads.") for name in bits}
    for name, tensor in copied.items():
        assert torch.equal(tensor, bits[f"heads.{name}"]), name


def test_a_module_of_the_users_own_only_names_them() -> None:
    class Layer(KeepsFloat32):
        in_float32 = ("scale", "missing")

        def __init__(self) -> None:
            super().__init__()
            self.scale, self.missing = nn.Parameter(torch.full((), 1.2345)), None
            self.other = nn.Parameter(torch.full((), 1.2345))

    layer = nn.Sequential(Layer()).to(torch.bfloat16)
    assert layer[0].scale.item() == pytest.approx(1.2345, rel=1e-6)
    assert layer[0].other.dtype == torch.bfloat16
    assert names_in_float32(layer) == ["scale"]


# ---- A model that begins in another precision ----


@pytest.mark.parametrize("head", HEADS.names())
def test_heads_follow_an_encoder_in_bfloat16(head: str) -> None:
    model = tiny.model(tasks=TASKS, head=head, dtype="bfloat16")
    kept = _kept(model)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.float32 if name in kept else torch.bfloat16), name
    model.set_statistics(YEAR, mean=MEAN, std=STD)
    model.set_statistics("topic", weights=[1.0, 1.0, 1.0])
    exact = copy.deepcopy(model).float()
    _assert_close(model, _answers(exact))


def test_auto_is_the_precision_of_the_backbone_s_weights(tmp_path: Path) -> None:
    tiny.model().encoder.bfloat16().save_pretrained(tmp_path)
    model = MultiTaskModel.from_backbone(str(tmp_path), tasks=TASKS, dtype="auto")
    assert {model.encoder.dtype, model.heads.of("mood").head.model.classifier.weight.dtype} == {torch.bfloat16}
    assert model(IDS).logits["topic"].shape == (6, 3)
    assert MultiTaskModel.from_backbone(str(tmp_path), tasks=TASKS).dtype == torch.float32
    # Of an inline config it is what the config says, if anything.
    assert tiny.model(dtype="auto").dtype == torch.float32
    assert tiny.model(config={"dtype": "bfloat16"}, dtype="auto").dtype == torch.bfloat16


def test_dtype_by_its_older_name_and_one_that_there_is_not() -> None:
    assert tiny.model(torch_dtype=torch.bfloat16).dtype == torch.bfloat16
    with pytest.raises(ModelError, match=r"dtype: found 'bf16'\. Allowed: auto, float32, bfloat16"):
        tiny.model(dtype="bf16")
    with pytest.raises(ModelError, match="found torch.int8"):
        tiny.model(dtype=torch.int8)


# ---- A cast that is taken back ----


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, None])
def test_a_cast_for_a_while_leaves_the_model_as_it_was(dtype: torch.dtype | None) -> None:
    model = _model("vmtl")
    model(IDS, labels=LABELS).loss.backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    objects = list(model.parameters())
    with cast_for_a_while(model, dtype):
        assert model.dtype == (dtype or torch.float32)
        model(IDS)
    assert [id(parameter) for parameter in model.parameters()] == [id(parameter) for parameter in objects]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert {tensor.dtype for tensor in model.state_dict().values()} == {tensor.dtype for tensor in before.values()}
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == gradients.keys() != set()
    assert all(torch.equal(found[name], gradients[name]) for name in found)


def test_an_error_meanwhile_gives_the_model_back_too() -> None:
    model = _model()
    with pytest.raises(ZeroDivisionError), cast_for_a_while(model, torch.bfloat16):
        _ = 1 / 0
    assert model.dtype == torch.float32


# ---- Export ----


@pytest.mark.parametrize("task", [YEAR, "mood"])
def test_what_is_folded_into_an_export_is_not_rounded(task: str, tmp_path: Path) -> None:
    model = _model("native").bfloat16().eval()
    model.export_task(task, tmp_path, tiny.tokenizer())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    expected = copy.deepcopy(model).float()(IDS, task=task).logits[task]
    torch.testing.assert_close(plain(IDS).logits, expected)
    assert AutoModel.from_pretrained(tmp_path).dtype == torch.float32
