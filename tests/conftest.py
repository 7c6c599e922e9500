"""Hypothesis draws the same examples in every run, and a busy machine is no failure; a place for metric scripts."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("hf_mtl", derandomize=True, deadline=None, database=None)
settings.load_profile("hf_mtl")

_SCRIPT = """
    import datasets
    import evaluate

    class Local(evaluate.Metric):
        def _info(self):
            value = datasets.Value("{kind}")
            features = datasets.Features({{"predictions": value, "references": value}})
            return evaluate.MetricInfo(description="", citation="", features=features)

        def _compute(self, predictions, references):
            {body}
"""


@pytest.fixture(scope="session")
def metric_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Write a metric as a script for `evaluate.load`, and return its path."""
    import evaluate

    folder = tmp_path_factory.mktemp("metrics")

    def write(name: str, body: str, kind: str = "float64", place: Path = folder) -> str:
        path = place / f"{name}.py"
        path.write_text(textwrap.dedent(_SCRIPT.format(body=body, kind=kind)))
        return str(path)

    with pytest.MonkeyPatch.context() as patch:
        # One folder for all tests: the modules that evaluate makes of scripts belong to one package.
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", str(folder / "cache"))
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(folder / "modules"))
        yield write
