import pytest

from hf_mtl.evaluation.registry import METRICS
from hf_mtl.tasks import TASK_TYPES, register, task_types
from tests.modeling.families import some_fast
from tests.task_types import independent, word_classes
from tests.task_types.independent import EXACT_MATCH, IndependentLabels
from tests.task_types.sample import Sample, samples
from tests.task_types.word_classes import WORDS_RIGHT, WordClasses

SAMPLES = {**samples(), "independent_labels": independent.SAMPLE, "word_classes": word_classes.SAMPLE}
# For tests that train: the variants of a type take the same ways through it.
TRAINED = some_fast(SAMPLES, *(name for name in SAMPLES if "," not in name))


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    """One type after another, also those from outside the package."""
    return SAMPLES[request.param]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> type[IndependentLabels]:
    """The types of `independent.py` and `word_classes.py`, known for one test, as a plugin makes them known."""
    monkeypatch.setattr(TASK_TYPES, "_components", task_types())
    monkeypatch.setitem(METRICS, "exact_match", EXACT_MATCH)
    monkeypatch.setitem(METRICS, "words_right", WORDS_RIGHT)
    register(WordClasses)
    return register(IndependentLabels)
