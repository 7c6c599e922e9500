from typing import Any

import pytest
import torch
from transformers import AutoModel, CLIPTextConfig

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import probe
from hf_mtl.modeling.probe import try_encoder

TASKS = {"t": SequenceClassification(labels=2)}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
FUNNEL = {"model_type": "funnel", "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 16, "block_sizes": [1, 1]}
CLIP_TEXT = {"model_type": "clip_text_model", **SMALL, "vocab_size": 40, "max_position_embeddings": 20}


def build(backbone: dict[str, Any], **options: Any) -> MultiTaskModel:
    return MultiTaskModel.from_backbone(backbone, TASKS, "linear", **options)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        ({"model_type": "vit", **SMALL, "image_size": 8, "patch_size": 4}, "'vit' cannot encode text: .*Give an enc"),
        ({"model_type": "clip_vision_model", **SMALL, "image_size": 8, "patch_size": 4}, "cannot encode text"),
        ({"model_type": "dpr", **SMALL, "vocab_size": 40}, "'dpr' cannot encode text: KeyError: 'last_hidden_state'"),
        ({"model_type": "clip"}, "'clip' has no hidden_size"),
        ({"model_type": "bert", **SMALL, "vocab_size": 40, "pad_token_id": 40}, "cannot build a 'bert': Padding_idx"),
        ({"model_type": "roberta", **SMALL, "vocab_size": 40, "pad_token_id": 50}, "cannot build a 'roberta': Pad"),
    ],
)
def test_what_is_no_encoder_of_text_is_refused(backbone: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=f"^model.backbone: .*{said}") as caught:
        build(backbone)
    assert len(caught.value.mistakes) == 1


def test_states_of_another_width_are_refused() -> None:
    backbone = {"model_type": "opt", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes = {"ffn_dim": 16, "vocab_size": 40, "word_embed_proj_dim": 8, "max_position_embeddings": 20}
    with pytest.raises(ModelError, match=r"its states have the shape \[1, 8, 8\], not \[1, 8, 16\]"):
        build({**backbone, **sizes})


@pytest.mark.parametrize("backbone", [{**FUNNEL, "vocab_size": 40}, CLIP_TEXT], ids=["funnel", "clip_text_model"])
def test_unusual_encoders_of_text_work(backbone: dict[str, Any]) -> None:
    assert build(backbone).eval()(torch.full((2, 6), 7)).logits["t"].shape == (2, 2)


def test_a_limit_that_an_encoder_without_a_table_cannot_take_is_refused() -> None:
    ctrl = {"model_type": "ctrl", "n_embd": 16, "n_layer": 1, "n_head": 2, "dff": 16, "n_positions": 20}
    assert build({**ctrl, "vocab_size": 40}, max_length=20).config.max_length == 20
    with pytest.raises(
        ModelError, match="max_length: is 21, and the backbone takes no row of so many tokens: .*t 20"
    ):
        build({**ctrl, "vocab_size": 40}, max_length=21)


def test_trying_leaves_modes_and_random_numbers_alone() -> None:
    encoder = AutoModel.from_config(CLIPTextConfig(**{**CLIP_TEXT, "attention_dropout": 0.5}))
    encoder.train()
    encoder.encoder.eval()
    modes = [module.training for module in encoder.modules()]
    state = torch.get_rng_state()
    try_encoder(encoder, {})
    assert [module.training for module in encoder.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("family", "reads"), [("fnet", True), ("mpnet", False)])
def test_an_encoder_that_reads_padding_is_said(family: str, reads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(probe.logger, "warning", said.append)
    build({"model_type": family, **SMALL, "vocab_size": 40, "max_position_embeddings": 20, "initializer_range": 0.2})
    assert [f"'{family}' does not leave padding out" in text for text in said] == [True] * reads
