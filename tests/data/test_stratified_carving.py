"""Each carved split gets its share of every class, for all tasks that read the same texts together."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_task, load_tasks
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.stratified_carving import stratified_sides
from hf_mtl.tasks import DatasetSource
from tests.data.rows import saved

FRACTIONS = {"test": 0.1, "validation": 0.2}


def keys(count: int) -> np.ndarray:
    return derive_key(5, "text", np.arange(count))


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_within_a_text_of_its_share(seed: int) -> None:
    classes = np.repeat([0, 1, 2, 3], [500, 90, 23, 5])
    sides = stratified_sides([keys(618)], [classes], FRACTIONS, seed)
    for split, share in FRACTIONS.items():
        counts = np.bincount(classes[np.isin(keys(618), sides[split])], minlength=4)
        assert np.abs(counts - share * np.bincount(classes)).max() <= 1
        assert abs(counts.sum() - share * 618) <= 2
    assert not set(sides["test"]) & set(sides["validation"])


def test_sides_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    classes, order = np.arange(300) % 7 % 3, np.random.default_rng(0).permutation(300)
    first, other = (stratified_sides([keys(300)], [classes], FRACTIONS, seed) for seed in (1, 2))
    turned = stratified_sides([keys(300)[order]], [classes[order]], FRACTIONS, 1)
    assert all(np.array_equal(first[split], turned[split]) for split in FRACTIONS)
    assert not np.array_equal(first["test"], other["test"])


def test_several_labels_of_a_text_all_keep_about_their_share() -> None:
    random = np.random.default_rng(3)
    labels = [(random.random(1000) < share).astype(int) for share in (0.5, 0.05, 0.02)]
    sides = stratified_sides([keys(1000), keys(1000), keys(400)], [*labels[:2], labels[2][:400]], FRACTIONS, 0)
    for split, share in FRACTIONS.items():
        there = np.isin(keys(1000), sides[split])
        for found, rows in zip(labels, (1000, 1000, 400), strict=True):
            assert abs(found[:rows][there[:rows]].sum() - share * found[:rows].sum()) <= 2


def test_rows_with_one_text_stay_together() -> None:
    repeated = np.repeat(keys(60), 3)
    sides = stratified_sides([repeated], [np.arange(180) % 4], FRACTIONS, 0)
    assert len(sides["test"]) + len(sides["validation"]) == pytest.approx(18, abs=2)
    assert set(sides["test"]) | set(sides["validation"]) < set(keys(60))


def content(count: int = 120) -> dict[str, list[object]]:
    rows = range(count)
    return {
        "text": [f"k{row} w{row * 7 % 31}" for row in rows],
        "kind": ["rare" if row % 24 == 0 else "often" for row in rows],
        "value": [None if row % 2 else row / 10 for row in rows],
    }


@pytest.mark.usefixtures("own_cache")
def test_tasks_that_read_the_same_texts_are_carved_together(tmp_path: Path) -> None:
    Dataset.from_dict(content()).to_json(str(tmp_path / "rows.jsonl"))
    source = DatasetSource(path="json", data_files=str(tmp_path / "rows.jsonl"))
    tasks = {
        "kind": SequenceClassification(dataset=source, label="kind", validation_fraction=0.2, stratify=True),
        "value": Regression(dataset=source, label="value", validation_fraction=0.2, max_length=9),
        "alone": Regression(dataset=source, label="value", validation_fraction=0.2, stream=False),
    }
    for seed in range(4):
        loaded = load_tasks(tasks, seed)
        scored = [set(item.splits["validation"]["text"][:]) for item in loaded.values()]
        trained = [set(item.splits["train"]["text"][:]) for item in loaded.values()]
        assert not (scored[0] | scored[1]) & (trained[0] | trained[1])
        assert scored[1] == scored[2] < scored[0]
        labels = loaded["kind"].labels["validation"].values
        assert np.bincount(labels).tolist() == [23, 1]
        assert any("validation_fraction 0.2, stratified, seed" in note for note in loaded["value"].notes)
        turned = load_tasks(dict(reversed(tasks.items())), seed)
        assert all(turned[name].fingerprints == item.fingerprints for name, item in loaded.items())


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("stratify", [False, True])
def test_a_seed_of_its_own_carves_the_same_rows_whatever_draws_the_others(tmp_path: Path, stratify: bool) -> None:
    source = saved(tmp_path, train={key: content()[key] for key in ("text", "kind")})
    fractions = {"validation_fraction": 0.2, "test_fraction": 0.2, "max_rows": 20}
    tasks = {"t": SequenceClassification(dataset=source, label="kind", stratify=stratify, **fractions)}
    found = [load_tasks(tasks, seed, carving_seed=3)["t"].fingerprints for seed in (0, 3)]
    assert found[1] == load_tasks(tasks, 3)["t"].fingerprints
    assert [found[0][split] == found[1][split] for split in ("test", "validation", "train")] == [True, True, False]


@pytest.mark.usefixtures("own_cache")
def test_what_is_carved_by_fifths_has_targets_of_every_size(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": content()["text"], "label": [row / 10 for row in range(120)]})
    loaded = load_task("t", Regression(dataset=source, validation_fraction=0.25, stratify=True), seed=1)
    fifths = np.array(loaded.splits["validation"]["label"][:]) // 2.4
    assert np.abs(np.bincount(fifths.astype(int), minlength=5) - 6).max() <= 1
