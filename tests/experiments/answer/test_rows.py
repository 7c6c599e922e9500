"""Rows that are kept, and two runs compared by them: for every task type and each of our metrics."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_mtl.errors import CheckpointError, DataError
from hf_mtl.evaluation import suited_metrics
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.experiments.answer import rows as module
from hf_mtl.experiments.answer.resampled import resampled
from hf_mtl.experiments.answer.rows import bootstrap, compare_rows, draws, read, write
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.scoring.kept_rows import TaskRows
from tests.modeling.families import some_fast
from tests.task_types.sample import samples

SAMPLES = samples()
ONE_BY_ONE = {"label_ranking_average_precision", "ece of tags"}
"""Metrics of ours that are scored draw by draw."""


def scored(
    name: str, count: int = 40, share: float = 0.6, seed: int = 0, metrics: list[str] | None = None
) -> TaskRows:
    """Rows of which a share is predicted right, and the others at random."""
    sample, random = SAMPLES[name], np.random.default_rng(seed)
    split = sample.encoded(count)
    labels, task = split.scored_against, sample.task
    best, other = task.perfect_outputs(labels), sample.outputs(count)
    wide = tuple(slice(0, min(sizes)) for sizes in zip(best.shape, other.shape, strict=True))
    right = random.random(count) < share
    other[right] = -20.0 if task.outputs_per != "row" else other[right]
    other[(right, *wide[1:])] = best[(right, *wide[1:])]
    if metrics is not None:
        known = getattr(task, "label_names", None) or task.output_names
        specs = [MetricSpec(name=metric, labels=known[:2] if metric == "f1" else None) for metric in metrics]
        task = task.model_copy(update={"metrics": specs})
    statistics = {"std": [1.5] * task.num_outputs}
    return TaskRows(task, other.astype(np.float32), labels, split.weights, statistics)


@pytest.mark.parametrize("name", some_fast(SAMPLES, *(name for name in SAMPLES if "," not in name)))
def test_each_of_our_metrics_on_draws_is_what_the_task_scores_there(name: str) -> None:
    random = np.random.default_rng(1)
    for metric in suited_metrics(SAMPLES[name].task):
        rows = scored(name, metrics=[metric])
        weighted = rows.weights is not None and metric != "spearman" and not metric.startswith("entity")
        rows = TaskRows(rows.task, rows.outputs, rows.labels, rows.weights if weighted else None, rows.statistics)
        [key] = metric_keys(rows.task)
        found = resampled(rows, rows.task.metrics[0])
        if metric in ONE_BY_ONE or f"{metric} of {rows.task.outputs_are}" in ONE_BY_ONE:
            assert found is None
            continue
        assert found is not None, metric
        drawn = [np.arange(len(rows)), *random.integers(0, len(rows), (5, len(rows)))]
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights
        counts = np.stack([np.bincount(each, minlength=len(rows)) * weights for each in drawn])
        expected = [rows.scores("t", each)[key] for each in drawn]
        assert found(counts) == pytest.approx(expected, abs=1e-6, nan_ok=True), metric


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_come_back_from_their_file_and_score_the_same(name: str, tmp_path: Path) -> None:
    rows = scored(name)
    write(tmp_path, {"a/b: ü": rows})
    [(task, found)] = read(tmp_path).items()
    assert task == "a/b: ü"
    assert found.task == rows.task
    assert found.scores("t") == rows.scores("t")
    assert bootstrap(found, rows, "t", resamples=20).difference == 0


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_that_were_made_small_score_the_same(name: str) -> None:
    rows = scored(name)
    compact = rows.task.compact(rows.outputs.shape[1:-1])
    if compact is not None:
        kept = compact.of(torch.from_numpy(rows.outputs)).numpy()
        small = TaskRows(rows.task, kept, rows.labels, rows.weights, rows.statistics, is_compact=True)
        assert small.scores("t") == rows.scores("t")
        assert bootstrap(small, rows, "t", resamples=20).difference == 0


def test_a_better_model_is_better_by_its_rows_and_draw_by_draw_says_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = (scored("sequence_classification", 300, share, 3) for share in (0.9, 0.5))
    fast = bootstrap(ours, theirs, "t", resamples=2000)
    assert fast.low > 0
    assert fast.n == 300
    assert fast.by == "rows"
    monkeypatch.setattr(module, "_fast", lambda *_: None)
    slow = draws(ours, theirs, "t", resamples=150)
    assert slow.plain == pytest.approx(fast.difference)
    assert np.std(slow.found) == pytest.approx((fast.high - fast.low) / 3.92, rel=0.25)


def test_an_order_in_many_columns_is_read_on_fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = scored("sequence_classification", metrics=["auroc_macro"])
    assert len(draws(rows, rows, "t", resamples=700).found) == 700
    monkeypatch.setattr(module, "_ORDERED", 10)
    assert len(draws(rows, rows, "t", resamples=700).found) == module.SLOW_RESAMPLES


def test_a_run_without_a_score_has_no_evidence() -> None:
    ours, theirs = (scored("regression") for _ in range(2))
    ours.outputs[3] = math.nan
    found = bootstrap(ours, theirs, "t", resamples=20)
    assert math.isnan(found.difference)
    assert math.isnan(found.p)


def test_other_rows_are_refused(tmp_path: Path) -> None:
    ours, fewer = (scored("sequence_classification", count) for count in (40, 39))
    with pytest.raises(DataError, match="40 test rows and the other on 39"):
        bootstrap(ours, fewer, "t")
    other = TaskRows(ours.task, ours.outputs, np.roll(ours.labels, 1))
    with pytest.raises(DataError, match="other labels, or in another order"):
        bootstrap(ours, other, "t")
    (tmp_path / "test_rows.safetensors").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="damaged"):
        read(tmp_path)
    with pytest.raises(CheckpointError, match="is not there"):
        read(tmp_path / "none")


def test_two_arms_are_compared_on_every_task_and_over_all(tmp_path: Path) -> None:
    for folder, share in (("joint", 0.9), ("a", 0.5), ("b", 0.5)):
        names = {"a": "sequence_classification", "b": "regression"}
        kept = {task: scored(name, 60, share, 2) for task, name in names.items() if folder in ("joint", task)}
        write(tmp_path / folder, kept)
    single = {"a": tmp_path / "a", "b": tmp_path / "b"}
    both = {"a": tmp_path / "joint", "b": tmp_path / "joint"}
    records = compare_rows(both, single, arm="ew", against="single_task", seed=0, resamples=200)
    assert [item["task"] for item in records] == ["a", "b", None]
    a, b, overall = (item["evidence"] for item in records)
    assert overall["difference"] == pytest.approx((a["difference"] + b["difference"]) / 2)
    assert a["low"] <= a["difference"] <= a["high"]
    write(tmp_path / "b", {"b": scored("regression", 59, 0.5, 2)})
    [_, other] = compare_rows(both, single, arm="ew", against="single_task", seed=0, resamples=50)
    assert other["evidence"] is None
    assert "60 test rows and the other on 59" in other["note"]
