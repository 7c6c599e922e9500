"""Tiny random backbones of every family, and the three kinds of tasks."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from hf_mtl import Regression, SequenceClassification
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Task
from tests.packs import pack

VOCABULARY = 60
_SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20}
_PLAIN = {"vocab_size": VOCABULARY, "max_position_embeddings": 64, "pad_token_id": 0} | _SIZES
_DEBERTA = {
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 8,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
}

FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", **_PLAIN},
    "albert": {"model_type": "albert", "embedding_size": 8, **_PLAIN},
    "roberta": {"model_type": "roberta", **_PLAIN, "pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {"model_type": "xlm-roberta", **_PLAIN, "pad_token_id": 1, "type_vocab_size": 1},
    "camembert": {"model_type": "camembert", **_PLAIN, "pad_token_id": 1, "type_vocab_size": 1},
    "electra": {"model_type": "electra", "embedding_size": 8, **_PLAIN},
    "distilbert": {
        "model_type": "distilbert",
        "vocab_size": VOCABULARY,
        "dim": 16,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 20,
        "max_position_embeddings": 64,
    },
    "deberta": {"model_type": "deberta", **_PLAIN, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"model_type": "deberta-v2", **_PLAIN},
    "deberta-v3": {"model_type": "deberta-v2", **_PLAIN, **_DEBERTA},
    "modernbert": {"model_type": "modernbert", **_PLAIN},
    "modernbert-mean": {"model_type": "modernbert", **_PLAIN, "classifier_pooling": "mean"},
}
# Without a native head, and decoders.
OTHERS: dict[str, dict[str, Any]] = {
    "t5": {"model_type": "t5", "vocab_size": VOCABULARY, "d_model": 16, "d_kv": 8, "d_ff": 20, "num_layers": 2}
    | {"num_heads": 2},
    "llama": {"model_type": "llama", **_PLAIN, "num_key_value_heads": 2},
}

DECODERS: dict[str, dict[str, Any]] = {
    name: {"model_type": name, **_PLAIN, "num_key_value_heads": 1, "head_dim": 8, "initializer_range": 0.2}
    for name in ("llama", "mistral", "qwen2", "qwen3")
}

TASKS: dict[str, Task] = {
    "train": SequenceClassification(labels=["anger", "joy", "sadness"]),
    "emo.bank": Regression(label=["valence", "arousal", "dominance"]),
    "intensity": Regression(label="intensity"),
}


def some_fast(cases: Iterable[Any], *fast: Any) -> list[Any]:
    """The cases, all but some of them slow; a tuple is several parameters."""
    values = {case: case if isinstance(case, tuple) else (case,) for case in cases}
    return [pytest.param(*values[case], marks=() if case in fast else pytest.mark.slow) for case in values]


def make_model(family: str, head: Any = None, **options: Any) -> MultiTaskModel:
    """A seeded model in eval mode with statistics that differ from their defaults."""
    torch.manual_seed(0)
    backbone = {**DECODERS, **FAMILIES, **OTHERS}[family]
    model = MultiTaskModel.from_backbone(backbone, options.pop("tasks", TASKS), head, **options)
    if "emo.bank" in model.tasks:
        model.set_statistics("emo.bank", mean=[3.0, 2.0, -1.0], std=[0.5, 2.0, 0.25])
        model.set_statistics("intensity", mean=0.4, std=0.2)
    return model.eval()


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, no more of them than the backbones have embeddings."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=words, mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"], **names
    )


EXPORTED = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def make_texts(lengths: list[int], seed: int = 0, padding: int | None = None) -> tuple[Tensor, Tensor]:
    """Random token ids [B, L] padded on the right, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths)
    ids = torch.randint(5, VOCABULARY, (len(lengths), width), generator=generator)
    mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
    return ids * mask + (1 - mask) * (padding or 0), mask


def padding_of(family: str) -> int:
    """The padding token of a family (RoBERTa counts positions from it)."""
    return int({**DECODERS, **FAMILIES, **OTHERS}[family].get("pad_token_id", 0))


LENGTHS = [12, 3, 5, 11, 4, 12]
SEGMENTS = {"train": (0, 2), "emo.bank": (2, 5), "intensity": (5, 6)}
"""Rows of `packed_rows`: their tokens, and whose they are."""


def packed_rows(family: str) -> dict[str, Any]:
    """A batch of six rows as the collator makes it, with three rectangles."""
    ids, mask = make_texts(LENGTHS, padding=padding_of(family))
    return {"packed": pack(ids, mask, [[1, 2, 4], [3], [0, 5]], pad_id=padding_of(family)), "segments": SEGMENTS}
