"""What only a GPU can show; skipped without one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
from hf_mtl.batch import model_inputs, to_device
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.in_passing import RandomState
from tests import tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

WIDE = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48}  # heads as wide as kernels want
MODERNBERT = {**WIDE, "model_type": "modernbert", "local_attention": 6, "global_attn_every_n_layers": 2}
LLAMA = {**WIDE, "model_type": "llama", "num_key_value_heads": 1}


def trainer(
    folder: Path,
    weighting: str = "uw",
    dropout: float = 0.0,
    balancing: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> MultiTaskTrainer:
    args = MultiTaskTrainingArguments(
        output_dir=str(folder),
        **{
            "per_device_train_batch_size": 32,
            "max_steps": 20,
            "learning_rate": 0.05,
            "optim": "sgd",
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "logging_steps": 5,
            **options,
        },
    )
    return MultiTaskTrainer(
        model=tiny.model(dropout=dropout, config=config),
        args=args,
        train_dataset=tiny.datasets(),
        eval_dataset=tiny.datasets(seed=1),
        processing_class=tiny.tokenizer(),
        balancing=balancing or {"weighting": weighting},
    )


def weights(run: MultiTaskTrainer) -> dict[str, torch.Tensor]:
    named = {**dict(run.model.named_parameters()), **dict(run.weighting.named_parameters())}
    return {name: value.detach().double().cpu().clone() for name, value in named.items()}


def test_accumulation_and_length_groups_do_not_change_the_update(tmp_path: Path) -> None:
    before = weights(trainer(tmp_path))
    runs = []
    for size, accumulation, layout in [(32, 1, "padded"), (32, 1, "groups"), (32, 1, "packed"), (8, 4, "packed")]:
        run = trainer(
            tmp_path,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            encoder_layout=layout,
            tf32=False,
        )
        run.train()
        runs.append(weights(run))
    for other in runs[1:]:
        for name, value in runs[0].items():
            if not name.endswith("key.bias"):
                assert (other[name] - value).norm() / (value - before[name]).norm() < 1e-3, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
def test_mixed_precision_trains_to_about_the_same_weights(tmp_path: Path, precision: str, layout: str) -> None:
    exact, mixed = trainer(tmp_path), trainer(tmp_path, encoder_layout=layout, **{precision: True})
    before = weights(exact)
    exact.train()
    mixed.train()
    moved = {name: value - before[name] for name, value in weights(exact).items()}
    found = {name: value - before[name] for name, value in weights(mixed).items()}
    # UW's s sees the loss scaler's factor if anybody forgets it: it would be 65536 times off.
    assert torch.allclose(found["s"], moved["s"], rtol=0.05)
    flat, want = (torch.cat([values[name].flatten() for name in moved]) for values in (found, moved))
    assert torch.nn.functional.cosine_similarity(flat, want, dim=0) > 0.95
    assert mixed.evaluate()["eval_average"] == pytest.approx(exact.evaluate()["eval_average"], abs=0.1)


@pytest.mark.parametrize("layout", ["packed", "groups", "padded"])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, layout: str) -> None:
    options: dict[str, Any] = {
        "optim": "adamw_torch",
        "learning_rate": 1e-3,
        "save_strategy": "steps",
        "save_steps": 10,
    }
    options |= {"full_determinism": True, "dropout": 0.1, "encoder_layout": layout}
    whole = trainer(tmp_path / "whole", **options)
    whole.train()
    first = trainer(tmp_path / "run", **options)
    first.train()
    resumed = trainer(tmp_path / "run", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-10"))
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value), name


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_segment_poolings_and_their_gradients_are_those_of_the_cpu(pooling: Any) -> None:
    states = torch.randn(60, 24, generator=torch.Generator().manual_seed(0))
    offsets, seen = torch.tensor([0, 1, 9, 40, 60]), []
    for device in ("cpu", "cuda"):
        given = states.to(device).requires_grad_()
        pooled = Encoded(given, offsets.to(device)).pooled(pooling)
        (pooled * torch.arange(24, device=device)).sum().backward()
        assert given.grad is not None
        seen.append((pooled.detach().cpu(), given.grad.cpu()))
    for found, expected in zip(seen[1], seen[0], strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_mean_of_a_long_row_does_not_overflow_in_half_precision() -> None:
    states = torch.full((400, 8), 300.0, dtype=torch.float16, device="cuda")
    assert bool((Encoded(states, torch.tensor([0, 400], device="cuda")).mean() == 300).all())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("config", [WIDE, MODERNBERT, LLAMA])
def test_kernels_for_packed_rows_give_what_padded_rows_give(
    tmp_path: Path, precision: str, config: dict[str, Any]
) -> None:
    updates = []
    for layout in ("padded", "packed"):
        options = {precision: True, "encoder_layout": layout, "max_steps": 4}
        run = trainer(tmp_path, "ew", config=config, **options)
        before = weights(run)
        run.train()
        updates.append(torch.cat([(value - before[name]).flatten() for name, value in weights(run).items()]))
    assert torch.nn.functional.cosine_similarity(*updates, dim=0) > 0.98
    assert float(updates[1].norm() / updates[0].norm()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("aggregator", ["pcgrad", "nash_mtl", "graddrop"])
@pytest.mark.parametrize("layout", ["packed", "groups"])
def test_task_gradients_out_of_one_backward_are_those_of_one_for_each_task(
    tmp_path: Path, aggregator: str, layout: str
) -> None:
    runs = []
    for form in ("segments", "split"):
        section = {"aggregator": aggregator, "gradients": {"layout": form}}
        run = trainer(tmp_path, balancing=section, encoder_layout=layout, max_steps=4, tf32=False)
        before = weights(run)
        run.train()
        runs.append(weights(run))
    for name, value in runs[0].items():
        if not name.endswith("key.bias"):
            assert (runs[1][name] - value).norm() / (value - before[name]).norm() < 1e-3, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_task_gradients_have_no_factor_of_a_loss_scaler(tmp_path: Path, precision: str) -> None:
    updates = []
    for options in ({}, {precision: True}):
        run = trainer(tmp_path, balancing={"weighting": "uw", "aggregator": "pcgrad"}, max_steps=6, **options)
        before = weights(run)
        run.train()
        updates.append(torch.cat([(value - before[name]).flatten() for name, value in weights(run).items()]))
    assert torch.nn.functional.cosine_similarity(*updates, dim=0) > 0.95
    assert float(updates[1].norm() / updates[0].norm()) == pytest.approx(1.0, abs=0.1)


def test_a_generator_of_the_device_draws_again_and_goes_on() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    torch.cuda.manual_seed(0)
    state = RandomState(device)
    first, second = torch.rand(5, device=device), torch.rand(5, device=device)
    state.restore()
    torch.rand(5, device=device)
    with state.again():
        assert torch.equal(torch.rand(5, device=device), first)
    assert torch.equal(torch.rand(5, device=device), second)


def test_trying_the_layout_and_looking_at_gradients_draw_nothing(tmp_path: Path) -> None:
    finals = []
    for every in (0, 1):
        run = trainer(tmp_path, "ew", dropout=0.1, balancing={"gradients": {"log_every": every}}, max_steps=4)
        run.train()
        finals.append(weights(run))
    before = torch.cuda.get_rng_state()
    run.model.settle_layout("padded")
    run.model.settle_layout("packed")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    for name, value in finals[0].items():
        assert torch.allclose(finals[1][name], value, rtol=1e-4, atol=1e-6), name


def test_accumulation_does_not_change_a_weighting_that_needs_the_losses_first(tmp_path: Path) -> None:
    finals = []
    for size, accumulation in ((32, 1), (8, 4)):
        run = trainer(tmp_path, "gls", per_device_train_batch_size=size, gradient_accumulation_steps=accumulation)
        run.train()
        finals.append(weights(run))
    for name, value in finals[0].items():
        assert torch.allclose(finals[1][name], value, rtol=1e-2, atol=1e-4), name


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_the_forward_and_the_backward_wait_for_nothing(tmp_path: Path, layout: str) -> None:
    run = trainer(tmp_path, "uw", dropout=0.1, encoder_layout=layout)
    model, batches = run.model.to(run.args.device).train(), iter(run.get_train_dataloader())
    for batch, mode in zip(batches, ("default", "error"), strict=False):  # the first allocates
        moved = to_device(batch, run.args.device)
        torch.cuda.synchronize()
        try:
            # transformers looks whether a padding mask masks anything, so that only packed rows are free of it.
            torch.cuda.set_sync_debug_mode(mode if layout == "packed" else "default")
            run.objective.begin(batch["plan"], 1)
            run.objective.micro_batch(model(**model_inputs(moved)), batch["plan"]).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_a_compiled_model_trains_to_the_same_weights(tmp_path: Path, layout: str) -> None:
    runs = []
    for compiled in (False, True):
        run = trainer(tmp_path, encoder_layout=layout, max_steps=4, tf32=False, torch_compile=compiled)
        before = weights(run)
        run.train()
        runs.append({name.replace("_orig_mod.", ""): value for name, value in weights(run).items()})
    for name, value in runs[0].items():
        if not name.endswith("key.bias"):
            assert (runs[1][name] - value).norm() / (value - before[name]).norm() < 1e-2, name
