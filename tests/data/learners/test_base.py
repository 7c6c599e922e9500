from hf_mtl.data.learners.base import LEARNERS
from hf_mtl.data.learners.temperature import LearnedTemperature


def test_learners_are_discovered() -> None:
    assert LEARNERS.names() == ["pike", "temperature"]
    assert LEARNERS["temperature"] is LearnedTemperature


def test_a_mapping_without_a_type_is_a_learned_temperature() -> None:
    learner = LEARNERS.build({"every": 7}, sizes={"a": 1000, "b": 10})
    assert isinstance(learner, LearnedTemperature)
    assert (learner.every, learner.first_move) == (7, 20)
    assert not learner.follows_metrics
    assert learner.gauges() == {"temperature/a": 1.0, "temperature/b": 1.0}


def test_one_that_follows_metrics_moves_as_soon_as_it_may() -> None:
    learner = LEARNERS.build({"objective": "worst", "every": 7}, sizes={"a": 1000, "b": 10})
    assert (learner.follows_metrics, learner.first_move) == (True, 7)
