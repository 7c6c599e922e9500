import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score as f1_of_classes

from hf_mtl import TokenClassification
from hf_mtl.errors import DataError
from hf_mtl.evaluation import score_notes, score_task
from hf_mtl.evaluation.checks import check_metrics
from hf_mtl.evaluation.tags import TagOutputs, tags_alone
from hf_mtl.tasks import MetricSpec

NAMES = ["O", "B-A", "I-A"]
TASK = TokenClassification(labels=NAMES, metrics=["entity_f1", "accuracy", "f1_macro", "ece"])


def drawn(rows: int = 40, wide: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels of rows of different lengths, with tags that are not known."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (rows, wide))
    raw = random.normal(size=(rows, wide, 3)).astype(np.float32) + 2 * np.eye(3, dtype=np.float32)[labels]
    behind = np.arange(wide) >= random.integers(1, wide + 1, rows)[:, None]
    raw[behind], labels[behind] = -100, -100
    labels[random.random(labels.shape) < 0.1] = -100
    return raw, labels


def test_scores_are_those_of_sentences_without_the_words_whose_tag_is_not_known() -> None:
    raw, labels = drawn()
    predicted, known = raw.argmax(axis=-1), labels != -100
    sentences = [
        [[NAMES[tag] for tag in row[there]] for row, there in zip(values, known, strict=True)]
        for values in (labels, predicted)
    ]
    scores = score_task(TASK, "t", raw, labels)
    assert scores["entity_f1"] == pytest.approx(f1_score(*sentences, mode="strict", scheme=IOB2))
    assert scores["entity_f1_A"] == scores["entity_f1"]
    assert scores["accuracy"] == pytest.approx((predicted == labels)[known].mean())
    assert scores["f1_macro"] == pytest.approx(f1_of_classes(labels[known], predicted[known], average="macro"))
    assert 0 < scores["ece"] < 1


def test_a_word_without_output_counts_as_outside_and_labels_may_be_wider() -> None:
    task = TokenClassification(labels=NAMES, metrics=["accuracy"])
    raw = task.perfect_outputs(np.array([[1, 2], [0, -100]]))
    labels = np.array([[1, 2, 0, 1], [0, 0, -100, -100]])
    found = TagOutputs.of(raw, whole=False)
    assert found.over(labels, 0)[0].tolist() == [[1, 2, 0, 0], [0, 0, 0, 0]]
    assert score_task(task, "t", raw, labels)["accuracy"] == pytest.approx(5 / 6)
    plain = TokenClassification(labels=["NOUN", "VERB"])
    assert score_task(plain, "t", plain.perfect_outputs(np.array([[0]])), np.array([[0, 1]]))["accuracy"] == 0.5


def test_a_word_without_output_is_in_no_entity_where_every_tag_is_of_one() -> None:
    task = TokenClassification(labels=["B-NP", "I-NP", "B-VP", "I-VP"])
    labels = np.array([[0, 2, 3]])
    outputs = np.eye(4)[labels]
    outputs[0, 2] = -100  # the right one would be the last tag
    found = score_task(task, "t", outputs, labels)
    assert found == {"entity_f1": 0.5, "entity_f1_NP": 1, "entity_f1_VP": 0}


def test_tags_are_found_the_same_where_the_outputs_are() -> None:
    raw, _ = drawn()
    raw[3, 0] = np.nan
    raw[5, 0] = [1, 1, 0]
    compact = tags_alone((6,))
    kept = compact.of(torch.from_numpy(raw)).numpy()
    assert kept.shape == (40, compact.width)
    found, whole = compact.read(kept), TagOutputs.of(raw, whole=True)
    assert isinstance(found, TagOutputs)
    rows = np.arange(40) != 3
    np.testing.assert_array_equal(found.predicted[rows], whole.predicted[rows])
    assert found.predicted[5, 0] == 0
    assert (found.broken, whole.broken) == (1, 1)


def test_only_words_with_an_output_and_a_known_tag_are_calibrated() -> None:
    raw, labels = drawn()
    logits, known = TASK.in_softmax(raw, np.pad(labels, ((0, 0), (0, 2)), constant_values=1))
    assert len(logits) == len(known) == (labels != -100).sum()
    np.testing.assert_array_equal(known, labels[labels != -100])


@pytest.mark.parametrize(
    ("labels", "metric", "said"),
    [
        (["NOUN", "VERB"], "entity_f1", "needs tags of entities"),
        (NAMES, "seqeval", "Write entity_f1"),
        (NAMES, "f1", "f1 without labels"),
        (NAMES, "auroc_macro", "cannot score a task of type token_classification"),
    ],
)
def test_metrics_that_do_not_fit_are_mistakes(labels: list[str], metric: str, said: str) -> None:
    spec = MetricSpec(name=metric, greater_is_better=True if metric == "seqeval" else None)
    found = check_metrics({"t": TokenClassification(labels=labels, metrics=[spec])})
    assert any(said in str(mistake) for mistake in found)


def test_seqeval_is_asked_for_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [mistake] = check_metrics({"t": TokenClassification()})
    assert "entity_f1 needs seqeval, which is not installed" in mistake.problem
    assert "pip install 'hf_mtl[tags]'" in str(mistake.remedy)
    with pytest.raises(DataError, match="needs seqeval"):
        score_task(TASK, "t", *drawn())


def test_scores_that_say_nothing_are_said() -> None:
    labels = np.zeros((3, 2), dtype=int)
    notes = score_notes(TASK, "t", TASK.perfect_outputs(labels), labels, {})
    assert notes[0] == "t: entity_f1 is 0 whatever is predicted on the 3 scored rows: none has an entity."
    assert "'B-A'" in notes[1]


def test_each_word_weighs_what_its_row_does() -> None:
    raw, labels = drawn()
    weights = np.random.default_rng(1).integers(1, 4, size=len(raw))
    task = TASK.model_copy(update={"metrics": [MetricSpec(name=name) for name in ("accuracy", "f1_macro", "ece")]})
    found = score_task(task, "t", raw, labels, weights=weights)
    repeated = score_task(task, "t", np.repeat(raw, weights, axis=0), np.repeat(labels, weights, axis=0))
    assert found == pytest.approx(repeated)
    assert found != pytest.approx(score_task(task, "t", raw, labels))
