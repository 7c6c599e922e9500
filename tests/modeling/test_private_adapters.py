"""Each token goes through the adapter of its task, in one pass, however rows reach the encoder."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.export import Dim
from transformers import AutoModelForSequenceClassification

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.modeling.adapters import merged_weights
from tests.gradients.batches import batch, by_autograd, difference, rows_of, run, shared

from .families import FAMILIES, OTHERS, TASKS, make_model, make_texts, make_tokenizer, padding_of, some_fast

# Layers that see relative positions, which are of no task's rows.
REFUSED = {"deberta": "pos_proj", "deberta-v3": "query_proj"}
BOTH = {"shared": {"type": "lora", "r": 2}, "per_task": {"type": "lora", "r": 3, "use_rslora": True}}
SHARED: dict[str, Any] = {
    "none": None,
    "lora": {"type": "lora", "r": 2},
    "dora": {"type": "lora", "r": 2, "use_dora": True},
    "ia3": {"type": "ia3"},
}


def trained(family: str = "bert", peft: Any = BOTH, head: Any = "linear", **options: Any) -> MultiTaskModel:
    """A model whose adapters are large beside its weights."""
    model = make_model(family, head, peft=peft, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not name.startswith("heads."):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def alone(model: MultiTaskModel, task: str) -> MultiTaskModel:
    """The same model without adapters: those of all tasks and of one are merged into its weights."""
    assert model.private_adapters is not None
    plain = copy.deepcopy(model)
    plain.merge_adapters() if model.config.peft.get("shared") else None
    with torch.no_grad():
        weights = model.private_adapters.merged_into(task, merged_weights(model.encoder), model.encoder)
    plain.encoder.load_state_dict(weights)
    plain.private_adapters = None
    return plain


@torch.no_grad()
def expected(model: MultiTaskModel, family: str, cut: Any) -> dict[str, Tensor]:
    """Logits of each task by a model of its own."""
    return {task: alone(model, task)(**cut).logits[task] for task in TASKS}


def close(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    "family", some_fast([name for name in [*FAMILIES, *OTHERS] if name not in REFUSED], "modernbert")
)
def test_each_task_sees_an_encoder_with_its_adapters_merged(family: str) -> None:
    model = trained(family)
    cut = batch(family)
    wanted = expected(model, family, cut)
    with torch.no_grad():
        without = make_model(family, "linear")(**cut).logits
        assert all(float((wanted[task] - without[task]).abs().max()) > 1e-3 for task in TASKS)
        close(model(**cut).logits, wanted)  # as rectangles
        if model.settle_layout() == "packed":
            close(model(**cut).logits, wanted)


@pytest.mark.parametrize("kind", some_fast(SHARED, "dora", "none"))
def test_they_stand_beside_shared_adapters_of_any_kind_or_none(kind: str) -> None:
    adapters = {"per_task": BOTH["per_task"]} | ({"shared": SHARED[kind]} if SHARED[kind] else {})
    model = trained(peft=adapters)
    model.settle_layout()
    cut = batch("bert")
    wanted = expected(model, "bert", cut)
    with torch.no_grad():
        close(model(**cut).logits, wanted)


@pytest.mark.parametrize("packs", [False, True])
def test_rows_that_several_tasks_see_go_through_the_adapters_of_each(packs: bool) -> None:
    model = trained("bert")
    if packs:
        model.settle_layout("packed")
    ids, mask = make_texts([9, 4, 7])
    wanted = {task: alone(model, task)(ids, mask, task=task).logits[task] for task in TASKS}
    with torch.no_grad():
        close(model(ids, mask).logits, wanted)
        close({"train": model(ids, mask, task="train").logits["train"]}, {"train": wanted["train"]})
        cut = batch("bert", lengths={"train": [9, 4, 7], "emo.bank": [5], "intensity": [6]})
        mixed = {"packed": {key: value for key, value in cut["packed"].items() if key != "cut"}}
        everyone = model(**mixed, order=torch.tensor([2, 0, 1]), segments=dict.fromkeys(TASKS, (0, 3))).logits
        inputs = cut["packed"]["input_ids"][:20].split([9, 4, 7])
        for task in TASKS:
            for row, place in enumerate([2, 0, 1]):
                own = alone(model, task)(inputs[place][None], task=task).logits[task][0]
                torch.testing.assert_close(everyone[task][row], own, rtol=1e-4, atol=1e-5)


def test_no_tasks_loss_reaches_anothers_adapters() -> None:
    model = trained().train()
    outputs = model(**batch("bert"))
    outputs.row_losses["train"].sum().backward()
    assert model.private_adapters is not None
    for task in TASKS:
        gradients = [parameter.grad for parameter in model.private_adapters.parameters_of(task)]
        found = [gradient is not None and bool(gradient.any()) for gradient in gradients]
        assert all(found) if task == "train" else not any(found)


def test_they_are_no_shared_parameters() -> None:
    model = trained(dropout=0.0)
    together, apart = (dict(part) for part in split_parameters(model))
    assert {name for name in apart if name.startswith("private_adapters.")} == {
        name for name, _ in model.named_parameters() if name.startswith("private_adapters.")
    }
    assert all(name.startswith("encoder.") for name in together)


@pytest.mark.parametrize("reentrant", some_fast([False, True], False))
@pytest.mark.parametrize("layout", ["packed", "groups"])
def test_layers_that_run_again_have_the_adapters_that_they_had(layout: Any, reentrant: bool) -> None:
    model = trained(dropout=0.0).train()
    model.settle_layout(layout)
    cut = batch("bert")
    gradients = []
    for again in (False, True):
        if again:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model.zero_grad()
        torch.stack([losses.mean() for losses in model(**cut).row_losses.values()]).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert any(name.startswith("private_adapters.") for name in gradients[0])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("layout", ["segments", "split"])
@pytest.mark.parametrize("packs", [False, True])
def test_task_gradients_beside_them_are_autograds(layout: str, packs: bool) -> None:
    model = trained("bert", dropout=0.0).train()
    model.settle_layout("packed" if packs else "groups")
    gradients = shared(model, "bert", layout=layout)
    assert gradients.layout == layout
    cut = batch("bert", layout)
    wanted = by_autograd(model, cut, layout)
    torch.stack([losses.mean() for losses in model(**cut).row_losses.values()]).sum().backward()
    own = {name: p.grad.clone() for name, p in model.private_adapters.named_parameters()}  # type: ignore[union-attr]
    model.zero_grad()
    assert difference(rows_of(run(gradients, model, [cut]), model), wanted) < 2e-6
    for name, parameter in model.private_adapters.named_parameters():  # type: ignore[union-attr]
        torch.testing.assert_close(parameter.grad, own[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", some_fast(["bert", "roberta", "modernbert", "llama"], "bert"))
def test_they_come_back_to_the_bit_in_a_second_model_and_out_of_a_pickle(family: str, tmp_path: Path) -> None:
    model = trained(family)
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    wanted = model(ids, mask).logits
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        found = other(ids, mask).logits
        assert all(torch.equal(found[task], wanted[task]) for task in TASKS)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in loaded.named_parameters() if parameter.requires_grad} == names
    assert not any(name.startswith("encoder.") and "lora_" not in name for name in names)


@pytest.mark.parametrize("family", some_fast(["bert", "roberta"], "roberta"))
def test_an_exported_task_has_both_adapters_in_its_weights(family: str, tmp_path: Path) -> None:
    model = trained(family, head="native")
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    with torch.no_grad():
        wanted = model(ids, mask).logits
        for task in TASKS:
            model.export_task(task, tmp_path / task, make_tokenizer())
            plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / task).eval()
            found = plain(ids, attention_mask=mask).logits
            torch.testing.assert_close(found, wanted[task], rtol=1e-4, atol=1e-5)


def test_those_on_frozen_layers_stay_as_they_are(tmp_path: Path) -> None:
    model = make_model("bert", peft=BOTH, freeze=1)
    model.save_pretrained(tmp_path)
    for one in (model, MultiTaskModel.from_pretrained(tmp_path)):
        names = {name for name, parameter in one.named_parameters() if parameter.requires_grad}
        assert not any("layer.0" in name or "layer/0" in name for name in names)
        assert any("private_adapters" in name and "layer/1" in name for name in names)


def test_merging_leaves_the_adapters_of_tasks() -> None:
    model = trained()
    ids, mask = make_texts([9, 4, 7])
    with torch.no_grad():
        wanted = model(ids, mask).logits
        model.merge_adapters()
        close(model(ids, mask).logits, wanted)
    assert set(model.config.peft) == {"per_task"}
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())
    with pytest.raises(ModelError, match="no adapters that all tasks share"):
        model.merge_adapters()


@pytest.mark.parametrize(("family", "layer"), REFUSED.items())
def test_a_layer_that_sees_no_rows_is_refused_by_name(family: str, layer: str) -> None:
    with pytest.raises(ModelError, match=rf"model\.peft\.per_task: '.*{layer}' sees .*neither tokens nor rows"):
        make_model(family, peft={"per_task": "lora"})
    model = make_model(family, peft={"per_task": {"type": "lora", "target_modules": ["intermediate.dense"]}})
    assert model.private_adapters is not None
    assert len(model.private_adapters.layers) == 2


def test_the_layout_says_that_texts_are_encoded_for_each_task() -> None:
    model = trained()
    model.settle_layout()
    assert "each text once for each of its tasks, through that task's own adapter" in model.layout_words
    assert (model.arrangement, make_model("bert").arrangement) == ("segments", "mixed")


@pytest.mark.slow
def test_a_program_of_torch_export_has_the_adapters_of_all_tasks() -> None:
    model = trained()
    ids, mask = make_texts([9, 4, 7])
    sizes = {0: Dim("rows", min=1, max=64), 1: Dim("tokens", min=2, max=60)}
    inputs = {"input_ids": ids, "attention_mask": mask}
    program = torch.export.export(model, (), kwargs=inputs, dynamic_shapes=dict.fromkeys(inputs, sizes)).module()
    ids, mask = make_texts([2, 5, 1, 5, 3], seed=3)
    close(program(input_ids=ids, attention_mask=mask).logits, model(ids, mask).logits)


# ---- Tasks that are taken over ----


def test_kept_tasks_keep_their_adapters_and_new_ones_start_anew(tmp_path: Path) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    ids, mask = make_texts([9, 4, 7])
    new = {"new": TASKS["train"]}
    joint = MultiTaskModel.from_backbone(
        tmp_path, new, "linear", keep_tasks=True, drop_tasks=["intensity"], peft=BOTH
    )
    assert list(joint.tasks) == ["train", "emo.bank", "new"]
    with torch.no_grad():
        wanted, found = model(ids, mask).logits, joint.eval()(ids, mask).logits
    close(
        {task: found[task] for task in ("train", "emo.bank")}, {task: wanted[task] for task in ("train", "emo.bank")}
    )
    theirs = joint.private_adapters
    assert theirs is not None
    assert not any(adapter.lora_B.weight.any() for adapter in theirs.of("new").values())
    with pytest.raises(
        ModelError, match=r"kept have adapters of their own.*Write peft: {per_task: {type: lora, r: 3"
    ):
        MultiTaskModel.from_backbone(tmp_path, new, "linear", keep_tasks=True)


def test_a_backbone_whose_tasks_are_not_kept_leaves_their_adapters_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    taken = MultiTaskModel.from_backbone(tmp_path, {"new": TASKS["train"]}, "linear")
    assert taken.private_adapters is None
    assert f"{tmp_path}: its tasks' own adapters stay behind" in caplog.text
    weights = merged_weights(model.encoder)
    assert all(torch.equal(value, weights[name]) for name, value in taken.encoder.state_dict().items())
