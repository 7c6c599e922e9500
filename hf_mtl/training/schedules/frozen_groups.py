"""Take parameter groups out of some steps: no gradient, no decay, no moment update."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch import nn

from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.modeling.freezing import freeze_mistakes, lower_parameters
from hf_mtl.schedules import ParameterGroup


class FrozenGroups:
    """Freezes groups of a model's parameters for a time.

    Only what was trainable at first is ever switched: the optimizer and DDP were made with all of that. A frozen
    parameter has no gradient (None), so that the optimizer passes it by; an encoder whose parameters are all frozen
    builds no graph.

    Args:
        model: The model, with everything trainable that will be trained.
    """

    def __init__(self, model: MultiTaskModel):
        self.model = model
        self._trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.frozen: frozenset[ParameterGroup] = frozenset()

    def apply(self, groups: Collection[ParameterGroup]) -> None:
        """Freeze exactly these groups.

        Raises:
            ModelError: If the encoder's layers are not known one by one, and a group is some of them.
        """
        if frozenset(groups) == self.frozen:
            return
        away = {id(parameter) for group in groups for parameter in self._parameters(group)}
        for parameter in self._trainable:
            parameter.requires_grad_(id(parameter) not in away)
        self.frozen = frozenset(groups)

    @contextmanager
    def thawed(self) -> Iterator[None]:
        """Make everything trainable for a moment."""
        before = self.frozen
        self.apply(())
        try:
            yield
        finally:
            self.apply(before)

    def trained(self, groups: Collection[ParameterGroup]) -> int:
        """Tell how many of the parameters of some groups are trained while nothing is frozen.

        Raises:
            ModelError: If a group is some of the encoder's layers, and these are not known one by one or not so many.
        """
        for group in groups:
            layers = group if isinstance(group, int) else None
            if wrong := freeze_mistakes(layers, self.model.encoder.config, adapters=False):
                raise ModelError(wrong)
        chosen = {id(parameter) for group in groups for parameter in self._parameters(group)}
        return sum(parameter.numel() for parameter in self._trainable if id(parameter) in chosen)

    def _parameters(self, group: ParameterGroup) -> list[nn.Parameter]:
        encoder, heads = split_parameters(self.model)
        if group == "encoder":
            return [parameter for _, parameter in encoder]
        if group == "heads":
            return [parameter for _, parameter in heads]
        return lower_parameters(self.model.encoder, group)


def group_name(group: ParameterGroup) -> str:
    """Return a group's name in logs: ``encoder``, ``heads``, ``embeddings``, ``layers_1_to_4``."""
    return f"layers_1_to_{group}" if isinstance(group, int) else group
