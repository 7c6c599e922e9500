"""Have accelerate share models over CPU processes, which it does over accelerators alone; torch and DeepSpeed can."""

from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

_init = AcceleratorState.__init__


def _shares(
    self: AcceleratorState, *args: Any, fsdp_plugin: Any = None, deepspeed_plugin: Any = None, **kwargs: Any
) -> None:
    _init(self, *args, fsdp_plugin=fsdp_plugin, deepspeed_plugin=deepspeed_plugin, **kwargs)
    if self.distributed_type != DistributedType.MULTI_CPU:
        return
    if fsdp_plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
    elif deepspeed_plugin is not None:
        self.distributed_type, self.deepspeed_plugins = DistributedType.DEEPSPEED, deepspeed_plugin
        deepspeed_plugin.set_mixed_precision(self._mixed_precision)
        deepspeed_plugin.select(_from_accelerator_state=True)
        self._mixed_precision = "no"  # DeepSpeed's engine computes in it
    PartialState._shared_state["distributed_type"] = self.distributed_type  # which others read, and each new state


def share_on_cpu() -> None:
    """Have every accelerator made from now on do so."""
    AcceleratorState.__init__ = _shares  # type: ignore[method-assign]
