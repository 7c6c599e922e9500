"""The part of a multi-task model that is about adapters: those of all tasks, and those of single ones."""

from collections.abc import Callable
from typing import Any, Self

from torch.utils.checkpoint import checkpoint

from hf_mtl.batch import Arrangement
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.adapters import add_adapters as add_shared
from hf_mtl.modeling.adapters import has_adapters
from hf_mtl.modeling.adapters import merge_adapters as merge_shared
from hf_mtl.modeling.peft_kinds import KEY
from hf_mtl.modeling.peft_options import parse_peft
from hf_mtl.modeling.pretrained_model import MultiTaskPreTrainedModel
from hf_mtl.modeling.private_adapters import PrivateAdapters


class AdaptedModel(MultiTaskPreTrainedModel):
    """A model whose encoder may have adapters, as its config says."""

    def _add_adapters(self) -> None:
        """Put the adapters of the config on the encoder, and freeze the rest of it; nothing where there are none.

        Raises:
            ModelError: If they do not fit the encoder.
        """
        self.private_adapters = None
        mistakes: list[Mistake] = []
        adapters = parse_peft(self.config.peft, mistakes)
        if mistakes:
            raise ModelError(mistakes)
        if adapters is None:
            return
        self.encoder.requires_grad_(False)
        if adapters.per_task is not None:  # first, while layers have their own names
            self.private_adapters = PrivateAdapters(self.encoder, list(self.config.tasks), adapters.per_task)
        if adapters.shared is not None:
            add_shared(self.encoder, adapters.shared, KEY if adapters.per_task is None else f"{KEY}.shared")

    def merge_adapters(self) -> Self:
        """Put the adapters that all tasks share into the encoder's weights, of which all are trained then.

        Outputs stay the same, to rounding. Adapters that tasks have for themselves stay; `export_task` merges those
        of its task too.

        Returns:
            The model itself.

        Raises:
            ModelError: If there are no such adapters.
        """
        if not has_adapters(self.encoder):
            raise ModelError(Mistake(KEY, "there are no adapters that all tasks share", "There is nothing to merge"))
        merge_shared(self.encoder)
        own = self.private_adapters is not None
        self.config.peft = {"per_task": self.config.peft["per_task"]} if own else None
        self.encoder.requires_grad_(not own)
        self._freeze()
        return self

    @property
    def arrangement(self) -> Arrangement:
        """Tell whose rows may share an encoding: those of any tasks, but for private adapters."""
        return "mixed" if self.private_adapters is None else "segments"

    def _set_gradient_checkpointing(
        self, enable: bool = True, gradient_checkpointing_func: Callable[..., Any] = checkpoint, **kwargs: Any
    ) -> None:
        """Have layers run again in the backward as the base class does, with the adapters that they had."""
        if self.private_adapters is not None:
            own = self.private_adapters.in_recomputation(self.encoder, gradient_checkpointing_func)
            gradient_checkpointing_func = own
        super()._set_gradient_checkpointing(enable, gradient_checkpointing_func, **kwargs)
