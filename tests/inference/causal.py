"""A tiny causal language model with random weights, in a folder."""

from pathlib import Path

from transformers import GPT2Config, GPT2LMHeadModel, set_seed

from tests import tiny


def write_causal(folder: Path) -> Path:
    """Write a GPT-2 that reads the tiny world's words, and return its folder."""
    set_seed(5)
    config = GPT2Config(
        vocab_size=66,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=32,
        initializer_range=0.5,
        bos_token_id=2,
        eos_token_id=3,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder
