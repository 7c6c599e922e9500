"""A classification whose loss is in another unit: times a number. Scores, predictions and test rows stay the same."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from hf_mtl.task_types.sequence_classification import SequenceClassification
from hf_mtl.tasks import register


@register
class ClassificationInUnits(SequenceClassification):
    """One class per text, with a loss in another unit.

    Args:
        unit: What the loss of every row is multiplied by.
    """

    other_names: ClassVar[tuple[str, ...]] = ()

    type: Literal["classification_in_units"] = "classification_in_units"
    unit: float = Field(1.0, gt=0)

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the losses of a classification, times the unit."""
        return self.unit * super().row_losses(outputs, labels, weights)
