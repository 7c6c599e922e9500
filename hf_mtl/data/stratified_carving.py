"""Carving by strata: each split gets its share of every class, as well as several labels of a text allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.complete import carved_fractions
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.stream_names import texts_of
from hf_mtl.data.text_keys import Keys
from hf_mtl.tasks import Task


@dataclass(frozen=True)
class ReadTask:
    """The splits of a task as its data has them.

    Args:
        task: The task, resolved.
        rows: The labelled rows of each split, with their keys.
        notes: What the user should know.
    """

    task: Task
    rows: Mapping[str, LabelledRows]
    notes: list[str]


def carved_beside(tasks: Mapping[str, Task], theirs: Mapping[str, Task]) -> dict[str, Task]:
    """Return the tasks of a run without whose rows some of it would be carved otherwise than the run's were.

    Args:
        tasks: The tasks that are loaded, some of the run's, or with other data.
        theirs: The run's tasks.
    """
    same = {name: texts_of(task) for name, task in tasks.items()}
    there = {name: texts_of(task) for name, task in theirs.items()}
    stratified = {there[name] for name, task in theirs.items() if task.stratify} & set(same.values())
    return {name: task for name, task in theirs.items() if there[name] in stratified - {same.get(name)}}


def sides_of(read: Mapping[str, ReadTask], seed: int, beside: Mapping[str, ReadTask]) -> dict[str, dict[str, Keys]]:
    """Choose where texts go of which any task is stratified, once for all tasks that read them.

    Args:
        read: The tasks.
        seed: Seed of the draw.
        beside: Others, of which only the strata count.

    Returns:
        For each such task the keys of the texts of each carved split; of two of one name for that of ``read``.
    """
    groups: dict[tuple[str, str], dict[str, ReadTask]] = {}
    for name, item in (*read.items(), *beside.items()):
        if "train" in item.rows and carved_fractions(item.task, item.rows):
            shares = str(carved_fractions(item.task, item.rows))
            groups.setdefault((texts_of(item.task), shares), {})[name] = item
    found = {}
    for group in groups.values():
        # By name: where a text goes does not depend on the order in which a recipe names its tasks.
        items = [group[name] for name in sorted(group)]
        if any(item.task.stratify for item in items):
            fractions = carved_fractions(items[0].task, items[0].rows)
            sides = stratified_sides(*keys_and_strata(items), fractions, seed)
            found.update({name: sides for name, item in group.items() if item is read.get(name, item)})
    return found


def groups_of(read: Mapping[str, ReadTask]) -> list[dict[str, ReadTask]]:
    """Group the tasks that have training rows by the texts that they read.

    Args:
        read: The tasks.
    """
    groups: dict[str, dict[str, ReadTask]] = {}
    for name, item in read.items():
        if "train" in item.rows:
            groups.setdefault(texts_of(item.task), {})[name] = item
    return list(groups.values())


def keys_and_strata(read: Sequence[ReadTask]) -> tuple[list[Keys], list[NDArray[np.integer]]]:
    """Return keys and strata of the training rows of tasks; without `stratify` all rows are one stratum."""
    keys, strata = [], []
    for item in read:
        train = item.rows["train"]
        assert train.keys is not None
        keys.append(train.keys.places)
        one = np.zeros(len(train.keys.places), dtype=np.int64)
        strata.append(item.task.strata(train.labels.values) if item.task.stratify else one)
    return keys, strata


def stratified_sides(
    keys: Sequence[Keys], strata: Sequence[NDArray[np.integer]], fractions: Mapping[str, float], seed: int
) -> dict[str, Keys]:
    """Choose the texts of each carved split, for tasks that read the same texts together.

    Texts with the label that is rarest among those not yet placed go first, each to the split that still lacks most
    of the label; of splits that lack as much, to the one that lacks most texts. So a label of which the texts have
    no other ends within one text of its share. Where a text goes depends on the others, and not on their order.

    Source: iterative stratification, Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011, algorithm 1. Ties are broken
    by the seeded hash of a text, not by chance.

    Args:
        keys: For each task the key of each of its rows' texts, uint64 [n].
        strata: For each task the stratum of each row, int [n].
        fractions: Share of the texts that each carved split gets; together below 1.
        seed: Seed of the order of texts.

    Returns:
        The keys of the texts of each carved split.
    """
    texts, of_row = np.unique(np.concatenate(keys), return_inverse=True)
    pairs = _pairs(np.split(of_row, np.cumsum([len(part) for part in keys])[:-1]), strata)
    shares = np.array([*fractions.values(), 1 - sum(fractions.values())])
    sides = _placed(len(texts), pairs, shares, derive_key(seed, "carve", texts))
    return {split: texts[sides == number] for number, split in enumerate(fractions)}


def _pairs(texts: Sequence[NDArray[np.integer]], strata: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    """Return which texts have which labels, each once, int64 [2, m]: a label is a stratum of a task."""
    found, labels = [], 0
    for of_task, strata_of_task in zip(texts, strata, strict=True):
        distinct, members = np.unique(strata_of_task, return_inverse=True)
        found.append(np.stack([of_task, members.reshape(-1) + labels]))
        labels += len(distinct)
    return np.unique(np.concatenate(found, axis=1), axis=1)


def _placed(count: int, pairs: NDArray[np.int64], shares: NDArray[np.float64], hashes: Keys) -> NDArray[np.int64]:
    """Return the split of each text, by number.

    Args:
        count: Number of texts.
        pairs: Text and label of each label that a text has, [2, m], by text.
        shares: Share of each split.
        hashes: By which texts of one label are ordered, [count].
    """
    texts, labels = pairs
    starts = np.searchsorted(texts, np.arange(count + 1))
    by_label = pairs[:, np.lexsort((hashes[texts], labels))][0]
    left = np.bincount(labels)
    ends = np.cumsum(left)
    members = [by_label[end - size : end] for end, size in zip(ends, left, strict=True)]
    wanted = (left[:, None] * shares).tolist()
    texts_wanted = (count * shares).tolist()
    sides = np.full(count, -1, dtype=np.int64)
    for _ in range(len(members)):
        label = int(np.where(left > 0, left, count + 1).argmin())
        for text in members[label].tolist():
            if sides[text] >= 0:
                continue
            lacks = list(zip(wanted[label], texts_wanted, strict=True))
            side = lacks.index(max(lacks))
            sides[text] = side
            texts_wanted[side] -= 1
            for other in labels[starts[text] : starts[text + 1]].tolist():
                wanted[other][side] -= 1
                left[other] -= 1
    return sides
