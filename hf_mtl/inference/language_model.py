"""A causal language model says how likely answers are after prompts."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.backbone import load_encoder_config, resolve_backbone
from hf_mtl.modeling.tokenizer_files import read_tokenizer

KEY = "baselines.llm.model"
_REMEDY = "Give the Hub id, or the folder, of a causal language model with its tokenizer; check the connection"
_WEIGHTS = ("*.safetensors", "*.bin")
_LOGITS = 1 << 25
"""The most logits of a batch, in float32 128 MB."""
_NO_LIMIT = 1_000_000  # what tokenizers say that know none is far beyond


def check_language_model(name: str) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """Read the config and the tokenizer of a causal language model, before anything takes long.

    Args:
        name: Hub id, folder, or ``python:package/folder``.

    Raises:
        ModelError: If there is none, it is no causal language model, or its folder has no weights.
    """
    try:
        path = resolve_backbone(name)
        config = load_encoder_config(name)
        tokenizer = read_tokenizer(path, name)
    except ModelError as error:
        raise ModelError(replace(item, key=KEY, remedy=_REMEDY) for item in error.mistakes) from error
    kind = config.model_type
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        problem = f"'{name}' is a {kind}, which is no causal language model"
        raise ModelError(Mistake(KEY, problem, "Name one, such as a GPT-2, a Llama or a Qwen"))
    if os.path.isdir(path) and not any(file for names in _WEIGHTS for file in Path(path).glob(names)):
        raise ModelError(Mistake(KEY, f"'{name}' has no weights: no file {' or '.join(_WEIGHTS)}", _REMEDY))
    return config, tokenizer


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model with its tokenizer.

    Args:
        model: The model, in eval mode.
        tokenizer: Its tokenizer.
        limit: The most tokens that it reads; None: any number.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    limit: int | None

    @classmethod
    def load(cls, name: str, device: torch.device) -> "LanguageModel":
        """Load a model, in the precision that its weights have.

        Args:
            name: Hub id, folder, or ``python:package/folder``.
            device: Where it is run.

        Raises:
            ModelError: If there is none, it is no causal language model, or its files lack weights.
        """
        config, tokenizer = check_language_model(name)
        options = {"dtype": "auto", "trust_remote_code": False, "output_loading_info": True}
        try:
            model, loaded = AutoModelForCausalLM.from_pretrained(resolve_backbone(name), **options)
        except Exception as error:  # its readers trust every value of every file
            refuse_cache(error)
            problem = f"'{name}' cannot be loaded: {one_line(error)}"
            raise ModelError(Mistake(KEY, problem, "Give a causal language model that transformers loads")) from error
        if loaded["missing_keys"]:
            problem = f"'{name}' has no weights for {', '.join(sorted(loaded['missing_keys'])[:3])}"
            raise ModelError(Mistake(KEY, problem, "Give a causal language model with its head"))
        limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
        known = [int(limit) for limit in limits if isinstance(limit, int) and 0 < limit < _NO_LIMIT]
        return cls(model.to(device).eval(), tokenizer, min(known, default=None))

    @torch.no_grad()
    def scores(self, prompts: Sequence[str], answers: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], int]:
        """Score answers to prompts: the mean log probability of an answer's tokens, each after all before it.

        Args:
            prompts: The prompts. One that is too long loses its beginning.
            answers: The answers to each, which follow it after a space.

        Returns:
            The scores of each prompt's answers, float64, and how many prompts were cut.

        Raises:
            ModelError: If an answer has no tokens, or leaves no room for a prompt.
        """
        starts = [self._ids(prompt) for prompt in prompts]
        known = {answer: self._answer(answer) for choices in answers for answer in choices}
        pairs = [(row, answer) for row, choices in enumerate(answers) for answer in choices]
        sequences, cut = [], set()
        for row, answer in pairs:
            sequence, shorter = self._joined(starts[row], known[answer])
            sequences.append(sequence)
            if shorter:
                cut.add(row)
        found = np.empty(len(pairs))
        for places in self._batches([len(sequence) for sequence in sequences]):
            lengths = [len(known[pairs[place][1]]) for place in places]
            found[places] = self._means([sequences[place] for place in places], lengths)
        ends = np.cumsum([len(choices) for choices in answers])
        return np.split(found, ends[:-1]), len(cut)

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _answer(self, answer: str) -> list[int]:
        found = self._ids(f" {answer}")
        if not found:
            raise ModelError(
                Mistake(KEY, f"its tokenizer has no token for the label '{answer}'", "Use another model")
            )
        return found

    def _joined(self, prompt: list[int], answer: list[int]) -> tuple[list[int], bool]:
        """Return the tokens of a prompt and an answer, and whether the prompt lost its beginning."""
        # What a text begins with in training; without it nothing precedes the first token.
        first = [] if self.tokenizer.bos_token_id is None else [int(self.tokenizer.bos_token_id)]
        room = len(prompt) if self.limit is None else self.limit - len(first) - len(answer)
        if room < 1 and prompt:
            problem = f"reads {self.limit} tokens, and a label has {len(answer)}"
            raise ModelError(Mistake(KEY, problem, "Use a model that reads more"))
        kept = prompt[-room:] if room else []
        return [*first, *kept, *answer], len(kept) < len(prompt)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Give the places of the sequences of each batch: similar lengths together, long ones first."""
        order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
        start, vocabulary = 0, int(self.model.config.vocab_size)
        while start < len(order):
            stop = start + max(1, _LOGITS // (lengths[order[start]] * vocabulary))
            yield order[start:stop]
            start = stop

    def _means(self, sequences: Sequence[list[int]], lengths: Sequence[int]) -> np.ndarray:
        """Return the mean log probability of the last tokens of each sequence, so many of each."""
        longest = max(map(len, sequences))
        # Padding stands behind, where no token sees it; any token will do.
        rows = [sequence + [0] * (longest - len(sequence)) for sequence in sequences]
        real = [[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in sequences]
        ids, mask = (torch.tensor(values, device=self.model.device) for values in (rows, real))
        logits: Tensor = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        found = []
        for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
            first = max(1, len(sequence) - length)  # the first token of a sequence is after nothing
            own = F.log_softmax(logits[row, first - 1 : len(sequence) - 1].float(), dim=-1)
            taken = own.gather(1, ids[row, first : len(sequence), None])
            found.append(float(taken.mean()))
        return np.array(found)
