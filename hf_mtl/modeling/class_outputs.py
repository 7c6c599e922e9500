"""One output for each class, with weights of the classes, for the types of task whose head has that."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field, WithJsonSchema

from hf_mtl.data.one_class import OneClass
from hf_mtl.modeling.class_weights import compare_weights, fit_weights
from hf_mtl.modeling.statistics import ClassWeights
from hf_mtl.tasks.statistics import TaskStatistics

# For editors; whoever uses the weights refuses others in words of its own.
_Weight: TypeAlias = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]


class OutputPerClass(OneClass):
    """Base of the types of task with an output for each of their classes."""

    can_calibrate: ClassVar[bool] = True
    weights_key: ClassVar[str | None] = "class_weights"

    class_weights: Literal["balanced"] | list[_Weight] | dict[str, _Weight] | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def output_names(self) -> list[str]:
        """The class names, in id order."""
        return self.label_names or []

    @property
    def num_outputs(self) -> int:
        """Number of classes C.

        Raises:
            ValueError: While the classes are not known.
        """
        return self.num_classes

    @property
    def is_weighted(self) -> bool:
        """Tell whether there are class weights."""
        return self.class_weights is not None

    @abstractmethod
    def counts_in_loss(self, labels: np.ndarray) -> np.ndarray:
        """Count what the loss averages over (rows, words) by class, [C].

        Args:
            labels: The labels of the training rows.
        """

    def new_statistics(self) -> TaskStatistics:
        """Keep class weights, where there are some."""
        return ClassWeights(self.num_outputs) if self.is_weighted else TaskStatistics()

    def fit_statistics(self, name: str, statistics: TaskStatistics, labels: np.ndarray, keep: bool) -> list[str]:
        """Scale the class weights to a mean of 1 over what the loss averages over."""
        if self.class_weights is None:
            return []
        counts = self.counts_in_loss(labels)
        weights = fit_weights(self.class_weights, self.output_names, counts, f"tasks.{name}.class_weights")
        if keep:
            return compare_weights(statistics, weights, self.output_names, counts)
        statistics.fit(weights=weights)
        return []
