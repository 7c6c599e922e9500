"""Classes by name, with values worked by hand."""

import numpy as np

from hf_mtl.evaluation.named import best_classes, class_columns, ranked_classes, shortest, sigmoid

SHARES = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])


def test_classes_are_named_with_their_probabilities() -> None:
    chosen = np.array([1, 2])  # as an ordinal median may choose, not only the largest
    assert best_classes("abc", SHARES, chosen) == [{"label": "b", "score": 0.5}, {"label": "c", "score": 0.4}]
    ranked = ranked_classes("abc", SHARES, 2)
    assert [[item["label"] for item in row] for row in ranked] == [["b", "c"], ["a", "c"]]
    columns = class_columns("abc", SHARES, chosen, everything=True)
    assert {key: values.to_pylist() for key, values in columns.items()} == {
        "label": ["b", "c"],
        "score": [0.5, 0.4],
        "p.a": [0.2, 0.4],
        "p.b": [0.5, 0.2],
        "p.c": [0.3, 0.4],
    }


def test_probabilities_of_huge_logits_are_finite() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e30, 0.0, 1e30])), [0, 0.5, 1])


def test_numbers_are_those_that_are_written_the_shortest() -> None:
    assert shortest(np.array([[3.2], [1e-8]], dtype=np.float32)).tolist() == [[3.2], [1e-8]]
