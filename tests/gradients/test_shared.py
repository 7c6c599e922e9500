"""Task gradients out of one tape, or a backward for each task, are those of plain autograd."""

from itertools import product

import pytest
import torch

from hf_mtl.balancing import GradientOptions
from hf_mtl.batch import EncoderLayout
from hf_mtl.errors import UserError
from hf_mtl.gradients import SharedGradients, choice, shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from tests.gradients.batches import LENGTHS, batch, by_autograd, difference, rows_of, run, shared
from tests.modeling.families import FAMILIES, OTHERS, TASKS, make_model, some_fast
from tests.modeling.packing_families import PACK, make_config

# Layers that see something other than the batch's rows: relative positions, or attention without padding.
SPLIT = {"deberta", "deberta-v3", "t5"}
EXACT = 2e-6
"""Of float32's rounding, in sums of a hundred terms."""


@pytest.mark.parametrize("encoder_layout", ["auto", "groups"])
@pytest.mark.parametrize("hold", ["float32", "recompute"])
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_every_familys_task_gradients_are_autograds(family: str, hold: str, encoder_layout: EncoderLayout) -> None:
    model = make_model(family, dropout=0.1).train()
    model.settle_layout(encoder_layout)
    gradients = shared(model, family, hold=hold)
    assert gradients.layout == ("split" if family in SPLIT else "segments")
    cut = batch(family, gradients.layout)
    expected = by_autograd(model, cut, gradients.layout)
    found = rows_of(run(gradients, model, [cut]), model)
    assert difference(found, expected) < EXACT  # what cannot be recomputed is held in float32
    assert all(parameter.grad is None for parameter in gradients.parameters)


@pytest.mark.parametrize("family", PACK)
def test_task_gradients_of_every_family_that_packs_are_autograds(family: str) -> None:
    torch.manual_seed(0)
    model = MultiTaskModel.from_backbone(make_config(family), TASKS, "linear", dropout=0.1).train()
    model.set_statistics("emo.bank", mean=[3.0, 2.0, -1.0], std=[0.5, 2.0, 0.25])
    model.set_statistics("intensity", mean=0.4, std=0.2)
    assert model.settle_layout() == "packed"
    gradients = shared(model, "bert")
    # The positions of OPT are looked up with a mask beside them.
    assert gradients.layout == ("split" if family == "opt" else "segments")
    cut = batch("bert", gradients.layout)
    expected = by_autograd(model, cut, gradients.layout)
    assert difference(rows_of(run(gradients, model, [cut]), model), expected) < EXACT


def test_as_many_tokens_as_heads_are_told_apart() -> None:
    torch.manual_seed(0)
    model = MultiTaskModel.from_backbone(
        make_config("gemma3_text", num_attention_heads=16), TASKS, "linear", dropout=0
    )
    model.settle_layout()
    gradients = shared(model, "bert")  # whose normalisation sees [1, 16 heads, N, d]
    cut = batch("bert", lengths={"train": [1], "emo.bank": [7], "intensity": [8]})
    expected = by_autograd(model, cut)
    assert difference(rows_of(run(gradients, model, [cut]), model), expected) < EXACT


@pytest.mark.parametrize("hold", ["float32", "recompute"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "llama", "t5"])
def test_adapters_task_gradients_are_autograds(family: str, hold: str) -> None:
    model = make_model(family, peft={"type": "lora", "r": 2, "lora_dropout": 0.1}, dropout=0.1).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.settle_layout()
    gradients = shared(model, family, hold=hold)
    assert gradients.layout == "segments", "no relative position is trained here"
    assert all("lora" in name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad)
    cut = batch(family)
    expected = by_autograd(model, cut)
    assert difference(rows_of(run(gradients, model, [cut]), model), expected) < EXACT


OTHER_ADAPTERS = {
    "dora": {"type": "lora", "r": 2, "use_dora": True},
    "ia3": {"type": "ia3"},
    "loha": {"type": "loha", "r": 2},
    "lokr": {"type": "lokr", "r": 2},
    "hra": {"type": "hra", "r": 2},
}


@pytest.mark.parametrize(
    ("kind", "rows"), some_fast(product(OTHER_ADAPTERS, (16, None)), ("dora", 16), ("ia3", None), ("lokr", None))
)
def test_task_gradients_of_other_adapters_are_autograds(kind: str, rows: int | None) -> None:
    model = make_model("bert", peft=OTHER_ADAPTERS[kind], dropout=0.1).train()
    for parameter in shared_parameters(model):
        parameter.data.add_(0.1 * torch.randn(parameter.shape))
    model.settle_layout()
    gradients = shared(model, "bert")
    assert gradients.layout == "split", "they do more than add a product of each token"
    cut = batch("bert", "split", lengths=LENGTHS if rows is None else {name: [4] * rows for name in TASKS})
    expected = by_autograd(model, cut, "split")
    assert difference(rows_of(run(gradients, model, [cut]), model), expected) < EXACT
    with pytest.raises(UserError, match=rf"gradients\.layout: 'segments', but '.*' has an adapter of type {kind}"):
        shared(model, "bert", layout="segments")


# DeBERTa's layers share a graph of relative positions, which the reentrant kind walks twice, with or without us.
@pytest.mark.parametrize(
    ("family", "reentrant"),
    [("bert", False), ("bert", True), ("modernbert", False), ("modernbert", True), ("deberta-v3", False)],
)
def test_activation_checkpointing_changes_nothing(family: str, reentrant: bool) -> None:
    model = make_model(family, dropout=0.1).train()
    model.settle_layout()
    layout = "split" if family in SPLIT or reentrant else "segments"
    cut = batch(family, layout)
    expected = by_autograd(model, cut, layout)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    gradients = shared(model, family)
    assert gradients.layout == layout
    found = rows_of(run(gradients, model, [cut]), model)
    assert difference(found, expected) < EXACT


@pytest.mark.parametrize("layout", ["segments", "split"])
@pytest.mark.parametrize("head", ["linear", "mlp", "native", "vip", "mt_vib", "vmtl", "hierarchical"])
def test_every_heads_task_gradients_are_autograds_penalties_too(head: str, layout: str) -> None:
    model = make_model("bert", head, dropout=0.1).train()
    model.settle_layout("packed")
    gradients = shared(model, "bert", layout=layout)
    cut = batch("bert", layout)
    cut["noise"] = {"rows": torch.arange(sum(map(len, LENGTHS.values()))), "step": 3}
    expected = by_autograd(model, cut, layout)
    found = rows_of(run(gradients, model, [cut]), model)
    assert difference(found, expected) < EXACT


@pytest.mark.parametrize("layout", ["segments", "split"])
def test_micro_batches_add_up(layout: str) -> None:
    model = make_model("bert")
    batches = [batch("bert", layout, seed=seed) for seed in (1, 2, 3)]
    expected = [by_autograd(model, cut, layout) for cut in batches]
    total = [{key: sum(part[task][key] for part in expected) for key in expected[0][task]} for task in range(3)]
    for hold in ("float32", "recompute"):
        gradients = shared(model, "bert", layout=layout, hold=hold)
        found = rows_of(run(gradients, model, batches), model)
        assert difference(found, total) < EXACT  # type: ignore[arg-type]


def test_an_absent_task_has_a_row_of_zeros_in_whatever_step() -> None:
    model = make_model("bert")
    gradients = shared(model, "bert", hold="float32")
    run(gradients, model, [batch("bert")])
    cut = batch("bert")
    cut["segments"].pop("intensity")
    cut["labels"].pop("intensity")
    torch.manual_seed(0)
    gradients.begin()
    with gradients.micro_batch(cut):
        losses = model(**cut).row_losses
        torch.stack([losses[name].mean() for name in ("train", "emo.bank")]).sum().backward()
    gramian = gradients.close().gramian()
    assert float(gramian[2].abs().max()) == 0.0
    assert float(gramian[0, 0]) > 0


def test_rows_in_bfloat16_are_rounded_rows() -> None:
    model = make_model("bert")
    expected = by_autograd(model, batch("bert"))
    found = rows_of(run(shared(model, "bert", hold="bfloat16"), model, [batch("bert")]), model)
    assert 1e-4 < difference(found, expected) < 4e-3  # 8 bits


@pytest.mark.parametrize("hold", ["float32", "recompute"])
def test_the_gramian_is_that_of_the_rows(hold: str) -> None:
    model = make_model("bert")
    expected = by_autograd(model, batch("bert"))
    flat = torch.stack([torch.cat([value.flatten() for value in row.values()]) for row in expected]).double()
    held = run(shared(model, "bert", hold=hold), model, [batch("bert")])
    torch.testing.assert_close(held.gramian(), flat @ flat.T, rtol=1e-5, atol=1e-7)
    table = model.get_input_embeddings().weight
    of_table = torch.stack([row[table].flatten() for row in expected]).double()  # type: ignore[index]
    found = held.gramian(lambda parameter: parameter is table)
    torch.testing.assert_close(found, of_table @ of_table.T, rtol=1e-5, atol=1e-9)


def test_whole_rows_have_a_column_for_every_parameter() -> None:
    model = make_model("bert")
    held = run(shared(model, "bert", whole=True), model, [batch("bert")])
    expected = by_autograd(model, batch("bert"))
    flat = torch.stack([torch.cat([value.flatten() for value in row.values()]) for row in expected])
    torch.testing.assert_close(held.jacobian(), flat, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layout", ["segments", "split"])
def test_rows_may_have_columns_of_the_tokens_that_occur_alone(layout: str) -> None:
    model = make_model("bert")
    gradients = shared(model, "bert", whole=True, steady=False, layout=layout)
    for seed in (0, 4):  # other tokens, more or fewer
        cut = batch("bert", layout, seed=seed)
        held = run(gradients, model, [cut])
        expected = by_autograd(model, cut, layout)
        assert difference(rows_of(held, model), expected) < EXACT
        rows = held.jacobian()
        assert rows.shape[1] < sum(parameter.numel() for parameter in shared_parameters(model))
        flat = torch.stack([torch.cat([value.flatten() for value in row.values()]) for row in expected])
        torch.testing.assert_close(rows @ rows.T, flat @ flat.T, rtol=1e-4, atol=1e-6)
        held.scale(torch.tensor([1.0, 2.0, 3.0]))
        found = dict(held.split(held.jacobian().sum(0)))
        for parameter, value in found.items():
            total = sum(scale * row[parameter] for scale, row in zip((1, 2, 3), expected, strict=True))
            torch.testing.assert_close(value, total, rtol=1e-4, atol=1e-5)


def test_out_of_scope_parameters_keep_autograds_gradient() -> None:
    model = make_model("bert")
    scope = list(model.encoder.encoder.layer[-1].parameters())
    gradients = shared(model, "bert", scope=scope, all_combined=False)
    held = run(gradients, model, [batch("bert")])
    expected = by_autograd(model, batch("bert"))
    mine = {id(parameter) for parameter in scope}
    for parameter in shared_parameters(model):
        whole = torch.stack([row[parameter] for row in expected]).sum(0)
        if id(parameter) in mine:
            assert parameter.grad is None
        elif parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, whole, rtol=1e-4, atol=1e-6)
    assert {id(parameter) for parameter, _ in held.combine(torch.ones(3))} == mine


def test_tied_embeddings_are_looked_up_from_two_places() -> None:
    model = make_model("bert")
    embeddings = model.encoder.embeddings
    # Token types from the table of positions, say.
    embeddings.token_type_embeddings.weight = embeddings.position_embeddings.weight
    for hold in ("float32", "recompute"):
        gradients = shared(model, "bert", hold=hold)
        assert gradients.layout == "segments"
        expected = by_autograd(model, batch("bert"))
        assert difference(rows_of(run(gradients, model, [batch("bert")]), model), expected) < EXACT


def test_a_weight_that_is_used_outside_its_layer_is_noticed() -> None:
    model = make_model("bert")
    embeddings, dense = model.encoder.embeddings, model.encoder.encoder.layer[0].intermediate.dense
    model.encoder.encoder.layer[0].register_forward_hook(
        lambda module, inputs, output: output + embeddings.word_embeddings.weight.sum() * 1e-3
    )
    assert shared(model, "bert").layout == "split"
    assert "forward" not in vars(dense), "nothing is left behind"


def test_recording_leaves_the_model_as_it_was() -> None:
    model = make_model("bert").train()
    gradients = shared(model, "bert")

    def fail() -> None:
        with gradients.micro_batch(batch("bert")):
            model(**batch("bert"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert not any("forward" in vars(module) for module in model.modules())
    gradients.begin()
    expected = by_autograd(model, batch("bert"))
    assert difference(rows_of(run(gradients, model, [batch("bert")]), model), expected) < EXACT


def test_a_forward_that_somebody_put_on_a_layer_is_used_and_left_there() -> None:
    model = make_model("bert")
    dense = model.encoder.encoder.layer[0].intermediate.dense
    norm = model.encoder.encoder.layer[1].output.LayerNorm
    class_of = {dense: type(dense).forward, norm: type(norm).forward}
    for module in (dense, norm):
        module.forward = lambda inputs, module=module: 2 * class_of[module](module, inputs)
    mine = {module: module.forward for module in (dense, norm)}
    expected = by_autograd(model, batch("bert"))
    gradients = shared(model, "bert")
    assert gradients.layout == "segments"
    assert difference(rows_of(run(gradients, model, [batch("bert")]), model), expected) < EXACT
    assert all(module.forward is forward for module, forward in mine.items())


def test_a_normalisation_is_repeated_once_for_all_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("bert").train()
    gradients = shared(model, "bert")
    calls, original = [], torch.nn.functional.layer_norm

    def counted(*args: object, **options: object) -> torch.Tensor:
        calls.append(args)
        return original(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "layer_norm", counted)
    model(**batch("bert"))
    of_forward = len(calls)
    run(gradients, model, [batch("bert")])
    norms = sum(isinstance(module, torch.nn.LayerNorm) for module in model.encoder.modules())
    # Once for each call of the encoder, which are two, beside the forward's own; and not for each task.
    assert len(calls) - 2 * of_forward == 2 * norms > 0


class Scaled(torch.nn.Module):
    """A layer that no tape knows by name."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, width))
        self.dropout = 0.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(inputs, self.dropout, self.training) @ torch.diag(self.weight)


class Normalised(Scaled):
    """A layer that remembers what it saw."""

    def __init__(self, width: int):
        super().__init__(width)
        self.register_buffer("running_mean", torch.zeros(width))


def test_an_unknown_layer_is_run_once_more_under_autocast_too() -> None:
    model = make_model("bert").train()
    model.encoder.encoder.layer[0].output.dropout = Scaled(model.encoder.config.hidden_size)
    gradients = shared(model, "bert")
    assert gradients.layout == "segments"
    with torch.autocast("cpu", torch.bfloat16):
        expected = by_autograd(model, batch("bert"))
    gradients.begin()
    torch.manual_seed(5)
    with gradients.micro_batch(batch("bert")):
        with torch.autocast("cpu", torch.bfloat16):
            losses = model(**batch("bert")).row_losses
        torch.stack([rows.mean() for rows in losses.values()]).sum().backward()
    # Both are rounded to 8 bits at other places.
    assert difference(rows_of(gradients.close(), model), expected) < 2e-2


def test_a_layer_that_keeps_statistics_is_split() -> None:
    model = make_model("bert")
    model.encoder.encoder.layer[0].output.dropout = Normalised(model.encoder.config.hidden_size)
    assert shared(model, "bert").layout == "split"


def test_a_layer_that_draws_is_refused_with_the_way_out() -> None:
    model = make_model("bert")
    layer = Scaled(model.encoder.config.hidden_size)
    model.encoder.encoder.layer[0].output.dropout = layer
    gradients = shared(model, "bert")
    layer.dropout = 0.5
    with pytest.raises(UserError, match="draws random numbers.*split"):
        run(gradients, model.train(), [batch("bert")])


def test_segments_that_are_asked_for_and_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match=r"balancing\.gradients\.layout.*segments"):
        shared(make_model("t5"), "t5", layout="segments")


def test_large_weights_do_not_overflow_what_is_recomputed_in_half_precision() -> None:
    model = make_model("bert")
    gradients = shared(model, "bert", hold="recompute")
    gradients.begin()
    with gradients.micro_batch(batch("bert")), torch.autocast("cpu", torch.float16):
        losses = model(**batch("bert")).row_losses
        torch.stack([rows.mean() for rows in losses.values()]).sum().backward()
    held = gradients.close()
    once = {parameter: value for parameter, value in held.combine(torch.ones(3))}
    huge = {parameter: value for parameter, value in held.combine(torch.full((3,), 1e6))}
    for parameter, value in once.items():
        torch.testing.assert_close(huge[parameter], 1e6 * value)


@pytest.mark.parametrize(
    ("free", "hold"), [(1e9, "float32"), (4 * 4 * 3000 - 1, "bfloat16"), (4 * 2 * 3000 - 1, "recompute")]
)
def test_rows_take_a_quarter_of_the_free_memory_or_become_shorter(
    monkeypatch: pytest.MonkeyPatch, free: float, hold: str
) -> None:
    monkeypatch.setattr(choice, "free_memory", lambda device: free)
    assert choice.choose_hold(3, 1000, torch.device("cpu"), can_recompute=True) == hold


def test_the_processes_agree_on_what_the_least_memory_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the other process would hold nothing."""
    model = make_model("bert")
    others = iter([0.0, 1.0])  # its layout, and whether it recomputes
    processes = Processes(world=2, reduce_sum=lambda total: total + next(others))
    gradients = SharedGradients(model, 3, GradientOptions(), batch("bert", seed=9), processes)
    assert (gradients.layout, gradients.hold) == ("segments", "recompute")
