"""How long the texts of a draft are, in tokens of a tokenizer that nobody has chosen yet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from hf_mtl.data.columns import is_text
from hf_mtl.drafting.columns import Column, list_facts

if TYPE_CHECKING:
    from hf_mtl.drafting.draft import Dataset


def longest_text(datasets: Sequence["Dataset"]) -> int:
    """Estimate how many tokens 95% of the texts have at most, of the task with the longest."""
    found = [8.0]
    for item in datasets:
        for task in item.tasks:
            names = [name for key in ("text", "choices") for name in as_list(task.guess.keys.get(key, []))]
            found.append(sum(_tokens(item.columns[name]) for name in dict.fromkeys(names)))
    return int(max(found)) + 4


def _tokens(column: Column) -> float:
    if is_text(column.values.type):
        texts = column.values.drop_null()
        words = pc.count_substring_regex(texts, r"\S+").to_numpy(zero_copy_only=False)
        # Scripts without blanks have a token for each character or two.
        letters = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        return float(np.percentile(np.maximum(1.4 * words, letters / 3.5), 95)) if len(texts) else 0.0
    lengths, elements = list_facts(column)
    words = pc.sum(pc.count_substring_regex(elements, r"\S+")).as_py() if is_text(elements.type) else len(elements)
    per_element = (words or 0) / max(1, len(elements))
    # Words of a row stand together; of choices each is a row of its own.
    return float(1.4 * per_element * (np.percentile(lengths, 95) if per_element < 1.5 else 1.5))


def as_list(value: str | Sequence[str]) -> list[str]:
    """Return one name, or several, as a list."""
    return [value] if isinstance(value, str) else list(value)
