"""What would make a host wait for its GPU: reading a number out of a tensor."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class NoHostReads(TorchDispatchMode):
    """Refuses ``float(tensor)``, ``int``, ``bool`` and ``item``."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert "_local_scalar_dense" not in function.__name__, "a number was read out of a tensor"
        return function(*args, **(kwargs or {}))
