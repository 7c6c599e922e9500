"""The rival of benches: `transformers.Trainer`, whose batches come in random order."""

import random
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Sampler
from transformers import Trainer


class AnyOrder(Sampler[int]):
    """The batches of a sampler in random order: one that groups by length begins with all that are long.

    Args:
        inner: The sampler.
        size: Rows of a batch.
    """

    def __init__(self, inner: Any, size: int):
        self._inner, self._size = inner, size

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[int]:
        """Yield rows."""
        rows = list(self._inner)
        batches = [rows[start : start + self._size] for start in range(0, len(rows), self._size)]
        random.Random(0).shuffle(batches)
        return iter([row for batch in batches for row in batch])


class PlainTrainer(Trainer):
    """A Trainer of which a few steps are like many."""

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return AnyOrder(super()._get_train_sampler(*args, **kwargs), self.args.train_batch_size)
