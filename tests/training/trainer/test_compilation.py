"""``torch_compile`` compiles the encoder while it is trained, once for all lengths."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torch._dynamo.testing import CompileCounter

from hf_mtl.modeling.in_passing import uncompiled
from tests.training.trainers import make, parameters, records


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is asked of `nn.Module.compile`, which does nothing."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, **options: found.append({"of": module, **options}))
    return found


def test_the_encoder_alone_is_compiled_for_any_length(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    trainer = make(tmp_path, max_steps=1, torch_compile_backend="eager")
    assert asked == []
    trainer.train()
    assert asked == [{"of": trainer.model.encoder, "backend": "eager", "mode": None, "dynamic": True}]
    assert trainer.model.encoder._compiled_call_impl is None
    assert not hasattr(trainer.model_wrapped, "_orig_mod"), "accelerate compiles nothing"


def test_nothing_is_compiled_unasked(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    make(tmp_path, max_steps=1).train()
    assert asked == []


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["packed", "groups"])
def test_no_step_compiles_anew_and_losses_stay(tmp_path: Path, layout: str) -> None:
    plain = make(tmp_path, max_steps=6, encoder_layout=layout)
    plain.train()
    trainer = make(tmp_path, max_steps=6, encoder_layout=layout, torch_compile_backend="eager")
    counter, counts = CompileCounter(), []
    compile_in_place = nn.Module.compile

    def counting(module: nn.Module, **options: Any) -> None:
        compile_in_place(module, **{**options, "backend": counter})

    trainer.model.encoder.compile = counting.__get__(trainer.model.encoder)  # type: ignore[method-assign]
    trainer.model.register_forward_pre_hook(lambda *_: counts.append(counter.frame_count))
    trainer.train()
    assert counts[1] == counter.frame_count > 0, "all is compiled in the first step"
    assert records(trainer, "loss") == pytest.approx(records(plain, "loss"), rel=1e-5)
    for name, value in parameters(plain).items():
        assert (parameters(trainer)[name] - value).abs().max() < 1e-4, name
    with uncompiled(trainer.model.encoder):
        trainer.evaluate()
