import pytest

from hf_mtl.evaluation.registry import METRICS
from hf_mtl.tasks import TASK_TYPES, register, task_types
from tests.task_types import independent
from tests.task_types.independent import EXACT_MATCH, IndependentLabels
from tests.task_types.sample import Sample, samples

SAMPLES = {**samples(), "independent_labels": independent.SAMPLE}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    """One type after another, also that from outside the package."""
    return SAMPLES[request.param]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> type[IndependentLabels]:
    """The type of `independent.py` and its metric, known for one test, as a plugin makes them known."""
    monkeypatch.setattr(TASK_TYPES, "_components", task_types())
    monkeypatch.setitem(METRICS, "exact_match", EXACT_MATCH)
    return register(IndependentLabels)
