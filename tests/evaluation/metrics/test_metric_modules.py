"""Every metric, whatever it computes: documented, in the table, and without a trace on disk."""

import doctest
import importlib
import inspect
import pkgutil

import evaluate
import numpy as np
import pytest

from hf_mtl.evaluation import metrics
from hf_mtl.evaluation.metrics.base import LocalMetric
from hf_mtl.evaluation.registry import METRICS

MODULES = [
    importlib.import_module(f"{metrics.__name__}.{module.name}") for module in pkgutil.iter_modules(metrics.__path__)
]
CLASSES = {
    (f".{module.__name__.rsplit('.', 1)[1]}", name): cls
    for module in MODULES
    for name, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, LocalMetric) and cls.__module__ == module.__name__ and not inspect.isabstract(cls)
}


def test_the_table_names_every_metric_and_says_what_its_class_says():
    found = {
        cls.key: (module, name, cls.outputs, cls.greater_is_better, cls.wants_probabilities)
        for (module, name), cls in CLASSES.items()
    }
    assert found == {name: tuple(entry)[:5] for name, entry in METRICS.items()}
    assert len(CLASSES) == len(found)


def inputs_of(name: str, rows: int) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Options of a metric, and predictions of some rows with their labels."""
    random, kind = np.random.default_rng(3), METRICS[name].outputs
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "values":
        options = {"target_std": [2.0]} if name == "mse_z" else {}
        return options, {"predictions": random.normal(size=rows), "references": random.normal(size=rows)}
    if kind == "spans":
        words = np.array(["the nile", "blue", "1912", ""])[random.integers(0, 4, size=(2, rows))]
        answers = np.empty(rows, dtype=object)
        answers[:] = [[word] if word else [] for word in words[1]]
        return {}, {"predictions": words[0], "references": answers}
    shape = (rows, 3) if kind == "labels" else (rows,)
    references = random.integers(0, 2 if kind == "labels" else 3, size=shape)
    options = {"labels": [0, 1]} if name == "f1" else {}
    if name not in ("mean_average_precision", "label_ranking_average_precision"):
        options["num_classes"] = 3
    if METRICS[name].wants_probabilities:
        return options, {"prediction_scores": random.dirichlet(np.ones(3), size=rows), "references": references}
    return options, {"predictions": np.where(random.random(shape) < 0.5, references, 0), "references": references}


@pytest.mark.parametrize("name", [name for name, entry in METRICS.items() if entry.takes_weights])
def test_a_row_of_weight_two_counts_as_two_rows(name: str) -> None:
    options, inputs = inputs_of(name, 30)
    weights = np.random.default_rng(4).integers(1, 4, size=30)
    cls = getattr(importlib.import_module(METRICS[name].module, metrics.__name__), METRICS[name].class_name)
    weighted, repeated, plain = cls(**options), cls(**options), cls(**options)
    weighted.weights = weights
    found = weighted.compute(**inputs)[name]
    copies = {key: np.repeat(values, weights, axis=0) for key, values in inputs.items()}
    assert found == pytest.approx(repeated.compute(**copies)[name], rel=1e-9)
    assert found != pytest.approx(plain.compute(**inputs)[name], rel=1e-4)


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda cls: cls.key)
def test_the_example_in_the_docstring_runs_and_writes_nothing(cls, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tests = doctest.DocTestFinder(recurse=False).find(cls, globs=vars(inspect.getmodule(cls)).copy())
    results = doctest.DocTestRunner().run(tests[0])
    assert results.attempted > 0
    assert results.failed == 0
    assert list(tmp_path.iterdir()) == []


def test_metrics_combine_as_those_of_evaluate_do():
    accuracy, f1 = CLASSES[".accuracy", "Accuracy"](num_classes=2), CLASSES[".f1", "F1Macro"](num_classes=2)
    both = evaluate.combine([accuracy, f1])
    assert both.compute(predictions=[0, 1], references=[0, 1]) == {"accuracy": 1.0, "f1_macro": 1.0}
