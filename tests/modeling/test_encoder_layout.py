"""The layout that was asked for, or that a trial chooses; what stays behind in configs and checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, encoder_layout
from hf_mtl.modeling.attention_kernels import Kernel, Kernels, by_rectangles
from hf_mtl.modeling.encoder_layout import settle_layout
from hf_mtl.modeling.packed_attention import packs_now
from tests.modeling.families import make_model, make_tokenizer
from tests.modeling.packing_families import make_encoder


def test_auto_packs_where_it_packs_and_else_makes_groups() -> None:
    encoder = make_encoder("bert")
    found = settle_layout(encoder, "auto", pooler=True)
    assert (found.layout, found.asked, packs_now(encoder)) == ("packed", "auto", True)
    assert found.words.startswith("packed: packed rows agree with rows alone to ")
    encoder = make_encoder("deberta-v2")
    found = settle_layout(encoder, "auto", pooler=False)
    assert (found.layout, found.call, packs_now(encoder)) == ("groups", None, False)
    assert found.words.startswith("groups: 'deberta-v2' does not pack: states of packed rows differ")


@pytest.mark.parametrize("asked", ["groups", "padded"])
def test_rectangles_that_are_asked_for_need_no_trial(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_layout, "try_packing", None)
    encoder = make_encoder("bert")
    found = settle_layout(encoder, asked, pooler=True)
    assert (found.layout, found.words, packs_now(encoder)) == (asked, f"{asked}: as asked", False)


@pytest.mark.parametrize("asked", ["Packed", "", None])
def test_a_layout_that_there_is_not_is_refused(asked: Any) -> None:
    with pytest.raises(ModelError, match=r"encoder_layout: unknown value .* Known: auto, groups, packed, padded"):
        settle_layout(make_encoder("bert"), asked, pooler=True)


def test_packed_that_is_asked_for_and_cannot_be_is_refused() -> None:
    said = (
        r"training\.encoder_layout: is packed, and 'deberta-v2' does not pack: states .* Use auto, groups or padded"
    )
    with pytest.raises(ModelError, match=said):
        settle_layout(make_encoder("deberta-v2"), "packed", pooler=False)


def test_another_layout_takes_the_attention_back() -> None:
    encoder = make_encoder("bert")
    for asked, packs in (("packed", True), ("groups", False), ("auto", True), ("padded", False)):
        settle_layout(encoder, asked, pooler=False)  # type: ignore[arg-type]
        assert packs_now(encoder) == packs


def test_kernels_are_tried_on_the_device_in_the_dtype_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel("a fake", by_rectangles, drops=False)
    asked: list[Any] = []

    def choose(layers: Any, among: Any, device: torch.device, dtype: torch.dtype) -> Kernels:
        asked.append((len(layers), among, device.type, dtype))
        return Kernels(kernel, dtype=dtype, device=device.type)

    monkeypatch.setattr(encoder_layout, "choose_kernels", choose)
    monkeypatch.setattr(encoder_layout, "candidates", lambda own: [own])
    assert settle_layout(make_encoder("bert"), "auto", False, torch.bfloat16).call == encoder_layout.PackedCall(0)
    assert asked == [], "a CPU has no other kernels"
    monkeypatch.setattr(encoder_layout, "_ACCELERATED", ("cpu",))
    found = settle_layout(make_encoder("modernbert"), "auto", False, torch.bfloat16)
    assert asked == [(2, ["sdpa"], "cpu", torch.bfloat16)], "layers with a window and without"
    assert found.call is not None
    assert found.call.kernels.plain is kernel
    assert found.words.endswith("attention in a fake without dropout, padded rectangles under SDPA with it")
    settle_layout(make_encoder("bert").half(), "auto", False)
    assert asked[-1][3] == torch.float16, "that of the weights, without autocast"
    monkeypatch.setattr(encoder_layout, "_ACCELERATED", ("meta",))
    settled = settle_layout(make_encoder("bert"), "auto", False, None, torch.device("meta"))
    assert asked[-1][2:] == ("meta", torch.float32), "where it will be run"
    assert settled.place == ("meta", torch.float32)


# ---- What stays behind ----


def test_no_name_of_ours_is_in_a_saved_an_exported_or_a_loaded_model(tmp_path: Path) -> None:
    model = make_model("bert", "native")
    assert model.settle_layout() == "packed"
    model.save_pretrained(tmp_path / "saved")
    model.export_task("train", tmp_path / "exported", make_tokenizer())
    for name in ("saved", "exported"):
        assert "hf_mtl_packed" not in (tmp_path / name / "config.json").read_text()
    loaded = MultiTaskModel.from_pretrained(tmp_path / "saved")
    assert not packs_now(loaded.encoder)
    assert loaded.layout_words == ""
    assert "hf_mtl_packed" not in str(model.config.to_dict())


def test_a_model_built_from_a_packing_ones_config_is_its_own() -> None:
    model = make_model("bert")
    model.settle_layout()
    assert packs_now(model.encoder)
    another = MultiTaskModel.from_backbone(model.encoder.config, model.tasks)
    assert another.settle_layout("groups") == "groups"
    assert packs_now(model.encoder)
    ids = torch.tensor([[5, 6, 7]])
    another(ids, task="train")
    model(ids, task="train")
