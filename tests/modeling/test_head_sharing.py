import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import split_parameters
from hf_mtl.modeling.heads import HEADS
from hf_mtl.tasks import Task
from tests import tiny

HERE, THERE = {"share": "tone"}, {"type": "mlp", "share": "tone"}


def classes(head: Any = HERE, **options: Any) -> SequenceClassification:
    return SequenceClassification(**{"labels": ["neg", "pos"], "head": head, **options})


def tasks(head: Any = "linear") -> dict[str, Task]:
    """Two tasks with one head, one with its own of the same kind, and a regression."""
    shared = {"type": head, "share": "to.ne"}
    return {
        "sst": classes(shared),
        "imdb": classes({"share": "to.ne"}),
        "own": classes(head),
        "score": Regression(label=["x", "y"], head=head),
    }


def ids(rows: int = 3) -> Tensor:
    return torch.randint(5, 60, (rows, 7), generator=torch.Generator().manual_seed(0))


def keyed(rows: int = 3) -> dict[str, Any]:
    return {"rows": torch.arange(rows) * 7919, "step": 11}


def logits(model: MultiTaskModel) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(model.eval()(ids()).logits)


@pytest.mark.parametrize("head", HEADS.names())
def test_tasks_that_share_a_head_have_one_module_that_counts_once(head: str) -> None:
    freeze = {"freeze": "encoder"} if HEADS[head].frozen_encoder else {}
    model = tiny.model(tasks=tasks(head), **freeze)
    own = tiny.model(tasks={name: task.model_copy(update={"head": head}) for name, task in tasks(head).items()})
    of = {name: model.heads.of(name).head for name in model.tasks}
    assert of["sst"] is of["imdb"]
    assert len({id(one) for one in of.values()}) == 3
    each = list(of["sst"].parameters())
    assert model.heads.parameters_of("imdb") == each
    named = [id(parameter) for _, parameter in split_parameters(model)[1]]
    assert len(named) == len(set(named)), "no parameter twice"
    assert {id(parameter) for parameter in each} <= set(named)
    size = sum(p.numel() for p in own.heads.parameters()) - sum(p.numel() for p in model.heads.parameters())
    # A head that knows its peers (vmtl) has one of them less.
    assert size >= sum(parameter.numel() for parameter in each)
    auxiliary = model.heads.auxiliary_parameters()
    assert len(auxiliary) == len({id(parameter) for parameter in auxiliary})
    found = logits(model)
    assert torch.equal(found["sst"], found["imdb"])
    assert not torch.equal(found["sst"], found["own"])


@pytest.mark.parametrize("head", HEADS.names())
def test_the_gradient_of_a_shared_head_is_the_sum_of_its_tasks(head: str) -> None:
    model = tiny.model(tasks=tasks(head))
    labels = {"sst": torch.tensor([0, 1, 1]), "imdb": torch.tensor([1, 1, 0])}

    def gradient(names: list[str]) -> list[Tensor]:
        model.zero_grad()
        model.train()
        for name in names:
            output = model(ids(), task=name, labels=labels[name], noise=keyed())
            total = output.row_losses[name].sum()
            if name in output.row_penalties:
                total = total + output.row_penalties[name].sum()
            total.backward()
        gradients = [parameter.grad for parameter in model.heads.parameters_of("sst")]
        return [gradient.clone() for gradient in gradients if gradient is not None]

    apart = [gradient([name]) for name in labels]
    both = gradient(list(labels))
    for sum_of, first, second in zip(both, *apart, strict=True):
        torch.testing.assert_close(sum_of, first + second, rtol=1e-4, atol=1e-5)
    assert any(bool((first - second).abs().max() > 1e-4) for first, second in zip(*apart, strict=True))


@pytest.mark.parametrize("head", HEADS.names())
def test_a_saved_model_holds_a_shared_head_once_and_comes_back_sharing(head: str, tmp_path: Path) -> None:
    model = tiny.model(tasks=tasks(head))
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    before = logits(model)
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("heads.head_to%2Ene.") for name in weights)
    assert not any(name.startswith(("heads.task_sst.head", "heads.task_imdb.head")) for name in weights)
    for loaded in (MultiTaskModel.from_pretrained(tmp_path), copy.deepcopy(model)):
        assert loaded.heads.of("sst").head is loaded.heads.of("imdb").head
        assert loaded.heads.of("sst").head is not model.heads.of("sst").head
        assert loaded.heads.of("sst").head.training is False
        for name, values in logits(loaded).items():
            torch.testing.assert_close(values, before[name], rtol=1e-5, atol=1e-6)
        with torch.no_grad():
            loaded.heads.parameters_of("sst")[0].add_(1.0)
        assert torch.equal(logits(loaded)["imdb"], logits(loaded)["sst"])


def test_statistics_temperature_and_loss_stay_each_tasks_own() -> None:
    shared = {"share": "level"}
    model = tiny.model(tasks={"a": Regression(label="x", head=shared), "b": Regression(label="stars", head=shared)})
    model.set_statistics("a", mean=2.0, std=3.0)
    model.set_statistics("b", mean=-1.0, std=0.5)
    found = logits(model)
    torch.testing.assert_close((found["a"] - 2.0) / 3.0, (found["b"] + 1.0) / 0.5)
    model = tiny.model(tasks={"a": classes(), "b": classes(class_weights=[1.0, 3.0])})
    model.set_calibration_temperature("a", 2.0)
    model.set_statistics("b", weights=[0.5, 1.5])
    found = logits(model)
    torch.testing.assert_close(2.0 * found["a"], found["b"])
    assert model.heads.of("a").statistics.loss_weights is None


def test_each_task_of_a_shared_head_is_exported(tmp_path: Path) -> None:
    model = tiny.model(tasks={"a": classes({"type": "native", "share": "tone"}), "b": classes()}).eval()
    for name in ("a", "b"):
        model.export_task(name, tmp_path / name, tiny.tokenizer())
        plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / name).eval()
        with torch.no_grad():
            torch.testing.assert_close(plain(ids()).logits, logits(model)[name], rtol=1e-4, atol=1e-5)


def test_lora_and_peft_keep_it_one_head(tmp_path: Path) -> None:
    model = tiny.model(tasks=tasks("vip"), peft={"type": "lora", "r": 2})
    model.save_pretrained(tmp_path)
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    assert loaded.heads.of("sst").head is loaded.heads.of("imdb").head
    assert all(parameter.requires_grad for parameter in loaded.heads.parameters_of("sst"))
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["query"], modules_to_save=["heads"])
    wrapped = peft.get_peft_model(tiny.model(tasks=tasks("vip")), config)
    kept = wrapped.base_model.model.heads.modules_to_save["default"]
    assert kept.of("sst").head is kept.of("imdb").head
    assert kept.of("sst").head is not wrapped.base_model.model.heads.original_module.of("sst").head
    assert all(parameter.requires_grad for parameter in kept.parameters_of("imdb"))


MISTAKES: list[tuple[dict[str, Task], str]] = [
    (
        {"a": classes(), "b": classes(labels=["pos", "neg"])},
        r"tasks\.b\.head\.share: 'b' shares 'tone' with 'a', and their labels differ: "
        r"\['pos', 'neg'\] and \['neg', 'pos'\]\. Tasks that share a head have the same type",
    ),
    (
        {"a": Regression(label="x", head=HERE), "b": Regression(label=["x", "y"], head=HERE)},
        "their numbers of outputs differ: 2 and 1",
    ),
    (
        {"a": classes(), "b": Regression(label=["x", "y"], head=HERE)},
        "their types differ: regression and sequence_classification",
    ),
    (
        {"a": classes(THERE), "b": classes({"type": "linear", "share": "tone"})},
        r"tasks\.b\.head: is 'linear', and 'a', which shares it as 'tone', has 'mlp'\. Say it in one of them, or "
        r"alike; the others write \{share: tone\}",
    ),
    (
        {"a": classes(THERE), "b": classes({**THERE, "dropout": 0.3}), "c": classes({**THERE, "hidden": 9})},
        r"tasks\.b\.head\.dropout: is 0\.3, and 'a', which shares it as 'tone', has None[^\n]*\n"
        r"tasks\.c\.head\.hidden: is 9, ",
    ),
    (
        {"a": classes(head_learning_rate=0.1), "b": classes(head_learning_rate=0.2)},
        r"tasks\.b\.head_learning_rate: is 0\.2, and 'a', which shares head 'tone', has 0\.1",
    ),
    ({"a": classes({"share": 3})}, r"tasks\.a\.head\.share: found 3\. Allowed: a name"),
    ({"a": classes({"share": ""})}, r"tasks\.a\.head\.share: found ''\. Allowed: a name"),
    ({"a": classes({**THERE, "hiden": 9})}, r"tasks\.a\.head\.hiden: unknown key 'hiden'.*Did you mean 'hidden'\?"),
    ({"a": classes({"share": "tone", "hidden": 9})}, r"tasks\.a\.head: found"),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES)
def test_tasks_that_cannot_share_a_head_are_told_what_differs(given: dict[str, Task], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        tiny.model(tasks=given)


def test_what_is_said_twice_alike_and_other_rates_of_other_heads_are_fine() -> None:
    alike = {"a": classes("mlp"), "b": classes(THERE), "c": classes({**THERE, "dropout": None}), "d": classes()}
    model = tiny.model(tasks={**alike, "e": classes({"share": "other"}, labels=4, head_learning_rate=0.5)})
    assert [model.heads.of(name).head.name for name in model.tasks] == ["mlp", "mlp", "mlp", "mlp", "native"]


def test_the_model_itself_shares_none() -> None:
    with pytest.raises(ModelError, match=r"model\.head\.share: unknown key 'share'"):
        tiny.model(head=THERE)
