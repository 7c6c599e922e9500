"""Every metric, whatever it computes: documented, in the table, and without a trace on disk."""

import doctest
import importlib
import inspect
import pkgutil

import evaluate
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
    assert found == {name: tuple(entry) for name, entry in METRICS.items()}
    assert len(CLASSES) == len(found)


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
