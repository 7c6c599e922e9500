import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.evaluation import (
    ClassOutputs,
    baseline_outputs,
    baseline_predictions,
    baseline_scores,
    baselines,
    score_task,
)

GOOD, BAD = ["good fine day", "fine good food"], ["bad awful day", "awful bad food"]
TASK = SequenceClassification(labels=3, metrics=["accuracy", "f1_macro", "auroc_macro"])


def test_words_that_tell_the_classes_apart_beat_the_majority():
    scores = baseline_scores(
        TASK, "x", GOOD + BAD * 2, np.array([2, 2, 0, 0, 0, 0]), GOOD + BAD, np.array([2, 2, 0, 0])
    )
    assert scores["majority"] == {"accuracy": 0.5, "f1_macro": pytest.approx(2 / 9), "auroc_macro": 0.5}
    assert scores["tfidf"] == {"accuracy": 1.0, "f1_macro": pytest.approx(2 / 3), "auroc_macro": 1.0}


def test_pairs_are_joined():
    train, labels = [("same", "good"), ("same", "bad")] * 3, np.array([1, 0] * 3)
    task = SequenceClassification(labels=2, metrics=["accuracy"])
    assert baseline_scores(task, "x", train, labels, train, labels)["tfidf"] == {"accuracy": 1.0}


def test_pairs_of_words_are_seen_with_longer_ngrams():
    train, labels = ["not good but bad", "not bad but good"] * 3, np.array([0, 1] * 3)
    task = SequenceClassification(labels=2, metrics=["accuracy"])
    assert baseline_scores(task, "x", train, labels, train, labels)["tfidf"] == {"accuracy": 0.5}
    scores = baseline_scores(task, "x", train, labels, train, labels, ngram_range=(1, 2))
    assert scores["tfidf"] == {"accuracy": 1.0}


def test_the_mean_scores_zero_r2_and_unit_z_error_on_its_own_rows():
    task = Regression(label=["V", "A"], metrics=["r2", "mse_z", "pearson"])
    targets = np.array([[1.0, 10.0], [1.2, 12.0], [-1.0, -10.0], [-1.2, -12.0]])
    scores = baseline_scores(task, "x", GOOD + BAD, targets, GOOD + BAD, targets)
    assert scores["majority"]["r2"] == pytest.approx(0)
    assert scores["majority"]["mse_z_A"] == pytest.approx(1)
    assert scores["majority"]["pearson"] == 0.0
    assert scores["tfidf"]["r2"] > 0.5


def test_one_target_may_be_a_flat_list():
    scores = baseline_scores(Regression(metrics=["mae"]), "x", GOOD + BAD, [1.0, 1.0, 3.0, 3.0], GOOD, [2.0, 2.0])
    assert scores["majority"] == {"mae": 0.0}


def test_one_class_in_train_leaves_nothing_to_learn():
    task = SequenceClassification(labels=2, metrics=["accuracy"])
    scores = baseline_scores(task, "x", GOOD, np.array([1, 1]), BAD, np.array([0, 1]))
    assert scores["tfidf"] == scores["majority"] == {"accuracy": 0.5}


def test_texts_without_words_are_said_and_equal_the_majority():
    task = SequenceClassification(labels=2, metrics=["accuracy"])
    with pytest.warns(UserWarning, match="no word"):
        scores = baseline_scores(task, "x", ["a", "!"], np.array([1, 0]), ["b"], np.array([0]))
    assert scores["tfidf"] == scores["majority"]


@pytest.mark.parametrize("metric", ["accuracy", "ece"])
def test_what_is_kept_of_the_predictions_gives_the_scores_of_all_of_them(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    words = np.array(["apple", "pear", "plum", "cherry"])
    texts = [" ".join(words[random.integers(0, 4, 5)]) for _ in range(60)]
    task = SequenceClassification(labels=["a", "b", "c"], metrics=[metric])
    labels = random.integers(0, 3, 40)
    whole = baseline_outputs(task, texts[:40], labels, texts[40:])
    monkeypatch.setattr(baselines, "ELEMENTS", 3 * 7)  # seven rows at once
    kept = baseline_predictions(task, texts[:40], labels, texts[40:])
    assert kept.keys() == whole.keys()
    for name, outputs in whole.items():
        np.testing.assert_array_equal(baseline_outputs(task, texts[:40], labels, texts[40:])[name], outputs)
        found = kept[name]
        assert isinstance(found, ClassOutputs)
        assert (found.logits is None) == (metric == "accuracy")
        truth = random.integers(0, 3, 20)
        assert score_task(task, "t", found, truth) == score_task(task, "t", outputs, truth)
