"""Texts of an evaluation split that some task trains on, which make its scores say less than they seem to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.text_keys import Keys, TextKeys, among
from hf_mtl.errors import Mistake
from hf_mtl.tasks import DatasetSource, Task


@dataclass(frozen=True)
class _Trained:
    """The training texts of a task, sorted: of whole rows, and one by one."""

    pairs: bool
    rows: Keys
    texts: Keys

    @classmethod
    def of(cls, keys: TextKeys) -> "_Trained":
        # Sorted is enough for `among`; numpy's unique would only add time.
        texts = np.sort(keys.texts, axis=None)
        pairs = keys.texts.shape[1] > 1
        return cls(pairs, np.sort(keys.rows) if pairs else texts, texts)

    def count(self, keys: TextKeys) -> int:
        """Count the rows that are among them. A pair and a text are the same where one of the pair is the text."""
        # Without its brackets this would be a chain, true for no pairs at all.
        if self.pairs == (keys.texts.shape[1] > 1):
            return int(among(keys.rows, self.rows).sum())
        return int(among(keys.texts.reshape(-1), self.texts).reshape(keys.texts.shape).any(axis=1).sum())


def note_overlaps(loaded: Mapping[str, LoadedTask]) -> tuple[dict[str, LoadedTask], list[Mistake]]:
    """Count the evaluation texts of each task that are training texts of any.

    Returns:
        The tasks, with a sentence for each split that has such texts, and a mistake where two tasks carve different
        shares from the same rows: then one holds out what the other trains on.
    """
    trained = {name: _Trained.of(item.keys["train"]) for name, item in loaded.items() if "train" in item.keys}
    found = dict(loaded)
    mistakes: list[Mistake] = []
    for name, item in loaded.items():
        for split in ("validation", "test"):
            if split not in item.keys:
                continue
            counts = {other: table.count(item.keys[split]) for other, table in trained.items()}
            counts = {other: count for other, count in counts.items() if count}
            mistakes += _different_shares(name, split, loaded, counts)
            if counts:
                note = _sentence(name, split, len(item.keys[split].rows), counts)
                found[name] = replace(found[name], overlaps=[*found[name].overlaps, note])
    return found, mistakes


def _sentence(name: str, split: str, rows: int, counts: Mapping[str, int]) -> str:
    of = [
        f"{count:,} of {name_count(rows, f'{split} text')} of {name} are training texts of {other}"
        for other, count in counts.items()
    ]
    return f"{name}: {'; '.join(of)}."


def _different_shares(
    name: str, split: str, loaded: Mapping[str, LoadedTask], counts: Mapping[str, int]
) -> Iterator[Mistake]:
    if split not in loaded[name].carved:
        return
    key, task = f"{split}_fraction", loaded[name].task
    for other, count in counts.items():
        theirs = loaded[other].task
        shares = getattr(task, key), getattr(theirs, key)
        if shares[0] != shares[1] and _same_source(task, theirs):
            problem = (
                f"is {_shown(shares[0])}, and {_shown(shares[1])} for {other}, which reads the same data: "
                f"{count:,} {split} texts of {name} are training texts of {other}"
            )
            yield Mistake(f"tasks.{name}.{key}", problem, f"Give both the same {key}.")


def _shown(share: float | None) -> str:
    return "not set" if share is None else f"{share:g}"


def _same_source(task: Task, other: Task) -> bool:
    """Tell whether two tasks read the same files somewhere."""
    return any(source in _sources(other) for source in _sources(task))


def _sources(task: Task) -> list[DatasetSource]:
    """Return the sources of a task without what makes the same files look different."""
    given = task.dataset if isinstance(task.dataset, list) else [task.dataset]
    return [source.model_copy(update={"filter": None, "splits": {}}) for source in given if source is not None]
