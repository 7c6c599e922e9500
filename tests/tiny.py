"""A tiny world for tests: three tasks on synthetic words, a tokenizer of whole words, a two-layer BERT."""

import json
from typing import Any

import numpy as np
from datasets import Dataset
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen2Tokenizer, set_seed

from hf_mtl import MultiTaskModel, Regression, SequenceClassification
from hf_mtl.tasks import Task

WORDS = [f"w{number}" for number in range(60)]
SIZES = {"topic": 101, "mood": 37, "score": 53}
TASKS: dict[str, Task] = {
    "topic": SequenceClassification(labels=["a", "b", "c"]),
    "mood": SequenceClassification(labels=["good", "bad"]),
    "score": Regression(label=["x", "y"]),
}
BERT = {
    "model_type": "bert",
    "vocab_size": 66,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "initializer_range": 0.2,  # a tiny model with small weights hardly learns
}


def tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, with [CLS] and [SEP]."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=32,
    )


def qwen2_tokenizer() -> PreTrainedTokenizerBase:
    """Bytes, and pairs of them that are in the words; transformers reads no other class beside a Qwen2."""
    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator([" ".join(WORDS)], vocab_size=300, show_progress=False)
    made = json.loads(pairs.to_str())["model"]
    vocabulary = {token: i for i, token in enumerate(["<|endoftext|>", *made["vocab"]])}
    return Qwen2Tokenizer(vocab=vocabulary, merges=[tuple(pair) for pair in made["merges"]], model_max_length=32)


def rows(name: str, count: int, seed: int = 0) -> Dataset:
    """Texts of 1 to 20 words whose labels depend on the words."""
    random = np.random.default_rng([seed, *name.encode()])
    picks = [random.integers(0, len(WORDS), size=random.integers(1, 21)) for _ in range(count)]
    texts = [" ".join(WORDS[word] for word in pick) for pick in picks]
    means = np.array([pick.mean() for pick in picks])
    if name == "score":
        return Dataset.from_dict({"text": texts, "x": (means / 10).tolist(), "y": (5 - means / 30).tolist()})
    classes = TASKS[name].num_outputs
    labels = [int(pick[0]) % classes for pick in picks]
    labels[:classes] = range(classes)  # every class occurs
    return Dataset.from_dict({"text": texts, "label": labels})


def datasets(sizes: dict[str, int] = SIZES, seed: int = 0) -> dict[str, Dataset]:
    """One split of every task."""
    return {name: rows(name, count, seed) for name, count in sizes.items()}


def model(
    dropout: float = 0.0,
    tasks: dict[str, Task] = TASKS,
    seed: int = 3,
    config: dict[str, Any] | None = None,
    **kwargs: Any,
) -> MultiTaskModel:
    """A new model with random weights."""
    set_seed(seed)
    return MultiTaskModel.from_backbone({**BERT, **(config or {})}, tasks=tasks, dropout=dropout, **kwargs)
