"""Hypothesis draws the same examples in every run, a busy machine is no failure, signals are those of a terminal."""

import gc
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# datasets counts what is loaded at the Hub, local files too: without a network each may wait five seconds for a name.
os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"

settings.register_profile("hf_mtl", derandomize=True, deadline=None, database=None)
settings.load_profile("hf_mtl")

# `command &` in a script and `nohup` ignore signals in all that they start; a run leaves ignored signals alone.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_collection_finish() -> None:
    """Take what is imported out of the garbage collector. `Trainer.train` runs it twice: 0.2 s in place of 1."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def no_plugin_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a study's plugin registers is of that study, and is registered again by the next that names it."""
    from hf_mtl.tasks import TASK_TYPES, task_types

    with monkeypatch.context() as patch:
        patch.setattr(TASK_TYPES, "_components", task_types())
        yield
    for name in [name for name in sys.modules if name.startswith("recipes.")]:
        del sys.modules[name]
