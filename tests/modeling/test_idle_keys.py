import pytest

from hf_mtl import MultiTaskModel, SequenceClassification
from hf_mtl.modeling import idle_keys
from hf_mtl.tasks import DatasetSource
from tests import tiny


def test_keys_of_rows_that_are_given_in_python_are_said_to_do_nothing(caplog: pytest.LogCaptureFixture) -> None:
    idle_keys.logger.warning_once.cache_clear()
    task = SequenceClassification(labels=["x", "y"], max_rows=5, train_fraction=0.2, validation_fraction=0.1)
    config = tiny.model().config.encoder_config
    MultiTaskModel.from_backbone(config, {"t": task})
    assert "tasks.t: max_rows, train_fraction: for rows of a dataset that the task names" in caplog.text
    caplog.clear()
    named = task.model_copy(update={"dataset": DatasetSource(path="a.csv")})
    MultiTaskModel.from_backbone(config, {"t": named})
    MultiTaskModel.from_backbone(config, {"t": SequenceClassification(labels=["x", "y"])})
    assert "for rows of a dataset" not in caplog.text
