"""Folds: all rows of the tasks dealt out anew, of which one part is scored and the others are trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hf_mtl.data.carve import carve
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.gather import Gathered, concatenated
from hf_mtl.data.permutation import derive_key, uniform
from hf_mtl.data.section import FoldSpec
from hf_mtl.data.stratified_carving import ReadTask, groups_of, keys_and_strata, stratified_sides
from hf_mtl.data.text_keys import Keys


def pooled(name: str, gathered: Gathered) -> Gathered:
    """Put all splits of a task together as training rows.

    Args:
        name: The task's name.
        gathered: Its splits.

    Raises:
        DataError: If their columns do not fit together.
    """
    splits = gathered.splits
    if len(splits) < 2:
        return replace(gathered, splits={"train": next(iter(splits.values()))}) if splits else gathered
    rows = concatenated(list(splits.values()), "train", f"tasks.{name}.dataset")
    parts = {"train": [part for split in splits for part in gathered.parts.get(split, [])]}
    return Gathered({"train": rows}, gathered.notes, True, parts)


def fold_sides(read: Mapping[str, ReadTask], fold: FoldSpec, seed: int) -> dict[str, dict[str, Keys]]:
    """Choose which texts a fold scores, and which of the others are validation.

    By a hash of the text and the fold's seed: a text is in the same fold of every task, beside whatever others. Where
    a task is stratified, every fold has its share of each stratum instead, within one text.

    Args:
        read: The tasks, whose rows are all training rows, see `pooled`.
        fold: The fold.
        seed: Seed of the draw of validation rows.

    Returns:
        The keys of the texts of ``test`` and ``validation``, by task.
    """
    found: dict[str, dict[str, Keys]] = {}
    for group in groups_of(read):
        items = [group[name] for name in sorted(group)]
        stratified = any(item.task.stratify for item in items)
        test = _dealt(items, fold, stratified)
        share = items[0].task.validation_fraction
        others = [_without(item, test) for item in items] if share else []
        sides = {"test": test, **({"validation": _validation(others, share, seed, stratified)} if share else {})}
        found.update(dict.fromkeys(group, sides))
    return found


def _dealt(items: Sequence[ReadTask], fold: FoldSpec, stratified: bool) -> Keys:
    """Return the texts of a fold."""
    keys, strata = keys_and_strata(items)
    texts = np.unique(np.concatenate(keys))
    if not stratified:
        numbers = uniform(derive_key(fold.seed, "fold", texts))
        mine: Keys = texts[(numbers * fold.of).astype(np.int64) == fold.number]
        return mine
    names = [str(number) for number in range(fold.of)]
    # What no other gets is the last: `stratified_sides` has a remainder, which is a fold here.
    dealt = stratified_sides(keys, strata, dict.fromkeys(names[:-1], 1 / fold.of), fold.seed)
    last = np.setdiff1d(texts, np.concatenate(list(dealt.values())))
    return {**dealt, names[-1]: last}[names[fold.number]]


def _validation(others: Sequence[ReadTask], share: float, seed: int, stratified: bool) -> Keys:
    """Return the texts among those that the fold does not score that are validation."""
    keys, strata = keys_and_strata(others)
    if stratified:
        return stratified_sides(keys, strata, {"validation": share}, seed)["validation"]
    texts = np.unique(np.concatenate(keys))
    return texts[carve(texts, {"validation": share}, seed)["validation"]]


def _without(item: ReadTask, test: Keys) -> ReadTask:
    train: LabelledRows = item.rows["train"]
    assert train.keys is not None
    left = train.select(np.flatnonzero(~np.isin(train.keys.places, test)))
    return replace(item, rows={"train": left})
